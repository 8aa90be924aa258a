package caddymodule

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/pronote-cas/caddy-pronote-cas/casauth/directory"
)

// Two people for whom the ENT sends one PRONOTE identifier: the first keeps it, the
// second reads why they do not get in, and the school finds both in log and export.
func TestAConflictIsRefusedAndNamed(t *testing.T) {
	for _, unresolved := range []string{"deny", "pass", "ask"} {
		t.Run(unresolved, func(t *testing.T) {
			s := start(t, "unresolved "+unresolved)
			s.browser().login("/eleve.html", pupil)
			b := s.browser()
			got := b.get(b.ticket(b.setOut("/eleve.html"), impostor), "Accept-Language", "fr")
			if got.StatusCode != http.StatusForbidden || !strings.Contains(got.body, "déjà relié à un autre compte") {
				t.Errorf("%s\n%s", got.Status, got.body)
			}
			if again := b.status("/eleve.html"); again != http.StatusFound {
				t.Errorf("in after all: %d", again)
			}
			var export directory.Export
			s.told(&export, "export")
			if c := export.Conflicts; len(c) != 1 || c[0].User != impostor || c[0].HeldBy != pupil || c[0].PronoteID != pupilID {
				t.Errorf("the export says %+v", c)
			}
			eventually(t, "the log says so", func() bool {
				return strings.Contains(refusals(s.log.String()), "two people at the ENT have one PRONOTE identifier") &&
					strings.Contains(refusals(s.log.String()), "identifier_conflict")
			})
			// The school decides: the right one gets it, once it is taken from the wrong one.
			if forgotten := s.operate("forget", "--user", pupil, "--keep-row"); forgotten.code != 0 {
				t.Fatalf("forget: %+v", forgotten)
			}
			if page := s.browser().login("/eleve.html", impostor); !strings.Contains(page.body, pupilID) {
				t.Errorf("afterwards: %s", page.Status)
			}
		})
	}
}

// kill -9 amid a crowd of first connections: who was answered is bound and logged in,
// and nobody is bound twice, before or after they try again.
func TestAKillAmidFirstConnectionsLosesNobodyWhoWasAnswered(t *testing.T) {
	s := start(t)
	const crowd, enough = 120, 40
	browsers, tickets := make([]*browser, crowd), make([]string, crowd)
	for n := range crowd {
		browsers[n] = s.browser()
		_, service, _ := strings.Cut(browsers[n].setOut("/eleve.html"), "service=")
		service, _ = url.QueryUnescape(service)
		tickets[n] = public + "/eleve.html?ticket=" + s.cas.Ticket(fmt.Sprintf("eleve%03d", n), service)
	}
	answered := make(chan int, crowd)
	var crowded sync.WaitGroup
	for n := range crowd {
		crowded.Go(func() {
			r, err := http.NewRequest(http.MethodGet, tickets[n], nil)
			if err != nil {
				panic(err)
			}
			r.Header.Set("Accept", "text/html")
			res, err := browsers[n].Do(r)
			if err != nil {
				return // killed
			}
			_ = res.Body.Close() // empty
			if res.StatusCode == http.StatusFound && strings.Contains(res.Header.Get("Set-Cookie"), "__Host-pronote_cas=") {
				answered <- n
			}
		})
	}
	var lucky []int
	for range enough {
		lucky = append(lucky, <-answered)
	}
	s.kill()
	crowded.Wait()
	close(answered)
	for n := range answered {
		lucky = append(lucky, n)
	}
	s.run()
	for _, n := range lucky {
		if page := browsers[n].get("/eleve.html"); page.StatusCode != http.StatusOK || !strings.Contains(page.body, schoolID(n)) {
			t.Errorf("eleve%03d was answered: %s", n, page.Status)
		}
	}
	bound := func() int {
		holders := make(map[string]string)
		for _, row := range s.rows("") {
			if holders[row.PronoteID] != "" {
				t.Errorf("%s is bound twice", row.PronoteID)
			}
			holders[row.PronoteID] = row.User
		}
		for _, n := range lucky {
			if user := holders[schoolID(n)]; user != fmt.Sprintf("eleve%03d", n) {
				t.Errorf("eleve%03d was answered, and their identifier is held by %q", n, user)
			}
		}
		return len(holders)
	}
	first := bound()
	for n := range crowd { // at once: locks that the crash left behind are waited for
		crowded.Go(func() {
			if got := s.browser().login("/eleve.html", fmt.Sprintf("eleve%03d", n)); !strings.Contains(got.body, schoolID(n)) {
				t.Errorf("eleve%03d again: %s", n, got.Status)
			}
		})
	}
	crowded.Wait()
	if all := bound(); all != crowd {
		t.Errorf("%d rows, want %d", all, crowd)
	}
	t.Logf("killed after %d answers; %d rows then, %d in the end", len(lucky), first, crowd)
}
