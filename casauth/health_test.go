package casauth

import (
	"testing"
	"testing/synctest"
	"time"
)

// The alarm that the storage is gone rings while it is gone and no longer, also at
// night, when nobody asks for anything.
func TestHealthSaysSinceWhenTheStoreIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := new(faulty)
		s := node(t, store, lifetimes)
		open(t, s, "camille", "ST-1")
		time.Sleep(time.Minute)
		if h := s.Health(); h != (Health{Live: 1}) {
			t.Fatalf("while it answers: %+v", h)
		}
		store.gone.Store(true)
		time.Sleep(2 * time.Minute)
		if h := s.Health(); h.Stale != 0 {
			t.Errorf("nobody asked, and yet: %+v", h) // it may as well be there
		}
		_, _ = s.Alive(t.Context(), "pronote_cas/site/sessions/1/2")
		failed := time.Now()
		time.Sleep(90 * time.Second)
		h := s.Health()
		if h.Stale != time.Since(failed) {
			t.Errorf("stale for %s, want %s", h.Stale, time.Since(failed))
		}
		if h.StorageErrors < 80 || h.StorageErrors > 100 {
			t.Errorf("%d failures in 90 s, want one a second", h.StorageErrors)
		}
		store.gone.Store(false)
		time.Sleep(2 * time.Second)
		if back := s.Health(); back.Stale != 0 || back.StorageErrors < h.StorageErrors {
			t.Errorf("it is back, and yet: %+v", back)
		}
	})
}

func TestHealthCountsWhoCouldGoOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := node(t, new(faulty), lifetimes)
		live := func(want int, when string) {
			t.Helper()
			if h := s.Health(); h.Live != want {
				t.Errorf("%s: %d sessions, want %d", when, h.Live, want)
			}
		}
		live(0, "before anybody")
		first := open(t, s, "camille", "ST-1")
		open(t, s, "nadia", "ST-2")
		open(t, s, "paul", "ST-3")
		live(3, "three logins")
		if _, err := s.EndTicket(t.Context(), "ST-3"); err != nil {
			t.Fatal(err)
		}
		live(2, "one logged out")
		time.Sleep(lifetimes.Idle - time.Second)
		if _, err := s.Lookup(t.Context(), first, true); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Minute)
		live(1, "one has gone idle")
		if user := s.userFrom("ST-1"); user != "camille" {
			t.Errorf("the ticket's user is %q", user)
		}
		time.Sleep(lifetimes.TTL)
		live(0, "all have run out")
	})
}
