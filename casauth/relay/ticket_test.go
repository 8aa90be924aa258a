package relay_test

import (
	"context"
	"errors"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pronote-cas/caddy-pronote-cas/casauth/relay"
)

func TestATicketStandsForItsGrantOnce(t *testing.T) {
	store := newMemory()
	here, there := node(t, store), node(t, store)
	given := pupil()
	given.Authenticated = time.Now()
	ticket := issue(t, here, given)
	got, refusal := there.Redeem(t.Context(), ticket, public+"/eleve.html", false)
	if refusal != nil {
		t.Fatal(refusal)
	}
	for _, when := range []*time.Time{&got.SessionExpires, &given.SessionExpires, &got.Authenticated, &given.Authenticated} {
		*when = when.Round(0).UTC()
	}
	if !reflect.DeepEqual(got, given) {
		t.Errorf("got %+v\nwant %+v", got, given)
	}
	for _, s := range []*relay.Server{here, there} {
		if _, refusal := s.Redeem(t.Context(), ticket, eleve, false); code(refusal) != relay.InvalidTicket {
			t.Errorf("a second time: %v", refusal)
		}
	}
}

func TestTicketsCannotBeGuessed(t *testing.T) {
	s := node(t, newMemory())
	form := regexp.MustCompile(`^ST-[A-Za-z0-9-]+$`)
	seen := map[string]bool{}
	for range 100 {
		ticket := issue(t, s, pupil())
		random := ticket[strings.LastIndex(ticket, "-")+1:]
		if !form.MatchString(ticket) || len(ticket) > 256 || len(random)*5 < 256 || !relay.Ours(ticket) || seen[random] {
			t.Errorf("ticket %s", ticket)
		}
		seen[random] = true
	}
}

func TestTicketsOfOthersAreNotOurs(t *testing.T) {
	for _, ticket := range []string{"", "ST-", "ST-6032-olCc0L2yNEBxSe6vKIPW-data4", "ST-0a1b2c3d-0000-4000-8000-0123456789ab",
		"ST-1-" + strings.Repeat("A", 51), "ST-1-" + strings.Repeat("A", 53), "ST-1-" + strings.Repeat("a", 52),
		"ST-1-" + strings.Repeat("A", 52) + "\n", "PT-1-" + strings.Repeat("A", 52), " ST-1-" + strings.Repeat("A", 52)} {
		if relay.Ours(ticket) {
			t.Errorf("%q is ours", ticket)
		}
	}
}

// Who reads the store, a backup of it or its log must find no ticket that opens
// anything.
func TestTheStoreHoldsNoTicketThatIsGood(t *testing.T) {
	store := newMemory()
	ticket := issue(t, node(t, store), pupil())
	if strings.Contains(store.text(), ticket) || strings.Contains(store.text(), ticket[strings.LastIndex(ticket, "-")+1:]) {
		t.Error("the ticket is in the store")
	}
}

// Whatever is wrong, the ticket is used up, and nobody comes of it.
func TestATicketRefusedIsATicketSpent(t *testing.T) {
	for name, c := range map[string]struct {
		service string
		renew   bool
		change  func(*relay.Config)
		want    relay.Code
	}{
		"another Espace":        {service: private + "/parent.html", want: relay.InvalidService},
		"a foreign address":     {service: "https://evil.example/eleve.html", want: relay.InvalidService},
		"a lookalike":           {service: private + ".evil.example/eleve.html", want: relay.InvalidService},
		"no service":            {want: relay.InvalidService},
		"renew, but not fresh":  {service: eleve, renew: true, want: relay.InvalidTicket},
		"the session has ended": {service: eleve, want: relay.InvalidTicket, change: func(c *relay.Config) { c.Alive = never }},
		"who knows":             {service: eleve, want: relay.InternalError, change: func(c *relay.Config) { c.Alive = unknown }},
	} {
		t.Run(name, func(t *testing.T) {
			store := newMemory()
			s := node(t, store)
			ticket := issue(t, s, pupil())
			if c.change != nil {
				s = node(t, store, c.change)
			}
			got, refusal := s.Redeem(t.Context(), ticket, c.service, c.renew)
			if code(refusal) != c.want || !reflect.DeepEqual(got, relay.Grant{}) {
				t.Errorf("%v, %+v", refusal, got)
			}
			if refusal != nil && (strings.Contains(refusal.Error(), ticket) || strings.Contains(refusal.Error(), "evil")) {
				t.Errorf("the refusal repeats what came in: %v", refusal)
			}
			if _, refusal := node(t, store).Redeem(t.Context(), ticket, eleve, false); code(refusal) != relay.InvalidTicket {
				t.Errorf("with all right, afterwards: %v", refusal)
			}
		})
	}
}

func never(context.Context, string) (bool, error)   { return false, nil }
func unknown(context.Context, string) (bool, error) { return true, errors.New("cannot be asked") }

// The log says which two services did not go together, and no more: a service may
// hold a ticket, or be anything at all.
func TestTwoServicesThatDoNotGoTogetherAreLoggedWithoutTheirTickets(t *testing.T) {
	s := node(t, newMemory())
	for asked, named := range map[string]string{
		private + "/parent.html?ticket=ST-asked": public + "/parent.html",
		"https://evil.example/?ticket=ST-asked":  "an address that is not one of PRONOTE's",
	} {
		g := pupil()
		g.Service = eleve + "?fd=1&ticket=ST-issued"
		_, refusal := s.Redeem(t.Context(), issue(t, s, g), asked, false)
		if want := "issued for " + public + "/eleve.html?fd=1, validated for " + named; refusal == nil || refusal.Cause == nil ||
			refusal.Cause.Error() != want || !strings.Contains(refusal.Error(), want) {
			t.Errorf("%s: %v", asked, refusal)
		}
	}
}

func TestRenewTakesAFreshTicket(t *testing.T) {
	s := node(t, newMemory())
	g := pupil()
	g.Fresh = true
	if _, refusal := s.Redeem(t.Context(), issue(t, s, g), eleve, true); refusal != nil {
		t.Error(refusal)
	}
	if _, refusal := s.Redeem(t.Context(), issue(t, s, g), eleve, false); refusal != nil {
		t.Error(refusal)
	}
}

func TestTheSessionBehindTheTicketIsTheOneAskedFor(t *testing.T) {
	var asked string
	s := node(t, newMemory(), func(c *relay.Config) {
		c.Alive = func(_ context.Context, session string) (bool, error) { asked = session; return true, nil }
	})
	if _, refusal := s.Redeem(t.Context(), issue(t, s, pupil()), eleve, false); refusal != nil || asked != "sessions/42" {
		t.Errorf("%v, asked for %q", refusal, asked)
	}
}

func TestNoTicketAtAll(t *testing.T) {
	store := newMemory()
	s := node(t, store)
	issue(t, s, pupil())
	for ticket, want := range map[string]relay.Code{
		"":                                relay.InvalidTicketSpec,
		"ST":                              relay.InvalidTicketSpec,
		"st-1":                            relay.InvalidTicketSpec,
		"PT-1-" + strings.Repeat("A", 52): relay.InvalidTicketSpec,
		"TGT-1":                           relay.InvalidTicketSpec,
		"ST-":                             relay.InvalidTicket,
		"ST-../../sessions/42":            relay.InvalidTicket,
		"ST-9999999999-" + strings.Repeat("A", 52): relay.InvalidTicket,
		"ST-0-" + strings.Repeat("A", 52):          relay.InvalidTicket,
	} {
		if _, refusal := s.Redeem(t.Context(), ticket, eleve, false); code(refusal) != want {
			t.Errorf("%q: %v, want %s", ticket, refusal, want)
		}
	}
	// A made-up ticket, or one of another day, does not reach the store.
	if len(store.loads) != 1 {
		t.Errorf("the store was asked for %q", store.loads)
	}
	if store.keys("") != 1 {
		t.Error("a made-up ticket removed something")
	}
}

func TestATicketExpires(t *testing.T) {
	for name, c := range map[string]struct {
		ttl, after time.Duration
		want       relay.Code
	}{
		"in time":                   {0, 59 * time.Second, ""},
		"a minute by default":       {0, 60 * time.Second, relay.InvalidTicket},
		"much later":                {0, time.Hour, relay.InvalidTicket},
		"in its own time":           {5 * time.Minute, 299 * time.Second, ""},
		"past its own time":         {5 * time.Minute, 300 * time.Second, relay.InvalidTicket},
		"short, and within it":      {time.Second, 900 * time.Millisecond, ""},
		"short, in the same minute": {time.Second, time.Second, relay.InvalidTicket},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				time.Sleep(17 * time.Second) // not on the minute
				s := node(t, newMemory(), func(c2 *relay.Config) { c2.TTL = c.ttl })
				ticket := issue(t, s, pupil())
				time.Sleep(c.after)
				if _, refusal := s.Redeem(t.Context(), ticket, eleve, false); code(refusal) != c.want {
					t.Errorf("%v, want %q", refusal, c.want)
				}
			})
		})
	}
}

func TestExpiredTicketsAreRemovedWithoutLookingAtTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newMemory()
		s := node(t, store)
		for range 50 {
			issue(t, s, pupil())
		}
		time.Sleep(90 * time.Second)
		live := issue(t, s, pupil())
		time.Sleep(45 * time.Second)
		if err := s.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := store.keys("pronote_cas/site/relay/tickets/"); n != 1 || len(store.loads) != 0 {
			t.Errorf("%d tickets left, %d looked at", n, len(store.loads))
		}
		if _, refusal := s.Redeem(t.Context(), live, eleve, false); refusal != nil {
			t.Error(refusal)
		}
	})
}

func TestATicketIsIssuedForAPersonAServiceAndASessionOnly(t *testing.T) {
	for name, change := range map[string]func(*relay.Grant){
		"a foreign service":    func(g *relay.Grant) { g.Service = "https://evil.example/" },
		"no service":           func(g *relay.Grant) { g.Service = "" },
		"no session":           func(g *relay.Grant) { g.Session = "" },
		"an expired session":   func(g *relay.Grant) { g.SessionExpires = time.Now() },
		"nobody":               func(g *relay.Grant) { g.User = "" },
		"a blank":              func(g *relay.Grant) { g.User = " " },
		"blanks around":        func(g *relay.Grant) { g.User = "lea " },
		"two lines":            func(g *relay.Grant) { g.User = "admin\nlea" },
		"a carriage return":    func(g *relay.Grant) { g.User = "admin\rlea" },
		"a line separator":     func(g *relay.Grant) { g.User = "admin\u2028lea" },
		"an invisible letter":  func(g *relay.Grant) { g.User = "le\u200Ba" },
		"not a text":           func(g *relay.Grant) { g.User = "le\xffa" },
		"not an XML character": func(g *relay.Grant) { g.User = "le\uFFFEa" },
		"too long":             func(g *relay.Grant) { g.User = strings.Repeat("a", 257) },
	} {
		store := newMemory()
		g := pupil()
		change(&g)
		if ticket, err := node(t, store).Issue(t.Context(), g); err == nil || ticket != "" || store.keys("") != 0 {
			t.Errorf("%s: %q, %v", name, ticket, err)
		}
	}
	g := pupil()
	g.Service = "https://evil.example/"
	if _, err := node(t, newMemory()).Issue(t.Context(), g); !errors.Is(err, relay.ErrService) {
		t.Errorf("a foreign service: %v", err)
	}
}

func TestAServerNeedsAllItsParts(t *testing.T) {
	good := relay.Config{Services: services(t, "/", nil, nil), Store: newMemory(), Root: "r", Alive: never}
	if _, err := relay.New(good); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*relay.Config){
		"services":  func(c *relay.Config) { c.Services = nil },
		"store":     func(c *relay.Config) { c.Store = nil },
		"root":      func(c *relay.Config) { c.Root = "" },
		"session":   func(c *relay.Config) { c.Alive = nil },
		"time":      func(c *relay.Config) { c.TTL = -1 },
		"transport": func(c *relay.Config) { c.Forward = &relay.Forward{} },
	} {
		c := good
		change(&c)
		if _, err := relay.New(c); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("without %s: %v", name, err)
		}
	}
}

// A site's tickets are its own, in a store that several sites share.
func TestATicketIsGoodOnItsSiteOnly(t *testing.T) {
	store := newMemory()
	ticket := issue(t, node(t, store), pupil())
	other := node(t, store, func(c *relay.Config) { c.Root = "pronote_cas/other/relay" })
	if _, refusal := other.Redeem(t.Context(), ticket, eleve, false); code(refusal) != relay.InvalidTicket {
		t.Error(refusal)
	}
}
