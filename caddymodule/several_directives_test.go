package caddymodule

import (
	"net/http"
	"strings"
	"testing"
)

// directive is one pronote_cas of several on a site.
type directive struct{ matcher, lines string }

// several is a site with one pronote_cas after the other, in whatever block before opens.
func several(before string, directives ...directive) func(*rig) string {
	return func(s *rig) string {
		file := s.caddyfile(before)
		from, to := strings.Index(file, "pronote_cas {"), strings.Index(file, "reverse_proxy")
		var all strings.Builder
		for _, d := range directives {
			all.WriteString(strings.Replace(file[from:to], "{", d.matcher+" {\n"+d.lines, 1))
		}
		return file[:from] + all.String() + file[to:] + strings.Repeat("}\n", strings.Count(before, "{"))
	}
}

// A collège and a lycée on one host, each with a directive of its own: what
// removes forged headers outside the one must leave the other's identity alone.
func TestTwoDirectivesOnOneSiteLeaveEachOtherAlone(t *testing.T) {
	s := startWith(t, several("", directive{"/college/*", "root /college/"}, directive{"/lycee/*", "root /lycee/"}))
	b := s.browser()
	for _, target := range []string{"/college/eleve.html", "/lycee/eleve.html", "/other"} {
		want := map[bool]string{true: "", false: pupilID}[target == "/other"]
		if target == "/college/eleve.html" {
			b.login(target, pupil)
		}
		got := b.get(target, "X-Pronote-Id", parentID)
		r, _ := s.upstream.last(t)
		if got.StatusCode != http.StatusOK || r.URL.Path != target || r.Header.Get("X-Pronote-Id") != want {
			t.Errorf("%s: %s, PRONOTE is told %q, want %q", target, got.Status, r.Header.Get("X-Pronote-Id"), want)
		}
	}
	for _, target := range []string{"/college/eleve.html", "/lycee/eleve.html"} {
		before := s.upstream.count()
		if got := s.browser().get(target); got.StatusCode != http.StatusFound || s.upstream.count() != before {
			t.Errorf("%s without a session: %s", target, got.Status)
		}
	}
}

// Two directives on one host may name their headers and cookies differently: each
// name is forged on the other's paths too, and beside both.
func TestTwoDirectivesOnOneSiteStripEachOthersNames(t *testing.T) {
	s := startWith(t, several("",
		directive{"/college/*", "root /college/\nuser_header X-User"},
		directive{"/lycee/*", "root /lycee/\nuser_header X-User\nidentifier_header X-Lycee\nsession {\ncookie_name lycee\n}"}))
	b := s.browser()
	b.login("/college/eleve.html", pupil)
	for target, want := range map[string]map[string]string{
		"/college/eleve.html": {"X-Pronote-Id": pupilID, "X-User": pupil, "X-Lycee": ""},
		"/lycee/a.js":         {"X-Pronote-Id": "", "X-User": "", "X-Lycee": ""},
		"/other":              {"X-Pronote-Id": "", "X-User": "", "X-Lycee": ""},
	} {
		got := b.get(target, "X-Pronote-Id", parentID, "X_Lycee", parentID, "X-Lycee", parentID, "X-User", "x", "Cookie", "__Host-lycee=x")
		r, _ := s.upstream.last(t)
		if got.StatusCode != http.StatusOK || r.URL.Path != target || r.Header.Get("X_Lycee") != "" {
			t.Errorf("%s: %s, PRONOTE was asked %s with %v", target, got.Status, r.URL.Path, r.Header)
		}
		for name, value := range want {
			if r.Header.Get(name) != value {
				t.Errorf("%s: PRONOTE is told %s %q, want %q", target, name, r.Header.Get(name), value)
			}
		}
		if strings.Contains(r.Header.Get("Cookie"), "lycee") {
			t.Errorf("%s: PRONOTE is sent a cookie of ours", target)
		}
	}
}

// Where two directives differ by the name of their cookie alone, neither site's cookie
// goes to the other's PRONOTE.
func TestTwoDirectivesOnOneSiteStripEachOthersCookies(t *testing.T) {
	s := startWith(t, several("",
		directive{"/college/*", "root /college/"},
		directive{"/lycee/*", "root /lycee/\nsession {\ncookie_name lycee\n}"}))
	for _, target := range []string{"/college/a.js", "/lycee/a.js"} {
		s.browser().get(target, "Cookie", "__Host-pronote_cas=x; other=y; __Host-lycee=x")
		if r, _ := s.upstream.last(t); r.URL.Path != target || strings.TrimSpace(r.Header.Get("Cookie")) != "other=y" {
			t.Errorf("%s: PRONOTE was asked %s with the cookies %q", target, r.URL.Path, r.Header.Get("Cookie"))
		}
	}
}

// In a route block directives run in the order in which they are written, so that a
// request may meet two that decide, or what strips beside the one before the other.
// What the first took out the second must not miss, or it asks for a login for ever;
// what the second gates the first must not open.
func TestTwoDirectivesOnOneWayBothDecide(t *testing.T) {
	s := startWith(t, several("route {",
		directive{"/pronote/*", "root /pronote/\nespace eleves none"},
		directive{"/pronote/parent.html", "root /pronote/\nuser_header X-User\nespace parents require categories National_2"},
		directive{"/pronote/eleve.html", "root /pronote/"},
		directive{"/lycee/*", "root /lycee/"}))
	for _, target := range []string{"/pronote/eleve.html", "/pronote/professeur.html", "/lycee/eleve.html"} {
		before := s.upstream.count()
		if got := s.browser().get(target); got.StatusCode != http.StatusFound || s.upstream.count() != before {
			t.Errorf("%s without a session: %s", target, got.Status)
		}
		b := s.browser()
		b.login(target, pupil)
		got := b.get(target, "X-Pronote-Id", parentID)
		r, _ := s.upstream.last(t)
		if got.StatusCode != http.StatusOK || r.URL.Path != target || r.Header.Get("X-Pronote-Id") != pupilID {
			t.Errorf("%s: %s, PRONOTE was asked %s and told %q", target, got.Status, r.URL.Path, r.Header.Get("X-Pronote-Id"))
		}
		if cookies := r.Header.Get("Cookie"); strings.Contains(cookies, "pronote_cas") {
			t.Errorf("%s: PRONOTE is sent a cookie of ours", target)
		}
	}
	b := s.browser()
	b.login("/pronote/professeur.html", pupil)
	before := s.upstream.count()
	if got := b.get("/pronote/parent.html"); got.StatusCode == http.StatusOK || s.upstream.count() != before {
		t.Errorf("what the second directive keeps from pupils: %s", got.Status)
	}
}
