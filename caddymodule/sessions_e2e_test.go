package caddymodule

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// pending is a request that is under way.
type pending struct {
	reached chan struct{} // PRONOTE has it
	over    chan answer   // its answer; no status where it was cut
}

// begin sends a request that PRONOTE holds until release ends, and waits until it
// has reached PRONOTE. With head, PRONOTE has begun to answer by then.
func (b *browser) begin(method, target string, head bool, release <-chan struct{}) *pending {
	b.s.t.Helper()
	p := &pending{make(chan struct{}), make(chan answer, 1)}
	b.s.upstream.answer(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != target {
			_, _ = fmt.Fprintf(w, "PRONOTE for %q", r.Header.Get("X-Pronote-Id"))
			return
		}
		if head {
			_, _ = fmt.Fprint(w, "head")
			_ = http.NewResponseController(w).Flush() // of net/http's own
		} else {
			close(p.reached)
		}
		select {
		case <-release:
			_, _ = fmt.Fprint(w, "tail")
		case <-r.Context().Done():
		}
	})
	go func() {
		r, _ := http.NewRequest(method, public+target, nil) // our own constants
		for pair := range slices.Chunk(script, 2) {
			r.Header.Set(pair[0], pair[1])
		}
		res, err := b.Do(r)
		if err != nil {
			p.over <- answer{new(http.Response), err.Error()}
			return
		}
		defer res.Body.Close()
		if head { // now its beginning is here, through the proxy
			close(p.reached)
		}
		var body strings.Builder
		buffer := make([]byte, 512)
		for err == nil {
			var n int
			n, err = res.Body.Read(buffer)
			body.Write(buffer[:n])
		}
		if err.Error() != "EOF" {
			res.StatusCode = 0
		}
		p.over <- answer{res, body.String()}
	}()
	select {
	case <-p.reached:
	case got := <-p.over:
		b.s.t.Fatalf("%s %s did not reach PRONOTE: %d %s", method, target, got.StatusCode, got.body)
	case <-time.After(10 * time.Second):
		b.s.t.Fatalf("%s %s did not reach PRONOTE", method, target)
	}
	return p
}

// expect waits for the end of p.
func (p *pending) expect(t *testing.T, what string, status int) {
	t.Helper()
	select {
	case got := <-p.over:
		if got.StatusCode != status {
			t.Errorf("%s: ended with %d %q, want %d", what, got.StatusCode, got.body, status)
		}
	case <-time.After(3 * time.Second):
		t.Errorf("%s: still under way", what)
	}
}

func (b *browser) status(target string) int { b.s.t.Helper(); return b.get(target).StatusCode }

// at is the same browser at another node: it takes its cookies along.
func (b *browser) at(node *rig) *browser {
	other := node.browser()
	other.Jar = b.Jar
	return other
}

const poll, download = "/appelpolling/3/1/1", "/FichiersExternes/a/b.pdf"

// A reload is everyday work: nobody is logged out, and nothing under way is cut.
func TestReloadKeepsSessionsAndLiveResponses(t *testing.T) {
	idle := "1h"
	s := startWith(t, func(s *rig) string { return s.caddyfile("", "session {\nidle "+idle+"\n}") })
	b := s.browser()
	b.login("/eleve.html", pupil)
	release := make(chan struct{})
	kept := b.begin(http.MethodPost, poll, false, release)
	s.reload()
	idle = "90m" // other sessions, in the same storage
	s.reload()
	if got := b.status("/eleve.html"); got != http.StatusOK {
		t.Errorf("after the reload: %d", got)
	}
	close(release)
	kept.expect(t, "a poll over two reloads", http.StatusOK)

	cut := b.begin(http.MethodGet, download, true, nil)
	before := b.begin(http.MethodPost, poll, false, nil)
	idle = "80m"
	s.reload()
	if got := b.get("/pronote-cas/logout"); got.location() != s.cas.URL+"/logout" {
		t.Errorf("logout: %s to %q", got.Status, got.location())
	}
	cut.expect(t, "a download from before the reload, after the logout", 0)
	before.expect(t, "a poll from before the reload, after the logout", http.StatusUnauthorized)
}

// Sessions survive a crash and a restart, those of `store memory` a reload.
func TestSessionsSurviveWhatTheyShould(t *testing.T) {
	s := start(t)
	b := s.browser()
	b.login("/eleve.html", pupil)
	s.kill()
	s.run()
	if got := b.get("/eleve.html"); got.StatusCode != http.StatusOK || !strings.Contains(got.body, pupilID) {
		t.Errorf("after kill -9: %s %s", got.Status, got.body)
	}
}

func TestSessionsInMemorySurviveAReload(t *testing.T) {
	ttl := "2h"
	s := startWith(t, func(s *rig) string { return s.caddyfile("", "session {\nstore memory\nttl "+ttl+"\n}") })
	b := s.browser()
	b.login("/eleve.html", pupil)
	ttl = "3h"
	s.reload()
	if got := b.status("/eleve.html"); got != http.StatusOK {
		t.Errorf("after a reload: %d", got)
	}
	stored, err := filepath.Glob(s.storage + "/pronote_cas/*/*")
	if err != nil || len(stored) != 1 || filepath.Base(stored[0]) != "directory" { // who is who must not be forgotten
		t.Errorf("`store memory` wrote %v into the storage (%v)", stored, err)
	}
	s.kill()
	s.run()
	if got := b.status("/eleve.html"); got != http.StatusFound {
		t.Errorf("after a restart: %d", got)
	}
}

// Two nodes on one storage are one: a login on one counts on the other, and a
// session ended on one is refused, and its live responses cut, on the other
// within a second.
func TestTwoNodesAreOne(t *testing.T) {
	a := start(t)
	b := a.beside()
	onA := a.browser()
	onA.login("/eleve.html", pupil)
	onB := onA.at(b)
	if got := onB.get("/eleve.html"); got.StatusCode != http.StatusOK || !strings.Contains(got.body, pupilID) {
		t.Fatalf("a login on A, seen by B: %s", got.Status)
	}
	value := onA.Jar.Cookies(mustURL(t, public))
	live := onB.begin(http.MethodPost, poll, false, nil)
	large := onB.begin(http.MethodGet, download, true, nil)
	onA.get("/pronote-cas/logout")
	live.expect(t, "a poll on B after the logout on A", http.StatusUnauthorized)
	large.expect(t, "a download on B after the logout on A", 0)
	stale := b.browser()
	stale.Jar.SetCookies(mustURL(t, public), value)
	eventually(t, "B refuses a session ended on A", func() bool { return stale.status("/eleve.html") == http.StatusFound })

	// The CAS server knows one address, and its message arrives at whichever node.
	onA = a.browser()
	with := onA.ticket(onA.setOut("/eleve.html"), parent)
	onA.get(with)
	_, ticket, _ := strings.Cut(with, "ticket=")
	value = onA.Jar.Cookies(mustURL(t, public))
	live = onA.begin(http.MethodPost, poll, false, nil)
	if got := b.browser().send(http.MethodPost, "/eleve.html", logoutForm(ticket), formType...); got.StatusCode != http.StatusOK {
		t.Errorf("a logout message at B: %s", got.Status)
	}
	live.expect(t, "a poll on A after the message at B", http.StatusUnauthorized)
	stale = a.browser()
	stale.Jar.SetCookies(mustURL(t, public), value)
	if got := stale.status("/eleve.html"); got != http.StatusFound {
		t.Errorf("A, after the message at B: %d", got)
	}
}

// One Caddy, two sites: a pupil of the collège is not let in to the lycée.
func TestAnotherSitesCookieOpensNothing(t *testing.T) {
	s := startWith(t, func(s *rig) string {
		one := s.caddyfile("")
		at := strings.Index(one, "http://pronote.example.fr {")
		return one + strings.ReplaceAll(one[at:], "pronote.example.fr", "lycee.example.fr")
	})
	b := s.browser()
	b.login("/eleve.html", pupil)
	var cookies []string
	for _, c := range b.Jar.Cookies(mustURL(t, public)) {
		cookies = append(cookies, c.Name+"="+c.Value)
	}
	with := "HTTP/1.1\r\nCookie: " + strings.Join(cookies, "; ")
	if got := s.raw(navigation("/eleve.html " + with)); got.StatusCode != http.StatusOK {
		t.Fatalf("its own site: %d", got.StatusCode)
	}
	if got := s.raw(strings.Replace(navigation("/eleve.html "+with), "Host: pronote", "Host: lycee", 1)); got.StatusCode != http.StatusFound {
		t.Errorf("another site: %d", got.StatusCode)
	}
	// Once the other site has sessions of its own, and so a key.
	if got := s.raw(strings.Replace(navigation("/eleve.html HTTP/1.1"), "Host: pronote", "Host: lycee", 1)); got.StatusCode != http.StatusFound {
		t.Errorf("another site, without a session: %d", got.StatusCode)
	}
	if got := s.raw(strings.Replace(navigation("/eleve.html "+with), "Host: pronote", "Host: lycee", 1)); got.StatusCode != http.StatusFound {
		t.Errorf("another site, with a key of its own: %d", got.StatusCode)
	}
}

// The storage breaks and comes back: who is in goes on for grace, nobody new gets
// in, nothing fails open, no cookie is taken away, and it recovers by itself.
func TestStorageGoneAndBack(t *testing.T) {
	s := start(t, "session {\ngrace 3s\n}")
	in, b := s.browser(), s.browser()
	in.login("/eleve.html", pupil)
	with := b.ticket(b.setOut("/eleve.html"), parent)
	if err := os.Rename(s.storage, s.storage+".away"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(s.storage, []byte("no folder"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := in.status("/eleve.html"); got != http.StatusOK {
		t.Errorf("within the grace: %d", got)
	}
	if got := b.get(with); got.StatusCode != http.StatusServiceUnavailable || got.Header.Get("Retry-After") == "" {
		t.Errorf("a login: %s", got.Status)
	}
	var refused answer
	for range 100 {
		if refused = in.get("/eleve.html"); refused.StatusCode != http.StatusOK {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	if refused.StatusCode != http.StatusServiceUnavailable || len(refused.Cookies()) > 0 || refused.Header.Get("Retry-After") == "" {
		t.Errorf("past the grace: %s, cookies %v", refused.Status, refused.Cookies())
	}
	if got := in.status("/x.js"); got != http.StatusOK {
		t.Errorf("a static file: %d", got)
	}
	call := in.send(http.MethodPost, "/appelfonction/3/1/1", "{}", script...)
	if call.StatusCode != http.StatusServiceUnavailable || call.Header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("a script: %s %s", call.Status, call.Header.Get("Content-Type"))
	}
	if err := os.Remove(s.storage); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(s.storage+".away", s.storage); err != nil {
		t.Fatal(err)
	}
	eventually(t, "who was in is in again", func() bool { return in.status("/eleve.html") == http.StatusOK })
	b = s.browser()
	if page := b.login("/eleve.html", parent); !strings.Contains(page.body, parentID) {
		t.Errorf("a login afterwards: %s", page.Status)
	}
}

// The cookie's prefix keeps neighbours of the site from setting it (RFC 6265bis
// §4.1.3); a plain http address can have neither prefix nor Secure.
func TestCookiesAreDressedForTheirAddress(t *testing.T) {
	for _, test := range []struct {
		public string
		lines  []string
		want   string // of the session's cookie
	}{
		{public, nil, "__Host-pronote_cas; Path=/; HttpOnly; Secure; SameSite=Lax"},
		{public, []string{"session {\nsame_site none\ncookie_name espace\n}"}, "__Host-espace; Path=/; HttpOnly; Secure; SameSite=None"},
		{"http://pronote.example.fr", nil, "pronote_cas; Path=/; HttpOnly; SameSite=Lax"},
	} {
		t.Run(test.want, func(t *testing.T) {
			s := startWith(t, func(s *rig) string {
				return strings.Replace(s.caddyfile("", test.lines...), "public_url "+public, "public_url "+test.public, 1)
			})
			b := s.browser()
			asked := b.get(test.public + "/eleve.html")
			got := b.get(b.ticket(asked.location(), pupil))
			var lines []string
			for _, line := range slices.Concat(asked.Header["Set-Cookie"], got.Header["Set-Cookie"]) {
				name, rest, _ := strings.Cut(line, "=")
				_, attributes, _ := strings.Cut(rest, ";")
				attributes = strings.Replace(attributes, " Max-Age=600;", "", 1)
				lines = append(lines, name+";"+strings.Replace(attributes, " Max-Age=0;", "", 1))
			}
			slices.Sort(lines)
			initiation := strings.Replace(test.want, ";", "_login;", 1)
			if want := []string{test.want, initiation, initiation}; !slices.Equal(lines, want) {
				t.Errorf("Set-Cookie %q, want %q", lines, want)
			}
			if page := b.get(test.public + "/eleve.html"); page.StatusCode != http.StatusOK {
				t.Errorf("in the end: %s", page.Status)
			}
		})
	}
}

// Who logs in again in a second tab keeps the download of the first; another
// person at the same browser gets nothing of it.
func TestLiveResponsesGoOverToTheSamePersonOnly(t *testing.T) {
	s := start(t)
	b := s.browser()
	var tabs []string
	for _, user := range []string{pupil, pupil, parent} {
		login := b.setOut("/eleve.html")
		own := s.browser() // each at the CAS server for itself
		tabs = append(tabs, own.ticket(login, user))
	}
	b.get(tabs[0])
	first := b.Jar.Cookies(mustURL(t, public))
	release := make(chan struct{})
	kept := b.begin(http.MethodGet, download, true, release)
	b.get(tabs[1])
	stale := s.browser()
	stale.Jar.SetCookies(mustURL(t, public), first)
	if got := stale.get("/eleve.html"); got.StatusCode != http.StatusFound {
		t.Errorf("the session from before: %s", got.Status)
	}
	close(release)
	kept.expect(t, "a download over a login of the same person", http.StatusOK)

	cut := b.begin(http.MethodPost, poll, false, nil)
	b.get(tabs[2])
	cut.expect(t, "a poll when another person has logged in", http.StatusUnauthorized)
	if page := b.get("/eleve.html"); !strings.Contains(page.body, parentID) {
		t.Errorf("in the end: %s %s", page.Status, page.body)
	}
}
