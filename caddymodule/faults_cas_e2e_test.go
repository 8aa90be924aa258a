package caddymodule

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pronote-cas/caddy-pronote-cas/casauth/castest"
)

// A CAS server that lies, by accident or because somebody else answers in its place,
// lets nobody in, and costs no more memory than an honest one.
func TestALyingCASServerLetsNobodyIn(t *testing.T) {
	s := start(t)
	in := s.browser()
	in.login("/eleve.html", pupil)
	garbage := make([]byte, 64<<10)
	for i := range garbage {
		garbage[i] = byte(rand.Uint32())
	}
	success := `<cas:serviceResponse xmlns:cas="http://www.yale.edu/tp/cas"><cas:authenticationSuccess><cas:user>` + parent + `</cas:user></cas:authenticationSuccess></cas:serviceResponse>`
	before := s.peak()
	for name, lie := range map[string]struct {
		fault castest.Fault
		saml  castest.SAMLShape
		skew  time.Duration
		page  string // of what the third round ends in, where there is one
	}{
		"garbage":                    {fault: castest.Fault{Body: garbage}},
		"half an answer":             {fault: castest.Fault{Body: []byte(success[:len(success)/2])}},
		"32 MB before the answer":    {fault: castest.Fault{Body: []byte(strings.Repeat(" ", 32<<20) + success)}},
		"32 MB of elements":          {fault: castest.Fault{Body: []byte(strings.Repeat("<a>", 11<<20))}},
		"another protocol's success": {fault: castest.Fault{Body: []byte(success)}},
		"a success with status 500":  {fault: castest.Fault{Body: []byte(success), Status: 500}},
		"another site's audience":    {saml: castest.SAMLShape{Audience: "https://autre.example.fr/"}, page: public + "/eleve.html"},
		"another site's recipient":   {saml: castest.SAMLShape{Recipient: "https://autre.example.fr/eleve.html"}, page: public + "/eleve.html"},
		"an answer to another":       {saml: castest.SAMLShape{InResponseTo: "_another"}},
		"a clock an hour ahead":      {skew: time.Hour, page: "horloge"},
		"a clock an hour behind":     {skew: -time.Hour, page: "horloge"},
	} {
		b := s.browser()
		login := b.setOut("/eleve.html")
		s.cas.SetFault(lie.fault)
		s.cas.SetShape(castest.Shape{SAML: lie.saml, Skew: lie.skew})
		var got answer
		for range 3 { // what another ticket may help against is tried again
			got = b.send(http.MethodGet, b.ticket(login, parent), "", "Accept-Language", "fr")
			if opens(got) || got.StatusCode == http.StatusFound && !strings.HasPrefix(got.location(), s.cas.URL) {
				t.Errorf("%s: %s to %q", name, got.Status, got.location())
			}
			if login = got.location(); got.StatusCode != http.StatusFound {
				break
			}
		}
		if got.StatusCode != http.StatusServiceUnavailable && got.StatusCode != http.StatusForbidden || !strings.Contains(got.body, lie.page) {
			t.Errorf("%s ends in %s\n%s", name, got.Status, got.body)
		}
		s.cas.SetFault(castest.Fault{})
		s.cas.SetShape(castest.Shape{})
		if page := b.get("/eleve.html"); page.StatusCode != http.StatusFound {
			t.Errorf("%s: afterwards %s", name, page.Status)
		}
		if page := in.get("/eleve.html"); page.StatusCode != http.StatusOK || !strings.Contains(page.body, pupilID) {
			t.Errorf("%s: who is in gets %s", name, page.Status)
		}
	}
	more := s.peak() - before
	t.Logf("a lying CAS server: 0 sessions, %d MB more memory at most", more>>20)
	if more > 64<<20 {
		t.Error("its answers are held")
	}
}

// A little difference of clocks is everyday.
func TestAClockThatIsALittleOffLetsPeopleIn(t *testing.T) {
	s := start(t)
	for _, skew := range []time.Duration{50 * time.Second, -50 * time.Second} {
		s.cas.SetShape(castest.Shape{Skew: skew})
		if page := s.browser().login("/eleve.html", pupil); !strings.Contains(page.body, pupilID) {
			t.Errorf("%s: %s", skew, page.Status)
		}
	}
}

// The CAS server is down for a moment while people log in: they get a page that says
// so, no ticket is sent twice, and the first one who tries when it is back is in.
func TestCASDownAndBack(t *testing.T) {
	s := start(t)
	in := s.browser()
	in.login("/eleve.html", pupil)
	var people []*browser
	var tickets []string
	for n := range 20 {
		b := s.browser()
		people = append(people, b)
		tickets = append(tickets, b.ticket(b.setOut("/eleve.html"), fmt.Sprintf("eleve%03d", n)))
	}
	s.cas.SetFault(castest.Fault{Down: true})
	var known, down, back meter
	stop := during(1, func(int, int) { in.visit(&known, "/eleve.html", pupilID); time.Sleep(5 * time.Millisecond) })
	var all sync.WaitGroup
	for n, b := range people {
		all.Go(func() { b.visit(&down, strings.TrimPrefix(tickets[n], public), "") })
	}
	all.Wait()
	down.only(t, "logins", "503")
	s.cas.SetFault(castest.Fault{})
	for n, b := range people {
		begun := time.Now()
		login := b.setOut("/eleve.html") // as the page's button does
		if got := b.get(b.ticket(login, fmt.Sprintf("eleve%03d", n))); got.location() != public+"/eleve.html" {
			t.Errorf("eleve%03d, afterwards: %s to %q", n, got.Status, got.location())
		}
		b.visit(&back, "/eleve.html", schoolID(n))
		back.note("whole logins", time.Since(begun))
	}
	stop()
	back.only(t, "afterwards", "200", "whole logins")
	known.only(t, "who is in", "200")
	for _, with := range tickets {
		_, ticket, _ := strings.Cut(with, "ticket=")
		if n := s.cas.ValidationsOf(ticket); n > 1 {
			t.Errorf("a ticket was sent %d times", n)
		}
	}
	t.Logf("CAS server down: logins %s; the first try after it is in: %s; who is in: %s", &down, &back, &known)
}

// A CAS server that accepts and never answers is asked over no more connections than
// a busy one, holds nobody longer than cas_timeout, and who is in does not notice.
func TestAHangingCASServerHoldsNobodyElse(t *testing.T) {
	waiting := 400
	if underRace {
		waiting = 150
	}
	var connections *crossing
	s := startAlone(t, func(s *rig) string {
		s.cas, connections = casFor(t, 0)
		return s.caddyfile("", "cas_timeout 1s")
	})
	in := s.browser()
	in.login("/eleve.html", pupil)
	var alone, beside, held meter
	for range 100 {
		in.visit(&alone, "/eleve.html", pupilID)
	}
	people, arrivals := make([]*browser, waiting), make([]string, waiting)
	for n := range people {
		people[n] = s.browser()
		arrivals[n] = people[n].arrive("/eleve.html", pupil)
	}
	s.cas.SetFault(castest.Fault{HangAfterHeaders: true})
	stop := during(1, func(int, int) { in.visit(&beside, "/eleve.html", pupilID); time.Sleep(time.Millisecond) })
	var all sync.WaitGroup
	for n, b := range people {
		all.Go(func() { b.visit(&held, arrivals[n], "") })
	}
	all.Wait()
	stop()
	held.only(t, "logins", "503")
	beside.only(t, "who is in", "200")
	peak, _ := connections.most()
	if peak > 256+64 { // a server notices a little later that one was given up
		t.Errorf("%d connections to the CAS server at a time", peak)
	}
	s.cas.SetFault(castest.Fault{})
	took := soon(t, 10*time.Second, "logins go on", func() bool {
		b := s.browser()
		return b.try(http.MethodGet, b.arrive("/eleve.html", parent), "").StatusCode == http.StatusFound
	})
	t.Logf("hanging CAS server: %d logins %s, over %d connections at most; who is in: before %s, meanwhile %s; logins go on %s after it does",
		waiting, &held, peak, &alone, &beside, took)
}

// arrive sets out for target, takes the ticket of a login at the ENT in between, and
// returns what of the address it leads back to lies below public.
func (b *browser) arrive(target, user string) string {
	asked := b.try(http.MethodGet, target, "")
	_, service, _ := strings.Cut(asked.location(), "service=")
	service, _ = url.QueryUnescape(service) // ours
	if service == "" {
		b.s.t.Errorf("%s does not lead to the ENT: %d %s", target, asked.StatusCode, asked.body)
		return target
	}
	return strings.TrimPrefix(service, public) + "?ticket=" + b.s.cas.Ticket(user, service)
}
