package relay_test

import (
	"context"
	"errors"
	"io/fs"
	"path"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pronote-cas/caddy-pronote-cas/casauth/address"
	"github.com/pronote-cas/caddy-pronote-cas/casauth/relay"
)

// memory is a store, shared by the nodes of a test. An operation whose name is
// in fails gives an error.
type memory struct {
	mu     sync.Mutex
	values map[string][]byte
	locks  map[string]bool
	loads  []string
	fails  map[string]bool
	calls  map[string]int // how often each operation was asked for
}

var errGone = errors.New("the store is gone")

func newMemory() *memory {
	return &memory{values: map[string][]byte{}, locks: map[string]bool{}, fails: map[string]bool{}, calls: map[string]int{}}
}

func (m *memory) enter(operation string) (func(), error) {
	runtime.Gosched() // let the others in between any two operations
	m.mu.Lock()
	m.calls[operation]++
	if m.fails[operation] {
		m.mu.Unlock()
		return nil, errGone
	}
	return m.mu.Unlock, nil
}

func (m *memory) Load(_ context.Context, key string) ([]byte, error) {
	leave, err := m.enter("Load")
	if err != nil {
		return nil, err
	}
	defer leave()
	m.loads = append(m.loads, key)
	value, ok := m.values[key]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return value, nil
}

func (m *memory) Store(_ context.Context, key string, value []byte) error {
	leave, err := m.enter("Store")
	if err != nil {
		return err
	}
	defer leave()
	m.values[key] = value
	return nil
}

func (m *memory) Delete(_ context.Context, key string) error {
	leave, err := m.enter("Delete")
	if err != nil {
		return err
	}
	defer leave()
	for k := range m.values {
		if k == key || strings.HasPrefix(k, key+"/") {
			delete(m.values, k)
		}
	}
	return nil
}

func (m *memory) List(_ context.Context, prefix string, _ bool) ([]string, error) {
	leave, err := m.enter("List")
	if err != nil {
		return nil, err
	}
	defer leave()
	found := map[string]bool{}
	var keys []string
	for k := range m.values {
		if rest, below := strings.CutPrefix(k, prefix+"/"); below {
			child, _, _ := strings.Cut(rest, "/")
			if !found[child] {
				found[child] = true
				keys = append(keys, path.Join(prefix, child))
			}
		}
	}
	if keys == nil {
		return nil, fs.ErrNotExist
	}
	return keys, nil
}

func (m *memory) Lock(ctx context.Context, name string) error {
	for ctx.Err() == nil {
		leave, err := m.enter("Lock")
		if err != nil {
			return err
		}
		if !m.locks[name] {
			m.locks[name] = true
			leave()
			return nil
		}
		leave()
	}
	return ctx.Err()
}

func (m *memory) Unlock(_ context.Context, name string) error {
	leave, err := m.enter("Unlock")
	if err != nil {
		return err
	}
	defer leave()
	delete(m.locks, name)
	return nil
}

func (m *memory) asked(operation string) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.calls[operation]
}

// text is everything in the store, keys and values.
func (m *memory) text() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var b strings.Builder
	for k, v := range m.values {
		b.WriteString(k + "\n" + string(v) + "\n")
	}
	return b.String()
}

func (m *memory) keys(below string) (n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for k := range m.values {
		if strings.HasPrefix(k, below) {
			n++
		}
	}
	return n
}

// The site of the tests: PRONOTE on one private address, its old CAS listener on
// a second, both below / in public.
const (
	public  = "https://pronote.college.example"
	private = "http://10.0.0.5:8088"
	eleve   = private + "/eleve.html"
)

func origin(tb testing.TB, s string) address.Origin {
	tb.Helper()
	o, err := address.ParseOrigin(s)
	if err != nil {
		tb.Fatal(err)
	}
	return o
}

func prefixes(tb testing.TB, all ...string) []address.Prefix {
	tb.Helper()
	var parsed []address.Prefix
	for _, s := range all {
		p, err := address.ParsePrefix(s)
		if err != nil {
			tb.Fatal(err)
		}
		parsed = append(parsed, p)
	}
	return parsed
}

func services(tb testing.TB, root string, internal, allowed []string) *relay.Services {
	tb.Helper()
	s, err := relay.NewServices(origin(tb, public), root, prefixes(tb, internal...), prefixes(tb, allowed...))
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

// node is one server of the site on store. ended sessions live no more.
func node(tb testing.TB, store relay.Store, change ...func(*relay.Config)) *relay.Server {
	tb.Helper()
	c := relay.Config{
		Services: services(tb, "/", []string{private, "http://10.0.0.5:82"}, nil),
		Store:    store,
		Root:     "pronote_cas/site/relay",
		Alive:    func(context.Context, string) (bool, error) { return true, nil },
	}
	for _, f := range change {
		f(&c)
	}
	s, err := relay.New(c)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

func pupil() relay.Grant {
	return relay.Grant{
		Session: "sessions/42", SessionExpires: time.Now().Add(10 * time.Hour),
		User: "lea.martin", PronoteID: "KT2AQ3UW4S98DPYX", Service: eleve,
		Attributes: map[string][]string{"nom": {"Martin"}, "categories": {"National_1", "National_2"}},
	}
}

func issue(tb testing.TB, s *relay.Server, g relay.Grant) string {
	tb.Helper()
	ticket, err := s.Issue(tb.Context(), g)
	if err != nil {
		tb.Fatal(err)
	}
	return ticket
}

// code is a refusal's, or "" for none.
func code(r *relay.Refusal) relay.Code {
	if r == nil {
		return ""
	}
	return r.Code
}
