package casauth

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/pronote-cas/caddy-pronote-cas/casauth/castest"
	"github.com/pronote-cas/caddy-pronote-cas/casauth/directory"
	"github.com/pronote-cas/caddy-pronote-cas/casauth/pronote"
)

// Somebody of whom the ENT sends nothing but the CAS identifier, and what PRONOTE
// exports about them.
const (
	nameless   = "alex.martin"
	namelessID = "A2B3C4D5E6F7G8H9"
	exported   = "Identifiant PRONOTE;Nom;Prénom;Date de naissance;Catégorie\n" +
		namelessID + ";Martin;Alex;02/09/2012;Élève\n" +
		"PRFPRFPRFPRFPRF2;Leroy;Anne;01/05/1980;Professeur\n"
)

// others are at the ENT beside the people of the demo.
var others = []castest.User{
	{Login: nameless},
	{Login: "imposteur", Attributes: map[string][]string{"idPronote": {pupilID}}},
	{Login: "both", Attributes: map[string][]string{"idPronote": {"BTHBTHBTHBTHBTH2"}, "categories": {"National_1;National_3"}}},
	{Login: "nobody", Attributes: map[string][]string{"idPronote": {"NBDNBDNBDNBDNBD2"}}},
}

func (g *gated) imports(csv string) {
	g.t.Helper()
	if _, err := g.People.Import(g.t.Context(), strings.NewReader(csv), "export.csv", directory.Full, false, nil); err != nil {
		g.t.Fatal(err)
	}
}

// submit posts the form that asks for the identifier.
func (g *gated) submit(to, code, lastName, birthDate string, headers ...string) Decision {
	g.t.Helper()
	form := url.Values{"identifier": {code}, "last_name": {lastName}, "birth_date": {birthDate}}
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(form.Encode()))
	r.RequestURI = AskPath(to)
	r.Header = http.Header{"Content-Type": {"application/x-www-form-urlencoded"}, "Sec-Fetch-Mode": {"navigate"}, "Sec-Fetch-Dest": {"document"}, "Sec-Fetch-Site": {"same-origin"}}
	for i := 0; i+1 < len(headers); i += 2 {
		if r.Header.Del(headers[i]); headers[i+1] != "" {
			r.Header.Set(headers[i], headers[i+1])
		}
	}
	for name, value := range g.cookies {
		r.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	return g.decide(&Visit{Request: r, Asked: r.RequestURI, Upstream: r.RequestURI})
}

func asks(c *Config) { c.Unresolved = AskUnresolved }

// The guide's chapter V with the proxy in the ENT's place: an export of PRONOTE is
// imported, the first login binds by the letter's code, the second needs nothing.
func TestACodeIsAskedForOnce(t *testing.T) {
	g := newGated(t, asks)
	g.imports(exported)
	g.login("/eleve.html?fd=1", nameless)

	asked := g.visit(http.MethodGet, "/eleve.html?fd=1")
	if want := public + AskPath("/eleve.html?fd=1"); asked.Action != Redirect || asked.Location != want {
		t.Fatalf("a login without an identifier: %+v, want a redirect to %s", asked, want)
	}
	if page := g.visit(http.MethodGet, AskPath("/eleve.html?fd=1")); page.Page != AskPage || page.Asking.To != "/eleve.html?fd=1" || page.Asking.ProofKnown {
		t.Fatalf("the form: %+v %+v", page, page.Asking)
	}
	before := g.cookies["__Host-pronote_cas"]
	bound := g.submit("/eleve.html?fd=1", " a2b3-c4d5 e6f7g8h9 ", "MARTIN", "2/9/2012")
	if bound.Event != Identified || bound.Location != public+"/eleve.html?fd=1" || bound.Resolved.PronoteID != namelessID {
		t.Fatalf("code and proof: %+v %v", bound, bound.Err)
	}
	if d := g.visit(http.MethodGet, "/eleve.html", "Cookie", "__Host-pronote_cas="+before); d.Event != LoginStarted {
		t.Errorf("the session that was asked goes on: %+v", d)
	}
	for range 2 {
		d := g.login("/eleve.html?fd=1", nameless)
		if d.Session.PronoteID != namelessID || d.Resolved.Rule != directory.ByRow {
			t.Fatalf("afterwards: %+v %+v", d.Session.Identity, d.Resolved)
		}
		if got := outcome(g.visit(http.MethodGet, "/eleve.html?fd=1")); got != "pass as "+nameless {
			t.Errorf("the page: %s", got)
		}
		delete(g.cookies, "__Host-pronote_cas")
	}
}

// Whoever has not said who they are gets nothing that needs a login, however they ask.
func TestASessionWithoutAnIdentifierOpensNothing(t *testing.T) {
	g := newGated(t, asks)
	g.login("/", nameless)
	for _, test := range []struct{ method, target, mode, want string }{
		{"GET", "/eleve.html", "navigate", "ask"},
		{"GET", "/", "navigate", "ask"},
		{"GET", Prefix, "navigate", "ask"}, // which would say that they have access to PRONOTE
		{"POST", "/eleve.html", "navigate", "ask"},
		{"GET", "/unheard/of", "navigate", "ask"},
		{"GET", "/FichiersExternes/1/a.pdf", "navigate", "ask"},
		{"POST", "/appelfonction/3/1/2", "cors", "identifier_required"},
		{"GET", "/eleve.html", "cors", "identifier_required"},
		{"GET", "/appelpolling/3/1", "cors", "identifier_required"},
		{"GET", "/eleve.js", "no-cors", "pass"},
		{"GET", "/entreprise.html", "navigate", "pass"}, // needs no login at all
	} {
		dest := map[string]string{"navigate": "document", "cors": "empty", "no-cors": "script"}[test.mode]
		d := g.visit(test.method, test.target, "Sec-Fetch-Mode", test.mode, "Sec-Fetch-Dest", dest)
		got := outcome(d)
		if d.Action == Redirect && strings.HasPrefix(d.Location, public+Prefix+askName) {
			got = "ask"
		}
		if got != test.want || d.Action == Pass && d.Session != nil {
			t.Errorf("%s %s (%s): %s, want %s", test.method, test.target, test.mode, got, test.want)
		}
	}
}

// A session that was to be asked, or let pass, must not open everything once the
// configuration says deny.
func TestDenyHoldsForSessionsFromBeforeIt(t *testing.T) {
	for _, before := range []Unresolved{AskUnresolved, PassUnresolved} {
		g := newGated(t, func(c *Config) { c.Unresolved = before })
		g.login("/", nameless)
		g.Unresolved = DenyUnresolved // a reload, or a node that is a configuration ahead
		if d := g.visit(http.MethodGet, "/eleve.html"); d.Event != LoginStarted || d.Session != nil {
			t.Errorf("from %s to deny: %s", before, outcome(d))
		}
		if d := g.visit(http.MethodPost, "/appelfonction/3/1/2", "Sec-Fetch-Mode", "cors"); outcome(d) != string(SessionRequired) {
			t.Errorf("from %s to deny, a call: %s", before, outcome(d))
		}
		g.Unresolved = before
		if d := g.visit(http.MethodGet, "/eleve.html"); d.Event == LoginStarted {
			t.Errorf("%s: the session is gone: %+v", before, d)
		}
	}
}

// A code alone must never let a pupil become a teacher, and neither must a form that
// another site, or a neighbour below the same domain, makes the browser send.
func TestTheFormBindsWithProofAlone(t *testing.T) {
	g := newGated(t, asks)
	g.imports(exported)
	g.login("/", nameless)
	for name, try := range map[string]func() Decision{
		"no proof": func() Decision { return g.submit("/", namelessID, "", "") },
		"another site": func() Decision {
			return g.submit("/", namelessID, "Martin", "02/09/2012", "Sec-Fetch-Site", "cross-site")
		},
		"a neighbour": func() Decision {
			return g.submit("/", namelessID, "Martin", "02/09/2012", "Sec-Fetch-Site", "same-site")
		},
		"a foreign origin": func() Decision {
			return g.submit("/", namelessID, "Martin", "02/09/2012", "Sec-Fetch-Site", "", "Origin", "https://evil.example")
		},
		"letters that no identifier has": func() Decision {
			return g.submit("/", "O0I1LLLLLLLLLLLL", "Martin", "02/09/2012")
		},
	} {
		if d := try(); d.Page != AskPage || d.Action != Show || d.Event == Identified {
			t.Errorf("%s: %+v", name, d)
		}
	}
	// A teacher's code with the pupil's own proof: which one is wrong is not said.
	d := g.submit("/", "PRFPRFPRFPRFPRF2", "Martin", "02/09/2012")
	if d.Asking == nil || d.Asking.Refused == nil || d.Asking.Refused.Kind != directory.AskMismatch || d.Asking.Refused.TriesLeft != 4 {
		t.Fatalf("a teacher's code: %+v %+v", d, d.Asking)
	}
	if again := g.submit("/", namelessID, "Martin", "02/09/2012"); again.Err == nil || again.Err.Reason != TooManyTries {
		t.Errorf("the next try at once: %+v", again)
	}
	if got := g.visit(http.MethodGet, "/eleve.html"); got.Action != Redirect {
		t.Errorf("after all that: %s", outcome(got))
	}
}

// Who was asked, and whom the school has since imported with the CAS identifier,
// need not type anything.
func TestAnImportFreesWhoIsBeingAsked(t *testing.T) {
	g := newGated(t, asks)
	g.login("/eleve.html", nameless)
	g.imports("Identifiant PRONOTE;Identifiant CAS;Nom\n" + namelessID + ";" + nameless + ";Martin\n")
	if d := g.visit(http.MethodGet, AskPath("/eleve.html")); d.Event != Identified || d.Location != public+"/eleve.html" {
		t.Fatalf("the form: %+v", d)
	}
	if d := g.login("/eleve.html", nameless); d.Session.PronoteID != namelessID {
		t.Errorf("afterwards: %+v", d.Session.Identity)
	}
}

// The form's way back is on this site, whatever its address says.
func TestTheFormIsNoOpenRedirect(t *testing.T) {
	g := newGated(t, asks)
	for target, want := range map[string]string{
		"/eleve.html?fd=1":             "/eleve.html?fd=1",
		"//evil.example/":              "/",
		"https://evil.example/":        "/",
		`/\evil.example`:               "/",
		"/%5cevil.example":             "/",
		"/pronote-cas/logout":          "/",
		"/pronote-cas/identifiant?to=": "/",
		"":                             "/",
		"/eleve.html?ticket=ST-1&x=2":  "/eleve.html?x=2",
		"javascript:alert(1)":          "/",
		"/eleve.html\r\nSet-Cookie: a": "/",
	} {
		if d := g.visit(http.MethodGet, AskPath(target)); d.Action != Redirect || d.Location != public+want {
			t.Errorf("to=%q without a session leads to %q, want %q", target, d.Location, public+want)
		}
	}
}

// An identifier that somebody else holds is refused whatever `unresolved` says, and
// the holder keeps it.
func TestAHeldIdentifierIsRefusedEvenUnderPass(t *testing.T) {
	for _, unresolved := range []Unresolved{DenyUnresolved, PassUnresolved, AskUnresolved} {
		g := newGated(t, func(c *Config) { c.Unresolved = unresolved })
		g.login("/eleve.html", pupil)
		thief := g.another()
		d := thief.visit(http.MethodGet, thief.ticket("/eleve.html", "imposteur"))
		if d.Err == nil || d.Err.Reason != IdentifierConflict || d.Resolved.Conflict == nil || d.Resolved.Conflict.HeldBy != pupil {
			t.Errorf("%s: %+v %v", unresolved, d, d.Err)
		}
		if again := g.another().login("/eleve.html", pupil); again.Session.PronoteID != pupilID {
			t.Errorf("%s: the holder lost it", unresolved)
		}
	}
}

// Nobody is let in on a directory that cannot be asked.
func TestADirectoryThatCannotBeAskedLetsNobodyIn(t *testing.T) {
	for _, unresolved := range []Unresolved{DenyUnresolved, PassUnresolved, AskUnresolved} {
		g := newGated(t, func(c *Config) { c.Unresolved = unresolved })
		g.login("/eleve.html", pupil) // so that there is a key
		other := g.another()
		back := other.ticket("/eleve.html", nameless)
		gone := new(faulty) // a store of its own: the sessions' goes on
		gone.gone.Store(true)
		g.People = g.sessions.Directory(gone, directory.Config{Identifier: g.Identifier})
		if d := other.visit(http.MethodGet, back); d.Err == nil || d.Err.Reason != StorageUnavailable {
			t.Errorf("%s: %+v", unresolved, d)
		}
		if d := other.visit(http.MethodGet, "/eleve.html"); d.Action != Redirect {
			t.Errorf("%s: in after all: %s", unresolved, outcome(d))
		}
	}
}

// An Espace is for whom the ENT says: its pages, its calls and downloads by number,
// and the relay's tickets; `/` leads everybody to their own.
func TestAnEspaceIsForItsOwnPeople(t *testing.T) {
	g := newGated(t, func(c *Config) {
		c.Require[pronote.Eleves] = Requirement{Attribute: "categories", Values: []string{"National_1", "Élève"}}
		c.Require[pronote.Professeurs] = Requirement{Attribute: "categories", Values: []string{"national 3"}}
	})
	navigate, call := []string{"Sec-Fetch-Mode", "navigate"}, []string{"Sec-Fetch-Mode", "cors", "Sec-Fetch-Dest", "empty"}
	for _, test := range []struct {
		user, target string
		headers      []string
		want         string
	}{
		{pupil, "/eleve.html", navigate, "pass as " + pupil},
		{pupil, "/mobile.eleve.html", navigate, "pass as " + pupil},
		{pupil, "/professeur.html", navigate, "wrong_profile"},
		{pupil, "/MOBILE.Professeur.HTML", navigate, "wrong_profile"},
		{pupil, "/appelfonction/1/1/1", call, "wrong_profile"},
		{pupil, "/appelpolling/8/1/1", call, "wrong_profile"},
		{pupil, "/appelfonction/3/1/1", call, "pass as " + pupil},
		{pupil, "/appelfonction/01/1/1", call, "ambiguous_target"}, // StrToInt of Delphi reads all of these as 1
		{pupil, "/appelfonction/+1/1/1", call, "ambiguous_target"},
		{pupil, "/appelfonction/$1/1/1", call, "ambiguous_target"},
		{pupil, "/appelpolling/0x1/1/1", call, "ambiguous_target"},
		{pupil, "/uploadfilesession/%201/1", call, "ambiguous_target"},
		{pupil, "/appelfonction/19/1/1", call, "pass as " + pupil}, // a primary school's Espace, which nothing here names
		{pupil, "/parent.html", navigate, "pass as " + pupil},      // nothing is required there: PRONOTE decides
		{pupil, "/", navigate, "to /eleve.html"},
		{pupil, "/?fd=1", navigate, "pass as " + pupil},
		{pupil, "/index.html", navigate, "pass as " + pupil},
		{pupil, "/unheard/of", navigate, "pass as " + pupil}, // no call, and so no number
		{"both", "/professeur.html", navigate, "pass as both"},
		{"both", "/", navigate, "pass as both"},
		{"nobody", "/eleve.html", navigate, "wrong_profile"},
		{"nobody", "/", navigate, "pass as nobody"},
	} {
		b := g.another()
		b.login("/parent.html", test.user)
		d := b.visit(http.MethodGet, test.target, test.headers...)
		got := outcome(d)
		if d.Action == Redirect {
			got = "to " + strings.TrimPrefix(d.Location, public)
		}
		if got != test.want {
			t.Errorf("%s at %s: %s, want %s", test.user, test.target, got, test.want)
		}
		if test.want == "wrong_profile" && test.user == pupil && (d.Own != pronote.Eleves || d.Location != public+"/eleve.html") {
			t.Errorf("%s at %s is shown the way to %v, %s", test.user, test.target, d.Own, d.Location)
		}
	}
}

// Who may enter the page commune is at home there: sending them on would go round and round.
func TestARequirementOfThePageCommuneSendsNobodyInCircles(t *testing.T) {
	g := newGated(t, func(c *Config) {
		c.Require[pronote.Commune] = Requirement{Attribute: "categories", Values: []string{"National_1"}}
	})
	g.login("/eleve.html", pupil)
	if d := g.visit(http.MethodGet, "/"); outcome(d) != "pass as "+pupil {
		t.Errorf("the page commune: %s to %q", outcome(d), d.Location)
	}
	g.Require[pronote.Eleves] = g.Require[pronote.Commune]
	if d := g.visit(http.MethodPost, "/"); outcome(d) != "pass as "+pupil { // what was posted would be lost
		t.Errorf("a form: %s to %q", outcome(d), d.Location)
	}
}

// Where a rewrite leads to another Espace, both count.
func TestARewriteDoesNotGetAroundARequirement(t *testing.T) {
	g := newGated(t, func(c *Config) {
		c.Require[pronote.Professeurs] = Requirement{Attribute: "categories", Values: []string{"National_3"}}
	})
	g.login("/eleve.html", pupil)
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header = http.Header{"Accept": {"text/html"}}
	for name, value := range g.cookies {
		r.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	for _, v := range []Visit{{Asked: "/eleve.html", Upstream: "/professeur.html"}, {Asked: "/professeur.html", Upstream: "/eleve.html"}} {
		v.Request = r
		if d := g.decide(&v); outcome(d) != string(WrongProfile) {
			t.Errorf("%s rewritten to %s: %s", v.Asked, v.Upstream, outcome(d))
		}
	}
}

// A second login of somebody whom the directory knows writes the session and no more.
func TestAKnownPersonsLoginWaitsForOneWrite(t *testing.T) {
	g := newGated(t, nil)
	g.login("/eleve.html", pupil)
	before := g.store.stores.Load()
	g.another().login("/eleve.html", pupil)
	if n := g.store.stores.Load() - before; n != 1 {
		t.Errorf("%d writes", n)
	}
}
