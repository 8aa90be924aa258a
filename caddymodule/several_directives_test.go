package caddymodule

import (
	"net/http"
	"strings"
	"testing"
)

// In a route block directives run in the order in which they are written, so that a
// request may meet two that decide, or what strips beside the one before the other.
// What the first took out the second must not miss, or it asks for a login for ever;
// what the second gates the first must not open.
func TestTwoDirectivesOnOneWayBothDecide(t *testing.T) {
	s := startWith(t, func(s *rig) string {
		file := s.caddyfile("route {", "root /pronote/", "espace eleves none")
		from, to := strings.Index(file, "pronote_cas {"), strings.Index(file, "reverse_proxy")
		one := file[from:to]
		return file[:from] + strings.Replace(one, "{", "/pronote/* {", 1) + "\t" +
			strings.NewReplacer("pronote_cas {", "pronote_cas /pronote/parent.html {\nuser_header X-User\nespace parents require categories National_2",
				"espace eleves none", "").Replace(one) + "\t" +
			strings.NewReplacer("pronote_cas {", "pronote_cas /pronote/eleve.html {", "espace eleves none", "").Replace(one) + "\t" +
			strings.NewReplacer("pronote_cas {", "pronote_cas /lycee/* {", "espace eleves none", "", "/pronote/", "/lycee/").Replace(one) +
			file[to:] + "}\n"
	})
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
