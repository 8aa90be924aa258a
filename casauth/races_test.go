package casauth

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pronote-cas/caddy-pronote-cas/casauth/address"
	"github.com/pronote-cas/caddy-pronote-cas/casauth/castest"
)

// interleaved is a store during whose deletions something else happens.
type interleaved struct {
	faulty
	deleting func()
	readOnly atomic.Bool
}

func (s *interleaved) Delete(ctx context.Context, key string) error {
	if deleting := s.deleting; deleting != nil {
		s.deleting = nil
		deleting()
	}
	if s.readOnly.Load() {
		return errGone
	}
	return s.faulty.Delete(ctx, key)
}

// A page has several requests under way when its person logs out. One that comes while
// the store is being told finds the session there for the last time.
func TestARequestDuringALogoutRevivesNothing(t *testing.T) {
	for _, readOnly := range []bool{false, true} {
		for name, end := range map[string]func(t *testing.T, s *Sessions, value string){
			"logout":        func(t *testing.T, s *Sessions, value string) { _ = s.End(t.Context(), expect(t, s, value, nil)) },
			"single logout": func(t *testing.T, s *Sessions, _ string) { _, _ = s.EndTicket(t.Context(), "ST-1") },
			"revocation": func(t *testing.T, s *Sessions, _ string) {
				_, _ = s.Revoke(t.Context(), func(Entry) bool { return true })
			},
		} {
			t.Run(fmt.Sprintf("%s, read-only storage %v", name, readOnly), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					store := new(interleaved)
					store.readOnly.Store(readOnly)
					value := open(t, node(t, store, lifetimes), "cdurand", "ST-1")
					a := node(t, store, lifetimes)
					var cut atomic.Int64
					store.deleting = func() {
						expect(t, a, value, nil).Hold(new(Hold), cutting(func() { cut.Add(1) }))
					}
					end(t, a, value)
					if cut.Load() != 1 {
						t.Errorf("the poll that began meanwhile was cut %d times, want once", cut.Load())
					}
					expect(t, a, value, ErrNoSession)
					time.Sleep(3 * recheck)
					expect(t, a, value, ErrNoSession)
					store.readOnly.Store(false) // or it would be told for ever
				})
			})
		}
	}
}

// logOut is what /pronote-cas/logout decides on for a browser with this cookie.
func logOut(t *testing.T, s *Sessions, value string) Decision {
	t.Helper()
	public, err := address.ParseOrigin("https://pronote.example.fr")
	if err != nil {
		t.Fatal(err)
	}
	g := NewGate(Config{Public: public, Root: "/", LogoutURL: "https://cas.example.fr/logout", CookieName: "pronote_cas"}, s)
	r := httptest.NewRequest(http.MethodGet, "/pronote-cas/logout", nil)
	r.Header.Set("Cookie", "pronote_cas="+value)
	r.Header.Set("Sec-Fetch-Mode", "navigate")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	return g.Decide(t.Context(), &Visit{Request: r, Asked: r.RequestURI, Upstream: r.RequestURI})
}

// Who logs out has left, also where the store cannot say who that is: the next pupil at
// the same computer must not find them in when it is back.
func TestALogoutWhileNobodyCanBeAskedIsNotLost(t *testing.T) {
	for _, name := range []string{"past the grace", "a session that this node never saw", "a node that knows nothing"} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := new(faulty)
				a := node(t, store, lifetimes)
				value := open(t, a, "cdurand", "ST-1")
				if name != "past the grace" {
					a = node(t, store, lifetimes)
				}
				if name == "a session that this node never saw" {
					open(t, a, "other", "ST-2")
				}
				store.gone.Store(true)
				time.Sleep(lifetimes.Grace + 2*recheck)
				expect(t, a, value, ErrStorage)
				d := logOut(t, a, value)
				if name == "a node that knows nothing" { // and so cannot tell whether the cookie is ours
					if d.Action != Refuse || d.Err.Reason != StorageUnavailable || len(d.Cookies) > 0 {
						t.Errorf("decided %+v, want a refusal that leaves the cookie", d)
					}
					return
				}
				if d.Action != Redirect || d.Location != "https://cas.example.fr/logout" || len(d.Cookies) != 2 {
					t.Errorf("decided %+v, want the way to the CAS logout", d)
				}
				store.gone.Store(false)
				time.Sleep(3 * recheck)
				expect(t, a, value, ErrNoSession)
				expect(t, node(t, store, lifetimes), value, ErrNoSession)
			})
		})
	}
}

// Nobody is told that no session is open, or that theirs is closed, while nobody knows.
func TestOurPagesDoNotGuessWhetherASessionIsOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := new(faulty)
		a := node(t, store, lifetimes)
		value := open(t, a, "cdurand", "ST-1")
		store.gone.Store(true)
		time.Sleep(lifetimes.Grace + 2*recheck)
		g := NewGate(Config{Root: "/", CookieName: "pronote_cas"}, a)
		for _, path := range []string{Prefix, Prefix + "logged-out"} {
			r := httptest.NewRequest(http.MethodGet, path, nil)
			r.Header.Set("Cookie", "pronote_cas="+value)
			if d := g.Decide(t.Context(), &Visit{Request: r, Asked: path, Upstream: path}); d.Err == nil || d.Err.Reason != StorageUnavailable {
				t.Errorf("%s: decided %+v, want %s", path, d, StorageUnavailable)
			}
		}
	})
}

// Every SessionIndex counts, also after one that the store cannot be told of.
func TestOneFailureDoesNotHideTheOtherTicketsOfALogout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := new(faulty)
		a := node(t, store, lifetimes)
		first, second := open(t, a, "cdurand", "ST-1"), open(t, a, "cdurand", "ST-2")
		store.gone.Store(true)
		g := NewGate(Config{Root: "/", CookieName: "pronote_cas", SingleLogout: true}, a)
		message := `<samlp:LogoutRequest xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" ID="1" Version="2.0" IssueInstant="2026-01-01T00:00:00Z">` +
			`<samlp:SessionIndex>ST-1</samlp:SessionIndex><samlp:SessionIndex>ST-2</samlp:SessionIndex></samlp:LogoutRequest>`
		r := httptest.NewRequest(http.MethodPost, "/eleve.html", strings.NewReader(message))
		r.Header.Set("Content-Type", "text/xml")
		if d := g.Decide(t.Context(), &Visit{Request: r, Asked: r.RequestURI, Upstream: r.RequestURI}); d.Err == nil || d.Err.Reason != StorageUnavailable {
			t.Errorf("decided %+v, want to be told again", d)
		}
		expect(t, a, first, ErrNoSession)
		expect(t, a, second, ErrNoSession)
		store.gone.Store(false) // or it would be told for ever
	})
}

// When people were last here is written down one after the other. A reload at that
// moment must not log out those whose turn had not come.
func TestAReloadWritesDownWhoWasJustHere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := new(faulty)
		a := NewSessions(store, lifetimes)
		values := make([]string, 20)
		for n := range values {
			values[n] = open(t, a, "cdurand", fmt.Sprint("ST-", n))
		}
		time.Sleep(lifetimes.Idle - 10*time.Second)
		for _, value := range values { // back just in time
			expect(t, a, value, nil)
		}
		store.delay.Store(int64(10 * time.Millisecond))
		for _, value := range values {
			if _, err := a.Lookup(t.Context(), value, true); err != nil {
				t.Fatal(err)
			}
		}
		a.Close()
		time.Sleep(time.Minute)
		b := node(t, store, lifetimes)
		for _, value := range values {
			expect(t, b, value, nil)
		}
	})
}

// Every pupil's open tab is a long poll. A session that is ended on another node is cut
// within a second or so however many there are, and however far the store is.
func TestManyPollsAreWatchedInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := new(faulty)
		a, b := node(t, store, lifetimes), node(t, store, lifetimes)
		const people = 300
		var cut atomic.Int64
		for n := range people {
			expect(t, a, open(t, a, "cdurand", fmt.Sprint("ST-", n)), nil).Hold(new(Hold), cutting(func() { cut.Add(1) }))
		}
		store.delay.Store(int64(20 * time.Millisecond))
		time.Sleep(5 * recheck)
		if _, err := b.Revoke(t.Context(), func(Entry) bool { return true }); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2*recheck + recheck/4)
		if cut.Load() != people {
			t.Errorf("%d of %d were cut", cut.Load(), people)
		}
	})
}

// A reload closes the store of the configuration before. What that has left, the sessions
// of the next one look after: a logout cuts its responses, and one that its store could
// not be told of is told.
func TestWhatAReloadLeavesIsLookedAfter(t *testing.T) {
	for name, known := range map[string]bool{"a request came first": true, "none did": false} {
		t.Run(name, func(t *testing.T) { synctest.Test(t, func(t *testing.T) { looksAfter(t, known) }) })
	}
}

func looksAfter(t *testing.T, known bool) {
	shared := new(MemoryStore)
	closing, opening := &behind{MemoryStore: shared}, &behind{MemoryStore: shared}
	before := NewSessions(closing, lifetimes)
	polls, left := open(t, before, "cdurand", "ST-1"), open(t, before, "other", "ST-2")
	var cut atomic.Int64
	polling := expect(t, before, polls, nil)
	polling.Hold(new(Hold), cutting(func() { cut.Add(1) }))
	closing.gone.Store(true)
	if err := before.End(t.Context(), expect(t, before, left, nil)); !errors.Is(err, ErrStorage) {
		t.Fatal(err)
	}
	after := node(t, opening, lifetimes)
	if known {
		expect(t, after, polls, nil)
		expect(t, after, left, nil)
	}
	before.CloseFor(after)
	time.Sleep(recheck)
	polling.Hold(new(Hold), cutting(func() { cut.Add(1) })) // it was on its way while the configuration changed
	expect(t, after, left, ErrNoSession)
	time.Sleep(lifetimes.Grace + 2*recheck)
	if cut.Load() != 0 {
		t.Error("the poll was cut with nobody gone")
	}
	if _, err := after.EndTicket(t.Context(), "ST-1"); err != nil {
		t.Fatal(err)
	}
	if cut.Load() != 2 {
		t.Errorf("two polls were cut %d times, want once each", cut.Load())
	}
	expect(t, node(t, shared, lifetimes), left, ErrNoSession)
}

// A logout that the store is still to be told of counts in the next configuration too,
// which had looked the session up already.
func TestALogoutThatIsStillToBeToldOutlivesAReload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := new(interleaved)
		before, after := NewSessions(store, lifetimes), node(t, store, lifetimes)
		value := open(t, before, "cdurand", "ST-1")
		expect(t, after, value, nil)
		store.readOnly.Store(true)
		if err := before.End(t.Context(), expect(t, before, value, nil)); !errors.Is(err, ErrStorage) {
			t.Fatal(err)
		}
		before.CloseFor(after)
		time.Sleep(recheck)
		expect(t, after, value, ErrNoSession)
		store.readOnly.Store(false) // or it would be told for ever
	})
}

// A poll that was handed on, to the next configuration or the same person's next login,
// and is then given up past the grace, logs nobody out either.
func TestAPollThatWasHandedOnEndsUnseenPastTheGrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := new(faulty)
		before := NewSessions(store, lifetimes)
		session := expect(t, before, open(t, before, "cdurand", "ST-1"), nil)
		var cut atomic.Bool
		session.Hold(new(Hold), cutting(func() { cut.Store(true) }))
		before.CloseFor(node(t, store, lifetimes))
		store.gone.Store(true)
		time.Sleep(lifetimes.Grace + 2*recheck)
		if !cut.Load() || !session.Unseen() {
			t.Errorf("cut: %v, unseen: %v, want both", cut.Load(), session.Unseen())
		}
	})
}

// Single logout may overtake the login that it ends: what it is to hand on is not lost.
func TestWhatIsHandedToASessionThatHasEndedIsCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := node(t, new(faulty), lifetimes)
		old, next := expect(t, a, open(t, a, "cdurand", "ST-1"), nil), expect(t, a, open(t, a, "cdurand", "ST-2"), nil)
		cut := 0
		old.Hold(new(Hold), cutting(func() { cut++ }))
		if _, err := a.EndTicket(t.Context(), "ST-2"); err != nil {
			t.Fatal(err)
		}
		g := NewGate(Config{Root: "/", CookieName: "pronote_cas"}, a)
		if g.succeed(t.Context(), old, next); cut != 1 {
			t.Errorf("cut %d times, want once", cut)
		}
	})
}

// behind is a way to a store that can be closed.
type behind struct {
	*MemoryStore
	gone atomic.Bool
}

func (b *behind) Load(ctx context.Context, key string) ([]byte, error) {
	if b.gone.Load() {
		return nil, errGone
	}
	return b.MemoryStore.Load(ctx, key)
}

func (b *behind) Delete(ctx context.Context, key string) error {
	if b.gone.Load() {
		return errGone
	}
	return b.MemoryStore.Delete(ctx, key)
}

// A double click during a reload reaches the gates of two configurations. The ticket
// is still validated once: the second time it would be refused.
func TestATicketIsValidatedOnceAcrossAReload(t *testing.T) {
	g := newGated(t, nil)
	next := NewGate(g.Config, g.sessions)
	with := g.ticket("/eleve.html", pupil)
	g.cas.SetFault(castest.Fault{Delay: 300 * time.Millisecond})
	var wg sync.WaitGroup
	for _, gate := range []*Gate{g.Gate, next} {
		click := g.another()
		click.Gate = gate
		maps.Copy(click.cookies, g.cookies)
		wg.Go(func() {
			if d := click.visit(http.MethodGet, with); d.Event != LoggedIn {
				t.Errorf("one of two clicks: %s, %v", outcome(d), d.Err)
			}
		})
	}
	wg.Wait()
	if n := g.cas.Counts().TotalValidations(); n != 1 {
		t.Errorf("%d validations", n)
	}
}
