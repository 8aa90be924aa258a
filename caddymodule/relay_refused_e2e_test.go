package caddymodule

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/pronote-cas/caddy-pronote-cas/casauth/pronotetest"
)

// Who else could ask the relay who a ticket stands for could play PRONOTE.
func TestOnlyPRONOTEMayValidate(t *testing.T) {
	const trusted, stranger = "127.0.0.7", "127.0.0.2"
	sc := startSchool(t, func(_ *school, p *plan) {
		p.global = "servers {\ntrusted_proxies static " + trusted + "\ntrusted_proxies_strict\n}"
	})
	v := sc.visitor()
	v.enter("/pronote/eleve.html", pupil)
	service := sc.recent.URL + "eleve.html"
	for name, c := range map[string]struct {
		from    string
		headers []string
		want    int
	}{
		"PRONOTE":                                 {"127.0.0.1", nil, 200},
		"PRONOTE, with a header that says who":    {"127.0.0.1", []string{"X-Forwarded-For", "10.1.2.3"}, 200},
		"a stranger":                              {stranger, nil, 403},
		"a stranger who says that he is PRONOTE":  {stranger, []string{"X-Forwarded-For", "127.0.0.1"}, 403},
		"by Forwarded":                            {stranger, []string{"Forwarded", "for=127.0.0.1"}, 403},
		"by X-Real-IP":                            {stranger, []string{"X-Real-Ip", "127.0.0.1", "X-Client-Ip", "127.0.0.1", "Client-Ip", "127.0.0.1"}, 403},
		"by other names":                          {stranger, []string{"True-Client-Ip", "127.0.0.1", "Cf-Connecting-Ip", "127.0.0.1", "X-Cluster-Client-Ip", "127.0.0.1"}, 403},
		"PRONOTE, through a proxy that is known":  {trusted, []string{"X-Forwarded-For", "127.0.0.1"}, 200},
		"a stranger, through it":                  {trusted, []string{"X-Forwarded-For", "10.1.2.3"}, 403},
		"a stranger, who put PRONOTE before":      {trusted, []string{"X-Forwarded-For", "127.0.0.1, 10.1.2.3"}, 403},
		"the proxy itself":                        {trusted, nil, 403},
		"what is no address, through it":          {trusted, []string{"X-Forwarded-For", "localhost"}, 403},
		"the address of IPv6 that means the same": {trusted, []string{"X-Forwarded-For", "::ffff:127.0.0.1"}, 200},
	} {
		caller := sc.caller(c.from, 0)
		for _, endpoint := range []string{"validate", "serviceValidate", "p3/serviceValidate", "proxyValidate", "p3/proxyValidate", "samlValidate"} {
			ticket := v.ticketFor(service)
			got := sc.ask(caller, endpoint, service, ticket, c.headers...)
			if got.StatusCode != c.want || granted(got.body) != (c.want == 200) || c.want != 200 && strings.Contains(got.body, pupil) {
				t.Errorf("%s at %s: %s\n%s", name, endpoint, got.Status, got.body)
			}
			// A stranger does not spend it either.
			if again := sc.ask(sc.caller("127.0.0.1", 0), endpoint, service, ticket); granted(again.body) != (c.want != 200) {
				t.Errorf("%s at %s, then PRONOTE: %s", name, endpoint, again.body)
			}
		}
	}
	// The browser comes by a socket: nobody's address. Its cookie changes nothing.
	if got := v.get("/pronote-cas/validate?service=" + url.QueryEscape(service) + "&ticket=" + v.ticketFor(service)); got.StatusCode != http.StatusForbidden || granted(got.body) {
		t.Errorf("the browser itself: %s\n%s", got.Status, got.body)
	}
}

// PRONOTE lives below a path of its own, which a rewrite adds: the relay is where it
// was asked for, and so is what a person is told to try again.
func TestARewriteChangesNothingOfWhatWasAsked(t *testing.T) {
	s := startWith(t, func(s *rig) string {
		return strings.Replace(s.caddyfile("rewrite * /pronote{uri}", "root /pronote/", "relay {\nallow_from 127.0.0.1\nservice "+public+"\n}"),
			"auto_https off", "auto_https off\nservers {\ntrusted_proxies_unix\n}", 1)
	})
	b := s.browser()
	validate := "/pronote-cas/samlValidate?TARGET=" + url.QueryEscape(public+"/eleve.html")
	for from, want := range map[string]int{"127.0.0.1": 200, "127.0.0.2": 403} {
		if got := b.send(http.MethodPost, validate, fmt.Sprintf(soap, "ST-1"), "X-Forwarded-For", from, "Content-Type", "text/xml"); got.StatusCode != want {
			t.Errorf("PRONOTE at %s: %s\n%s", from, got.Status, got.body)
		}
	}
	if got := b.get("/eleve.html?ticket=ST-1", "Early-Data", "1"); got.StatusCode != http.StatusTooEarly || !strings.Contains(got.body, `"`+public+`/eleve.html"`) {
		t.Errorf("%s\n%s", got.Status, got.body)
	}
	if got := b.get("/a;b"); got.StatusCode != http.StatusBadRequest || strings.Contains(got.body, "/pronote/a") {
		t.Errorf("%s\n%s", got.Status, got.body)
	}
}

// Without trusted_proxies_strict, Caddy takes the first address of X-Forwarded-For
// for the client's, which a proxy that appends leaves to the client to write.
func TestAnAddressThatTheCallerWroteIsNotBelieved(t *testing.T) {
	const trusted = "127.0.0.7"
	sc := startSchool(t, func(_ *school, p *plan) {
		p.global = "servers {\ntrusted_proxies static " + trusted + "\nclient_ip_headers X-Forwarded-For X-Client\n}"
	})
	if got := sc.ask(sc.caller(trusted, 0), "serviceValidate", sc.recent.URL, "ST-1", "X-Client", "127.0.0.1, 10.1.2.3"); got.StatusCode != http.StatusForbidden {
		t.Errorf("another header that Caddy is told of: %s", got.Status)
	}
	for written, want := range map[string]int{
		"127.0.0.1": 200, "10.1.2.3": 403, "127.0.0.1, 10.1.2.3": 403, "10.1.2.3, 127.0.0.1": 403, "127.0.0.1 ,10.1.2.3": 403,
		"unknown, 127.0.0.1, 10.1.2.3": 403, ", 127.0.0.1, 10.1.2.3": 403, "127.0.0.1:80, 10.1.2.3": 403, "::ffff:127.0.0.1, 10.1.2.3": 403,
	} {
		if got := sc.ask(sc.caller(trusted, 0), "serviceValidate", sc.recent.URL, "ST-1", "X-Forwarded-For", written); got.StatusCode != want {
			t.Errorf("X-Forwarded-For: %s: %s, want %d", written, got.Status, want)
		}
	}
}

// With trusted_proxies_strict Caddy reads the addresses from the end, which the trusted
// proxy wrote.
func TestAProxyThatAppendsIsBelievedWhereCaddyIsStrict(t *testing.T) {
	const trusted = "127.0.0.7"
	sc := startSchool(t, func(_ *school, p *plan) {
		p.global = "servers {\ntrusted_proxies static " + trusted + "\ntrusted_proxies_strict\n}"
	})
	for written, want := range map[string]int{"10.1.2.3, 127.0.0.1": 200, "127.0.0.1, 10.1.2.3": 403} {
		if got := sc.ask(sc.caller(trusted, 0), "serviceValidate", sc.recent.URL, "ST-1", "X-Forwarded-For", written); got.StatusCode != want {
			t.Errorf("X-Forwarded-For: %s: %s, want %d", written, got.Status, want)
		}
	}
}

func TestAllowFromIsWhoMayValidate(t *testing.T) {
	sc := startSchool(t, func(_ *school, p *plan) { p.relay = "allow_from 127.0.0.16/30 ::1" })
	for from, want := range map[string]int{"127.0.0.17": 200, "127.0.0.19": 200, "127.0.0.20": 403, "127.0.0.1": 403} {
		if got := sc.ask(sc.caller(from, 0), "serviceValidate", sc.recent.URL, "ST-1"); got.StatusCode != want {
			t.Errorf("%s: %s, want %d", from, got.Status, want)
		}
	}
}

// ticketForm tells a ticket from the code of an incident, such as K7ST-3MB.
var ticketForm = regexp.MustCompile(`ST-[0-9]{5,}-`)

// A login that leads elsewhere with a ticket is how logins are stolen. Each of
// these was an open redirect somewhere.
func TestLoginLeadsNowhereElse(t *testing.T) {
	sc := startSchool(t)
	in := sc.visitor()
	in.enter("/pronote/eleve.html", pupil)
	private := host(sc.recent.URL)
	for _, service := range []string{
		"https://evil.example/pronote/", "http://evil.example", "//evil.example/pronote/", "///evil.example/pronote/", "/\\evil.example/", `\\evil.example\pronote\`,
		public + ".evil.example/pronote/", public + "@evil.example/pronote/", public + ":443@evil.example/pronote/", public + "%40evil.example/pronote/",
		"https://evil.example\\@pronote.example.fr/pronote/", "https://evil.example#@pronote.example.fr/pronote/", "https://evil.example?@pronote.example.fr/pronote/",
		"https://user:password@pronote.example.fr/pronote/", "https:pronote.example.fr/pronote/", "https:/pronote.example.fr/pronote/", "https:///pronote.example.fr/pronote/",
		"HTTPS://evil.example/?" + public + "/pronote/", "javascript:alert(1)//" + public + "/pronote/", "data:text/html," + public, "ftp://pronote.example.fr/pronote/",
		"http://pronote.example.fr/pronote/", "https://pronote.example.fr:8443/pronote/", "https://pronote.example.fr./pronote/", "https://pronote.example.fr\t.evil.example/pronote/",
		"https://pronote.example.fr\r\nLocation: https://evil.example/pronote/", "https://pronote.example.fr%0d%0a.evil.example/pronote/", "https://pronote。example.fr/pronote/",
		"https://pronote.example.fr\x00.evil.example/pronote/", " " + public + "/pronote/", public + "/pronote/ ", "https://PRONOTE.example.fr.evil.example/pronote/",
		"http://" + private + ".evil.example/pronote/", "http://" + private + "@evil.example/pronote/", "https://" + private + "/pronote/", "http://127.0.0.1/pronote/", "http://127.0.0.1:1" + "/pronote/",
		"http://2130706433:" + strings.Split(private, ":")[1] + "/pronote/", "http://0177.0.0.1:" + strings.Split(private, ":")[1] + "/pronote/", "http://localhost:" + strings.Split(private, ":")[1] + "/pronote/",
		public + "/", public, public + "/pronotes/", public + "/pronote/../", public + "/pronote/..%2f..%2fevil", public + "/pronote/%2e%2e/", public + "/pronote/..;/evil", public + "//evil.example/pronote/",
		public + "/pronote//evil.example/%2e%2e", public + "/pronote-cas/logout", public + "/pronote-cas/login?service=" + public + "/pronote/", sc.cas.URL + "/login", old + "/eleve.html", "",
	} {
		for who, v := range map[string]*visitor{"with a session": in, "without": sc.visitor()} {
			for _, name := range []string{"service", "TARGET"} {
				for _, more := range []string{"", "&gateway=true"} {
					got := v.get("/pronote-cas/login?" + name + "=" + url.QueryEscape(service) + more)
					if got.StatusCode != http.StatusForbidden || got.location() != "" || got.Header.Get("Refresh") != "" || ticketForm.MatchString(got.body) {
						t.Errorf("%s, %s=%q%s: %s to %q", who, name, service, more, got.Status, got.location())
					}
				}
			}
		}
	}
	one, evil := url.QueryEscape(public+"/pronote/"), url.QueryEscape("https://evil.example/")
	for _, query := range []string{
		"", "service", "service=", "service=" + one + "&service=" + evil, "service=" + evil + "&service=" + one, "service=" + one + "&TARGET=" + evil, "TARGET=" + evil + "&service=" + one,
		"service=" + one + "&service=" + one, "SERVICE=" + one, "service[]=" + one, "service=%zz", "service=" + one + ";x", "ſervice=" + one, "url=" + one, "service=" + url.QueryEscape(one),
	} {
		if got := in.get("/pronote-cas/login?" + query); got.StatusCode != http.StatusForbidden || got.location() != "" {
			t.Errorf("?%s: %s to %q", query, got.Status, got.location())
		}
	}
	if got := in.get("/pronote-cas/login?service=" + one); ticketIn(got.location()) == "" {
		t.Errorf("PRONOTE itself: %s to %q: what is above proves nothing", got.Status, got.location())
	}
}

// Who writes the services in the configuration means these and no others.
func TestServicesThatAreWritten(t *testing.T) {
	sc := startSchool(t, func(_ *school, p *plan) {
		p.relay = "service " + public + "/pronote/eleve.html " + public + "/pronote/sous"
	})
	v := sc.visitor()
	v.enter("/pronote/eleve.html", pupil)
	for service, ok := range map[string]bool{"/pronote/eleve.html?fd=1": true, "/pronote/sous/page": true, "/pronote/sous": true, "/pronote/sousmarin/": false, "/pronote/parent.html": false, "/pronote/": false} {
		got := v.get(relayLogin(public + service))
		if (got.StatusCode == http.StatusFound) != ok || (ticketIn(got.location()) != "") != ok {
			t.Errorf("%s: %s to %q", service, got.Status, got.location())
		}
	}
}

func TestScriptsGetNoLoginPage(t *testing.T) {
	sc := startSchool(t)
	in := sc.visitor()
	in.enter("/pronote/eleve.html", pupil)
	for who, v := range map[string]*visitor{"with a session": in, "without": sc.visitor()} {
		for _, headers := range [][]string{script, {"Sec-Fetch-Mode", "no-cors", "Sec-Fetch-Dest", "image"}, {"Sec-Fetch-Mode", "", "Sec-Fetch-Dest", "", "Accept", "*/*"}} {
			got := v.get(relayLogin(public+"/pronote/eleve.html"), headers...)
			var problem struct {
				LoginURL string `json:"login_url"`
			}
			if got.StatusCode != http.StatusUnauthorized || got.location() != "" || !strings.Contains(got.Header.Get("Content-Type"), "problem+json") {
				t.Errorf("%s: %s to %q", who, got.Status, got.location())
			}
			if err := json.Unmarshal([]byte(got.body), &problem); err != nil || !strings.HasPrefix(problem.LoginURL, sc.cas.URL+"/login?") {
				t.Errorf("%s: %v %s", who, err, got.body)
			}
		}
		for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodDelete} {
			if got := v.send(method, relayLogin(public+"/pronote/eleve.html"), ""); got.StatusCode != http.StatusMethodNotAllowed || got.location() != "" {
				t.Errorf("%s, %s: %s to %q", who, method, got.Status, got.location())
			}
		}
	}
}

// Login CSRF: a link with somebody else's ticket would log this browser in to
// PRONOTE as somebody else, and what it writes there is theirs to read.
func TestSomebodyElsesTicketDoesNotReachPRONOTE(t *testing.T) {
	sc := startSchool(t)
	attacker, victim := sc.visitor(), sc.visitor()
	attacker.enter("/pronote/eleve.html", pupil)
	victim.enter("/pronote/parent.html", parent)

	reached := func() (tickets []string) {
		for _, r := range sc.recent.Requests() {
			if r.Method == http.MethodGet && (strings.Contains(r.URI, "ST-") || strings.Contains(r.URI, "PT-")) {
				tickets = append(tickets, r.URI)
			}
		}
		sc.recent.ForgetRequests()
		return tickets
	}
	reached()
	theirs := func() string { return attacker.ticketFor(sc.recent.URL + "eleve.html") }
	for _, target := range []string{
		"/pronote/eleve.html?ticket=%s", "/pronote/eleve.html?fd=1&ticket=%s&x=1", "/pronote/eleve.html?SAMLart=%s", "/pronote/eleve.html?%%74icket=%s", "/pronote/eleve.html?ticket=x&ticket=%s",
		"/pronote/?ticket=%s", "/pronote/mobile.eleve.html?ticket=%s", "/pronote/message.html?ticket=%s", "/pronote/eleve.html?ticket=%s&ticket=%[1]s",
	} {
		for who, v := range map[string]*visitor{"logged in": victim, "not logged in": sc.visitor()} {
			v.get(fmt.Sprintf(target, theirs()))
			for _, uri := range reached() {
				t.Errorf("%s, %s: PRONOTE is asked for %s", who, target, uri)
			}
		}
	}
	for _, foreign := range []string{"ST-1-abc-castest", "PT-1-abc", sc.cas.Ticket(pupil, public+"/pronote/eleve.html")} {
		victim.get("/pronote/eleve.html?ticket=" + foreign)
		for _, uri := range reached() {
			t.Errorf("PRONOTE is asked for %s", uri)
		}
	}
	if slices.ContainsFunc(sc.recent.Sessions(), func(s pronotetest.Session) bool { return s.Espace == "eleve" && s.Person.ID != pupilID }) || len(sc.recent.Sessions()) != 2 {
		t.Errorf("PRONOTE's sessions: %+v", sc.recent.Sessions())
	}
	// One's own arrives, as often as it is sent.
	mine := victim.ticketFor(sc.recent.URL + "parent.html")
	victim.get("/pronote/parent.html?ticket=" + mine)
	if got := reached(); len(got) != 1 || !strings.Contains(got[0], mine) {
		t.Errorf("one's own ticket: PRONOTE is asked for %q: what is above proves nothing", got)
	}
}

// What PRONOTE posts is a small SOAP request. Anything else is answered as the
// protocol has it, costs nothing, and names nobody.
func TestWhatIsNoValidation(t *testing.T) {
	sc := startSchool(t)
	v := sc.visitor()
	v.enter("/pronote/eleve.html", pupil)
	pronote := sc.caller("127.0.0.1", 0)
	service := sc.recent.URL + "eleve.html"
	at := "/pronote-cas/samlValidate?TARGET=" + url.QueryEscape(service)
	ticket := v.ticketFor(service)
	good := fmt.Sprintf(soap, ticket)
	for name, body := range map[string]string{
		"nothing":            "",
		"too large":          strings.Replace(good, "<SOAP-ENV:Body>", "<SOAP-ENV:Header>"+strings.Repeat("x", 20<<10)+"</SOAP-ENV:Header><SOAP-ENV:Body>", 1),
		"much too large":     good + strings.Repeat(" ", 4<<20),
		"no XML":             "ticket please",
		"JSON":               `{"ticket":"` + ticket + `"}`,
		"half":               good[:len(good)/2],
		"twice":              good + good,
		"a DTD":              `<!DOCTYPE x [<!ENTITY e "` + ticket + `">]>` + strings.Replace(good, ticket, "&e;", 1),
		"an external entity": `<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>` + strings.Replace(good, ticket, "&e;", 1),
		"two tickets":        strings.Replace(good, "</samlp:Request>", "<samlp:AssertionArtifact>ST-1</samlp:AssertionArtifact></samlp:Request>", 1),
		"a comment within":   strings.Replace(good, ticket, ticket[:9]+"<!-- -->"+ticket[9:], 1),
		"another namespace":  strings.Replace(good, "SAML:1.0:protocol", "SAML:2.0:protocol", 1),
		"deep":               strings.Repeat("<a>", 4000),
	} {
		got := sc.send(pronote, http.MethodPost, at, body, "Content-Type", "text/xml; charset=utf-8")
		if got.StatusCode != http.StatusOK || granted(got.body) || !strings.Contains(got.body, "<Status>") || strings.Contains(got.body, ticket) || strings.Contains(got.body, "root:") {
			t.Errorf("%s: %s\n%.500s", name, got.Status, got.body)
		}
	}
	for _, method := range []string{http.MethodHead, http.MethodPut, http.MethodOptions} {
		if got := sc.send(pronote, method, "/pronote-cas/serviceValidate?service="+url.QueryEscape(service)+"&ticket="+ticket, ""); granted(got.body) {
			t.Errorf("%s: %s\n%s", method, got.Status, got.body)
		}
	}
	for _, query := range []string{"", "ticket=" + ticket, "service=" + url.QueryEscape(service), "service=" + url.QueryEscape(service) + "&ticket=PT-1-x", "service=%zz&ticket=" + ticket,
		"service=" + url.QueryEscape(service) + "&service=x&ticket=" + ticket, "service=" + url.QueryEscape(service) + "&ticket=" + ticket + "&ticket=ST-2"} {
		if got := sc.send(pronote, http.MethodGet, "/pronote-cas/serviceValidate?"+query, ""); got.StatusCode != http.StatusOK || !strings.Contains(got.body, "<cas:authenticationFailure") {
			t.Errorf("?%s: %s\n%s", query, got.Status, got.body)
		}
	}
	if got := sc.send(pronote, http.MethodPost, at, good); !granted(got.body) {
		t.Errorf("the ticket was spent by what is above: %s\n%s", got.Status, got.body)
	}
	if strings.Contains(ours(sc.log.String()), ticket) {
		t.Error("the ticket is in our log")
	}
}

// A ticket in a service that is refused is still a ticket: not for the log.
func TestRefusedServicesAreLoggedWithoutTheirTickets(t *testing.T) {
	sc := startSchool(t)
	v := sc.visitor()
	v.enter("/pronote/eleve.html", pupil)
	ticket := v.ticketFor(sc.recent.URL + "eleve.html")
	got := v.get(relayLogin("https://evil.example/?ticket=" + ticket + "&SAMLart=" + ticket))
	if got.StatusCode != http.StatusForbidden {
		t.Fatalf("%s", got.Status)
	}
	eventually(t, "the refusal is in the log", func() bool { return strings.Contains(ours(sc.log.String()), "service_not_allowed") })
	if strings.Contains(ours(sc.log.String()), ticket) {
		t.Error("the ticket is in our log")
	}
}
