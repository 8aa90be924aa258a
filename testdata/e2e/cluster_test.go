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
