package pronotetest_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/pronote-cas/caddy-pronote-cas/casauth/castest"
	"github.com/pronote-cas/caddy-pronote-cas/casauth/pronotetest"
)

func legacy(t *testing.T, cfg pronotetest.LegacyConfig, opts castest.Options) (*pronotetest.Legacy, *castest.Server) {
	t.Helper()
	ent := castest.Start(t, opts)
	cfg.CAS = &pronotetest.CAS{URL: ent.URL}
	return pronotetest.StartLegacy(t, cfg), ent
}

func TestLegacyLogsInThroughItsListener(t *testing.T) {
	p, ent := legacy(t, pronotetest.LegacyConfig{}, castest.Options{})
	b := newBrowser(t)
	_, toCAS, _ := b.get(p.URL + "professeur.html")
	want := ent.URL + "/login?service=" + strings.ReplaceAll(p.ListenerURL, "/", "%2F") + "%2Fpronote.net%2Fcas%2F"
	if toCAS != want {
		t.Fatalf("to %q, want %q", toCAS, want)
	}
	back, err := ent.Login(b.Client, toCAS, "karim.benali")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(back, p.ListenerURL+"/pronote.net/cas/?ticket=ST-") {
		t.Errorf("back to %q", back)
	}
	_, location, text := b.get(back)
	if !strings.HasPrefix(location, p.URL+"professeur.html?identifiant=") {
		t.Fatalf("to %q\n%s", location, text)
	}
	_, _, text = b.get(location)
	if _, genre, kind := b.started(text); genre != "1" || kind != "3" || !strings.Contains(text, "Bonjour Karim Benali") {
		t.Errorf("%s", text)
	}
	if n := len(p.Sessions()); n != 1 {
		t.Fatalf("%d sessions", n)
	}
	ent.EndSessions("karim.benali")
	ent.WaitLogouts()
	if n := len(p.Sessions()); n != 0 {
		t.Error("the listener did not hear the logout message")
	}
}

func TestLegacyNeedsUnprefixedElements(t *testing.T) {
	p, ent := legacy(t, pronotetest.LegacyConfig{}, castest.Options{Shape: castest.Shape{SAML: castest.SAMLShape{Prefix: "samlp"}}})
	_, text := newBrowser(t).enter(ent, p.URL+"eleve.html", "camille.durand")
	if !strings.Contains(text, "Méthode inconnue. //*[name()=&#34;Response&#34;]") {
		t.Errorf("%s", text)
	}
}

func TestLegacyAuthenticationTestShowsWhatTheServerSaid(t *testing.T) {
	p, ent := legacy(t, pronotetest.LegacyConfig{}, castest.Options{})
	b := newBrowser(t)
	_, text := b.enter(ent, p.ListenerURL+"/pronote.net/cas/accueil/", "hugo.lefevre")
	for _, want := range []string{"L’authentification a réussi", "<dd>hugo.lefevre</dd>", "<dt>dateNaissance</dt>", "Lefèvre"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s in\n%s", want, text)
		}
	}
	if _, _, text = b.get(p.ListenerURL + "/pronote.net/cas/validationcas/?ticket=ST-x"); !strings.Contains(text, "a échoué") || !strings.Contains(text, "INVALID_TICKET") {
		t.Errorf("%s", text)
	}
	if _, _, text = b.get(p.ListenerURL + "/pronote.net/cas/validationcas/"); !strings.Contains(text, "Aucun ticket") {
		t.Errorf("%s", text)
	}
	// The three paths are three services: a ticket for one opens no other.
	ticket := ent.Ticket("camille.durand", p.ListenerURL+"/pronote.net/cas/validationcas/")
	if _, location, text := b.get(p.ListenerURL + "/pronote.net/cas/?ticket=" + ticket); location != "" || !strings.Contains(text, "INVALID_SERVICE") {
		t.Errorf("to %q\n%s", location, text)
	}
}

func TestLegacyCustomAddressTakesThePlaceOfBoth(t *testing.T) {
	p, ent := legacy(t, pronotetest.LegacyConfig{CustomURL: "https://pub.example", ServiceURL: "http://10.0.0.5:82"}, castest.Options{})
	private, _ := legacy(t, pronotetest.LegacyConfig{ServiceURL: "http://10.0.0.5:82"}, castest.Options{})
	b := newBrowser(t)
	if _, location, _ := b.get(p.URL + "eleve.html"); !strings.HasSuffix(location, "?service=https:%2F%2Fpub.example%2Fpronote.net%2Fcas%2F") {
		t.Errorf("to %q", location)
	}
	if _, location, _ := b.get(private.URL + "eleve.html"); !strings.HasSuffix(location, "?service=http:%2F%2F10.0.0.5:82%2Fpronote.net%2Fcas%2F") {
		t.Errorf("to %q", location)
	}
	ticket := ent.Ticket("camille.durand", "https://pub.example/pronote.net/cas/")
	if _, location, text := b.get(p.ListenerURL + "/pronote.net/cas/?ticket=" + ticket); !strings.HasPrefix(location, "https://pub.example/eleve.html?identifiant=") {
		t.Errorf("to %q\n%s", location, text)
	}
}

func TestLegacyPortsServeTheirOwnPathsOnly(t *testing.T) {
	p, _ := legacy(t, pronotetest.LegacyConfig{Config: pronotetest.Config{DirectLogin: true}}, castest.Options{})
	b := newBrowser(t)
	for address, want := range map[string]int{
		p.URL: http.StatusOK, p.URL + "?login=true": http.StatusOK, p.URL + "entreprise.html": http.StatusOK, p.URL + "academie.html": http.StatusOK,
		p.URL + "viescolaire.html": http.StatusFound, p.URL + "parent.html": http.StatusFound,
		p.URL + "direction.html": http.StatusNotFound, p.URL + "pronote.net/cas/": http.StatusNotFound,
		p.ListenerURL + "/eleve.html": http.StatusNotFound, p.ListenerURL + "/pronote.net/cas/x": http.StatusNotFound,
		p.ListenerURL + "/Pronote.NET/CAS/Accueil/": http.StatusFound,
	} {
		if status, location, _ := b.get(address); status != want {
			t.Errorf("%s: %d to %q, want %d", address, status, location, want)
		}
	}
	if n := len(p.Requests()); n != 11 {
		t.Errorf("%d requests in the log of both ports, want 11", n)
	}
}
