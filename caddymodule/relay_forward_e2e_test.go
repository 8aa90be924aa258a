package caddymodule

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/pronote-cas/caddy-pronote-cas/casauth/castest"
	"github.com/pronote-cas/caddy-pronote-cas/casauth/pronotetest"
)

// passThrough is a PRONOTE that logs in at the ENT itself, and whose validation
// address alone is the relay's: two settings of one base in the stand-in.
func passThrough(validation, protocol string) func(*school, *plan) {
	return func(sc *school, p *plan) {
		p.relay = "forward"
		p.lines = []string{"protocol " + protocol}
		p.recent.CAS = &pronotetest.CAS{URL: sc.cas.URL, ValidationPath: validation}
		p.recent.Client = &http.Client{Transport: atRelay{sc.caller("127.0.0.1", 0).Transport}}
	}
}

// atRelay takes a validation to the relay instead of the ENT.
type atRelay struct{ http.RoundTripper }

func (a atRelay) RoundTrip(r *http.Request) (*http.Response, error) {
	relayed := r.Clone(r.Context())
	relayed.URL.Scheme, relayed.URL.Host, relayed.Host = "https", "pronote.example.fr", ""
	relayed.URL.Path = strings.Replace(r.URL.Path, "/cas/", "/pronote-cas/", 1)
	return a.RoundTripper.RoundTrip(relayed)
}

// The service has two names and each side knows one: the ENT the public one,
// PRONOTE its own, which its reader compares with Recipient and Audience.
func TestPassThrough(t *testing.T) {
	for _, c := range []struct{ validation, protocol, endpoint string }{
		{"/samlValidate", "saml11", "/samlValidate"},
		{"/serviceValidate", "cas2", "/serviceValidate"},
		{"/p3/serviceValidate", "cas3", "/p3/serviceValidate"},
	} {
		t.Run(c.protocol, func(t *testing.T) {
			sc := startSchool(t, passThrough(c.validation, c.protocol))
			v := sc.visitor()
			for _, page := range []string{"/pronote/eleve.html?fd=1&a=%C3%A9", "/pronote/mobile.eleve.html"} {
				if got := v.enter(page, pupil); !strings.Contains(got.body, "la délégation CAS") || v.forms != 1 {
					t.Errorf("%s: %s after %d forms\n%s\n%s\n%s", page, got.Status, v.forms, got.body, strings.Join(v.hops, "\n"), refusals(sc.log.String()))
				}
			}
			sc.keepsSecret(v)
			if n := sc.cas.Counts().Validations[c.endpoint]; n != 3 { // the gate's own, and two of PRONOTE's
				t.Errorf("%d validations at %s: %v", n, c.endpoint, sc.cas.Counts().Validations)
			}
			for _, s := range sc.recent.Sessions() {
				if sc.cas.ValidationsOf(s.Ticket) != 1 {
					t.Errorf("a ticket was validated %d times", sc.cas.ValidationsOf(s.Ticket))
				}
				if strings.Contains(ours(sc.log.String()), s.Ticket) {
					t.Error("a ticket is in our log")
				}
			}
			sc.cas.EndSessions(pupil)
			if got := v.get("/pronote/eleve.html"); !strings.HasPrefix(got.location(), sc.cas.URL+"/login?") {
				t.Errorf("after single logout: %s to %q", got.Status, got.location())
			}
		})
	}
}

// What the ENT is asked and answers stays between the three of them.
func TestPassThroughPassesNothingElse(t *testing.T) {
	sc := startSchool(t, passThrough("/samlValidate", "saml11"))
	pronote := sc.caller("127.0.0.1", 0)
	service, shown := sc.recent.URL+"eleve.html", public+"/pronote/eleve.html"
	at := sc.cas.Counts().TotalValidations

	ticket := sc.cas.Ticket(pupil, shown)
	if got := sc.ask(sc.caller("127.0.0.2", 0), "samlValidate", service, ticket); got.StatusCode != http.StatusForbidden || at() != 0 {
		t.Errorf("a foreign caller: %s, %d validations", got.Status, at())
	}
	if got := sc.ask(pronote, "samlValidate", "https://evil.example/", ticket); granted(got.body) || at() != 0 {
		t.Errorf("a foreign service: %s, %d validations", got.body, at())
	}
	if got := sc.ask(pronote, "samlValidate", service, "ST-29921686-"+strings.Repeat("A", 52)); granted(got.body) || at() != 0 {
		t.Errorf("a ticket that only we could have issued: %s, %d validations", got.body, at())
	}
	for _, c := range []struct{ issued, asked string }{{shown, service}, {shown, shown}} {
		got := sc.ask(pronote, "samlValidate", c.asked, sc.cas.Ticket(pupil, c.issued))
		if !granted(got.body) || !strings.Contains(got.body, `Recipient="`+c.asked+`"`) || !strings.Contains(got.body, `InResponseTo="_4711"`) || !strings.Contains(got.body, ">"+c.asked+"</Audience>") {
			t.Errorf("for %s: %s\n%s", c.asked, got.Status, got.body)
		}
	}
	// A ticket for another page is the ENT's to refuse.
	if got := sc.ask(pronote, "samlValidate", service, sc.cas.Ticket(pupil, public+"/pronote/parent.html")); granted(got.body) || got.StatusCode != http.StatusOK {
		t.Errorf("another page's ticket: %s", got.body)
	}
	// The ENT is down, or says anything: nobody comes of it, and PRONOTE gets an answer.
	for name, fault := range map[string]castest.Fault{
		"down": {Down: true}, "an error": {Status: 500}, "a page": {Body: []byte("<html>Maintenance</html>"), ContentType: "text/html"}, "elsewhere": {Redirect: "https://evil.example/"},
		"another person": {Body: []byte(`<cas:serviceResponse xmlns:cas="http://www.yale.edu/tp/cas"><cas:authenticationSuccess><cas:user>x</cas:user></cas:authenticationSuccess></cas:serviceResponse>`)},
	} {
		sc.cas.SetFault(fault)
		if got := sc.ask(pronote, "samlValidate", service, sc.cas.Ticket(pupil, shown)); got.StatusCode != http.StatusOK || granted(got.body) || strings.Contains(got.body, "evil") {
			t.Errorf("%s: %s\n%s", name, got.Status, got.body)
		}
	}
	sc.cas.SetFault(castest.Fault{})

	// The relay's own login still works beside it.
	v := sc.visitor()
	v.enter("/pronote/eleve.html", pupil)
	if got := sc.ask(pronote, "samlValidate", service, v.ticketFor(service)); !granted(got.body) {
		t.Errorf("a ticket of ours: %s", got.body)
	}
	if strings.Contains(sc.told.String(), url.QueryEscape(service)) || len(sc.private(sc.told.String())) > 0 {
		t.Error("the ENT was told of a private address")
	}
}
