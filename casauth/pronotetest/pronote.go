package pronotetest

import (
	"bytes"
	"context"
	"crypto/rand"
	"io"
	"maps"
	"net"
	"net/http"
	"path"
	"slices"
	"strings"
	"sync"
	"time"
)

// pronote is what both kinds have in common.
type pronote struct {
	journal
	cfg     Config
	ctx     context.Context // ends with Close
	stop    context.CancelFunc
	servers []*http.Server

	mu       sync.Mutex
	number   int // of the last session
	sessions map[int]*session
	tokens   map[string]*token
	release  chan struct{} // closed to answer all polls
	polls    int
}

// Session is a login that the stand-in made itself, by delegation or by its
// own form.
type Session struct {
	Number int // as the calls of the page name it
	Espace string
	Person Person
	Ticket string // the CAS ticket it was made from; "" if none
}

type session struct {
	Session
	kind  int // PRONOTE's g: 2 direct, 3 from CAS
	began time.Time
	ctx   context.Context // ends with the session
	end   context.CancelFunc
}

// token is the one-time marker ?identifiant= between a login and its page.
type token struct {
	espace string
	person Person
	ticket string
	kind   int
	issued time.Time
}

// TB is what the package needs of a *testing.T.
type TB interface {
	Helper()
	Cleanup(func())
	Fatalf(format string, args ...any)
}

func newPronote(cfg Config) *pronote {
	p := &pronote{
		cfg: cfg, journal: journal{limit: cfg.LogSize},
		sessions: make(map[int]*session), tokens: make(map[string]*token),
		release: make(chan struct{}), number: 1_000_000,
	}
	p.ctx, p.stop = context.WithCancel(context.Background())
	return p
}

// Close ends polls and downloads, and, after a Start function, listeners and
// connections.
func (p *pronote) Close() {
	p.stop()
	p.cfg.Client.CloseIdleConnections()
	for _, s := range p.servers {
		_ = s.Close()
	}
}

func listen(t TB) net.Listener {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("pronotetest: %v", err)
	}
	return ln
}

// serve runs a handler until the test ends.
func (p *pronote) serve(t TB, ln net.Listener, h http.Handler) {
	s := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
	p.servers = append(p.servers, s)
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = s.Serve(ln)
	}()
	t.Cleanup(func() {
		p.Close()
		<-served
	})
}

// receive logs a request and finds the path below root as a Windows server
// would understand it: case-blind, "\" a slash, "//", "." and ".." resolved.
func (p *pronote) receive(w http.ResponseWriter, r *http.Request, root string) (page string, ok bool) {
	p.record(r)
	raw := strings.ToLower(strings.ReplaceAll(r.URL.Path, `\`, "/"))
	clean := path.Clean("/" + raw)
	if strings.HasSuffix(raw, "/") && clean != "/" {
		clean += "/"
	}
	root = strings.ToLower(root)
	if clean+"/" == root {
		redirect(w, path.Base(clean)+"/") // the links of the pages are relative to it
		return "", false
	}
	page, ok = strings.CutPrefix(clean+"/", root)
	page = strings.Trim(page, "/")
	if strings.HasPrefix(page, "appelfonction/") || strings.HasPrefix(page, "uploadfilesession/") {
		return page, ok // their bodies are streamed
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
	if err != nil {
		http.Error(w, "corps trop long", http.StatusRequestEntityTooLarge)
		return "", false
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	if !ok {
		http.NotFound(w, r)
	}
	return page, ok
}

// Sessions returns the sessions that have not ended, by number.
func (p *pronote) Sessions() []Session {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []Session
	for _, n := range slices.Sorted(maps.Keys(p.sessions)) {
		if s := p.sessions[n]; s.ctx.Err() == nil {
			out = append(out, s.Session)
		}
	}
	return out
}

// newToken keeps a login until its page is asked for.
func (p *pronote) newToken(t token) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	maps.DeleteFunc(p.tokens, func(_ string, t *token) bool { return time.Since(t.issued) > 5*time.Minute })
	name := mixedCase()
	t.issued = time.Now()
	p.tokens[name] = &t
	return name
}

// mixedCase returns 16 letters and digits, as PRONOTE's marker has.
func mixedCase() string {
	const alphabet = "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnpqrstuvwxyz0123456789012345"
	b := make([]byte, 16)
	_, _ = rand.Read(b) // never fails: crypto/rand
	for i := range b {
		b[i] = alphabet[b[i]%64]
	}
	return string(b)
}

// redeem opens the session of a token. A token serves once, for its Espace.
func (p *pronote) redeem(name, espace string) *session {
	p.mu.Lock()
	defer p.mu.Unlock()
	t := p.tokens[name]
	delete(p.tokens, name)
	if t == nil || t.espace != espace || time.Since(t.issued) > 5*time.Minute {
		return nil
	}
	if len(p.sessions) > 10_000 { // a demo may run for weeks
		maps.DeleteFunc(p.sessions, func(_ int, s *session) bool {
			if time.Since(s.began) < 2*time.Hour {
				return false
			}
			s.end()
			return true
		})
	}
	p.number++
	s := &session{
		Session: Session{Number: p.number, Espace: espace, Person: t.person, Ticket: t.ticket},
		kind:    t.kind, began: time.Now(),
	}
	s.ctx, s.end = context.WithCancel(p.ctx)
	p.sessions[s.Number] = s
	return s
}

// nextNumber numbers a page that nobody is logged in to by PRONOTE.
func (p *pronote) nextNumber() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.number++
	return p.number
}

func (p *pronote) session(number int) *session {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.sessions[number]
}

// singleLogout looks for a CAS logout message, in a form or bare, and ends what
// it names.
func (p *pronote) singleLogout(r *http.Request) bool {
	body, _ := io.ReadAll(r.Body) // in memory: see receive
	r.Body = io.NopCloser(bytes.NewReader(body))
	message := r.PostFormValue("logoutRequest")
	r.Body = io.NopCloser(bytes.NewReader(body))
	if message == "" {
		message = string(body)
	}
	doc, err := parse([]byte(message))
	if err != nil {
		return false
	}
	prefix, ok := strings.CutSuffix(doc.children[0].name, "LogoutRequest")
	if !ok {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, index := range doc.find(prefix + "SessionIndex") {
		ticket := strings.TrimSpace(index.text)
		for _, s := range p.sessions {
			if s.Ticket != "" && s.Ticket == ticket {
				s.end()
			}
		}
		maps.DeleteFunc(p.tokens, func(_ string, t *token) bool { return t.ticket != "" && t.ticket == ticket })
	}
	return true
}
