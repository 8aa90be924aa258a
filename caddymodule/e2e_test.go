package caddymodule

import (
	"net/http"
	"strings"
	"testing"
)

func TestLoginBringsTheIdentifierUpstream(t *testing.T) {
	s := start(t)
	b := s.browser()
	page := b.login("/eleve.html?fd=1", pupil)
	if page.StatusCode != http.StatusOK || !strings.Contains(page.body, pupilID) {
		t.Fatalf("after the login: %s %s", page.Status, page.body)
	}
	if got := page.Header.Get("Cache-Control"); got != "no-store" {
		t.Errorf("Cache-Control %q: a page with credentials could be kept", got)
	}
	r, _ := s.upstream.last(t)
	if len(r.Cookies()) != 0 {
		t.Errorf("PRONOTE sees our cookies")
	}
	if n := s.cas.Counts().TotalValidations(); n != 1 {
		t.Errorf("%d validations", n)
	}
	if again := b.get("/professeur.html"); again.StatusCode != http.StatusOK {
		t.Errorf("second page: %s", again.Status)
	}
	for _, secret := range []string{"ST-1-"} {
		if strings.Contains(b.s.log.String(), "logged in") == false || strings.Contains(ours(b.s.log.String()), secret) {
			t.Errorf("our log lines hold a ticket, or there are none:\n%s", ours(b.s.log.String()))
		}
	}
}

// ours are the plugin's own log lines.
func ours(log string) string {
	var lines []string
	for line := range strings.Lines(log) {
		if strings.Contains(line, `pronote_cas`) {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "")
}
