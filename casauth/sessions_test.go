package casauth

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// faulty is a store that can be slow, stuck, or gone, and counts what it is asked.
type faulty struct {
	MemoryStore
	gone                   atomic.Bool
	delay                  atomic.Int64
	loads, stores, deletes atomic.Int64
}

var errGone = errors.New("no route to the storage")

func (f *faulty) suffer() error {
	time.Sleep(time.Duration(f.delay.Load()))
	if f.gone.Load() {
		return errGone
	}
	return nil
}

func (f *faulty) Load(ctx context.Context, key string) ([]byte, error) {
	f.loads.Add(1)
	if err := f.suffer(); err != nil {
		return nil, err
	}
	return f.MemoryStore.Load(ctx, key)
}

func (f *faulty) Store(ctx context.Context, key string, value []byte) error {
	f.stores.Add(1)
	if err := f.suffer(); err != nil {
		return err
	}
	return f.MemoryStore.Store(ctx, key, value)
}

func (f *faulty) Delete(ctx context.Context, key string) error {
	f.deletes.Add(1)
	if err := f.suffer(); err != nil {
		return err
	}
	return f.MemoryStore.Delete(ctx, key)
}

type cutting func()

func (c cutting) Cut() { c() }

var lifetimes = SessionConfig{Site: "site", TTL: time.Hour, Idle: 12 * time.Minute, Grace: time.Minute}

// node is one of several Caddys on a store.
func node(t *testing.T, store Store, c SessionConfig) *Sessions {
	s := NewSessions(store, c)
	t.Cleanup(func() { s.Close(); time.Sleep(3 * recheck); synctest.Wait() })
	return s
}

func open(t *testing.T, s *Sessions, user, ticket string) string {
	t.Helper()
	value, session, err := s.Open(t.Context(), Identity{User: user, PronoteID: "KT2AQ3UW4S98DPYX"}, Arrival{}, ticket)
	if err != nil || session.User != user {
		t.Fatalf("Open = %v", err)
	}
	return value
}

// expect looks value up and complains where the outcome is not want.
func expect(t *testing.T, s *Sessions, value string, want error) *Session {
	t.Helper()
	session, err := s.Lookup(t.Context(), value, false)
	if !errors.Is(err, want) {
		t.Fatalf("Lookup = %v, want %v", err, want)
	}
	return session
}

func TestSessionIsSharedAndItsEndIsKnownWithinASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := new(faulty)
		a, b := node(t, store, lifetimes), node(t, store, lifetimes)
		value := open(t, a, "cdurand", "ST-1")
		expect(t, a, value, nil)
		if got := expect(t, b, value, nil); got.User != "cdurand" || got.PronoteID != "KT2AQ3UW4S98DPYX" {
			t.Errorf("the other node knows %+v", got.Identity)
		}
		if err := a.End(t.Context(), expect(t, a, value, nil)); err != nil {
			t.Fatal(err)
		}
		expect(t, a, value, ErrNoSession)
		time.Sleep(recheck)
		expect(t, b, value, ErrNoSession)
	})
}

func TestStoreIsAskedOnceASecondPerSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := new(faulty)
		a := node(t, store, lifetimes)
		value := open(t, a, "cdurand", "ST-1")
		before := store.loads.Load()
		for range 10 {
			time.Sleep(recheck)
			var wg sync.WaitGroup
			for range 20 {
				wg.Go(func() { expect(t, a, value, nil) })
			}
			wg.Wait()
		}
		if asked := store.loads.Load() - before; asked != 10 {
			t.Errorf("200 requests in 10 s asked the store %d times, want 10", asked)
		}
		if stores := store.stores.Load(); stores != 2 { // the key, once a site, and the session
			t.Errorf("one login wrote %d times, want 2", stores)
		}
	})
}

func TestSessionLifetimes(t *testing.T) {
	for _, test := range []struct {
		name   string
		every  time.Duration // a request each
		person bool
		last   time.Duration // the last one that is served
	}{
		{"absolute, however busy", 6 * time.Minute, true, 54 * time.Minute},
		{"idle, polls do not count", 6 * time.Minute, false, 12 * time.Minute},
		{"idle, person gone", 18 * time.Minute, true, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := node(t, new(faulty), lifetimes)
				value := open(t, a, "cdurand", "ST-1")
				var last time.Duration
				for at := test.every; at < 2*time.Hour; at += test.every {
					time.Sleep(test.every)
					if _, err := a.Lookup(t.Context(), value, test.person); err != nil {
						break
					}
					last = at
				}
				if last != test.last {
					t.Errorf("last served after %s, want %s", last, test.last)
				}
			})
		})
	}
}

// A person who works on one node must not be logged out by the other, which
// never sees them, nor by a restart.
func TestIdleTimeIsSharedByTheNodes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := new(faulty)
		a, b := node(t, store, lifetimes), node(t, store, lifetimes)
		value := open(t, a, "cdurand", "ST-1")
		expect(t, b, value, nil)
		for range 10 {
			time.Sleep(3 * time.Minute)
			if _, err := a.Lookup(t.Context(), value, true); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		expect(t, b, value, nil)
		expect(t, node(t, store, lifetimes), value, nil) // a restart
		time.Sleep(lifetimes.Idle + 2*time.Minute)
		expect(t, b, value, ErrNoSession)
	})
}

func TestStorageGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := new(faulty)
		a := node(t, store, lifetimes)
		known := open(t, a, "cdurand", "ST-1")
		unknown := open(t, node(t, store, lifetimes), "other", "ST-2")
		store.gone.Store(true)
		time.Sleep(recheck)
		expect(t, a, known, nil)
		expect(t, a, unknown, ErrStorage)
		if _, _, err := a.Open(t.Context(), Identity{User: "new"}, Arrival{}, "ST-3"); !errors.Is(err, ErrStorage) {
			t.Errorf("a login without storage: %v, want ErrStorage", err)
		}
		time.Sleep(lifetimes.Grace - 2*recheck)
		expect(t, a, known, nil)
		time.Sleep(2 * recheck)
		expect(t, a, known, ErrStorage)
		store.gone.Store(false)
		time.Sleep(2 * recheck)
		expect(t, a, known, nil) // nobody has to log in again
		expect(t, a, unknown, nil)
	})
}

// With nobody logged in, nothing but a login asks the store: it must be let to.
func TestStorageThatIsBackIsFoundOutByTheNextLogin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := new(faulty)
		a := node(t, store, lifetimes)
		store.gone.Store(true)
		if _, _, err := a.Open(t.Context(), Identity{User: "cdurand"}, Arrival{}, "ST-1"); err == nil || a.Reachable() {
			t.Fatalf("Open = %v, and the store counts as reachable: %v", err, a.Reachable())
		}
		store.gone.Store(false)
		time.Sleep(storageRetry)
		synctest.Wait() // watch may be finding out at this very moment
		if !a.Reachable() {
			t.Fatal("a login would be refused for ever")
		}
		open(t, a, "cdurand", "ST-2")
	})
}

func TestStorageStuckCostsTwoSecondsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := new(faulty)
		a := node(t, store, lifetimes)
		value := open(t, a, "cdurand", "ST-1")
		store.delay.Store(int64(time.Minute))
		time.Sleep(recheck)
		start := time.Now()
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() { expect(t, a, value, nil) })
		}
		wg.Wait()
		if waited := time.Since(start); waited != storageTimeout {
			t.Errorf("50 requests waited %s, want %s", waited, storageTimeout)
		}
		store.delay.Store(0)
		time.Sleep(time.Minute) // lets what is stuck go
	})
}

// A logout that the store could not be told about must neither be undone here
// nor forgotten.
func TestLogoutDuringAnOutageIsRemembered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := new(faulty)
		a := node(t, store, lifetimes)
		value := open(t, a, "cdurand", "ST-1")
		session := expect(t, a, value, nil)
		store.gone.Store(true)
		if err := a.End(t.Context(), session); !errors.Is(err, ErrStorage) {
			t.Errorf("End = %v, want ErrStorage", err)
		}
		expect(t, a, value, ErrNoSession)
		store.gone.Store(false)
		expect(t, a, value, ErrNoSession)
		time.Sleep(3 * recheck)
		expect(t, node(t, store, lifetimes), value, ErrNoSession)
	})
}

func TestSingleLogoutFindsASessionOnAnyNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := new(faulty)
		a, b := node(t, store, lifetimes), node(t, store, lifetimes)
		value := open(t, a, "cdurand", "ST-1")
		for ticket, want := range map[string]bool{"ST-2": false, "": false, "ST-1": true} {
			if ended, err := b.EndTicket(t.Context(), ticket); (ended != "") != want || err != nil {
				t.Errorf("EndTicket(%q) = %q, %v, want one ended: %v", ticket, ended, err, want)
			}
		}
		time.Sleep(recheck)
		expect(t, a, value, ErrNoSession)
	})
}

func TestExpiredSessionsAreRemovedAndLiveOnesAreNotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := new(faulty)
		a := node(t, store, lifetimes)
		for n := range 100 {
			open(t, a, "cdurand", fmt.Sprint("ST-", n))
		}
		time.Sleep(54 * time.Minute)
		late := open(t, a, "late", "ST-late")
		before := store.loads.Load()
		time.Sleep(24 * time.Minute)
		if kept, err := store.List(t.Context(), "pronote_cas", true); len(kept) > 3 || err != nil { // the key, the folder, the late session
			t.Errorf("%q are left, %v, want 2", kept, err)
		}
		if read := store.loads.Load() - before; read != 0 {
			t.Errorf("sweeping read %d sessions", read)
		}
		_, err := a.Lookup(t.Context(), late, true)
		if !errors.Is(err, ErrNoSession) { // idle by now, but its record was there to say so
			t.Errorf("the late session: %v", err)
		}
	})
}

func TestThreeHundredFirstLoginsMakeOneKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := new(faulty)
		store.delay.Store(int64(time.Millisecond))
		a, b := node(t, store, lifetimes), node(t, store, lifetimes)
		values := make([]string, 300)
		var wg sync.WaitGroup
		for n := range values {
			wg.Go(func() { values[n] = open(t, []*Sessions{a, b}[n%2], fmt.Sprint(n), fmt.Sprint("ST-", n)) })
		}
		wg.Wait()
		for n, value := range values {
			if got := expect(t, []*Sessions{b, a}[n%2], value, nil); got.User != fmt.Sprint(n) {
				t.Fatalf("login %d became %s", n, got.User)
			}
		}
	})
}

// A cache that grew with every login would fill the memory in a school year.
func TestTheCacheIsBounded(t *testing.T) {
	var c cache
	for n := range shards * shardLimit * 2 {
		c.add(&Session{key: keyOfTicket("site", fmt.Sprint(n))})
	}
	if n := len(c.all(func(*Session) bool { return true })); n > shards*shardLimit {
		t.Errorf("it holds %d sessions, want %d at most", n, shards*shardLimit)
	}
}

func BenchmarkLookup(b *testing.B) {
	s := NewSessions(new(MemoryStore), lifetimes)
	defer s.Close()
	value, _, err := s.Open(b.Context(), Identity{User: "cdurand"}, Arrival{}, "ST-1")
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Lookup(b.Context(), value, true); err != nil {
			b.Fatal(err)
		}
	}
}
