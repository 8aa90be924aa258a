package caddymodule

import (
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pronote-cas/caddy-pronote-cas/casauth/castest"
)

// CVE-2022-39369 (phpCAS): the service was made of what the client said of hosts,
// and tickets went to the attacker's.
func TestServiceDependsOnNothingTheClientSends(t *testing.T) {
	s := startWith(t, func(s *rig) string {
		return strings.Replace(s.caddyfile(""), "http://pronote.example.fr {", "http:// {", 1)
	})
	want := serviceParam("/eleve.html?a=1&b=%C3%A9")
	for _, name := range []string{"Host", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Port", "X-Forwarded-Prefix", "X-Forwarded-Uri", "X-Forwarded-Server",
		"Forwarded", "X-Original-Url", "X-Rewrite-Url", "X-Host", "X-Url-Scheme", "Origin", "Referer", "X_Forwarded_Host"} {
		got := s.browser().get("/eleve.html?a=1&ticket=x&b=%C3%A9", name, "evil.example")
		if !strings.HasSuffix(got.location(), want) || strings.Contains(got.location(), "evil") {
			t.Errorf("with %s: %s to %q", name, got.Status, got.location())
		}
	}
	for _, target := range []string{"https://PRONOTE.example.fr:443/eleve.html?a=1&b=%C3%A9", "/eleve.html?a=1&b=%C3%A9"} {
		if got := s.raw(navigation(target + " HTTP/1.1")); !strings.HasSuffix(got.location(), want) {
			t.Errorf("%s: %s to %q", target, got.Status, got.location())
		}
	}
}

// Several tabs set out at once, two of them for the same page, and a portal links
// straight through the CAS server's login: everybody arrives.
func TestEveryTabArrives(t *testing.T) {
	s := start(t)
	b := s.browser()
	targets := []string{"/eleve.html?fd=1", "/eleve.html?fd=1", "/professeur.html?a=" + strings.Repeat("é", 200), "/parent.html"}
	var back []string
	for _, target := range targets {
		back = append(back, b.ticket(b.setOut((&url.URL{Path: target[:strings.Index(target+"?", "?")], RawQuery: url.PathEscape(strings.TrimPrefix(target[strings.Index(target+"?", "?"):], "?"))}).String()), pupil))
	}
	for _, c := range b.Jar.Cookies(mustURL(t, public)) {
		if size := len(c.Name) + 1 + len(c.Value); size > 1024 {
			t.Errorf("cookie %s has %d bytes", c.Name, size)
		}
	}
	for n, with := range back {
		got := b.get(with)
		if got.StatusCode != http.StatusFound || strings.Contains(got.location(), "ticket") || !strings.HasPrefix(got.location(), public) {
			t.Errorf("tab %d: %s to %q", n, got.Status, got.location())
		}
	}
	if page := b.get("/eleve.html"); page.StatusCode != http.StatusOK || s.cas.Counts().TotalValidations() != len(back) {
		t.Errorf("in the end: %s after %d validations", page.Status, s.cas.Counts().TotalValidations())
	}

	portal := s.browser()
	with := portal.ticket(s.cas.URL+"/login?"+serviceParam("/eleve.html"), pupil)
	again := portal.get(with)
	if again.StatusCode != http.StatusFound || !strings.HasPrefix(again.location(), s.cas.URL) {
		t.Fatalf("a portal's link: %s to %q, want the login to start again", again.Status, again.location())
	}
	portal.get(portal.ticket(again.location(), pupil))
	if page := portal.get("/eleve.html"); page.StatusCode != http.StatusOK {
		t.Errorf("a portal's link: in the end %s", page.Status)
	}
}

// Login CSRF (CVE-2015-9284, OmniAuth): with another's ticket somebody would work,
// unaware, in the attacker's Espace. And session fixation: a session id from before
// stays none.
func TestAnotherPersonsTicketLogsNobodyIn(t *testing.T) {
	s := start(t)
	attacker, victim := s.browser(), s.browser()
	planted := attacker.ticket(attacker.setOut("/eleve.html"), parent)
	got := victim.get(planted, "Sec-Fetch-Site", "cross-site")
	if !strings.HasPrefix(got.location(), s.cas.URL+"/login?") {
		t.Fatalf("somebody who had not set out: %s to %q", got.Status, got.location())
	}
	if n := s.cas.Counts().TotalValidations(); n != 0 {
		t.Errorf("%d validations of a planted ticket", n)
	}
	victim.get(victim.ticket(got.location(), pupil))
	if victim.get(planted).StatusCode != http.StatusOK || s.cas.Counts().TotalValidations() != 1 {
		t.Errorf("with a session, a planted ticket is looked at: %d validations", s.cas.Counts().TotalValidations())
	}
	r, _ := s.upstream.last(t)
	if r.Header.Get("X-Pronote-Id") != pupilID || !strings.Contains(r.RequestURI, "ticket=") {
		t.Errorf("PRONOTE's own ticket: %s for %s", r.RequestURI, r.Header.Get("X-Pronote-Id"))
	}

	fixed := s.browser()
	const made = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
	fixed.Jar.SetCookies(mustURL(t, public), []*http.Cookie{{Name: "__Host-pronote_cas", Value: made}})
	fixed.login("/eleve.html", pupil)
	for _, c := range fixed.Jar.Cookies(mustURL(t, public)) {
		if c.Value == made {
			t.Error("the id from before the login stays")
		}
	}
}

// A ticket that is sent several times at once, as a double click or a preview
// sends it, counts once, and helps nobody else (replay).
func TestOneTicketIsValidatedOnce(t *testing.T) {
	s := start(t)
	b, thief := s.browser(), s.browser()
	with := b.ticket(b.setOut("/eleve.html"), pupil)
	thief.setOut("/eleve.html")
	s.cas.SetFault(castest.Fault{Delay: time.Second})
	cookies := b.Jar.Cookies(mustURL(t, public))
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			same := s.browser()
			same.Jar.SetCookies(mustURL(t, public), cookies)
			got := same.get(with)
			if page := same.get("/eleve.html"); got.StatusCode != http.StatusFound || got.location() != public+"/eleve.html" || page.StatusCode != http.StatusOK {
				t.Errorf("the same browser: %s to %q, then %s", got.Status, got.location(), page.Status)
			}
		})
	}
	wg.Go(func() {
		for s.cas.Counts().TotalValidations() == 0 {
			time.Sleep(time.Millisecond)
		}
		if got := thief.get(with); got.StatusCode == http.StatusFound && got.location() == public+"/eleve.html" {
			t.Error("another browser got in with the ticket")
		}
	})
	wg.Wait()
	if n := s.cas.Counts().TotalValidations(); n != 1 {
		t.Errorf("%d validations", n)
	}
	s.cas.SetFault(castest.Fault{})
	if got := thief.get(with); got.location() == public+"/eleve.html" {
		t.Error("another browser got in later with the ticket")
	}
}

// Two browsers that set out for one page in the same second are still two: who is
// who when a ticket comes twice hangs on their cookies.
func TestInitiationCookiesAreEachBrowsersOwn(t *testing.T) {
	s := start(t)
	seen := make(map[string]bool)
	for range 5 {
		b := s.browser()
		b.setOut("/eleve.html")
		for _, c := range b.Jar.Cookies(mustURL(t, public)) {
			if seen[c.Value] {
				t.Fatalf("two browsers have the same %s", c.Name)
			}
			seen[c.Value] = true
		}
	}
	if len(seen) != 5 {
		t.Errorf("%d cookies", len(seen))
	}
}

// CAS 3.0 §2.6: an application that acts in somebody's name is not that person.
func TestProxyTicketsAndChainsAreRefused(t *testing.T) {
	s := start(t, "protocol cas2")
	b := s.browser()
	b.setOut("/eleve.html")
	if got := b.get("/eleve.html?ticket=PT-1-abc"); got.StatusCode != http.StatusForbidden || s.cas.Counts().TotalValidations() != 0 {
		t.Errorf("a proxy ticket: %s after %d validations", got.Status, s.cas.Counts().TotalValidations())
	}
	s.cas.SetShape(castest.Shape{Style: castest.Flat, Proxies: []string{"https://portal.example/proxy"}})
	if got := b.get(b.ticket(b.setOut("/eleve.html"), pupil)); got.StatusCode != http.StatusForbidden {
		t.Errorf("a proxy chain: %s", got.Status)
	}
	if got := b.get("/eleve.html"); got.StatusCode != http.StatusFound || s.upstream.count() > 0 {
		t.Errorf("after both: %s, %d requests upstream", got.Status, s.upstream.count())
	}
}

// A wrong ticket starts over, and the third within a minute ends in a page that
// names the cause: a loop tells nobody anything.
func TestAWrongTicketEndsInAPageThatNamesTheCause(t *testing.T) {
	s := start(t, "protocol cas2")
	b := s.browser()
	s.cas.SetFault(castest.Fault{Body: []byte(`<cas:serviceResponse xmlns:cas="http://www.yale.edu/tp/cas"><cas:authenticationFailure code="INVALID_SERVICE">no</cas:authenticationFailure></cas:serviceResponse>`)})
	login := b.setOut("/eleve.html")
	for round := 1; round <= 2; round++ {
		got := b.get(b.ticket(login, pupil))
		if login = got.location(); got.StatusCode != http.StatusFound || !strings.HasPrefix(login, s.cas.URL) {
			t.Fatalf("round %d: %s to %q", round, got.Status, login)
		}
	}
	page := b.get(b.ticket(login, pupil))
	if page.StatusCode != http.StatusForbidden || !strings.Contains(page.body, public+"/eleve.html") || strings.Contains(page.body, "ticket=") {
		t.Errorf("round 3: %s\n%s", page.Status, page.body)
	}
	code := page.body[strings.LastIndex(page.body, "<strong>")+len("<strong>"):]
	if code = code[:strings.Index(code, "<")]; len(code) < 6 {
		t.Errorf("the page has no code but %q", code)
	}
	eventually(t, "the page's code "+code+" is in the log", func() bool { return strings.Contains(ours(s.log.String()), code) })
	if other := s.browser(); !strings.HasPrefix(other.get("/eleve.html").location(), s.cas.URL) {
		t.Error("a classmate at the same address suffers for it")
	}
}

// Who is not navigating gets an answer for a script, and a form that a person
// sends too late a page, never a silent loss.
func TestEverybodyIsAnsweredInTheirOwnWay(t *testing.T) {
	s := start(t)
	if got := s.browser().send(http.MethodHead, "/eleve.html", ""); got.StatusCode != http.StatusFound || got.body != "" {
		t.Errorf("HEAD: %s %q", got.Status, got.body)
	}
	form := s.browser().send(http.MethodPost, "/eleve.html", "texte=long", "Content-Type", "application/x-www-form-urlencoded", "Referer", public+"/eleve.html?fd=1")
	if form.StatusCode != http.StatusUnauthorized || !strings.HasPrefix(form.Header.Get("Content-Type"), "text/html") || form.Header.Get("WWW-Authenticate") != "CAS" ||
		!strings.Contains(form.body, `href="`+public+`/eleve.html?fd=1"`) {
		t.Errorf("a form: %s %v\n%s", form.Status, form.Header, form.body)
	}
	b := s.browser()
	call := b.send(http.MethodPost, "/appelfonction/3/1/1", "{}", append([]string{"Referer", public + "/eleve.html"}, script...)...)
	var problem struct {
		Status   int
		Type     string
		LoginURL string `json:"login_url"`
	}
	if err := json.Unmarshal([]byte(call.body), &problem); err != nil || call.StatusCode != http.StatusUnauthorized ||
		call.Header.Get("Content-Type") != "application/problem+json" || call.Header.Get("WWW-Authenticate") != "CAS" || call.location() != "" ||
		call.Header.Get("Cache-Control") != "no-store" || !strings.HasSuffix(problem.LoginURL, serviceParam("/eleve.html")) {
		t.Errorf("a script: %s %v %s", call.Status, call.Header, call.body)
	}
	with := b.get(b.ticket(problem.LoginURL, pupil)) // the script goes there without having set out: one more redirect
	b.get(b.ticket(with.location(), pupil))
	if page := b.get("/eleve.html"); page.StatusCode != http.StatusOK {
		t.Errorf("login_url does not lead in: %s", page.Status)
	}
	if s.upstream.count() != 1 {
		t.Errorf("%d requests upstream, want the last only", s.upstream.count())
	}
}

// 8 o'clock: 300 logins at once against a CAS server that takes 300 ms.
func TestAWholeSchoolLogsInAtOnce(t *testing.T) {
	s := startAlone(t, func(s *rig) string { return s.caddyfile("") })
	s.cas.SetFault(castest.Fault{Delay: 300 * time.Millisecond})
	enter := func(n int) {
		b := s.browser()
		login := b.setOut("/eleve.html")
		_, service, _ := strings.Cut(login, "service=")
		service, _ = url.QueryUnescape(service)
		user := people()[len(people())-300+n].Login
		got := b.get("/eleve.html?ticket=" + s.cas.Ticket(user, service))
		if page := b.get("/eleve.html"); got.StatusCode != http.StatusFound || !strings.Contains(page.body, schoolID(n)) {
			t.Errorf("%s: %s, then %s %s", user, got.Status, page.Status, page.body)
		}
	}
	var wg sync.WaitGroup
	for n := range 300 {
		wg.Go(func() { enter(n) })
	}
	wg.Wait()
	if t.Failed() {
		t.Log(refusals(s.log.String()))
	}
	before := s.cas.Counts()
	if before.TotalValidations() != 300 || before.Connections > 256 {
		t.Errorf("%d validations over %d connections", before.TotalValidations(), before.Connections)
	}
	s.cas.SetFault(castest.Fault{})
	for n := range 10 {
		enter(n)
	}
	if after := s.cas.Counts(); after.Connections != before.Connections {
		t.Errorf("%d new connections for ten more logins: none is kept alive", after.Connections-before.Connections)
	}
}

// An ENT that accepts one service only: the browser comes back there and goes on
// to where it wanted to.
func TestFixedServiceLeadsToThePageAskedFor(t *testing.T) {
	s := start(t, "service_url "+public+"/eleve.html")
	b := s.browser()
	login := b.setOut("/parent.html?fd=1")
	if !strings.HasSuffix(login, serviceParam("/eleve.html")) {
		t.Fatalf("the service: %s", login)
	}
	if got := b.get(b.ticket(login, pupil)); got.location() != public+"/parent.html?fd=1" {
		t.Errorf("with the ticket: %s to %q", got.Status, got.location())
	}
}

// The ENT fails in every way there is: a page that says so, and who is in stays in.
func TestSessionsGoOnWhileTheENTDoesNot(t *testing.T) {
	s := start(t, "cas_timeout 500ms")
	in, b := s.browser(), s.browser()
	in.login("/eleve.html", pupil)
	for name, fault := range map[string]castest.Fault{
		"slow":        {Delay: time.Minute},
		"hanging":     {HangAfterHeaders: true},
		"500":         {Status: 500, Body: []byte("oops")},
		"502":         {Status: 502},
		"a page":      {Body: []byte("<!doctype html><html><title>Connexion</title></html>"), ContentType: "text/html"},
		"a redirect":  {Redirect: public + "/pronote-cas/logout"},
		"nothing":     {Body: []byte{}},
		"a gzip bomb": {GzipBomb: 1 << 30},
	} {
		with := b.ticket(b.setOut("/eleve.html"), pupil)
		s.cas.SetFault(fault)
		got := b.get(with)
		s.cas.SetFault(castest.Fault{})
		if got.StatusCode != http.StatusServiceUnavailable || got.Header.Get("Retry-After") == "" || strings.Contains(got.body, "ticket=") {
			t.Errorf("%s: %s %v", name, got.Status, got.Header)
		}
		if page := in.get("/eleve.html"); page.StatusCode != http.StatusOK {
			t.Errorf("%s: who is in gets %s", name, page.Status)
		}
	}
	with := b.ticket(b.setOut("/eleve.html"), pupil)
	s.cas.Close()
	if got := b.get(with); got.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("down: %s", got.Status)
	}
	if page := in.get("/eleve.html"); page.StatusCode != http.StatusOK {
		t.Errorf("down: who is in gets %s", page.Status)
	}
}

// A login is answered when its session is stored: kill -9 right after it loses
// nobody.
func TestALoginThatWasAnsweredIsStored(t *testing.T) {
	s := start(t)
	b := s.browser()
	with := b.ticket(b.setOut("/eleve.html"), pupil)
	b.get(with)
	s.kill()
	stored, err := filepath.Glob(filepath.Join(s.storage, "pronote_cas", "*", "sessions", "*", "*"))
	if err != nil || len(stored) != 1 {
		t.Errorf("in the storage: %q, %v", stored, err)
	}
	for _, file := range stored {
		if info, err := os.Stat(file); err != nil || info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s: %v, %v; others on the machine can read it", filepath.Base(file), info.Mode(), err)
		}
	}
	s.run()
	if page := b.get("/eleve.html"); page.StatusCode != http.StatusOK || !strings.Contains(page.body, pupilID) {
		t.Errorf("after kill -9: %s", page.Status)
	}
}

// RFC 8470 §5.1: what came in TLS early data can be replayed by whoever saw it;
// several or odd values of the header mean the same as one 1.
func TestTicketsAndLogoutsInEarlyDataAreRefused(t *testing.T) {
	s := start(t)
	for _, early := range [][]string{{"1"}, {"0", "1"}, {"1", "1"}, {"yes"}} {
		var headers []string
		for _, value := range early {
			headers = append(headers, "Early-Data", value)
		}
		b := s.browser()
		if got := b.get(b.ticket(b.setOut("/eleve.html"), pupil), headers...); got.StatusCode != http.StatusTooEarly {
			t.Errorf("a ticket, Early-Data %q: %s", early, got.Status)
		}
	}
	if n := s.cas.Counts().TotalValidations(); n > 0 {
		t.Errorf("%d validations", n)
	}
	b := s.browser()
	b.login("/eleve.html", pupil)
	if got := b.get("/pronote-cas/logout", "Early-Data", "1"); got.StatusCode != http.StatusTooEarly {
		t.Errorf("a logout: %s", got.Status)
	}
	if got := b.send(http.MethodPost, "/eleve.html", logoutForm("ST-1"), append([]string{"Early-Data", "1"}, formType...)...); got.StatusCode != http.StatusTooEarly {
		t.Errorf("a logout message: %s", got.Status)
	}
	if got := b.get("/eleve.html", "Early-Data", "1"); got.StatusCode != http.StatusOK {
		t.Errorf("a page: %s", got.Status)
	}
}
