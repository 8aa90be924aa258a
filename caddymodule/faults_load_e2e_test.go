package caddymodule

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pronote-cas/caddy-pronote-cas/casauth/castest"
)

// load makes the running process load its Caddyfile again, over the admin endpoint.
func (s *rig) load() error {
	config, err := os.ReadFile(s.writeConfig())
	if err != nil {
		return err
	}
	admin := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", s.dir+"/admin")
	}}}
	defer admin.CloseIdleConnections()
	r, err := http.NewRequest(http.MethodPost, "http://admin/load", bytes.NewReader(config))
	if err != nil {
		return err
	}
	r.Host = ""
	r.Header.Set("Content-Type", "text/caddyfile")
	r.Header.Set("Cache-Control", "must-revalidate") // also where it is the same
	res, err := admin.Do(r)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("reload: %s", res.Status)
	}
	return nil
}

// insisting sends a request again where its connection was closed without an answer,
// as browsers do: net/http drops a request that it reads while the server of the
// configuration before shuts down, before any handler sees it.
type insisting struct {
	http.RoundTripper
	again *atomic.Int64
}

func (i insisting) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := i.RoundTripper.RoundTrip(r)
	for tries := 0; err != nil && tries < 3; tries++ {
		i.again.Add(1)
		time.Sleep(10 * time.Millisecond) // by then the server of the new one is alone
		next := r.Clone(r.Context())
		if r.GetBody != nil {
			next.Body, _ = r.GetBody() // a string's, which has no error
		}
		res, err = i.RoundTripper.RoundTrip(next)
	}
	return res, err
}

// A school whose configuration is reloaded every second while everybody works: no
// request is lost, nobody is logged out, no long poll is cut, and people log in.
func TestReloadEverySecondUnderLoad(t *testing.T) {
	s := startAlone(t, func(s *rig) string { return s.caddyfile("") })
	const clicking, waiting, reloads = 16, 8, 5
	var polling, again atomic.Int64
	visitor := func() *browser {
		b := s.browser()
		b.Transport = insisting{b.Transport, &again}
		return b
	}
	people := make([]*browser, clicking+waiting)
	for n := range people {
		people[n] = visitor()
		people[n].login("/eleve.html", fmt.Sprintf("eleve%03d", n))
	}
	release := make(chan struct{})
	s.upstream.answer(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == poll {
			polling.Add(1)
			select {
			case <-release:
			case <-r.Context().Done():
			}
		}
		w.Header().Set("Content-Type", "text/html")
		_, _ = fmt.Fprintf(w, "PRONOTE for %q", r.Header.Get("X-Pronote-Id"))
	})
	// ask notes the status of the answer to somebody, or that it is not theirs.
	ask := func(m *meter, n int, method, target string, headers ...string) {
		begun := time.Now()
		got := people[n].try(method, target, "", headers...)
		outcome := fmt.Sprint(got.StatusCode)
		if got.StatusCode == http.StatusOK && !strings.Contains(got.body, schoolID(n)) {
			outcome = "somebody else's page"
		}
		m.note(outcome, time.Since(begun))
	}
	var clicks, calls, polls, logins meter
	var waiters sync.WaitGroup
	for n := clicking; n < len(people); n++ {
		waiters.Go(func() { ask(&polls, n, http.MethodPost, poll, script...) })
	}
	soon(t, 10*time.Second, "the polls wait", func() bool { return polling.Load() == waiting })

	stop := during(clicking, func(worker, round int) {
		if round%2 == 0 {
			ask(&clicks, worker, http.MethodGet, "/eleve.html")
		} else {
			ask(&calls, worker, http.MethodPost, "/appelfonction/3/1/1", script...)
		}
		time.Sleep(10 * time.Millisecond)
	})
	stopLogins := during(1, func(_, round int) {
		b, n, begun := visitor(), 100+round%200, time.Now()
		b.try(http.MethodGet, b.arrive("/eleve.html", fmt.Sprintf("eleve%03d", n)), "")
		got := b.try(http.MethodGet, "/eleve.html", "")
		logins.note(fmt.Sprint(got.StatusCode, strings.Contains(got.body, schoolID(n))), time.Since(begun))
		time.Sleep(20 * time.Millisecond)
	})
	var slowest time.Duration
	for range reloads {
		begun := time.Now()
		if err := s.load(); err != nil {
			t.Errorf("%v\n%s", err, refusals(s.log.String()))
		}
		slowest = max(slowest, time.Since(begun))
		time.Sleep(max(0, time.Second-time.Since(begun)))
	}
	stop()
	stopLogins()
	if n := polling.Load(); n != waiting {
		t.Errorf("%d polls reached PRONOTE, of %d people", n, waiting)
	}
	close(release)
	waiters.Wait()
	clicks.only(t, "pages", "200")
	calls.only(t, "calls", "200")
	logins.only(t, "logins", "200 true")
	polls.only(t, "long polls", "200")
	t.Logf("%d reloads, the slowest %s: pages %s; calls %s; logins %s; long polls over all of them %s; %d requests sent twice",
		reloads, slowest.Round(time.Millisecond), &clicks, &calls, &logins, &polls, again.Load())
}

// crowdSize is how many people come at 8 o'clock: PEOPLE, or what takes some seconds.
func crowdSize(t *testing.T) int {
	if n, err := strconv.Atoi(os.Getenv("PEOPLE")); err == nil {
		return n
	}
	switch {
	case testing.Short():
		return 200
	case underRace:
		return 400
	}
	return 3000
}

// 8 o'clock in a town: everybody logs in at the same moment, and the CAS server takes
// 300 ms for each. All get in, over a bounded number of connections to it, in bounded
// memory.
func TestATownLogsInAtEightOClock(t *testing.T) {
	n := crowdSize(t)
	var connections *crossing
	s := startAlone(t, func(s *rig) string {
		s.cas, connections = casFor(t, n)
		if memory, err := os.MkdirTemp("/dev/shm", "pc"); err == nil { // a busy disk is another fault than this one
			t.Cleanup(func() { _ = os.RemoveAll(memory) })
			s.storage = memory
		}
		return strings.Replace(s.caddyfile(""), "level DEBUG", "level WARN", 1) // as schools have it
	})
	s.cas.SetFault(castest.Fault{Delay: 300 * time.Millisecond})
	before := s.peak()
	var out, ticket, page meter
	var all sync.WaitGroup
	transport := s.transport() // of all, so that a test has no more sockets than people
	transport.MaxIdleConnsPerHost = n
	begun := time.Now()
	for i := range n {
		jar, err := cookiejar.New(nil)
		if err != nil {
			t.Fatal(err)
		}
		b := &browser{s: s, Client: &http.Client{Transport: transport, Jar: jar, Timeout: 2 * time.Minute,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
		all.Go(func() {
			at := time.Now()
			asked := b.try(http.MethodGet, "/eleve.html", "")
			out.note(fmt.Sprint(asked.StatusCode), time.Since(at))
			_, service, _ := strings.Cut(asked.location(), "service=")
			if service, err = url.QueryUnescape(service); service == "" {
				return
			}
			with := s.cas.Ticket(fmt.Sprintf("ville%05d", i), service)
			at = time.Now()
			got := b.try(http.MethodGet, strings.TrimPrefix(service, public)+"?ticket="+with, "")
			ticket.note(fmt.Sprint(got.StatusCode), time.Since(at))
			b.visit(&page, "/eleve.html", townID(i))
		})
	}
	all.Wait()
	took := time.Since(begun)
	out.only(t, "setting out", "302")
	ticket.only(t, "tickets", "302")
	page.only(t, "pages", "200")
	if page.count("200") != n {
		t.Errorf("%d of %d are in", page.count("200"), n)
		t.Log(refusals(s.log.String())[:min(2000, len(refusals(s.log.String())))])
	}
	peak, opened := connections.most()
	if peak > 256+64 { // a server notices a little later that one was given up
		t.Errorf("%d connections to the CAS server at a time", peak)
	}
	more := s.peak() - before
	if each := more / int64(n); !underRace && each > 128<<10 {
		t.Errorf("%d kB more memory for each person who waits", each>>10)
	}
	t.Logf("%d people in %s: set out %s; tickets %s; pages %s; %d connections to the CAS server at most (%d opened), %d validations; memory from %d MB to %d MB at most",
		n, took.Round(time.Millisecond), &out, &ticket, &page, peak, opened, s.cas.Counts().TotalValidations(), before>>20, s.peak()>>20)
}

// Whoever makes up tickets, cookies and logout messages by the thousand costs the CAS
// server nothing, the storage little, and people who work nothing that they notice,
// also where the storage is across a network.
func TestAFloodCostsTheCASServerNothing(t *testing.T) {
	s := startAlone(t, func(s *rig) string { return s.onFaultyStorage(s.caddyfile("")) })
	const honest, hostile = 4, 32
	people := make([]*browser, honest)
	for n := range people {
		people[n] = s.browser()
		people[n].login("/eleve.html", fmt.Sprintf("eleve%03d", n))
	}
	click := func(m *meter) (stop func()) {
		return during(honest, func(worker, _ int) {
			people[worker].visit(m, "/eleve.html", schoolID(worker))
			time.Sleep(5 * time.Millisecond)
		})
	}
	s.fault(storageFault{Key: "pronote_cas", Delay: 10 * time.Millisecond})
	var before, flood, meanwhile, logins meter
	stop := click(&before)
	time.Sleep(1500 * time.Millisecond)
	stop()

	asked, validations, memory, reached := s.asked(), s.cas.Counts().TotalValidations(), s.peak(), s.upstream.count()
	attackers := make([]*browser, hostile)
	for n := range attackers {
		attackers[n] = s.browser()
		attackers[n].Jar = nil
	}
	stop = click(&meanwhile)
	stopFlood := during(hostile, func(worker, round int) {
		begun := time.Now()
		got := attackers[worker].attack(round)
		flood.note(fmt.Sprint(got.StatusCode), time.Since(begun))
	})
	const during = 10
	for n := range during {
		b, begun := s.browser(), time.Now()
		b.try(http.MethodGet, b.arrive("/eleve.html", fmt.Sprintf("eleve%03d", 100+n)), "")
		got := b.try(http.MethodGet, "/eleve.html", "")
		logins.note(fmt.Sprint(got.StatusCode, strings.Contains(got.body, schoolID(100+n))), time.Since(begun))
		time.Sleep(200 * time.Millisecond)
	}
	stopFlood()
	stop()
	before.only(t, "who is in, before", "200")
	meanwhile.only(t, "who is in, meanwhile", "200")
	logins.only(t, "logins", "200 true")
	flood.only(t, "the flood", "302", "401", "200") // to the login; by script; a logout message that changes nothing
	if n := s.cas.Counts().TotalValidations() - validations; n != during {
		t.Errorf("%d validations, want those of %d honest logins", n, during)
	}
	if n := s.upstream.count() - reached; n != meanwhile.count("200")+during {
		t.Errorf("%d requests reached PRONOTE, %d of them of people who are in", n, meanwhile.count("200")+during)
	}
	t.Logf("flood of %s; who is in: before %s, meanwhile %s; logins %s; %d requests to the CAS server, all of them honest; %d to the storage; %d MB more memory",
		&flood, &before, &meanwhile, &logins, s.cas.Counts().TotalValidations()-validations, s.asked()-asked, (s.peak()-memory)>>20)
}

// attack sends one of the requests that anybody can make up.
func (b *browser) attack(round int) answer {
	random := make([]byte, 68)
	_, _ = rand.Read(random)
	made := base64.RawURLEncoding.EncodeToString(random)
	switch round % 5 {
	case 0: // tickets, from somebody who has not set out
		return b.try(http.MethodGet, "/eleve.html?ticket=ST-"+made, "")
	case 1: // sessions
		return b.try(http.MethodGet, "/eleve.html", "", "Cookie", "__Host-pronote_cas="+made)
	case 2: // both, and who has set out, by their own word
		return b.try(http.MethodGet, "/eleve.html?ticket=ST-"+made, "", "Cookie", "__Host-pronote_cas_login="+made)
	case 3: // logouts, in the back channel
		return b.try(http.MethodPost, "/eleve.html", logoutForm("ST-"+made), formType...)
	default: // and calls
		return b.try(http.MethodPost, "/appelfonction/3/1/1", "{}", append([]string{"Cookie", "__Host-pronote_cas=" + made}, script...)...)
	}
}
