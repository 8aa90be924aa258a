package caddymodule

import (
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/pronote-cas/caddy-pronote-cas/casauth/castest"
)

const (
	pupil, pupilID   = "camille.durand", "KT2AQ3UW4S98DPYX"
	parent, parentID = "nadia.durand", "M7RC5XGB2HJ9VTEN"

	bracesID = "BRACESBRACES0001"
	linesID  = "LINESLINESLINES1"
)

// people are those of the demo, two whose very names are an attack, and a school.
func people() []castest.User {
	all := append(castest.DemoUsers(),
		castest.User{Login: "{env.HOME}", Password: "demo", Attributes: map[string][]string{
			"idPronote": {bracesID}, "nom": {"{http.request.header.Cookie}"}, "classe": {"3e A", "LV2;ESP"},
		}},
		castest.User{Login: "lines", Password: "demo", Attributes: map[string][]string{
			"idPronote": {linesID}, "nom": {"Durand\r\nX-Pronote-Id: " + parentID}, "classe": {"3e\u0085A"},
		}},
	)
	all = append(all, castest.User{Login: nameless, Password: "demo"},
		castest.User{Login: impostor, Attributes: map[string][]string{"idPronote": {pupilID}}})
	for n := range 300 {
		all = append(all, castest.User{Login: fmt.Sprintf("eleve%03d", n), Attributes: map[string][]string{"idPronote": {schoolID(n)}}})
	}
	return all
}

// schoolID is the PRONOTE identifier of the nth pupil of the school.
func schoolID(n int) string { return fmt.Sprintf("ECOLE%011d", n) }

func mustURL(t testing.TB, raw string) *url.URL {
	t.Helper()
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// serviceParam is how a login address for target ends.
func serviceParam(target string) string { return "service=" + url.QueryEscape(public+target) }

// refusals are the lines of the log that are no good news.
func refusals(log string) string {
	var lines []string
	for line := range strings.Lines(ours(log)) {
		if strings.Contains(line, `"level":"warn"`) || strings.Contains(line, `"level":"error"`) {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "")
}

var formType = []string{"Content-Type", "application/x-www-form-urlencoded"}

// logoutForm is the back-channel message that ends what was made from tickets.
func logoutForm(tickets ...string) string {
	return "logoutRequest=" + url.QueryEscape(castest.LogoutRequest(tickets...))
}
