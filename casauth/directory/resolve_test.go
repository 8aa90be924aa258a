package directory

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

const (
	lea   = "KT2AQ3UW4S98DPYX"
	hugo  = "3KEUXDWC957JMQVR"
	jade  = "AZKH9C7WSQ2R54DP"
	prof  = "FEH85K9JNUCASD2M"
	other = "KQS98RPC4FNVAZU7"
)

const school = `Identifiant PRONOTE;Identifiant CAS;Catégorie;Nom;Prénom;Date de naissance
KT2AQ3UW4S98DPYX;;Élève;Lefèvre-Núñez;Léa;07/03/2012
3KEUXDWC957JMQVR;NAA30191;Élève;D'Artagnan;Hugo;12/11/2011
AZKH9C7WSQ2R54DP;;Responsable;Petit;Jade;01/02/1980
FEH85K9JNUCASD2M;;Professeur;Petit;Jade;01/02/1980
`

func TestWhoSomebodyIsGoesByAttributeThenRowThenIdentity(t *testing.T) {
	identity := []string{"nom", "LEFEVRE NUNEZ", "prenom", "lea", "dateNaissance", "2012-03-07", "categories", "National_1"}
	but := func(name, value string) []string {
		pairs := append([]string(nil), identity...)
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				pairs[i+1] = value
			}
		}
		return pairs
	}
	for _, test := range []struct {
		what string
		c    Claim
		id   string
		rule Rule
		ambi int
	}{
		{"attribute", sends("u1", "idPronote", " kt2aq3uw4s98dpyx"), lea, ByAttribute, 0},
		{"attribute of nobody imported", sends("u1", "idPronote", other), other, ByAttribute, 0},
		{"attribute before row", sends("NAA30191", "idPronote", lea), lea, ByAttribute, 0},
		{"attribute that is none, then row", sends("NAA30191", "idPronote", "NAA30191"), hugo, ByRow, 0},
		{"second value of the attribute", sends("u1", "idPronote", "x", "idPronote", lea), lea, ByAttribute, 0},
		{"row", sends("NAA30191"), hugo, ByRow, 0},
		{"CAS identifiers are told apart by case", sends("naa30191"), "", ByNothing, 0},
		{"identity", sends("u1", identity...), lea, ByIdentity, 0},
		{"identity, another birth date", sends("u1", but("dateNaissance", "08/03/2012")...), "", ByNothing, 0},
		{"identity, another name", sends("u1", but("nom", "Lefevre")...), "", ByNothing, 0},
		{"identity, another first name", sends("u1", but("prenom", "Léo")...), "", ByNothing, 0},
		{"a pupil's identity does not make a teacher", sends("u1", but("categories", "National_3")...), "", ByNothing, 0},
		{"identity without category", sends("u1", but("categories", "")...), "", ByNothing, 0},
		{"identity without birth date", sends("u1", but("dateNaissance", "")...), "", ByNothing, 0},
		{"parent", sends("u1", "nom", "Petit", "prenom", "Jade", "dateNaissance", "01021980", "categories", "National_2"), jade, ByIdentity, 0},
		{"teacher of the same name", sends("u1", "nom", "Petit", "prenom", "Jade", "dateNaissance", "01021980", "categories", "National_3"), prof, ByIdentity, 0},
		{"both is ambiguous", sends("u1", "nom", "Petit", "prenom", "Jade", "dateNaissance", "01021980", "categories", "National_2;National_3"), "", ByNothing, 2},
		{"nothing", sends("u1"), "", ByNothing, 0},
	} {
		d := open(newMemory())
		put(t, d, Full, school)
		got := resolve(t, d, test.c)
		if got.PronoteID != test.id || got.Rule != test.rule || got.Ambiguous != test.ambi || got.Conflict != nil {
			t.Errorf("%s: %+v, want %q by %s, ambiguous %d", test.what, got, test.id, test.rule, test.ambi)
		}
		if got.First != (test.id != "") {
			t.Errorf("%s: first connection %v", test.what, got.First)
		}
		if test.id == "" {
			if left, err := d.WithoutIdentifier(t.Context()); err != nil || len(left) != 1 || left[0].User != test.c.User {
				t.Errorf("%s: not noted: %+v, %v", test.what, left, err)
			}
			continue
		}
		again := resolve(t, open(d.store), Claim{User: test.c.User})
		if again.PronoteID != test.id || again.Rule != ByRow || again.First {
			t.Errorf("%s: the second login, which sends nothing, gives %+v", test.what, again)
		}
	}
}

func TestIdentityMatchesNobodyUnlessSwitchedOn(t *testing.T) {
	store := newMemory()
	put(t, open(store), Full, school)
	d := New(store, "site/directory", Config{})
	got := resolve(t, d, sends("u1", "idPronote", lea, "nom", "Lefevre Nunez", "prenom", "Lea", "dateNaissance", "07/03/2012", "categories", "National_1"))
	if got.PronoteID != "" {
		t.Errorf("%+v", got)
	}
}

func TestAttributeNamesAreThoseOfTheConfiguration(t *testing.T) {
	store := newMemory()
	put(t, open(store), Full, school)
	d := New(store, "site/directory", Config{Match: true, Attributes: Attributes{LastName: "sn", FirstName: "givenName", BirthDate: "born", Category: "ENTPersonProfils"}})
	got := resolve(t, d, sends("u1", "sn", "Lefevre Nunez", "givenName", "Lea", "born", "07/03/2012", "ENTPersonProfils", "National_ELV"))
	if got.PronoteID != lea || got.Category != Eleve {
		t.Errorf("%+v", got)
	}
}

func TestAnIdentifierThatSomebodyHoldsIsRefusedAndNeverOverwritten(t *testing.T) {
	for what, first := range map[string]func(d *Directory){
		"by attribute": func(d *Directory) { resolve(t, d, sends("holder", "idPronote", lea)) },
		"by an import": func(d *Directory) { put(t, d, Partial, "idpronote;idcas\n"+lea+";holder\n") },
	} {
		d := open(newMemory())
		put(t, d, Full, school)
		first(d)
		for _, c := range []Claim{
			sends("thief", "idPronote", lea),
			sends("thief", "nom", "Lefevre Nunez", "prenom", "Lea", "dateNaissance", "07/03/2012", "categories", "National_1"),
		} {
			got := resolve(t, d, c)
			if got.PronoteID != "" || got.Conflict == nil || got.Conflict.HeldBy != "holder" || got.Conflict.PronoteID != lea || got.First {
				t.Errorf("%s: %+v", what, got)
			}
		}
		all, err := d.Conflicts(t.Context())
		if err != nil || len(all) != 1 || all[0].User != "thief" || all[0].HeldBy != "holder" || all[0].PronoteID != lea {
			t.Errorf("%s: the school sees %+v, %v", what, all, err)
		}
		if got := resolve(t, d, sends("holder")); got.PronoteID != lea {
			t.Errorf("%s: the holder has %+v", what, got)
		}
		if got := resolve(t, d, sends("thief")); got.PronoteID != "" {
			t.Errorf("%s: the other one has %+v", what, got)
		}
	}
}

func TestTheAttributeWinsOverTheRowAndTheChangeIsReported(t *testing.T) {
	d := open(newMemory())
	put(t, d, Full, school)
	resolve(t, d, sends("u1", "idPronote", lea))
	got := resolve(t, d, sends("u1", "idPronote", other))
	if got.PronoteID != other || got.Previous != lea || !got.First {
		t.Errorf("%+v", got)
	}
	if got := resolve(t, d, sends("u2", "idPronote", lea)); got.PronoteID != lea {
		t.Errorf("what u1 has left is not free: %+v", got)
	}
	if got := resolve(t, d, sends("u1", "idPronote", lea)); got.Conflict == nil {
		t.Errorf("u1 takes it back from u2: %+v", got)
	}
	if got := resolve(t, d, sends("u1")); got.PronoteID != other {
		t.Errorf("u1 has lost what it held: %+v", got)
	}
}

func TestAnImportsProposalIsVoidOnceThePersonIsAnother(t *testing.T) {
	d := open(newMemory())
	put(t, d, Full, school)
	resolve(t, d, sends("NAA30191", "idPronote", lea)) // whom the import has as hugo
	if got := resolve(t, d, sends("u1", "idPronote", hugo)); got.PronoteID != hugo || got.Conflict != nil {
		t.Errorf("%+v", got)
	}
}

func TestNobodyIsResolvedWithoutACASIdentifier(t *testing.T) {
	d := open(newMemory())
	if got, err := d.Resolve(t.Context(), sends("", "idPronote", lea)); err == nil {
		t.Errorf("%+v", got)
	}
	put(t, d, Full, school)
	if got, err := d.Ask(t.Context(), asks("", lea, "Lefèvre-Núñez", "07/03/2012")); err == nil {
		t.Errorf("%+v", got)
	}
	if _, err := d.Forget(t.Context(), ""); err == nil {
		t.Error("forgot")
	}
}

func TestALoginThatIsKnownCostsTwoLoadsAndNoLock(t *testing.T) {
	store := newMemory()
	d := open(store)
	put(t, d, Full, school)
	resolve(t, d, sends("u1", "idPronote", lea))
	clear(store.counts)
	resolve(t, d, sends("u1", "idPronote", lea))
	resolve(t, d, sends("u1"))
	if got := fmt.Sprint(store.counts); got != "map[load:4]" {
		t.Errorf("two logins cost %s", got)
	}
}

func TestLastConnectionIsKeptToWithinAWeek(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(newMemory())
		resolve(t, d, sends("u1", "idPronote", lea))
		start := time.Now().UTC()
		for _, after := range []time.Duration{6 * 24 * time.Hour, 24 * time.Hour} {
			time.Sleep(after)
			resolve(t, d, sends("u1"))
		}
		rows, err := d.Rows(t.Context())
		if err != nil || len(rows) != 1 {
			t.Fatal(rows, err)
		}
		if r := rows[0]; !r.FirstConnection.Equal(start) || !r.LastConnection.Equal(start.Add(7*24*time.Hour)) || r.Source != FirstConnection {
			t.Errorf("%+v", r)
		}
	})
}

func TestThreeHundredFirstConnectionsAtOnceLoseNobody(t *testing.T) {
	synctest.Test(t, threeHundredFirstConnectionsAtOnceLoseNobody)
}

func threeHundredFirstConnectionsAtOnceLoseNobody(t *testing.T) {
	store := newMemory()
	store.far = time.Millisecond
	nodes := []*Directory{open(store), open(store)}
	put(t, nodes[0], Full, people(300, 0))
	var wg sync.WaitGroup
	for i := range 300 {
		for _, node := range nodes { // a double click that a load balancer spreads
			wg.Go(func() {
				got, err := node.Resolve(t.Context(), sends(fmt.Sprint("user", i), "idPronote", code(i)))
				if err != nil || got.PronoteID != code(i) {
					t.Errorf("%d: %+v, %v", i, got, err)
				}
			})
		}
	}
	wg.Wait()
	users := make([]string, 300)
	for i := range users {
		users[i] = fmt.Sprint("user", i)
	}
	if by := holders(t, store, users...); len(by) != 300 {
		t.Errorf("%d of 300 are bound", len(by))
	}
	rows, err := nodes[1].Rows(t.Context())
	if err != nil || len(rows) != 300 {
		t.Fatal(len(rows), err)
	}
	for _, r := range rows {
		if r.User == "" || r.FirstConnection.IsZero() || r.Source != Imported {
			t.Fatalf("%+v", r)
		}
	}
}

func TestOfThreeHundredWhoClaimOneIdentifierOneGetsIt(t *testing.T) {
	synctest.Test(t, ofThreeHundredWhoClaimOneIdentifierOneGetsIt)
}

func ofThreeHundredWhoClaimOneIdentifierOneGetsIt(t *testing.T) {
	store := newMemory()
	store.far = time.Millisecond
	nodes := []*Directory{open(store), open(store)}
	var mu sync.Mutex
	var wg sync.WaitGroup
	got := make(map[string]bool)
	for i := range 300 {
		wg.Go(func() {
			user := fmt.Sprint("user", i)
			r, err := nodes[i%2].Resolve(t.Context(), sends(user, "idPronote", lea))
			if err != nil || (r.PronoteID == "") != (r.Conflict != nil) {
				t.Errorf("%+v, %v", r, err)
			}
			mu.Lock()
			defer mu.Unlock()
			if r.PronoteID != "" {
				got[user] = true
			}
		})
	}
	wg.Wait()
	all, err := nodes[0].Conflicts(t.Context())
	if len(got) != 1 || len(all) != 299 || err != nil {
		t.Errorf("%d got it, %d conflicts, %v", len(got), len(all), err)
	}
}

// code is the n-th of many PRONOTE identifiers.
func code(n int) string {
	id := []byte("2222222222222222")
	for i := len(id) - 1; n > 0; i-- {
		id[i] = alphabet[n%len(alphabet)]
		n /= len(alphabet)
	}
	return string(id)
}

// people is a list of n, from the one numbered from on.
func people(n, from int) string {
	var b strings.Builder
	b.WriteString("Identifiant PRONOTE;Catégorie;Nom;Prénom;Date de naissance\n")
	for i := from; i < from+n; i++ {
		fmt.Fprintf(&b, "%s;Élève;Nom-%d;Prénom %d;%02d/%02d/20%02d\n", code(i), i, i, i%28+1, i%12+1, i%20)
	}
	return b.String()
}

// Looking says what a login would find, and leaves nothing behind.
func TestLookingBindsNobody(t *testing.T) {
	store := newMemory()
	d := New(store, "dir", Config{Identifier: []string{"idPronote"}})
	sent := func(user string) Claim { return Claim{User: user, Attributes: map[string][]string{"idPronote": {lea}}} }
	before := len(store.values)
	for _, user := range []string{"anna", "somebody else"} {
		if r, err := d.Look(t.Context(), sent(user)); err != nil || r.PronoteID != lea || !r.First {
			t.Errorf("looking for %s: %+v, %v", user, r, err)
		}
	}
	if r, err := d.Look(t.Context(), Claim{User: "nobody"}); err != nil || r.Rule != ByNothing {
		t.Errorf("looking for nobody: %+v, %v", r, err)
	}
	if after := len(store.values); after != before {
		t.Fatalf("%d records became %d", before, after)
	}
	if _, err := d.Resolve(t.Context(), sent("anna")); err != nil {
		t.Fatal(err)
	}
	if r, err := d.Look(t.Context(), sent("somebody else")); err != nil || r.Conflict == nil || r.PronoteID != "" {
		t.Errorf("looking for a thief: %+v, %v", r, err)
	}
	if conflicts, err := d.Conflicts(t.Context()); err != nil || len(conflicts) != 0 {
		t.Errorf("conflicts: %v, %v", conflicts, err)
	}
}

// The ministry's profiles have none for learning assistants, whom ENTs send as staff.
func TestALearningAssistantIsStaffAtTheENT(t *testing.T) {
	for category, want := range map[string]string{"National_4": hugo, "Accompagnant": hugo, "National_1": "", "National_3": ""} {
		d := New(newMemory(), "directory", Config{Match: true})
		put(t, d, Full, "idpronote;categorie;nom;prenom;datenaissance\n"+hugo+";Accompagnant;Aide;Ada;03/04/1970\n")
		got := resolve(t, d, sends("u1", "nom", "Aide", "prenom", "Ada", "dateNaissance", "03/04/1970", "categories", category))
		if got.PronoteID != want {
			t.Errorf("%s: %+v", category, got)
		}
	}
}

// A list without a column is no proof for those who send nothing of it either, and
// staff are not whoever else has their name.
func TestAnIdentityThatIsNotWholeMatchesNobody(t *testing.T) {
	whole := map[string]string{"nom": "Petit", "prenom": "Jade", "datenaissance": "01/02/1980", "categorie": "Professeur"}
	sent := map[string]string{"nom": "nom", "prenom": "prenom", "datenaissance": "dateNaissance", "categorie": "categories"}
	for without := range whole {
		d := open(newMemory())
		head, line, pairs := "idpronote", prof, []string(nil)
		for column, value := range whole {
			if column != without {
				head, line = head+";"+column, line+";"+value
				pairs = append(pairs, sent[column], value)
			}
		}
		put(t, d, Full, head+"\n"+line+"\n")
		for _, empty := range []string{"", " - "} {
			if got := resolve(t, d, sends("u1", append(pairs, sent[without], empty)...)); got.PronoteID != "" || got.Ambiguous != 0 {
				t.Errorf("neither side has %s: %+v", without, got)
			}
		}
	}
	for category, want := range map[string]string{"National_3": prof, "National_4": "", "Personnel": "", "no category": "", "National_99": ""} {
		for _, list := range []string{"Professeur", ""} {
			d := open(newMemory())
			put(t, d, Full, "idpronote;nom;prenom;datenaissance;categorie\n"+prof+";Petit;Jade;01/02/1980;"+list+"\n")
			if list == "" {
				want = ""
			}
			got := resolve(t, d, sends("u1", "nom", "Petit", "prenom", "Jade", "dateNaissance", "01/02/1980", "categories", category))
			if got.PronoteID != want {
				t.Errorf("%s, and the list says %q: %+v", category, list, got)
			}
		}
	}
}
