package e2e

import (
	"net"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// TestDemoInABrowser does what a newcomer does: an Espace, the ENT's login page,
// the Espace with the identifier, a second tab, the PRONOTEs that delegate to the
// relay, logout, and is asked again everywhere.
func TestDemoInABrowser(t *testing.T) {
	const (
		host       = "localhost:8443"
		espace     = "https://" + host + "/pronote/eleve.html"
		loginPage  = "Choisir une personne"
		asPupil    = `button[name="as"][value="camille.durand"]`
		name       = "Camille Durand"
		identifier = "KT2AQ3UW4S98DPYX"
		loggedOut  = "Déconnexion effectuée"
	)
	relayed := []string{"https://localhost:8444/pronote/eleve.html", "https://localhost:8445/eleve.html"}
	path := chromium(t)
	if conn, err := net.Dial("tcp", host); err == nil {
		conn.Close()
		missing(t, "The demo needs port 8443, and another program listens on it.")
	}
	printed := runCaddy(t, "", "pronote-cas", "demo")
	first := openBrowser(t, path, localAuthority(t, host, printed))

	first.do(chromedp.Navigate(espace))
	first.sees(loginPage)
	first.click(asPupil)
	first.sees(identifier)
	if at := first.address(); at != espace {
		t.Errorf("after the login at %s, want %s", at, espace)
	}

	second := first.another() // where nothing is asked any more
	second.do(chromedp.Navigate(espace))
	second.sees(identifier)
	for _, page := range relayed {
		second.do(chromedp.Navigate(page))
		second.sees(name)
		if text := second.text(); strings.Contains(text, "Mot de passe") {
			t.Errorf("%s asks for a second password:\n%s", second.address(), text)
		}
	}

	first.click(`header a`)
	first.sees(loggedOut)
	for _, page := range append(relayed, espace) {
		second.do(chromedp.Navigate(page))
		second.sees(loginPage)
	}
}
