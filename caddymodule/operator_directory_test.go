package caddymodule

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pronote-cas/caddy-pronote-cas/casauth/directory"
)

// newcomerID is the PRONOTE identifier of somebody whom the ENT does not know.
const newcomerID = "FEH85K9JNUCASD2M"

const (
	asCSV = "Identifiant PRONOTE;Catégorie;Nom;Prénom;Né(e) le;Identifiant CAS\n" +
		pupilID + ";Élève;Durand;Camille;14/03/2011;" + pupil + "\n" +
		parentID + ";Responsable;Durand;Nadia;02/09/1979;\n"
	asXML = `<?xml version="1.0" encoding="UTF-8"?><Export><Professeurs>` +
		`<P idpn="` + newcomerID + `"><Nom>Lefèvre-Núñez</Nom><Prenom>Léa</Prenom><DateNaissance>1980-02-01</DateNaissance></P></Professeurs></Export>`
	encrypted = `<?xml version="1.0"?><EXPORT_INDEX_EDUCATION xmlns="http://www.index-education.com/conteneurexportchiffre"><CONTENU>AAAA</CONTENU></EXPORT_INDEX_EDUCATION>`
)

// file writes what PRONOTE exported.
func (s *rig) file(name, content string) string {
	s.t.Helper()
	path := filepath.Join(s.dir, name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		s.t.Fatal(err)
	}
	return path
}

func TestImport(t *testing.T) {
	s := start(t)
	list, more := s.file("identifiants.csv", asCSV), s.file("nouveau.xml", asXML)
	if got := s.operate("directory"); got.code != 0 || !strings.Contains(got.out, "The directory is empty") {
		t.Errorf("%+v", got)
	}

	dry := s.operateIn("fr_FR.UTF-8", nil, "import", "--mode", "full", "--dry-run", list)
	if dry.code != 0 || dry.err != "" || !strings.Contains(dry.out, "personnes lues : 2") || !strings.Contains(dry.out, "ESSAI : rien n’a été modifié") {
		t.Errorf("%+v", dry)
	}
	if rows := s.rows(""); len(rows) != 0 {
		t.Errorf("a dry run imported %+v", rows)
	}

	got := s.operate("import", "--mode", "full", list)
	for _, want := range []string{list + ", mode full, people read: 2\n", "       2  added\n", "       0  retired", "       1  pupils\n", "       1  parents and guardians\n"} {
		if got.code != 0 || got.err != "" || !strings.Contains(got.out, want) {
			t.Errorf("the report lacks %q: %+v", want, got)
		}
	}

	report := make(map[string]any)
	s.told(&report, "import", "--mode", "partial", more)
	delete(report, "warnings")
	delete(report, "avertissements")
	want := "map[added:1 by_category:map[professeur:1] dry_run:false mode:partial not_reassigned:0 read:1 removed:0 retired:0 retired_bound:0 unchanged:0 uncovered:0 updated:0]"
	if fmt.Sprint(report) != want {
		t.Errorf("the report is %v\nwant %s", report, want)
	}
	var rows []directory.Row
	if s.told(&rows, "directory"); len(rows) != 3 || rows[0].User != pupil || rows[1].LastName != "Lefèvre-Núñez" {
		t.Errorf("%+v", rows)
	}

	// The same as a full file, from the standard input.
	got = s.operateIn("C", strings.NewReader(asXML), "import", "--mode", "full", "-")
	if got.code != 0 || !strings.Contains(got.out, "       2  retired") || !strings.Contains(got.out, "! More rows are retired than stay") {
		t.Errorf("%+v", got)
	}
}

func TestDirectoryIsSearched(t *testing.T) {
	s := start(t)
	s.operate("import", "--mode", "full", s.file("a.csv", asCSV))
	s.operate("import", "--mode", "partial", s.file("b.xml", asXML))
	for search, want := range map[string]string{
		"lefevre":        newcomerID,
		"nunez LÉA":      newcomerID,
		"durand camille": pupilID,
		"durand":         pupilID + " " + parentID,
		"camille.durand": pupilID,
		"feh85k9j":       newcomerID,
		"":               pupilID + " " + newcomerID + " " + parentID,
	} {
		var found []string
		for _, row := range s.rows(search) {
			found = append(found, row.PronoteID)
		}
		if got := strings.Join(found, " "); got != want {
			t.Errorf("%q finds %q, want %q", search, got, want)
		}
	}
	list := s.operateIn("fr_FR.UTF-8", nil, "directory", "lefevre")
	if !strings.Contains(list.out, "PRÉNOM") || !strings.Contains(list.out, "Lefèvre-Núñez  Léa") || list.code != 0 {
		t.Errorf("%+v", list)
	}
	for _, search := range []string{"durand léa", "-"} { // the latter is in no name once it is compared as names are
		if got := s.operate("directory", search); got.code != 1 || !strings.Contains(got.err, fmt.Sprintf("nobody in the directory fits %q", search)) {
			t.Errorf("%+v", got)
		}
	}
	if log := adminLog(s); strings.Contains(log, "lefevre") || strings.Contains(log, "a.csv") || !strings.Contains(log, "/pronote_cas/directory") {
		t.Errorf("who was looked for is in the log:\n%s", log)
	}
}

func TestWhatIsNotImportedSaysWhy(t *testing.T) {
	s := start(t)
	s.operate("import", "--mode", "full", s.file("before.csv", asCSV))
	good, long := s.file("good.csv", asCSV), new(strings.Builder)
	long.WriteString("idpronote;nom\n")
	for n := range 3000 {
		fmt.Fprintf(long, "%s;Nom%d\n", schoolID(n), n)
	}
	fmt.Fprintf(long, "%s;Encore\n", schoolID(0))
	for _, test := range []struct {
		name   string
		args   []string
		en, fr string
	}{
		{"no mode", []string{good}, "--mode full (everybody", "--mode full (tout le monde"},
		{"another mode", []string{"--mode", "all", good}, "or --mode partial (some people", ""},
		{"no file", []string{"--mode", "full"}, "name one file", "indiquez un fichier"},
		{"two files", []string{"--mode", "full", good, good}, "name one file", ""},
		{"a file that is not there", []string{"--mode", "full", s.dir + "/none.xml"}, `none.xml" cannot be opened: no such file`, "none.xml » ne peut être ouvert : no such file"},
		{"a folder", []string{"--mode", "full", s.dir}, "is a folder", "est un dossier"},
		{"encrypted", []string{"--mode", "full", s.file("chiffre.xml", encrypted)}, `choose no recipient ("aucun") under "Les données exportées peuvent être déchiffrées par"`, "en choisissant « aucun » sous « Les données exportées peuvent être déchiffrées par »"},
		{"empty", []string{"--mode", "full", s.file("vide.csv", "")}, "There is nobody in this file", ""},
		{"foreign", []string{"--mode", "full", s.file("menu.csv", "jour;plat\nlundi;frites\n")}, "not a list of PRONOTE identifiers", ""},
		{"a slip", []string{"--mode", "full", s.file("faute.csv", "idpronote\nKT2AQ3UW\n")}, "line 2: This PRONOTE identifier is none", "ligne 2 : Cet identifiant PRONOTE"},
		{"a duplicate, after progress was told", []string{"--mode", "full", s.file("long.csv", long.String())}, "lines 2 and 3002", "lignes 2 et 3002"},
	} {
		if got := s.operate(append([]string{"import"}, test.args...)...); got.code != 1 || got.out != "" || !strings.Contains(got.err, test.en) {
			t.Errorf("%s: %+v, want %q", test.name, got, test.en)
		}
		if test.fr == "" {
			continue
		}
		if got := s.operateIn("fr_FR.UTF-8", nil, append([]string{"import"}, test.args...)...); got.code != 1 || !strings.Contains(got.err, test.fr) {
			t.Errorf("%s: %+v, want %q", test.name, got, test.fr)
		}
	}
	if rows := s.rows(""); len(rows) != 2 {
		t.Errorf("%+v", rows)
	}
	if log := refusals(s.log.String()); log != "" {
		t.Errorf("a refusal is in the log:\n%s", log)
	}
}

// Whoever sends far too much hears why, and is not cut off in the middle of it.
func TestAFileThatIsTooLargeIsRefusedWithItsSentence(t *testing.T) {
	s := start(t)
	large := "idpronote\n" + pupilID + "\n" + strings.Repeat(strings.Repeat(" ", 700)+"\n", 66<<20/701)
	if got := s.operateIn("C", strings.NewReader(large), "import", "--mode", "full", "-"); got.code != 1 || !strings.Contains(got.err, "larger than 64 MiB") {
		t.Errorf("%+v", got)
	}
	got := s.askAdmin("POST", "import?mode=full&name=a.csv", large)
	if got.StatusCode != http.StatusRequestEntityTooLarge || !strings.Contains(got.body, "a.csv: The file is larger") {
		t.Errorf("%s %s", got.Status, got.body)
	}
}

func TestProgressIsToldWhileAFileComes(t *testing.T) {
	s := start(t)
	coming, file := io.Pipe()
	stuck := time.AfterFunc(20*time.Second, func() { _ = file.CloseWithError(errors.New("no progress was told")) })
	defer stuck.Stop()
	told := make(chan struct{})
	go func() { // whoever stops reading stops this
		_, _ = fmt.Fprintln(file, "idpronote")
		for n := range 8500 {
			if n == 8000 { // more than is read ahead
				<-told
			}
			_, _ = fmt.Fprintln(file, schoolID(n))
		}
		_ = file.Close()
	}()
	r, err := http.NewRequest(http.MethodPost, "http://127.0.0.1/pronote_cas/import?mode=full", coming)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Accept", ndjson)
	res, err := s.adminClient().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	lines := json.NewDecoder(res.Body)
	var line directory.Report
	if err := lines.Decode(&line); err != nil || line.Read != 1000 || line.Mode != "" || res.Header.Get("Content-Type") != ndjson {
		t.Fatalf("%v %+v %s", err, line, res.Header)
	}
	close(told)
	for before := 0; line.Mode == ""; before = line.Read {
		if err := lines.Decode(&line); err != nil || line.Read < before {
			t.Fatal(line, err)
		}
	}
	if line.Mode != directory.Full || line.Read != 8500 || line.Added != 8500 {
		t.Errorf("%+v", line)
	}
	content := new(strings.Builder)
	content.WriteString("idpronote\n")
	for n := range 8500 {
		fmt.Fprintln(content, schoolID(n))
	}
	plain := s.askAdmin("POST", "import?mode=full", content.String())
	if err := json.Unmarshal([]byte(plain.body), &line); err != nil || line.Unchanged != 8500 {
		t.Errorf("without asking for progress: %v %s", err, plain.body)
	}
}

func TestExport(t *testing.T) {
	s := start(t)
	s.operate("import", "--mode", "full", s.file("a.csv", asCSV))
	for language, want := range map[string]string{"C": "never connected", "fr_FR.UTF-8": "jamais connecté"} {
		got := s.operateIn(language, nil, "export")
		sheet := csv.NewReader(strings.NewReader(strings.TrimPrefix(got.out, "\uFEFF")))
		sheet.Comma = ';'
		rows, err := sheet.ReadAll()
		if err != nil || got.code != 0 || len(rows) != 3 || rows[1][0] != want || rows[1][2] != pupilID || rows[1][4] != "Durand" {
			t.Errorf("%s: %v %+v", language, err, got)
		}
	}
	var export directory.Export
	if s.told(&export, "export"); len(export.NeverConnected) != 2 || export.Conflicts == nil {
		t.Errorf("%+v", export)
	}

	// A file that was there for all to read, and one that was not there.
	before := s.file("suivi.csv", strings.Repeat("older and longer ", 100))
	if err := os.Chmod(before, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{before, filepath.Join(s.dir, "new.csv")} {
		got := s.operate("export", "--output", path)
		info, err := os.Stat(path)
		content, _ := os.ReadFile(path) // err has it
		if err != nil || got.code != 0 || got.out != "" || info.Mode() != 0o600 || !bytes.HasPrefix(content, []byte("\uFEFFSituation")) || bytes.Contains(content, []byte("older")) {
			t.Errorf("%v %v %+v\n%s", err, info, got, content)
		}
	}
	if got := s.operate("export", "--output", s.dir); got.code != 1 || got.err == "" {
		t.Errorf("into a folder: %+v", got)
	}
}

func TestForgetErasesAPerson(t *testing.T) {
	s := start(t)
	list := s.file("a.csv", asCSV)
	s.operate("import", "--mode", "full", list)
	in, other := s.browser(), s.browser()
	in.login("/eleve.html", pupil)
	other.login("/parent.html", parent)

	got := s.operate("forget", "--user", pupil, "--keep-row")
	if rows := s.rows(pupilID); got.code != 0 || got.out != pupil+": no longer bound to a PRONOTE identifier. Sessions ended: 1.\n" || len(rows) != 1 || rows[0].User != "" {
		t.Errorf("%+v, rows left: %+v", got, rows)
	}
	in.setOut("/eleve.html")

	s.operate("import", "--mode", "full", list) // has the CAS identifier
	in.login("/eleve.html", pupil)
	if got = s.operateIn("fr_FR.UTF-8", nil, "forget", "--user", pupil); got.code != 0 || got.out != pupil+" : oublié. Sessions terminées : 1.\n" {
		t.Errorf("%+v", got)
	}
	in.setOut("/eleve.html")
	if rows := s.rows(""); len(rows) != 1 || rows[0].PronoteID != parentID {
		t.Errorf("%+v", rows)
	}
	if left := users(s.sessionsNow()); !slices.Equal(left, []string{parent}) || other.status("/parent.html") != http.StatusOK {
		t.Errorf("left are %s", left)
	}
	if got = s.operate("forget", "--user", pupil); got.code != 1 || !strings.Contains(got.err, "nobody is known by the CAS identifier") {
		t.Errorf("%+v", got)
	}
	var done forgotten
	s.told(&done, "forget", "--user", parent) // a session, and no row of this name
	if len(done.Sessions) != 1 {
		t.Errorf("%+v", done)
	}
	if got = s.operate("forget"); got.code != 1 || !strings.Contains(got.err, "say whom to forget") {
		t.Errorf("%+v", got)
	}
	if log := adminLog(s); strings.Contains(log, pupil) {
		t.Errorf("who was forgotten is in the log:\n%s", log)
	}
}

// What the ENT or a file says of somebody must not move the cursor of a terminal, or
// write into another column.
func TestATerminalIsSafeFromWhatPeopleAreCalled(t *testing.T) {
	out := new(bytes.Buffer)
	table := newTable(out, both{"A\tB", "A\tB"})
	table.row("\x1b[2Jcamille\u202e", "x\ty\nz")
	table.row("", "é")
	if err := table.Flush(); err != nil {
		t.Fatal(err)
	}
	if got := out.String(); strings.ContainsAny(got, "\x1b\u202e\t") || strings.Count(got, "\n") != 3 || !strings.Contains(got, "–            ") {
		t.Errorf("%q", got)
	}
}

// The list is what a school looks at first; it speaks as the other commands do.
func TestTheListOfENTsSpeaksFrenchAndEnglish(t *testing.T) {
	for language, want := range map[string][]string{
		"C":           {"DÉPARTEMENTS  ", "ADDRESS", "(no longer runs: see kosmos_occitanie)", "no ENT matches"},
		"fr_FR.UTF-8": {"DÉPARTEMENTS  ", "ADRESSE", "(n’existe plus : voir kosmos_occitanie)", "aucun ENT ne correspond à « nowhere »"},
	} {
		t.Setenv("LC_ALL", language)
		out := new(bytes.Buffer)
		for _, words := range []string{"31", "nowhere"} {
			cmd := entsCommand()
			cmd.SilenceErrors, cmd.SilenceUsage = true, true
			cmd.SetOut(out)
			cmd.SetArgs([]string{words})
			if err := cmd.Execute(); err != nil {
				out.WriteString(err.Error())
			}
		}
		for _, part := range want {
			if !strings.Contains(out.String(), part) {
				t.Errorf("%s: %q is not in\n%s", language, part, out)
			}
		}
	}
}
