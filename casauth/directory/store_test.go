package directory

import (
	"context"
	"errors"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// memory is a Store that can crash: after a number of writes it fails for good,
// as a process that was killed has written nothing more.
type memory struct {
	mu     sync.Mutex
	values map[string][]byte
	locks  map[string]chan struct{}
	counts map[string]int // calls by operation
	left   int            // writes until the crash; -1: none
	far    time.Duration  // how long everything takes; in a synctest bubble
}

func newMemory() *memory {
	return &memory{values: make(map[string][]byte), locks: make(map[string]chan struct{}), counts: make(map[string]int), left: -1}
}

var errCrash = errors.New("crashed")

func (m *memory) count(op string) error {
	m.counts[op]++
	if m.left == 0 {
		return errCrash
	}
	if m.left > 0 && (op == "store" || op == "delete") {
		m.left--
	}
	return nil
}

func (m *memory) Load(_ context.Context, key string) ([]byte, error) {
	time.Sleep(m.far)
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.count("load"); err != nil {
		return nil, err
	}
	value, ok := m.values[key]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return value, nil
}

func (m *memory) Store(_ context.Context, key string, value []byte) error {
	time.Sleep(m.far)
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.count("store"); err != nil {
		return err
	}
	m.values[key] = slices.Clone(value)
	return nil
}

func (m *memory) Delete(_ context.Context, key string) error {
	time.Sleep(m.far)
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.count("delete"); err != nil {
		return err
	}
	for k := range m.values {
		if k == key || strings.HasPrefix(k, key+"/") {
			delete(m.values, k)
		}
	}
	return nil
}

func (m *memory) List(_ context.Context, prefix string, recursive bool) ([]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.count("list"); err != nil {
		return nil, err
	}
	var keys []string
	for k := range m.values {
		rest, below := strings.CutPrefix(k, prefix+"/")
		if !below {
			continue
		}
		if !recursive {
			rest, _, _ = strings.Cut(rest, "/")
		}
		keys = append(keys, path.Join(prefix, rest))
	}
	slices.Sort(keys)
	return slices.Compact(keys), nil
}

func (m *memory) Lock(ctx context.Context, name string) error {
	for {
		m.mu.Lock()
		held, taken := m.locks[name]
		if !taken {
			defer m.mu.Unlock()
			if err := m.count("lock"); err != nil {
				return err
			}
			m.locks[name] = make(chan struct{})
			return nil
		}
		m.mu.Unlock()
		select {
		case <-held:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (m *memory) Unlock(_ context.Context, name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	close(m.locks[name])
	delete(m.locks, name)
	return nil
}

// restart is the same store after the crash, for another process.
func (m *memory) restart() *memory {
	m.mu.Lock()
	defer m.mu.Unlock()
	after := newMemory()
	for k, v := range m.values {
		after.values[k] = v
	}
	return after
}

func open(store Store) *Directory {
	return New(store, "site/directory", Config{Identifier: []string{"idPronote"}, Match: true})
}

// put imports a list and fails the test if that does not go through.
func put(t testing.TB, d *Directory, mode Mode, list string) Report {
	t.Helper()
	report, err := d.Import(t.Context(), strings.NewReader(list), "list.csv", mode, false, nil)
	if err != nil {
		t.Fatalf("importing: %v", err)
	}
	return report
}

func resolve(t testing.TB, d *Directory, c Claim) Result {
	t.Helper()
	result, err := d.Resolve(t.Context(), c)
	if err != nil {
		t.Fatalf("resolving %+v: %v", c, err)
	}
	return result
}

// sends is a claim with attributes given as name, value, name, value.
func sends(user string, pairs ...string) Claim {
	c := Claim{User: user, Attributes: make(map[string][]string)}
	for i := 0; i < len(pairs); i += 2 {
		c.Attributes[pairs[i]] = append(c.Attributes[pairs[i]], pairs[i+1])
	}
	return c
}

// holders fails the test where two CAS identifiers hold one PRONOTE identifier,
// or one holds two, and returns who holds what.
func holders(t testing.TB, store Store, users ...string) map[string]string {
	t.Helper()
	d := open(store)
	by := make(map[string]string)
	for _, user := range users {
		b, err := d.bindingOf(t.Context(), user)
		if err != nil {
			t.Fatal(err)
		}
		if b == nil {
			continue
		}
		if other, twice := by[b.PronoteID]; twice {
			t.Fatalf("%s holds what %s holds", user, other)
		}
		by[b.PronoteID] = user
	}
	return by
}
