package casauth

import (
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/pronote-cas/caddy-pronote-cas/casauth/address"
	"github.com/pronote-cas/caddy-pronote-cas/casauth/castest"
	"github.com/pronote-cas/caddy-pronote-cas/casauth/pronote"
	"github.com/pronote-cas/caddy-pronote-cas/casauth/protocol"
)

const (
	public  = "https://pronote.example.fr"
	pupil   = "camille.durand"
	pupilID = "KT2AQ3UW4S98DPYX"
)

// gated is a gate with the server around it, and one browser's cookies.
type gated struct {
	*Gate
	t       *testing.T
	cas     *castest.Server
	store   *faulty
	cookies map[string]string
}

func newGated(t *testing.T, change func(*Config)) *gated {
	t.Helper()
	cas := castest.Start(t, castest.Options{Users: append(castest.DemoUsers(), others...)})
	origin, err := address.ParseOrigin(public)
	if err != nil {
		t.Fatal(err)
	}
	c := Config{
		Public: origin, Root: "/",
		CAS:      &protocol.Client{Protocol: protocol.SAML11, ValidateURL: cas.URL + "/samlValidate", Timeout: 5 * time.Second},
		LoginURL: cas.URL + "/login", LogoutURL: cas.URL + "/logout",
		Identifier: []string{"idPronote"}, Unresolved: DenyUnresolved,
		SingleLogout: true, CookieName: "__Host-pronote_cas",
	}
	for _, e := range []pronote.Espace{pronote.Entreprise, pronote.Tuteur, pronote.Academie} {
		c.NoCAS[e] = true
	}
	if change != nil {
		change(&c)
	}
	store := new(faulty)
	sessions := NewSessions(store, lifetimes)
	t.Cleanup(sessions.Close)
	return &gated{Gate: NewGate(c, sessions), t: t, cas: cas, store: store, cookies: make(map[string]string)}
}

// another is a second browser at the same gate.
func (g *gated) another() *gated {
	other := *g
	other.cookies = make(map[string]string)
	return &other
}

// visit makes one request; headers are pairs, and one of "" takes what a
// navigation has away.
func (g *gated) visit(method, target string, headers ...string) Decision {
	g.t.Helper()
	r := httptest.NewRequest(method, "/", nil)
	r.RequestURI = target
	r.Header = http.Header{"Accept": {"text/html"}, "Sec-Fetch-Mode": {"navigate"}, "Sec-Fetch-Dest": {"document"}}
	for i := 0; i+1 < len(headers); i += 2 {
		if r.Header.Del(headers[i]); headers[i+1] != "" {
			r.Header.Set(headers[i], headers[i+1])
		}
	}
	var sent []string
	for name, value := range g.cookies {
		sent = append(sent, name+"="+value)
	}
	if len(sent) > 0 && r.Header.Get("Cookie") == "" {
		r.Header.Set("Cookie", strings.Join(sent, "; "))
	}
	return g.decide(&Visit{Request: r, Asked: target, Upstream: target})
}

// decide keeps the cookies that the decision sets, as a browser does.
func (g *gated) decide(v *Visit) Decision {
	d := g.Decide(g.t.Context(), v)
	for _, c := range d.Cookies {
		if g.cookies[c.Name] = c.Value; c.MaxAge < 0 {
			delete(g.cookies, c.Name)
		}
	}
	return d
}

// ticket sets out for target and logs user in at the CAS server; it returns the
// target with its ticket.
func (g *gated) ticket(target, user string) string {
	g.t.Helper()
	d := g.visit(http.MethodGet, target)
	if d.Action != Redirect {
		g.t.Fatalf("GET %s: %+v, want a redirect to the login", target, d)
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		g.t.Fatal(err)
	}
	back, err := g.cas.Login(&http.Client{Jar: jar}, d.Location, user)
	if err != nil {
		g.t.Fatal(err)
	}
	return strings.TrimPrefix(back, public)
}

func (g *gated) login(target, user string) Decision {
	g.t.Helper()
	d := g.visit(http.MethodGet, g.ticket(target, user))
	if d.Event != LoggedIn {
		g.t.Fatalf("login of %s for %s: %+v %v", user, target, d, d.Err)
	}
	return d
}

// outcome says in a word what a decision is.
func outcome(d Decision) string {
	switch {
	case d.Action == Refuse:
		return string(d.Err.Reason)
	case d.Action == Redirect:
		return "login"
	case d.Action == Pass && d.Session != nil:
		return "pass as " + d.Session.User
	case d.Action == Pass:
		return "pass"
	case d.Action == Show:
		return "page"
	}
	return "reply"
}

// The table of product kinds: what each request becomes without and with a
// session.
func TestWhatBecomesOfARequest(t *testing.T) {
	script := []string{"Sec-Fetch-Mode", "cors", "Sec-Fetch-Dest", "empty"}
	old := []string{"Sec-Fetch-Mode", "", "Sec-Fetch-Dest", ""}
	oldScript := append([]string{"X-Requested-With", "XMLHttpRequest"}, old...)
	const in, required = "pass as " + pupil, "session_required"
	for _, test := range []struct {
		method, target string
		headers        []string
		without, with  string
	}{
		{"GET", "/", nil, "login", in},
		{"GET", "/eleve.html", nil, "login", in},
		{"HEAD", "/eleve.html", nil, "login", in},
		{"GET", "/ELEVE.HTML", nil, "login", in},
		{"GET", "/%65leve.html", nil, "login", in},
		{"GET", "/mobile.parent.html?fd=1", nil, "login", in},
		{"GET", "/unknown", nil, "login", in},
		{"GET", "/eleve.html", old, "login", in},
		{"GET", "/eleve.html", script, required, in},
		{"GET", "/eleve.html", oldScript, required, in},
		{"GET", "/eleve.html", []string{"Accept", "*/*", "Sec-Fetch-Mode", "", "Sec-Fetch-Dest", ""}, required, in},
		{"POST", "/eleve.html", nil, required, in},
		{"PUT", "/eleve.html", nil, required, in},
		{"OPTIONS", "/eleve.html", script, required, in},
		{"GET", "/eleve.html?login=true", nil, "login", in},
		{"GET", "/eleve.html?bydlg=A6ABB224-12DD-4E31-AD3E-8A39A1C2C335", nil, "login", in},
		{"POST", "/appelfonction/3/12345/abc", script, required, in},
		{"POST", "/appelpolling/3/12345/abc", script, required, in},
		{"POST", "/uploadfilesession/3/12345", script, required, in},
		{"POST", "/appelfonction/03/12345/abc", script, required, in}, // PRONOTE's to read, where no Espace is for some alone
		{"GET", "/appelfonction/3/12345/abc", nil, required, in},      // no address to come back to after a login
		{"POST", "/appelfonction/4/12345/abc", script, "pass", in},    // entreprise is none from the start
		{"GET", "/FichiersExternes/ab12/lettre.pdf?Session=1", nil, "login", in},
		{"GET", "/FichiersExternes/ab12/photo.jpg?Session=1", []string{"Sec-Fetch-Mode", "no-cors", "Sec-Fetch-Dest", "image"}, required, in},
		{"POST", "/LogClientLeger", script, required, in},
		{"GET", "/entreprise.html", nil, "pass", in},
		{"GET", "/academie.html", nil, "pass", in},
		{"GET", "/inscription.html", nil, "pass", in},
		{"GET", "/message.html?G=deconnexionENT", nil, "pass", in},
		{"GET", "/InfoMobileApp.json?id=0D264427-EEFC-4810-A9E9-346942A862A4", script, "pass", in},
		{"GET", "/eleve.js", script, "pass", in},
		{"GET", "/images/logo.png", script, "pass", in},
		{"GET", "/eleve.html/x.js", nil, "ambiguous_target", "ambiguous_target"},
		{"GET", "/x/..%2feleve.html", nil, "ambiguous_target", "ambiguous_target"},
		{"GET", "/eleve.js/../eleve.html", nil, "ambiguous_target", "ambiguous_target"},
		{"GET", "//eleve.html", nil, "ambiguous_target", "ambiguous_target"},
		{"GET", "/eleve.html;x.js", nil, "ambiguous_target", "ambiguous_target"},
		{"GET", "/eleve.html#.js", nil, "ambiguous_target", "ambiguous_target"},
		{"GET", "http://other.example/eleve.html", nil, "ambiguous_target", "ambiguous_target"},
		{"OPTIONS", "*", nil, "ambiguous_target", "ambiguous_target"},
		{"POST", "/SvcAdminServeurHttp", nil, "administration", "administration"},
		{"GET", "/pronote-cas/", nil, "page", "page"},
		{"GET", "/pronote-cas/nothing", nil, "not_found", "not_found"},
		{"POST", "/pronote-cas/", nil, "method_not_allowed", "method_not_allowed"},
	} {
		g := newGated(t, nil)
		if got := outcome(g.visit(test.method, test.target, test.headers...)); got != test.without {
			t.Errorf("%s %s %v without a session: %s, want %s", test.method, test.target, test.headers, got, test.without)
		}
		g.login("/professeur.html", pupil)
		if got := outcome(g.visit(test.method, test.target, test.headers...)); got != test.with {
			t.Errorf("%s %s %v with a session: %s, want %s", test.method, test.target, test.headers, got, test.with)
		}
	}
}

func TestWhatTheConfigurationOpens(t *testing.T) {
	const app = "?fd=1&bydlg=A6ABB224-12DD-4E31-AD3E-8A39A1C2C335"
	pattern, err := pronote.ParsePattern("/aide/*")
	if err != nil {
		t.Fatal(err)
	}
	parents := func(c *Config) {
		c.NoCAS[pronote.Parents], c.NoCAS[pronote.Commune], c.NoCASWritten = true, true, true
	}
	for _, test := range []struct {
		name, method, target string
		change               func(*Config)
		want                 string
	}{
		{"an Espace without delegation", "GET", "/parent.html", parents, "pass"},
		{"its calls", "POST", "/appelfonction/2/1/a", parents, "pass"},
		{"another Espace's calls", "POST", "/appelfonction/3/1/a", parents, "session_required"},
		{"a number written otherwise", "POST", "/appelfonction/02/1/a", parents, "session_required"},
		{"downloads, where it is written", "GET", "/FichiersExternes/a/b.pdf", parents, "pass"},
		{"another Espace", "GET", "/eleve.html", parents, "login"},
		{"direct login", "GET", "/eleve.html?login=true", func(c *Config) { c.DirectLogin = true }, "pass"},
		{"direct login, a page that does not ask for it", "GET", "/eleve.html", func(c *Config) { c.DirectLogin = true }, "login"},
		{"direct login, an unknown page", "GET", "/x?login=true", func(c *Config) { c.DirectLogin = true }, "login"},
		{"direct login's calls", "POST", "/appelfonction/3/1/a", func(c *Config) { c.DirectLogin = true }, "pass"},
		{"the app", "GET", "/mobile.eleve.html" + app, func(c *Config) { c.MobileApp = true }, "pass"},
		{"the app's first login", "GET", "/mobile.eleve.html?fd=1", func(c *Config) { c.MobileApp = true }, "login"},
		{"the app's mark on the root", "GET", "/" + app, func(c *Config) { c.MobileApp = true }, "login"},
		{"the app's calls", "POST", "/appelfonction/3/1/a", func(c *Config) { c.MobileApp = true }, "pass"},
		{"the app's downloads", "GET", "/FichiersExternes/a/b.pdf", func(c *Config) { c.MobileApp = true }, "pass"},
		{"direct login's downloads", "GET", "/FichiersExternes/a/b.pdf", func(c *Config) { c.DirectLogin = true }, "pass"},
		{"open", "GET", "/aide/page", func(c *Config) { c.Open = []pronote.Pattern{pattern} }, "pass"},
		{"open, case-blind", "GET", "/AIDE/page", func(c *Config) { c.Open = []pronote.Pattern{pattern} }, "pass"},
		{"open, escaped from", "GET", "/aide/../eleve.html", func(c *Config) { c.Open = []pronote.Pattern{pattern} }, "ambiguous_target"},
		{"open does not open the administration", "GET", "/aide/SvcAdminServeurHttp", func(c *Config) { c.Open = []pronote.Pattern{pattern} }, "administration"},
	} {
		if got := outcome(newGated(t, test.change).visit(test.method, test.target)); got != test.want {
			t.Errorf("%s: %s %s: %s, want %s", test.name, test.method, test.target, got, test.want)
		}
	}
}

func TestTheStricterOfAskedAndRewrittenCounts(t *testing.T) {
	for _, test := range []struct{ asked, upstream, want string }{
		{"/message.html", "/eleve.html", "login"},
		{"/eleve.html", "/message.html", "login"},
		{"/x.js", "/a//b", "ambiguous_target"},
		{"/a//b", "/x.js", "ambiguous_target"},
		{"/x.js", "/SvcAdminServeurHttp", "administration"},
		{"/SvcAdminServeurHttp", "/x.js", "administration"},
		{"/entreprise.html", "/academie.html", "pass"},
		{"/?login=true", "/eleve.html?login=true", "pass"},
		{"/?login=true", "/eleve.html?fd=1", "login"}, // what opens the one is not in the other
		{"/eleve.html", "/eleve.html?login=true", "login"},
	} {
		g := newGated(t, func(c *Config) { c.DirectLogin = true })
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header.Set("Accept", "text/html")
		d := g.Decide(t.Context(), &Visit{Request: r, Asked: test.asked, Upstream: test.upstream})
		if got := outcome(d); got != test.want {
			t.Errorf("%s rewritten to %s: %s, want %s", test.asked, test.upstream, got, test.want)
		}
		if d.Action == Redirect && !strings.HasSuffix(d.Location, url.QueryEscape(public+test.asked)) {
			t.Errorf("%s rewritten to %s: the service is %s", test.asked, test.upstream, d.Location)
		}
	}
}

// Outside a matcher all passes, but for what PRONOTE could read as lying inside.
func TestWhatPassesBesideTheGate(t *testing.T) {
	g := newGated(t, func(c *Config) { c.Root = "/pronote/" })
	for _, test := range []struct{ asked, upstream, want string }{
		{"/blog/eleve.html", "", "pass"},
		{"/blog//2026/a%2Fb;c", "", "pass"}, // another server's own way to write
		{"/pronote/eleve.html", "", "pass"}, // the matcher leaves it out, and so has the school
		{"/pronote%2Feleve.html", "", "ambiguous_target"},
		{"/blog/..%5CPRONOTE/eleve.html", "", "ambiguous_target"},
		{"/pronote;x/eleve.html", "", "ambiguous_target"},
		{"/pronote/SvcAdminServeurHttp", "", "administration"},
		{"/blog/a", "/pronote%2Feleve.html", "ambiguous_target"},
		{"/pronote%2Feleve.html", "/blog/a", "ambiguous_target"},
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		v := Visit{Request: r, Asked: test.asked, Upstream: test.asked}
		if test.upstream != "" {
			v.Upstream = test.upstream
		}
		if d := g.Beside(&v); outcome(d) != test.want || d.Session != nil {
			t.Errorf("%s, upstream %s: %s, want %s", v.Asked, v.Upstream, outcome(d), test.want)
		}
	}
}

func TestUnresolvedIdentifier(t *testing.T) {
	const nobody = "hugo.lefevre"
	g := newGated(t, nil)
	if d := g.visit(http.MethodGet, g.ticket("/eleve.html", nobody)); outcome(d) != string(UnknownIdentifier) || g.cookies["__Host-pronote_cas"] != "" {
		t.Errorf("deny: %s", outcome(d))
	}
	g = newGated(t, func(c *Config) { c.Unresolved = PassUnresolved })
	if d := g.login("/eleve.html", nobody); d.Session.PronoteID != "" {
		t.Errorf("pass: identifier %q", d.Session.PronoteID)
	}
	g = newGated(t, func(c *Config) { c.Identifier = []string{"nom", "categories", "idPronote"} }) // the first two hold no identifier
	if d := g.login("/eleve.html", pupil); d.Session.PronoteID != pupilID {
		t.Errorf("first hit: identifier %q", d.Session.PronoteID)
	}
	g = newGated(t, func(c *Config) { c.CASIdentifier = "nom" })
	if d := g.login("/eleve.html", pupil); d.Session.User != "Durand" {
		t.Errorf("cas_identifier: user %q", d.Session.User)
	}
	g = newGated(t, func(c *Config) { c.CASIdentifier = "nothing" })
	if d := g.visit(http.MethodGet, g.ticket("/eleve.html", pupil)); outcome(d) != string(UnknownPerson) {
		t.Errorf("cas_identifier that is not sent: %s", outcome(d))
	}
}

func TestStorageGoneLetsNobodyNewIn(t *testing.T) {
	g := newGated(t, nil)
	with := g.ticket("/eleve.html", pupil)
	g.store.gone.Store(true)
	if d := g.visit(http.MethodGet, with); outcome(d) != string(StorageUnavailable) {
		t.Errorf("a login: %s", outcome(d))
	}
	before := g.cas.Counts().TotalValidations()
	again := g.another()
	again.cookies = map[string]string{"__Host-pronote_cas_login": g.cookies["__Host-pronote_cas_login"]}
	if d := again.visit(http.MethodGet, with); outcome(d) == "pass" || g.cas.Counts().TotalValidations() != before {
		t.Errorf("while the store is known to be gone: %s, and a ticket was spent", outcome(d))
	}
	fresh := *again // a node that cannot even read the key
	sessions := NewSessions(g.store, lifetimes)
	defer sessions.Close()
	fresh.Gate = NewGate(g.Config, sessions)
	if d := fresh.visit(http.MethodGet, with); outcome(d) != string(StorageUnavailable) {
		t.Errorf("a node that has just started: %s", outcome(d))
	}
	if d := g.visit(http.MethodGet, "/x.js"); outcome(d) != "pass" {
		t.Errorf("a static file: %s", outcome(d))
	}
}

// "You are logged out" is not true of whom the storage cannot be asked about, and makes
// PRONOTE's page forget them.
func TestStorageGoneLogsNobodyOut(t *testing.T) {
	g := newGated(t, nil)
	g.login("/eleve.html", pupil)
	g.sessions.cache.drop(g.visit(http.MethodGet, "/eleve.html").Session) // as on a node that does not know it
	g.store.gone.Store(true)
	for _, headers := range [][]string{nil, {"Sec-Fetch-Mode", "cors", "Sec-Fetch-Dest", "empty"}} {
		if d := g.visit(http.MethodGet, "/eleve.html", headers...); outcome(d) != string(StorageUnavailable) || len(d.Cookies) > 0 {
			t.Errorf("%v: %s, cookies %v", headers, outcome(d), d.Cookies)
		}
	}
}

func BenchmarkDecide(b *testing.B) {
	origin, err := address.ParseOrigin(public)
	if err != nil {
		b.Fatal(err)
	}
	sessions := NewSessions(new(MemoryStore), lifetimes)
	defer sessions.Close()
	g := NewGate(Config{Public: origin, Root: "/", CookieName: "__Host-pronote_cas", SingleLogout: true}, sessions)
	value, _, err := sessions.Open(b.Context(), Identity{User: pupil, PronoteID: pupilID}, Arrival{}, "ST-1")
	if err != nil {
		b.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodPost, "/appelfonction/3/1234567/0a1b2c3d", nil)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Cookie", "ielang=1036; __Host-pronote_cas="+value)
	b.ReportAllocs()
	for b.Loop() {
		v := Visit{Request: r, Asked: r.RequestURI, Upstream: r.RequestURI}
		if d := g.Decide(b.Context(), &v); d.Session == nil {
			b.Fatal(d.Err)
		}
	}
}
