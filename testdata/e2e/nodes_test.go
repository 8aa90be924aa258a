//go:build !windows

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pronote-cas/caddy-pronote-cas/casauth/castest"
)

// site is what people type; which node answers is for whoever dials.
const site = "http://pronote.example.fr"

const grace = 4 * time.Second

// cluster is several Caddys on one Redis, with a PRONOTE.net and an ENT.
type cluster struct {
	t         *testing.T
	ent       *castest.Server
	redis     *redisServer
	pronote   *httptest.Server
	anonymous atomic.Int64 // requests that reached PRONOTE on a gated path without an identifier
	held      chan string  // who has a long poll at PRONOTE
	ports     []string     // of the nodes
	admin     []string     // of their admin endpoints
	logs      []*output
}

// nobody is what somebody is called whom castest shall know: pupil00, pupil01, …
func nobody(n int) string     { return fmt.Sprintf("pupil%02d", n) }
func identifier(n int) string { return fmt.Sprintf("REDIS%011d", n) }

const crowd = 40

// startCluster runs n nodes on a fresh Redis.
func startCluster(t *testing.T, n int) *cluster {
	t.Helper()
	c := &cluster{t: t, redis: startRedis(t), held: make(chan string, crowd)}
	var people []castest.User
	for i := range crowd {
		people = append(people, castest.User{Login: nobody(i), Password: nobody(i), Attributes: map[string][]string{"idPronote": {identifier(i)}}})
	}
	c.ent = castest.Start(t, castest.Options{Users: people})
	c.pronote = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // net/http notices that a client left only once its body is read
		who := r.Header.Get("X-Pronote-Id")
		if who == "" {
			c.anonymous.Add(1)
		}
		if strings.HasPrefix(r.URL.Path, "/appelpolling/") {
			c.held <- who
			<-r.Context().Done()
		}
		fmt.Fprintf(w, "identifier=%s;", who)
	}))
	t.Cleanup(func() { c.pronote.CloseClientConnections(); c.pronote.Close() })
	for range n {
		c.join()
	}
	return c
}

// join starts one more node and returns its number.
func (c *cluster) join() int {
	c.t.Helper()
	ports := freePorts(c.t, 2)
	c.ports, c.admin = append(c.ports, ports[0]), append(c.admin, ports[1])
	node := len(c.ports) - 1
	c.logs = append(c.logs, runCaddy(c.t, c.caddyfile(node), "run", "--config", "-", "--adapter", "caddyfile"))
	waitForPort(c.t, "127.0.0.1:"+ports[0], c.logs[node])
	return node
}

func (c *cluster) caddyfile(node int) string {
	return fmt.Sprintf(`{
	admin 127.0.0.1:%s
	persist_config off
	grace_period 1s
	storage redis {
		address 127.0.0.1:%s
	}
}
%s:%s {
	bind 127.0.0.1
	pronote_cas {
		cas_url %s
		public_url %[3]s
		internal_url %[6]s
		relay
		session {
			grace %[7]s
		}
	}
	reverse_proxy %[6]s {
		flush_interval -1
	}
}
`, c.admin[node], c.redis.port, site, c.ports[node], c.ent.URL, c.pronote.URL, grace)
}

// through returns a transport that reaches the site at one node.
func (c *cluster) through(node int) *http.Transport {
	transport := &http.Transport{DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		if strings.HasPrefix(address, "pronote.example.fr:") {
			address = "127.0.0.1:" + c.ports[node]
		}
		return new(net.Dialer).DialContext(ctx, network, address)
	}}
	c.t.Cleanup(transport.CloseIdleConnections)
	return transport
}

// visitor is somebody with a browser, whose requests go to one node.
type visitor struct {
	*http.Client
	t *testing.T
	c *cluster
}

func (c *cluster) visitor(t *testing.T, node int) *visitor {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &visitor{&http.Client{Jar: jar, Timeout: 20 * time.Second, Transport: c.through(node),
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}, t, c}
}

// at is the same browser when the next request goes to another node.
func (v *visitor) at(node int) *visitor {
	v.t.Helper()
	other := v.c.visitor(v.t, node)
	other.Jar = v.Jar
	return other
}

// answer is a response, read; no status where there was none.
type answer struct {
	status   int
	location string
	cookies  []*http.Cookie
	body     string
	err      error
}

// get navigates to an address.
func (v *visitor) get(address string) answer {
	r, err := http.NewRequest(http.MethodGet, address, nil)
	if err != nil {
		return answer{err: err}
	}
	r.Header.Set("Accept", "text/html")
	r.Header.Set("Sec-Fetch-Mode", "navigate")
	r.Header.Set("Sec-Fetch-Dest", "document")
	r.Header.Set("Sec-Fetch-Site", "none")
	return v.send(r)
}

func (v *visitor) send(r *http.Request) answer {
	res, err := v.Do(r)
	if err != nil {
		return answer{err: err}
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	return answer{res.StatusCode, res.Header.Get("Location"), res.Cookies(), string(body), err}
}

const espace = site + "/eleve.html"

// ticket sets out for the Espace and logs in at the ENT, and returns the address
// that the ENT sends the browser back to.
func (v *visitor) ticket(user string) string {
	v.t.Helper()
	asked := v.get(espace)
	if asked.status != http.StatusFound || !strings.HasPrefix(asked.location, v.c.ent.URL) {
		v.t.Fatalf("%s is not sent to the ENT: %d %s %v", user, asked.status, asked.location, asked.err)
	}
	back, err := v.c.ent.Login(v.Client, asked.location, user)
	if err != nil {
		v.t.Fatal(err)
	}
	return back
}

// login walks the whole way and complains where it does not lead in.
func (v *visitor) login(n int) {
	v.t.Helper()
	if got := v.get(v.ticket(nobody(n))); got.status != http.StatusFound || got.location != espace {
		v.t.Fatalf("%s with a ticket: %d to %q %v", nobody(n), got.status, got.location, got.err)
	}
	if !v.in(n) {
		v.t.Fatalf("%s is not in after the login", nobody(n))
	}
}

// in reports whether the Espace opens, and for the right person.
func (v *visitor) in(n int) bool {
	got := v.get(espace)
	return got.status == http.StatusOK && got.body == "identifier="+identifier(n)+";"
}

// out reports whether the Espace asks for a login.
func (v *visitor) out() bool { return v.get(espace).status == http.StatusFound }

// until returns how long it took for ok to hold, and complains after some time.
func until(t *testing.T, what string, limit time.Duration, ok func() bool) time.Duration {
	t.Helper()
	begun := time.Now()
	for time.Since(begun) < limit {
		if ok() {
			return time.Since(begun)
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("not within %s: %s", limit, what)
	return limit
}

// longest is the longest of several times.
type longest struct {
	mu sync.Mutex
	of time.Duration
}

func (l *longest) add(d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.of = max(l.of, d)
}

func (l *longest) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.of.Round(time.Millisecond).String()
}

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

var residentMemory = regexp.MustCompile(`(?m)^process_resident_memory_bytes (\S+)$`)

// memory is what a node has taken, as its own metrics say.
func (c *cluster) memory(node int) string {
	res, err := http.Get("http://127.0.0.1:" + c.admin[node] + "/metrics")
	if err != nil {
		return "unknown"
	}
	defer res.Body.Close()
	text, _ := io.ReadAll(res.Body)
	found := residentMemory.FindSubmatch(text)
	if found == nil {
		return "unknown"
	}
	var bytes float64
	_ = json.Unmarshal(found[1], &bytes)
	return fmt.Sprintf("%.0f MB", bytes/1e6)
}

func mustParse(raw string) *url.URL {
	u, err := url.Parse(raw)
	if err != nil {
		panic(err)
	}
	return u
}
