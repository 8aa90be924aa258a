package caddymodule

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/pronote-cas/caddy-pronote-cas/casauth/castest"
)

// askedENT is a CAS server that refuses every ticket and keeps what it was asked.
type askedENT struct {
	*httptest.Server
	mu    sync.Mutex
	asked []validation
}

type validation struct {
	query url.Values
	body  string
}

func newAskedENT(t *testing.T) *askedENT {
	e := new(askedENT)
	e.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		e.mu.Lock()
		e.asked = append(e.asked, validation{r.URL.Query(), string(body)})
		e.mu.Unlock()
		_, _ = io.WriteString(w, `<cas:serviceResponse xmlns:cas="http://www.yale.edu/tp/cas"><cas:authenticationFailure code="INVALID_TICKET">no</cas:authenticationFailure></cas:serviceResponse>`)
	}))
	t.Cleanup(e.Close)
	return e
}

func (e *askedENT) take() []validation {
	e.mu.Lock()
	defer e.mu.Unlock()
	asked := e.asked
	e.asked = nil
	return asked
}

// CVE-2014-4172 (Java, .NET and PHP CAS clients): the ticket went into the
// validation address as it came, so that a ticket made for the attacker's service
// brought that service along, and passed.
func TestATicketBringsNoParametersAlong(t *testing.T) {
	for protocol, path := range map[string]string{"cas2": "/serviceValidate", "saml11": "/samlValidate"} {
		t.Run(protocol, func(t *testing.T) {
			ent := newAskedENT(t)
			s := start(t, "protocol "+protocol, "validate_url "+ent.URL+path)
			for ticket, sent := range map[string]bool{
				"ST-1-abc": true,
				"ST-1&service=https%3A%2F%2Fevil.example%2F":   false,
				"ST-1&ticket=ST-2&pgtUrl=https://evil.example": false,
				"ST-1#":                                 false,
				"ST-1\r\nX-Evil: 1":                     false,
				"ST-1</samlp:AssertionArtifact><evil/>": false,
				"ST-1%26service%3Dhttps%253A%252F%252Fevil.example": true, // encoded twice: must arrive as it is
				"ST-1?service=https://evil.example/":                true,
				"ST-1;service=https://evil.example/":                true,
				"ST-1/../proxyValidate":                             true,
				"ST-1+x=%":                                          true,
			} {
				b := s.browser()
				b.setOut("/eleve.html")
				b.get("/eleve.html?ticket=" + url.QueryEscape(ticket))
				asked := ent.take()
				if len(asked) != map[bool]int{true: 1}[sent] {
					t.Errorf("%q is asked about %d times", ticket, len(asked))
				}
				for _, v := range asked {
					want := url.Values{"ticket": {ticket}, "service": {public + "/eleve.html"}}
					if protocol == "saml11" {
						want = url.Values{"TARGET": {public + "/eleve.html"}}
					}
					if v.query.Encode() != want.Encode() || protocol == "saml11" && strings.Count(v.body, ">"+ticket+"<") != 1 {
						t.Errorf("%q is asked about as %v\n%s", ticket, v.query, v.body)
					}
				}
			}
		})
	}
}

// CVE-2022-39369 (phpCAS) to its end, and CVE-2014-3527 (Spring Security): a
// pupil logs in to the attacker's own service, and the attacker brings that ticket
// here, with headers that are to make us ask about his service.
func TestATicketForAnotherServiceOpensNothing(t *testing.T) {
	s := startWith(t, func(s *rig) string {
		return strings.Replace(s.caddyfile("", "protocol cas2"), "http://pronote.example.fr {", "http:// {", 1)
	})
	for name, headers := range map[string][]string{
		"as it is":      nil,
		"a host":        {"Host", "evil.example"},
		"forwarded":     {"X-Forwarded-Host", "evil.example", "X-Forwarded-Proto", "https", "X-Forwarded-Port", "443", "X-Forwarded-Server", "evil.example"},
		"as in RFC7239": {"Forwarded", `host="evil.example";proto=https`},
		"another path":  {"X-Original-Url", "https://evil.example/eleve.html", "X-Rewrite-Url", "/eleve.html"},
	} {
		attacker := s.browser()
		attacker.setOut("/eleve.html")
		for _, service := range []string{"https://evil.example/eleve.html", public + ".evil.example/eleve.html", "http://pronote.example.fr/eleve.html", public + "/eleve.html?service=x"} {
			var cookies []string // by hand: the client would leave them out for another host
			for _, c := range attacker.Jar.Cookies(mustURL(t, public)) {
				cookies = append(cookies, c.Name+"="+c.Value)
			}
			attacker.get("/eleve.html?ticket="+s.cas.Ticket(pupil, service), append(headers, "Cookie", strings.Join(cookies, "; "))...)
			if got := attacker.get("/eleve.html"); got.StatusCode == http.StatusOK {
				t.Errorf("%s, a ticket for %s: %s", name, service, got.body)
			}
		}
	}
	if s.upstream.count() != 0 || s.cas.Counts().TotalValidations() == 0 {
		t.Errorf("PRONOTE was asked for %s, after %d validations", s.upstream.paths(), s.cas.Counts().TotalValidations())
	}
	if got := s.browser().login("/eleve.html", pupil); got.StatusCode != http.StatusOK {
		t.Errorf("the pupil's own ticket: %s: what is above proves nothing", got.Status)
	}
}

// CVE-2021-41246 (express-openid-connect): a login kept the session id that the
// browser came with, so whoever had planted it was logged in too.
func TestWhoPlantedCookiesIsNotLoggedInWithTheirVictim(t *testing.T) {
	s := start(t)
	ended, underWay := s.browser(), s.browser()
	ended.login("/eleve.html", parent)
	underWay.setOut("/eleve.html")
	for name, attacker := range map[string]*browser{"a session that has ended": ended, "a login under way": underWay} {
		planted := attacker.Jar.Cookies(mustURL(t, public))
		if len(planted) == 0 {
			t.Fatalf("%s: nothing to plant", name)
		}
		logout := s.browser() // with the cookies, which the attacker keeps
		logout.Jar.SetCookies(mustURL(t, public), planted)
		logout.get("/pronote-cas/logout")
		victim := s.browser()
		victim.Jar.SetCookies(mustURL(t, public), planted)
		if got := victim.login("/eleve.html", pupil); !strings.Contains(got.body, pupilID) {
			t.Errorf("%s: the victim gets %s %s", name, got.Status, got.body)
		}
		if got := attacker.get("/eleve.html"); got.StatusCode != http.StatusFound {
			t.Errorf("%s: the attacker gets %s %s", name, got.Status, got.body)
		}
	}
}

// Answers that other readers took for a login, each with what went wrong there.
// Were one of them read so here, unresolved pass would let its user in.
func TestAnswersThatOthersMisreadLogNobodyIn(t *testing.T) {
	s := start(t, "protocol cas2", "unresolved pass", "cas_timeout 2s")
	for file, advisory := range map[string]string{
		"cas2_mal_ticket_injection_228":   "CVE-2017-1000071 (phpCAS): a success anywhere in the answer counted, even in the ticket that the server repeats",
		"cas2_mal_comment_in_user":        "CVE-2017-11428 (ruby-saml): the text of a name ended at a comment, so a longer name became an administrator's",
		"cas2_mal_xxe_file":               "CWE-611: an entity is a file of the server",
		"cas2_mal_xxe_http":               "CWE-611: an entity is an address inside",
		"cas2_mal_billion_laughs":         "CWE-776: entities of entities fill the memory",
		"cas2_mal_two_success":            "CVE-2017-11428's kin: two answers, and two programs that choose another",
		"cas2_mal_success_in_failure":     "CVE-2017-1000071 once more: a success inside the refusal",
		"cas2_mal_html_embeds_success":    "an error page that quotes an answer",
		"cas2_mal_success_rebound_prefix": "a prefix that means another namespace further in",
	} {
		body, err := os.ReadFile(filepath.Join("..", "testdata", "cas_answers", file+".xml"))
		if err != nil {
			t.Fatal(err)
		}
		b := s.browser()
		with := b.ticket(b.setOut("/eleve.html"), pupil)
		s.cas.SetFault(castest.Fault{Body: body})
		got := b.get(with)
		s.cas.SetFault(castest.Fault{})
		if page := b.get("/eleve.html"); page.StatusCode == http.StatusOK || strings.Contains(got.body+page.body, "root:") {
			t.Errorf("%s: %s\n%s", file, page.Status, advisory)
		}
	}
	if s.upstream.count() != 0 {
		t.Errorf("PRONOTE was asked for %s", s.upstream.paths())
	}
	b := s.browser()
	with := b.ticket(b.setOut("/eleve.html"), pupil)
	body, err := os.ReadFile(filepath.Join("..", "testdata", "cas_answers", "cas2_ok_min.xml"))
	if err != nil {
		t.Fatal(err)
	}
	s.cas.SetFault(castest.Fault{Body: body})
	if b.get(with); b.get("/eleve.html").StatusCode != http.StatusOK {
		t.Error("an answer that is one logs nobody in either: what is above proves nothing")
	}
}

// CVE-2019-3877 and CVE-2019-13038 (mod_auth_mellon), and mod_auth_openidc after
// it: where to go next stood in a parameter, and what the parser took for a path
// the browser took for a host. Here no parameter says where to go.
func TestNobodyIsLedElsewhere(t *testing.T) {
	s := start(t)
	b := s.browser()
	for _, path := range []string{"/eleve.html", "/pronote-cas/", "/pronote-cas/login", "/pronote-cas/logout", "/pronote-cas/logged-out"} {
		for _, name := range []string{"url", "service", "TARGET", "ReturnTo", "next", "logout", "redirect", "rd", "RelayState", "post_logout_redirect_uri"} {
			for _, value := range []string{"https://evil.example/", "//evil.example/", `/\evil.example/`, "http:evil.example", "https:/\tevil.example", "javascript:alert(1)"} {
				got := b.get(path + "?" + name + "=" + url.QueryEscape(value))
				to := got.location()
				if to != "" && !strings.HasPrefix(to, s.cas.URL+"/") && !strings.HasPrefix(to, public+"/") {
					t.Errorf("%s?%s=%s leads to %s", path, name, value, to)
				}
				if service := mustURL(t, to).Query().Get("service"); service != "" && !strings.HasPrefix(service, public+path) {
					t.Errorf("%s?%s=%s: a login for %s", path, name, value, service)
				}
				if strings.Contains(got.body, `href="`+value) || strings.Contains(got.body, `action="`+value) || strings.Contains(got.Header.Get("Refresh"), "evil") {
					t.Errorf("%s?%s=%s: the page leads there:\n%s", path, name, value, got.body)
				}
			}
		}
	}
	for _, target := range []string{"//evil.example/eleve.html", `/\evil.example/eleve.html`, "/%5cevil.example/", "/%2fevil.example/", "///evil.example", "http://evil.example/eleve.html", "http:evil.example"} {
		got := s.raw(navigation(target + " HTTP/1.1"))
		if service := mustURL(t, got.location()).Query().Get("service"); got.StatusCode == http.StatusFound && !strings.HasPrefix(service, public+"/") || strings.HasPrefix(service, public+"//") {
			t.Errorf("%s: %s to %s", target, got.Status, got.location())
		}
	}
}
