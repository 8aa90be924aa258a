package caddymodule

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/certmagic"

	"github.com/pronote-cas/caddy-pronote-cas/casauth/castest"
)

// scene is a school to be looked at. What is left empty is as it should be.
type scene struct {
	name    string
	site    func(*Handler)
	cas     http.HandlerFunc // nil: castest, which it is handed for
	ent     castest.Options
	shape   castest.Shape
	fault   castest.Fault
	casCert *certificateOf   // nil: http
	public  http.HandlerFunc // nil: the gate itself
	cert    *certificateOf   // of public_url; nil: a good one
	pronote http.HandlerFunc // nil: a page of PRONOTE's
	edit    func(*checker)   // last of all
	step    string           // whose line is looked at
	about   string           // "": the first of that step
	result  result
	reason  string
	says    map[language]string // what the line says somewhere: cause, cure or the sentence to the ENT
}

// pronotePage is the first page of a PRONOTE that delegates nothing.
func pronotePage(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/" && r.URL.Path != "/eleve.html" {
		http.NotFound(w, r)
		return
	}
	_, _ = io.WriteString(w, "<title>PRONOTE</title>")
}

func answering(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		if strings.Contains(body, "<") {
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

func leading(to string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", to)
		w.WriteHeader(http.StatusFound)
	}
}

// on serves validations with one handler and all else as a good login page.
func onValidation(h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "alidate") {
			h(w, r)
			return
		}
		answering(http.StatusOK, "<title>ENT</title><form>")(w, r)
	}
}

func onLogin(h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/login") {
			h(w, r)
			return
		}
		answering(http.StatusOK, casRefusal("INVALID_TICKET"))(w, r)
	}
}

func casRefusal(code string) string {
	return `<cas:serviceResponse xmlns:cas="http://www.yale.edu/tp/cas"><cas:authenticationFailure code="` + code + `">no</cas:authenticationFailure></cas:serviceResponse>`
}

func with(protocol string) func(*Handler) { return func(h *Handler) { h.Protocol = protocol } }

// withRelay is a site with the relay, for a PRONOTE at PRONOTE's private address.
func withRelay(lines ...func(*Handler)) func(*Handler) {
	return func(h *Handler) {
		h.Relay = &RelaySettings{AllowFrom: []string{"127.0.0.1"}}
		for _, line := range lines {
			line(h)
		}
	}
}

func internal(urls ...string) func(*Handler) { return func(h *Handler) { h.InternalURL = urls } }

// build makes the scene's school and the checker of its site.
func (s *scene) build(t *testing.T, speaks language) *checker {
	t.Helper()
	h := &Handler{PublicURL: public}
	s.buildCAS(t, h)
	if s.site != nil {
		s.site(h)
	}
	storage, err := json.Marshal(map[string]string{"module": "file_system", "root": filepath.Join(t.TempDir(), "data")})
	if err != nil {
		t.Fatal(err)
	}
	ctx, err := caddy.ProvisionContext(&caddy.Config{
		Admin: &caddy.AdminConfig{Disabled: true}, StorageRaw: storage,
		Logging: &caddy.Logging{Logs: map[string]*caddy.CustomLog{"default": {BaseLog: caddy.BaseLog{WriterRaw: json.RawMessage(`{"output":"discard"}`)}}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Provision(ctx); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Cleanup() })

	if s.pronote == nil {
		s.pronote = pronotePage
	}
	upstream := serve(t, s.pronote)
	c := newChecker(ctx, &site{Handler: h, upstreams: []string{upstream.Listener.Addr().String()}}, speaks, false)
	gate := s.public
	if gate == nil {
		gate = func(w http.ResponseWriter, r *http.Request) {
			_ = h.ServeHTTP(w, asCaddyHas(r), http404{})
		}
	}
	cert := s.cert
	if cert == nil {
		cert = new(certificateOf)
	}
	front := cert.serve(t, "pronote.example.fr", gate)
	c.front = towardsPublic(func(ctx context.Context, network, to string) (net.Conn, error) {
		if to == "pronote.example.fr:443" {
			return new(net.Dialer).DialContext(ctx, network, front.Listener.Addr().String())
		}
		return nil, &net.OpError{Op: "dial", Err: errors.New("connection refused")}
	}, cert.roots())
	c.lookup = func(_ context.Context, host string) ([]netip.Addr, error) {
		if strings.HasSuffix(host, ".invalid") {
			return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
		}
		return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil
	}
	if s.edit != nil {
		s.edit(c)
	}
	return c
}

type http404 struct{}

func (http404) ServeHTTP(w http.ResponseWriter, r *http.Request) error {
	http.NotFound(w, r)
	return nil
}

func (s *scene) buildCAS(t *testing.T, h *Handler) {
	handler := s.cas
	if handler == nil {
		ent := castest.New(s.ent)
		t.Cleanup(ent.Close)
		ent.SetShape(s.shape)
		ent.SetFault(s.fault)
		handler = ent.ServeHTTP
	}
	if s.casCert == nil {
		h.CASURL = serve(t, handler).URL + "/cas"
		return
	}
	server := s.casCert.serve(t, "127.0.0.1", handler)
	h.CASURL = server.URL + "/cas"
	h.CASTrustPool = s.casCert.pool(t)
}

func serve(t *testing.T, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(func() { s.CloseClientConnections(); s.Close() })
	return s
}

var unfilled = regexp.MustCompile(`\{[a-z_]+\}`)

// look runs the scene in one language and returns the line of its step.
func (s *scene) look(t *testing.T, speaks language) (all []line, of *line) {
	t.Helper()
	s.build(t, speaks).run(t.Context(), func(l line) { all = append(all, l) })
	for i, l := range all {
		if l.Step == s.step && (s.about == "" || l.About == s.about) && of == nil {
			of = &all[i]
		}
		for _, sentence := range []string{l.What, l.Cause, l.Cure, l.ToENT} {
			if unfilled.MatchString(sentence) || strings.Contains(sentence, "ST-check-") {
				t.Errorf("%s: %q", l.Reason, sentence)
			}
		}
		if l.What == "" || l.Result != good && l.Cure == "" && !curious[l.Reason] {
			t.Errorf("%s says nothing, or not what to do: %+v", l.Reason, l)
		}
	}
	return all, of
}

// curious are doubts about which there is nothing to be done.
var curious = map[string]bool{"clock_unknown": true, "callers_unknown": true, "public_local_authority": true}

func (s *scene) test(t *testing.T) {
	for _, speaks := range []language{en, fr} {
		all, of := s.look(t, speaks)
		if of == nil {
			t.Fatalf("no line for %s: %s", s.step, spelledOut(all))
		}
		if of.Result != s.result || of.Reason != s.reason {
			t.Errorf("%s: %s %s, want %s %s: %+v", s.step, of.Result, of.Reason, s.result, s.reason, *of)
		}
		said := strings.Join([]string{of.What, of.Cause, of.Cure, of.ToENT}, "\n")
		if want := s.says[speaks]; !strings.Contains(said, want) {
			t.Errorf("in %s it does not say %q:\n%s", speaks, want, said)
		}
		if want := s.says["ENT"]; !strings.Contains(of.ToENT, want) {
			t.Errorf("the ENT is not told %q: %s", want, of.ToENT)
		}
	}
}

func spelledOut(lines []line) string {
	var all strings.Builder
	for _, l := range lines {
		fmt.Fprintf(&all, "\n%s %s %s %s", l.Result, l.Step, l.Reason, l.What)
	}
	return all.String()
}

// A school where nothing is wrong gets no warning: one that is always there is
// soon overlooked.
func TestCheckFindsNothingWhereNothingIsWrong(t *testing.T) {
	s := scene{casCert: new(certificateOf)}
	all, _ := s.look(t, fr)
	if len(all) < 12 {
		t.Errorf("only %d steps: %s", len(all), spelledOut(all))
	}
	for _, l := range all {
		if l.Result != good {
			t.Errorf("%s %s: %+v", l.Result, l.Step, l)
		}
	}
}

// What cannot be reached is said once; nothing that builds on it is asked.
func TestCheckDoesNotAskOnWhereNothingAnswers(t *testing.T) {
	s := scene{site: func(h *Handler) { h.CASURL = "https://cas.ent-exemple.invalid" }}
	all, _ := s.look(t, en)
	for _, l := range all {
		if strings.HasPrefix(l.Step, "cas_") && l.Step != "cas_name" {
			t.Errorf("%s was asked of a server without a name", l.Step)
		}
	}
}

// slowStore answers when it is too late, brokenStore not at all.
type brokenStore struct {
	certmagic.Storage
	err  error
	wait time.Duration
}

func (b brokenStore) Store(ctx context.Context, key string, value []byte) error {
	time.Sleep(b.wait)
	if b.err != nil {
		return b.err
	}
	return b.Storage.Store(ctx, key, value)
}

func TestCheckStorageLeavesNothingBehind(t *testing.T) {
	s := scene{step: "storage", result: good, reason: "storage"}
	c := s.build(t, en)
	c.run(t.Context(), func(line) {})
	keys, err := c.storage.List(t.Context(), "pronote_cas", true)
	if err != nil || len(keys) > 0 {
		t.Errorf("left in the storage: %v, %v", keys, err)
	}
}

func TestCheckStorage(t *testing.T) {
	for _, s := range []scene{
		{name: "full", edit: func(c *checker) { c.storage = brokenStore{c.storage, errors.New("no space left on device"), 0} },
			result: bad, reason: "storage_failed", says: map[language]string{en: "no space left on device", fr: "disque plein"}},
		{name: "slow", edit: func(c *checker) {
			c.storageLimit, c.storage = 10*time.Millisecond, brokenStore{c.storage, nil, 15 * time.Millisecond}
		},
			result: bad, reason: "storage_slow", says: map[language]string{en: "10ms", fr: "10ms"}},
		{name: "hanging", edit: func(c *checker) {
			c.storageLimit, c.storage = time.Millisecond, brokenStore{c.storage, nil, 50 * time.Millisecond}
		},
			result: bad, reason: "storage_slow"},
	} {
		s.step = "storage"
		t.Run(s.name, s.test)
	}
}

// A node whose clock is ahead makes sessions that come from the future.
func TestCheckNodeClocks(t *testing.T) {
	for _, test := range []struct {
		ahead  time.Duration
		result result
		reason string
	}{{-time.Hour, good, "nodes_clock_same"}, {20 * time.Second, doubtful, "nodes_clock"}, {5 * time.Minute, bad, "nodes_clock"}} {
		s := scene{step: "storage_clock", result: test.result, reason: test.reason}
		s.edit = func(c *checker) {
			for i, created := range []time.Time{time.Now().Add(-time.Minute), time.Now().Add(test.ahead)} {
				record, err := json.Marshal(map[string]any{"user": "camille.durand", "created": created})
				if err != nil {
					t.Fatal(err)
				}
				if err := c.storage.Store(t.Context(), fmt.Sprintf("pronote_cas/%s/sessions/29000%d/%032d", c.sessions.Site, 0, i), record); err != nil {
					t.Fatal(err)
				}
			}
		}
		t.Run(test.ahead.String(), s.test)
	}
}
