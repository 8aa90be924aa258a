package caddymodule

import (
	"fmt"
	"go/ast"
	goparser "go/parser"
	"go/token"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	zaptest "go.uber.org/zap/zaptest/observer"

	"github.com/pronote-cas/caddy-pronote-cas/casauth"
	"github.com/pronote-cas/caddy-pronote-cas/casauth/directory"
)

// Each decision adds to what it should and to nothing else.
func TestWhatADecisionCounts(t *testing.T) {
	wrong := func(reason casauth.Reason) *casauth.Error { return &casauth.Error{Reason: reason} }
	for _, test := range []struct {
		name string
		d    casauth.Decision
		want []string
	}{
		{"sets out", casauth.Decision{Action: casauth.Redirect, Event: casauth.LoginStarted, Trip: "t"},
			[]string{`decisions_total{kind="redirect",reason=""}`, `logins_total{result="started"}`}},
		{"starts over", casauth.Decision{Action: casauth.Redirect, Event: casauth.LoginStarted, Trip: "t", Err: wrong(casauth.TicketRefused), Validated: time.Second},
			[]string{`decisions_total{kind="redirect",reason="ticket_refused"}`, `logins_total{result="started"}`, `logins_total{result="ticket_refused"}`, `validation_duration_seconds_count`}},
		{"gives up", casauth.Decision{Action: casauth.Refuse, Trip: "t", Err: wrong(casauth.CASUnreadable), Validated: time.Second},
			[]string{`decisions_total{kind="refuse",reason="cas_unreadable"}`, `logins_total{result="cas_unreadable"}`, `validation_duration_seconds_count`}},
		{"logs in", casauth.Decision{Action: casauth.Redirect, Event: casauth.LoggedIn, Trip: "t", Validated: time.Second, Resolved: &directory.Result{Rule: directory.ByRow}},
			[]string{`decisions_total{kind="redirect",reason=""}`, `logins_total{result="ok"}`, `validation_duration_seconds_count`, `directory_resolutions_total{rule="row"}`}},
		{"logs in, and on to PRONOTE", casauth.Decision{Action: casauth.Redirect, Event: casauth.LoggedIn, Trip: "t", Granted: true},
			[]string{`decisions_total{kind="redirect",reason=""}`, `logins_total{result="ok"}`, `relay_tickets_total{result="issued"}`}},
		{"PRONOTE asks", casauth.Decision{Action: casauth.Reply, Event: casauth.TicketValidated},
			[]string{`decisions_total{kind="reply",reason=""}`, `relay_tickets_total{result="validated"}`}},
		{"PRONOTE asks in vain", casauth.Decision{Action: casauth.Reply, Event: casauth.TicketValidated, Err: wrong(casauth.TicketRefused)},
			[]string{`decisions_total{kind="reply",reason="ticket_refused"}`, `relay_tickets_total{result="refused"}`}},
		{"a script", casauth.Decision{Action: casauth.Refuse, Err: wrong(casauth.SessionRequired)},
			[]string{`decisions_total{kind="refuse",reason="session_required"}`}},
		{"a conflict", casauth.Decision{Action: casauth.Refuse, Trip: "t", Err: wrong("identifier_conflict"), Resolved: &directory.Result{Rule: directory.ByAttribute, Conflict: &directory.Conflict{}}},
			[]string{`decisions_total{kind="refuse",reason="identifier_conflict"}`, `logins_total{result="identifier_conflict"}`, `directory_resolutions_total{rule="conflict"}`}},
		{"several fit", casauth.Decision{Action: casauth.Refuse, Trip: "t", Err: wrong(casauth.UnknownIdentifier), Resolved: &directory.Result{Rule: directory.ByNothing, Ambiguous: 2}},
			[]string{`decisions_total{kind="refuse",reason="unknown_identifier"}`, `logins_total{result="unknown_identifier"}`, `directory_resolutions_total{rule="ambiguous"}`}},
		{"a page of ours", casauth.Decision{Action: casauth.Show}, []string{`decisions_total{kind="show",reason=""}`}},
	} {
		t.Run(test.name, func(t *testing.T) {
			c, registry := newCounts(), prometheus.NewPedanticRegistry()
			if err := c.register(registry, "pronote.example.fr"); err != nil {
				t.Fatal(err)
			}
			if err := c.register(registry, "pronote.example.fr"); err != nil {
				t.Fatalf("a second directive on the same site: %v", err)
			}
			c.decision(&test.d)
			w := httptest.NewRecorder()
			promhttp.HandlerFor(registry, promhttp.HandlerOpts{}).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
			wanted := make(map[string]bool)
			for _, series := range test.want {
				wanted[series] = true
			}
			for line := range strings.Lines(w.Body.String()) {
				series, value, _ := strings.Cut(strings.TrimSpace(line), " ")
				series = strings.NewReplacer(`,site="pronote.example.fr"`, "", `{site="pronote.example.fr"}`, "", "pronote_cas_", "").Replace(series)
				if strings.HasPrefix(line, "#") || strings.Contains(series, "_bucket") || strings.Contains(series, "_sum") {
					continue
				}
				if (value == "1") != wanted[series] || value != "1" && value != "0" {
					t.Errorf("%s is %s", series, value)
				}
				delete(wanted, series)
			}
			for series := range wanted {
				t.Errorf("%s is not there:\n%s", series, w.Body)
			}
		})
	}
}

// What the school has to look into is a warning that names nobody.
func TestDirectoryWarnings(t *testing.T) {
	core, logs := zaptest.New(zapcore.InfoLevel)
	o := &observer{log: zap.New(core), person: func(user string) string { return "pseudonym of " + user[:1] }}
	o.resolved(&casauth.Decision{Resolved: &directory.Result{PronoteID: pupilID, Previous: parentID}}, &note{Person: "p1"})
	o.resolved(&casauth.Decision{Resolved: &directory.Result{Conflict: &directory.Conflict{PronoteID: pupilID, User: pupil, HeldBy: parent}}}, &note{Person: "p2"})
	o.resolved(&casauth.Decision{Resolved: &directory.Result{PronoteID: pupilID, Rule: directory.ByRow}}, &note{Person: "p3"})
	o.resolved(&casauth.Decision{}, &note{})
	all := logs.All()
	if len(all) != 2 {
		t.Fatalf("%d warnings", len(all))
	}
	for i, want := range []struct{ command, fields string }{
		{"caddy pronote-cas directory", "map[person:p1]"},
		{"caddy pronote-cas export", "map[held_by:pseudonym of n person:p2]"},
	} {
		if all[i].Level != zapcore.WarnLevel || !strings.Contains(all[i].Message, want.command) || fmt.Sprint(all[i].ContextMap()) != want.fields {
			t.Errorf("%s %s %v", all[i].Level, all[i].Message, all[i].ContextMap())
		}
	}
}

// Caddy can write one log to several places, each from a level of its own. Who a person
// is stands at DEBUG alone, in lines that those from INFO on do not get.
func TestOnlyDebugLinesNameAnybody(t *testing.T) {
	core, logs := zaptest.New(zapcore.DebugLevel)
	o := &observer{log: zap.New(core), person: func(string) string { return "pseudonym" }, root: "/"}
	session := &casauth.Session{}
	session.User, session.PronoteID = pupil, pupilID
	conflict := &directory.Result{Previous: parentID, Conflict: &directory.Conflict{PronoteID: pupilID, User: pupil, HeldBy: parent}}
	for _, d := range []casauth.Decision{
		{Action: casauth.Redirect, Event: casauth.LoggedIn, Session: session},
		{Action: casauth.Redirect, Event: casauth.LoggedOut, Session: session},
		{Action: casauth.Redirect, Event: casauth.TicketIssued, Session: session},
		{Action: casauth.Reply, Event: casauth.SingleLogout, User: pupil},
		{Action: casauth.Refuse, Person: true, User: pupil, Err: &casauth.Error{Reason: casauth.IdentifierConflict}, Resolved: conflict},
	} {
		level, _ := weigh(&d)
		o.tell(level, &d, o.note(httptest.NewRequest(http.MethodGet, "/eleve.html", nil), &d))
	}
	named := 0
	for _, line := range logs.All() {
		said := fmt.Sprint(line.Message, line.ContextMap())
		names := strings.Contains(said, pupil) || strings.Contains(said, pupilID) || strings.Contains(said, parent) || strings.Contains(said, parentID)
		if names && (line.Level != zapcore.DebugLevel || line.ContextMap()["person"] != "pseudonym") {
			t.Errorf("at %s: %s", line.Level, said)
		}
		if names {
			named++
		}
	}
	if want := 5 + 2; named != want { // each decision, a change and a conflict
		t.Errorf("%d lines say who it was, want %d", named, want)
	}
}

// Whatever is refused, and whatever is logged, the help desk gets words for it, in
// both languages.
func TestTheHelpDeskHasWordsForEverything(t *testing.T) {
	file, err := goparser.ParseFile(token.NewFileSet(), "../casauth/errors.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	known := make(map[string]bool)
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if named, ok := spec.Type.(*ast.Ident); !ok || named.Name != "Reason" {
			return true
		}
		reason, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
		if err != nil {
			t.Fatal(err)
		}
		known[reason] = true
		if _, ok := advised[reason]; !ok {
			t.Errorf("no advice for %s", reason)
		}
		return true
	})
	if len(known) < 20 {
		t.Fatalf("only %d reasons found", len(known))
	}
	for reason, a := range advised {
		for _, words := range []both{a.means, a.do} {
			if words.En == "" || words.Fr == "" || strings.Contains(words.Fr, "'") {
				t.Errorf("%s: %q", reason, words)
			}
		}
	}

	if file, err = goparser.ParseFile(token.NewFileSet(), "observe.go", nil, 0); err != nil {
		t.Fatal(err)
	}
	messages := 0
	ast.Inspect(file, func(n ast.Node) bool {
		answer, ok := n.(*ast.ReturnStmt)
		if !ok || len(answer.Results) != 2 {
			return true
		}
		if literal, ok := answer.Results[1].(*ast.BasicLit); ok {
			message, _ := strconv.Unquote(literal.Value)
			if _, ok := happened[message]; !ok && message != "answered" { // which nobody remembers
				t.Errorf("no words for %q", message)
			}
			messages++
		}
		return true
	})
	if messages < 8 {
		t.Fatalf("only %d messages found", messages)
	}
}
