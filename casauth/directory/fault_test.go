package directory

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// faulty is a store of which one operation fails, the one after left others.
type faulty struct {
	*memory
	left int
	hit  bool
}

func (f *faulty) fails() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.left--
	f.hit = f.hit || f.left == -1
	return f.left == -1
}

func (f *faulty) Load(ctx context.Context, key string) ([]byte, error) {
	if f.fails() {
		return nil, errCrash
	}
	return f.memory.Load(ctx, key)
}

func (f *faulty) Store(ctx context.Context, key string, value []byte) error {
	if f.fails() {
		return errCrash
	}
	return f.memory.Store(ctx, key, value)
}

func (f *faulty) Delete(ctx context.Context, key string) error {
	if f.fails() {
		return errCrash
	}
	return f.memory.Delete(ctx, key)
}

func (f *faulty) List(ctx context.Context, prefix string, recursive bool) ([]string, error) {
	if f.fails() {
		return nil, errCrash
	}
	return f.memory.List(ctx, prefix, recursive)
}

func (f *faulty) Lock(ctx context.Context, name string) error {
	if f.fails() {
		return errCrash
	}
	return f.memory.Lock(ctx, name)
}

// atEveryFault runs do with each of its operations on the store failing in turn.
func atEveryFault(t *testing.T, prepared *memory, do func(d *Directory, store *memory, n int)) {
	t.Helper()
	for n := 0; ; n++ {
		store := &faulty{memory: prepared.restart(), left: n}
		do(open(store), store.memory, n)
		if !store.hit {
			return
		}
		if n > 500 {
			t.Fatal("never goes through")
		}
	}
}

// One answer that the store does not give must not make somebody another person,
// nor nobody: either the login fails, or it is what it would have been.
func TestAStoreThatFailsOnceChangesNobody(t *testing.T) {
	prepared := newMemory()
	d := open(prepared)
	put(t, d, Full, letters)
	resolve(t, d, sends("known", "idPronote", prof))
	for what, c := range map[string]Claim{
		"known":              sends("known"),
		"known, attribute":   sends("known", "idPronote", prof),
		"known, and changes": sends("known", "idPronote", aide),
		"attribute":          sends("u1", "idPronote", lea),
		"attribute, held":    sends("u1", "idPronote", prof),
		"attribute, given":   sends("u1", "idPronote", hugo),
		"row":                sends("NAA30191"),
		"identity":           sends("u1", "nom", "Petit", "prenom", "Jade", "dateNaissance", "01021980", "categories", "National_2"),
		"nobody":             sends("u1"),
	} {
		for how, find := range map[string]func(*Directory, context.Context, Claim) (Result, error){
			"resolve": (*Directory).Resolve, "look": (*Directory).Look,
		} {
			want, err := find(open(prepared.restart()), t.Context(), c)
			if err != nil {
				t.Fatal(err)
			}
			atEveryFault(t, prepared, func(d *Directory, store *memory, n int) {
				got, err := find(d, t.Context(), c)
				if err == nil && how == "resolve" && got.PronoteID != "" && holders(t, store, c.User)[got.PronoteID] != c.User {
					t.Errorf("%s, failure %d: answered, and not in the store", what, n)
				}
				if err == nil && (got.PronoteID != want.PronoteID || got.Rule != want.Rule || got.Previous != want.Previous || (got.Conflict == nil) != (want.Conflict == nil)) {
					t.Errorf("%s, %s, failure %d: %+v, want %+v", how, what, n, got, want)
				}
				if err != nil && (got.PronoteID != "" || got.Rule != "" && got.Rule != ByNothing && got.Conflict == nil && got.Rule != want.Rule) {
					t.Errorf("%s, %s, failure %d: %+v beside %v", how, what, n, got, err)
				}
			})
		}
	}
}

func TestAStoreThatFailsOnceProvesNothing(t *testing.T) {
	prepared := newMemory()
	put(t, open(prepared), Full, letters)
	for what, a := range map[string]Attempt{
		"right":            asks("u1", lea, "Lefèvre-Núñez", "07/03/2012"),
		"wrong":            asks("u1", lea, "Petit", "07/03/2012"),
		"somebody else's":  asks("u1", hugo, "D'Artagnan", "12/11/2011"),
		"no such code":     asks("u1", "ZZZZZZZZZZZZZZZZ", "Petit", "07/03/2012"),
		"known by the row": asks("NAA30191", hugo, "D'Artagnan", "12/11/2011"),
	} {
		want, refusal := open(prepared.restart()).Ask(t.Context(), a)
		atEveryFault(t, prepared, func(d *Directory, store *memory, n int) {
			got, err := d.Ask(t.Context(), a)
			if got.PronoteID != "" && got.PronoteID != want.PronoteID || err == nil && refusal != nil || err != nil && got.PronoteID != "" {
				t.Errorf("%s, failure %d: %+v, %v", what, n, got, err)
			}
			if left := traces(store, `"at"`); refusal != nil && err != nil && err.Error() == refusal.Error() && len(left) != 2 {
				t.Errorf("%s, failure %d: compared, and %d of 2 tries are counted", what, n, len(left))
			}
		})
	}
}

// The data-protection officer is told that somebody is forgotten only where that is so.
func TestAStoreThatFailsOnceForgetsNobodyInSilence(t *testing.T) {
	prepared := newMemory()
	d := open(prepared)
	put(t, d, Full, letters)
	put(t, d, Partial, "idpronote;idcas\n"+jade+";u1\n")
	resolve(t, d, sends("u1", "nom", "Evrard"))
	resolve(t, d, sends("u1", "idPronote", lea))
	resolve(t, d, sends("u2", "idPronote", lea)) // held by u1
	resolve(t, d, sends("u1", "idPronote", hugo))
	atEveryFault(t, prepared, func(d *Directory, store *memory, n int) {
		_, err := d.Forget(t.Context(), "u1")
		if left := traces(store, "u1"); err == nil && len(left) > 0 {
			t.Errorf("failure %d: forgotten, and %q is left", n, left)
		}
	})
}

// What a login that was never answered left behind names the person all the same.
func TestForgettingTakesHalvesAndNothingOfOthers(t *testing.T) {
	store := newMemory()
	d := open(store)
	put(t, d, Full, letters)
	put(t, d, Partial, "idpronote;idcas\n"+jade+";mallory\n")
	half := held{PronoteID: code(1), User: "crashed"}
	if err := d.save(t.Context(), d.key(kindIDs, half.PronoteID), half); err != nil {
		t.Fatal(err)
	}
	resolve(t, d, sends("u2", "idPronote", hugo)) // a conflict of u2 with NAA30191
	before := store.restart()
	if known, err := d.Forget(t.Context(), "crashed"); err != nil || !known {
		t.Errorf("a half is all there was: %v, %v", known, err)
	}
	if left := traces(store, "crashed"); len(left) > 0 {
		t.Errorf("%q is left", left)
	}
	// The same for each kind of note that can be all there is, and for an imported row.
	resolve(t, d, sends("noted"))
	resolve(t, d, sends("refused", "idPronote", hugo))
	for _, user := range []string{"noted", "refused", "mallory"} {
		if known, err := d.Forget(t.Context(), user); err != nil || !known {
			t.Errorf("%s: %v, %v", user, known, err)
		}
		if left := traces(store, user); len(left) > 0 {
			t.Errorf("%s: %q is left", user, left)
		}
	}
	if known, err := d.Forget(t.Context(), "nobody"); err != nil || known {
		t.Errorf("nobody: %v, %v", known, err)
	}
	if _, err := d.Release(t.Context(), "nobody"); err != nil {
		t.Error(err)
	}
	for _, other := range []string{"NAA30191", "u2"} {
		if was, is := len(traces(before, other)), len(traces(store, other)); was == 0 || is != was {
			t.Errorf("%s: %d records became %d", other, was, is)
		}
	}
}

// A login that ends while a cleaning is under way was half a binding when that looked.
func TestWhatIsWholeByNowIsNotTakenForAHalf(t *testing.T) {
	d := open(newMemory())
	resolve(t, d, sends("u1", "idPronote", lea))
	if err := d.unbind(t.Context(), lea, "u1", always); err != nil {
		t.Fatal(err)
	}
	if by := holders(t, d.store, "u1"); by[lea] != "u1" {
		t.Errorf("%v", by)
	}
}

// Cleaning up gives nobody another five guesses.
func TestRetentionGivesNoTriesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(newMemory())
		put(t, d, Full, letters)
		for range 5 {
			_, _ = d.Ask(t.Context(), asks("u1", lea, "Petit", "07/03/2012"))
			time.Sleep(3 * time.Minute)
		}
		if _, err := d.Prune(t.Context(), MinRetention); err != nil {
			t.Fatal(err)
		}
		_, err := d.Ask(t.Context(), asks("u1", lea, "Lefèvre-Núñez", "07/03/2012"))
		if e := refused(t, err); e.Kind != AskLocked {
			t.Errorf("%+v", e)
		}
	})
}
