package caddymodule

import (
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/pronote-cas/caddy-pronote-cas/casauth/castest"
)

// command runs one of our commands against the node, in a language.
func (s *rig) command(lang string, args ...string) (out string, ok bool) {
	cmd := exec.Command(os.Args[0], append(append([]string{"pronote-cas"}, args...), "--address", "unix/"+s.dir+"/admin")...)
	cmd.Env = append(os.Environ(), "PLAY_CADDY=1", "LC_ALL="+lang)
	text, err := cmd.CombinedOutput()
	return string(text), err == nil
}

var codeOnPage = regexp.MustCompile(`[2-9A-HJKMNP-Z]{4}-[2-9A-HJKMNP-Z]{3}\b`)

// Somebody calls and reads out the code on the page. Who answers has never seen a CAS
// server, and knows after one command what happened and what to do, a reload of Caddy
// in between or not; and nobody's name stands there.
func TestTraceSolvesAPhoneCall(t *testing.T) {
	s := start(t)
	b := s.browser()
	page := b.get(b.ticket(b.setOut("/eleve.html"), "hugo.lefevre"))
	code := codeOnPage.FindString(page.body)
	if page.StatusCode != http.StatusForbidden || code == "" {
		t.Fatalf("%s\n%s", page.Status, page.body)
	}
	s.browser().login("/parent.html", parent) // somebody else's
	s.reload()

	typed := strings.ToLower(strings.Replace(code, "-", " ", 1))
	french, ok := s.command("fr_FR.UTF-8", append([]string{"trace"}, strings.Fields(typed)...)...)
	for _, want := range []string{"départ vers l’ENT", "refus  [" + code + "]", "Espace eleves", "réponse de l’ENT en 0,", "aucun identifiant PRONOTE n’a été trouvé", "→ Une seule personne : compléter l’annuaire"} {
		if !ok || !strings.Contains(french, want) {
			t.Errorf("%q is not in:\n%s", want, french)
		}
	}
	if strings.Contains(french, "session ouverte") {
		t.Errorf("somebody else's login is told:\n%s", french)
	}
	english, _ := s.command("en_GB.UTF-8", "trace", "--user", "hugo.lefevre")
	for _, want := range []string{"sets out for the ENT", "[" + code + "]", "no PRONOTE identifier was found", "→ One person: "} {
		if !strings.Contains(english, want) {
			t.Errorf("%q is not in:\n%s", want, english)
		}
	}
	asJSON, ok := s.command("C", "trace", "--json", code)
	var answer told
	if err := json.Unmarshal([]byte(asJSON), &answer); !ok || err != nil || len(answer.Entries) != 2 || answer.Entries[1].Code != code || answer.Entries[0].Trip != answer.Entries[1].Trip {
		t.Errorf("%v\n%s", err, asJSON)
	}
	for _, text := range []string{french, english, asJSON} {
		for _, secret := range []string{"lefevre", "Hugo", "ST-", "ticket="} {
			if strings.Contains(text, secret) {
				t.Errorf("%q stands in:\n%s", secret, text)
			}
		}
	}
	if strings.Contains(s.log.String(), "hugo.lefevre&") || strings.Contains(s.log.String(), "user=hugo") {
		t.Errorf("Caddy's own log names the person:\n%s", s.log)
	}
	for args, want := range map[string]string{
		"22222222":               "ce n’est pas un code",
		"2222-223":               "mal noté",
		"--user=nobody":          "n’en sait rien",
		"--user=nobody K7QX-3MB": "une seule de ces trois choses",
		"":                       "indiquez ce qu’il faut chercher",
	} {
		if out, ok := s.command("fr", append([]string{"trace"}, strings.Fields(args)...)...); ok || !strings.Contains(out, want) {
			t.Errorf("trace %s: %t\n%s", args, ok, out)
		}
	}
}

// The way of a person through the relay, up to PRONOTE's own question, and the ENT's
// logout at the end.
func TestTraceOfALoginThroughTheRelay(t *testing.T) {
	sc := startSchool(t)
	v := sc.visitor()
	v.enter(old+"/eleve.html", pupil)
	sc.cas.EndSessions(pupil)
	sc.cas.WaitLogouts()
	out, _ := sc.command("en", "trace", "--user", pupil, "--site", old)
	at := 0
	for _, want := range []string{"sets out", "logged in", "PRONOTE asked who it is, and was told", "the ENT announced a logout"} {
		next := strings.Index(out[at:], want)
		if next < 0 {
			t.Fatalf("%q is missing, or at the wrong place, in:\n%s", want, out)
		}
		at += next
	}
	if out, ok := sc.command("en", "trace", "--user", pupil); ok || !strings.Contains(out, "--site") {
		t.Errorf("which of two sites? %s", out)
	}
}

// What a school keeps of a day, at the level that it runs with: for each page of ours the
// code on it, for each login whose it is, how long the ENT took and by what way
// the browser came; and nobody's name.
func TestTheLogAtINFO(t *testing.T) {
	s := startWith(t, func(s *rig) string { return strings.Replace(s.caddyfile(""), "level DEBUG", "level INFO", 1) })
	b := s.browser()
	b.login("/eleve.html", pupil)
	b.get("/appelfonction/3/1/1", script...)
	status := b.get("/pronote-cas/")
	b.get("/pronote-cas/logout")
	loggedOut := b.get("/pronote-cas/logged-out")
	stranger := s.browser()
	refused := stranger.get(stranger.ticket(stranger.setOut("/eleve.html"), "hugo.lefevre"))
	stranger.get("/appelfonction/3/1/1", script...)
	asked := stranger.get("/appelfonction/3/1/1", "Accept", "text/html", "Sec-Fetch-Mode", "cors", "Sec-Fetch-Dest", "empty")
	notFound := stranger.get("/pronote-cas/nothing")
	s.cas.SetFault(castest.Fault{Body: []byte("<html>")})
	late := s.browser()
	unreadable := late.get(late.ticket(late.setOut("/eleve.html"), pupil))

	for name, page := range map[string]answer{"logged in": status, "logged out": loggedOut, "unknown identifier": refused, "a script's page": asked, "not found": notFound, "unreadable": unreadable} {
		if code := codeOnPage.FindString(page.body); code == "" && name != "a script's page" || code != "" && !strings.Contains(s.log.String(), `"code":"`+code+`"`) {
			t.Errorf("%s: the code %q is not in the log, or there is none:\n%s\n%s", name, code, page.body, ours(s.log.String()))
		}
	}
	type line struct {
		Logger, Msg, Trip, Person, Reason, User string
		Took                                    float64
	}
	var login, logout, refusal line
	for text := range strings.Lines(s.log.String()) {
		var l line
		if json.Unmarshal([]byte(text), &l) != nil || l.Logger != "http.handlers.pronote_cas" {
			continue
		}
		switch {
		case l.Msg == "logged in":
			login = l
		case l.Msg == "logged out":
			logout = l
		case l.Reason == "unknown_identifier":
			refusal = l
		}
	}
	if login.Trip == "" || login.Person == "" || login.Took <= 0 || login.User != "" {
		t.Errorf("a login: %+v", login)
	}
	if logout.Person != login.Person {
		t.Errorf("the logout is %q's, the login %q's", logout.Person, login.Person)
	}
	if refusal.Person == "" || refusal.Person == login.Person || refusal.Trip == "" || refusal.Trip == login.Trip {
		t.Errorf("a refusal: %+v", refusal)
	}
	for _, secret := range []string{pupil, pupilID, "lefevre", "Durand", "ST-1", "pronote_cas="} {
		if strings.Contains(ours(s.log.String()), secret) {
			t.Errorf("our lines hold %q:\n%s", secret, ours(s.log.String()))
		}
	}
}
