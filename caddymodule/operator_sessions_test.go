package caddymodule

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pronote-cas/caddy-pronote-cas/casauth"
)

// behindProxy is a Caddy that learns from a proxy in front where people are.
func behindProxy(s *rig) string {
	return strings.Replace(s.caddyfile(""), "auto_https off", "auto_https off\n\tservers {\n\t\ttrusted_proxies_unix\n\t\ttrusted_proxies_strict\n\t}", 1)
}

func TestSessionsSaysWhoIsLoggedIn(t *testing.T) {
	s := startWith(t, behindProxy)
	if got := s.operate("sessions"); got.code != 0 || got.out != "Nobody is logged in.\n" {
		t.Errorf("before: %+v", got)
	}
	b := s.browser()
	with := b.ticket(b.setOut("/eleve.html"), pupil)
	b.get(with, "X-Forwarded-For", "192.0.2.7")
	other := s.browser()
	other.login("/", parent)

	var all []casauth.Entry
	if s.told(&all, "sessions"); len(all) != 2 {
		t.Fatalf("%+v", all)
	}
	e := all[0]
	if e.User != pupil || e.PronoteID != pupilID || e.From != "192.0.2.7" || e.Espace != "eleves" {
		t.Errorf("%+v", e)
	}
	if life := e.Expires.Sub(e.Created); life != 10*time.Hour || e.Seen.Before(e.Created) || time.Since(e.Created) > time.Minute {
		t.Errorf("%+v", e)
	}
	list := s.operateIn("fr_FR.UTF-8", nil, "sessions")
	for _, want := range []string{"IDENTIFIANT CAS", e.ID, pupil, pupilID, "eleves", "192.0.2.7", e.Created.Local().Format("2006-01-02 15:04"), parent} {
		if !strings.Contains(list.out, want) {
			t.Errorf("the list lacks %q:\n%s", want, list.out)
		}
	}

	// Nothing in it opens anything.
	_, ticket, _ := strings.Cut(with, "ticket=")
	cookie := b.Jar.Cookies(mustURL(t, public))[0]
	if len(cookie.Value) < 40 || ticket == "" {
		t.Fatal("this test compares with nothing")
	}
	for _, word := range append(strings.Fields(list.out), stringsIn(reflect.ValueOf(all))...) {
		if strings.Contains(cookie.Value, word) && len(word) > 2 || strings.Contains(ticket, word) && len(word) > 2 {
			t.Errorf("%q is a part of the cookie or of the ticket", word)
		}
		thief := s.browser()
		thief.Jar.SetCookies(mustURL(t, public), []*http.Cookie{{Name: cookie.Name, Value: word}})
		if got := thief.status("/eleve.html"); got != http.StatusFound {
			t.Errorf("%q opens something as a cookie: %d", word, got)
		}
		thief.setOut("/eleve.html")
		if got := thief.get("/eleve.html?ticket=" + url.QueryEscape(word)); got.StatusCode == http.StatusOK || got.location() == public+"/eleve.html" {
			t.Errorf("%q opens something as a ticket: %s to %q", word, got.Status, got.location())
		}
	}
	if strings.Contains(s.log.String(), cookie.Value) || strings.Contains(list.out+fmt.Sprint(all), "Durand") {
		t.Error("the cookie is in the log, or attributes are in the list")
	}
}

// stringsIn are all strings in v.
func stringsIn(v reflect.Value) (found []string) {
	switch v.Kind() {
	case reflect.String:
		if v.String() != "" {
			found = append(found, v.String())
		}
	case reflect.Struct:
		for i := range v.NumField() {
			found = append(found, stringsIn(v.Field(i))...)
		}
	case reflect.Slice:
		for i := range v.Len() {
			found = append(found, stringsIn(v.Index(i))...)
		}
	}
	return found
}

// Who is meant loses page, download and call, at the node that is asked and at any
// other; nobody else notices.
func TestRevokeEndsWhatIsMeantAndNothingElse(t *testing.T) {
	a := start(t)
	b := a.beside()
	stays := a.browser()
	stays.login("/parent.html", parent)
	for name, args := range map[string]func() []string{
		"by person":  func() []string { return []string{"--user", pupil} },
		"by profile": func() []string { return []string{"--profile", "élèves"} },
		"by session": func() []string {
			all := a.sessionsNow()
			return []string{"--session", all[slices.IndexFunc(all, func(e casauth.Entry) bool { return e.User == pupil })].ID}
		},
	} {
		for node, asked := range map[string]*rig{"here": a, "at the other node": b} {
			in := a.browser()
			in.login("/eleve.html", pupil)
			live, large := in.begin(http.MethodPost, poll, false, nil), in.begin(http.MethodGet, download, true, nil)
			got := asked.operate(append([]string{"revoke"}, args()...)...)
			if got.code != 0 || !strings.Contains(got.out, "Sessions ended: 1. People: 1.") || !strings.Contains(got.out, pupil) || strings.Contains(got.out, parent) {
				t.Errorf("%s, %s: %+v", name, node, got)
			}
			live.expect(t, name+", "+node+": a poll", http.StatusUnauthorized)
			large.expect(t, name+", "+node+": a download", 0)
			in.setOut("/eleve.html")
			if left := users(b.sessionsNow()); !slices.Equal(left, []string{parent}) {
				t.Errorf("%s, %s: left are %s", name, node, left)
			}
		}
	}
	if got := stays.status("/parent.html"); got != http.StatusOK {
		t.Errorf("somebody else: %d", got)
	}
	a.browser().login("/eleve.html", pupil)
	var ended []casauth.Entry
	if a.told(&ended, "revoke", "--all"); !slices.Equal(users(ended), []string{pupil, parent}) {
		t.Errorf("all: %s", users(ended))
	}
	stays.setOut("/parent.html")
	if got := a.operate("revoke", "--all"); got.code != 0 || got.out != "Nobody is logged in.\n" {
		t.Errorf("all of nobody: %+v", got)
	}
	if asked := adminLog(a) + adminLog(b); !strings.Contains(asked, "/pronote_cas/revoke") || strings.Contains(asked, pupil) {
		t.Errorf("a command put a person into the log, or there is none:\n%s", asked)
	}
}

func TestRevokeRefusesWhatIsNotMeant(t *testing.T) {
	s := start(t)
	in := s.browser()
	in.login("/eleve.html", pupil)
	for _, test := range []struct {
		args []string
		says string
	}{
		{nil, "by one of user, session, profile and all"},
		{[]string{"--user", pupil, "--all"}, "and one only"},
		{[]string{"--user", ""}, "by one of user"},
		{[]string{"--user", strings.ToUpper(pupil)}, `nobody is logged in as "CAMILLE.DURAND"`},
		{[]string{"--user", pupilID}, "nobody is logged in as"},
		{[]string{"--session", "3f2a90c1d4e5"}, "nobody is logged in as"},
		{[]string{"--profile", "professeurs"}, "nobody is logged in as"},
		{[]string{"--all", pupil}, "unknown command"},
	} {
		if got := s.operate(append([]string{"revoke"}, test.args...)...); got.code != 1 || !strings.Contains(got.err, test.says) {
			t.Errorf("%s: %+v, want %q", test.args, got, test.says)
		}
	}
	if got := in.status("/eleve.html"); got != http.StatusOK {
		t.Errorf("the session: %d", got)
	}
}

// A page elsewhere that makes the operator's browser call the admin endpoint is
// refused, by Caddy's own check of the Origin; a program without one is served.
func TestAnotherSitesPageRevokesNobody(t *testing.T) {
	s := start(t)
	in := s.browser()
	in.login("/eleve.html", pupil)
	for name, headers := range map[string][]string{
		"a form":                {"Origin", "https://evil.example"},
		"a sandboxed form":      {"Origin", "null"},
		"a script without CORS": {"Sec-Fetch-Mode", "no-cors"},
	} {
		got := s.askAdmin("POST", "revoke", "all=true", append(headers, formType...)...)
		if got.StatusCode < 400 || in.status("/eleve.html") != http.StatusOK {
			t.Errorf("%s: %s %s", name, got.Status, got.body)
		}
	}
	if got := s.askAdmin("POST", "revoke", "all=true", formType...); got.StatusCode != http.StatusOK {
		t.Errorf("a program: %s %s", got.Status, got.body)
	}
	in.setOut("/eleve.html")
}

func TestTheAdminAPIRefusesInBothLanguages(t *testing.T) {
	s := start(t)
	for _, test := range []struct {
		method, target, body string
		status               int
		en, fr               string
	}{
		{"GET", "revoke", "", 404, "there is nothing at GET /pronote_cas/revoke", "il n’y a rien"},
		{"GET", "sessions?site=https://other.example.fr", "", 404, "no site https://other.example.fr", "pas de site"},
		{"GET", "sessions?user=x", "", 400, `"user" is not known here`, "inconnu ici"},
		{"POST", "revoke?user=x", "", 400, "because Caddy logs addresses", "Caddy journalise les adresses"},
		{"POST", "revoke", "user=a&user=b", 400, "there twice", "présent deux fois"},
		{"POST", "revoke", "all=yes", 400, "whose sessions end", "de qui terminer"},
		{"POST", "revoke", "%zz", 400, "is no form", "n’est pas un formulaire"},
		{"POST", "revoke", "user=" + strings.Repeat("x", maxForm), 413, "64 KiB", "64 Kio"},
		{"POST", "forget", "", 400, "say whom to forget", "dites qui oublier"},
		{"POST", "forget", "user=x&keep_row=maybe", 400, "keep_row is true or false", "vaut true ou false"},
		{"POST", "forget", "user=nobody", 404, `nobody is known by the CAS identifier "nobody"`, "personne n’est connu"},
		{"POST", "import?mode=full&dryrun=true", "", 400, `"dryrun" is not known`, "inconnu"},
		{"POST", "import?mode=full&dry_run=perhaps", "", 400, "dry_run is true or false", "vaut true"},
		{"POST", "import", "idpronote\n" + pupilID + "\n", 400, `"partial" (the file adds`, "partial"},
		{"GET", "export?lang=de", "", 400, "lang is fr or en", "fr ou en"},
	} {
		got := s.askAdmin(test.method, test.target, test.body, formType...)
		var said both
		if err := json.Unmarshal([]byte(got.body), &said); err != nil || got.StatusCode != test.status || !strings.Contains(said.En, test.en) || !strings.Contains(said.Fr, test.fr) {
			t.Errorf("%s %s: %s %s", test.method, test.target, got.Status, got.body)
		}
	}
}

// One file that nobody can read, such as root's, keeps no operator from the others.
func TestCommandsWithAnUnreadableSession(t *testing.T) {
	s := start(t)
	s.browser().login("/eleve.html", pupil)
	records, err := filepath.Glob(s.storage + "/pronote_cas/*/sessions/*/*")
	if err != nil || len(records) != 1 {
		t.Fatal(records, err)
	}
	// A folder where a file was: what cannot be read, by root neither.
	if err := errors.Join(os.Remove(records[0]), os.Mkdir(records[0], 0o700)); err != nil {
		t.Fatal(err)
	}
	s.browser().login("/parent.html", parent)
	for _, test := range []struct{ command, who string }{{"revoke --user " + parent, parent}, {"sessions", pupil}, {"revoke --all", pupil}} {
		if got := s.operate(strings.Fields(test.command)...); got.code != 0 || !strings.Contains(got.out, test.who) {
			t.Errorf("%s: %+v", test.command, got)
		}
	}
	if _, err := os.Stat(records[0]); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("what could not be read is still there: %v", err)
	}
}

// Storage that is gone must not look like a school where nobody is logged in.
func TestCommandsWithoutStorage(t *testing.T) {
	s := startFaulty(t)
	s.browser().login("/eleve.html", pupil)
	s.fault(storageFault{Key: "pronote_cas", Gone: true})
	for _, args := range [][]string{{"sessions"}, {"revoke", "--all"}, {"forget", "--user", pupil}} {
		if got := s.operate(args...); got.code != 1 || !strings.Contains(got.err, "Caddy's storage does not answer") {
			t.Errorf("%s: %+v", args, got)
		}
	}
}

func TestCommandsWithoutCaddy(t *testing.T) {
	t.Parallel()
	s := &rig{t: t, dir: shortDir(t)}
	for _, args := range [][]string{{"sessions"}, {"revoke", "--all"}, {"export"}, {"directory"}, {"forget", "--user", "x"}} {
		got := s.operate(args...)
		if got.code != 1 || !strings.Contains(got.err, "Caddy does not answer") || !strings.Contains(got.err, s.dir+"/admin") {
			t.Errorf("%s: %+v", args, got)
		}
	}
	if got := s.operateIn("fr_FR.UTF-8", nil, "sessions"); got.code != 1 || !strings.Contains(got.err, "Caddy ne répond pas") {
		t.Errorf("%+v", got)
	}
}

// A slip of the pen in a script must not look like success.
func TestACommandThatDoesNotExistFails(t *testing.T) {
	t.Parallel()
	cmd := caddyCommand("pronote-cas", "revok", "--all")
	said, err := cmd.CombinedOutput()
	if err == nil {
		t.Errorf("it ended well:\n%s", said)
	}
	if said, err = caddyCommand("pronote-cas", "revok").CombinedOutput(); err == nil || !strings.Contains(string(said), `unknown command "revok"`) {
		t.Errorf("%v:\n%s", err, said)
	}
	if said, err = caddyCommand("pronote-cas").CombinedOutput(); err != nil || !strings.Contains(string(said), "revoke") {
		t.Errorf("%v:\n%s", err, said)
	}
}

// One of two sites is named, and the other one's people are left alone. PRONOTE hears
// who was logged out.
func TestRevokeAtOneOfTwoSites(t *testing.T) {
	sc, who, _ := loggedIn(t)
	for _, args := range [][]string{{"sessions"}, {"revoke", "--all"}, {"export"}, {"directory"}, {"forget", "--user", pupil}} {
		if got := sc.operate(args...); got.code != 1 || !strings.Contains(got.err, "choose one with --site: "+old+", "+public) {
			t.Errorf("%s: %+v", args, got)
		}
	}
	if got := sc.operate("sessions", "--site", "https://nowhere.example.fr"); got.code != 1 || !strings.Contains(got.err, "no site https://nowhere.example.fr") {
		t.Errorf("%+v", got)
	}
	recent, legacy := sc.recent.Sessions(), sc.legacy.Sessions()
	sc.operate("revoke", "--user", pupil, "--site", public)
	if got := who.get(old + "/eleve.html"); !strings.HasPrefix(got.location(), old+"/pronote-cas/login?") { // asked by PRONOTE
		t.Errorf("the other site: %s to %q", got.Status, got.location())
	}
	if got := who.get("/pronote/eleve.html"); !strings.HasPrefix(got.location(), sc.cas.URL+"/login?") {
		t.Errorf("the site: %s to %q", got.Status, got.location())
	}
	sc.operate("revoke", "--user", pupil, "--site", old+"/")
	sc.goneFrom(t, recent, legacy)
	sc.keepsSecret(who)
}
