package castest_test

import (
	"bytes"
	"compress/flate"
	"compress/zlib"
	"encoding/base64"
	"encoding/xml"
	"html"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/pronote-cas/caddy-pronote-cas/casauth/castest"
)

// application is a service that keeps the logout messages it gets.
type application struct {
	*httptest.Server
	mu   sync.Mutex
	got  []string // bodies
	kind []string // their Content-Type
}

func newApplication(t *testing.T) *application {
	t.Helper()
	a := &application{}
	a.Server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		a.mu.Lock()
		defer a.mu.Unlock()
		a.got = append(a.got, r.Method+" "+r.URL.RequestURI()+" "+string(body))
		a.kind = append(a.kind, r.Header.Get("Content-Type"))
	}))
	t.Cleanup(a.Close)
	return a
}

func (a *application) messages() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.got)
}

func sessionIndexes(t *testing.T, message string) []string {
	t.Helper()
	var doc struct {
		XMLName xml.Name `xml:"urn:oasis:names:tc:SAML:2.0:protocol LogoutRequest"`
		Index   []string `xml:"urn:oasis:names:tc:SAML:2.0:protocol SessionIndex"`
	}
	if err := xml.Unmarshal([]byte(message), &doc); err != nil {
		t.Fatalf("%v in %s", err, message)
	}
	return doc.Index
}

func TestLogoutTellsTheServiceOfEveryTicket(t *testing.T) {
	for _, raw := range []bool{false, true} {
		app := newApplication(t)
		s := castest.Start(t, castest.Options{SLO: castest.SLO{Mode: castest.SLOSync, Raw: raw, Client: app.Client()}})
		browser, other := client(t), client(t)
		login(t, s, other, "?service="+url.QueryEscape(app.URL+"/other"), "nadia.durand")
		var tickets []string
		for _, path := range []string{"/a?x=1", "/a?x=1", "/b"} {
			tickets = append(tickets, login(t, s, browser, "?service="+url.QueryEscape(app.URL+path), "camille.durand"))
		}
		get(t, browser, s.URL+"/logout")

		var told []string
		for _, m := range app.messages() {
			at, body, _ := strings.Cut(strings.TrimPrefix(m, "POST "), " ")
			if !raw {
				form, err := url.ParseQuery(body)
				if err != nil {
					t.Fatal(err)
				}
				body = form.Get("logoutRequest")
			}
			index := sessionIndexes(t, body)
			if len(index) != 1 || at != "/a?x=1" && at != "/b" {
				t.Errorf("%v at %s", index, at)
			}
			told = append(told, index...)
		}
		wantKind := "application/x-www-form-urlencoded"
		if raw {
			wantKind = ""
		}
		if app.kind[0] != wantKind {
			t.Errorf("raw %v: Content-Type %q", raw, app.kind[0])
		}
		slices.Sort(told)
		slices.Sort(tickets)
		if !slices.Equal(told, tickets) {
			t.Errorf("raw %v: told %v, want %v", raw, told, tickets)
		}
		if sent := s.LogoutsSent(); len(sent) != 3 || sent[0].Status != http.StatusOK || sent[0].Err != nil {
			t.Errorf("%+v", sent)
		}
		if resp, _ := get(t, browser, s.URL+"/login?service="+url.QueryEscape(app.URL)); resp.StatusCode != http.StatusOK {
			t.Error("the login session outlived the logout")
		}
		if resp, _ := get(t, other, s.URL+"/login?service="+url.QueryEscape(app.URL)); resp.StatusCode != http.StatusFound {
			t.Error("another person's login session ended")
		}
	}
}

func TestEndSessionsTellsInTheBackground(t *testing.T) {
	app := newApplication(t)
	s := castest.Start(t, castest.Options{SLO: castest.SLO{Client: app.Client()}})
	s.Ticket("camille.durand", app.URL+"/a")
	s.Ticket("camille.durand", "http://127.0.0.1:1/nobody-listens")
	s.Ticket("nadia.durand", app.URL+"/b")
	s.EndSessions("camille.durand")
	s.WaitLogouts()
	if got := app.messages(); len(got) != 1 || !strings.HasPrefix(got[0], "POST /a logoutRequest=") {
		t.Errorf("%v", got)
	}
	if sent := s.LogoutsSent(); len(sent) != 2 || (sent[0].Err == nil) == (sent[1].Err == nil) {
		t.Errorf("%+v", sent)
	}
	s.SetSLO(castest.SLO{Mode: castest.SLOOff})
	s.EndSessions("nadia.durand")
	s.WaitLogouts()
	if got := s.LogoutsSent(); len(got) != 2 {
		t.Errorf("off, and yet %+v", got)
	}
}

func TestLogoutGoesToRegisteredServicesOnly(t *testing.T) {
	s := castest.Start(t, castest.Options{Services: []string{"https://p.example/"}})
	for query, want := range map[string]string{
		"?service=https%3A%2F%2Fp.example%2Fbye":   "https://p.example/bye",
		"?service=https%3A%2F%2Fevil.example%2F":   "",
		"?url=https%3A%2F%2Fp.example%2Fbye":       "", // CAS 2, to be ignored
		"?service=javascript%3Aalert%281%29":       "",
		"?service=https%3A%2F%2Fp.example%2F%0d%0": "",
	} {
		resp, body := get(t, client(t), s.URL+"/logout"+query)
		if got := resp.Header.Get("Location"); got != want || strings.Contains(body, "evil.example") {
			t.Errorf("%s: to %q, want %q", query, got, want)
		}
	}
}

func TestFrontChannelFramesCarryTheMessage(t *testing.T) {
	for _, withHeader := range []bool{false, true} {
		s := castest.Start(t, castest.Options{SLO: castest.SLO{Mode: castest.SLOOff, Front: true, Zlib: withHeader}})
		browser := client(t)
		ticket := login(t, s, browser, "?service="+url.QueryEscape(service), "camille.durand")
		_, body := get(t, browser, s.URL+"/logout?service="+url.QueryEscape(service))
		m := regexp.MustCompile(`<iframe src="([^"]+)"`).FindStringSubmatch(body)
		if m == nil || !strings.Contains(body, "Continuer") {
			t.Fatalf("no frame or no way on in\n%s", body)
		}
		u, err := url.Parse(html.UnescapeString(m[1]))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(u.String(), service+"&SAMLRequest=") || u.Query().Get("RelayState") == "" {
			t.Errorf("frame %s", u)
		}
		packed, err := base64.StdEncoding.DecodeString(u.Query().Get("SAMLRequest"))
		if err != nil {
			t.Fatal(err)
		}
		z := io.Reader(flate.NewReader(bytes.NewReader(packed)))
		if withHeader {
			if z, err = zlib.NewReader(bytes.NewReader(packed)); err != nil {
				t.Fatal(err)
			}
		}
		message, err := io.ReadAll(z)
		if err != nil {
			t.Fatal(err)
		}
		if got := sessionIndexes(t, string(message)); !slices.Equal(got, []string{ticket}) {
			t.Errorf("%v, want %s", got, ticket)
		}
	}
}

func TestLogoutRequestNamesSeveralTickets(t *testing.T) {
	if got := sessionIndexes(t, castest.LogoutRequest("ST-1", "ST-<&>")); !slices.Equal(got, []string{"ST-1", "ST-<&>"}) {
		t.Errorf("%q", got)
	}
}
