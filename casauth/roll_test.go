package casauth

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// roll lists who is logged in, by s.
func roll(t *testing.T, s *Sessions) (users []string) {
	t.Helper()
	entries, err := s.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		users = append(users, e.User)
	}
	return users
}

func everybody(Entry) bool { return true }

func TestTheRollIsTheSameOnEveryNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := new(faulty)
		a, b := node(t, store, lifetimes), node(t, store, lifetimes)
		who := Identity{User: "cdurand", PronoteID: "KT2AQ3UW4S98DPYX", Attributes: map[string][]string{"categories": {"National_1"}}}
		value, session, err := a.Open(t.Context(), who, Arrival{From: "192.0.2.1", Espace: "eleves"}, "ST-1")
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Minute)
		if _, err := a.Lookup(t.Context(), value, true); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		time.Sleep(time.Minute)
		want := Entry{User: "cdurand", PronoteID: "KT2AQ3UW4S98DPYX", Arrival: Arrival{"192.0.2.1", "eleves"}}
		var ids []string
		for name, s := range map[string]*Sessions{"where the person is": a, "another, that never saw the person": b} {
			entries, err := s.List(t.Context())
			if err != nil || len(entries) != 1 {
				t.Fatalf("%s: %v, %v", name, entries, err)
			}
			e := entries[0]
			if e.User != want.User || e.PronoteID != want.PronoteID || e.Arrival != want.Arrival || !e.HasProfile("Élève") {
				t.Errorf("%s: %+v", name, e)
			}
			if now := time.Now(); now.Sub(e.Created) != 6*time.Minute || now.Sub(e.Seen) != time.Minute || e.Expires.Sub(now) != 54*time.Minute {
				t.Errorf("%s: created %s, seen %s, until %s", name, e.Created, e.Seen, e.Expires)
			}
			if strings.Contains(value, e.ID) || strings.Contains(session.path, e.ID) || len(e.ID) != 12 {
				t.Errorf("%s: the session's name %q is a part of what opens it", name, e.ID)
			}
			ids = append(ids, e.ID)
		}
		if ids[0] != ids[1] {
			t.Errorf("one session has two names: %s", ids)
		}
		if _, err := a.Revoke(t.Context(), everybody); err != nil {
			t.Fatal(err)
		}
		if left := append(roll(t, a), roll(t, b)...); len(left) != 0 {
			t.Errorf("ended a moment ago, and listed still: %s", left)
		}
	})
}

func TestWhoIsGoneIsNotOnTheRoll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := new(faulty)
		a, b := node(t, store, lifetimes), node(t, store, lifetimes)
		open(t, a, "idle", "ST-1")
		stays := open(t, a, "stays", "ST-2")
		for range 5 {
			time.Sleep(3 * time.Minute)
			if _, err := a.Lookup(t.Context(), stays, true); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		for _, s := range []*Sessions{a, b} {
			if got := roll(t, s); !slices.Equal(got, []string{"stays"}) {
				t.Errorf("after a quarter of an hour: %s", got)
			}
		}
		for range 16 {
			time.Sleep(3 * time.Minute)
			_, _ = a.Lookup(t.Context(), stays, true) // an hour is all that it has
			synctest.Wait()
		}
		if got := append(roll(t, a), roll(t, b)...); len(got) != 0 {
			t.Errorf("after an hour: %s", got)
		}
	})
}

// What is damaged or not ours does not keep the operator from the rest; a store that
// fails must not look like a school where nobody is logged in.
func TestTheRollOfAStoreThatIsNotWhole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := new(faulty)
		a := node(t, store, lifetimes)
		open(t, a, "damaged", "ST-1")
		open(t, a, "stays", "ST-2")
		damaged := a.cache.find(keyOfTicket("site", "ST-1")).path
		for key, value := range map[string]string{
			damaged: `{"user":"dama`, seenPath(damaged): "soon", damaged[:len(damaged)-32] + "README": "{}", damaged + ".tmp": "{}",
			seenPath(a.cache.find(keyOfTicket("site", "ST-2")).path): "{",
		} {
			if err := store.MemoryStore.Store(t.Context(), key, []byte(value)); err != nil {
				t.Fatal(err)
			}
		}
		if got := roll(t, a); !slices.Equal(got, []string{"stays"}) {
			t.Errorf("%s", got)
		}
		store.gone.Store(true)
		if got, err := a.List(t.Context()); !errors.Is(err, ErrStorage) || got != nil {
			t.Errorf("List = %v, %v, want %v", got, err, ErrStorage)
		}
		if got, err := a.Revoke(t.Context(), everybody); !errors.Is(err, ErrStorage) || got != nil {
			t.Errorf("Revoke = %v, %v, want %v", got, err, ErrStorage)
		}
	})
}

// Nor does what cannot be read, and whoever ends all ends that as well.
func TestTheRollOfAStoreWithAnUnreadableRecord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := new(oneUnreadable)
		a := node(t, store, lifetimes)
		bad := open(t, a, "unlucky", "ST-1")
		open(t, a, "stays", "ST-2")
		open(t, a, "gone", "ST-3")
		store.key.Store(expect(t, a, bad, nil).path)
		for name, s := range map[string]*Sessions{"here": a, "elsewhere": node(t, store, lifetimes)} {
			if got := roll(t, s); !slices.Contains(got, "stays") || len(got) != 3 || slices.Contains(got, "unlucky") != (s == a) {
				t.Errorf("%s: %q", name, got)
			}
		}
		b := node(t, store, lifetimes)
		if ended, err := b.Revoke(t.Context(), func(e Entry) bool { return e.User == "gone" }); err != nil || len(ended) != 1 {
			t.Errorf("Revoke one = %v, %v", ended, err)
		}
		if ended, err := b.Revoke(t.Context(), everybody); err != nil || len(ended) != 2 {
			t.Errorf("Revoke all = %v, %v", ended, err)
		}
		store.key.Store("")
		expect(t, node(t, store, lifetimes), bad, ErrNoSession)
	})
}

func TestARevokedSessionIsRefusedOnEveryNodeWithinASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := new(faulty)
		a, b, c := node(t, store, lifetimes), node(t, store, lifetimes), node(t, store, lifetimes)
		gone, stays := open(t, a, "gone", "ST-1"), open(t, a, "stays", "ST-2")
		var cut atomic.Int64
		for name, s := range map[string]*Sessions{"here": a, "elsewhere": b} {
			if !expect(t, s, gone, nil).Hold(new(Hold), cutting(func() { cut.Add(1) })) {
				t.Fatal("no response may begin")
			}
			other := new(Hold)
			expect(t, s, stays, nil).Hold(other, cutting(func() { t.Errorf("somebody else's response %s was cut", name) }))
			defer other.Release()
		}
		// c has never seen the session: there it ends in the store alone.
		for _, by := range []*Sessions{c, a} {
			ended, err := by.Revoke(t.Context(), func(e Entry) bool { return e.User == "gone" })
			if err != nil {
				t.Fatal(err)
			}
			if by == c && (len(ended) != 1 || ended[0].User != "gone") || by == a && len(ended) != 0 {
				t.Errorf("ended: %+v", ended)
			}
		}
		time.Sleep(recheck)
		for _, s := range []*Sessions{a, b, c} {
			expect(t, s, gone, ErrNoSession)
			expect(t, s, stays, nil)
		}
		time.Sleep(recheck / 2)
		if n := cut.Load(); n != 2 {
			t.Errorf("%d of two live responses were cut", n)
		}
	})
}

func TestRevokingHereIsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := node(t, new(faulty), lifetimes)
		value := open(t, a, "gone", "ST-1")
		cut := false
		expect(t, a, value, nil).Hold(new(Hold), cutting(func() { cut = true }))
		if _, err := a.Revoke(t.Context(), everybody); err != nil || !cut {
			t.Fatalf("Revoke = %v, the live response was cut: %v", err, cut)
		}
		expect(t, a, value, ErrNoSession)
	})
}

// A thousand sessions in a store that is a network away: read side by side, but not
// all at once, for people want to log in meanwhile.
func TestAThousandSessionsAreListedSideBySide(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := new(faulty)
		a := node(t, store, lifetimes)
		for n := range 1000 {
			open(t, a, fmt.Sprintf("eleve%03d", n), fmt.Sprintf("ST-%d", n))
			time.Sleep(time.Microsecond)
		}
		b := node(t, store, lifetimes)
		store.delay.Store(int64(time.Millisecond))
		loads, start := store.loads.Load(), time.Now()
		got := roll(t, b)
		if took := time.Since(start); took != 125*time.Millisecond { // the list itself is not slowed down here
			t.Errorf("1,000 reads of 1 ms took %s, want eight at a time", took)
		}
		if n := store.loads.Load() - loads; n != 1000 {
			t.Errorf("the store was asked %d times", n)
		}
		if len(got) != 1000 || !slices.IsSorted(got) {
			t.Errorf("%d sessions, in the order of their logins: %v", len(got), slices.IsSorted(got))
		}
		ended, err := b.Revoke(t.Context(), everybody)
		if left := roll(t, a); err != nil || len(ended) != 1000 || len(left) != 0 {
			t.Errorf("%d ended, %d left, %v", len(ended), len(left), err)
		}
	})
}

func TestProfiles(t *testing.T) {
	for _, test := range []struct {
		attribute, value, profile string
		want                      bool
	}{
		{"categories", "National_1", "National_1", true},
		{"categories", "National_1", "national 1", true},
		{"categories", "National_1", "élèves", true},
		{"ENTPersonProfils", "National_2", "Parent", true},
		{"ENTPersonProfils", "National_3;National_5", "National_5", true},
		{"profile", "ENS, DOC", "doc", true},
		{"profil", "Parent|Élève", "eleve", true},
		{"profil", "Élève", "Élève", true},
		{"categories", "National_1", "parents", false},
		{"categories", "National_10", "National_1", false},
		{"categories", "National_4", "National_5", false}, // both are staff, but one was asked for
		{"categories", "National_4", "personnel", true},
		{"categories", "National_1", "", false},
		{"categories", "---", "--", false},
		{"classe", "Élève", "Élève", false}, // what somebody writes elsewhere
	} {
		e := Entry{attributes: map[string][]string{test.attribute: {"", test.value}}}
		if got := e.HasProfile(test.profile); got != test.want {
			t.Errorf("%s=%q has the profile %q: %v", test.attribute, test.value, test.profile, got)
		}
	}
}
