package caddymodule

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// A browser logs in once, and lands in both kinds of an unmodified PRONOTE.net.
// Their own readers have judged the answers: Recipient, Audience, InResponseTo.
func TestOneLoginOpensBothPRONOTEs(t *testing.T) {
	sc := startSchool(t)
	v := sc.visitor()
	for _, page := range []string{public + "/pronote/eleve.html?fd=1&a=%C3%A9", old + "/eleve.html", public + "/pronote/mobile.eleve.html", public + "/pronote/", old + "/mobile.eleve.html"} {
		got := v.enter(page, pupil)
		if got.StatusCode != http.StatusOK || !strings.Contains(got.body, "Bonjour Camille Durand") || !strings.Contains(got.body, "la délégation CAS") {
			t.Errorf("%s ends in %s:\n%s\n%s", page, got.Status, got.body, strings.Join(v.hops, "\n"))
		}
		v.hops = append(v.hops, "")
	}
	if counts := sc.cas.Counts(); v.forms != 1 || counts.Logins != 1 {
		t.Errorf("%d forms, %d logins", v.forms, counts.Logins)
	}
	if n := len(sc.recent.Sessions()) + len(sc.legacy.Sessions()); n != 5 {
		t.Errorf("PRONOTE has %d sessions", n)
	}
	sc.keepsSecret(v)
	for _, page := range []string{sc.recent.URL + "eleve.html", sc.legacy.URL + "eleve.html"} {
		if direct := v.get(page); direct.StatusCode != http.StatusFound || len(sc.private(direct.location())) == 0 {
			t.Errorf("PRONOTE itself leads to %q: what is above proves nothing", direct.location())
		}
	}
}

// PRONOTE's own "test d'authentification" of 2011 shows what it was told.
func TestPRONOTEsOwnTestSeesEveryAttribute(t *testing.T) {
	sc := startSchool(t)
	v := sc.visitor()
	got := v.enter(old+"/pronote.net/cas/accueil/", pupil)
	for _, want := range []string{"L’authentification a réussi.", pupil, pupilID, "login", "idPronote", "dateNaissance", "14/03/2011", "National_1", "Durand"} {
		if !strings.Contains(got.body, want) {
			t.Errorf("%q is not on the page:\n%s", want, got.body)
		}
	}
	sc.keepsSecret(v)
}

// Somebody whom PRONOTE does not let in there is told so by PRONOTE, once.
func TestPRONOTEDecidesWhoMayEnter(t *testing.T) {
	sc := startSchool(t)
	v := sc.visitor()
	if got := v.enter("/pronote/professeur.html", pupil); !strings.Contains(got.body, "n’a pas accès à cette page") {
		t.Errorf("a pupil at the teachers' page: %s\n%s", got.Status, got.body)
	}
}

func TestEveryEndpointAnswersOnce(t *testing.T) {
	sc := startSchool(t)
	v := sc.visitor()
	v.enter("/pronote/eleve.html", pupil)
	pronote := sc.caller("127.0.0.1", 0)
	service := sc.recent.URL + "parent.html?fd=1"
	for endpoint, want := range map[string][]string{
		"validate":                    {"yes\n" + pupil + "\n"},
		"serviceValidate":             {"<cas:user>" + pupil + "</cas:user>", "<cas:idPronote>" + pupilID + "</cas:idPronote>", "<cas:login>", "<cas:nom>Durand<"},
		"proxyValidate":               {"<cas:user>" + pupil + "</cas:user>", pupilID},
		"p3/serviceValidate":          {"<cas:user>" + pupil + "</cas:user>", pupilID, "<cas:isFromNewLogin>", "<cas:authenticationDate>"},
		"p3/proxyValidate":            {"<cas:user>" + pupil + "</cas:user>", pupilID},
		"serviceValidate?format=JSON": {`"user":"` + pupil + `"`, `"idPronote":["` + pupilID + `"]`},
		"samlValidate": {`<Response xmlns="urn:oasis:names:tc:SAML:1.0:protocol"`, `Recipient="` + service + `"`, `InResponseTo="_4711"`,
			"<Audience>" + service + "</Audience>", ">" + pupil + "</NameIdentifier>", "<AttributeValue>" + pupilID + "</AttributeValue>"},
	} {
		ticket := v.ticketFor(service)
		got := sc.ask(pronote, endpoint, service, ticket)
		for _, text := range want {
			if !strings.Contains(got.body, text) {
				t.Errorf("%s: %s without %q:\n%s", endpoint, got.Status, text, got.body)
			}
		}
		if got.StatusCode != http.StatusOK || !granted(got.body) || got.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %s %v", endpoint, got.Status, got.Header)
		}
		if again := sc.ask(pronote, endpoint, service, ticket); again.StatusCode != http.StatusOK || granted(again.body) || strings.Contains(again.body, pupil) || strings.Contains(again.body, ticket) {
			t.Errorf("%s, a second time: %s\n%s", endpoint, again.Status, again.body)
		}
		if strings.Contains(ours(sc.log.String()), ticket) {
			t.Errorf("%s: the ticket is in our log", endpoint)
		}
	}
	for _, endpoint := range []string{"proxy", "samlvalidate", "p3/validate", "validate/", "p3/", "p3/samlValidate"} {
		ticket := v.ticketFor(service)
		if got := sc.ask(pronote, endpoint, service, ticket); got.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %s", endpoint, got.Status)
		}
	}
}

// A validation repeated, by a retry or by somebody who listens, at two nodes in
// the same instant: one gets to know who it is.
func TestOneSuccessForATicketAtTwoNodes(t *testing.T) {
	sc := startSchool(t)
	sc.node()
	v := sc.visitor()
	v.enter("/pronote/eleve.html", pupil)
	service := sc.recent.URL + "eleve.html"
	callers := []*http.Client{sc.caller("127.0.0.1", 0), sc.caller("127.0.0.1", 1)}
	for range 8 {
		ticket := v.ticketFor(service)
		var good, bad atomic.Int32
		var all sync.WaitGroup
		begin := make(chan struct{})
		for i := range 20 {
			all.Go(func() {
				<-begin
				switch got := sc.ask(callers[i%2], []string{"samlValidate", "serviceValidate"}[i/2%2], service, ticket); {
				case granted(got.body):
					good.Add(1)
				case got.StatusCode == http.StatusOK:
					bad.Add(1)
				}
			})
		}
		close(begin)
		all.Wait()
		if good.Load() != 1 || bad.Load() != 19 {
			t.Errorf("%d successes, %d refusals", good.Load(), bad.Load())
		}
	}
	// And what one node issued, the other one validates.
	if got := sc.ask(callers[1], "serviceValidate", service, v.ticketFor(service)); !granted(got.body) {
		t.Errorf("at the other node: %s\n%s", got.Status, got.body)
	}
}

func TestTicketsThatAreGoodForNothingAnyMore(t *testing.T) {
	sc := startSchool(t, func(_ *school, p *plan) { p.relay = "ticket_ttl 1s" })
	v := sc.visitor()
	v.enter("/pronote/eleve.html", pupil)
	pronote := sc.caller("127.0.0.1", 0)
	service := sc.recent.URL + "eleve.html"

	late := v.ticketFor(service)
	time.Sleep(1100 * time.Millisecond)
	if got := sc.ask(pronote, "serviceValidate", service, late); granted(got.body) || !strings.Contains(got.body, `"INVALID_TICKET"`) {
		t.Errorf("after its time: %s", got.body)
	}

	for _, other := range []string{sc.recent.URL + "parent.html", public + "/pronote/eleve.html?fd=1", "http://127.0.0.1:1/pronote/eleve.html", "https://evil.example/"} {
		ticket := v.ticketFor(service)
		if got := sc.ask(pronote, "serviceValidate", other, ticket); granted(got.body) || !strings.Contains(got.body, `"INVALID_SERVICE"`) {
			t.Errorf("for %s: %s", other, got.body)
		}
		if got := sc.ask(pronote, "serviceValidate", service, ticket); granted(got.body) {
			t.Errorf("after it was tried for %s: %s", other, got.body)
		}
	}
	for _, same := range []string{public + "/pronote/eleve.html", strings.Replace(service, "http:", "HTTP:", 1)} {
		if got := sc.ask(pronote, "serviceValidate", same, v.ticketFor(service)); !granted(got.body) {
			t.Errorf("for %s, which is the same: %s", same, got.body)
		}
	}

	dead := v.ticketFor(service)
	v.get("/pronote-cas/logout")
	if got := sc.ask(pronote, "samlValidate", service, dead); granted(got.body) || strings.Contains(got.body, pupil) {
		t.Errorf("after the logout: %s", got.body)
	}
}

// CAS 3.0 §2.1.1 and §2.5.1: renew wants credentials given for this very ticket.
func TestRenewAsksForFreshCredentials(t *testing.T) {
	sc := startSchool(t)
	v := sc.visitor()
	v.enter("/pronote/eleve.html", pupil)
	pronote := sc.caller("127.0.0.1", 0)
	service := sc.recent.URL + "eleve.html"

	renewed := func() string {
		t.Helper()
		asked := v.get(relayLogin(service, "renew=true"))
		if !strings.HasPrefix(asked.location(), sc.cas.URL+"/login?") || !strings.Contains(asked.location(), "renew=true") {
			t.Fatalf("%s to %q, want the ENT's form", asked.Status, asked.location())
		}
		forms := sc.cas.Counts().Logins
		back := v.get(v.ticket(asked.location(), pupil))
		if ticketIn(back.location()) == "" || sc.cas.Counts().Logins != forms+1 {
			t.Fatalf("with new credentials: %s to %q\n%s", back.Status, back.location(), back.body)
		}
		return ticketIn(back.location())
	}
	for _, endpoint := range []string{"serviceValidate?renew=true", "samlValidate?renew=true", "validate?renew=true", "serviceValidate"} {
		if got := sc.ask(pronote, endpoint, service, renewed()); !granted(got.body) {
			t.Errorf("%s, fresh: %s", endpoint, got.body)
		}
	}
	for _, endpoint := range []string{"serviceValidate?renew=true", "samlValidate?renew=true", "validate?renew=true"} {
		if got := sc.ask(pronote, endpoint, service, v.ticketFor(service)); granted(got.body) {
			t.Errorf("%s, from the session: %s", endpoint, got.body)
		}
	}
	// The session of ours is gone, that of the ENT is not: nobody types a password.
	v.Jar.SetCookies(mustURL(t, public), []*http.Cookie{{Name: "__Host-pronote_cas", MaxAge: -1, Path: "/", Secure: true}})
	forms := sc.cas.Counts().Logins
	asked := v.get(relayLogin(service))
	back := v.get(v.ticket(asked.location(), pupil))
	if ticketIn(back.location()) == "" || sc.cas.Counts().Logins != forms {
		t.Fatalf("single sign-on at the ENT: %s to %q", back.Status, back.location())
	}
	if got := sc.ask(pronote, "serviceValidate?renew=true", service, ticketIn(back.location())); granted(got.body) {
		t.Errorf("renew, and the ENT's single sign-on: %s", got.body)
	}
}

func TestGatewayNeverAsks(t *testing.T) {
	sc := startSchool(t)
	service := sc.recent.URL + "eleve.html?fd=1"
	v := sc.visitor()
	if got := v.get(relayLogin(service, "gateway=true")); got.StatusCode != http.StatusFound || got.location() != public+"/pronote/eleve.html?fd=1" {
		t.Errorf("without a session: %s to %q", got.Status, got.location())
	}
	if got := v.get(relayLogin(service, "gateway=true", "renew=true")); !strings.HasPrefix(got.location(), sc.cas.URL+"/login?") {
		t.Errorf("renew wins: %s to %q", got.Status, got.location())
	}
	v.enter("/pronote/eleve.html", pupil)
	got := v.get(relayLogin(service, "gateway=true"))
	if !strings.HasPrefix(got.location(), public+"/pronote/eleve.html?fd=1&ticket=ST-") {
		t.Errorf("with a session: %s to %q", got.Status, got.location())
	}
}

func TestTARGETGetsSAMLart(t *testing.T) {
	sc := startSchool(t)
	v := sc.visitor()
	service := sc.recent.URL + "eleve.html"
	got := v.enter("/pronote-cas/login?TARGET="+url.QueryEscape(service), pupil)
	if got.StatusCode != http.StatusOK || !strings.Contains(got.body, "la délégation CAS") || v.forms != 1 {
		t.Errorf("%s\n%s", got.Status, strings.Join(v.hops, "\n"))
	}
	if !slices.ContainsFunc(v.hops, func(hop string) bool { return strings.HasPrefix(hop, public+"/pronote/eleve.html?SAMLart=ST-") }) {
		t.Errorf("no SAMLart:\n%s", strings.Join(v.hops, "\n"))
	}
	sc.keepsSecret(v)
}

// Each tab's login is its own: the relay's ticket is none that another tab is
// waiting for, and the ENT is never asked about it.
func TestTabsThatLogInAtOnceDoNotDisturbPRONOTE(t *testing.T) {
	sc := startSchool(t)
	v := sc.visitor()
	first := v.setOut("/pronote/eleve.html")
	second := v.enter("/pronote/eleve.html", pupil)
	if !strings.Contains(second.body, "la délégation CAS") {
		t.Errorf("the second tab: %s\n%s", second.Status, second.body)
	}
	if n := sc.cas.Counts().TotalValidations(); n != 1 {
		t.Errorf("the ENT was asked about %d tickets", n)
	}
	if got := v.enter(first, pupil); !strings.Contains(got.body, "la délégation CAS") || v.forms != 1 {
		t.Errorf("the first tab: %s after %d forms\n%s", got.Status, v.forms, got.body)
	}
	for _, session := range sc.recent.Sessions() {
		if sc.cas.ValidationsOf(session.Ticket) != 0 {
			t.Error("the ENT was asked about the relay's ticket")
		}
	}
}

// An ENT that knows one service only says nothing of where the browser wanted to go.
func TestRelayWithOneFixedService(t *testing.T) {
	const fixed = public + "/pronote/retour"
	sc := startSchool(t, func(_ *school, p *plan) { p.lines = []string{"service_url " + fixed} })
	v := sc.visitor()
	if got := v.enter("/pronote/eleve.html?fd=1", pupil); !strings.Contains(got.body, "la délégation CAS") {
		t.Errorf("%s\n%s", got.Status, strings.Join(v.hops, "\n"))
	}
	v = sc.visitor()
	service := sc.recent.URL + "parent.html"
	if got := v.enter(relayLogin(service), parent); !strings.Contains(got.body, "Bonjour Nadia Durand") || v.forms != 1 {
		t.Errorf("from the relay's login: %s after %d forms\n%s", got.Status, v.forms, strings.Join(v.hops, "\n"))
	}
	if got := v.enter(relayLogin(service, "renew=true"), parent); !strings.Contains(got.body, "Bonjour Nadia Durand") || v.forms != 2 {
		t.Errorf("with renew: %s after %d forms\n%s", got.Status, v.forms, strings.Join(v.hops, "\n"))
	}
	for line := range strings.Lines(sc.told.String()) {
		if strings.HasPrefix(line, "GET /cas/login?") && !strings.Contains(line, "service="+url.QueryEscape(fixed)) {
			t.Errorf("the ENT is asked for another service: %s", line)
		}
	}
}

// A directive with a matcher gates less, and relays all the same.
func TestRelayOutsideTheMatcher(t *testing.T) {
	sc := startSchool(t, func(_ *school, p *plan) { p.matcher = "/pronote/*" })
	v := sc.visitor()
	if got := v.enter("/pronote/eleve.html", pupil); !strings.Contains(got.body, "la délégation CAS") {
		t.Errorf("%s\n%s", got.Status, strings.Join(v.hops, "\n"))
	}
	if got := sc.ask(sc.caller("127.0.0.1", 0), "validate", sc.recent.URL, v.ticketFor(sc.recent.URL)); !granted(got.body) {
		t.Errorf("%s %q", got.Status, got.body)
	}
	sc.keepsSecret(v)
	if got := fmt.Sprint(sc.ask(sc.caller("127.0.0.2", 0), "validate", sc.recent.URL, "ST-1").StatusCode); got != "403" {
		t.Errorf("a foreign caller: %s", got)
	}
}
