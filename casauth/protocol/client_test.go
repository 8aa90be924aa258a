package protocol

import (
	"compress/gzip"
	"crypto/tls"
	"encoding/xml"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

const ticket = "ST-1-a.b_c=d:e/f%3Ag+h"

// reasonOf returns the reason of err, and fails if the ticket is in it.
func reasonOf(t *testing.T, err error) Reason {
	t.Helper()
	if err == nil {
		return ""
	}
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("not an *Error: %v", err)
	}
	for _, s := range []string{ticket, url.QueryEscape(ticket)} {
		if strings.Contains(err.Error()+e.Code+e.Detail, s) {
			t.Errorf("the ticket is in %q", err)
		}
	}
	return e.Reason
}

func casServer(t *testing.T, h http.HandlerFunc) *httptest.Server {
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s
}

func TestValidateAsks(t *testing.T) {
	const service = "https://p.fr/é?a=1&b=%2F x"
	for _, x := range []struct {
		p     Protocol
		renew bool
		want  string
	}{
		{CAS1, false, "yes\nada\n"},
		{CAS2, false, casUser("ada")},
		{CAS3, true, casUser("ada")},
	} {
		s := casServer(t, func(w http.ResponseWriter, r *http.Request) {
			want := url.Values{"service": {service}, "ticket": {ticket}, "keep": {"1"}}
			if x.renew {
				want["renew"] = []string{"true"}
			}
			if got := r.URL.Query(); got.Encode() != want.Encode() || r.Method != "GET" || r.URL.Path != x.p.Path() {
				t.Errorf("%s %s", r.Method, r.URL)
			}
			if strings.Contains(r.URL.RawQuery, "%25252F") || !strings.Contains(r.URL.RawQuery, "%252F") {
				t.Errorf("not encoded once: %s", r.URL.RawQuery)
			}
			if len(r.TransferEncoding) > 0 || r.ContentLength != 0 {
				t.Errorf("a body: %v, %d", r.TransferEncoding, r.ContentLength)
			}
			io.WriteString(w, x.want)
		})
		c := Client{Protocol: x.p, ValidateURL: s.URL + x.p.Path() + "?keep=1", Renew: x.renew}
		if answer, err := c.Validate(t.Context(), service, ticket); err != nil || answer.User != "ada" {
			t.Errorf("%s: %+v, %v", x.p, answer, err)
		}
	}
}

func TestValidateAsksSAML11(t *testing.T) {
	const service = "https://p.fr/?a=1&b=<2>"
	var ids []string
	s := casServer(t, func(w http.ResponseWriter, r *http.Request) {
		if got := r.URL.RawQuery; got != "TARGET="+url.QueryEscape(service)+"&renew=true" || r.Method != "POST" {
			t.Errorf("%s %s", r.Method, got)
		}
		if r.Header.Get("SOAPAction") != "http://www.oasis-open.org/committees/security" || r.Header.Get("Content-Type") != "text/xml; charset=utf-8" {
			t.Errorf("%v", r.Header)
		}
		body, _ := io.ReadAll(r.Body)
		var sent struct {
			Request struct {
				ID       string `xml:"RequestID,attr"`
				Instant  string `xml:"IssueInstant,attr"`
				Major    string `xml:"MajorVersion,attr"`
				Artifact string `xml:"urn:oasis:names:tc:SAML:1.0:protocol AssertionArtifact"`
			} `xml:"Body>Request"`
		}
		if err := xml.Unmarshal(body, &sent); err != nil {
			t.Error(err)
		}
		got := sent.Request
		instant, err := time.Parse("2006-01-02T15:04:05Z", got.Instant)
		if err != nil || time.Since(instant).Abs() > time.Hour || got.Artifact != ticket || got.Major != "1" {
			t.Errorf("%+v, %v", got, err)
		}
		if !regexp.MustCompile(`^_[0-9a-f]{32}$`).MatchString(got.ID) || slices.Contains(ids, got.ID) {
			t.Errorf("RequestID %s", got.ID)
		}
		ids = append(ids, got.ID)
		now := time.Now()
		io.WriteString(w, samlOK.with("@start", utcInstant(now)).with("@end", utcInstant(now.Add(time.Minute))).
			with("@audience", samlAudience(escapeXML(service))).with("@response", ` InResponseTo="`+got.ID+`"`).String())
	})
	c := Client{Protocol: SAML11, ValidateURL: s.URL, Renew: true}
	for range 2 {
		if answer, err := c.Validate(t.Context(), service, ticket); err != nil || answer.User != "ada" {
			t.Errorf("%+v, %v", answer, err)
		}
	}
	// A ticket cannot hold markup (TicketShape); should it ever, it stays a ticket.
	r, err := samlRequest(t.Context(), s.URL, `ST-</samlp:AssertionArtifact>&"`, "_1")
	if err != nil {
		t.Fatal(err)
	}
	if body, _ := io.ReadAll(r.Body); strings.Count(string(body), "</samlp:AssertionArtifact>") != 1 || xml.Unmarshal(body, new(struct{})) != nil {
		t.Errorf("%s", body)
	}
}

// A ticket that cannot be one is not shown to the CAS server, and a login by an
// application is not one by the person.
func TestValidateRefuses(t *testing.T) {
	s := casServer(t, func(w http.ResponseWriter, r *http.Request) {
		if got := r.FormValue("ticket"); got != "ST-ok" {
			t.Errorf("sent: %s", got)
		}
		io.WriteString(w, casSuccess(ada+"<cas:proxies><cas:proxy>https://portail/</cas:proxy></cas:proxies>"))
	})
	c := Client{Protocol: CAS2, ValidateURL: s.URL}
	for _, x := range []struct {
		ticket string
		want   Reason
		code   string
	}{
		{"PT-1", ReasonProxyTicket, "@proxy_ticket"},
		{"", ReasonTicketShape, "@ticket_shape"},
		{"ST-a b", ReasonTicketShape, "@ticket_shape"},
		{"ST-ok", ReasonProxyChain, "@proxy_chain"},
	} {
		answer, err := c.Validate(t.Context(), service, x.ticket)
		var e *Error
		if !errors.As(err, &e) || e.Reason != x.want || e.Outcome != Failed || e.Code != x.code || answer.User != "" {
			t.Errorf("%q: %+v, %v", x.ticket, answer, err)
		}
	}
	for _, x := range []Client{{Protocol: CAS2, ValidateURL: "https://a b/"}, {Protocol: SAML11, ValidateURL: "://"}} {
		if _, err := x.Validate(t.Context(), service, ticket); reasonOf(t, err) != ReasonRequest {
			t.Errorf("%+v: %v", x, err)
		}
	}
	if _, err := c.Validate(t.Context(), "", "ST-ok"); reasonOf(t, err) != ReasonRequest {
		t.Errorf("no service: %v", err)
	}
}

func TestValidateFollowsAndKeepsNothing(t *testing.T) {
	elsewhere := casServer(t, func(http.ResponseWriter, *http.Request) { t.Error("the redirect was followed") })
	for status := range map[int]bool{301: true, 302: true, 303: true, 307: true, 308: true} {
		s := casServer(t, func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, elsewhere.URL+"/"+r.URL.RawQuery, status)
		})
		for _, p := range []Protocol{CAS2, SAML11} {
			c := Client{Protocol: p, ValidateURL: s.URL}
			if _, err := c.Validate(t.Context(), service, ticket); reasonOf(t, err) != ReasonRedirect {
				t.Errorf("%d: %v", status, err)
			}
		}
	}
	s := casServer(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Cookie") != "" {
			t.Error("a cookie came back")
		}
		http.SetCookie(w, &http.Cookie{Name: "JSESSIONID", Value: "1"})
		io.WriteString(w, casUser("ada"))
	})
	c := Client{Protocol: CAS3, ValidateURL: s.URL}
	for range 2 {
		if _, err := c.Validate(t.Context(), service, ticket); err != nil {
			t.Error(err)
		}
	}
}

func TestValidateTLS(t *testing.T) {
	for _, http2 := range []bool{false, true} {
		for _, p := range []Protocol{CAS2, SAML11} {
			s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if (r.ProtoMajor == 2) != http2 {
					t.Errorf("%s", r.Proto)
				}
				w.WriteHeader(403)
				if p == SAML11 {
					io.WriteString(w, samlOK.with("@status", "samlp:RequestDenied").String())
				} else {
					io.WriteString(w, casOpen+`<cas:authenticationFailure code="INVALID_TICKET"/>`+casClose)
				}
			}))
			s.EnableHTTP2 = http2
			s.Config.ErrorLog = log.New(io.Discard, "", 0) // the handshake that must fail
			s.StartTLS()
			defer s.Close()
			known := Client{Protocol: p, ValidateURL: s.URL, Transport: s.Client().Transport}
			for range 2 {
				if _, err := known.Validate(t.Context(), service, ticket); reasonOf(t, err) != ReasonRefused {
					t.Errorf("known: %v", err)
				}
			}
			unknown := Client{Protocol: p, ValidateURL: s.URL}
			if _, err := unknown.Validate(t.Context(), service, ticket); reasonOf(t, err) != ReasonTLS {
				t.Errorf("unknown: %v", err)
			}
		}
	}
	plain := casServer(t, func(http.ResponseWriter, *http.Request) {})
	c := Client{Protocol: CAS2, ValidateURL: strings.Replace(plain.URL, "http:", "https:", 1)}
	if _, err := c.Validate(t.Context(), service, ticket); reasonOf(t, err) != ReasonTLS {
		t.Errorf("plain HTTP: %v", err)
	}
}

// A CAS server too old or too demanding for our TLS is no broken connection: its
// certificate is fine, and the ENT has to be told what is not.
func TestTLSThatDoesNotMeetIsNamed(t *testing.T) {
	for name, config := range map[string]*tls.Config{
		"TLS 1.1 at most":      {MaxVersion: tls.VersionTLS11},
		"no cipher in common":  {MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_RSA_WITH_RC4_128_SHA}},
		"a client certificate": {ClientAuth: tls.RequireAnyClientCert},
	} {
		s := httptest.NewUnstartedServer(http.NotFoundHandler())
		s.TLS, s.Config.ErrorLog = config, log.New(io.Discard, "", 0)
		s.StartTLS()
		defer s.Close()
		c := Client{Protocol: CAS2, ValidateURL: s.URL, Transport: s.Client().Transport}
		if _, err := c.Validate(t.Context(), service, ticket); reasonOf(t, err) != ReasonTLS {
			t.Errorf("%s: %v", name, err)
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		if c, err := l.Accept(); err == nil {
			hello := "\x02\x00\x00\x26\x03\x01" + strings.Repeat("r", 32) + "\x00\x00\x2f\x00" // ServerHello of TLS 1.0
			io.WriteString(c, "\x16\x03\x01\x00\x2a"+hello)
			io.Copy(io.Discard, c)
			c.Close()
		}
	}()
	c := Client{Protocol: CAS2, ValidateURL: "https://" + l.Addr().String()}
	if _, err := c.Validate(t.Context(), service, ticket); reasonOf(t, err) != ReasonTLS {
		t.Errorf("TLS 1.0 chosen: %v", err)
	}
}

// A proxy that is not there is not the CAS server's connection that broke, nor its
// name that nobody knows.
func TestAProxyThatIsNotThereIsNoBrokenConnection(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	for _, proxy := range []string{"http://" + l.Addr().String(), "http://proxy.invalid:3128"} {
		through, err := url.Parse(proxy)
		if err != nil {
			t.Fatal(err)
		}
		c := Client{Protocol: CAS2, ValidateURL: "https://cas.example.fr/", Transport: &http.Transport{Proxy: http.ProxyURL(through)}}
		if _, err := c.Validate(t.Context(), service, ticket); reasonOf(t, err) != ReasonConnect {
			t.Errorf("%s: %v", proxy, err)
		}
	}
}

func TestValidateIPv6(t *testing.T) {
	l, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		t.Skip("no IPv6 loopback on this machine: ", err)
	}
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, casUser("ada")) }))
	s.Listener.Close()
	s.Listener = l
	s.Start()
	defer s.Close()
	c := Client{Protocol: CAS2, ValidateURL: s.URL}
	if answer, err := c.Validate(t.Context(), service, ticket); err != nil || answer.User != "ada" {
		t.Errorf("%s: %+v, %v", s.URL, answer, err)
	}
}

func TestValidateBoundsTheBody(t *testing.T) {
	var body string
	s := casServer(t, func(w http.ResponseWriter, r *http.Request) {
		if !strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
			t.Error("no compression")
		}
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		io.WriteString(z, body)
		z.Close()
	})
	c := Client{Protocol: CAS2, ValidateURL: s.URL}
	for _, x := range []struct {
		size int
		want Reason
	}{{MaxAnswer, ""}, {MaxAnswer + 1, ReasonTooLarge}, {8 * MaxAnswer, ReasonTooLarge}} {
		body = pad(casUser("ada"), x.size)
		if _, err := c.Validate(t.Context(), service, ticket); reasonOf(t, err) != x.want {
			t.Errorf("%d: %v", x.size, err)
		}
	}
}
