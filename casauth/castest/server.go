package castest

import (
	"context"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// Options say how a [Server] behaves. The zero value is a server with the
// [DemoUsers] that lets every http and https service in.
type Options struct {
	Users []User // nil: DemoUsers()

	// Services are the URL prefixes that may be logged in to, e.g.
	// "https://pronote.example/". A prefix ends at a border of the URL: one
	// without a path lets in no longer host or port. Empty: every http or
	// https URL, unless AllowService is set.
	Services []string

	// AllowService, if set, lets a service in besides Services.
	AllowService func(service string) bool

	TicketLifetime time.Duration // 0: 5 minutes, the limit that CAS 3.0 §3.1.1 recommends
	NewTicket      func() string // makes service tickets; nil: ST-<n>-<random>-castest

	RequireSOAPAction bool // samlValidate refuses a request without the SOAPAction header, as Keycloak's plugin does

	Title string // heading of the pages; "": ENT de démonstration

	Shape Shape // form of the answers, see also SetShape
	SLO   SLO   // single logout
}

// Server is the CAS server. It is safe for concurrent use.
type Server struct {
	// URL is the base below which the endpoints are, e.g.
	// "http://127.0.0.1:41234/cas". Set by Start; empty after New.
	URL string

	opts Options
	http *http.Server    // nil after New
	ctx  context.Context // ends with Close
	stop context.CancelFunc

	mu       sync.Mutex
	users    map[string]User
	tickets  map[string]*ticket
	sessions map[string]*session
	serial   int
	shape    Shape
	fault    Fault
	counts   Counts
	perTick  map[string]int
	header   http.Header
	logouts  []LogoutSent
	telling  int        // logout messages under way
	told     *sync.Cond // on mu; a message is done
}

// TB is what the package needs of a *testing.T. It is not testing.TB so that
// the demo's binary does not hold package testing.
type TB interface {
	Helper()
	Cleanup(func())
	Fatalf(format string, args ...any)
}

// New returns a server to be mounted by the caller under any prefix, without
// http.StripPrefix: the prefix is also the path of its cookie. It panics if two
// users have the same login. Call Close in the end.
func New(opts Options) *Server {
	if opts.Users == nil {
		opts.Users = DemoUsers()
	}
	if opts.TicketLifetime == 0 {
		opts.TicketLifetime = 5 * time.Minute
	}
	if opts.Title == "" {
		opts.Title = "ENT de démonstration"
	}
	if opts.SLO.Client == nil {
		opts.SLO.Client = &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{}}
	}
	s := &Server{
		opts:     opts,
		users:    make(map[string]User, len(opts.Users)),
		tickets:  make(map[string]*ticket),
		sessions: make(map[string]*session),
		shape:    opts.Shape,
		counts:   Counts{Validations: make(map[string]int)},
		perTick:  make(map[string]int),
	}
	s.told = sync.NewCond(&s.mu)
	s.ctx, s.stop = context.WithCancel(context.Background())
	for _, u := range opts.Users {
		if _, twice := s.users[u.Login]; twice {
			panic(fmt.Sprintf("castest: two users have the login %q", u.Login))
		}
		s.users[u.Login] = u
	}
	return s
}

// Start returns a server that listens by HTTP on a free port of 127.0.0.1,
// with its endpoints below /cas, until the test ends. For TLS, give New's
// server to httptest.NewTLSServer.
func Start(t TB, opts Options) *Server {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("castest: %v", err)
	}
	s := New(opts)
	s.URL = "http://" + ln.Addr().String() + "/cas"
	s.http = &http.Server{Handler: s, ReadHeaderTimeout: 10 * time.Second, ConnState: s.countConn}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = s.http.Serve(ln)
	}()
	t.Cleanup(func() {
		s.Close()
		<-served
	})
	return s
}

// Close ends requests that hang, logout messages under way, and, after Start,
// the listener and all connections. It may be called more than once.
func (s *Server) Close() {
	s.stop()
	s.WaitLogouts()
	s.mu.Lock()
	s.opts.SLO.Client.CloseIdleConnections()
	s.mu.Unlock()
	if s.http != nil {
		_ = s.http.Close()
	}
}

// The longer names come first: /p3/serviceValidate also ends in /serviceValidate.
var endpoints = []string{
	"/p3/serviceValidate", "/p3/proxyValidate", "/serviceValidate", "/proxyValidate",
	"/samlValidate", "/validate", "/login", "/logout",
}

// ServeHTTP answers the CAS endpoints below whatever prefix the path has, and
// leads a person who asks for the prefix itself to the login page.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if s.currentFault().Down {
		panic(http.ErrAbortHandler) // closes the connection without an answer
	}
	if skew := s.currentShape().Skew; skew != 0 {
		w.Header().Set("Date", time.Now().Add(skew).UTC().Format(http.TimeFormat))
	}
	for _, endpoint := range endpoints {
		prefix, ok := strings.CutSuffix(r.URL.Path, endpoint)
		if !ok {
			continue
		}
		w.Header().Set("Cache-Control", "no-store")
		switch endpoint {
		case "/login":
			s.login(w, r, prefix)
		case "/logout":
			s.logout(w, r, prefix)
		default:
			s.validate(w, r, endpoint)
		}
		return
	}
	if strings.HasSuffix(r.URL.Path, "/") && r.Method == http.MethodGet {
		redirect(w, r.URL.Path+"login")
		return
	}
	http.NotFound(w, r)
}

// allowed tells whether a service may be logged in to. What no browser could
// be sent to safely is refused whatever the options say.
func (s *Server) allowed(service string) bool {
	u, err := url.Parse(service)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return false
	}
	if len(s.opts.Services) == 0 && s.opts.AllowService == nil {
		return true
	}
	for _, prefix := range s.opts.Services {
		rest, ok := strings.CutPrefix(service, prefix)
		if ok && (rest == "" || strings.HasSuffix(prefix, "/") || strings.ContainsAny(rest[:1], "/?#")) {
			return true
		}
	}
	return s.opts.AllowService != nil && s.opts.AllowService(service)
}

// Counts are numbers of requests since the server began.
type Counts struct {
	LoginForms  int            // login pages shown
	Logins      int            // credentials (or a demo button) accepted
	Logouts     int            // requests for /logout
	Connections int            // TCP connections accepted; only after Start
	Validations map[string]int // requests by endpoint, e.g. "/p3/serviceValidate", faults included
}

// TotalValidations is the number of validation requests at all endpoints.
func (c Counts) TotalValidations() int {
	n := 0
	for _, v := range c.Validations {
		n += v
	}
	return n
}

// Counts returns a snapshot of the counters.
func (s *Server) Counts() Counts {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.counts
	c.Validations = maps.Clone(c.Validations)
	return c
}

// ValidationsOf returns how many validation requests named the ticket,
// answered by a fault or not.
func (s *Server) ValidationsOf(ticket string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.perTick[ticket]
}

// LastHeader returns the headers of the last validation request, nil before
// the first.
func (s *Server) LastHeader() http.Header {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.header.Clone()
}

func (s *Server) countConn(_ net.Conn, state http.ConnState) {
	if state == http.StateNew {
		s.count(func(c *Counts) { c.Connections++ })
	}
}

func (s *Server) count(add func(*Counts)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	add(&s.counts)
}

func (s *Server) countValidation(endpoint, ticket string, h http.Header) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counts.Validations[endpoint]++
	s.header = h.Clone()
	if ticket != "" {
		s.perTick[ticket]++
	}
}
