package directory

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestAReportSaysWhatAnImportDid(t *testing.T) {
	d := open(newMemory())
	r := put(t, d, Full, school)
	if r.Read != 4 || r.Added != 4 || r.Updated+r.Retired+r.Unchanged != 0 || fmt.Sprint(r.ByCategory) != "map[eleve:2 professeur:1 responsable:1]" || r.Warnings == nil || len(r.Warnings) != 0 {
		t.Errorf("first: %+v", r)
	}
	if r = put(t, d, Full, school); r.Unchanged != 4 || r.Added+r.Updated+r.Retired != 0 {
		t.Errorf("the same again: %+v", r)
	}
	resolve(t, d, sends("u1", "idPronote", lea))
	resolve(t, d, sends("u2", "idPronote", other))
	changed := "idpronote;categorie;nom\n" + hugo + ";Élève;Artagnan\n" + "A8BT6EGHDW3QFPXC;Inspecteur;x\n;Élève;Sans\n"
	dry, err := d.Import(t.Context(), strings.NewReader(changed), "", Full, true, nil)
	if err != nil {
		t.Fatal(err)
	}
	r = put(t, d, Full, changed)
	if r.Read != 2 || r.Added != 1 || r.Updated != 1 || r.Retired != 3 || r.RetiredBound != 1 || r.Uncovered != 1 || r.ByCategory["unknown"] != 1 {
		t.Errorf("%+v", r)
	}
	for _, says := range []string{"left out: 1 (line 4)", "category that is known", "not in the file and are retired: 3, of which 1", "More rows are retired", "in no import, kept: 1"} {
		if !strings.Contains(strings.Join(r.Warnings, "\n"), says) {
			t.Errorf("no warning says %q: %q", says, r.Warnings)
		}
	}
	if dry.DryRun = false; fmt.Sprint(dry) != fmt.Sprint(r) {
		t.Errorf("a dry run says\n%+v, the import\n%+v", dry, r)
	}
	if len(r.Avertissements) != len(r.Warnings) || !strings.Contains(strings.Join(r.Avertissements, "\n"), "laissées de côté : 1 (ligne 4)") {
		t.Errorf("in French: %q", r.Avertissements)
	}
	for _, warning := range slices.Concat(r.Warnings, r.Avertissements) {
		if strings.Contains(warning, hugo) || strings.Contains(warning, "Artagnan") {
			t.Errorf("a warning quotes the file: %s", warning)
		}
	}
}

func TestADryRunChangesNothing(t *testing.T) {
	store := newMemory()
	clear(store.counts)
	if _, err := open(store).Import(t.Context(), strings.NewReader(school), "", Full, true, nil); err != nil {
		t.Fatal(err)
	}
	if len(store.values) != 0 || store.counts["lock"]+store.counts["store"]+store.counts["delete"] != 0 {
		t.Errorf("%v", store.counts)
	}
}

func TestAFullImportRetiresAndTheNextOneRemoves(t *testing.T) {
	synctest.Test(t, retiresAndRemoves)
}

func retiresAndRemoves(t *testing.T) {
	d := open(newMemory())
	put(t, d, Full, school)
	resolve(t, d, sends("u1", "idPronote", lea))
	resolve(t, d, sends("u2", "idPronote", other))
	without := "idpronote;categorie\n" + prof + ";Professeur\n"
	put(t, d, Full, without)
	if got := resolve(t, d, sends("u1")); got.PronoteID != lea {
		t.Errorf("retired, u1 is %+v", got)
	}
	if got := resolve(t, d, sends("NAA30191")); got.PronoteID != hugo {
		t.Errorf("retired, what the import said of hugo: %+v", got)
	}
	if got := resolve(t, d, sends("u3", "nom", "Petit", "prenom", "Jade", "dateNaissance", "01/02/1980", "categories", "National_2")); got.PronoteID != "" {
		t.Errorf("a retired row is matched by identity: %+v", got)
	}
	put(t, d, Partial, "idpronote\n"+jade+"\n") // a partial one confirms nobody else
	if r := put(t, d, Full, without); r.Removed != 2 || r.Retired != 1 {
		t.Errorf("%+v", r)
	}
	for user, want := range map[string]string{"u1": "", "NAA30191": "", "u2": other} {
		if got := resolve(t, d, sends(user)); got.PronoteID != want {
			t.Errorf("after the second, %s is %+v, want %q", user, got, want)
		}
	}
	time.Sleep(time.Second) // times are kept to the second
	if got := resolve(t, d, sends("u4", "idPronote", lea)); got.PronoteID != lea {
		t.Errorf("a removed identifier is not free: %+v", got)
	}
	put(t, d, Full, without)
	if got := resolve(t, d, sends("u4")); got.PronoteID != lea {
		t.Errorf("somebody bound after the removal has lost it: %+v", got)
	}
}

func TestARowThatComesBackIsAsBefore(t *testing.T) {
	d := open(newMemory())
	put(t, d, Full, school)
	resolve(t, d, sends("u1", "idPronote", lea))
	put(t, d, Full, "idpronote\n"+hugo+"\n")
	if r := put(t, d, Full, school); r.Updated != 4 || r.Removed != 0 {
		t.Errorf("%+v", r)
	}
	put(t, d, Full, school)
	if got := resolve(t, d, sends("u1")); got.PronoteID != lea {
		t.Errorf("%+v", got)
	}
}

func TestAnImportReassignsNobody(t *testing.T) {
	head := "idpronote;idcas\n"
	for _, test := range []struct {
		what, first, login, then string
		kept                     int
		user, id                 string // who has what after
	}{
		{"a row of an import", head + lea + ";a\n", "", head + lea + ";b\n", 1, "a", lea},
		{"a row of a first connection", head + lea + ";\n", "a", head + lea + ";b\n", 1, "a", lea},
		{"a row of a first connection that no import has", head + hugo + ";\n", "a", head + lea + ";b\n", 1, "a", lea},
		{"a CAS identifier of an import", head + lea + ";a\n", "", head + lea + ";\n" + hugo + ";a\n", 1, "a", lea},
		{"a CAS identifier of a first connection", head + lea + ";\n", "a", head + hugo + ";a\n", 1, "a", lea},
		{"the same again", head + lea + ";a\n", "a", head + lea + ";a\n", 0, "a", lea},
		{"a file that says nothing", head + lea + ";a\n", "", head + lea + ";\n", 0, "a", lea},
		{"a row that nobody has", head + lea + ";\n", "", head + lea + ";a\n", 0, "a", lea},
	} {
		for _, mode := range []Mode{Full, Partial} {
			d := open(newMemory())
			put(t, d, Full, test.first)
			if test.login != "" {
				resolve(t, d, sends(test.login, "idPronote", lea))
			}
			r := put(t, d, mode, test.then)
			if r.NotReassigned != test.kept || (len(r.Warnings) > 0 && strings.Contains(fmt.Sprint(r.Warnings), "belongs to somebody else")) != (test.kept > 0) {
				t.Errorf("%s, %s: %+v", test.what, mode, r)
			}
			if got := resolve(t, d, sends(test.user)); got.PronoteID != test.id {
				t.Errorf("%s, %s: %s is %+v", test.what, mode, test.user, got)
			}
			if got := resolve(t, d, sends("b")); got.PronoteID != "" {
				t.Errorf("%s, %s: b is %+v", test.what, mode, got)
			}
		}
	}
}

func TestANewDatabaseGivesItsIdentifiersWithTheSecondFullImport(t *testing.T) {
	d := open(newMemory())
	put(t, d, Full, "idpronote;idcas\n"+lea+";a\n"+jade+";b\n")
	resolve(t, d, sends("a"))
	next := "idpronote;idcas\n" + hugo + ";a\n" + prof + ";b\n"
	if r := put(t, d, Full, next); r.NotReassigned != 2 {
		t.Errorf("%+v", r)
	}
	if r := put(t, d, Full, next); r.NotReassigned != 0 || r.Removed != 2 {
		t.Errorf("%+v", r)
	}
	for user, want := range map[string]string{"a": hugo, "b": prof} {
		if got := resolve(t, d, sends(user)); got.PronoteID != want {
			t.Errorf("%s is %+v", user, got)
		}
	}
}

// Only what a full import removes for good is free for others.
func TestARetiredRowKeepsItsCASIdentifier(t *testing.T) {
	for what, then := range map[string]struct {
		mode Mode
		list string
	}{
		"a part, without the row": {Partial, hugo + ";a\n"},
		"all, and it is back":     {Full, lea + ";\n" + hugo + ";a\n"},
	} {
		for _, login := range []bool{false, true} {
			d := open(newMemory())
			put(t, d, Full, "idpronote;idcas\n"+lea+";a\n")
			if login {
				resolve(t, d, sends("a"))
			}
			put(t, d, Full, "idpronote;idcas\n"+hugo+";\n")
			if r := put(t, d, then.mode, "idpronote;idcas\n"+then.list); r.NotReassigned != 1 {
				t.Errorf("%s: %+v", what, r)
			}
			if got := resolve(t, d, sends("b", "idPronote", hugo)); got.Conflict != nil {
				t.Errorf("%s: %+v", what, got)
			}
		}
	}
}

// What an import proposed of somebody who is another holds no row back from its owner.
func TestAVoidProposalGivesWay(t *testing.T) {
	d := open(newMemory())
	put(t, d, Full, school)
	resolve(t, d, sends("NAA30191", "idPronote", lea)) // whom the import has as hugo
	if r := put(t, d, Partial, "idpronote;idcas\n"+hugo+";right\n"); r.NotReassigned != 0 {
		t.Errorf("%+v", r)
	}
	if got := resolve(t, d, sends("right")); got.PronoteID != hugo {
		t.Errorf("%+v", got)
	}
}

func TestAPartialImportChangesWhatItSays(t *testing.T) {
	d := open(newMemory())
	put(t, d, Full, school)
	put(t, d, Partial, "idpronote;nom;datenaissance\n"+lea+";Martin;08/03/2012\n")
	rows, err := d.Rows(t.Context())
	i := slices.IndexFunc(rows, func(r Row) bool { return r.PronoteID == lea })
	if err != nil || i < 0 || rows[i].LastName != "Martin" || rows[i].BirthDate != "2012-03-08" || rows[i].FirstName != "Léa" || rows[i].Category != Eleve {
		t.Errorf("%+v, %v", rows, err)
	}
}

func TestAPartialImportKeepsWhatItDoesNotSay(t *testing.T) {
	d := open(newMemory())
	put(t, d, Full, school)
	if r := put(t, d, Partial, "idpronote;idcas\n"+lea+";u1\n"); r.Updated != 1 || r.Retired != 0 || r.ByCategory[Eleve] != 1 {
		t.Errorf("%+v", r)
	}
	rows, err := d.Rows(t.Context())
	if err != nil || len(rows) != 4 {
		t.Fatal(rows, err)
	}
	for _, r := range rows {
		if r.PronoteID == lea && (r.LastName != "Lefèvre-Núñez" || r.User != "u1") || r.Retired {
			t.Errorf("%+v", r)
		}
	}
}

func TestProgressIsTold(t *testing.T) {
	var told []int
	_, err := open(newMemory()).Import(t.Context(), strings.NewReader(people(2500, 0)), "", Partial, false, func(n int) { told = append(told, n) })
	if err != nil || fmt.Sprint(told) != "[1000 2000 2500]" {
		t.Error(told, err)
	}
}

func TestAModeIsFullOrPartial(t *testing.T) {
	if _, err := open(newMemory()).Import(t.Context(), strings.NewReader(school), "", "all", false, nil); err == nil {
		t.Error("taken")
	}
}

func TestOtherNodesSeeAnImportAtOnce(t *testing.T) {
	store := newMemory()
	a, b := open(store), open(store)
	put(t, a, Full, school)
	resolve(t, b, sends("x"))
	put(t, a, Partial, "idpronote;idcas\n"+lea+";u1\n")
	if got := resolve(t, b, sends("u1")); got.PronoteID != lea {
		t.Errorf("%+v", got)
	}
}

func TestDamagedRowsStopNobodyWhoIsKnownAndAFullImportMendsThem(t *testing.T) {
	store := newMemory()
	d := open(store)
	put(t, d, Full, school)
	resolve(t, d, sends("u1", "idPronote", lea))
	for key := range store.values {
		if strings.Contains(key, "/imports/") {
			store.values[key] = store.values[key][:30]
		}
	}
	d = open(store)
	if got := resolve(t, d, sends("u1")); got.PronoteID != lea {
		t.Errorf("%+v", got)
	}
	if got, err := d.Resolve(t.Context(), sends("u2", "idPronote", hugo)); !errors.Is(err, ErrDamaged) {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := d.Import(t.Context(), strings.NewReader(school), "", Partial, false, nil); !errors.Is(err, ErrDamaged) {
		t.Error(err)
	}
	put(t, d, Full, school)
	if got := resolve(t, d, sends("NAA30191")); got.PronoteID != hugo {
		t.Errorf("%+v", got)
	}
}

func TestAnImportThatWasOvertakenChangesNothing(t *testing.T) {
	d := open(newMemory())
	put(t, d, Full, school)
	if _, err := d.publish(t.Context(), "another", nil); !errors.Is(err, ErrSuperseded) {
		t.Error(err)
	}
	if rows, err := d.Rows(t.Context()); len(rows) != 4 || err != nil {
		t.Error(rows, err)
	}
}

func TestWhatIsWrittenFitsEveryStore(t *testing.T) {
	store := newMemory()
	put(t, open(store), Full, people(5_000, 0))
	for key, value := range store.values {
		if len(value) > 512<<10 {
			t.Errorf("%s: %d bytes", key, len(value))
		}
	}
}

// A list that passed through DOS, or was decoded twice, is readable text with other
// names in it, by which nobody could prove who they are.
func TestNamesInTheWrongEncodingAreNoticed(t *testing.T) {
	for name, want := range map[string]bool{
		"B\x82nali": true, "Fran\x87ois": true, "BÃ©nali": true, "FranÃ§ois": true, "B?nali": true,
		"D’Artagnan-Lefèvre": false, "N'Guyen (Van)": false, "O‘Brien": false, "St. Jean": false, "Le  Goff–Æthelred": false, "Jean \"\"Jo\"\" ": false,
	} {
		list := "idpronote;nom;prenom\n" + lea + ";\"" + name + "\";x\n"
		r := put(t, open(newMemory()), Partial, list)
		if got := slices.ContainsFunc(r.Warnings, func(w string) bool { return strings.HasPrefix(w, "Names with signs") }); got != want {
			t.Errorf("%q: %q", name, r.Warnings)
		}
	}
}
