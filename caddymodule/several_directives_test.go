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

// Where two directives differ by the name of their cookie alone, neither site's cookie
// goes to the other's PRONOTE.
func TestTwoDirectivesOnOneSiteStripEachOthersCookies(t *testing.T) {
	s := startWith(t, func(s *rig) string {
		file := s.caddyfile("", "root /college/")
		from, to := strings.Index(file, "pronote_cas {"), strings.Index(file, "reverse_proxy")
		one := file[from:to]
		return file[:from] + strings.Replace(one, "{", "/college/* {", 1) + "\t" +
			strings.NewReplacer("pronote_cas {", "pronote_cas /lycee/* {\nsession {\ncookie_name lycee\n}\n", "/college/", "/lycee/").Replace(one) + file[to:]
	})
	for _, target := range []string{"/college/a.js", "/lycee/a.js"} {
		s.browser().get(target, "Cookie", "__Host-pronote_cas=x; other=y; __Host-lycee=x")
		if r, _ := s.upstream.last(t); r.URL.Path != target || strings.TrimSpace(r.Header.Get("Cookie")) != "other=y" {
			t.Errorf("%s: PRONOTE was asked %s with the cookies %q", target, r.URL.Path, r.Header.Get("Cookie"))
		}
	}
}

// A rewrite may change the query alone, and PRONOTE's own login form is opened by it.
func TestARewriteOfTheQueryOpensNothing(t *testing.T) {
	s := startWith(t, func(s *rig) string {
		return s.caddyfile("@asked query login=true drop=1\nrewrite @asked {path}?drop=1\n@other query add=1\nrewrite @other {path}?login=true", "direct_login allow")
	})
	for target, want := range map[string]int{"/eleve.html?login=true": 200, "/eleve.html?login=true&drop=1": 302, "/eleve.html?add=1": 302} {
		if got := s.browser().get(target); got.StatusCode != want {
			t.Errorf("%s: %s, want %d", target, got.Status, want)
		}
	}
}

// A ticket in an address must not travel on as a Referer, and what a program is
// answered must not be taken for a page.
func TestAnswersThatAreNoPagesAreDressedToo(t *testing.T) {
	s := start(t)
	b := s.browser()
	with := b.ticket(b.setOut("/eleve.html"), pupil)
	if got := b.get(with); got.StatusCode != http.StatusFound || got.Header.Get("Referrer-Policy") != "no-referrer" {
		t.Errorf("the redirect after a login: %s, Referrer-Policy %q", got.Status, got.Header.Get("Referrer-Policy"))
	}
	got := s.browser().send(http.MethodPost, "/eleve.html", logoutForm("ST-none"), formType...)
	if got.StatusCode != http.StatusOK || got.Header.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("a logout message: %s, X-Content-Type-Options %q", got.Status, got.Header.Get("X-Content-Type-Options"))
	}
}
