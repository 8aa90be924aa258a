package casauth

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/pronote-cas/caddy-pronote-cas/casauth/relay"
)

// newDelegating is a gate that is a CAS server for PRONOTE too.
func newDelegating(t *testing.T) *gated {
	t.Helper()
	g := newGated(t, nil)
	services, err := relay.NewServices(g.Public, g.Root, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	server, err := g.sessions.Grants(relay.Config{Services: services})
	if err != nil {
		t.Fatal(err)
	}
	c := g.Config
	c.Relay = &Delegation{Server: server}
	g.Gate = NewGate(c, g.sessions)
	return g
}

// Our own login is neither upstream's to answer nor a way past the ENT's.
func TestWhatBecomesOfALoginForPRONOTE(t *testing.T) {
	login := Prefix + "login?service=" + url.QueryEscape(public+"/eleve.html")
	for _, c := range []struct {
		what, method, target string
		headers              []string
		want                 string
	}{
		{"PRONOTE's redirect", "GET", login, nil, "login"},
		{"with a ticket that somebody planted", "GET", login + "&ticket=ST-planted", nil, "login"},
		{"with two of them", "GET", login + "&ticket=ST-a&ticket=ST-b", nil, "login"},
		{"renew", "GET", login + "&renew=true", nil, "login"},
		{"not read", "POST", login, nil, string(MethodNotAllowed)},
		{"by a script", "GET", login, []string{"Sec-Fetch-Mode", "cors", "Sec-Fetch-Dest", "empty"}, string(SessionRequired)},
		{"service twice", "GET", login + "&service=x", nil, string(ServiceNotAllowed)},
		{"no service", "GET", Prefix + "login", nil, string(ServiceNotAllowed)},
		{"somewhere else", "GET", Prefix + "login?service=" + url.QueryEscape("https://evil.example/x?ticket=ST-1"), nil, string(ServiceNotAllowed)},
		{"somewhere else, gateway", "GET", Prefix + "login?gateway=true&service=https://evil.example/", nil, string(ServiceNotAllowed)},
	} {
		g := newDelegating(t)
		d := g.visit(c.method, c.target, c.headers...)
		if outcome(d) != c.want {
			t.Errorf("%s: %s, want %s", c.what, outcome(d), c.want)
			continue
		}
		if c.want == "login" && (!strings.HasPrefix(d.Location, g.LoginURL) || d.Granted) {
			t.Errorf("%s: to %s", c.what, d.Location)
		}
		if d.Action == Refuse && (strings.Contains(d.Err.Public, "ticket") || strings.Contains(d.Location, "evil")) {
			t.Errorf("%s: says %q, leads to %q", c.what, d.Err.Public, d.Location)
		}
		if c.want == string(SessionRequired) && !strings.HasPrefix(d.Location, g.LoginURL) {
			t.Errorf("%s: a script is told to log in at %q", c.what, d.Location)
		}
		if n := g.cas.Counts().TotalValidations(); n != 0 {
			t.Errorf("%s: the ENT was asked about a ticket", c.what)
		}
	}
}

// Who may be logged in is not sent to the ENT, and not back to PRONOTE as nobody.
func TestStorageGoneSendsNobodyToLogInForPRONOTE(t *testing.T) {
	g := newDelegating(t)
	g.login("/eleve.html", pupil)
	g.sessions.cache.drop(g.visit(http.MethodGet, "/eleve.html").Session)
	g.store.gone.Store(true)
	for _, more := range []string{"", "&gateway=true", "&renew=true"} {
		d := g.visit(http.MethodGet, Prefix+"login?service="+url.QueryEscape(public+"/eleve.html")+more)
		if outcome(d) != string(StorageUnavailable) || len(d.Cookies) > 0 {
			t.Errorf("%q: %s, cookies %v", more, outcome(d), d.Cookies)
		}
	}
}
