package e2e

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/pronote-cas/caddy-pronote-cas/casauth/protocol"
)

// pronote is an upstream that says who it was told is there.
func pronote(t *testing.T) (address string) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprintf(w, "identifier=%s;", strings.Join(r.Header.Values("X-Pronote-Id"), ","))
	}))
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

// gate is a Caddy with the plugin in front of an upstream, at an origin.
func gate(t *testing.T, cas casServer, speaks protocol.Protocol, origin string) *output {
	t.Helper()
	return caddyfile(t, fmt.Sprintf(`{
	admin off
}
%s {
	bind 127.0.0.1
	pronote_cas {
		cas_url %s
		public_url %s
		protocol %s
	}
	reverse_proxy %s
}
`, origin, cas.base, origin, speaks, pronote(t)), origin)
}

// TestRealServersThroughCaddy is the whole of it: gate, login at the ENT's real
// form, the identifier upstream, and a logout at the ENT that ends the session.
func TestRealServersThroughCaddy(t *testing.T) {
	forEachServer(t, func(t *testing.T, cas casServer) {
		var origins []string
		for _, port := range freePorts(t, len(cas.speaks)) {
			origins = append(origins, "http://localhost:"+port)
		}
		cas.start(t, origins...)
		for i, speaks := range cas.speaks {
			t.Run(string(speaks), func(t *testing.T) {
				printed := gate(t, cas, speaks, origins[i])
				throughCaddy(t, cas, speaks, origins[i])
				for _, secret := range []string{"ST-", pupil, pupilCode} {
					if strings.Contains(printed.String(), secret) {
						t.Errorf("the log holds %q", secret)
					}
				}
			})
		}
	})
}

func throughCaddy(t *testing.T, cas casServer, speaks protocol.Protocol, origin string) {
	espace := origin + "/pronote/eleve.html?a=1"
	visitor := newPerson(t, "")

	pg := visitor.open(espace)
	if !pg.asksForPassword() || !strings.HasPrefix(pg.URL.String(), cas.base) {
		t.Fatalf("no login page, but %d at %s:\n%s", pg.Status, pg.URL, pg.Body)
	}
	pg = visitor.submit(pg, pupil)
	if speaks == protocol.CAS1 { // which carries no attributes, so nobody is found
		if pg.Status != http.StatusForbidden {
			t.Errorf("without an identifier: %d at %s", pg.Status, pg.URL)
		}
		return
	}
	if pg.Body != "identifier="+pupilCode+";" || pg.URL.String() != espace {
		t.Fatalf("after the login: %d at %s:\n%s", pg.Status, pg.URL, pg.Body)
	}
	if status := script(t, visitor, espace); status != http.StatusOK {
		t.Errorf("a script's call with a session: %d", status)
	}

	visitor.open(cas.base + "/logout")
	for range 100 { // the message may arrive after the page
		if script(t, visitor, espace) == http.StatusUnauthorized {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	if pg = visitor.open(espace); !pg.asksForPassword() {
		t.Errorf("single logout was not obeyed: %d at %s:\n%s", pg.Status, pg.URL, pg.Body)
	}

	if cas.name == "lemonldap" { // which writes values that are no XML there
		visitor = newPerson(t, "") // the portal remembers what the other one was about to do
		pg = visitor.submit(visitor.open(origin+"/unescaped/"), pupil)
		if pg.Status != http.StatusServiceUnavailable {
			t.Errorf("an answer that is none: %d at %s:\n%s", pg.Status, pg.URL, pg.Body)
		}
	}
}

// script calls an address as a page's script does, and returns the status.
func script(t *testing.T, p *person, address string) int {
	t.Helper()
	r, err := http.NewRequest(http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Sec-Fetch-Mode", "cors")
	r.Header.Set("Sec-Fetch-Dest", "empty")
	return p.do(r).Status
}
