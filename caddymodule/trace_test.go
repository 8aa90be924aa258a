package caddymodule

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pronote-cas/caddy-pronote-cas/casauth"
)

// morning is a day's notes, each a letter (its path) at an hour.
func morning() (notes []note) {
	at := time.Date(2026, 3, 10, 8, 0, 0, 0, time.UTC)
	for _, n := range []struct {
		after        time.Duration
		letter       string
		trip, person string
		code         string
	}{
		{-5 * time.Hour, "a", "t0", "camille", ""},             // long before
		{-2 * time.Hour, "b", "t1", "", ""},                    // sets out in the morning,
		{-2*time.Hour + time.Minute, "c", "t1", "camille", ""}, // and logs in
		{-time.Minute, "d", "t2", "", ""},
		{0, "e", "t2", "", "AAAA-AAA"}, // a page with a code, before it is known who it is
		{time.Minute, "f", "t2", "camille", ""},
		{time.Minute, "g", "t3", "nadia", "BBBB-BBB"},
		{2 * time.Minute, "h", "", "", "CCCC-CCC"}, // no login at all
		{time.Hour, "i", "", "camille", ""},        // logs out
		{4 * time.Hour, "j", "t4", "camille", ""},  // long after
	} {
		notes = append(notes, note{Time: at.Add(n.after), Path: n.letter, Trip: n.trip, Person: n.person, Code: n.code})
	}
	return notes
}

func TestTimeline(t *testing.T) {
	for _, test := range []struct {
		name, want string
		seek       func(*note) bool
	}{
		{"by a code: the login, and the person's hours around", "bcdefi", func(n *note) bool { return n.Code == "AAAA-AAA" }},
		{"by another's code", "g", func(n *note) bool { return n.Code == "BBBB-BBB" }},
		{"by a code without a login: nobody else's refusals", "h", func(n *note) bool { return n.Code == "CCCC-CCC" }},
		{"by a trip", "g", func(n *note) bool { return n.Trip == "t3" }},
		{"by a person: the whole day, with the logins from their start", "abcdefij", func(n *note) bool { return n.Person == "camille" }},
		{"by nothing that is there", "", func(n *note) bool { return n.Code == "DDDD-DDD" }},
	} {
		got := ""
		for _, n := range timeline(morning(), test.seek) {
			got += n.Path
		}
		if got != test.want {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
}

// People read a code out, and others write it down.
func TestACodeAsPeopleWriteIt(t *testing.T) {
	for _, typed := range []string{"K7QX-3MB", "k7qx-3mb", "K7QX3MB", " k7 qx 3m b ", "K7QX‐3MB", "K7QX–3MB", "k7qx\u00a03mb"} {
		if got, err := parseCode(typed); err != nil || got != "K7QX-3MB" {
			t.Errorf("%q: %q, %v", typed, got, err)
		}
	}
	for _, typed := range []string{"K7QX-3M", "K7QX-3MBB", "K7QX-3M0", "O7QX-3MB", "L7QX-3MB", "K7QX-3M\x00", "é7QX-3M", "--", "ST-1-abcdef"} {
		if got, err := parseCode(typed); err == nil {
			t.Errorf("%q is taken for %q", typed, got)
		}
	}
	for range 1000 {
		code := newCode()
		if got, err := parseCode(strings.ToLower(code)); err != nil || got != code {
			t.Fatalf("our own %q: %q, %v", code, got, err)
		}
	}
}

// Who asks for pages all night and never logs in fills the memory with departures,
// and with nothing else; and nobody fills it beyond its bounds.
func TestAFloodForgetsNobodyAndFillsNothing(t *testing.T) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	tr := newTrace()
	tr.add(&note{Time: time.Now(), Code: "K7QX-3MB"}, false)
	long := strings.Repeat("é", 1<<10)
	for n := range 3 * traceSize {
		tr.add(&note{Time: time.Now(), Trip: fmt.Sprintf("%08x", n), Path: long[:len(long)-n%2], Cause: long}, true)
	}
	if notes, since := tr.all(); len(notes) != traceSize+1 || notes[0].Code != "K7QX-3MB" || since != tr.begun {
		t.Errorf("%d notes, the first %+v, since %s", len(notes), notes[0].Code, since)
	}
	for n := range 3 * traceSize {
		tr.add(&note{Time: time.Now(), Trip: fmt.Sprintf("%08x", n), Person: "0123456789ab", Code: "K7QX-3MC", Path: long + fmt.Sprint(n), Cause: long}, false)
	}
	notes, since := tr.all()
	if len(notes) != 2*traceSize || !since.After(tr.begun) {
		t.Errorf("%d notes since %s", len(notes), since)
	}
	clear(notes)
	runtime.GC()
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 16<<20 {
		t.Errorf("a full memory has %d MB", grown>>20)
	} else {
		t.Logf("a full memory has %.1f MB", float64(grown)/(1<<20))
	}
	runtime.KeepAlive(tr)
}

// What is older than a day is told to nobody.
func TestTheTraceForgetsWithinADay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := newTrace()
		tr.add(&note{Time: time.Now(), Code: "K7QX-3MB"}, false)
		time.Sleep(traceLife - time.Minute)
		tr.add(&note{Time: time.Now(), Code: "K7QX-3MC"}, false)
		if notes, since := tr.all(); len(notes) != 2 || since != tr.begun {
			t.Errorf("%d notes since %s", len(notes), since)
		}
		time.Sleep(2 * time.Minute)
		if notes, since := tr.all(); len(notes) != 1 || time.Since(since) != traceLife {
			t.Errorf("%d notes since %s", len(notes), since)
		}
	})
}

func TestTraceRefusals(t *testing.T) {
	s := &site{Handler: &Handler{log: &observer{trace: newTrace()}, sessions: casauth.NewSessions(new(casauth.MemoryStore), casauth.SessionConfig{Site: "s", TTL: time.Hour, Idle: time.Hour})}}
	defer s.sessions.Close()
	for query, want := range map[string]struct {
		status int
		says   string
	}{
		"":                     {400, "just one of these"},
		"code=K7QX-3MB&trip=x": {400, "just one of these"},
		"user=in.an.address":   {400, "just one of these"},
		"code=K7QX-3M0":        {400, "never 0, 1, I, L or O"},
		"code=k7qx3mb":         {404, "does not know the code K7QX-3MB"},
		"trip=00000000":        {404, "ask the others too"},
		"POST nobody.was.here": {404, "spelled as the ENT does"},
		"POST %00":             {404, "remembers nothing"},
		"POST ":                {400, "just one of these"},
	} {
		user, post := strings.CutPrefix(query, "POST ")
		r := httptest.NewRequest(http.MethodGet, "/pronote_cas/trace", nil)
		if r.URL.RawQuery = query; post {
			r = httptest.NewRequest(http.MethodPost, "/pronote_cas/trace", strings.NewReader("user="+user))
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		}
		err := serveTrace(httptest.NewRecorder(), r, s)
		var refused *adminError
		if !errors.As(err, &refused) || refused.status != want.status || !strings.Contains(refused.En, want.says) || refused.Fr == "" {
			t.Errorf("%s: %v", query, err)
		}
		if post && user != "" && strings.Contains(err.Error(), user) {
			t.Errorf("%s: the answer, which Caddy might log, names the person", query)
		}
	}
}

// Forgetting the wrong holder altogether would erase the row that the right one needs.
func TestTheAdviceOnAConflictKeepsTheRow(t *testing.T) {
	do := advised["identifier_conflict"].do
	for _, text := range []string{do.En, do.Fr} {
		if !strings.Contains(text, "forget --user ID --keep-row`") {
			t.Error(text)
		}
	}
}
