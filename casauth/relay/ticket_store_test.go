package relay_test

import (
	"context"
	"errors"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pronote-cas/caddy-pronote-cas/casauth/relay"
)

// PRONOTE's request repeated, by a retry or by somebody who saw it, at the other
// node in the same instant.
func TestOneSuccessForATicketAtTwoNodesAtOnce(t *testing.T) {
	store := newMemory()
	nodes := []*relay.Server{node(t, store), node(t, store)}
	for range 100 {
		ticket := issue(t, nodes[0], pupil())
		var good, bad atomic.Int32
		var all sync.WaitGroup
		for i := range 8 {
			all.Go(func() {
				switch _, refusal := nodes[i%2].Redeem(t.Context(), ticket, eleve, false); code(refusal) {
				case "":
					good.Add(1)
				case relay.InvalidTicket:
					bad.Add(1)
				default:
					t.Error(refusal)
				}
			})
		}
		all.Wait()
		if good.Load() != 1 || bad.Load() != 7 {
			t.Fatalf("%d successes, %d refusals", good.Load(), bad.Load())
		}
	}
	if len(store.locks) != 0 {
		t.Error("a lock was left behind")
	}
}

// The store's lock can take seconds where somebody else holds it: a request that
// is sent again and again must not queue up behind it.
func TestATicketUnderWayIsNotWaitedFor(t *testing.T) {
	store := newMemory()
	s := node(t, store)
	ticket := issue(t, s, pupil())
	for key := range store.values {
		store.locks[key] = true
	}
	ctx, cancel := context.WithCancel(t.Context())
	first := make(chan *relay.Refusal)
	go func() {
		_, refusal := s.Redeem(ctx, ticket, eleve, false)
		first <- refusal
	}()
	for store.asked("Lock") == 0 {
		runtime.Gosched()
	}
	before, cancelBefore := context.WithTimeout(t.Context(), time.Second)
	defer cancelBefore()
	if _, refusal := s.Redeem(before, ticket, eleve, false); code(refusal) != relay.InvalidTicket {
		t.Error(refusal)
	}
	cancel()
	if refusal := <-first; code(refusal) != relay.InternalError {
		t.Error(refusal)
	}
}

func TestATicketIsKnownToBeASessions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newMemory()
		s := node(t, store)
		ticket := issue(t, s, pupil())
		if !s.IssuedTo(t.Context(), ticket, pupil().Session) {
			t.Error("the session's own ticket is not known")
		}
		if s.IssuedTo(t.Context(), ticket, "sessions/43") {
			t.Error("another session's ticket is taken for its own")
		}
		used := redeem(t, s, pupil(), eleve)
		time.Sleep(relay.DefaultTTL)
		for name, ticket := range map[string]string{"expired": ticket, "used": used} {
			if s.IssuedTo(t.Context(), ticket, pupil().Session) {
				t.Errorf("%s, and known", name)
			}
		}
		time.Sleep(time.Minute)
		asked := store.asked("Load")
		// Made-up ones must not make a guarded store look broken: "" is a key that
		// file systems answer with an error.
		for _, ticket := range []string{"", "ST-1", "PT-1", ticket, "ST-0-" + strings.Repeat("A", 52)} {
			if s.IssuedTo(t.Context(), ticket, pupil().Session) {
				t.Errorf("%q is known", ticket)
			}
		}
		if n := store.asked("Load"); n != asked {
			t.Errorf("the store was asked %d times", n-asked)
		}
		store.fails["Load"] = true
		if s.IssuedTo(t.Context(), issue(t, s, pupil()), pupil().Session) {
			t.Error("nobody knows, and the answer is yes")
		}
	})
}

// A store that cannot be asked must never look like a ticket that is good, nor
// like one that is not.
func TestAStoreThatFailsGrantsNothing(t *testing.T) {
	for _, operation := range []string{"Lock", "Load", "Delete", "Store", "List"} {
		t.Run(operation, func(t *testing.T) {
			store := newMemory()
			s := node(t, store)
			ticket := issue(t, s, pupil())
			store.fails[operation] = true
			got, refusal := s.Redeem(t.Context(), ticket, eleve, false)
			if code(refusal) != relay.InternalError || !reflect.DeepEqual(got, relay.Grant{}) {
				t.Errorf("%v, %+v", refusal, got)
			}
			if !errors.Is(refusal, errGone) || strings.Contains(refusal.Error(), ticket) {
				t.Errorf("the log gets %v", refusal)
			}
		})
	}
	t.Run("at login", func(t *testing.T) {
		store := newMemory()
		store.fails["Store"] = true
		if ticket, err := node(t, store).Issue(t.Context(), pupil()); ticket != "" || !errors.Is(err, errGone) {
			t.Errorf("%q, %v", ticket, err)
		}
	})
	t.Run("a damaged record", func(t *testing.T) {
		store := newMemory()
		s := node(t, store)
		ticket := issue(t, s, pupil())
		for key := range store.values {
			store.values[key] = []byte(`{"user":`)
		}
		if _, refusal := s.Redeem(t.Context(), ticket, eleve, false); code(refusal) != relay.InternalError {
			t.Error(refusal)
		}
	})
	t.Run("a lock that nobody gives back", func(t *testing.T) {
		store := newMemory()
		s := node(t, store)
		ticket := issue(t, s, pupil())
		for key := range store.values {
			store.locks[key] = true
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, refusal := s.Redeem(ctx, ticket, eleve, false); code(refusal) != relay.InternalError {
			t.Error(refusal)
		}
	})
}

// PRONOTE's second try finds the store again; that the first failed is no reason to
// take the ticket for one that is under way.
func TestAStoreThatIsBackTakesTheTicketThatItCouldNotTake(t *testing.T) {
	store := newMemory()
	s := node(t, store)
	ticket := issue(t, s, pupil())
	for _, operation := range []string{"Lock", "Load", "Delete"} {
		store.fails[operation] = true
		if _, refusal := s.Redeem(t.Context(), ticket, eleve, false); code(refusal) != relay.InternalError {
			t.Errorf("%s: %v", operation, refusal)
		}
		store.fails[operation] = false
	}
	if _, refusal := s.Redeem(t.Context(), ticket, eleve, false); refusal != nil {
		t.Error(refusal)
	}
}
