package protocol

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"golang.org/x/text/encoding/charmap"
)

// The oracle is a second reading that shares nothing with the first: tokens, no
// tree, and names with their namespaces as encoding/xml resolves them.

// found is an element at a path: its text, and where it is in the body.
type found struct {
	text       string
	start, end int
}

const (
	casPath  = casNS + " serviceResponse/" + casNS + " authenticationSuccess/" + casNS + " user"
	samlPath = soapNS + " Envelope/" + soapNS + " Body/" + samlpNS + " Response/" + samlNS + " Assertion/" +
		samlNS + " AuthenticationStatement/" + samlNS + " Subject/" + samlNS + " NameIdentifier"
	logoutPath = logoutNS + " LogoutRequest/" + logoutNS + " SessionIndex"
)

// oracle returns every element of text that is at path. Offsets count in text.
func oracle(text []byte, path string) ([]found, error) {
	d := xml.NewDecoder(bytes.NewReader(text))
	var all []found
	var names []string
	var inside strings.Builder
	start := 0
	for {
		before := int(d.InputOffset())
		token, err := d.Token()
		if err == io.EOF {
			return all, nil
		}
		if err != nil {
			return nil, err
		}
		here := strings.Join(names, "/") == path
		switch t := token.(type) {
		case xml.StartElement:
			names = append(names, t.Name.Space+" "+t.Name.Local)
			if strings.Join(names, "/") == path {
				inside.Reset()
				start = before
			}
		case xml.CharData:
			if here {
				inside.Write(t)
			}
		case xml.EndElement:
			names = names[:len(names)-1]
			if here {
				all = append(all, found{strings.Trim(inside.String(), " \t\r\n"), start, int(d.InputOffset())})
			}
		}
	}
}

// decoded returns the XML in body as UTF-8 without its declaration, and where
// that begins in body: -1 if it was another encoding.
func decoded(body []byte) (text []byte, offset int) {
	text = body
	if i := bytes.IndexByte(body, '<'); i >= 0 {
		text, offset = body[i:], i
	}
	head := ""
	if bytes.HasPrefix(text, []byte("<?xml")) {
		n := bytes.Index(text, []byte("?>")) + 2
		head, text, offset = strings.ToLower(string(text[:n])), text[n:], offset+n
	}
	for name, table := range map[string]*charmap.Charmap{"8859-15": charmap.ISO8859_15, `8859-1"`: charmap.ISO8859_1, "8859-1'": charmap.ISO8859_1,
		"latin1": charmap.ISO8859_1, "1252": charmap.Windows1252} {
		if strings.Contains(head, name) {
			text, _ = table.NewDecoder().Bytes(text)
			return text, -1
		}
	}
	return text, offset
}

// agree fails unless answer is what the oracle finds too, exactly once.
func agree(t *testing.T, body []byte, path, user string) (found, int) {
	t.Helper()
	text, offset := decoded(body)
	all, err := oracle(text, path)
	if err != nil || len(all) != 1 || all[0].text != user {
		t.Fatalf("read %q, the oracle %+v, %v, in\n%s", user, all, err, body)
	}
	return all[0], offset
}

// unchanged fails if changed, which differs from what gave user in something
// else than the user, gives another user.
func unchanged(t *testing.T, p Protocol, changed []byte, user string) {
	t.Helper()
	answer, err := Read(p, changed, fixed)
	if err == nil && answer.User != user {
		t.Fatalf("%q became %q by\n%s", user, answer.User, changed)
	}
}

func pathOf(p Protocol) string {
	if p == SAML11 {
		return samlPath
	}
	return casPath
}

// No byte of an answer outside the user's element can change who it is: one by one
// they are replaced, left out or doubled.
func TestNoOtherByteChangesTheUser(t *testing.T) {
	const replacements = `<>/"'& x-!:]=` + "\x00\n\xff"
	for _, v := range vectors(t, "INDEX.tsv") {
		p := Protocol(v.kind)
		answer, err := Read(p, v.body, fixed)
		if err != nil || p == CAS1 {
			continue
		}
		t.Run(v.file, func(t *testing.T) {
			t.Parallel()
			user, offset := agree(t, v.body, pathOf(p), answer.User)
			if offset < 0 {
				t.Skip("another encoding than UTF-8: its declaration may change the letters, and offsets do not match")
			}
			for i := range v.body {
				if i >= user.start+offset && i < user.end+offset {
					continue
				}
				changed := slices.Clone(v.body)
				switch i % 3 {
				case 0:
					changed[i] = replacements[i/3%len(replacements)]
				case 1:
					changed = slices.Delete(changed, i, i+1)
				case 2:
					changed = slices.Insert(changed, i, v.body[i])
				}
				unchanged(t, p, changed, answer.User)
			}
		})
	}
}

func seed(f *testing.F, kinds ...Protocol) {
	for _, v := range vectors(f, "INDEX.tsv") {
		if slices.Contains(kinds, Protocol(v.kind)) {
			f.Add(v.body, uint(len(v.body)/2), byte('x'))
		}
	}
}

// fuzzXML checks both promises of Read: one user, the one the oracle finds; and
// nothing outside of it that could change it.
func fuzzXML(f *testing.F, p Protocol) {
	f.Fuzz(func(t *testing.T, body []byte, at uint, with byte) {
		answer, err := Read(p, body, fixed)
		if err != nil {
			if e, ok := err.(*Error); !ok || sentences[e.Reason] == "" || e.Outcome == Unavailable {
				t.Fatalf("%#v", err)
			}
			return
		}
		user, offset := agree(t, body, pathOf(p), answer.User)
		if i := int(at % uint(len(body))); offset >= 0 && (i < user.start+offset || i >= user.end+offset) {
			changed := slices.Clone(body)
			changed[i] = with
			unchanged(t, p, changed, answer.User)
		}
	})
}

func FuzzReadCAS2(f *testing.F) {
	seed(f, CAS2, CAS3)
	fuzzXML(f, CAS2)
}

func FuzzReadSAML11(f *testing.F) {
	seed(f, SAML11)
	fuzzXML(f, SAML11)
}

func FuzzReadCAS1(f *testing.F) {
	seed(f, CAS1)
	f.Fuzz(func(t *testing.T, body []byte, at uint, with byte) {
		answer, err := Read(CAS1, body, fixed)
		if err != nil {
			if e, ok := err.(*Error); !ok || sentences[e.Reason] == "" || e.Outcome == Unavailable {
				t.Fatalf("%#v", err)
			}
			return
		}
		lines := strings.SplitAfter(string(body), "\n")
		if strings.TrimRight(lines[0], "\r\n") != "yes" || len(lines) < 2 || strings.Trim(lines[1], " \t\r\n") != answer.User {
			t.Fatalf("read %q in %q", answer.User, body)
		}
		start, end := len(lines[0]), len(lines[0])+len(lines[1])
		if i := int(at % uint(len(body))); i < start || i >= end {
			changed := slices.Clone(body)
			changed[i] = with
			unchanged(t, CAS1, changed, answer.User)
		}
	})
}

func FuzzReadLogout(f *testing.F) {
	for _, v := range vectors(f, "INDEX_SLO.tsv") {
		_, contentType, _ := strings.Cut(v.kind, " ")
		f.Add(contentType, v.body)
	}
	f.Add("", []byte(logoutXML))
	f.Add("text/xml", []byte("<!DOCTYPE a>"+logoutXML))
	f.Fuzz(func(t *testing.T, contentType string, body []byte) {
		tickets, err := ReadLogout(contentType, body)
		checkLogout(t, tickets, err)
		if err != nil || !bytes.HasPrefix(bytes.TrimLeft(body, "\xEF\xBB\xBF \t\r\n"), []byte("<")) || strings.Contains(contentType, "charset") {
			return
		}
		text, _ := decoded(body)
		all, err := oracle(text, logoutPath)
		got := fmt.Sprintf("%q", tickets)
		tickets = nil
		for _, e := range all {
			tickets = append(tickets, e.text)
		}
		if want := fmt.Sprintf("%q", tickets); err != nil || got != want {
			t.Fatalf("read %s, the oracle %s, %v, in\n%s", got, want, err, body)
		}
	})
}

func FuzzReadFrontLogout(f *testing.F) {
	for _, v := range vectors(f, "INDEX_SLO.tsv") {
		f.Add(string(v.body))
	}
	f.Fuzz(func(t *testing.T, query string) {
		tickets, callback, err := ReadFrontLogout(query)
		checkLogout(t, tickets, err)
		if err != nil && callback != "" || strings.ContainsAny(callback, "()<>&'\"; \n") {
			t.Fatalf("callback %q, %v", callback, err)
		}
		ExplainLogout("f", []byte(query))
	})
}

// checkLogout: tickets or an error, never a blank one, nothing unheard of.
func checkLogout(t *testing.T, tickets []string, err error) {
	t.Helper()
	if (err == nil) != (len(tickets) > 0) {
		t.Fatalf("%q, %v", tickets, err)
	}
	for _, ticket := range tickets {
		if strings.TrimSpace(ticket) == "" {
			t.Fatalf("%q", tickets)
		}
	}
	if e, ok := err.(*Error); err != nil && err != ErrNotLogout && (!ok || e.Outcome != Malformed || sentences[e.Reason] == "") {
		t.Fatalf("%#v", err)
	}
}

func benchmarkRead(b *testing.B, p Protocol, file string) {
	for _, v := range vectors(b, "INDEX.tsv") {
		if v.file != file {
			continue
		}
		b.SetBytes(int64(len(v.body)))
		b.ReportAllocs()
		for b.Loop() {
			if _, err := Read(p, v.body, fixed); err != nil {
				b.Fatal(err)
			}
		}
		return
	}
	b.Fatal("no such vector")
}

func BenchmarkReadCAS3(b *testing.B)   { benchmarkRead(b, CAS3, "cas3_ok_apereo6.xml") }
func BenchmarkReadSAML11(b *testing.B) { benchmarkRead(b, SAML11, "saml_ok_apereo7.xml") }
