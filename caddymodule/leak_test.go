package caddymodule

import (
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/pronote-cas/caddy-pronote-cas/casauth/castest"
)

// left are the stacks of goroutines that work for a Handler, once there has been
// time to end.
func left() string {
	var stacks []string
	for range 60 {
		stacks = nil
		buffer := make([]byte, 4<<20)
		for _, stack := range strings.Split(string(buffer[:runtime.Stack(buffer, true)]), "\n\n") {
			if strings.Contains(stack, "casauth.(") || strings.Contains(stack, "caddymodule.(*") && !strings.Contains(stack, "_test.go") {
				stacks = append(stacks, stack)
			}
		}
		if stacks == nil {
			return ""
		}
		time.Sleep(50 * time.Millisecond)
	}
	return strings.Join(stacks, "\n\n")
}

// A configuration that is reloaded every minute for a year leaves nothing behind.
// (No other test runs beside this one, nor beside the next: none of them is parallel.)
func TestNoGoroutineOutlivesItsConfiguration(t *testing.T) {
	cas := castest.Start(t, castest.Options{})
	for range 20 {
		h, end := provisioned(t, cas.URL)
		logIn(t, h, cas)
		end()
	}
	if stacks := left(); stacks != "" {
		t.Errorf("still there:\n%s", stacks)
	}
}

// reverse_proxy panics with http.ErrAbortHandler when an answer breaks off, which
// any pupil does who closes a tab on a download. The response must not stay held:
// its session would be watched, and its memory kept, until it runs out.
func TestABrokenOffAnswerIsLetGo(t *testing.T) {
	cas := castest.Start(t, castest.Options{})
	h, end := provisioned(t, cas.URL)
	cookies := logIn(t, h, cas)
	func() {
		defer func() {
			if recover() != http.ErrAbortHandler { //nolint:errorlint // a panic's value, which net/http compares so
				t.Error("the panic does not reach net/http")
			}
		}()
		r := httptest.NewRequest(http.MethodGet, download, nil)
		r.Header.Set("Cookie", cookies)
		_ = h.ServeHTTP(httptest.NewRecorder(), asCaddyHas(r), caddyhttp.HandlerFunc(func(http.ResponseWriter, *http.Request) error { panic(http.ErrAbortHandler) }))
	}()
	end() // who watches live responses goes on as long as there are some
	if stacks := left(); stacks != "" {
		t.Errorf("still there:\n%s", stacks)
	}
}
