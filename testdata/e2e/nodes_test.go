//go:build !windows

package e2e

import (
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pronote-cas/caddy-pronote-cas/casauth/castest"
)

// busy is the time that a promise of one second is given on a machine that has
// something else to do.
const busy = 4 * time.Second

// Two Caddys on one Redis are one: whoever is in front may send each request to
// whichever it likes.
func TestTwoNodesOnOneRedis(t *testing.T) {
	c := startCluster(t, 2)
	if !t.Run("the first logins of all, at both nodes at once", c.firstLogins) {
		return // the others would only say so again
	}
	t.Run("a logout is known to the other node within a second", c.logouts)
	t.Run("so is a logout at the ENT", c.singleLogouts)
	t.Run("a long poll at the other node is cut", c.polls)
	t.Run("a ticket for PRONOTE counts once, at whichever node", c.relayTickets)
	t.Run("a reload keeps all", c.reload)
	for node, log := range c.logs {
		if strings.Contains(log.String(), "ST-") {
			t.Errorf("node %d logs a ticket", node)
		}
	}
	if n := c.anonymous.Load(); n > 0 {
		t.Errorf("%d requests reached PRONOTE without an identifier", n)
	}
	t.Logf("memory of the nodes: %s, %s", c.memory(0), c.memory(1))
}

// The site's key is made by whoever logs in first, under the storage's lock: two
// keys would be two sites.
func (c *cluster) firstLogins(t *testing.T) {
	var visitors [crowd]*visitor
	var all sync.WaitGroup
	begun := time.Now()
	for n := range visitors {
		visitors[n] = c.visitor(t, n%2)
		all.Go(func() {
			login := visitors[n].get(espace)
			back, err := c.ent.Login(visitors[n].Client, login.location, nobody(n))
			if err != nil {
				t.Errorf("%s: %d to %q: %v", nobody(n), login.status, login.location, err)
				return
			}
			// The ticket arrives at the other node than the one that sent the browser away.
			if got := visitors[n].at(1 - n%2).get(back); got.status != http.StatusFound || got.location != espace {
				t.Errorf("%s with a ticket: %d to %q", nobody(n), got.status, got.location)
			}
		})
	}
	all.Wait()
	t.Logf("%d first logins at two nodes: %s", crowd, time.Since(begun).Round(time.Millisecond))
	for n, v := range visitors {
		for node := range 2 {
			if !v.at(node).in(n) {
				t.Errorf("%s is not in at node %d", nobody(n), node)
			}
		}
	}
}

// logouts are eight at once, for each takes a second.
func (c *cluster) logouts(t *testing.T) {
	var worst longest
	var all sync.WaitGroup
	for n := range 8 {
		v := c.visitor(t, n%2)
		v.login(n)
		stolen := c.visitor(t, 1-n%2) // the cookie alone: the logout takes it from the browser
		stolen.Jar.SetCookies(mustParse(site), v.Jar.Cookies(mustParse(site)))
		all.Go(func() {
			if !stolen.in(n) {
				t.Errorf("node %d does not know a login at node %d", 1-n%2, n%2)
			}
			if got := v.get(site + "/pronote-cas/logout"); got.status != http.StatusFound || got.location != c.ent.URL+"/logout" {
				t.Errorf("logout: %d to %q", got.status, got.location)
			}
			worst.add(until(t, "the other node refuses a session that was ended", busy, stolen.out))
		})
	}
	all.Wait()
	t.Logf("8 logouts, each refused at the other node after %s at most", &worst)
}

func (c *cluster) singleLogouts(t *testing.T) {
	var worst longest
	for round := range 2 {
		// The ENT knows one address, and its message arrives at either node.
		c.ent.SetSLO(castest.SLO{Mode: castest.SLOSync, Client: &http.Client{Transport: c.through(round), Timeout: 5 * time.Second}})
		var all sync.WaitGroup
		for n := range 4 {
			v := c.visitor(t, n%2)
			v.login(n)
			other := v.at(1 - n%2)
			if !other.in(n) {
				t.Errorf("node %d does not know a login at node %d", 1-n%2, n%2)
			}
			all.Go(func() {
				c.ent.EndSessions(nobody(n))
				worst.add(until(t, "the other node than that of the login refuses", busy, other.out))
				worst.add(until(t, "the node of the login refuses", busy, v.out))
			})
		}
		all.Wait()
	}
	t.Logf("8 single logouts, each refused at both nodes after %s at most", &worst)
}

func (c *cluster) polls(t *testing.T) {
	v := c.visitor(t, 0)
	v.login(0)
	over := make(chan answer, 1)
	go func() { over <- v.at(1).poll() }()
	<-c.held
	begun := time.Now()
	v.get(site + "/pronote-cas/logout")
	select {
	case got := <-over:
		t.Logf("a long poll at the other node was cut after %s", time.Since(begun).Round(time.Millisecond))
		if got.status != http.StatusUnauthorized {
			t.Errorf("it ended with %d %v", got.status, got.err)
		}
	case <-time.After(busy):
		t.Error("it goes on")
	}
}

// poll asks as PRONOTE's pages do all the time.
func (v *visitor) poll() answer {
	r, err := http.NewRequest(http.MethodPost, site+"/appelpolling/3/1/1", strings.NewReader("{}"))
	if err != nil {
		return answer{err: err}
	}
	r.Header.Set("Sec-Fetch-Mode", "cors")
	return v.send(r)
}

// relayTickets has PRONOTE validate tickets that the other node issued, twenty
// times at once, half at each node.
func (c *cluster) relayTickets(t *testing.T) {
	v := c.visitor(t, 0)
	v.login(0)
	const tickets, askers = 4, 20
	var slowest time.Duration
	for range tickets {
		got := v.get(site + "/pronote-cas/login?service=" + url.QueryEscape(espace))
		at, err := url.Parse(got.location)
		if err != nil || at.Query().Get("ticket") == "" {
			t.Fatalf("no ticket: %d to %q", got.status, got.location)
		}
		ask := "/pronote-cas/serviceValidate?service=" + url.QueryEscape(espace) + "&ticket=" + at.Query().Get("ticket")
		var yes, no atomic.Int64
		var all sync.WaitGroup
		begin := make(chan struct{})
		begun := time.Now()
		for i := range askers {
			asker := c.visitor(t, i%2)
			all.Go(func() {
				<-begin
				switch got := asker.get(site + ask); {
				case strings.Contains(got.body, "<cas:user>"+nobody(0)+"</cas:user>"):
					yes.Add(1)
				case strings.Contains(got.body, "INVALID_TICKET"):
					no.Add(1)
				}
			})
		}
		close(begin)
		all.Wait()
		slowest = max(slowest, time.Since(begun))
		if yes.Load() != 1 || no.Load() != askers-1 {
			t.Errorf("%d times yes and %d times no to one ticket", yes.Load(), no.Load())
		}
	}
	t.Logf("%d tickets, each asked about %d times at once at two nodes: one yes each, the slowest %s", tickets, askers, slowest.Round(time.Millisecond))
}

// reload changes nothing for anybody: neither who is in, nor what is under way.
func (c *cluster) reload(t *testing.T) {
	v := c.visitor(t, 0)
	v.login(0)
	over := make(chan answer, 1)
	go func() { over <- v.poll() }()
	<-c.held
	res, err := http.Post("http://127.0.0.1:"+c.admin[0]+"/load", "text/caddyfile", strings.NewReader(c.caddyfile(0)+"\n"))
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusOK {
		t.Fatalf("reload: %s", res.Status)
	}
	if !v.in(0) {
		t.Error("who was in is not, after the reload")
	}
	select {
	case got := <-over:
		t.Errorf("the reload cut a long poll: %d %v", got.status, got.err)
	default:
	}
	v.at(1).get(site + "/pronote-cas/logout")
	select {
	case got := <-over:
		if got.status != http.StatusUnauthorized {
			t.Errorf("a long poll from before the reload ended with %d %v", got.status, got.err)
		}
	case <-time.After(busy):
		t.Error("a long poll from before the reload outlives the logout at the other node")
	}
}
