package directory

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func asks(user, code, lastName, birthDate string, pairs ...string) Attempt {
	return Attempt{Claim: sends(user, pairs...), Code: code, LastName: lastName, BirthDate: birthDate}
}

// refused returns what an attempt was refused for.
func refused(t *testing.T, err error) AskError {
	t.Helper()
	var e *AskError
	if !errors.As(err, &e) {
		t.Fatalf("not an AskError: %v", err)
	}
	return *e
}

const letters = school + `KQS98RPC4FNVAZU7;;Personnel;Durand;Paul;
A8BT6EGHDW3QFPXC;;Personnel;;;03/04/1970
` + aide + `;;Accompagnant;Aide;Ada;03/04/1970
C9DV6GKJFY5SHRZE;;;Sans;Zoé;03/04/1970
`

const aide = "B7CU5FHJEX4RGQYD"

func TestACodeBindsWithItsProofOnly(t *testing.T) {
	for _, test := range []struct {
		what string
		a    Attempt
		kind AskKind // "": bound
	}{
		{"as in the letter", asks("u1", lea, "Lefèvre-Núñez", "07/03/2012"), ""},
		{"as people type", asks("u1", "kt2a-q3uw 4s98\u00A0dpyx", "lefevre nunez", "7-3-2012"), ""},
		{"as a browser fills in", asks("u1", lea, "LEFEVRE NUNEZ", "2012-03-07"), ""},
		{"proof from the ENT", asks("u1", lea, "", "", "nom", "Lefèvre Núñez", "dateNaissance", "07/03/2012"), ""},
		{"half a proof from the ENT", asks("u1", lea, "", "07/03/2012", "nom", "Lefèvre Núñez"), ""},
		{"the ENT says it is somebody else", asks("u1", lea, "Lefèvre-Núñez", "07/03/2012", "nom", "Voleur", "dateNaissance", "07/03/2012"), AskMismatch},
		{"the ENT says it is another category", asks("u1", prof, "Petit", "01/02/1980", "categories", "National_1"), AskMismatch},
		{"the ENT says it is the same category", asks("u1", prof, "Petit", "01/02/1980", "categories", "National_3"), ""},
		{"the ENT says it where most do", asks("u1", prof, "Petit", "01/02/1980", "ENTPersonProfils", "National_ELV"), AskMismatch},
		{"both say it, and what was configured counts", asks("u1", prof, "Petit", "01/02/1980", "categories", "National_3", "ENTPersonProfils", "National_ELV"), ""},
		{"ENTs have no profile for assistants but staff", asks("u1", aide, "Aide", "03/04/1970", "categories", "National_4"), ""},
		{"an assistant is no teacher", asks("u1", aide, "Aide", "03/04/1970", "categories", "National_3"), AskMismatch},
		{"a row without category", asks("u1", "C9DV6GKJFY5SHRZE", "Sans", "03/04/1970", "categories", "National_1"), ""},
		{"a code alone", asks("u1", lea, "", ""), AskEmpty},
		{"no last name", asks("u1", lea, " - ", "07/03/2012"), AskEmpty},
		{"no code", asks("u1", " ", "Petit", "07/03/2012"), AskEmpty},
		{"short", asks("u1", lea[1:], "Petit", "07/03/2012"), AskLength},
		{"characters that no code has", asks("u1", "KT2AQ3UW4S98DPO0", "Petit", "07/03/2012"), AskAlphabet},
		{"no date", asks("u1", lea, "Petit", "demain"), AskDate},
		{"another last name", asks("u1", lea, "Petit", "07/03/2012"), AskMismatch},
		{"another birth date", asks("u1", lea, "Lefèvre-Núñez", "08/03/2012"), AskMismatch},
		{"no such code", asks("u1", "ZZZZZZZZZZZZZZZZ", "Lefèvre-Núñez", "07/03/2012"), AskMismatch},
		{"a row without birth date", asks("u1", other, "Durand", "07/03/2012"), AskUnprovable},
		{"a row without name", asks("u1", "A8BT6EGHDW3QFPXC", "Durand", "03/04/1970"), AskUnprovable},
		{"a row that an import gives to somebody else", asks("u1", hugo, "D'Artagnan", "12/11/2011"), AskMismatch},
	} {
		d := open(newMemory())
		put(t, d, Full, letters)
		got, err := d.Ask(t.Context(), test.a)
		if test.kind == "" {
			if err != nil || got.PronoteID == "" || got.Rule != ByAsking || !got.First {
				t.Errorf("%s: %+v, %v", test.what, got, err)
			}
			if again := resolve(t, d, Claim{User: "u1"}); again.PronoteID != got.PronoteID {
				t.Errorf("%s: the second login gives %+v", test.what, again)
			}
			continue
		}
		if e := refused(t, err); e.Kind != test.kind || got.PronoteID != "" {
			t.Errorf("%s: %+v, %+v, want %s", test.what, got, e, test.kind)
		}
		if b, err := d.bindingOf(t.Context(), "u1"); b != nil || err != nil {
			t.Errorf("%s: bound %+v, %v", test.what, b, err)
		}
	}
}

func TestEachFieldAtFaultIsNamed(t *testing.T) {
	d := open(newMemory())
	_, err := d.Ask(t.Context(), asks("u1", "kt2o-0é!", "", "2012"))
	if e := refused(t, err); e.Kind != AskAlphabet || e.Code != AskAlphabet || e.Characters != "O, 0, É, !" || e.LastName != AskEmpty || e.BirthDate != AskDate {
		t.Errorf("%+v", e)
	}
	_, err = d.Ask(t.Context(), asks("u1", "kt2 a", "x", "07/03/2012"))
	if e := refused(t, err); e.Code != AskLength || e.Length != 4 || e.LastName != "" || e.BirthDate != "" {
		t.Errorf("%+v", e)
	}
}

func TestCharactersThatAnImportedCodeHasAreAccepted(t *testing.T) {
	d := open(newMemory())
	put(t, d, Full, "idpronote,nom,datenaissance\nKT2AQ3UW4S98DPO0,Petit,07/03/2012\n")
	if got, err := d.Ask(t.Context(), asks("u1", "kt2aq3uw4s98dpo0", "petit", "07/03/2012")); err != nil || got.PronoteID == "" {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestARowThatSomebodyHoldsLooksLikeAWrongProofAndTheSchoolSeesIt(t *testing.T) {
	d := open(newMemory())
	put(t, d, Full, letters)
	resolve(t, d, sends("holder", "idPronote", lea))
	got, err := d.Ask(t.Context(), asks("u1", lea, "Lefèvre-Núñez", "07/03/2012"))
	if e := refused(t, err); e.Kind != AskMismatch || got.Conflict == nil || got.Conflict.HeldBy != "holder" {
		t.Errorf("%+v, %+v", got, e)
	}
	if all, err := d.Conflicts(t.Context()); err != nil || len(all) != 1 || all[0].Rule != ByAsking {
		t.Errorf("%+v, %v", all, err)
	}
	_, err = d.Ask(t.Context(), asks("u2", lea, "Lefèvre-Núñez", "08/03/2012")) // without the proof there is no conflict
	if all, failed := d.Conflicts(t.Context()); refused(t, err).Kind != AskMismatch || failed != nil || len(all) != 1 {
		t.Errorf("%+v, %v", all, failed)
	}
}

func TestARetiredRowCannotBeClaimed(t *testing.T) {
	d := open(newMemory())
	put(t, d, Full, letters)
	put(t, d, Full, "idpronote\n"+hugo+"\n")
	_, err := d.Ask(t.Context(), asks("u1", lea, "Lefèvre-Núñez", "07/03/2012"))
	if e := refused(t, err); e.Kind != AskMismatch {
		t.Errorf("%+v", e)
	}
}

func TestAFormSentTwiceBindsOnce(t *testing.T) {
	d := open(newMemory())
	put(t, d, Full, letters)
	for range 2 {
		if got, err := d.Ask(t.Context(), asks("u1", lea, "Lefèvre-Núñez", "07/03/2012")); err != nil || got.PronoteID != lea {
			t.Errorf("%+v, %v", got, err)
		}
	}
	if got, err := d.Ask(t.Context(), asks("u1", prof, "Petit", "01/02/1980")); err != nil || got.PronoteID != lea {
		t.Errorf("somebody who is known claims another row: %+v, %v", got, err)
	}
}

func TestFiveTriesAnHourAcrossNodesWithGrowingWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newMemory()
		nodes := []*Directory{open(store), open(store)}
		put(t, nodes[0], Full, letters)
		wrong := func(i int) AskError {
			_, err := nodes[i%2].Ask(t.Context(), asks("u1", code(i), "Petit", "07/03/2012"))
			return refused(t, err)
		}
		for i, wait := range []time.Duration{5 * time.Second, 15 * time.Second, 45 * time.Second, 135 * time.Second} {
			if e := wrong(i); e.Kind != AskMismatch || e.TriesLeft != 4-i {
				t.Fatalf("try %d: %+v", i, e)
			}
			if e := wrong(i + 1); e.Kind != AskWait || e.Wait != wait {
				t.Fatalf("at once after try %d: %+v, want to wait %s", i, e, wait)
			}
			time.Sleep(wait)
		}
		if e := wrong(4); e.Kind != AskMismatch || e.TriesLeft != 0 {
			t.Fatalf("fifth: %+v", e)
		}
		for i := range 2 {
			if e := wrong(i); e.Kind != AskLocked || e.Wait != time.Hour-200*time.Second {
				t.Fatalf("sixth: %+v", e)
			}
		}
		_, err := nodes[0].Ask(t.Context(), asks("u1", lea, "Lefèvre-Núñez", "07/03/2012"))
		if e := refused(t, err); e.Kind != AskLocked {
			t.Errorf("the right one while locked: %+v", e)
		}
		if _, err := nodes[0].Ask(t.Context(), asks("u2", lea, "Petit", "07/03/2012")); refused(t, err).Kind != AskMismatch {
			t.Errorf("somebody else is locked too: %v", err)
		}
		time.Sleep(time.Hour)
		if got, err := nodes[0].Ask(t.Context(), asks("u1", lea, "Lefèvre-Núñez", "07/03/2012")); err != nil || got.PronoteID != lea {
			t.Errorf("an hour later: %+v, %v", got, err)
		}
	})
}

func TestAClassCannotGuessATeachersBirthday(t *testing.T) {
	for _, id := range []string{prof, "ZZZZZZZZZZZZZZZZ"} { // one that does not exist locks alike
		synctest.Test(t, func(t *testing.T) {
			d := open(newMemory())
			put(t, d, Full, letters)
			tried := 0
			for i := range 100 {
				_, err := d.Ask(t.Context(), asks(fmt.Sprint("pupil", i), id, "Petit", "07/03/1970"))
				if e := refused(t, err); e.Kind == AskMismatch {
					tried++
				} else if e.Kind != AskLocked || e.Wait <= 0 {
					t.Fatalf("%+v", e)
				}
				time.Sleep(10 * time.Minute)
			}
			if tried != 10 {
				t.Errorf("%s: %d tries in less than a day", id, tried)
			}
		})
	}
}

func TestTriesSentAtOnceAreCountedOneByOne(t *testing.T) { synctest.Test(t, triesAtOnce) }

func triesAtOnce(t *testing.T) {
	store := newMemory()
	store.far = time.Millisecond
	nodes := []*Directory{open(store), open(store)}
	put(t, nodes[0], Full, letters)
	var looked atomic.Int32
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() {
			_, err := nodes[i%2].Ask(t.Context(), asks("u1", lea, "Petit", "07/03/2012"))
			var e *AskError
			if errors.As(err, &e) && e.Kind == AskMismatch {
				looked.Add(1)
			}
		})
	}
	wg.Wait()
	if looked.Load() != 1 {
		t.Errorf("%d of 50 were compared", looked.Load())
	}
}

func TestWhatAnUnknownCodeCostsTellsNothing(t *testing.T) {
	var costs []string
	for _, id := range []string{lea, "ZZZZZZZZZZZZZZZZ", hugo} {
		store := newMemory()
		d := open(store)
		put(t, d, Full, letters)
		clear(store.counts)
		_, err := d.Ask(t.Context(), asks("u1", id, "Petit", "01/01/2001"))
		costs = append(costs, fmt.Sprint(store.counts, refused(t, err)))
	}
	if costs[0] != costs[1] || costs[1] != costs[2] {
		t.Errorf("%q", costs)
	}
}

func TestProofSent(t *testing.T) {
	d := open(newMemory())
	for _, test := range []struct {
		c    Claim
		want bool
	}{
		{sends("u1", "nom", "Petit", "dateNaissance", "07/03/2012"), true},
		{sends("u1", "nom", "Petit", "dateNaissance", "inconnue"), false},
		{sends("u1", "nom", " - ", "dateNaissance", "07/03/2012"), false},
	} {
		if got := d.ProofSent(test.c); got != test.want {
			t.Errorf("%+v: %v", test.c, got)
		}
	}
}
