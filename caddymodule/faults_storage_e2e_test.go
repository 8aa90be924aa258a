package caddymodule

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A full disk: nobody new gets in, who is in stays, who leaves has left, and when
// there is room again all is as before.
func TestStorageFull(t *testing.T) {
	s := startFaulty(t, "session {\ngrace 30s\n}")
	in, leaves, late := s.browser(), s.browser(), s.browser()
	in.login("/eleve.html", pupil)
	leaves.login("/eleve.html", pupil)
	cookies := leaves.Jar.Cookies(mustURL(t, public))
	with := late.ticket(late.setOut("/eleve.html"), parent)
	s.fault(storageFault{Full: true})

	var known, logins meter
	stop := during(1, func(int, int) { in.visit(&known, "/eleve.html", pupilID); time.Sleep(20 * time.Millisecond) })
	begun := time.Now()
	got := late.get(with)
	logins.note(got.Status, time.Since(begun))
	if got.StatusCode != http.StatusServiceUnavailable || opens(got) {
		t.Errorf("a login: %s, cookies %v", got.Status, got.Cookies())
	}
	if got := leaves.get("/pronote-cas/logout"); got.location() != s.cas.URL+"/logout" {
		t.Errorf("a logout: %s to %q", got.Status, got.location())
	}
	leaves.Jar.SetCookies(mustURL(t, public), cookies)
	if got := leaves.status("/eleve.html"); got == http.StatusOK {
		t.Error("a session that was logged out opens")
	}
	time.Sleep(1500 * time.Millisecond) // so that who is in is looked up again
	s.fault(storageFault{})
	took := soon(t, 10*time.Second, "somebody new gets in again", func() bool {
		got := late.try(http.MethodGet, late.back("/eleve.html", parent), "")
		logins.note(got.Status, 0)
		return got.StatusCode == http.StatusFound && got.location() == public+"/eleve.html"
	})
	stop()
	known.only(t, "who is in", "200")
	t.Logf("full disk: who is in %s; logins %s; the next login went through %s after there was room", &known, &logins, took)
	if got := leaves.status("/eleve.html"); got == http.StatusOK {
		t.Error("a session that was logged out on a full disk opens again")
	}
}

// opens reports whether an answer brings a session.
func opens(got answer) bool {
	for _, c := range got.Cookies() {
		if c.Name == "__Host-pronote_cas" && c.MaxAge >= 0 {
			return true
		}
	}
	return false
}

// back walks to the ENT, where the person may be logged in already, and returns
// what of the address it sends the browser back to lies below public.
func (b *browser) back(target, user string) string {
	b.s.t.Helper()
	login := b.try(http.MethodGet, target, "").location()
	with, err := b.s.cas.Login(b.Client, login, user)
	if err != nil {
		b.s.t.Log(err)
		return target
	}
	return strings.TrimPrefix(with, public)
}

// A storage that takes three seconds for everything is as good as none: it costs
// nobody more than the two seconds after which it is given up, and those not often.
func TestStorageSlow(t *testing.T) {
	s := startFaulty(t, "session {\ngrace 6s\n}")
	late := s.browser()
	with := late.ticket(late.setOut("/eleve.html"), parent)
	var people []*browser
	for range 10 {
		b := s.browser()
		b.login("/eleve.html", pupil)
		people = append(people, b)
	}
	time.Sleep(time.Second) // what is known of the sessions grows old
	s.fault(storageFault{Delay: 3 * time.Second})

	var known, before, after meter
	refused := make([]bool, len(people))
	stop := during(len(people), func(worker, _ int) {
		refused[worker] = people[worker].visit(&known, "/eleve.html", pupilID) == http.StatusServiceUnavailable || refused[worker]
		time.Sleep(20 * time.Millisecond)
	})
	begun := time.Now()
	got := late.get(with) // its session cannot be stored
	before.note(got.Status, time.Since(begun))
	if got.StatusCode != http.StatusServiceUnavailable || opens(got) {
		t.Errorf("a login: %s", got.Status)
	}
	time.Sleep(6 * time.Second)
	stop()
	known.only(t, "who is in", "200", "503")
	for worker := range people {
		if !refused[worker] {
			t.Errorf("person %d goes on past the grace", worker)
		}
	}
	if known.count("200") < len(people) {
		t.Errorf("within the grace, who is in is not served: %s", &known)
	}
	s.fault(storageFault{})
	took := soon(t, 15*time.Second, "everybody is in again", func() bool {
		for _, b := range people {
			if b.visit(&after, "/eleve.html", pupilID) != http.StatusOK {
				return false
			}
		}
		return true
	})
	t.Logf("3 s per operation: who is in %s; a login %s; everybody was in again %s after it was fast", &known, &before, took)
	late.login("/professeur.html", parent)
}

// A response that is under way when the grace is over is cut, for nobody knows whether
// its person is still in; but its page is told of the storage, not of a logout.
func TestALongPollPastTheGraceIsNotALogout(t *testing.T) {
	s := startFaulty(t, "session {\ngrace 1s\n}")
	b := s.browser()
	b.login("/eleve.html", pupil)
	waiting := b.begin(http.MethodPost, poll, false, nil)
	s.fault(storageFault{Key: "pronote_cas", Gone: true})
	select {
	case got := <-waiting.over:
		if got.StatusCode != http.StatusServiceUnavailable || len(got.Cookies()) > 0 {
			t.Errorf("the poll ended with %d %q, cookies %v", got.StatusCode, got.body, got.Cookies())
		}
	case <-time.After(10 * time.Second):
		t.Error("the poll goes on without anybody knowing for whom")
	}
	s.fault(storageFault{})
	soon(t, 10*time.Second, "the person is in again", func() bool { return b.status("/eleve.html") == http.StatusOK })
}

// kill -9 while the session is being stored: the ticket is spent, and there is no
// session. The person is sent to the ENT once more, which knows them, and is in.
func TestKilledBetweenTicketAndSession(t *testing.T) {
	s := startFaulty(t)
	known, b := s.browser(), s.browser()
	known.login("/eleve.html", pupil)
	with := strings.TrimPrefix(b.ticket(b.setOut("/eleve.html"), parent), public)
	s.fault(storageFault{Key: "/sessions/", Stuck: true})
	cut := make(chan answer, 1)
	go func() { cut <- b.try(http.MethodGet, with, "") }()
	var half string
	soon(t, 10*time.Second, "the session is being stored", func() bool {
		key, err := os.ReadFile(s.storage + ".waiting")
		half = filepath.Join(s.storage, string(key))
		return err == nil && len(key) > 0
	})
	s.kill()
	if got := <-cut; got.StatusCode == http.StatusFound || opens(got) {
		t.Errorf("a login that was not stored is answered: %d", got.StatusCode)
	}
	if sessions := s.stored(); len(sessions) != 1 {
		t.Errorf("%d sessions are stored, want the other person's", len(sessions))
	}
	// And as storages leave it that do not write all at once.
	if err := os.WriteFile(half, []byte(`{"user":"`+parent+`","pronote_id":"`), 0o600); err != nil {
		t.Fatal(err)
	}
	s.fault(storageFault{})
	begun := time.Now()
	s.run()
	up := time.Since(begun).Round(time.Millisecond)
	if got := known.status("/eleve.html"); got != http.StatusOK {
		t.Errorf("somebody else who was in: %d", got)
	}
	reached := s.upstream.count()
	again := b.get(with) // the browser's reload, with the spent ticket
	if again.StatusCode != http.StatusFound || !strings.HasPrefix(again.location(), s.cas.URL+"/login?") || s.upstream.count() != reached {
		t.Fatalf("the reload: %s to %q", again.Status, again.location())
	}
	logins := s.cas.Counts().Logins
	if got := b.get(b.ticket(again.location(), parent)); got.location() != public+"/eleve.html" {
		t.Errorf("with the next ticket: %s to %q", got.Status, got.location())
	}
	if page := b.get("/eleve.html"); page.StatusCode != http.StatusOK || !strings.Contains(page.body, parentID) {
		t.Errorf("in the end: %s", page.Status)
	}
	_, ticket, _ := strings.Cut(with, "ticket=")
	if got := s.browser().send(http.MethodPost, "/eleve.html", logoutForm(ticket), formType...); got.StatusCode != http.StatusOK {
		t.Errorf("single logout of the half session: %s", got.Status)
	}
	if _, err := os.Stat(half); err == nil {
		t.Error("a half session outlives its single logout")
	}
	t.Logf("kill -9 between ticket and session: 1 request lost, 0 sessions lost, listening again after %s, in again without a password (%d typed)",
		up, s.cas.Counts().Logins-logins)
}

// Who logs out while the storage is gone has left, also where the configuration is
// reloaded before it is back: in a new one the storage is another one to us, and the
// sessions are looked up afresh.
func TestALogoutDuringAnOutageOutlivesAReload(t *testing.T) {
	s := startFaulty(t)
	b := s.browser()
	b.login("/eleve.html", pupil)
	cookies := b.Jar.Cookies(mustURL(t, public))
	s.fault(storageFault{Key: "pronote_cas", Gone: true})
	if got := b.get("/pronote-cas/logout"); got.location() != s.cas.URL+"/logout" {
		t.Errorf("logout: %s to %q", got.Status, got.location())
	}
	s.reload()
	stale := s.browser()
	stale.Jar.SetCookies(mustURL(t, public), cookies)
	if got := stale.status("/eleve.html"); got == http.StatusOK {
		t.Error("a session that was logged out opens after a reload")
	}
	s.fault(storageFault{})
	took := soon(t, 10*time.Second, "the storage is told of the logout", func() bool { return len(s.stored()) == 0 })
	soon(t, 10*time.Second, "the cookie opens nothing", func() bool { return stale.status("/eleve.html") == http.StatusFound })
	t.Logf("a logout during an outage was stored %s after the storage was back", took)
}

// A reload closes the storage of the configuration before, which still has responses
// under way: a logout after it cuts them all the same.
func TestALogoutAfterAReloadCutsWhatBeganBefore(t *testing.T) {
	s := startFaulty(t)
	b := s.browser()
	b.login("/eleve.html", pupil)
	waiting := b.begin(http.MethodPost, poll, false, nil)
	s.reload()
	if got := b.status("/eleve.html"); got != http.StatusOK {
		t.Errorf("after the reload: %d", got)
	}
	b.get("/pronote-cas/logout")
	select {
	case got := <-waiting.over:
		if got.StatusCode != http.StatusUnauthorized {
			t.Errorf("the poll ended with %d %q", got.StatusCode, got.body)
		}
	case <-time.After(10 * time.Second):
		t.Error("the poll goes on after its person has left")
	}
}

// Clocks that jump, here or at the ENT: nobody is let in whom the clock forbids, and
// nobody is locked out because a clock was ahead once.
func TestClocksThatJump(t *testing.T) {
	s := start(t)
	ahead, behind, seen := s.browser(), s.browser(), s.browser()
	shift := func(b *browser, change func(file string, record map[string]any)) {
		t.Helper()
		before := s.stored()
		b.login("/eleve.html", pupil)
		for _, file := range s.stored() {
			var record map[string]any
			data, err := os.ReadFile(file)
			if err != nil || json.Unmarshal(data, &record) != nil {
				t.Fatalf("%s: %v", file, err)
			}
			if strings.Contains(strings.Join(before, " "), file) {
				continue
			}
			change(file, record)
			data, _ = json.Marshal(record)
			if err := os.WriteFile(file, data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	move := func(record map[string]any, by time.Duration) {
		for _, name := range []string{"created", "expires"} {
			at, err := time.Parse(time.RFC3339Nano, record[name].(string))
			if err != nil {
				t.Fatal(err)
			}
			record[name] = at.Add(by).Format(time.RFC3339Nano)
		}
	}
	shift(ahead, func(_ string, record map[string]any) { move(record, time.Hour) })
	shift(behind, func(_ string, record map[string]any) { move(record, -24*time.Hour) })
	shift(seen, func(file string, _ map[string]any) {
		at, _ := json.Marshal(time.Now().Add(24 * time.Hour).UnixNano())
		if err := os.WriteFile(file+".seen", at, 0o600); err != nil {
			t.Fatal(err)
		}
	})
	s.kill() // forgets what it knows
	s.run()
	for name, test := range map[string]struct {
		b    *browser
		want int
	}{
		"a login when the clock was an hour ahead": {ahead, http.StatusOK},
		"a clock that is a day ahead of the login": {behind, http.StatusFound},
		"somebody who was last seen tomorrow":      {seen, http.StatusOK},
	} {
		if got := test.b.status("/eleve.html"); got != test.want {
			t.Errorf("%s: %d, want %d", name, got, test.want)
		}
	}
}
