package directory

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestTheSecretarySeesWhoNeedsHelp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(newMemory())
		put(t, d, Full, school)
		resolve(t, d, sends("u1", "idPronote", lea))
		resolve(t, d, sends("u2", "idPronote", lea))
		resolve(t, d, sends("u3", "nom", "=HYPERLINK(\"http://x\")", "prenom", "@SUM", "categories", "National_2"))
		resolve(t, d, sends("-u4", "nom", "Petit", "prenom", "Jade", "dateNaissance", "01/02/1980", "categories", "National_2;National_3"))
		e, err := d.Export(t.Context())
		if err != nil || len(e.Conflicts) != 1 || len(e.WithoutIdentifier) != 2 || len(e.NeverConnected) != 3 {
			t.Fatalf("%+v, %v", e, err)
		}
		var out bytes.Buffer
		if err := e.WriteCSV(&out, "fr"); err != nil {
			t.Fatal(err)
		}
		r := csv.NewReader(strings.NewReader(strings.TrimPrefix(out.String(), "\uFEFF")))
		r.Comma = ';'
		got, err := r.ReadAll()
		want := [][]string{
			{"Situation", "Identifiant CAS", "Identifiant PRONOTE", "Catégorie", "Nom", "Prénom", "Date de naissance", "Dernière connexion", "Remarque"},
			{"conflit", "u2", lea, "", "", "", "", "2000-01-01", "identifiant déjà attribué à l’identifiant CAS u1"},
			{"connecté sans identifiant PRONOTE", "'-u4", "", "", "Petit", "Jade", "", "2000-01-01", "2 personnes correspondent au nom et à la date de naissance"},
			{"connecté sans identifiant PRONOTE", "u3", "", "Responsable", "'=HYPERLINK(\"http://x\")", "'@SUM", "", "2000-01-01", "identifiant PRONOTE introuvable"},
			{"jamais connecté", "NAA30191", hugo, "Élève", "D'Artagnan", "Hugo", "2011-11-12", "", ""},
			{"jamais connecté", "", prof, "Professeur", "Petit", "Jade", "1980-02-01", "", ""},
			{"jamais connecté", "", jade, "Responsable", "Petit", "Jade", "1980-02-01", "", ""},
		}
		if err != nil || fmt.Sprintf("%q", got) != fmt.Sprintf("%q", want) {
			t.Errorf("%v\n%q, want\n%q", err, got, want)
		}
		out.Reset()
		if err := e.WriteCSV(&out, "en"); err != nil || !strings.Contains(out.String(), "never connected") || strings.Contains(out.String(), "conflit;") {
			t.Errorf("%v: %s", err, out.String())
		}
	})
}

func TestWhatIsSolvedIsNotExported(t *testing.T) {
	d := open(newMemory())
	resolve(t, d, sends("u1", "idPronote", lea))
	resolve(t, d, sends("u2", "idPronote", lea))
	resolve(t, d, sends("u3"))
	if _, err := d.Release(t.Context(), "u1"); err != nil {
		t.Fatal(err)
	}
	resolve(t, d, sends("u2", "idPronote", lea))
	resolve(t, d, sends("u3", "idPronote", hugo))
	if e, err := d.Export(t.Context()); err != nil || len(e.Conflicts)+len(e.WithoutIdentifier)+len(e.NeverConnected) != 0 {
		t.Errorf("%+v, %v", e, err)
	}
}

// A conflict stands for as long as somebody else holds the identifier, and is the
// latest of that person.
func TestAConflictIsWhatStillStands(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(newMemory())
		put(t, d, Full, school)
		conflict := func(id, heldBy string, since time.Time) {
			t.Helper()
			all, err := d.Conflicts(t.Context())
			if id == "" && err == nil && len(all) == 0 {
				return
			}
			if err != nil || len(all) != 1 || all[0].User != "u1" || all[0].PronoteID != id || all[0].HeldBy != heldBy || !all[0].First.Equal(since) {
				t.Errorf("want %s, held by %q since %s: %+v, %v", id, heldBy, since, all, err)
			}
		}
		start := time.Now().UTC()
		resolve(t, d, sends("u2", "idPronote", lea))
		resolve(t, d, sends("u1", "idPronote", lea))
		conflict(lea, "u2", start)
		time.Sleep(2 * time.Hour)
		resolve(t, d, sends("u1", "idPronote", lea))
		conflict(lea, "u2", start)
		resolve(t, d, sends("u1", "idPronote", hugo)) // within the hour, but another one
		conflict(hugo, "NAA30191", start.Add(2*time.Hour))
		resolve(t, d, sends("NAA30191", "idPronote", prof)) // so the import was wrong
		conflict("", "", start)
		resolve(t, d, sends("u3", "idPronote", hugo))
		conflict(hugo, "u3", start.Add(2*time.Hour))
		if got := resolve(t, d, sends("u1", "idPronote", hugo)); got.Conflict == nil || got.Conflict.HeldBy != "u3" {
			t.Errorf("the log is told of %+v", got.Conflict)
		}
		resolve(t, d, sends("u3", "idPronote", jade))
		resolve(t, d, sends("u1", "idPronote", hugo))
		conflict("", "", start)
	})
}

func TestAnExportIsNeverNull(t *testing.T) {
	e, err := open(newMemory()).Export(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if data, err := json.Marshal(e); err != nil || string(data) != `{"without_identifier":[],"conflicts":[],"never_connected":[]}` {
		t.Errorf("%s, %v", data, err)
	}
}

func TestRowsOfAnImportCanBeImportedAgain(t *testing.T) {
	d := open(newMemory())
	put(t, d, Full, school)
	rows, err := d.Rows(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var again strings.Builder
	again.WriteString("pronote_id,cas_identifier,category,last_name,first_name,birth_date\n")
	for _, r := range rows {
		fmt.Fprintf(&again, "%s,%s,%s,%s,%s,%s\n", r.PronoteID, r.User, r.Category, r.LastName, r.FirstName, r.BirthDate)
	}
	if r := put(t, d, Full, again.String()); r.Unchanged != 4 {
		t.Errorf("%+v", r)
	}
}

func TestForgettingLeavesNoTrace(t *testing.T) {
	store := newMemory()
	d := open(store)
	put(t, d, Full, letters)
	resolve(t, d, sends("eve@ent", "nom", "Evrard", "prenom", "Eve"))
	_, _ = d.Ask(t.Context(), asks("eve@ent", lea, "Evrard", "07/03/2012")) // wrong: a try is kept
	resolve(t, d, sends("eve@ent", "idPronote", prof))
	resolve(t, d, sends("eve@ent", "idPronote", lea, "nom", "Evrard"))
	resolve(t, d, sends("other", "idPronote", lea))
	resolve(t, d, sends("eve@ent", "idPronote", hugo)) // NAA30191's, by the import
	tried := d.key(kindTries, "person\x00eve@ent")
	if len(traces(store, "eve@ent")) == 0 || store.values[tried] == nil {
		t.Fatal("nothing to forget")
	}
	if known, err := d.Forget(t.Context(), "eve@ent"); err != nil || !known {
		t.Fatal(known, err)
	}
	if left := traces(store, "eve@ent", "Evrard", lea); len(left) > 0 || store.values[tried] != nil {
		t.Errorf("%q is left", left)
	}
	if known, err := d.Forget(t.Context(), "eve@ent"); err != nil || known {
		t.Errorf("forgotten twice: %v, %v", known, err)
	}
	if got := resolve(t, d, sends("NAA30191")); got.PronoteID != hugo {
		t.Errorf("somebody else is forgotten too: %+v", got)
	}
}

func TestReleasingLeavesTheRowForTheRightPerson(t *testing.T) {
	for what, wrong := range map[string]func(*Directory){
		"bound":    func(d *Directory) { resolve(t, d, sends("wrong", "idPronote", lea)) },
		"imported": func(d *Directory) { put(t, d, Partial, "idpronote;idcas\n"+lea+";wrong\n") },
	} {
		d := open(newMemory())
		put(t, d, Full, letters)
		wrong(d)
		if known, err := d.Release(t.Context(), "wrong"); err != nil || !known {
			t.Errorf("%s: %v, %v", what, known, err)
		}
		if got := resolve(t, d, sends("wrong")); got.PronoteID != "" {
			t.Errorf("%s: %+v", what, got)
		}
		if got, err := d.Ask(t.Context(), asks("right", lea, "Lefèvre-Núñez", "07/03/2012")); err != nil || got.PronoteID != lea {
			t.Errorf("%s: %+v, %v", what, got, err)
		}
		if got := resolve(t, d, sends("NAA30191")); got.PronoteID != hugo {
			t.Errorf("%s: somebody else's row is released too: %+v", what, got)
		}
	}
}

func TestRetentionDeletesWhatNobodyUses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newMemory()
		d := open(store)
		put(t, d, Full, school)
		resolve(t, d, sends("comes", "idPronote", lea))
		resolve(t, d, sends("came", "idPronote", hugo))  // a conflict with NAA30191
		resolve(t, d, sends("left", "idPronote", other)) // in no import
		resolve(t, d, sends("gone", "idPronote", jade))
		resolve(t, d, sends("unknown"))
		_, _ = d.Ask(t.Context(), asks("unknown", lea, "x", "07/03/2012"))
		half := held{PronoteID: code(1), User: "crashed"}
		if err := d.save(t.Context(), d.key(kindIDs, half.PronoteID), half); err != nil {
			t.Fatal(err)
		}
		time.Sleep(200 * 24 * time.Hour)
		put(t, d, Partial, "idpronote\n"+prof+"\n")
		resolve(t, d, sends("comes"))
		if p, err := d.Prune(t.Context(), 365*24*time.Hour); err != nil || p != (Pruned{}) {
			t.Errorf("too early: %+v, %v", p, err)
		}
		time.Sleep(200 * 24 * time.Hour)
		if p, err := d.Prune(t.Context(), 365*24*time.Hour); err != nil || p != (Pruned{Rows: 2, Bindings: 2, Notes: 2}) {
			t.Errorf("%+v, %v", p, err)
		}
		rows, err := d.Rows(t.Context())
		if err != nil || len(rows) != 2 || rows[0].PronoteID != lea || rows[0].User != "comes" || rows[1].PronoteID != prof {
			t.Errorf("%+v, %v", rows, err)
		}
		if left := traces(store, "came", "left", "gone", "unknown", "crashed", hugo, jade); len(left) > 0 {
			t.Errorf("%q is left", left)
		}
		if keys, err := old(t.Context(), d, kindTries, func(*tries) bool { return true }); err != nil || len(keys) > 0 {
			t.Errorf("tries are left: %d, %v", len(keys), err)
		}
		if _, err := d.Prune(t.Context(), 29*24*time.Hour); !errors.Is(err, ErrRetention) {
			t.Error(err)
		}
	})
}

func TestKeysAndErrorsNameNobody(t *testing.T) {
	store := newMemory()
	d := open(store)
	put(t, d, Full, school)
	resolve(t, d, sends("u-1-secret", "idPronote", lea))
	resolve(t, d, sends("u-2-secret", "idPronote", lea))
	resolve(t, d, sends("u-3-secret"))
	for key, value := range store.values {
		if strings.Contains(key, lea) || strings.Contains(key, "secret") {
			t.Error(key)
		}
		store.values[key] = value[:len(value)/2]
	}
	_, err := open(store).Resolve(t.Context(), sends("u-1-secret"))
	if err == nil || strings.Contains(err.Error(), lea) || strings.Contains(err.Error(), "secret") {
		t.Errorf("a damaged record: %v", err)
	}
	store.left = 0
	_, err = open(store).Resolve(t.Context(), sends("u-1-secret"))
	if !errors.Is(err, errCrash) || strings.Contains(err.Error(), "secret") {
		t.Errorf("a store that fails: %v", err)
	}
}
