package caddymodule

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

// privateLines name addresses of PRONOTE that nobody outside may see; that of a
// closed network, with a prefix, and one without.
var privateLines = []string{"internal_url http://192.168.222.60 http://pronote-01:8088/ancien/", "internal_url https://192.168.222.61:8443"}

// sending makes PRONOTE answer with header fields, by pairs.
func sending(status int, pairs ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for pair := range slices.Chunk(pairs, 2) {
			w.Header()[pair[0]] = append(w.Header()[pair[0]], pair[1])
		}
		w.WriteHeader(status)
	}
}

// headersOut are fields of PRONOTE's answers and what becomes of them: PUBLIC is
// the public origin, CAS the ENT's CAS server, and ENT its origin.
var headersOut = []struct{ name, value, want string }{
	{"Location", "http://192.168.222.60/eleve.html?fd=1&a=%C3%A9#x", "PUBLIC/eleve.html?fd=1&a=%C3%A9#x"},
	{"Location", "HTTP://192.168.222.60:80/a", "PUBLIC/a"},
	{"Location", "http://192.168.222.60", "PUBLIC"},
	{"Location", "//192.168.222.60/a", "PUBLIC/a"},
	{"Location", "http://PRONOTE-01:8088/ancien/eleve.html", "PUBLIC/eleve.html"},
	{"Location", "https://192.168.222.61:8443/a//b?c=d%2F", "PUBLIC/a//b?c=d%2F"},
	{"Content-Location", "http://192.168.222.60/a", "PUBLIC/a"},
	{"Refresh", "5; url=http://192.168.222.60/a", "5; url=PUBLIC/a"},
	{"Refresh", "0;URL='http://192.168.222.60/a'", "0;URL='PUBLIC/a'"},
	{"Link", `<http://192.168.222.60/a.css>; rel=preload, <https://other.example/>; rel="x", </b>; rel=next`, `<PUBLIC/a.css>; rel=preload, <https://other.example/>; rel="x", </b>; rel=next`},
	{"Set-Cookie", "a=http://192.168.222.60/; Path=/; Domain=192.168.222.60; HttpOnly", "a=http://192.168.222.60/; Path=/; Domain=pronote.example.fr; HttpOnly"},
	{"Set-Cookie", "a=b; domain=.PRONOTE-01", "a=b; domain=pronote.example.fr"},
	// PRONOTE leaves ':' and '=' as they are; encoded again in full, it is what the ENT compares.
	{"Location", "CAS/login?service=http:%2F%2F192.168.222.60%2Fpronote%2Feleve.html%3Ffd=1", "CAS/login?service=https%3A%2F%2Fpronote.example.fr%2Fpronote%2Feleve.html%3Ffd%3D1"},
	{"Location", "CAS/login?selection=EDU&service=http%3A%2F%2Fpronote-01%3A8088%2Fancien%2F&x=%20", "CAS/login?selection=EDU&service=https%3A%2F%2Fpronote.example.fr%2F&x=%20"},
	{"Location", "CAS/login?TARGET=http:%2F%2F192.168.222.60:80%2F", "CAS/login?TARGET=https%3A%2F%2Fpronote.example.fr%2F"},
	{"Location", "CAS/logout?url=http://192.168.222.60/", "CAS/logout?url=https%3A%2F%2Fpronote.example.fr%2F"},
	{"Location", "CAS/adfs?wtrealm=x&wreply=http:%2F%2F192.168.222.60%2F#f", "CAS/adfs?wtrealm=x&wreply=https%3A%2F%2Fpronote.example.fr%2F#f"},
	{"Location", "https://sortie.ent.example/out?url=http:%2F%2F192.168.222.60%2F", "https://sortie.ent.example/out?url=https%3A%2F%2Fpronote.example.fr%2F"},
	{"Location", "PUBLIC/pronote-cas/login?service=http:%2F%2F192.168.222.60%2F", "PUBLIC/pronote-cas/login?service=https%3A%2F%2Fpronote.example.fr%2F"},
	{"Refresh", "0; url=CAS/login?service=http:%2F%2F192.168.222.60%2F", "0; url=CAS/login?service=https%3A%2F%2Fpronote.example.fr%2F"},

	// Whose these are is not ours to say: they go out as they came.
	{"Location", "http://192.168.222.60.evil.example/", ""},
	{"Location", "http://192.168.222.60@evil.example/", ""},
	{"Location", "http://user@192.168.222.60/", ""},
	{"Location", "http://192.168.222.60:8080/", ""},
	{"Location", "https://192.168.222.60/", ""},
	{"Location", "http://192.168.222.6/", ""},
	{"Location", "http://192.168.222.600/", ""},
	{"Location", "http://evil.example/http://192.168.222.60/", ""},
	{"Location", "http://evil.example/?service=http:%2F%2F192.168.222.60%2F", ""},
	{"Location", "ENT.evil.example/login?service=http:%2F%2F192.168.222.60%2F", ""},
	{"Location", "ENT@evil.example/login?service=http:%2F%2F192.168.222.60%2F", ""},
	{"Location", "https://cas.evil.example/ENT/login?service=http:%2F%2F192.168.222.60%2F", ""},
	{"Location", "CAS/login?service=http:%2F%2F192.168.222.60.evil.example%2F", ""},
	{"Location", "CAS/login?renew=true&service=http:%2F%2F192.168.222.60:81%2F", ""},
	{"Location", "http://pronote-01:8088/", ""},
	{"Location", "http://pronote-01:8088/anciens/", ""},
	{"Location", "http://pronote-01:8088/x/../ancien/", ""},
	{"Location", "/eleve.html?retour=http://192.168.222.60/", ""},
	{"Location", "http://[192.168.222.60/", ""},
	{"Location", "http:192.168.222.60/", ""},
	{"Location", "javascript:location='http://192.168.222.60/'", ""},
	{"Link", `<https://other.example/>; title="<http://192.168.222.60/>"`, ""},
	{"Set-Cookie", "a=b; Domain=192.168.222.60.evil.example", ""},
	{"Set-Cookie", "Domain=192.168.222.60; Path=/", ""},
	{"X-Where", "http://192.168.222.60/", ""},
	{"Etag", `"http://192.168.222.60/"`, ""},
}

func TestPrivateAddressesInHeaders(t *testing.T) {
	s := start(t, append([]string{"logout_url https://sortie.ent.example/out"}, privateLines...)...)
	in := s.browser()
	in.login("/eleve.html", pupil)
	names := strings.NewReplacer("PUBLIC", public, "CAS", s.cas.URL, "ENT", strings.TrimSuffix(s.cas.URL, "/cas"))
	for _, c := range headersOut {
		value, want := names.Replace(c.value), names.Replace(c.want)
		if want == "" {
			want = value
		}
		s.upstream.answer(sending(http.StatusOK, c.name, value, c.name, "second", c.name, value)) // a client reads the Location of a redirect
		for who, b := range map[string]*browser{"with a session": in, "without": s.browser()} {
			for _, method := range []string{http.MethodGet, http.MethodHead} {
				got := b.send(method, "/message.html", "")
				if values := got.Header[c.name]; len(values) != 3 || values[0] != want || values[1] != "second" || values[2] != want {
					t.Errorf("%s, %s %s: %q becomes %q, want %q", who, method, c.name, value, values, want)
				}
			}
		}
	}
}

// Every status takes the same way out.
func TestPrivateAddressesWhateverTheStatus(t *testing.T) {
	s := start(t, privateLines...)
	b := s.browser()
	b.login("/eleve.html", pupil)
	for _, status := range []int{200, 201, 204, 206, 300, 301, 302, 303, 304, 307, 308, 401, 404, 500, 503} {
		s.upstream.answer(sending(status, "Location", "http://192.168.222.60/a", "Etag", `"1"`, "Last-Modified", "Mon, 01 Sep 2025 08:00:00 GMT"))
		got := b.get("/x.css", "If-None-Match", `"1"`)
		if got.StatusCode != status || got.location() != public+"/a" || got.Header.Get("Etag") != `"1"` || got.Header.Get("Last-Modified") == "" {
			t.Errorf("%d: %s %v", status, got.Status, got.Header)
		}
		if r, _ := s.upstream.last(t); r.Header.Get("If-None-Match") != `"1"` {
			t.Errorf("%d: PRONOTE is not asked conditionally", status)
		}
	}
	// A HEAD has the length of what it does not send, a 304 no body, and no type that nobody gave.
	s.upstream.answer(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "12345")
		w.Header().Set("Content-Type", "image/png")
		w.WriteHeader(http.StatusOK)
	})
	if got := b.send(http.MethodHead, "/x.png", ""); got.StatusCode != http.StatusOK || got.Header.Get("Content-Length") != "12345" || got.Header.Get("Content-Type") != "image/png" || got.body != "" {
		t.Errorf("HEAD: %s %v", got.Status, got.Header)
	}
	for _, status := range []int{http.StatusNotModified, http.StatusNoContent} {
		s.upstream.answer(sending(status))
		if got := b.get("/x.png"); got.StatusCode != status || got.Header.Get("Content-Type") != "" || got.body != "" || len(got.TransferEncoding) > 0 {
			t.Errorf("%d: %s %v", status, got.Status, got.Header)
		}
	}
	// An answer that nobody wrote to.
	s.upstream.answer(func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Link", "<http://192.168.222.60/a>") })
	if got := b.get("/x.png"); got.StatusCode != http.StatusOK || got.Header.Get("Link") != "<"+public+"/a>" {
		t.Errorf("nothing written: %s %v", got.Status, got.Header)
	}
}

// RFC 8297: early hints are answers too, and there may be several before the last.
func TestPrivateAddressesInEarlyHints(t *testing.T) {
	s := start(t, privateLines...)
	in := s.browser()
	in.login("/eleve.html", pupil)
	s.upstream.answer(func(w http.ResponseWriter, _ *http.Request) {
		for _, name := range []string{"a", "b"} {
			w.Header().Set("Link", "<http://192.168.222.60/"+name+".css>; rel=preload")
			w.WriteHeader(http.StatusEarlyHints)
		}
		w.Header().Set("Link", "<http://192.168.222.60/c.css>; rel=preload")
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, "page")
	})
	for who, b := range map[string]*browser{"with a session": in, "without": s.browser()} {
		var hints []string
		ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{Got1xxResponse: func(code int, header textproto.MIMEHeader) error {
			hints = append(hints, fmt.Sprint(code, " ", header.Get("Link")))
			return nil
		}})
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, public+"/message.html", nil)
		if err != nil {
			t.Fatal(err)
		}
		res, err := b.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		want := []string{"103 <" + public + "/a.css>; rel=preload", "103 <" + public + "/b.css>; rel=preload"}
		if !slices.Equal(hints, want) || res.StatusCode != http.StatusOK || res.Header.Get("Link") != "<"+public+"/c.css>; rel=preload" {
			t.Errorf("%s: %q, then %s %v", who, hints, res.Status, res.Header)
		}
		if who == "with a session" && res.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("after early hints, the page can be kept: %v", res.Header)
		}
	}
}

// Nothing in a body is touched, whatever it says.
func TestBodiesAreNotTouched(t *testing.T) {
	s := start(t, append(privateLines, "relay")...)
	b := s.browser()
	b.login("/eleve.html", pupil)
	const body = `<base href="http://192.168.222.60/"><a href=http://192.168.222.60/a>{"CAS":{"casURL":"x"}}` + "\x00\xff"
	for _, media := range []string{"text/html", "application/json", "text/plain", "application/octet-stream", "text/css"} {
		s.upstream.answer(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", media)
			_, _ = io.WriteString(w, body)
		})
		if got := b.get("/eleve.html"); got.body != body || got.Header.Get("Content-Length") != fmt.Sprint(len(body)) {
			t.Errorf("%s: %q %v", media, got.body, got.Header)
		}
	}
}

// Trailers come after a body, and so after everything that we do.
func TestTrailersArrive(t *testing.T) {
	s := start(t, privateLines...)
	b := s.browser()
	b.login("/eleve.html", pupil)
	s.upstream.answer(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Trailer", "X-Sum")
		_, _ = io.WriteString(w, "body")
		w.Header().Set("X-Sum", "42")
		w.Header().Set(http.TrailerPrefix+"X-Late", "43")
	})
	if got := b.get("/eleve.html"); got.body != "body" || got.Trailer.Get("X-Sum") != "42" || got.Trailer.Get("X-Late") != "43" {
		t.Errorf("%q, trailers %v", got.body, got.Trailer)
	}
}

// PRONOTE has no WebSocket of its own, but other applications behind the gate do.
func TestUpgradesGoThrough(t *testing.T) {
	s := start(t, privateLines...)
	in := s.browser()
	in.login("/eleve.html", pupil)
	var cookies []string
	for _, c := range in.Jar.Cookies(mustURL(t, public)) {
		cookies = append(cookies, c.Name+"="+c.Value)
	}
	s.upstream.answer(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Location", "http://192.168.222.60/a")
		w.Header().Set("Connection", "Upgrade")
		w.Header().Set("Upgrade", r.Header.Get("Upgrade"))
		w.WriteHeader(http.StatusSwitchingProtocols)
		conn, both, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(err)
		}
		defer conn.Close()
		for line, err := both.ReadString('\n'); err == nil; line, err = both.ReadString('\n') {
			_, _ = both.WriteString(r.Header.Get("X-Pronote-Id") + " " + line)
			_ = both.Flush()
		}
	})
	for who, cookie := range map[string]string{pupilID: "Cookie: " + strings.Join(cookies, "; ") + "\r\n", "": ""} {
		conn, err := net.Dial("unix", s.dir+"/site")
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(20 * time.Second)) // a socket has deadlines
		_, _ = io.WriteString(conn, "GET /message.html HTTP/1.1\r\nHost: pronote.example.fr\r\nConnection: Upgrade\r\nUpgrade: echo\r\n"+cookie+"\r\n")
		from := bufio.NewReader(conn)
		res, err := http.ReadResponse(from, nil)
		if err != nil || res.StatusCode != http.StatusSwitchingProtocols || res.Header.Get("Location") != public+"/a" {
			t.Fatalf("%v %+v", err, res)
		}
		for _, said := range []string{"one", "two"} {
			_, _ = io.WriteString(conn, said+"\n")
			if got, err := from.ReadString('\n'); err != nil || got != who+" "+said+"\n" {
				t.Errorf("%q, %v", got, err)
			}
		}
	}
}

// A browser that leaves is seen by PRONOTE at once, and not after ten minutes of polling.
func TestPRONOTESeesThatTheBrowserLeft(t *testing.T) {
	s := start(t, privateLines...)
	b := s.browser()
	b.login("/eleve.html", pupil)
	began, left := make(chan struct{}), make(chan struct{})
	s.upstream.answer(func(_ http.ResponseWriter, r *http.Request) {
		close(began)
		<-r.Context().Done()
		close(left)
	})
	ctx, leave := context.WithCancel(t.Context())
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, public+"/appelpolling/3/1/1", nil)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		<-began
		leave()
	}()
	if res, err := b.Do(r); err == nil {
		t.Fatalf("%s", res.Status)
	}
	select {
	case <-left:
	case <-time.After(10 * time.Second):
		t.Error("PRONOTE still waits")
	}
}

func TestRedirectsToTheCASServerNameThePublicAddressOnly(t *testing.T) {
	s := start(t, privateLines...)
	b := s.browser()
	b.login("/eleve.html", pupil)
	s.upstream.answer(sending(http.StatusFound, "Location", s.cas.URL+"/login?service=http:%2F%2F192.168.222.60%2Fparent.html%3Ffd=1"))
	back := b.ticket(b.get("/parent.html?fd=1").location(), parent)
	if u, err := url.Parse(back); err != nil || u.Scheme+"://"+u.Host+u.Path != public+"/parent.html" || u.Query().Get("fd") != "1" {
		t.Errorf("the ENT leads back to %q", back)
	}
}
