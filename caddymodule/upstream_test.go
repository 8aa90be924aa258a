package caddymodule

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
)

// upstream stands for PRONOTE.net and keeps what reached it.
type upstream struct {
	*httptest.Server
	mu     sync.Mutex
	seen   []*http.Request
	bodies []string
	serve  http.HandlerFunc
}

func newUpstream(t *testing.T) *upstream {
	u := new(upstream)
	u.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body) // cut short where the client was
		u.mu.Lock()
		u.seen, u.bodies = append(u.seen, r), append(u.bodies, string(body))
		serve := u.serve
		u.mu.Unlock()
		if serve != nil {
			serve(w, r)
			return
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = fmt.Fprintf(w, "PRONOTE for %q", r.Header.Get("X-Pronote-Id"))
	}))
	t.Cleanup(func() { u.CloseClientConnections(); u.Close() })
	return u
}

func (u *upstream) answer(serve http.HandlerFunc) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.serve = serve
}

func (u *upstream) count() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return len(u.seen)
}

// paths are what was asked for, in order.
func (u *upstream) paths() (paths []string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, r := range u.seen {
		paths = append(paths, r.URL.Path)
	}
	return paths
}

// last returns the latest request and its body.
func (u *upstream) last(t *testing.T) (*http.Request, string) {
	t.Helper()
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(u.seen) == 0 {
		t.Fatal("nothing reached PRONOTE")
	}
	return u.seen[len(u.seen)-1], u.bodies[len(u.bodies)-1]
}

// lockedBuffer does not embed the Buffer: its ReadFrom would go around the lock.
type lockedBuffer struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.String()
}
