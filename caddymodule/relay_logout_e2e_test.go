package caddymodule

import (
	"encoding/xml"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/pronote-cas/caddy-pronote-cas/casauth/pronotetest"
)

// farewells are the tickets of the logout messages among what PRONOTE got, as an
// XML reader finds them.
func farewells(t *testing.T, requests []pronotetest.Request) (tickets []string) {
	t.Helper()
	for _, r := range requests {
		form, err := url.ParseQuery(string(r.Body))
		if r.Method != http.MethodPost || err != nil || !form.Has("logoutRequest") {
			continue
		}
		var message struct {
			XMLName xml.Name `xml:"urn:oasis:names:tc:SAML:2.0:protocol LogoutRequest"`
			Index   []string `xml:"urn:oasis:names:tc:SAML:2.0:protocol SessionIndex"`
		}
		if err := xml.Unmarshal([]byte(form.Get("logoutRequest")), &message); err != nil {
			t.Errorf("PRONOTE gets %s: %v", form.Get("logoutRequest"), err)
		}
		if media := r.Header.Get("Content-Type"); media != "application/x-www-form-urlencoded" {
			t.Errorf("Content-Type %q", media)
		}
		tickets = append(tickets, message.Index...)
	}
	slices.Sort(tickets)
	return tickets
}

// loggedIn has two people in both kinds of PRONOTE.
func loggedIn(t *testing.T) (sc *school, who, other *visitor) {
	t.Helper()
	sc = startSchool(t)
	who, other = sc.visitor(), sc.visitor()
	for _, page := range []string{public + "/pronote/eleve.html", public + "/pronote/mobile.eleve.html", old + "/eleve.html"} {
		if got := who.enter(page, pupil); !strings.Contains(got.body, "la délégation CAS") {
			t.Fatalf("%s: %s\n%s", page, got.Status, got.body)
		}
	}
	other.enter("/pronote/parent.html", parent)
	other.enter(old+"/parent.html", parent)
	return sc, who, other
}

// goneFrom waits until only the parent is left in both PRONOTEs, each told of
// the tickets that it had validated and of no others.
func (sc *school) goneFrom(t *testing.T, recent, legacy []pronotetest.Session) {
	t.Helper()
	for name, c := range map[string]struct {
		before   []pronotetest.Session
		now      func() []pronotetest.Session
		requests func() []pronotetest.Request
	}{
		"recent": {recent, sc.recent.Sessions, sc.recent.Requests},
		"2011":   {legacy, sc.legacy.Sessions, sc.legacy.Requests},
	} {
		var want []string
		for _, s := range c.before {
			if s.Person.ID == pupilID {
				want = append(want, s.Ticket)
			}
		}
		slices.Sort(want)
		eventually(t, "PRONOTE ("+name+") ends the pupil's sessions", func() bool {
			now := c.now()
			return len(now) == 1 && now[0].Person.ID == parentID
		})
		eventually(t, "PRONOTE ("+name+") is told of the right tickets", func() bool { return slices.Equal(farewells(t, c.requests()), want) })
		if len(want) == 0 {
			t.Errorf("%s: the pupil was never there", name)
		}
	}
}

func TestLogoutAtTheENTEndsPRONOTEsSessions(t *testing.T) {
	sc, who, other := loggedIn(t)
	recent, legacy := sc.recent.Sessions(), sc.legacy.Sessions()
	sc.cas.EndSessions(pupil)
	sc.goneFrom(t, recent, legacy)
	for _, page := range []string{public + "/pronote/eleve.html", old + "/eleve.html"} {
		if got := who.get(page); !strings.HasPrefix(got.location(), sc.cas.URL+"/login?") {
			t.Errorf("%s afterwards: %s to %q", page, got.Status, got.location())
		}
	}
	if got := other.get("/pronote/message.html"); got.StatusCode != http.StatusOK || other.forms != 1 {
		t.Errorf("the other one: %s", got.Status)
	}
	if got := other.enter("/pronote/parent.html", parent); other.forms != 1 || !strings.Contains(got.body, "Bonjour Nadia") {
		t.Errorf("the other one: %s", got.Status)
	}
	sc.keepsSecret(who)
}

func TestOwnLogoutEndsPRONOTEsSessions(t *testing.T) {
	sc, who, _ := loggedIn(t)
	recent, legacy := sc.recent.Sessions(), sc.legacy.Sessions()
	if got := who.enter("/pronote-cas/logout", pupil); !strings.Contains(got.body, "Déconnexion effectuée") {
		t.Errorf("%s\n%s", got.Status, got.body)
	}
	sc.goneFrom(t, recent, legacy) // the ENT tells the site of the other one
	// PRONOTE's own page after a logout, without which "logged out" would log in again.
	for _, page := range []string{"/pronote/message.html?G=deconnexionENT", "/pronote/message.html?G=deconnexionENT_Mobile", old + "/message.html?G=deconnexionENT"} {
		if got := who.get(page); got.StatusCode != http.StatusOK || !strings.Contains(got.body, "La session PRONOTE est terminée") {
			t.Errorf("%s: %s to %q", page, got.Status, got.location())
		}
	}
}

// The pupil's next login in the same browser is somebody else's: PRONOTE hears
// that the pupil left.
func TestAnotherPersonInTheSameBrowser(t *testing.T) {
	sc := startSchool(t)
	v := sc.visitor()
	v.enter("/pronote/eleve.html", pupil)
	before := sc.recent.Sessions()
	asked := v.get(relayLogin(public+"/pronote/parent.html", "renew=true"))
	if got := v.enter(v.ticket(asked.location(), parent), parent); !strings.Contains(got.body, "Bonjour Nadia Durand") {
		t.Fatalf("%s\n%s", got.Status, got.body)
	}
	eventually(t, "the pupil's session at PRONOTE ends", func() bool {
		now := sc.recent.Sessions()
		return len(now) == 1 && now[0].Person.ID == parentID
	})
	if got := farewells(t, sc.recent.Requests()); len(got) != 1 || got[0] != before[0].Ticket {
		t.Errorf("PRONOTE is told of %d tickets", len(got))
	}
}

// A ticket that was validated at one node, and a logout at the other.
func TestLogoutAtAnotherNode(t *testing.T) {
	sc := startSchool(t)
	sc.node()
	v := sc.visitor()
	v.enter("/pronote/eleve.html", pupil)
	service := sc.recent.URL + "eleve.html"
	ticket := v.ticketFor(service)
	if got := sc.ask(sc.caller("127.0.0.1", 1), "serviceValidate", service, ticket); !granted(got.body) {
		t.Fatalf("%s", got.body)
	}
	sc.recent.ForgetRequests()
	v.get("/pronote-cas/logout")
	eventually(t, "PRONOTE hears of both tickets", func() bool {
		got := farewells(t, sc.recent.Requests())
		return len(got) == 2 && slices.Contains(got, ticket)
	})
}

// A PRONOTE that is gone does not hold a logout up, and no ticket gets into the log.
func TestLogoutWithoutPRONOTE(t *testing.T) {
	sc := startSchool(t)
	v := sc.visitor()
	v.enter("/pronote/eleve.html", pupil)
	ticket := sc.recent.Sessions()[0].Ticket
	sc.recent.Close()
	if got := v.get("/pronote-cas/logout"); got.StatusCode != http.StatusFound {
		t.Errorf("%s", got.Status)
	}
	eventually(t, "the log says that PRONOTE was not told", func() bool { return strings.Contains(ours(sc.log.String()), "not told of a logout") })
	if strings.Contains(ours(sc.log.String()), ticket) {
		t.Error("the ticket is in our log")
	}
}

// A second tab's login, or one with renew, takes the place of the session before;
// what PRONOTE opened under that one ends with the new one all the same.
func TestLogoutEndsWhatEarlierLoginsOpened(t *testing.T) {
	for name, leave := range map[string]func(*school, *visitor){
		"own logout":    func(_ *school, v *visitor) { v.get("/pronote-cas/logout") },
		"single logout": func(sc *school, _ *visitor) { sc.cas.EndSessions(pupil) },
	} {
		t.Run(name, func(t *testing.T) {
			sc := startSchool(t)
			v := sc.visitor()
			other := v.setOut("/pronote/mobile.eleve.html")
			v.enter("/pronote/eleve.html", pupil)
			v.enter(other, pupil)
			asked := v.get(relayLogin(public+"/pronote/eleve.html", "renew=true"))
			v.enter(v.ticket(asked.location(), pupil), pupil)
			if n := len(sc.recent.Sessions()); n != 3 {
				t.Fatalf("%d sessions at PRONOTE", n)
			}
			leave(sc, v)
			eventually(t, "all of the pupil's sessions at PRONOTE end", func() bool { return len(sc.recent.Sessions()) == 0 })
		})
	}
}
