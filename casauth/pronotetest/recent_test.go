package pronotetest_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/pronote-cas/caddy-pronote-cas/casauth/castest"
	"github.com/pronote-cas/caddy-pronote-cas/casauth/pronotetest"
)

func delegating(t *testing.T, cfg pronotetest.Config, opts castest.Options) (*pronotetest.Recent, *castest.Server) {
	t.Helper()
	ent := castest.Start(t, opts)
	cas := pronotetest.CAS{}
	if cfg.CAS != nil {
		cas = *cfg.CAS
	}
	cas.URL = ent.URL
	cfg.CAS = &cas
	return pronotetest.StartRecent(t, cfg), ent
}

func TestDelegationLogsInByEveryProtocolAndStyle(t *testing.T) {
	for _, c := range []struct {
		name, path string
		shape      castest.Shape
	}{
		{"SAML 1.1", "", castest.Shape{}},
		{"SAML 1.1 bound to nothing", "/samlValidate", castest.Shape{SAML: castest.SAMLShape{Recipient: castest.Omit, Audience: castest.Omit, InResponseTo: castest.Omit}}},
		{"CAS 2 nested", "/serviceValidate", castest.Shape{}},
		{"CAS 2 flat", "/serviceValidate", castest.Shape{Style: castest.Flat}},
		{"CAS 3 name and value", "/p3/serviceValidate", castest.Shape{Style: castest.NameValue}},
		{"CAS 3 Edifice", "/p3/serviceValidate", castest.Shape{Style: castest.UserAttributes}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, ent := delegating(t, pronotetest.Config{CAS: &pronotetest.CAS{ValidationPath: c.path}}, castest.Options{Shape: c.shape})
			b := newBrowser(t)
			location, text := b.enter(ent, p.URL+"mobile.eleve.html?fd=1", "camille.durand")
			if !strings.HasPrefix(location, p.URL+"mobile.eleve.html?fd=1&identifiant=") || !marker.MatchString(location) {
				t.Fatalf("to %q\n%s", location, text)
			}
			_, _, text = b.get(location)
			session, genre, kind := b.started(text)
			if genre != "6" || kind != "3" || !strings.Contains(text, "Bonjour Camille Durand") || !strings.Contains(text, ",e:'") {
				t.Errorf("genre %s, kind %s\n%s", genre, kind, text)
			}
			if s := p.Sessions(); len(s) != 1 || s[0].Person.ID != "KT2AQ3UW4S98DPYX" || !strings.HasPrefix(s[0].Ticket, "ST-") || !strings.Contains(text, session) {
				t.Errorf("sessions %+v", s)
			}
			if status, again, _ := b.get(location); status != http.StatusFound || !strings.HasPrefix(again, ent.URL) || strings.Contains(again, "identifiant") {
				t.Errorf("the marker served twice: %d to %q", status, again)
			}
		})
	}
}

func TestTheServiceIsWrittenAsPronoteDoesAndNeverFromHost(t *testing.T) {
	for _, c := range []struct{ public, page, want string }{
		{"https://pub.example/pronote/", "eleve.html", "https:%2F%2Fpub.example%2Fpronote%2Feleve.html"},
		{"https://pub.example", "mobile.eleve.html?fd=1&a=b%20c", "https:%2F%2Fpub.example%2Fpronote%2Fmobile.eleve.html%3Ffd=1%26a=b%2520c"},
		{"https://pub.example:8443/vie/", "", "https:%2F%2Fpub.example:8443%2Fvie%2F"},
		{"http://10.0.0.5:8088/pronote/", "ELEVE.HTML?identifiant=9W7u2z7V5ZfJxYrV", "http:%2F%2F10.0.0.5:8088%2Fpronote%2Feleve.html"},
		{"", "parent.html", ""},
	} {
		p := pronotetest.StartRecent(t, pronotetest.Config{PublicURL: c.public, CAS: &pronotetest.CAS{URL: "https://cas.example/", LoginPath: "/connexion"}})
		if c.public == "" { // not set: the private address shows
			c.want = strings.ReplaceAll(p.URL, "/", "%2F") + "parent.html"
		}
		b := newBrowser(t)
		_, location, _ := b.get(p.URL+c.page, "X-Forwarded-Host", "evil.example")
		if want := "https://cas.example/connexion?service=" + c.want; location != want {
			t.Errorf("%s: to %q, want %q", c.page, location, want)
		}
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, p.URL+c.page, nil)
		req.Host = "evil.example"
		resp, err := b.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if got := resp.Header.Get("Location"); got != location {
			t.Errorf("with another Host: to %q", got)
		}
	}
}

func TestAnswersThatDoNotFitAreRefusedWithTheReason(t *testing.T) {
	nobody := castest.User{Login: "camille.durand", Password: "x", Attributes: map[string][]string{"idPronote": {"ZZZZZZZZZZZZZZZZ"}}}
	saml := func(s castest.SAMLShape) castest.Shape { return castest.Shape{SAML: s} }
	for _, c := range []struct {
		name, path, user, page string
		users                  []castest.User
		shape                  castest.Shape
		fault                  castest.Fault
		want                   string
	}{
		{name: "prefixed elements", shape: saml(castest.SAMLShape{Prefix: "saml1p"}), want: `Méthode inconnue. //*[name()=&#34;Response&#34;]`},
		{name: "another audience", shape: saml(castest.SAMLShape{Audience: "https://x.example/"}), want: "Audience https://x.example/"},
		{name: "another recipient", shape: saml(castest.SAMLShape{Recipient: "https://x.example/"}), want: "Recipient https://x.example/"},
		{name: "another request", shape: saml(castest.SAMLShape{InResponseTo: "_x"}), want: "InResponseTo"},
		{name: "from the past", shape: castest.Shape{Skew: -3 * time.Minute}, want: "période de validité"},
		{name: "from the future", shape: castest.Shape{Skew: 3 * time.Minute}, want: "période de validité"},
		{name: "unknown identifier", users: []castest.User{nobody}, want: "ZZZZZZZZZZZZZZZZ"},
		{name: "no identifier", user: "hugo.lefevre", want: "ne donne pas l’attribut idPronote"},
		{name: "another Espace", user: "karim.benali", want: "n’a pas accès à cette page"},
		{name: "method unknown", path: "/validate", want: "z:10"},
		{name: "server error", fault: castest.Fault{Status: 502}, want: "502"},
		{name: "redirected", fault: castest.Fault{Redirect: "http://127.0.0.1:1/"}, want: "302"},
		{name: "portal page", fault: castest.Fault{Body: []byte("<p>bonjour")}, want: "illisible"},
		{name: "down", fault: castest.Fault{Down: true}, want: "ne répond pas"},
		{name: "CAS 2 refusal", path: "/serviceValidate", fault: castest.Fault{Body: []byte(`<cas:serviceResponse><cas:authenticationFailure code="INVALID_TICKET">x</cas:authenticationFailure></cas:serviceResponse>`)}, want: "z:7"},
		{name: "CAS 2 without prefix", path: "/serviceValidate", shape: castest.Shape{Prefix: castest.Omit}, want: "z:8"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, ent := delegating(t, pronotetest.Config{CAS: &pronotetest.CAS{ValidationPath: c.path}}, castest.Options{Users: c.users, Shape: c.shape})
			if c.user == "" {
				c.user = "camille.durand"
			}
			ticket := ent.Ticket(c.user, p.URL+"eleve.html")
			ent.SetFault(c.fault)
			status, location, text := newBrowser(t).get(p.URL + "eleve.html?ticket=" + ticket)
			if status != http.StatusOK || location != "" || !strings.Contains(text, "Identification impossible") || !strings.Contains(text, c.want) {
				t.Errorf("%d to %q, no %s in\n%s", status, location, c.want, text)
			}
			if strings.Contains(text, ticket) || len(p.Sessions()) != 0 {
				t.Error("the page shows the ticket, or somebody is logged in")
			}
		})
	}
}

func TestTheServerRefusalReachesThePage(t *testing.T) {
	for _, path := range []string{"/samlValidate", "/serviceValidate"} {
		p, _ := delegating(t, pronotetest.Config{CAS: &pronotetest.CAS{ValidationPath: path}}, castest.Options{})
		if _, _, text := newBrowser(t).get(p.URL + "eleve.html?ticket=ST-made-up"); !strings.Contains(text, "INVALID_TICKET") {
			t.Errorf("%s\n%s", path, text)
		}
	}
}

func TestTheMarkerOpensOnlyTheEspaceItWasMadeFor(t *testing.T) {
	p, ent := delegating(t, pronotetest.Config{}, castest.Options{})
	b := newBrowser(t)
	location, _ := b.enter(ent, p.URL+"eleve.html", "camille.durand")
	_, mark, _ := strings.Cut(location, "?")
	if status, _, text := b.get(p.URL + "professeur.html?" + mark); status != http.StatusFound {
		t.Errorf("%d\n%s", status, text)
	}
}

func TestThePageCommuneLeadsToThePersonsEspace(t *testing.T) {
	p, ent := delegating(t, pronotetest.Config{}, castest.Options{})
	b := newBrowser(t)
	for page, want := range map[string]string{"": "parent.html?identifiant=", "mobile.html": "mobile.parent.html?identifiant="} {
		if location, text := b.enter(ent, p.URL+page, "nadia.durand"); !strings.HasPrefix(location, p.URL+want) {
			t.Errorf("%q: to %q\n%s", page, location, text)
		}
	}
	if n := ent.Counts().LoginForms; n != 1 {
		t.Errorf("%d forms shown, want 1", n)
	}
}

func TestEspacesThatAreNotDelegatedAskNobodyAtTheENT(t *testing.T) {
	p, _ := delegating(t, pronotetest.Config{DirectLogin: true}, castest.Options{})
	strict, _ := delegating(t, pronotetest.Config{}, castest.Options{})
	b := newBrowser(t)
	for _, c := range []struct {
		page string
		asks bool
	}{
		{"eleve.html", true}, {"eleve.html?fd=1", true}, {"mobile.html", true}, {"index.html", true},
		{"eleve.html?login=true", false}, {"eleve.html?bydlg=A6ABB224-12DD-4E31-AD3E-8A39A1C2C335", false}, {"eleve.html?bydlg=x", true},
		{"entreprise.html", false}, {"mobile.tuteur.html", false}, {"academie.html", false},
		{"inscription.html", false}, {"message.html?G=deconnexionENT", false}, {"deconnexion.html", false}, {"erreur/3", false},
	} {
		if status, _, text := b.get(p.URL + c.page); (status == http.StatusFound) != c.asks {
			t.Errorf("%s: %d\n%s", c.page, status, text)
		}
	}
	if status, _, _ := b.get(strict.URL + "eleve.html?login=true"); status != http.StatusFound {
		t.Errorf("direct login is off, and yet %d", status)
	}
}

func TestDirectLoginTakesPronotesOwnPassword(t *testing.T) {
	p, _ := delegating(t, pronotetest.Config{DirectLogin: true}, castest.Options{})
	b := newBrowser(t)
	at := p.URL + "eleve.html?login=true"
	_, location, _ := b.do(http.MethodPost, at, "login=cdurand&motdepasse=demo", "Content-Type", form)
	_, _, text := b.get(location)
	if _, _, kind := b.started(text); kind != "2" || !strings.Contains(text, "Bonjour Camille Durand") {
		t.Errorf("%s", text)
	}
	for _, wrong := range []string{"login=cdurand&motdepasse=x", "login=kbenali&motdepasse=demo", ""} {
		if _, location, text := b.do(http.MethodPost, at, wrong, "Content-Type", form); location != "" || !strings.Contains(text, `role="alert"`) {
			t.Errorf("%s: to %q", wrong, location)
		}
	}
}

func TestAnUndelegatedEspaceShowsTheHeaderAndSaysItIsInvention(t *testing.T) {
	p := pronotetest.StartRecent(t, pronotetest.Config{LogoutURL: "/pronote-cas/logout"})
	b := newBrowser(t)
	_, _, text := b.get(p.URL+"eleve.html", "X-Pronote-Id", "KT2AQ3UW4S98DPYX")
	for _, want := range []string{"KT2AQ3UW4S98DPYX", "Bonjour Camille Durand", "Le vrai PRONOTE.net ne lit aucun en-tête", "ce n’est pas le vrai PRONOTE", `href="/pronote-cas/logout"`} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s in\n%s", want, text)
		}
	}
	if _, _, text = b.get(p.URL+"eleve.html", "X-Pronote-Id", `<script>"`); strings.Contains(text, `<script>"`) || !strings.Contains(text, "&lt;script&gt;") {
		t.Errorf("not escaped:\n%s", text)
	}
	if _, _, text = b.get(p.URL + "eleve.html"); !strings.Contains(text, "Identifiez-vous") || !strings.Contains(text, "Aucun en-tête X-Pronote-Id") || strings.Contains(text, "Bonjour") {
		t.Errorf("%s", text)
	}
	named := pronotetest.StartRecent(t, pronotetest.Config{IdentityHeader: "X-Eleve"})
	if _, _, text = b.get(named.URL+"eleve.html", "X-Eleve", "M7RC5XGB2HJ9VTEN"); !strings.Contains(text, "Bonjour Nadia Durand") {
		t.Errorf("%s", text)
	}
}

func TestPathsAreReadLaxlySoThatNothingSlipsByUnseen(t *testing.T) {
	p := pronotetest.StartRecent(t, pronotetest.Config{})
	b := newBrowser(t)
	for _, path := range []string{
		"/pronote/eleve.html", "/PRONOTE/Eleve.HTML", "/pronote//eleve.html", "/x/../pronote/eleve.html", "/pronote/./eleve.html",
		"/pronote%2Feleve.html", "/pronote/%65leve.html", "/pronote%5Celeve.html", "/pronote/eleve.html/", "/pronote/images/..%2Feleve.html",
	} {
		address, err := url.Parse(p.URL)
		if err != nil {
			t.Fatal(err)
		}
		if status, _, text := b.get("http://" + address.Host + path); status != http.StatusOK || !startLine.MatchString(text) {
			t.Errorf("%s: %d", path, status)
		}
	}
	if status, location, _ := b.get(strings.TrimSuffix(p.URL, "/")); status != http.StatusFound || location != "pronote/" {
		t.Errorf("without the slash: %d to %q", status, location)
	}
	if status, _, _ := b.get(strings.TrimSuffix(p.URL, "pronote/") + "eleve.html"); status != http.StatusNotFound {
		t.Errorf("outside the root: %d", status)
	}
}

func TestInfoMobileAppNamesTheCASServer(t *testing.T) {
	p, ent := delegating(t, pronotetest.Config{}, castest.Options{})
	alone := pronotetest.StartRecent(t, pronotetest.Config{})
	var doc struct {
		Version []int
		CAS     struct {
			Actif            bool
			CasURL, JetonCAS string
		}
		Espaces []struct {
			GenreEspace    int
			URL            string
			AvecDelegation bool
		}
	}
	_, _, text := newBrowser(t).get(p.URL + "infoMobileApp.json?id=0D264427-EEFC-4810-A9E9-346942A862A4")
	if err := json.Unmarshal([]byte(text), &doc); err != nil {
		t.Fatal(err)
	}
	if !doc.CAS.Actif || doc.CAS.CasURL != ent.URL || doc.CAS.JetonCAS == "" || len(doc.Version) != 3 {
		t.Errorf("%s", text)
	}
	for _, e := range doc.Espaces {
		if want := e.GenreEspace != 39 && e.GenreEspace != 30; e.AvecDelegation != want {
			t.Errorf("%+v", e)
		}
	}
	if _, _, text := newBrowser(t).get(alone.URL + "InfoMobileApp.json"); !strings.Contains(text, `"CAS":{"actif":false}`) || !json.Valid([]byte(text)) {
		t.Errorf("%s", text)
	}
}

func TestSettingsThatPronoteWouldRefuseAreRefused(t *testing.T) {
	cas := &pronotetest.CAS{URL: "https://cas.example"}
	ok := "https://pronote.example/pronote/"
	for name, c := range map[string]struct {
		cfg  pronotetest.Config
		want string
	}{
		"no address":          {pronotetest.Config{}, "PublicURL"},
		"no URL":              {pronotetest.Config{PublicURL: "pronote.example"}, "PublicURL"},
		"query":               {pronotetest.Config{PublicURL: ok + "?x"}, "PublicURL"},
		"root without slash":  {pronotetest.Config{PublicURL: ok, Root: "/pronote"}, "Root"},
		"no CAS":              {pronotetest.Config{PublicURL: ok, Delegated: []string{"eleve"}}, "CAS is not"},
		"CAS without address": {pronotetest.Config{PublicURL: ok, CAS: &pronotetest.CAS{}}, "CAS.URL"},
		"unknown Espace":      {pronotetest.Config{PublicURL: ok, CAS: cas, Delegated: []string{"eleves"}}, `"eleves"`},
		"commune alone":       {pronotetest.Config{PublicURL: ok, CAS: cas, Delegated: []string{"commune", "eleve"}}, "direction"},
	} {
		if _, err := pronotetest.NewRecent(c.cfg); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := pronotetest.NewLegacy(pronotetest.LegacyConfig{Config: pronotetest.Config{PublicURL: ok, CAS: cas}}); err == nil || !strings.Contains(err.Error(), "ServiceURL") {
		t.Errorf("2011 without ServiceURL: %v", err)
	}
}
