package caddymodule

import (
	"context"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pronote-cas/caddy-pronote-cas/casauth/castest"
)

// scrape reads our series from Caddy's admin endpoint, by what Prometheus calls them.
func (s *rig) scrape() map[string]float64 {
	s.t.Helper()
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", s.dir+"/admin")
	}}
	defer transport.CloseIdleConnections()
	res, err := (&http.Client{Transport: transport, Timeout: 20 * time.Second}).Get("http://localhost/metrics")
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		s.t.Fatalf("%s, %v\n%s", res.Status, err, text)
	}
	series := make(map[string]float64)
	for line := range strings.Lines(string(text)) {
		name, value, ok := strings.Cut(strings.TrimSpace(line), " ")
		if number, err := strconv.ParseFloat(value, 64); ok && err == nil && strings.HasPrefix(name, "pronote_cas_") {
			series[name] = number
		}
	}
	return series
}

// counted complains where a series is not as wanted; others may be whatever they are.
func (s *rig) counted(want map[string]float64) {
	s.t.Helper()
	got := s.scrape()
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if value, ok := got[name]; !ok || value != want[name] {
			s.t.Errorf("%s is %v (there: %t), want %v", name, value, ok, want[name])
		}
	}
}

// One person's morning, as the figures have it; a reload in the middle loses none of
// them, and a site that has another name leaves nothing under the old one.
func TestMetricsOfALogin(t *testing.T) {
	site := public
	s := startWith(t, func(s *rig) string {
		return strings.Replace(s.caddyfile("", "unresolved deny"), "public_url "+public, "public_url "+site, 1)
	})
	b := s.browser()
	b.login("/eleve.html", pupil)
	b.get("/eleve.html")
	b.get("/eleve.js")
	anonymous := s.browser()
	anonymous.get("/eleve.js")
	anonymous.get("/appelfonction/3/1/1", script...)
	unknown := s.browser()
	if got := unknown.get(unknown.ticket(unknown.setOut("/eleve.html"), "hugo.lefevre")); got.StatusCode != http.StatusForbidden {
		t.Fatalf("somebody without an identifier: %s", got.Status)
	}
	morning := map[string]float64{
		`pronote_cas_decisions_total{kind="pass_session",reason="",site="pronote.example.fr"}`:             3,
		`pronote_cas_decisions_total{kind="pass_open",reason="",site="pronote.example.fr"}`:                1,
		`pronote_cas_decisions_total{kind="redirect",reason="",site="pronote.example.fr"}`:                 3,
		`pronote_cas_decisions_total{kind="refuse",reason="session_required",site="pronote.example.fr"}`:   1,
		`pronote_cas_decisions_total{kind="refuse",reason="unknown_identifier",site="pronote.example.fr"}`: 1,
		`pronote_cas_logins_total{result="started",site="pronote.example.fr"}`:                             2,
		`pronote_cas_logins_total{result="ok",site="pronote.example.fr"}`:                                  1,
		`pronote_cas_logins_total{result="unknown_identifier",site="pronote.example.fr"}`:                  1,
		`pronote_cas_logins_total{result="cas_unavailable",site="pronote.example.fr"}`:                     0,
		`pronote_cas_logins_total{result="identifier_conflict",site="pronote.example.fr"}`:                 0,
		`pronote_cas_logins_total{result="identity_ambiguous",site="pronote.example.fr"}`:                  0,
		`pronote_cas_validation_duration_seconds_count{site="pronote.example.fr"}`:                         2,
		`pronote_cas_sessions{site="pronote.example.fr"}`:                                                  1,
		`pronote_cas_storage_errors_total{site="pronote.example.fr"}`:                                      0,
		`pronote_cas_storage_stale_seconds{site="pronote.example.fr"}`:                                     0,
		`pronote_cas_relay_tickets_total{result="issued",site="pronote.example.fr"}`:                       0,
	}
	s.counted(morning)
	s.reload()
	s.counted(morning)

	s.cas.SetFault(castest.Fault{Status: 502})
	late := s.browser()
	late.setOut("/eleve.html")
	late.get("/eleve.html?ticket=ST-1-made-up")
	s.counted(map[string]float64{`pronote_cas_logins_total{result="cas_unavailable",site="pronote.example.fr"}`: 1})

	b.get("/pronote-cas/logout")
	s.counted(map[string]float64{`pronote_cas_sessions{site="pronote.example.fr"}`: 0})

	site = "https://autre.example.fr"
	s.reload()
	for name := range s.scrape() {
		if strings.Contains(name, "pronote.example.fr") {
			t.Errorf("the site is gone, and still there is %s", name)
		}
	}
	s.counted(map[string]float64{`pronote_cas_sessions{site="autre.example.fr"}`: 0})
}

// Two directives on one site, each with its twin outside the matcher, count as one.
func TestMetricsOfSeveralDirectives(t *testing.T) {
	s := startWith(t, func(s *rig) string {
		staff := "@staff path /direction.html*\n\tpronote_cas @staff {\n\t\tcas_url " + s.cas.URL + "\n\t\tpublic_url " + public + "\n\t}\n\t@rest not path /direction.html*"
		return strings.Replace(s.caddyfile(staff), "pronote_cas {", "pronote_cas @rest {", 1)
	})
	b := s.browser()
	b.login("/direction.html", pupil)
	b.get("/eleve.html")
	s.counted(map[string]float64{
		`pronote_cas_decisions_total{kind="pass_session",reason="",site="pronote.example.fr"}`: 2,
		`pronote_cas_logins_total{result="ok",site="pronote.example.fr"}`:                      1,
		`pronote_cas_sessions{site="pronote.example.fr"}`:                                      1,
	})
}

// A storage that answers no more, and then does again.
func TestMetricsOfAStorageThatIsGone(t *testing.T) {
	s := start(t)
	b := s.browser()
	b.login("/eleve.html", pupil)
	away := s.storage + ".away"
	if err := errors.Join(os.Rename(s.storage, away), os.WriteFile(s.storage, nil, 0o600)); err != nil { // a file is no folder
		t.Fatal(err)
	}
	const stale, failed = `pronote_cas_storage_stale_seconds{site="pronote.example.fr"}`, `pronote_cas_storage_errors_total{site="pronote.example.fr"}`
	eventually(t, "the storage is said to be gone", func() bool {
		b.get("/eleve.html")
		now := s.scrape()
		return now[stale] > 0 && now[failed] > 0
	})
	if err := errors.Join(os.Remove(s.storage), os.Rename(away, s.storage)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is back, and nobody asked", func() bool { return s.scrape()[stale] == 0 })
	if s.scrape()[failed] == 0 {
		t.Error("its failures are forgotten")
	}
}

// The relay's tickets, from the one that a browser gets in the midst of its login to
// the one that is no ticket at all.
func TestMetricsOfTheRelay(t *testing.T) {
	sc := startSchool(t)
	v := sc.visitor()
	v.enter("/pronote/eleve.html", pupil) // the gate's own login
	v.enter(old+"/eleve.html", pupil)
	sc.ask(sc.caller("127.0.0.1", 0), "serviceValidate", sc.recent.URL+"eleve.html", "ST-nothing")
	sc.counted(map[string]float64{
		`pronote_cas_relay_tickets_total{result="issued",site="pronote.example.fr"}`:    1,
		`pronote_cas_relay_tickets_total{result="validated",site="pronote.example.fr"}`: 1,
		`pronote_cas_relay_tickets_total{result="refused",site="pronote.example.fr"}`:   1,
		`pronote_cas_relay_tickets_total{result="issued",site="ancien.example.fr"}`:     1,
		`pronote_cas_relay_tickets_total{result="validated",site="ancien.example.fr"}`:  1,
		`pronote_cas_sessions{site="pronote.example.fr"}`:                               1,
		`pronote_cas_sessions{site="ancien.example.fr"}`:                                1,
	})
}
