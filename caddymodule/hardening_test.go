package caddymodule

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/pronote-cas/caddy-pronote-cas/casauth/pronotetest"
)

// startBefore runs a Caddy in front of the stand-in for PRONOTE.net at /pronote/,
// which reads paths as laxly as a Windows server; what edits says is replaced in
// the Caddyfile, by pairs.
func startBefore(t *testing.T, edits ...string) (*rig, *pronotetest.Recent) {
	var p *pronotetest.Recent
	s := startWith(t, func(s *rig) string {
		if p == nil {
			p = pronotetest.StartRecent(t, pronotetest.Config{})
		}
		to := strings.TrimSuffix(strings.TrimPrefix(p.URL, "http://"), "/pronote/")
		file := s.caddyfile("", "root /pronote/")
		return strings.NewReplacer(append(edits, strings.TrimPrefix(s.upstream.URL, "http://"), to)...).Replace(file)
	})
	return s, p
}

// navigation is what a browser sends, with line as the request line's target and version.
func navigation(line string) string {
	return "GET " + line + "\r\nHost: pronote.example.fr\r\nAccept: text/html\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\nConnection: close\r\n\r\n"
}

// spelled are addresses of gated pages in disguise, with the status they get.
// Where proxy and application read an address differently, one checks what the
// other does not serve: CVE-2021-41773 (..), CVE-2021-43798 (encoded ..), Tomcat's
// ;-parameters behind proxies, IIS's \ and %u, and so on.
var spelled = map[string]int{
	"/pronote/eleve.html":                             302,
	"/PRONOTE/ELEVE.HTML":                             302,
	"/pronote/%65leve.html":                           302,
	"/%70%72onote/%65%6c%65%76%65%2e%68%74%6d%6c":     302,
	"/pronote/eleve.html?x=.js":                       302,
	"/pronote/eleve.html?/message.html":               302,
	"/pronote/eleve.html?login=true":                  302,
	"/pronote/images/eleve.html":                      302,
	"/pronote/inconnu":                                302,
	"/pronote/message.html/":                          400,
	"/pronote/eleve.html/":                            400,
	"/pronote/eleve.html/x.js":                        400,
	"/pronote/eleve.html;x.js":                        400,
	"/pronote/eleve.html;/../x.js":                    400,
	"/pronote;v=1/eleve.html":                         400,
	"/pronote/eleve.html%3b.js":                       400,
	"/pronote/eleve.html%00.js":                       400,
	"/pronote/eleve.html%3f.js":                       400,
	"/pronote/eleve.html%3F.js":                       400,
	"/pronote/eleve.html#.js":                         400,
	"/pronote/eleve.html%23.js":                       400,
	"/pronote/eleve.html.":                            400,
	"/pronote/eleve.html%2e":                          400,
	"/pronote/eleve.html%20":                          400,
	"/pronote/eleve.html::$DATA":                      400,
	"/pronote/eleve.html:.js":                         400,
	"/pronote/eleve.html%0d%0ax.js":                   400,
	"/pronote//eleve.html":                            400,
	"//pronote/eleve.html":                            400,
	"/x.js//../pronote/eleve.html":                    400,
	"/./pronote/eleve.html":                           400,
	"/pronote/./eleve.html":                           400,
	"/pronote/x.js/../eleve.html":                     400,
	"/pronote/images/../eleve.html":                   400,
	"/pronote/images/%2e%2e/eleve.html":               400,
	"/pronote/images/.%2E/eleve.html":                 400,
	"/pronote/images/..%2feleve.html":                 400,
	"/pronote/images/..%5celeve.html":                 400,
	`/pronote/images/..\eleve.html`:                   400,
	`/pronote\eleve.html`:                             400,
	"/pronote%5Celeve.html":                           400,
	"/pronote%2feleve.html":                           400,
	"/pronote/images%2f..%2feleve.html":               400,
	"/pronote/%252e%252e/eleve.html":                  400,
	"/pronote/images%252f..%252feleve.html":           400,
	"/pronote/%u0065leve.html":                        400,
	"/pronote/eleve.ht%":                              400,
	"/pronote/eleve.ht%6":                             400,
	"/pronote/eleve.html%zz":                          400,
	"/pronote/%c0%ae%c0%ae/eleve.html":                400,
	"/pronote/%ff/eleve.html":                         400,
	"/pronote/images/..%ef%bc%8feleve.html":           400, // full-width slash
	"/pronote/e%e2%84%aa.js":                          400, // the Kelvin sign
	"/pronote/erreur/..;/eleve.html":                  400,
	"/pronote/entreprise.html/../eleve.html":          400,
	"/pronote/appelfonction/4/../3/1/1":               400,
	"/pronote/appelfonction/4%2f..%2f3/1/1":           400,
	"/pronote/appelfonction/04/1/1":                   401,
	"/pronote/appelfonction/4%20/1/1":                 400,
	"/pronote/appelfonction/3/1/x.js":                 401,
	"/pronote/uploadfilesession/3/x.png":              401,
	"/pronote/SvcAdminServeurHttp":                    404,
	"/pronote/svcadminserveurhttp/x.js":               404,
	"/pronote/images/PortGestionCAS/x.png":            404,
	"/PortGestionCAS":                                 404,
	"/pronote/%53vcAdminServeurHttp?wsdl":             404,
	"https://pronote.example.fr/pronote/eleve.html":   302,
	"https://PRONOTE.example.fr:443/pronote/":         302,
	"https://pronote.example.fr/pronote//eleve.html":  400,
	"https://pronote.example.fr:8443/pronote/x.js":    400,
	"https://evil.example/pronote/message.html":       400, // an absolute address overrides Host (RFC 9112 §3.2.2)
	"https://u@pronote.example.fr/pronote/eleve.html": 400,
	"pronote/eleve.html":                              400,
	"*":                                               400,
	"http:pronote/message.html":                       400,
}

// A request without a session never reaches PRONOTE on a gated path, however it
// is spelled.
func TestGatedPathsAreNotReachedHoweverTheyAreSpelled(t *testing.T) {
	s, p := startBefore(t, "http://pronote.example.fr {", "http:// {") // no Host is another site's
	for target, want := range spelled {
		for _, version := range []string{"HTTP/1.1", "HTTP/1.0"} {
			got := s.raw(navigation(target + " " + version))
			if got.StatusCode != want {
				t.Errorf("%s %s: %d, want %d", target, version, got.StatusCode, want)
			}
			if to := got.Header.Get("Location"); got.StatusCode == http.StatusFound && !strings.HasPrefix(to, s.cas.URL+"/login?") {
				t.Errorf("%s: leads to %q", target, to)
			}
		}
	}
	for _, line := range []string{
		"OPTIONS * HTTP/1.1", "OPTIONS /pronote/eleve.html HTTP/1.1", "CONNECT pronote.example.fr:443 HTTP/1.1", "TRACE /pronote/ HTTP/1.1",
		"PROPFIND /pronote/ HTTP/1.1", "get /pronote/eleve.html HTTP/1.1", "POST /pronote/appelfonction/3/1/1 HTTP/1.1", "POST /pronote/appelpolling/3/1/1 HTTP/1.1",
		"PRI * HTTP/2.0",
	} {
		s.raw(line + "\r\nHost: pronote.example.fr\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
	}
	for _, r := range p.Requests() {
		t.Errorf("PRONOTE was asked %s %s", r.Method, r.URI)
	}
	if got := s.raw(navigation("/pronote/message.html HTTP/1.1")); got.StatusCode != http.StatusOK || len(p.Requests()) != 1 {
		t.Errorf("an open page: %s, and PRONOTE was asked %d times: what is above proves nothing", got.Status, len(p.Requests()))
	}
}

// Two servers that disagree where a request ends let a second one ride in the
// first one's body (request smuggling, CWE-444): CVE-2019-16276, CVE-2022-1705 and
// CVE-2025-22871 in Go itself, CVE-2023-38697 in Falcon, each a row below.
func TestNoRequestRidesInAnother(t *testing.T) {
	s, p := startBefore(t)
	const head = " /pronote/message.html HTTP/1.1\r\nHost: pronote.example.fr\r\n"
	const inner = "GET /pronote/eleve.html HTTP/1.1\r\nHost: pronote.example.fr\r\nX-Pronote-Id: " + pupilID + "\r\nX: "
	for name, request := range map[string]string{
		"CL.TE":               "POST" + head + fmt.Sprintf("Content-Length: %d\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n0\r\n\r\n", 5+len(inner)) + inner,
		"TE.CL":               "POST" + head + "Content-Length: 4\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n1\r\nZ\r\n0\r\n\r\n" + inner,
		"TE twice":            "POST" + head + "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\nConnection: close\r\n\r\n0\r\n\r\n" + inner,
		"TE with a tab":       "POST" + head + "Transfer-Encoding:\tchunked, x\r\nConnection: close\r\n\r\n0\r\n\r\n" + inner,
		"two lengths":         "POST" + head + "Content-Length: 0\r\nContent-Length: 9\r\nConnection: close\r\n\r\n" + inner,
		"CVE-2022-1705":       "POST" + head + "Transfer-Encoding: \rchunked\r\nConnection: close\r\n\r\n0\r\n\r\n" + inner,
		"CVE-2025-22871":      "POST" + head + "Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n0\n\n" + inner,
		"a length with +":     "POST" + head + "Content-Length: +0\r\nConnection: close\r\n\r\n" + inner,
		"blank before colon":  "GET" + head + "X-Pronote-Id : " + pupilID + "\r\nConnection: close\r\n\r\n",
		"folded line":         "GET" + head + "X: a\r\n X-Pronote-Id: " + pupilID + "\r\nConnection: close\r\n\r\n",
		"bare CR":             "GET" + head + "X: a\rX-Pronote-Id: " + pupilID + "\r\nConnection: close\r\n\r\n",
		"bare LF":             "GET" + head + "X: a\nX-Pronote-Id: " + pupilID + "\r\nConnection: close\r\n\r\n",
		"NUL in a name":       "GET" + head + "X-Pronote-Id\x00: " + pupilID + "\r\nConnection: close\r\n\r\n",
		"two hosts":           "GET" + head + "Host: evil.example\r\nConnection: close\r\n\r\n",
		"upgrade to h2c":      "GET /pronote/message.html HTTP/1.1\r\nHost: pronote.example.fr\r\nConnection: Upgrade, HTTP2-Settings, X-Pronote-Id\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\nX-Pronote-Id: " + pupilID + "\r\n\r\n" + inner,
		"a body's second one": "GET" + head + "Connection: close\r\n\r\n" + inner,
	} {
		p.ForgetRequests()
		s.raw(request)
		for _, r := range p.Requests() {
			if !strings.HasSuffix(r.URI, "/message.html") || r.Header.Get("X-Pronote-Id") != "" {
				t.Errorf("%s: PRONOTE was asked %s %s %v", name, r.Method, r.URI, r.Header)
			}
		}
	}
}

// CVE-2026-40575 (oauth2-proxy): the rule was judged on another path than the one
// served. A rewrite before the directive makes two paths; the stricter counts, and
// the service is what was asked.
func TestRewritesOpenNothing(t *testing.T) {
	s, p := startBefore(t, "\tlog\n", `	log
	rewrite /alias.js /pronote/eleve.html
	rewrite /pronote/message.html /pronote/eleve.html
	rewrite /pronote/deconnexion.html /pronote/x//eleve.html
	rewrite /pronote/x.js /pronote/SvcAdminServeurHttp
	rewrite /pronote/y.css /pronote/y.png
	uri /app/* strip_prefix /app
`)
	for target, want := range map[string]int{
		"/alias.js":                      302,
		"/pronote/message.html":          302,
		"/pronote/deconnexion.html":      400,
		"/pronote/x.js":                  404,
		"/pronote/y.css":                 200, // the one that reaches PRONOTE
		"/app/pronote/eleve.html":        302,
		"/app/pronote/images/../a.html":  400,
		"/app/..%2fpronote/eleve.html":   400,
		"/app/app/../pronote/eleve.html": 400,
		"/app//pronote/eleve.html":       400,
	} {
		got := s.raw(navigation(target + " HTTP/1.1"))
		if got.StatusCode != want {
			t.Errorf("%s: %d, want %d", target, got.StatusCode, want)
		}
		if got.StatusCode == http.StatusFound && !strings.HasSuffix(got.Header.Get("Location"), serviceParam(target)) {
			t.Errorf("%s: leads to %q, which is not a login for what was asked", target, got.Header.Get("Location"))
		}
	}
	for _, r := range p.Requests() {
		if r.URI != "/pronote/y.png" {
			t.Errorf("PRONOTE was asked %s %s", r.Method, r.URI)
		}
	}
	if len(p.Requests()) == 0 {
		t.Error("PRONOTE was not even asked for a static file")
	}
}

// A matcher is compared with the decoded path, which is neither what goes
// upstream nor how a Windows server reads it: outside it, what is meant for
// PRONOTE must not get there by another spelling.
func TestAMatcherIsNoWayAround(t *testing.T) {
	s, p := startBefore(t, "pronote_cas {", "pronote_cas /pronote/* {")
	for target, status := range spelled {
		if !strings.HasPrefix(target, "/") || status == http.StatusFound {
			continue
		}
		p.ForgetRequests()
		got := s.raw(navigation(target + " HTTP/1.1"))
		for _, r := range p.Requests() {
			t.Errorf("%s: %d, and PRONOTE was asked %s", target, got.StatusCode, r.URI)
		}
	}
}

// CAS servers have put tickets in stranger places than the query; wherever one
// stands, our log does not repeat it.
func TestTicketsInOddPlacesAreNotLogged(t *testing.T) {
	s := start(t)
	const secret = "ST-1-odd0place"
	for _, target := range []string{"/eleve.html?ticket=" + secret, "/eleve.html&ticket=" + secret, "/eleve.html;ticket=" + secret, "/eleve.html%3Fticket=" + secret,
		"/eleve.html#ticket=" + secret, "/eleve.html%26ticket%3D" + secret, "/eleve.html//?SAMLart=" + secret, "/eleve.html?x=%3Fticket%3D" + secret,
		"/pronote-cas/logout?ticket=" + secret, "/pronote-cas/nothing?ticket=" + secret} {
		s.raw(navigation(target + " HTTP/1.1"))
	}
	log := ours(s.log.String())
	if !strings.Contains(log, "refused") || !strings.Contains(log, "login started") {
		t.Fatalf("nothing is logged:\n%s", log)
	}
	for line := range strings.Lines(log) {
		if strings.Contains(line, secret) {
			t.Errorf("our log holds the ticket: %s", line)
		}
	}
}

// RFC 6265 §8.6: a neighbour can set a cookie of our name for a plain http site.
// Then nobody is let in by it, and the logins end in a page, not in a loop.
func TestATossedCookieDoesNotLoop(t *testing.T) {
	s := startWith(t, func(s *rig) string {
		return strings.Replace(s.caddyfile(""), "public_url https:", "public_url http:", 1)
	})
	const page = "http://pronote.example.fr/eleve.html"
	b := s.browser()
	b.Jar.SetCookies(mustURL(t, page), []*http.Cookie{{Name: "pronote_cas", Value: "tossed", Path: "/eleve.html"}})
	for range 6 {
		asked := b.get(page)
		if asked.StatusCode != http.StatusFound {
			if asked.StatusCode != http.StatusForbidden || s.upstream.count() > 0 {
				t.Errorf("it ends with %s, and %d requests upstream", asked.Status, s.upstream.count())
			}
			return
		}
		if got := b.get(b.ticket(asked.location(), pupil)); got.StatusCode != http.StatusFound {
			return // a page
		}
	}
	t.Error("six logins, and no page that says why there is no end")
}

// A rewrite may change the query alone, and PRONOTE's own login form is opened by it.
func TestARewriteOfTheQueryOpensNothing(t *testing.T) {
	s := startWith(t, func(s *rig) string {
		return s.caddyfile("@asked query login=true drop=1\nrewrite @asked {path}?drop=1\n@other query add=1\nrewrite @other {path}?login=true", "direct_login allow")
	})
	for target, want := range map[string]int{"/eleve.html?login=true": 200, "/eleve.html?login=true&drop=1": 302, "/eleve.html?add=1": 302} {
		if got := s.browser().get(target); got.StatusCode != want {
			t.Errorf("%s: %s, want %d", target, got.Status, want)
		}
	}
}
