package protocol

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

const (
	vectorDir = "../../testdata/cas_answers"
	service   = "https://pronote.example.fr/pronote/eleve.html"
	requestID = "_9f2c4e6a8b0d1f3e5a7c9b2d4f6e8a10"
)

// fixed is the context that every vector is written for.
var fixed = Context{Service: service, RequestID: requestID, Now: time.Date(2026, 3, 10, 9, 0, 0, 0, time.UTC)}

type vector struct {
	file, kind, expected string
	body                 []byte
}

// vectors returns the rows of an index; there must be some.
func vectors(t testing.TB, index string) []vector {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(vectorDir, index))
	if err != nil {
		t.Fatal(err)
	}
	var all []vector
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(strings.TrimRight(line, "\n"), "\t")
		if cells[0] == "file" {
			continue
		}
		body, err := os.ReadFile(filepath.Join(vectorDir, cells[0]))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, vector{cells[0], cells[1], cells[2], body})
	}
	if len(all) < 10 {
		t.Fatalf("%s: %d vectors", index, len(all))
	}
	return all
}

// expectation is the "expected" cell of an index, read.
type expectation struct {
	outcome string
	answer  Answer
	code    string
	tickets []string
}

func expect(t testing.TB, cell string) expectation {
	t.Helper()
	outcome, rest, _ := strings.Cut(cell, " ")
	x := expectation{outcome: outcome}
	for rest != "" {
		key, value, _ := strings.Cut(rest, "=")
		var target any
		switch key {
		case "user":
			target = &x.answer.User
		case "attrs":
			target = &x.answer.Attributes
		case "pgtiou":
			target = &x.answer.ProxyGrantingTicket
		case "proxies":
			target = &x.answer.Proxies
		case "code":
			if !strings.HasPrefix(value, `"`) {
				if x.code = value; value == "-" {
					x.code = ""
				}
				return x
			}
			target = &x.code
		case "index":
			var one string
			if json.Unmarshal([]byte(value), &one) == nil {
				x.tickets = []string{one}
				return x
			}
			target = &x.tickets
		default:
			t.Fatalf("%q in %q", key, cell)
		}
		d := json.NewDecoder(strings.NewReader(value))
		if err := d.Decode(target); err != nil {
			t.Fatalf("%s: %v", cell, err)
		}
		rest = strings.TrimPrefix(value[d.InputOffset():], " ")
	}
	return x
}

func TestVectors(t *testing.T) {
	for _, v := range vectors(t, "INDEX.tsv") {
		t.Run(v.file, func(t *testing.T) {
			want := expect(t, v.expected)
			answer, err := Read(Protocol(v.kind), v.body, fixed)
			if want.outcome == "ok" {
				if err != nil || !reflect.DeepEqual(answer, want.answer) {
					t.Fatalf("got %+v, %v\nwant %+v", answer, err, want.answer)
				}
				return
			}
			e, ok := err.(*Error)
			if !ok || string(e.Outcome) != want.outcome || e.Code != want.code {
				t.Fatalf("got %+v, %v, want %s", answer, err, v.expected)
			}
			if !reflect.DeepEqual(answer, Answer{}) {
				t.Errorf("an answer beside an error: %+v", answer)
			}
			t.Log(e.reason())
		})
	}
}

// What explain prints is what Read decides.
func TestVectorsExplained(t *testing.T) {
	for _, v := range vectors(t, "INDEX.tsv") {
		want := expect(t, v.expected)
		line, err := json.Marshal(Explain(v.file, Protocol(v.kind), v.body, fixed))
		if err != nil {
			t.Fatal(err)
		}
		var got map[string]any
		if err := json.Unmarshal(line, &got); err != nil {
			t.Fatal(err)
		}
		if got["file"] != v.file || got["outcome"] != want.outcome {
			t.Errorf("%s: %s", v.file, line)
		}
		_, hasAttributes := got["attributes"].(map[string]any)
		_, hasUser := got["user"]
		if ok := want.outcome == "ok"; hasAttributes != ok || hasUser != ok {
			t.Errorf("%s: %s", v.file, line)
		}
		if code, _ := got["code"].(string); code != want.code {
			t.Errorf("%s: %s", v.file, line)
		}
		if reason, _ := got["reason"].(string); reason == "" && want.outcome != "ok" {
			t.Errorf("%s: no reason: %s", v.file, line)
		}
	}
}

func TestLogoutVectors(t *testing.T) {
	for _, v := range vectors(t, "INDEX_SLO.tsv") {
		t.Run(v.file, func(t *testing.T) {
			want := expect(t, v.expected)
			var tickets []string
			var err error
			switch method, contentType, _ := strings.Cut(v.kind, " "); {
			case method == "GET":
				tickets, _, err = ReadFrontLogout(string(bytes.TrimSpace(v.body)))
			case contentType == "(no content type)":
				tickets, err = ReadLogout("", v.body)
			default:
				tickets, err = ReadLogout(contentType, v.body)
			}
			if (err == nil) != (want.outcome == "ok") || !reflect.DeepEqual(tickets, want.tickets) {
				t.Fatalf("got %q, %v, want %s", tickets, err, v.expected)
			}
			if e, ok := err.(*Error); err != nil && (!ok || string(e.Outcome) != want.outcome) {
				t.Fatalf("got %v, want %s", err, v.expected)
			}
			x := ExplainLogout(v.file, v.body)
			if x.Outcome != want.outcome || len(x.Tickets) != len(want.tickets) || x.Tickets == nil {
				t.Errorf("explained as %+v, want %s", x, v.expected)
			}
		})
	}
}
