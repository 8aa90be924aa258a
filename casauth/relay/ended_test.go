package relay_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pronote-cas/caddy-pronote-cas/casauth/relay"
)

func redeem(t *testing.T, s *relay.Server, g relay.Grant, service string) string {
	t.Helper()
	ticket := issue(t, s, g)
	if _, refusal := s.Redeem(t.Context(), ticket, service, false); refusal != nil {
		t.Fatal(refusal)
	}
	return ticket
}

func ended(t *testing.T, s *relay.Server, session string) []relay.Logout {
	t.Helper()
	logouts, err := s.Ended(t.Context(), session)
	if err != nil {
		t.Fatal(err)
	}
	return logouts
}

func TestPRONOTEIsToldOfTheEndOfItsLogins(t *testing.T) {
	store := newMemory()
	here, there := node(t, store), node(t, store)
	g, other := pupil(), pupil()
	other.Session = "sessions/43"
	one := redeem(t, here, g, eleve)
	two := redeem(t, there, g, public+"/eleve.html") // to us at its private address, however it is spelled
	issue(t, here, g)                                // never validated: PRONOTE does not know it
	redeem(t, here, other, eleve)

	want := []relay.Logout{{URL: eleve, Ticket: one}, {URL: eleve, Ticket: two}}
	if got := ended(t, there, g.Session); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
	if got := ended(t, here, g.Session); len(got) != 0 {
		t.Errorf("told twice: %+v", got)
	}
	if got := ended(t, here, other.Session); len(got) != 1 {
		t.Errorf("the other session: %+v", got)
	}
	if got := ended(t, here, "sessions/unknown"); len(got) != 0 {
		t.Errorf("an unknown session: %+v", got)
	}
}

func TestALogoutGoesToThePrivateAddress(t *testing.T) {
	for _, c := range []struct {
		name, root string
		internal   []string
		service    string
		want       string
	}{
		{"as it was written", "/", []string{private, "http://10.0.0.5:82"}, "http://10.0.0.5:82/pronote.net/cas/?a=b", "http://10.0.0.5:82/pronote.net/cas/?a=b"},
		{"the first, for a public one", "/", []string{private, "http://10.0.0.5:82"}, public + "/eleve.html?fd=1", private + "/eleve.html?fd=1"},
		{"without a fragment", "/", []string{private}, eleve + "#x", eleve},
		{"with a path in the place of root", "/pronote/", []string{private + "/pn"}, public + "/pronote/eleve.html", private + "/pn/eleve.html"},
		{"with a path, and root alone", "/", []string{private + "/pn"}, public + "/eleve.html", private + "/pn/eleve.html"},
		{"public, where no private one is known", "/", nil, public + "/eleve.html", public + "/eleve.html"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := node(t, newMemory(), func(config *relay.Config) { config.Services = services(t, c.root, c.internal, nil) })
			g := pupil()
			g.Service = c.service
			redeem(t, s, g, c.service)
			if got := ended(t, s, g.Session); len(got) != 1 || got[0].URL != c.want {
				t.Errorf("%+v, want %s", got, c.want)
			}
		})
	}
}

func TestOnlyTheLastLoginsAreRemembered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newMemory()
		s := node(t, store)
		var want []string
		for i := range 25 {
			ticket := redeem(t, s, pupil(), eleve)
			if i >= 5 {
				want = append(want, ticket)
			}
			time.Sleep(time.Minute)
		}
		var got []string
		for _, l := range ended(t, s, pupil().Session) {
			got = append(got, l.Ticket)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%d remembered, want the last %d in their order", len(got), len(want))
		}
		if n := store.keys("pronote_cas/site/relay/validated/"); n != 0 {
			t.Errorf("%d left", n)
		}
	})
}

func TestWhatIsRememberedGoesWithTheSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newMemory()
		s := node(t, store)
		for i, ttl := range []time.Duration{time.Hour, 10 * time.Hour} {
			g := pupil()
			g.Session, g.SessionExpires = fmt.Sprint("sessions/", i), time.Now().Add(ttl)
			redeem(t, s, g, eleve)
		}
		time.Sleep(3 * time.Hour)
		if err := s.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := len(ended(t, s, "sessions/0")); n != 0 {
			t.Errorf("%d logins of an expired session", n)
		}
		if n := len(ended(t, s, "sessions/1")); n != 1 {
			t.Errorf("%d logins of a session that lives", n)
		}
	})
}

// The session ends while PRONOTE validates: either the ticket is refused, or
// PRONOTE is told. A login that nobody ends would stay.
func TestNoLoginIsLeftBehindByALogoutAtTheSameTime(t *testing.T) {
	var s *relay.Server
	var told []relay.Logout
	store := newMemory()
	s = node(t, store, func(c *relay.Config) {
		c.Alive = func(ctx context.Context, session string) (bool, error) {
			var err error
			told, err = s.Ended(ctx, session) // right after we learnt that it lives
			return true, err
		}
	})
	ticket := redeem(t, s, pupil(), eleve)
	if len(told) != 1 || told[0].Ticket != ticket {
		t.Errorf("told %+v", told)
	}
}

func TestAStoreThatFailsIsSaidAtTheEnd(t *testing.T) {
	for _, operation := range []string{"List", "Load", "Delete"} {
		store := newMemory()
		s := node(t, store)
		redeem(t, s, pupil(), eleve)
		store.fails[operation] = true
		logouts, err := s.Ended(t.Context(), pupil().Session)
		if !errors.Is(err, errGone) {
			t.Errorf("%s: %v", operation, err)
		}
		if operation == "Delete" && len(logouts) != 1 {
			t.Errorf("what was found is not said: %+v", logouts)
		}
	}
	store := newMemory()
	store.fails["List"] = true
	if err := node(t, store).Sweep(t.Context()); !errors.Is(err, errGone) {
		t.Errorf("sweeping: %v", err)
	}
}

// A record that another node has just taken, that is damaged or that names no address
// is no reason to leave the other logins open.
func TestOneLostRecordDoesNotHideTheOthers(t *testing.T) {
	store := newMemory()
	s := node(t, store)
	var tickets []string
	for range 4 {
		tickets = append(tickets, redeem(t, s, pupil(), eleve))
	}
	var keys []string
	for key := range store.values {
		if strings.Contains(key, "/validated/") {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	store.values[keys[1]] = []byte(`{"url":"` + eleve)
	store.values[keys[2]] = []byte(`{"ticket":"ST-1"}`)
	taken := &taken{memory: store, key: keys[0]}
	got := ended(t, node(t, taken), pupil().Session)
	if want := []relay.Logout{{URL: eleve, Ticket: tickets[3]}}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
}

// taken is a store of which another node has taken key since it was listed.
type taken struct {
	*memory
	key string
}

func (s *taken) Load(ctx context.Context, key string) ([]byte, error) {
	if key == s.key {
		return nil, fs.ErrNotExist
	}
	return s.memory.Load(ctx, key)
}

func TestTheNextSessionOfTheSamePersonEndsWhatTheLastOneOpened(t *testing.T) {
	store := newMemory()
	s := node(t, store)
	logouts := []relay.Logout{{URL: eleve, Ticket: "ST-1"}, {URL: private + "/parent.html", Ticket: "ST-2"}}
	if err := s.Inherit(t.Context(), logouts, "sessions/next", time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if got := ended(t, node(t, store), "sessions/next"); !reflect.DeepEqual(got, logouts) {
		t.Errorf("%+v", got)
	}
	store.fails["Store"] = true
	if err := s.Inherit(t.Context(), logouts, "sessions/next", time.Now().Add(time.Hour)); !errors.Is(err, errGone) {
		t.Errorf("%v", err)
	}
}

func TestARememberedTicketIsASpentOne(t *testing.T) {
	store := newMemory()
	s := node(t, store)
	ticket := redeem(t, s, pupil(), eleve)
	if !strings.Contains(store.text(), ticket) {
		t.Fatal("the ticket is not remembered")
	}
	if _, refusal := s.Redeem(t.Context(), ticket, eleve, false); code(refusal) != relay.InvalidTicket {
		t.Error(refusal)
	}
}
