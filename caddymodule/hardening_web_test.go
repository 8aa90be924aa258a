package caddymodule

import (
	"bytes"
	"compress/flate"
	"encoding/base64"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/pronote-cas/caddy-pronote-cas/casauth/castest"
)

// packedZeros returns as many megabytes, deflated: one of them, over and over.
func packedZeros(t *testing.T, megabytes int) []byte {
	var packed bytes.Buffer
	z, err := flate.NewWriter(&packed, flate.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	var ends [2]int
	for i := range ends {
		_, _ = z.Write(make([]byte, 1<<20)) // a Buffer takes everything
		_ = z.Flush()
		ends[i] = packed.Len()
	}
	return append(packed.Bytes(), bytes.Repeat(packed.Bytes()[ends[0]:], megabytes-2)...)
}

// CVE-2023-28119 (crewjam/saml) and CVE-2026-2575 (Keycloak): a logout message of
// half a megabyte unpacked to hundreds, for anybody who cared to send it.
// The same from a CAS server, or from who has taken its place.
func TestWhatUnpacksWithoutEndIsNotUnpacked(t *testing.T) {
	s := startWith(t, func(s *rig) string { // the limit of Caddy's own, 16 KB, is not what is tested
		return strings.Replace(s.caddyfile(""), "admin unix/", "servers {\nmax_header_size 2MiB\n}\nadmin unix/", 1)
	})
	message := url.QueryEscape(base64.StdEncoding.EncodeToString(packedZeros(t, 400)))
	in := s.browser()
	in.login("/eleve.html", pupil)
	s.browser().get("/eleve.html?SAMLRequest=" + url.QueryEscape(castest.FrontChannel(castest.LogoutRequest("ST-none"), false)))
	before := s.peak()
	for _, name := range []string{"SAMLRequest", "logoutRequest"} {
		got := s.browser().get("/eleve.html?" + name + "=" + message)
		if got.StatusCode == http.StatusRequestHeaderFieldsTooLarge {
			t.Errorf("%s: it did not get as far as to be unpacked: %s", name, got.Status)
		}
	}
	b := s.browser()
	with := b.ticket(b.setOut("/eleve.html"), pupil)
	s.cas.SetFault(castest.Fault{GzipBomb: 1 << 30})
	if got := b.get(with); got.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("a packed answer without end: %s", got.Status)
	}
	if more := s.peak() - before; more > 128<<20 {
		t.Errorf("Caddy took %d MB more", more>>20)
	}
	if got := in.get("/eleve.html"); got.StatusCode != http.StatusOK {
		t.Errorf("who is in gets %s", got.Status)
	}
}

// CVE-2007-6750 (Apache, "Slowloris") and slow POST: clients that never finish
// took every place there was. Here one waits for a logout message in a body, and
// that must keep nobody else waiting.
func TestWhoNeverFinishesKeepsNobodyElseWaiting(t *testing.T) {
	s := start(t)
	const form = "Host: pronote.example.fr\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 5000\r\n\r\nlogoutRequest=%3Csamlp"
	for n := range 400 {
		conn, err := net.Dial("unix", s.dir+"/site")
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := io.WriteString(conn, []string{
			"POST /eleve.html HTTP/1.1\r\n" + form,
			"POST /pronote-cas/logout HTTP/1.1\r\n" + form,
			"POST /appelfonction/3/1/1 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n" + strings.Replace(form, "Content-Length: 5000\r\n", "", 1),
			"GET /eleve.html HTTP/1.1\r\nHost: pronote.example.fr\r\nX-",
		}[n%4]); err != nil {
			t.Fatal(err)
		}
	}
	b := s.browser()
	if got := b.login("/eleve.html", pupil); got.StatusCode != http.StatusOK { // the browser waits for 20 s
		t.Errorf("a login: %s", got.Status)
	}
	if got := b.send(http.MethodPost, "/appelfonction/3/1/1", "{}", script...); got.StatusCode != http.StatusOK {
		t.Errorf("a call: %s", got.Status)
	}
	ticket := b.ticket(b.s.cas.URL+"/login?"+serviceParam("/eleve.html"), pupil)
	if got := s.browser().send(http.MethodPost, "/eleve.html", logoutForm(ticket[strings.Index(ticket, "ST-"):]), formType...); got.StatusCode != http.StatusOK {
		t.Errorf("a logout message: %s", got.Status)
	}
}

// CVE-2023-30861 (Flask): a shared cache kept an answer with somebody's session
// cookie, and gave it to the next person. Whatever depends on who asks, and
// whatever sets a cookie, says that it is not to be kept.
func TestNoCacheKeepsWhatDependsOnWhoAsks(t *testing.T) {
	s := start(t)
	s.upstream.answer(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "public, max-age=600")
		w.Header().Set("Expires", "Fri, 01 Jan 2038 00:00:00 GMT")
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		switch {
		case strings.HasSuffix(r.URL.Path, ".js"):
			w.Header().Set("Content-Type", "text/javascript")
		case strings.HasSuffix(r.URL.Path, "/loud.html"):
			w.Header().Set("Content-Type", "Text/HTML;charset=utf-8")
		case strings.HasSuffix(r.URL.Path, "/x.html"):
			w.Header().Set("Content-Type", "application/xhtml+xml; charset=utf-8")
		case strings.HasSuffix(r.URL.Path, "/bare.html"):
			w.Header()["Content-Type"] = nil
		case strings.HasSuffix(r.URL.Path, "/bare.png"):
			w.Header()["Content-Type"] = nil
			w.WriteHeader(http.StatusNotModified)
		}
		_, _ = io.WriteString(w, r.Header.Get("X-Pronote-Id"))
	})
	in, out := s.browser(), s.browser()
	with := in.ticket(in.setOut("/eleve.html"), pupil)
	for name, got := range map[string]answer{
		"the way to the login":            out.get("/eleve.html"),
		"a script without a session":      out.get("/eleve.html", script...),
		"a form without a session":        out.send(http.MethodPost, "/eleve.html", "a=b", formType...),
		"an address that is refused":      out.get("/eleve.html/x.css"), // web cache deception: a page that a cache takes for a file
		"the administration":              out.get("/SvcAdminServeurHttp"),
		"a ticket of nobody":              out.get("/eleve.html?ticket=ST-1-nobody"),
		"a ticket":                        in.get(with),
		"a page":                          in.get("/eleve.html"),
		"a page with a file's ending":     in.get("/eleve.html?x=.css"),
		"a page that does not say so":     in.get("/bare.html"), // browsers look into it, and find one
		"a page in capitals":              in.get("/loud.html"),
		"a page in XML":                   in.get("/x.html"),
		"an open page, with a session":    in.get("/message.html"),
		"whether one is logged in":        in.get("/pronote-cas/"),
		"whether one is not":              out.get("/pronote-cas/"),
		"a logout that has to be asked":   in.get("/pronote-cas/logout", "Sec-Fetch-Site", "cross-site"),
		"a page of ours that is not":      in.get("/pronote-cas/nothing"),
		"a logout message":                out.send(http.MethodPost, "/eleve.html", logoutForm("ST-none"), formType...),
		"early data":                      out.get("/eleve.html?ticket=ST-1", "Early-Data", "1"),
		"a logout":                        in.get("/pronote-cas/logout"),
		"the page after it":               in.get("/pronote-cas/logged-out"),
		"the way to the login, once more": in.get("/eleve.html"),
	} {
		if kept := got.Header.Values("Cache-Control"); len(kept) != 1 || kept[0] != "no-store" {
			t.Errorf("%s (%s): Cache-Control %q", name, got.Status, kept)
		}
	}
	with = in.ticket(in.setOut("/eleve.html"), pupil)
	in.get(with)
	if got := in.get("/bare.png"); got.StatusCode != http.StatusNotModified || got.Header.Get("Cache-Control") != "public, max-age=600" {
		t.Errorf("a file that has not changed: %s, %q", got.Status, got.Header.Get("Cache-Control"))
	}
	if got := s.browser().get("/scripts/a.js"); got.Header.Get("Cache-Control") != "public, max-age=600" || len(got.Cookies()) > 0 || got.body != "" {
		t.Errorf("a file, which is the same for all: %q %v %q", got.Header.Get("Cache-Control"), got.Cookies(), got.body)
	}
}

// CVE-2022-31629 (PHP) and CVE-2023-23934 (Werkzeug): a server made a __Host-
// cookie of one that a neighbour may set, by mending its name. Ours counts by the
// very bytes of its name.
func TestACookieThatLooksLikeOursIsNotOurs(t *testing.T) {
	s := start(t)
	b := s.browser()
	b.login("/eleve.html", pupil)
	var value string
	for _, c := range b.Jar.Cookies(mustURL(t, public)) {
		if c.Name == "__Host-pronote_cas" {
			value = c.Value
		}
	}
	with := func(cookie string) answer {
		return s.raw(strings.Replace(navigation("/eleve.html HTTP/1.1"), "\r\n\r\n", "\r\nCookie: "+cookie+"\r\n\r\n", 1))
	}
	if got := with("a=b; __Host-pronote_cas=" + value); got.StatusCode != http.StatusOK {
		t.Fatalf("the cookie itself: %s: what is below would prove nothing", got.Status)
	}
	for _, cookie := range []string{
		"=__Host-pronote_cas=", "=; =__Host-pronote_cas=", "..Host-pronote_cas=", "__Host-pronote.cas=", "__Host.pronote_cas=", " _Host-pronote_cas=", "_ Host-pronote_cas=",
		"\u2000__Host-pronote_cas=", "\u00a0__Host-pronote_cas=", "\ufeff__Host-pronote_cas=", "\v__Host-pronote_cas=", "__Host-pronote_cas\u2000=", "__Host-pronote_cas =", "__Host-pronote_cas\t=",
		"__host-pronote_cas=", "__HOST-PRONOTE_CAS=", "__Ho\u017ft-pronote_cas=", "__Host%2Dpronote_cas=", "__Host-pronote%5Fcas=", "__Host-pronote_cas[]=", "__Host[pronote_cas]=",
		"__Secure-pronote_cas=", "pronote_cas=", "__Host-__Host-pronote_cas=", "x__Host-pronote_cas=", "a=__Host-pronote_cas=", "a=b,__Host-pronote_cas=", "\"__Host-pronote_cas\"=",
		"__Host-pronote_cas==", "__Host-pronote_cas=x; __Host-pronote_cas=", "__Host-pronote_cas_login=",
	} {
		before := s.upstream.count()
		if got := with(cookie + value); got.StatusCode == http.StatusOK || s.upstream.count() != before {
			t.Errorf("%q opens the session: %s", cookie, got.Status)
		}
	}
}

// A ticket in an address must not travel on as a Referer, and what a program is
// answered must not be taken for a page.
func TestAnswersThatAreNoPagesAreDressedToo(t *testing.T) {
	s := start(t)
	b := s.browser()
	with := b.ticket(b.setOut("/eleve.html"), pupil)
	if got := b.get(with); got.StatusCode != http.StatusFound || got.Header.Get("Referrer-Policy") != "no-referrer" {
		t.Errorf("the redirect after a login: %s, Referrer-Policy %q", got.Status, got.Header.Get("Referrer-Policy"))
	}
	got := s.browser().send(http.MethodPost, "/eleve.html", logoutForm("ST-none"), formType...)
	if got.StatusCode != http.StatusOK || got.Header.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("a logout message: %s, X-Content-Type-Options %q", got.Status, got.Header.Get("X-Content-Type-Options"))
	}
}
