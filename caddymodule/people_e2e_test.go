package caddymodule

import (
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The pupil of the demo for whom the ENT knows no PRONOTE identifier, though it
// sends last name and birth date, and somebody of whom it sends nothing.
const (
	unresolved, unresolvedID = "hugo.lefevre", "HUG2BCDEFGHJKMNP"
	nameless, namelessID     = "alex.martin", "ALE2BCDEFGHJKMNP"
	impostor                 = "un.autre" // for whom the ENT sends the pupil's identifier
)

// exported is what PRONOTE exports of them.
const exported = "Identifiant PRONOTE;Nom;Prénom;Date de naissance;Catégorie\n" +
	unresolvedID + ";LEFÈVRE;Hugo;30/11/2012;Élève\n" +
	namelessID + ";Martin;Alex;02/09/2012;Élève\n" +
	"PRF2BCDEFGHJKMNP;Leroy;Anne;01/05/1980;Professeur\n"

// imports runs the command that a school runs.
func (s *rig) imports(csv string) {
	s.t.Helper()
	file := filepath.Join(s.dir, "export.csv")
	if err := os.WriteFile(file, []byte(csv), 0o600); err != nil {
		s.t.Fatal(err)
	}
	if out, err := caddyCommand("pronote-cas", "import", "--mode", "full", "--address", "unix/"+s.dir+"/admin", file).CombinedOutput(); err != nil {
		s.t.Fatalf("import: %v\n%s\n%s", err, out, s.log)
	}
}

// follow goes where redirects lead; at the CAS server the browser is known by now.
func (b *browser) follow(a answer) answer {
	b.s.t.Helper()
	for range 6 {
		if a.StatusCode != http.StatusFound {
			return a
		}
		a = b.get(a.location())
	}
	b.s.t.Fatalf("redirects without end, the last to %s", a.location())
	return a
}

// claim fills in the form at path.
func (b *browser) claim(path, code, lastName, birthDate string, headers ...string) answer {
	b.s.t.Helper()
	form := url.Values{"identifier": {code}, "last_name": {lastName}, "birth_date": {birthDate}}
	headers = append([]string{"Sec-Fetch-Site", "same-origin"}, headers...)
	return b.send(http.MethodPost, path, form.Encode(), append(headers, formType...)...)
}

// The whole of "first connection": imported, asked, proved, bound, and known from
// then on, on the other node as well and after a crash.
func TestTheLettersCodeIsAskedForOnce(t *testing.T) {
	s := start(t, "unresolved ask")
	s.imports(exported)
	b := s.browser()
	form := b.login("/eleve.html?fd=1", nameless)
	if form.StatusCode != http.StatusFound || !strings.HasPrefix(form.location(), public+"/pronote-cas/identifiant?") {
		t.Fatalf("a login without identifier: %s to %q", form.Status, form.location())
	}
	at := form.location()
	page := b.get(at, "Accept-Language", "fr")
	for _, want := range []string{"<form", `name="identifier"`, `name="last_name"`, `name="birth_date"`, "courrier"} {
		if !strings.Contains(page.body, want) {
			t.Errorf("%q is not on the page:\n%s", want, page.body)
		}
	}
	if call := b.send(http.MethodPost, "/appelfonction/3/1/2", "{}", script...); call.StatusCode != http.StatusForbidden || !strings.Contains(call.body, "/pronote-cas/identifiant?") {
		t.Errorf("a call meanwhile: %s %s", call.Status, call.body)
	}
	if s.upstream.count() != 0 {
		t.Fatalf("PRONOTE was asked for %v", s.upstream.paths())
	}
	wrong := b.claim(at, "ALEO BCDE", "", "31/02/2012", "Accept-Language", "fr")
	if wrong.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(wrong.body, "ALEO BCDE") {
		t.Errorf("nonsense: %s\n%s", wrong.Status, wrong.body)
	}
	got := b.follow(b.claim(at, "ale2-bcde fghj kmnp", "martin", "2 9 2012"))
	if got.StatusCode != http.StatusOK || !strings.Contains(got.body, namelessID) || got.Request.URL.RequestURI() != "/eleve.html?fd=1" {
		t.Fatalf("code and proof end at %s with %s\n%s\n%s", got.Request.URL, got.Status, got.body, s.log)
	}
	other := s.beside()
	s.kill()
	if got := other.browser().login("/eleve.html", nameless); !strings.Contains(got.body, namelessID) {
		t.Errorf("the next day: %s %s", got.Status, got.body)
	}
	if lines := ours(s.log.String()); strings.Contains(strings.ToUpper(lines), namelessID[:8]) && !strings.Contains(lines, `"level":"debug"`) {
		t.Errorf("the identifier is in the log:\n%s", lines)
	}
}

// The ENT sends last name and birth date: the code is all that has to be typed. A
// teacher's code does not make a pupil a teacher, and tries run out.
func TestTriesAreCountedAndExplained(t *testing.T) {
	s := start(t, "unresolved ask")
	s.imports(exported)
	b := s.browser()
	at := b.login("/eleve.html", unresolved).location()
	if page := b.get(at); strings.Contains(page.body, `name="birth_date"`) {
		t.Errorf("it asks for what the ENT sent:\n%s", page.body)
	}
	if got := b.claim(at, "PRF2BCDEFGHJKMNP", "Leroy", "01/05/1980", "Accept-Language", "fr"); got.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(got.body, "4") {
		t.Errorf("a teacher's code: %s\n%s", got.Status, got.body)
	}
	if got := b.claim(at, unresolvedID, "", ""); got.StatusCode != http.StatusTooManyRequests || got.Header.Get("Retry-After") == "" {
		t.Errorf("the next try at once: %s, Retry-After %q", got.Status, got.Header.Get("Retry-After"))
	}
	// In another browser and on another node it is the same person.
	node := s.beside()
	c := node.browser()
	at = c.login("/eleve.html", unresolved).location()
	if got := c.claim(at, unresolvedID, "", ""); got.StatusCode != http.StatusTooManyRequests {
		t.Errorf("on the other node: %s", got.Status)
	}
	if n := s.upstream.count(); n != 0 {
		t.Errorf("%d requests reached PRONOTE", n)
	}
}

// With `match identity on` who the export has by name and birth date needs no code.
func TestPeopleAreRecognisedByTheirIdentity(t *testing.T) {
	s := start(t, "directory {\nmatch identity on\n}")
	s.imports(exported)
	if got := s.browser().login("/eleve.html", unresolved); !strings.Contains(got.body, unresolvedID) {
		t.Errorf("%s %s", got.Status, got.body)
	}
	b := s.browser()
	if got := b.get(b.ticket(b.setOut("/eleve.html"), nameless), "Accept-Language", "fr"); got.StatusCode != http.StatusForbidden || !strings.Contains(got.body, "secrétariat") {
		t.Errorf("somebody who is not recognised: %s\n%s", got.Status, got.body)
	}
}

// The attributes of identity are those that the configuration names.
func TestTheIdentityIsReadFromTheAttributesNamed(t *testing.T) {
	s := start(t, "directory {\nmatch identity on\nattributes {\nlast_name prenom\nfirst_name nom\nbirth_date dateNaissance\ncategory ENTPersonProfils\n}\n}")
	s.imports("Identifiant PRONOTE;Nom;Prénom;Date de naissance;Catégorie\n" + unresolvedID + ";Hugo;Lefèvre;30/11/2012;Élève\n")
	if got := s.browser().login("/eleve.html", unresolved); !strings.Contains(got.body, unresolvedID) {
		t.Errorf("%s %s", got.Status, got.body)
	}
}

// A directory in a folder of its own keeps its files to itself.
func TestADirectorysFilesAreForCaddyAlone(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "annuaire")
	s := start(t, "unresolved ask", "directory {\nfile "+folder+"\n}")
	s.imports(exported)
	s.browser().login("/eleve.html", pupil)
	files := 0
	for _, root := range []string{folder, s.storage} {
		err := filepath.WalkDir(root, func(path string, entry os.DirEntry, err error) error {
			if err != nil || !strings.Contains(path, "pronote_cas") {
				return err
			}
			info, err := entry.Info()
			if err != nil {
				return err
			}
			if files++; info.Mode().Perm()&0o077 != 0 {
				t.Errorf("%s is %v", path, info.Mode())
			}
			if root != folder && strings.Contains(path, "directory") {
				t.Errorf("%s is not in the folder", path)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if files < 4 {
		t.Errorf("only %d files", files)
	}
}

// Sessions in memory are gone with the process; who is who is not.
func TestTheDirectoryOutlivesSessionsInMemory(t *testing.T) {
	s := start(t, "directory {\nmatch identity on\n}", "session {\nstore memory\n}")
	s.imports(exported)
	s.kill()
	s.run()
	if got := s.browser().login("/eleve.html", unresolved); !strings.Contains(got.body, unresolvedID) {
		t.Errorf("%s %s", got.Status, got.body)
	}
}

// The wrong Espace is a page of ours that shows the way to one's own.
func TestTheWrongEspaceShowsTheWayToOnesOwn(t *testing.T) {
	s := start(t, "espace eleves require categories National_1", "espace professeurs require categories National_3")
	b := s.browser()
	if got := b.login("/", pupil); got.StatusCode != http.StatusFound || got.location() != public+"/eleve.html" {
		t.Errorf("/ leads to %s %q", got.Status, got.location())
	}
	got := b.get("/professeur.html", "Accept-Language", "fr")
	for _, want := range []string{"Espace Professeurs", "/eleve.html", "National_1"} {
		if got.StatusCode != http.StatusForbidden || !strings.Contains(got.body, want) {
			t.Errorf("%s: no %q on the page\n%s", got.Status, want, got.body)
		}
	}
	if call := b.send(http.MethodPost, "/appelfonction/1/1/2", "{}", script...); call.StatusCode != http.StatusForbidden {
		t.Errorf("a teacher's call: %s", call.Status)
	}
	if s.upstream.count() != 0 {
		t.Errorf("PRONOTE was asked for %v", s.upstream.paths())
	}
}

// Where PRONOTE delegates to the relay, it gets no ticket for who has not said who
// they are, or who has no business in that Espace.
func TestTheRelayGivesNoTicketToTheWrongPerson(t *testing.T) {
	s := start(t, "unresolved ask", "espace professeurs require categories National_3", "internal_url http://127.0.0.1:9", "relay {\n}")
	relayed := func(page string) string {
		return "/pronote-cas/login?service=" + url.QueryEscape("http://127.0.0.1:9"+page)
	}
	b := s.browser()
	if got := b.get(b.ticket(b.setOut(relayed("/professeur.html")), pupil)); got.StatusCode != http.StatusForbidden || got.location() != "" {
		t.Errorf("a pupil's login for the teachers' page: %s to %q", got.Status, got.location())
	}
	if got := b.get(relayed("/professeur.html")); got.StatusCode != http.StatusForbidden || got.location() != "" {
		t.Errorf("and with the session: %s to %q", got.Status, got.location())
	}
	if got := b.get(relayed("/eleve.html")); !strings.Contains(got.location(), "/eleve.html?ticket=ST-") {
		t.Errorf("their own page: %s to %q", got.Status, got.location())
	}
	c := s.browser()
	if got := c.get(c.ticket(c.setOut(relayed("/eleve.html")), nameless)); strings.Contains(got.location(), "ticket=") {
		t.Errorf("a ticket for nobody: %q", got.location())
	}
	if got := c.get(relayed("/eleve.html")); !strings.HasPrefix(got.location(), public+"/pronote-cas/identifiant?to=%2Fpronote-cas%2Flogin") {
		t.Errorf("asked where? %q", got.location())
	}
	if got := c.get(relayed("/eleve.html") + "&gateway=true"); got.location() != public+"/eleve.html" {
		t.Errorf("gateway, which wants no questions asked: %q", got.location())
	}
}
