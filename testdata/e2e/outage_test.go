//go:build !windows

package e2e

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// load is people who go on clicking, each at one of two nodes, whatever happens.
type load struct {
	t       *testing.T
	people  []*visitor
	last    []atomic.Int64 // each person's latest status
	served  []atomic.Bool  // who was served in this phase
	stop    chan struct{}
	workers sync.WaitGroup

	mu      sync.Mutex
	phase   string
	order   []string
	tally   map[string]map[string]int // answers of each phase
	slowest map[string]time.Duration
}

// startLoad logs n people in and lets them click, and some who have no session.
func (c *cluster) startLoad(t *testing.T, n int) *load {
	t.Helper()
	l := &load{t: t, people: make([]*visitor, n), last: make([]atomic.Int64, n), served: make([]atomic.Bool, n), stop: make(chan struct{}),
		tally: map[string]map[string]int{"between": {}}, order: []string{"between"}, slowest: make(map[string]time.Duration)}
	for i := range n {
		l.people[i] = c.visitor(t, i%2)
		l.people[i].login(i)
	}
	l.enter("before")
	for i := range n {
		l.workers.Go(func() { l.click(i) })
	}
	for node := range 2 {
		l.workers.Go(func() { l.intrude(c.visitor(t, node)) })
	}
	t.Cleanup(l.end)
	return l
}

// end stops the clicking.
func (l *load) end() {
	select {
	case <-l.stop:
	default:
		close(l.stop)
	}
	l.workers.Wait()
}

// enter begins a phase.
func (l *load) enter(phase string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.phase = phase
	l.order = append(l.order, phase)
	l.tally[phase] = make(map[string]int)
	for i := range l.served {
		l.served[i].Store(false)
	}
}

// note counts what came of a request that was sent in some phase.
func (l *load) note(phase, outcome string, took time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tally[phase][outcome]++
	l.slowest[phase] = max(l.slowest[phase], took)
}

func (l *load) now() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.phase
}

// pause waits a moment, and reports whether to go on.
func (l *load) pause() bool {
	select {
	case <-l.stop:
		return false
	case <-time.After(50 * time.Millisecond):
		return true
	}
}

// click is what one person does.
func (l *load) click(n int) {
	for l.pause() {
		phase, begun := l.now(), time.Now()
		got := l.people[n].get(espace)
		outcome := fmt.Sprint(got.status)
		switch {
		case got.err != nil:
			outcome = "lost: " + got.err.Error()
		case got.status == http.StatusOK && got.body != "identifier="+identifier(n)+";":
			outcome = "somebody else's page"
		case got.status == http.StatusServiceUnavailable && len(got.cookies) > 0:
			outcome = "503 that takes the cookie"
		}
		l.last[n].Store(int64(got.status))
		if after := l.now(); phase != after {
			phase = "between" // it may have waited for what made the difference
		} else if outcome == "200" {
			l.served[n].Store(true)
		}
		l.note(phase, outcome, time.Since(begun))
	}
}

// intrude tries to get in without a session, with a cookie that is made up.
func (l *load) intrude(v *visitor) {
	for l.pause() {
		v.Jar.SetCookies(mustParse(site), []*http.Cookie{{Name: "pronote_cas", Value: strings.Repeat("A", 91)}})
		if got := v.get(espace); got.status == http.StatusOK {
			l.t.Errorf("somebody without a session is served in phase %q", l.now())
		}
	}
}

// all reports whether everybody's latest answer was one.
func (l *load) all(status int) bool {
	for i := range l.last {
		if l.last[i].Load() != int64(status) {
			return false
		}
	}
	return true
}

// everybody reports whether everybody was served in this phase.
func (l *load) everybody() bool {
	for i := range l.served {
		if !l.served[i].Load() {
			return false
		}
	}
	return true
}

// expect complains of answers that a phase must not have, and reports the figures.
func (l *load) expect(allowed map[string][]string) {
	l.t.Helper()
	l.end()
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, phase := range l.order {
		var counts []string
		for _, outcome := range slices.Sorted(maps.Keys(l.tally[phase])) {
			counts = append(counts, fmt.Sprintf("%d × %s", l.tally[phase][outcome], outcome))
			if !slices.Contains(allowed[phase], outcome) {
				l.t.Errorf("%s: %d × %s", phase, l.tally[phase][outcome], outcome)
			}
		}
		l.t.Logf("%-16s %s; the slowest answer after %s", phase, strings.Join(counts, ", "), l.slowest[phase].Round(time.Millisecond))
	}
}

// outages are the ways in which a Redis leaves its users alone and comes back with
// what it had.
var outages = []struct {
	name        string
	leave, back func(*redisServer)
}{
	{"killed and started again", (*redisServer).kill, (*redisServer).start},
	{"hanging", func(r *redisServer) { r.signal(syscall.SIGSTOP) }, func(r *redisServer) { r.signal(syscall.SIGCONT) }},
}

// A Redis that is gone: who is in goes on for grace, then gets a 503 and keeps the
// cookie; nobody new gets in; nothing fails open; and when it is back, so is all.
func TestRedisGoneAndBackUnderLoad(t *testing.T) {
	for _, outage := range outages {
		t.Run(outage.name, func(t *testing.T) {
			c := startCluster(t, 2)
			const people = 24
			late := c.visitor(t, 0)
			with := late.ticket(nobody(people))
			l := c.startLoad(t, people)
			until(t, "everybody is in", busy, l.everybody)

			l.enter("within grace")
			outage.leave(c.redis)
			gone := time.Now()
			until(t, "everybody goes on without Redis", grace, l.everybody)
			until(t, "somebody new gets a 503", grace, func() bool {
				got := late.get(with)
				if got.status == http.StatusFound && strings.HasPrefix(got.location, espace) {
					t.Error("somebody new got in")
				}
				return got.status == http.StatusServiceUnavailable
			})
			until(t, "everybody has a 503", 10*time.Second, func() bool { return l.all(http.StatusServiceUnavailable) })
			t.Logf("everybody has a 503 %s after Redis went", time.Since(gone).Round(time.Millisecond))
			l.enter("past the grace")
			time.Sleep(500 * time.Millisecond) // some clicks

			l.enter("coming back")
			outage.back(c.redis)
			took := until(t, "everybody is in again", 10*time.Second, func() bool { return l.all(http.StatusOK) })
			t.Logf("everybody is in again %s after Redis was back", took.Round(time.Millisecond))
			l.enter("after")
			until(t, "everybody goes on", busy, l.everybody)
			l.expect(map[string][]string{
				"between": {"200", "503"}, "before": {"200"}, "within grace": {"200", "503"}, "past the grace": {"503"}, "coming back": {"200", "503"}, "after": {"200"},
			})
			c.visitor(t, 1).login(people)
			if n := c.anonymous.Load(); n > 0 {
				t.Errorf("%d requests reached PRONOTE without an identifier", n)
			}
			t.Logf("memory of the nodes: %s, %s", c.memory(0), c.memory(1))
		})
	}
}

// A Redis that comes back empty has no session any more, and no site key: people
// log in again, once, at whichever node they come to, those that kept the old key
// in memory as well as one that starts without it.
func TestRedisThatLostItsData(t *testing.T) {
	c := startCluster(t, 2)
	const people = 12
	l := c.startLoad(t, people)
	until(t, "everybody is in", busy, l.everybody)
	l.enter("losing all")
	c.redis.kill()
	c.redis.forget()
	c.redis.start()
	begun := time.Now()
	until(t, "everybody is asked to log in", 10*time.Second, func() bool { return l.all(http.StatusFound) })
	t.Logf("everybody is asked to log in %s after Redis came back empty", time.Since(begun).Round(time.Millisecond))
	// 401: a page was under way when its session was found to be gone.
	l.expect(map[string][]string{"between": {"200", "503", "302", "401"}, "before": {"200"}, "losing all": {"200", "503", "302", "401"}})

	fresh := c.join()
	nodes := []int{fresh, 0, 1}
	for n := range people {
		v := c.visitor(t, nodes[n%3])
		v.login(n)
		for _, node := range nodes {
			if !v.at(node).in(n) {
				t.Errorf("%s logged in at node %d and is not in at node %d", nobody(n), nodes[n%3], node)
			}
		}
	}
	if keys := c.redis.keys("pronote_cas"); len(keys) == 0 {
		t.Error("nothing is in Redis")
	}
	if n := c.anonymous.Load(); n > 0 {
		t.Errorf("%d requests reached PRONOTE without an identifier", n)
	}
}
