package directory

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// untilItLives runs do against stores that crash after 0, 1, 2… writes, until it
// goes through, and after hands over what the next process finds. At least
// writes crashes are expected.
func untilItLives(t *testing.T, writes int, prepare func(*Directory), do func(*Directory) error, after func(n int, err error, store *memory)) {
	t.Helper()
	for n := 0; ; n++ {
		store := newMemory()
		prepare(open(store))
		store.left = n
		err := do(open(store))
		after(n, err, store.restart())
		if err == nil && store.left > 0 {
			if n < writes {
				t.Errorf("only %d writes", n)
			}
			return
		}
		if n > 200 {
			t.Fatal("never goes through")
		}
	}
}

func TestACrashAtAnyWriteLosesNoLoginThatWasAnswered(t *testing.T) {
	var answered Result
	untilItLives(t, 2,
		func(d *Directory) { put(t, d, Full, school) },
		func(d *Directory) (err error) {
			answered, err = d.Resolve(t.Context(), sends("u1", "idPronote", lea))
			return err
		},
		func(n int, err error, store *memory) {
			d := open(store)
			if got := resolve(t, d, sends("u1")); err == nil && got.PronoteID != answered.PronoteID {
				t.Errorf("crash after %d writes: answered %+v, then %+v", n, answered, got)
			}
			// Somebody else, who is right, is not kept out by half a binding…
			got := resolve(t, d, sends("u2", "idPronote", lea))
			if (got.Conflict == nil) != (err != nil) {
				t.Errorf("crash after %d writes (%v): u2 has %+v", n, err, got)
			}
			// …and then the one whose login was never answered is.
			if got := resolve(t, d, sends("u1", "idPronote", lea)); (got.Conflict == nil) != (err == nil) {
				t.Errorf("crash after %d writes (%v): u1 has %+v", n, err, got)
			}
			holders(t, store, "u1", "u2")
		})
}

func TestACrashInAChangeLeavesTheOldOrTheNew(t *testing.T) {
	untilItLives(t, 2,
		func(d *Directory) { resolve(t, d, sends("u1", "idPronote", lea)) },
		func(d *Directory) error {
			_, err := d.Resolve(t.Context(), sends("u1", "idPronote", hugo))
			return err
		},
		func(n int, err error, store *memory) {
			want := lea
			if err == nil {
				want = hugo
			}
			if by := holders(t, store, "u1"); by[want] != "u1" || len(by) != 1 {
				t.Errorf("crash after %d writes: %v, want %s", n, by, want)
			}
			got := resolve(t, open(store), sends("u2", "idPronote", hugo))
			if (got.PronoteID == hugo) != (want == lea) {
				t.Errorf("crash after %d writes: u2 has %+v", n, got)
			}
			holders(t, store, "u1", "u2")
		})
}

func TestAnImportIsAllOrNothing(t *testing.T) {
	first, second := people(2_500, 0), people(2_000, 1_500) // several pieces each
	loaded := newMemory()
	put(t, open(loaded), Full, first)
	for n := 0; n < 100; n++ {
		store := loaded.restart()
		store.left = n
		_, err := open(store).Import(t.Context(), strings.NewReader(second), "", Full, false, nil)
		after := store.restart()
		rows, failed := open(after).Rows(t.Context())
		if failed != nil {
			t.Fatal(failed)
		}
		retired := 0
		for _, r := range rows {
			if r.Retired {
				retired++
			}
		}
		if err != nil && len(rows) == 2_500 && retired == 0 {
			continue
		}
		if err != nil || len(rows) != 3_500 || retired != 1_500 {
			t.Fatalf("crash after %d writes (%v): %d rows, %d retired", n, err, len(rows), retired)
		}
		put(t, open(after), Full, second)
		if left := versions(after); left != 1 {
			t.Errorf("crash after %d writes: %d imports are left after the next one", n, left)
		}
		if store.left > 0 {
			if n < 4 {
				t.Errorf("only %d writes", n)
			}
			return
		}
	}
	t.Fatal("never goes through")
}

// versions counts the imports in store.
func versions(store *memory) int {
	found := make(map[string]bool)
	for key := range store.values {
		if rest, ok := strings.CutPrefix(key, "site/directory/imports/"); ok {
			version, _, _ := strings.Cut(rest, "/")
			found[version] = true
		}
	}
	return len(found)
}

func TestACrashWhileForgettingForgetsTheNextTime(t *testing.T) {
	untilItLives(t, 5,
		func(d *Directory) {
			put(t, d, Full, school)
			resolve(t, d, sends("u1"))
			resolve(t, d, sends("u1", "idPronote", lea))
			resolve(t, d, sends("u2", "idPronote", lea))
		},
		func(d *Directory) error {
			_, err := d.Forget(t.Context(), "u1")
			return err
		},
		func(n int, _ error, store *memory) {
			holders(t, store, "u1", "u2")
			d := open(store)
			if _, err := d.Forget(t.Context(), "u1"); err != nil {
				t.Fatal(err)
			}
			if traces := traces(store, "u1", lea); len(traces) > 0 {
				t.Errorf("crash after %d writes: %q", n, traces)
			}
		})
}

func TestRemovedRowsLoseTheirBindingsEvenIfTheImportCrashed(t *testing.T) {
	untilItLives(t, 4,
		func(d *Directory) {
			put(t, d, Full, school)
			resolve(t, d, sends("u1", "idPronote", lea))
			put(t, d, Full, "idpronote\n"+hugo+"\n")
		},
		func(d *Directory) error {
			report, err := d.Import(t.Context(), strings.NewReader("idpronote\n"+hugo+"\n"), "", Full, false, nil)
			if err == nil && strings.Contains(fmt.Sprint(report.Warnings), "could not be deleted") {
				return errCrash
			}
			return err
		},
		func(n int, err error, store *memory) {
			d := open(store)
			put(t, d, Full, "idpronote\n"+hugo+"\n")
			if by := holders(t, store, "u1"); len(by) != 0 {
				t.Errorf("crash after %d writes (%v): still bound after the next import", n, err)
			}
		})
}

func TestImportsLoginsAndForgettingAtOnceBindNobodyTwice(t *testing.T) { synctest.Test(t, allAtOnce) }

func allAtOnce(t *testing.T) {
	store := newMemory()
	store.far = time.Millisecond
	nodes := []*Directory{open(store), open(store)}
	put(t, nodes[0], Full, people(20, 0))
	var wg sync.WaitGroup
	var users []string
	for i := range 30 {
		user := fmt.Sprint("user", i)
		users = append(users, user)
		wg.Go(func() {
			for j := range 12 {
				if _, err := nodes[j%2].Resolve(t.Context(), sends(user, "idPronote", code((i+j)%20))); err != nil {
					t.Error(err)
				}
				if j%5 == i%5 {
					if _, err := nodes[j%2].Release(t.Context(), user); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	for i := range 10 {
		wg.Go(func() {
			list := fmt.Sprintf("idpronote;idcas\n%s;user%d\n%s;user%d\n", code(i), i, code(i+5), i+5)
			if _, err := nodes[i%2].Import(t.Context(), strings.NewReader(list), "", Partial, false, nil); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	holders(t, store, users...)
	rows, err := nodes[0].Rows(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	by := make(map[string]string)
	for _, r := range rows {
		if r.User != "" && by[r.User] != "" {
			t.Errorf("%s has %s and %s", r.User, by[r.User], r.PronoteID)
		}
		by[r.User] = r.PronoteID
	}
}

// A store that gives no answer in time may still write, after somebody else has
// taken the identifier; and a lock that went stale keeps nobody out.
func TestAWriteThatArrivesLateTakesNothingFromAnybody(t *testing.T) {
	for _, kinds := range [][]string{{kindIDs}, {kindUsers}, {kindIDs, kindUsers}} {
		late := newMemory()
		resolve(t, open(late), sends("late", "idPronote", lea))
		store := newMemory()
		d := open(store)
		resolve(t, d, sends("u1", "idPronote", lea))
		for _, kind := range kinds {
			key := d.key(kind, map[string]string{kindIDs: lea, kindUsers: "late"}[kind])
			store.values[key] = late.values[key]
		}
		if by := holders(t, store, "late", "u1"); len(by) > 1 {
			t.Errorf("%s: %v", kinds, by)
		}
		if len(kinds) == 2 {
			continue // somebody was answered twice; one of them has lost
		}
		if got := resolve(t, d, sends("u1", "idPronote", lea)); got.PronoteID != lea {
			t.Errorf("%s: u1 has lost it: %+v", kinds, got)
		}
		if got := resolve(t, d, sends("late")); got.PronoteID != "" {
			t.Errorf("%s: %+v", kinds, got)
		}
	}
}

// traces lists the keys whose values name one of words, also where compressed.
func traces(store *memory, words ...string) (keys []string) {
	for key, value := range store.values {
		text := string(value)
		if strings.Contains(key, "/imports/") {
			entries, err := unpack(value)
			text = fmt.Sprint(entries, err)
		}
		for _, word := range words {
			if strings.Contains(text, word) {
				keys = append(keys, key)
			}
		}
	}
	return keys
}

// A release that was cut off leaves half a binding. By the time it is done again, the
// row may be the right person's.
func TestWhatACrashLeftOfOnePersonDoesNotEraseAnothersRow(t *testing.T) {
	untilItLives(t, 2,
		func(d *Directory) {
			put(t, d, Full, school)
			resolve(t, d, sends("wrong", "idPronote", lea))
		},
		func(d *Directory) error {
			_, err := d.Release(t.Context(), "wrong")
			return err
		},
		func(n int, _ error, store *memory) {
			d := open(store)
			if got := resolve(t, d, sends("right", "idPronote", lea)); got.Conflict != nil {
				return // nothing was released
			}
			if _, err := d.Forget(t.Context(), "wrong"); err != nil {
				t.Fatal(err)
			}
			rows, err := d.Rows(t.Context())
			i := slices.IndexFunc(rows, func(r Row) bool { return r.User == "right" })
			if err != nil || i < 0 || rows[i].Source != Imported || rows[i].BirthDate == "" {
				t.Errorf("crash after %d writes: %v, the right one's row is %+v", n, err, rows)
			}
		})
}
