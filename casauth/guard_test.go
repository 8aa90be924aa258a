package casauth

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// oneUnreadable is a store with a record that cannot be read: a bad sector, or a file
// that belongs to root.
type oneUnreadable struct {
	faulty
	key, undeletable atomic.Value
}

func (s *oneUnreadable) Delete(ctx context.Context, key string) error {
	if key == s.undeletable.Load() {
		return errGone
	}
	return s.faulty.Delete(ctx, key)
}

func (s *oneUnreadable) Load(ctx context.Context, key string) ([]byte, error) {
	if key == s.key.Load() {
		return nil, errGone
	}
	return s.faulty.Load(ctx, key)
}

func TestOneUnreadableRecordKeepsNobodyElseOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := new(oneUnreadable)
		a := node(t, store, lifetimes)
		bad, good := open(t, a, "unlucky", "ST-1"), open(t, a, "other", "ST-2")
		store.key.Store(expect(t, a, bad, nil).path)
		b := node(t, store, lifetimes)
		for n := range 10 {
			expect(t, b, bad, ErrStorage) // not logged out, for nobody knows
			if !b.Reachable() {
				t.Fatal("nobody can log in")
			}
			expect(t, b, good, nil)
			open(t, b, "new", fmt.Sprint("ST-new-", n))
			time.Sleep(recheck)
		}
		store.gone.Store(true) // and a store that is gone is still noticed
		expect(t, b, bad, ErrStorage)
		if b.Reachable() {
			t.Error("a ticket would be spent for nothing")
		}
	})
}

// Its person's logout is tried again and again, and must not close the gate each time.
func TestOneRecordThatCannotBeDeletedKeepsNobodyElseOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := new(oneUnreadable)
		a := node(t, store, lifetimes)
		bad := open(t, a, "unlucky", "ST-1")
		session := expect(t, a, bad, nil)
		store.undeletable.Store(session.path)
		defer store.undeletable.Store("") // or it would be told for ever
		if err := a.End(t.Context(), session); !errors.Is(err, ErrStorage) {
			t.Fatalf("ending it: %v, want %v", err, ErrStorage)
		}
		for range 20 {
			if !a.Reachable() {
				t.Fatal("nobody can log in")
			}
			expect(t, a, bad, ErrNoSession)
			time.Sleep(recheck / 4)
		}
		store.undeletable.Store("")
		time.Sleep(recheck)
		expect(t, node(t, store, lifetimes), bad, ErrNoSession)
	})
}

// nowhere is a store whose folders vanish while something is written into them.
type nowhere struct{ MemoryStore }

func (*nowhere) Store(context.Context, string, []byte) error { return fs.ErrNotExist }

func TestWhatCouldNotBeWrittenIsNotMerelyAbsent(t *testing.T) {
	if err := Guard(new(nowhere)).Store(t.Context(), "a", nil); !errors.Is(err, ErrStorage) || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("writing: %v, want ErrStorage", err)
	}
}

func TestALockIsNotWaitedForWhereTheStoreIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := new(faulty)
		store.gone.Store(true)
		g := Guard(store)
		if _, err := g.Load(t.Context(), "a"); !errors.Is(err, ErrStorage) {
			t.Fatal(err)
		}
		if err := g.Lock(t.Context(), "a"); !errors.Is(err, ErrStorage) {
			t.Errorf("locking: %v, want ErrStorage", err)
		}
	})
}

// hanging is a store on a network file system that hangs: nothing comes back before the
// file system does.
type hanging struct {
	MemoryStore
	back  chan struct{}
	stuck atomic.Int64
}

func (s *hanging) Load(ctx context.Context, key string) ([]byte, error) {
	s.stuck.Add(1)
	<-s.back
	s.stuck.Add(-1)
	return s.MemoryStore.Load(ctx, key)
}

// Each question that hangs holds a thread, and at ten thousand of them Go ends the
// process, with all that Caddy serves besides.
func TestAStoreThatHangsOvernightDoesNotFillTheProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &hanging{back: make(chan struct{})}
		s := node(t, store, lifetimes)
		expect(t, s, newCookie(&[32]byte{}, 1<<31, ticketKey{}), ErrStorage) // the first to find out
		time.Sleep(12 * time.Hour)
		if stuck := store.stuck.Load(); stuck < storageHangs || stuck > 2*storageHangs {
			t.Errorf("%d questions hang", stuck)
		}
		close(store.back)
		time.Sleep(2 * recheck)
		if !s.Reachable() || s.Health().Stale != 0 {
			t.Error("it is back, and not found out")
		}
	})
}
