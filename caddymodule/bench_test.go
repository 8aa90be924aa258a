package caddymodule

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/pronote-cas/caddy-pronote-cas/casauth/castest"
)

// provisioned is a handler in this process, with its storage in a folder of the test.
func provisioned(tb testing.TB, cas string) (h *Handler, end func()) {
	tb.Helper()
	storage, err := json.Marshal(map[string]string{"module": "file_system", "root": filepath.Join(tb.TempDir(), "data")})
	if err != nil {
		tb.Fatal(err)
	}
	ctx, err := caddy.ProvisionContext(&caddy.Config{
		Admin:      &caddy.AdminConfig{Disabled: true},
		StorageRaw: storage,
		Logging:    &caddy.Logging{Logs: map[string]*caddy.CustomLog{"default": {BaseLog: caddy.BaseLog{WriterRaw: json.RawMessage(`{"output":"discard"}`)}}}},
	})
	if err != nil {
		tb.Fatal(err)
	}
	h = &Handler{CASURL: cas, PublicURL: public}
	if err := h.Provision(ctx); err != nil {
		tb.Fatal(err)
	}
	return h, func() {
		if err := h.Cleanup(); err != nil {
			tb.Error(err)
		}
	}
}

// asCaddyHas is r with the context that Caddy's server gives it.
func asCaddyHas(r *http.Request) *http.Request {
	ctx := context.WithValue(r.Context(), caddy.ReplacerCtxKey, caddy.NewReplacer())
	ctx = context.WithValue(ctx, caddyhttp.OriginalRequestCtxKey, *r)
	return r.WithContext(ctx)
}

// logIn walks a login through h and returns the Cookie header that it leaves.
func logIn(tb testing.TB, h *Handler, cas *castest.Server) string {
	tb.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		tb.Fatal(err)
	}
	at := mustURL(tb, public)
	var cookies string
	for _, target := range []string{"/eleve.html", "/eleve.html?ticket=" + cas.Ticket(pupil, public+"/eleve.html")} {
		r := httptest.NewRequest(http.MethodGet, target, nil)
		r.Header.Set("Accept", "text/html")
		if cookies != "" {
			r.Header.Set("Cookie", cookies)
		}
		w := httptest.NewRecorder()
		if err := h.ServeHTTP(w, asCaddyHas(r), caddyhttp.HandlerFunc(func(http.ResponseWriter, *http.Request) error { return nil })); err != nil {
			tb.Fatal(err)
		}
		jar.SetCookies(at, w.Result().Cookies())
		var pairs []string
		for _, c := range jar.Cookies(at) {
			pairs = append(pairs, c.Name+"="+c.Value)
		}
		cookies = strings.Join(pairs, "; ")
	}
	if !strings.HasPrefix(cookies, "__Host-pronote_cas=") {
		tb.Fatalf("the login left no session")
	}
	return cookies
}

// BenchmarkHandler is what the plugin costs a request that goes upstream, less
// all that Caddy does around it.
func BenchmarkHandler(b *testing.B) {
	cas := castest.Start(b, castest.Options{})
	h, end := provisioned(b, cas.URL)
	defer end()
	next := caddyhttp.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) error { w.WriteHeader(http.StatusOK); return nil })
	for _, bench := range []struct{ name, method, target, cookies string }{
		{"call with a session", http.MethodPost, "/appelfonction/3/1234567/0a1b2c3d", "ielang=1036; " + logIn(b, h, cas)},
		{"static file without a session", http.MethodGet, "/eleve.js?version=2025", ""},
	} {
		b.Run(bench.name, func(b *testing.B) {
			original := httptest.NewRequest(bench.method, bench.target, nil)
			header := http.Header{"Content-Type": {"application/json"}, "Accept": {"*/*"}, "User-Agent": {"Mozilla/5.0"}, "Accept-Encoding": {"gzip"}, "Connection": {"keep-alive"},
				"Sec-Fetch-Mode": {"cors"}, "Sec-Fetch-Site": {"same-origin"}, "Referer": {public + "/eleve.html"}, "Accept-Language": {"fr"}}
			if bench.cookies != "" {
				header["Cookie"] = []string{bench.cookies}
			}
			cookie := header["Cookie"]
			original.Header = header
			var r *http.Request
			w := httptest.NewRecorder()
			b.ReportAllocs()
			for n := 0; b.Loop(); n++ {
				if n%100 == 0 { // each request adds to its Replacer
					r = asCaddyHas(original)
				}
				delete(header, "X-Pronote-Id")
				if header["Cookie"] = cookie; cookie == nil {
					delete(header, "Cookie")
				}
				if err := h.ServeHTTP(w, r, next); err != nil || w.Code != http.StatusOK {
					b.Fatal(err, w.Code)
				}
			}
		})
	}
}
