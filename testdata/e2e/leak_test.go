package e2e

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"go.uber.org/goleak"

	"github.com/pronote-cas/caddy-pronote-cas/casauth/castest"
)

// TestNothingIsLeftRunning logs in, reloads Caddy twice while a long poll waits,
// logs out and stops: every goroutine that the plugin started has ended.
func TestNothingIsLeftRunning(t *testing.T) {
	before := goleak.IgnoreCurrent()
	t.Run("visits", func(t *testing.T) { visitAndReload(t) }) // its cleanups run before the count
	var err error
	for range 20 { // servers end when they next look at their connections, within seconds
		err = goleak.Find(before,
			// Looks at its lock every five seconds, and ends when that is gone.
			goleak.IgnoreAnyFunction("github.com/caddyserver/certmagic.keepLockfileFresh"))
		if err == nil {
			return
		}
	}
	t.Error(err)
}

func visitAndReload(t *testing.T) {
	ent := castest.Start(t, castest.Options{})
	waiting := make(chan struct{})
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/pronote/appelpolling/3/1/1" {
			close(waiting)
			<-r.Context().Done()
		}
	}))
	t.Cleanup(upstream.Close)
	origin := "http://localhost:" + freePorts(t, 1)[0]
	storage := t.TempDir()
	load := func(ttl string) {
		t.Helper()
		adapted, _, err := caddyconfig.GetAdapter("caddyfile").Adapt(fmt.Appendf(nil, `{
	admin off
	persist_config off
	log {
		output discard
	}
	storage file_system %s
}
%s {
	bind 127.0.0.1
	pronote_cas {
		cas_url %s
		public_url %s
		session {
			ttl %s
		}
	}
	reverse_proxy %s
}
`, storage, origin, ent.URL, origin, ttl, upstream.URL), nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := caddy.Load(adapted, true); err != nil {
			t.Fatal(err)
		}
	}
	load("10h")
	t.Cleanup(func() {
		if err := caddy.Stop(); err != nil {
			t.Error(err)
		}
	})

	visitor := newPerson(t, "")
	espace := origin + "/pronote/eleve.html"
	if _, err := ent.Login(&visitor.client, visitor.open(espace).URL.String(), "camille.durand"); err != nil {
		t.Fatal(err)
	}
	if pg := visitor.open(espace); pg.URL.String() != espace || pg.Status != http.StatusOK {
		t.Fatalf("after the login: %d at %s", pg.Status, pg.URL)
	}
	poll := make(chan int, 1) // its status, 0 for a connection that was cut
	go func() {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, origin+"/pronote/appelpolling/3/1/1", nil)
		if err != nil {
			panic(err)
		}
		resp, err := visitor.client.Do(r)
		if err != nil {
			poll <- 0
			return
		}
		resp.Body.Close()
		poll <- resp.StatusCode
	}()
	select {
	case <-waiting:
	case status := <-poll:
		t.Fatalf("the long poll did not reach PRONOTE, but ended with status %d", status)
	case <-time.After(10 * time.Second):
		t.Fatal("the long poll did not reach PRONOTE")
	}
	load("9h")
	load("8h")
	visitor.open(origin + "/pronote-cas/logout")
	select {
	case status := <-poll:
		if status == http.StatusOK {
			t.Error("the long poll ended as if PRONOTE had answered")
		}
	case <-time.After(10 * time.Second):
		t.Error("the long poll outlived the logout")
	}
}
