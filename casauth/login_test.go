package casauth

import (
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"

	"github.com/pronote-cas/caddy-pronote-cas/casauth/castest"
	"github.com/pronote-cas/caddy-pronote-cas/casauth/protocol"
)

func TestLoginRoundTrip(t *testing.T) {
	g := newGated(t, nil)
	d := g.login("/eleve.html?fd=1&x=%C3%A9", pupil)
	if want := public + "/eleve.html?fd=1&x=%C3%A9"; d.Location != want {
		t.Errorf("after the login at %s, want %s", d.Location, want)
	}
	if d.Session.PronoteID != pupilID || d.Session.Attributes["nom"][0] != "Durand" {
		t.Errorf("the session is %+v", d.Session.Identity)
	}
	if _, left := g.cookies["__Host-pronote_cas_login"]; left {
		t.Error("the initiation cookie stays though nothing is under way")
	}
	for _, c := range d.Cookies {
		if strings.Contains(c.Value, pupil) || strings.Contains(c.Value, pupilID) {
			t.Errorf("cookie %s tells who it is", c.Name)
		}
	}
}

// A portal that links here with its own tickets for ever ends in a page, not in a loop.
func TestForeignTicketsEndInAPageToo(t *testing.T) {
	g := newGated(t, nil)
	for round := 1; round <= maxRounds; round++ {
		d, want := g.visit(http.MethodGet, fmt.Sprintf("/%d.html?ticket=ST-planted", round)), "login"
		if round == maxRounds {
			want = string(ForeignTicket)
		}
		if outcome(d) != want {
			t.Errorf("round %d: %s, want %s", round, outcome(d), want)
		}
	}
}

// `renew` is for shared computers: whoever is still logged in at the ENT types a password
// all the same, and a ticket that was had without one opens nothing.
func TestRenewWantsFreshCredentials(t *testing.T) {
	g := newGated(t, func(c *Config) {
		c.Renew, c.CAS.Protocol, c.CAS.ValidateURL = true, protocol.CAS2, strings.Replace(c.CAS.ValidateURL, "samlValidate", "serviceValidate", 1)
	})
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		without bool
		want    Event
	}{{false, LoggedIn}, {true, LoginStarted}} {
		b := g.another()
		login := b.visit(http.MethodGet, "/eleve.html").Location
		if !strings.Contains(login, "renew=true") {
			t.Errorf("sent to %s, without renew", login)
		}
		if test.without {
			login = strings.Replace(login, "renew=true", "", 1)
		}
		back, err := g.cas.Login(&http.Client{Jar: jar}, login, pupil)
		if err != nil {
			t.Fatal(err)
		}
		if d := b.visit(http.MethodGet, strings.TrimPrefix(back, public)); d.Event != test.want {
			t.Errorf("a ticket by single sign-on %v: %+v %v", test.without, d, d.Err)
		}
	}
}

func TestServiceDependsOnNothingTheClientSends(t *testing.T) {
	want := url.QueryEscape(public + "/eleve.html?a=1&b=2")
	for _, header := range []string{"Host", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Port", "Forwarded", "X-Original-Url", "X-Rewrite-Url", "Referer", "Origin"} {
		g := newGated(t, nil)
		d := g.visit(http.MethodGet, "/eleve.html?a=1&ticket=ST-x&b=2&SAMLart=y&identifiant=9W7u2z7V5ZfJxYrV", header, "evil.example")
		if d.Action != Redirect || !strings.HasSuffix(d.Location, "service="+want) {
			t.Errorf("with %s: %s, want the service %s", header, d.Location, want)
		}
	}
}

// Login CSRF: a ticket that somebody else got must not log this browser in.
func TestForeignTicketIsNeverValidated(t *testing.T) {
	g := newGated(t, nil)
	stolen := g.another().ticket("/eleve.html", pupil)
	other := g.another()
	other.visit(http.MethodGet, "/parent.html") // has set out, but for another page
	for name, browser := range map[string]*gated{"no cookie": g, "another service": other} {
		if d := browser.visit(http.MethodGet, stolen); d.Event != LoginStarted {
			t.Errorf("%s: %s, want the login to start again", name, outcome(d))
		}
	}
	for _, target := range []string{"/eleve.html?ticket=ST-1&ticket=ST-2", "/eleve.html?ticket=ST-1&SAMLart=ST-2"} {
		b := g.another()
		b.visit(http.MethodGet, "/eleve.html")
		if d := b.visit(http.MethodGet, target); d.Event != LoginStarted {
			t.Errorf("two tickets, %s: %s", target, outcome(d))
		}
	}
	if n := g.cas.Counts().TotalValidations(); n != 0 {
		t.Errorf("%d tickets were validated, want none", n)
	}
}

func TestPronotesOwnTicketsPassUntouched(t *testing.T) {
	g := newGated(t, nil)
	with := g.ticket("/eleve.html", pupil)
	if d := g.visit(http.MethodGet, with); d.Event != LoggedIn {
		t.Fatalf("login: %s", outcome(d))
	}
	for _, test := range []struct {
		target string
		strip  bool
	}{
		{"/eleve.html?ticket=ST-another", false},
		{"/message.html?ticket=ST-another", false},
		{with, true}, // the ticket that this session was made from: a reload, a step back
	} {
		if d := g.visit(http.MethodGet, test.target); d.Action != Pass || d.StripTickets != test.strip {
			t.Errorf("with a session, %s: %s, strip %v, want %v", test.target, outcome(d), d.StripTickets, test.strip)
		}
	}
	tab := g.another() // set out for the same page before the login, and is still away
	tab.visit(http.MethodGet, "/eleve.html")
	g.cookies[g.initiationCookie()] = tab.cookies[g.initiationCookie()]
	if d := g.visit(http.MethodGet, with); d.Action != Pass || !d.StripTickets {
		t.Errorf("the session's own ticket, while another tab logs in: %s, strip %v", outcome(d), d.StripTickets)
	}
	if d := g.another().visit(http.MethodGet, "/message.html?ticket=ST-another"); d.Action != Pass || d.StripTickets {
		t.Errorf("an open page: %s", outcome(d))
	}
}

func TestUselessTicketsEndInAPageThatNamesTheCause(t *testing.T) {
	refusing := func(g *gated, body string) { g.cas.SetFault(castest.Fault{Body: []byte(body)}) }
	saml := func(code string) string {
		return `<E:Envelope xmlns:E="http://schemas.xmlsoap.org/soap/envelope/"><E:Body><Response xmlns="urn:oasis:names:tc:SAML:1.0:protocol" xmlns:p="urn:oasis:names:tc:SAML:1.0:protocol" MajorVersion="1" MinorVersion="1" ResponseID="r" IssueInstant="2026-01-01T00:00:00Z"><Status><StatusCode Value="p:` + code + `"/></Status></Response></E:Body></E:Envelope>`
	}
	cas2 := func(code string) string {
		return `<cas:serviceResponse xmlns:cas="http://www.yale.edu/tp/cas"><cas:authenticationFailure code="` + code + `">no</cas:authenticationFailure></cas:serviceResponse>`
	}
	speaks := func(c *Config) {
		c.CAS.Protocol = protocol.CAS2
		c.CAS.ValidateURL = strings.Replace(c.CAS.ValidateURL, "/samlValidate", "/serviceValidate", 1)
	}
	for _, test := range []struct {
		name   string
		change func(*Config)
		spoil  func(*gated)
		rounds int
		want   Reason
	}{
		{"refused", nil, func(g *gated) { refusing(g, saml("Responder")) }, 3, TicketRefused},
		{"invalid ticket", speaks, func(g *gated) { refusing(g, cas2("INVALID_TICKET")) }, 3, TicketRefused},
		{"service not declared", speaks, func(g *gated) { refusing(g, cas2("INVALID_SERVICE")) }, 3, ServiceRefused},
		{"the server's own error", speaks, func(g *gated) { refusing(g, cas2("INTERNAL_ERROR")) }, 1, CASUnavailable},
		{"no answer", nil, func(g *gated) { g.cas.SetFault(castest.Fault{Status: 502}) }, 1, CASUnavailable},
		{"a login page", nil, func(g *gated) { refusing(g, "<!doctype html><title>Connexion</title>") }, 1, CASUnreadable},
		{"a redirect", nil, func(g *gated) { g.cas.SetFault(castest.Fault{Redirect: public}) }, 1, CASUnavailable},
	} {
		g := newGated(t, test.change)
		for round := 1; ; round++ {
			with := g.ticket("/eleve.html", pupil)
			test.spoil(g)
			d := g.visit(http.MethodGet, with)
			g.cas.SetFault(castest.Fault{})
			if d.Action == Redirect && round < test.rounds {
				continue
			}
			if outcome(d) != string(test.want) || round != test.rounds {
				t.Errorf("%s: round %d: %s, want %s in round %d", test.name, round, outcome(d), test.want, test.rounds)
			}
			break
		}
	}
}

func TestFixedServiceLeadsBackToThePageAskedFor(t *testing.T) {
	g := newGated(t, func(c *Config) { c.ServiceURL = public + "/eleve.html" })
	d := g.visit(http.MethodGet, "/parent.html?fd=1")
	if !strings.HasSuffix(d.Location, "service="+url.QueryEscape(public+"/eleve.html")) {
		t.Fatalf("the service is %s", d.Location)
	}
	jar, _ := cookiejar.New(nil)
	back, err := g.cas.Login(&http.Client{Jar: jar}, d.Location, pupil)
	if err != nil {
		t.Fatal(err)
	}
	if d := g.visit(http.MethodGet, strings.TrimPrefix(back, public)); d.Event != LoggedIn || d.Location != public+"/parent.html?fd=1" {
		t.Errorf("back at %s: %s", d.Location, outcome(d))
	}
}

// A useless ticket comes back at the service as well, and starts over for the page.
func TestFixedServiceStartsOverForThePageAskedFor(t *testing.T) {
	g := newGated(t, func(c *Config) { c.ServiceURL = public + "/eleve.html" })
	g.visit(http.MethodGet, "/parent.html?fd=1")
	again := g.visit(http.MethodGet, "/eleve.html?ticket=ST-useless")
	if again.Event != LoginStarted {
		t.Fatalf("a useless ticket: %s", outcome(again))
	}
	jar, _ := cookiejar.New(nil)
	back, err := g.cas.Login(&http.Client{Jar: jar}, again.Location, pupil)
	if err != nil {
		t.Fatal(err)
	}
	if d := g.visit(http.MethodGet, strings.TrimPrefix(back, public)); d.Event != LoggedIn || d.Location != public+"/parent.html?fd=1" {
		t.Errorf("back at %s: %s", d.Location, outcome(d))
	}
}

func TestNewLoginEndsTheOldSession(t *testing.T) {
	g := newGated(t, nil)
	g.login("/eleve.html", pupil)
	old := g.cookies["__Host-pronote_cas"]
	second := g.another()
	with := second.ticket("/eleve.html", "nadia.durand")
	g.cookies["__Host-pronote_cas_login"] = second.cookies["__Host-pronote_cas_login"]
	if d := g.visit(http.MethodGet, with); d.Event != LoggedIn {
		t.Fatalf("second login: %s", outcome(d))
	}
	if g.cookies["__Host-pronote_cas"] == old {
		t.Error("the session id stays over a login (fixation)")
	}
	g.cookies["__Host-pronote_cas"] = old
	if d := g.visit(http.MethodGet, "/eleve.html"); d.Session != nil {
		t.Error("the old session lives on")
	}
}

func TestLoginURLOfAScriptLeadsBackToItsPage(t *testing.T) {
	for referer, want := range map[string]string{
		"":                                     "/",
		public + "/eleve.html?fd=1":            "/eleve.html?fd=1",
		public + "/eleve.html?ticket=ST-1":     "/eleve.html",
		public + "/appelfonction/3/1/a":        "/",
		public + "/pronote-cas/":               "/",
		public + ".evil.example/eleve.html":    "/",
		"https://evil.example/eleve.html":      "/",
		"http://pronote.example.fr/eleve.html": "/",
		"https://u@pronote.example.fr/x":       "/",
		public + "/a/../b":                     "/",
	} {
		g := newGated(t, nil)
		d := g.visit(http.MethodPost, "/appelfonction/3/1/a", "Sec-Fetch-Mode", "cors", "Sec-Fetch-Dest", "empty", "Referer", referer)
		if outcome(d) != string(SessionRequired) || !strings.HasSuffix(d.Location, "service="+url.QueryEscape(public+want)) {
			t.Errorf("Referer %q: login_url %s, want %s", referer, d.Location, want)
		}
	}
}

func TestTwoCookiesOfOneNameOpenNothing(t *testing.T) {
	g := newGated(t, nil)
	g.login("/eleve.html", pupil)
	mine := "__Host-pronote_cas=" + g.cookies["__Host-pronote_cas"]
	for cookies, want := range map[string]string{
		mine:                                   "pass as " + pupil,
		mine + "; " + mine:                     "pass as " + pupil,
		"a=b;" + mine + " ;c=d":                "pass as " + pupil,
		"__Host-pronote_cas=tossed; " + mine:   "login",
		mine + "; __Host-pronote_cas=tossed":   "login",
		"x" + mine:                             "login",
		strings.ToLower(mine):                  "login",
		mine + "x":                             "login",
		"__Host-pronote_cas=; " + "__Host-a=b": "login",
	} {
		if got := outcome(g.visit(http.MethodGet, "/eleve.html", "Cookie", cookies)); got != want {
			t.Errorf("Cookie %q: %s, want %s", cookies, got, want)
		}
	}
}
