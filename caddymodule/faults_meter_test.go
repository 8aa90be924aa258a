package caddymodule

import (
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pronote-cas/caddy-pronote-cas/casauth/castest"
)

// meter counts what came of many requests, and how long they took.
type meter struct {
	mu     sync.Mutex
	counts map[string]int
	times  []time.Duration
}

func (m *meter) note(outcome string, took time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.counts == nil {
		m.counts = make(map[string]int)
	}
	m.counts[outcome]++
	m.times = append(m.times, took)
}

// only complains of outcomes other than allowed.
func (m *meter) only(t *testing.T, what string, allowed ...string) {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	for outcome, n := range m.counts {
		if !slices.Contains(allowed, outcome) {
			t.Errorf("%s: %d × %s", what, n, outcome)
		}
	}
	if len(m.times) == 0 {
		t.Errorf("%s: nothing was asked", what)
	}
}

func (m *meter) count(outcome string) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.counts[outcome]
}

func (m *meter) String() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var parts []string
	for _, outcome := range slices.Sorted(maps.Keys(m.counts)) {
		parts = append(parts, fmt.Sprintf("%d × %s", m.counts[outcome], outcome))
	}
	times := slices.Sorted(slices.Values(m.times))
	if len(times) == 0 {
		return "nothing"
	}
	at := func(part float64) time.Duration {
		return times[int(part*float64(len(times)-1))].Round(100 * time.Microsecond)
	}
	return fmt.Sprintf("%s (median %s, 99 %% in %s, slowest %s)", strings.Join(parts, ", "), at(.5), at(.99), at(1))
}

// try is send for a request that may fail: the answer then has no status.
func (b *browser) try(method, target, body string, headers ...string) answer {
	r, err := http.NewRequest(method, public+target, strings.NewReader(body))
	if err != nil {
		return answer{new(http.Response), err.Error()}
	}
	for pair := range slices.Chunk(slices.Concat([]string{"Accept", "text/html", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document", "Sec-Fetch-Site", "none"}, headers), 2) {
		r.Header.Set(pair[0], pair[1])
	}
	res, err := b.Do(r)
	if err != nil {
		return answer{new(http.Response), err.Error()}
	}
	defer res.Body.Close()
	read, err := io.ReadAll(res.Body)
	if err != nil {
		return answer{new(http.Response), err.Error()}
	}
	return answer{res, string(read)}
}

// visit opens a page and notes what came of it: what PRONOTE said to somebody with
// an identifier, another status, or nothing.
func (b *browser) visit(m *meter, target, id string) (status int) {
	begun := time.Now()
	got := b.try(http.MethodGet, target, "")
	outcome := fmt.Sprint(got.StatusCode)
	switch {
	case got.StatusCode == 0:
		outcome = "lost"
	case got.StatusCode == http.StatusOK && got.body != fmt.Sprintf("PRONOTE for %q", id):
		outcome = "somebody else's page"
	case got.StatusCode == http.StatusServiceUnavailable && slices.ContainsFunc(got.Cookies(), func(c *http.Cookie) bool { return c.Name == "__Host-pronote_cas" }):
		outcome = "503 that takes the session's cookie"
	}
	m.note(outcome, time.Since(begun))
	return got.StatusCode
}

// during lets work go on, over and over, in n goroutines until stop is called.
func during(n int, work func(worker, round int)) (stop func()) {
	end := make(chan struct{})
	var all sync.WaitGroup
	for worker := range n {
		all.Go(func() {
			for round := 0; ; round++ {
				select {
				case <-end:
					return
				default:
					work(worker, round)
				}
			}
		})
	}
	return func() { close(end); all.Wait() }
}

// soon returns how long it took for ok to hold, and complains after limit.
func soon(t *testing.T, limit time.Duration, what string, ok func() bool) time.Duration {
	t.Helper()
	begun := time.Now()
	for time.Since(begun) < limit {
		if ok() {
			return time.Since(begun).Round(time.Millisecond)
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("not within %s: %s", limit, what)
	return limit
}

// crossing counts the connections that are open at a server at the same time.
type crossing struct {
	mu         sync.Mutex
	open, peak int
	opened     int
}

func (c *crossing) state(_ net.Conn, state http.ConnState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch state {
	case http.StateNew:
		c.open++
		c.opened++
		c.peak = max(c.peak, c.open)
	case http.StateClosed, http.StateHijacked:
		c.open--
	}
}

func (c *crossing) most() (peak, opened int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.peak, c.opened
}

// casFor is a CAS server with n pupils, which counts its connections.
func casFor(t *testing.T, n int) (*castest.Server, *crossing) {
	users := make([]castest.User, n)
	for i := range users {
		users[i] = castest.User{Login: fmt.Sprintf("ville%05d", i), Attributes: map[string][]string{"idPronote": {townID(i)}}}
	}
	ent, seen := castest.New(castest.Options{Users: append(people(), users...)}), new(crossing)
	server := httptest.NewUnstartedServer(ent)
	server.Config.ConnState = seen.state
	server.Start()
	t.Cleanup(func() { ent.Close(); server.CloseClientConnections(); server.Close() })
	ent.URL = server.URL + "/cas"
	return ent, seen
}

func townID(n int) string { return fmt.Sprintf("VILLE%011d", n) }
