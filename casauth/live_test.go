package casauth

import (
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestLiveResponsesEndWithTheirSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := new(faulty)
		a, b := node(t, store, lifetimes), node(t, store, lifetimes)
		for _, test := range []struct {
			name string
			end  func(*Session)
		}{
			{"ended here", func(s *Session) { _ = a.End(t.Context(), s) }},
			{"ended on the other node", func(*Session) { _, _ = b.EndTicket(t.Context(), "ST-1") }},
			{"run out", func(*Session) { time.Sleep(lifetimes.TTL) }},
		} {
			session := expect(t, a, open(t, a, "cdurand", "ST-1"), nil)
			var cut atomic.Int64
			var poll, done Hold
			session.Hold(&poll, cutting(func() { cut.Add(1) }))
			session.Hold(&done, cutting(func() { cut.Add(100) }))
			done.Release()
			test.end(session)
			time.Sleep(recheck + recheck/4)
			if cut.Load() != 1 {
				t.Errorf("%s: cut = %d, want 1: the poll once, what was over never", test.name, cut.Load())
			}
			poll.Release()
			if session.Hold(&poll, cutting(func() {})) {
				t.Errorf("%s: a new response begins", test.name)
			}
		}
	})
}

func TestLiveResponsesGoOverToThePersonsNextSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := node(t, new(faulty), lifetimes)
		old := expect(t, a, open(t, a, "cdurand", "ST-1"), nil)
		next := expect(t, a, open(t, a, "cdurand", "ST-2"), nil)
		var cut atomic.Bool
		var download, poll, late Hold
		old.Hold(&download, cutting(func() { cut.Store(true) }))
		old.handOver(next)
		old.Hold(&poll, cutting(func() { cut.Store(true) })) // of requests that found the old session just before
		_ = a.End(t.Context(), old)
		if !old.Hold(&late, cutting(func() {})) {
			t.Error("a response that comes a moment later is refused")
		}
		if cut.Load() || old.Over() {
			t.Error("the old session's end cut it, or the answer to a brief call")
		}
		_ = a.End(t.Context(), next)
		if !cut.Load() || !old.Over() {
			t.Error("the new session's end did not")
		}
		download.Release()
		poll.Release()
		late.Release()
	})
}

// Past the grace a node gives up what a long poll holds open. A request that had found
// the session a moment before is not logged out by it: it may go on when the store is back.
func TestAPollPastTheGraceLogsNobodyOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := new(faulty)
		a := node(t, store, lifetimes)
		value := open(t, a, "cdurand", "ST-1")
		found := expect(t, a, value, nil)
		var cut atomic.Int64
		found.Hold(new(Hold), cutting(func() { cut.Add(1) }))
		store.gone.Store(true)
		time.Sleep(lifetimes.Grace + recheck/2)
		if expect(t, a, value, ErrStorage); cut.Load() != 0 {
			t.Error("a page that was under way at the end of the grace broke off")
		}
		time.Sleep(recheck + recheck/2)
		if cut.Load() != 1 {
			t.Fatalf("the poll was cut %d times, want once", cut.Load())
		}
		if err := a.check(t.Context(), found); !errors.Is(err, ErrStorage) {
			t.Errorf("who had found the session gets %v, want ErrStorage", err)
		}
		expect(t, a, value, ErrStorage)
		store.gone.Store(false)
		time.Sleep(2 * recheck)
		expect(t, a, value, nil)
	})
}
