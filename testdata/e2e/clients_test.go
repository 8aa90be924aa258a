package e2e

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/pronote-cas/caddy-pronote-cas/casauth/castest"
)

// casClients are CAS clients that know nothing of this project, each in
// PRONOTE's place by the protocols that it speaks. fold is what becomes of an
// attribute's name on its way to the page.
var casClients = []struct {
	name      string // its folder in testdata/interop
	protocols []string
	fold      func(string) string
}{
	{"mod-auth-cas", []string{"cas2", "saml11"}, strings.ToUpper},
	{"phpcas", []string{"cas2", "cas3", "saml11"}, func(name string) string { return name }},
}

// TestRealClientsThroughTheRelay logs in at the ENT through a CAS client that
// nobody here wrote: its redirect, its ticket, its validation over TLS, its
// reading of the answer, and its logout.
func TestRealClientsThroughTheRelay(t *testing.T) {
	for _, client := range casClients {
		for _, protocol := range client.protocols {
			t.Run(client.name+"/"+protocol, func(t *testing.T) { throughRelay(t, client.name, protocol, client.fold) })
		}
	}
}

func throughRelay(t *testing.T, name, protocol string, fold func(string) string) {
	ports := freePorts(t, 2)
	origin, private := "https://localhost:"+ports[0], "127.0.0.1:"+ports[1]
	ent := castest.Start(t, castest.Options{Services: []string{origin + "/"}, Users: []castest.User{{
		Login: pupil, Password: pupil,
		Attributes: map[string][]string{"idPronote": {pupilCode}, "nom": {"Lefèvre <&> d’Ys"}, "classe": {"3A", "LV2"}},
	}}})
	storage := t.TempDir()
	printed := caddyfile(t, fmt.Sprintf(`{
	admin off
	skip_install_trust
	auto_https disable_redirects
	storage file_system %s
}
%s {
	bind 127.0.0.1
	tls internal
	pronote_cas {
		cas_url %s
		public_url %s
		internal_url http://%s
		relay
	}
	reverse_proxy %[5]s
}
`, storage, origin, ent.URL, origin, private), origin)
	authority := filepath.Join(storage, "pki", "authorities", "local", "root.crt")
	visitor := newPerson(t, "")
	seen := trusting(t, visitor, authority, strings.TrimPrefix(origin, "https://"))
	ent.SetSLO(castest.SLO{Mode: castest.SLOSync, Client: &http.Client{Transport: visitor.client.Transport, Timeout: 10 * time.Second}})
	startInterop(t, name, ports[1], "INTEROP_CAS="+origin+"/pronote-cas", "INTEROP_CA="+authority, "INTEROP_PROTOCOL="+protocol)

	espace := origin + "/pronote/eleve.html?fd=1&a=%C3%A9"
	login := visitor.open(espace)
	if !login.asksForPassword() || !strings.HasPrefix(login.URL.String(), ent.URL) {
		t.Fatalf("no login page, but %d at %s:\n%s", login.Status, login.URL, login.Body)
	}
	back, err := ent.Login(&visitor.client, login.URL.String(), pupil)
	if err != nil {
		t.Fatal(err)
	}
	pg := visitor.open(back)
	if pg.URL.String() != espace || !strings.HasPrefix(pg.Body, "user="+pupil+"\n") {
		t.Fatalf("after the login: %d at %s:\n%s", pg.Status, pg.URL, pg.Body)
	}
	for attribute, value := range map[string]string{"idPronote": pupilCode, "login": pupil, "nom": "Lefèvre <&> d’Ys", "classe": "3A,LV2"} {
		if want := "attribute " + fold(attribute) + "=" + value + "\n"; !strings.Contains(pg.Body, want) {
			t.Errorf("the client has no %q:\n%s", want, pg.Body)
		}
	}
	if again := visitor.open(origin + "/pronote/parent.html"); !strings.HasPrefix(again.Body, "user="+pupil+"\n") || ent.Counts().Logins != 1 {
		t.Errorf("the next page: %d at %s after %d logins:\n%s", again.Status, again.URL, ent.Counts().Logins, again.Body)
	}
	for _, answer := range *seen {
		if strings.Contains(answer, private) || strings.Contains(answer, "127.0.0.1%3a"+ports[1]) || strings.Contains(answer, "127.0.0.1%3A"+ports[1]) {
			t.Errorf("a private address goes out: %s", answer)
		}
	}
	if relayTicket.MatchString(printed.String()) {
		t.Errorf("a ticket is in the log")
	}

	loggedOut(t, visitor, ent, private, espace)
}

var relayTicket = regexp.MustCompile(`ST-[0-9]+-[A-Z2-7]{52}`)

// loggedOut ends the login at the ENT and looks whether the client itself, asked
// past the proxy with the browser's own cookies, has ended its session.
func loggedOut(t *testing.T, visitor *person, ent *castest.Server, private, espace string) {
	t.Helper()
	directly := func() int {
		r, err := http.NewRequest(http.MethodGet, "http://"+private+"/pronote/eleve.html", nil)
		if err != nil {
			t.Fatal(err)
		}
		public, err := http.NewRequest(http.MethodGet, espace, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range visitor.client.Jar.Cookies(public.URL) {
			r.AddCookie(c)
		}
		resp, err := new(http.Transport).RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	if status := directly(); status != http.StatusOK {
		t.Fatalf("the client does not know its own session: %d", status)
	}
	ent.EndSessions(pupil)
	for range 100 { // its message comes after ours
		if directly() == http.StatusFound {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Error("the client goes on after single logout")
}

// trusting makes a person's browser trust one certificate authority, waits until
// host has a certificate of it, and returns the redirects that the browser sees.
func trusting(t *testing.T, p *person, authority, host string) *[]string {
	t.Helper()
	config := &tls.Config{RootCAs: x509.NewCertPool()}
	seen := new([]string)
	for range 600 {
		if root, err := os.ReadFile(authority); err == nil && config.RootCAs.AppendCertsFromPEM(root) {
			if conn, err := tls.Dial("tcp", host, config); err == nil {
				conn.Close()
				transport := &http.Transport{TLSClientConfig: config}
				t.Cleanup(transport.CloseIdleConnections)
				p.client.Transport = noting{transport, seen}
				return seen
			}
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Fatalf("no certificate for %s", host)
	return nil
}

// noting keeps the headers of what comes back.
type noting struct {
	http.RoundTripper
	seen *[]string
}

func (n noting) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := n.RoundTripper.RoundTrip(r)
	if err == nil {
		*n.seen = append(*n.seen, fmt.Sprint(resp.Status, resp.Header))
	}
	return resp, err
}
