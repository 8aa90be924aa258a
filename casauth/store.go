package casauth

import (
	"context"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync"
)

// Store is where sessions, keys and tickets live. It is the part of
// certmagic.Storage that this project uses, so any storage that holds Caddy's
// certificates can hold them too.
//
// Keys are slash-separated paths. Every method may be called from many
// goroutines and must give up when its context ends.
type Store interface {
	// Load returns the value under key, or an error that is fs.ErrNotExist where
	// there is none. Any other error means that the store could not be asked.
	Load(ctx context.Context, key string) ([]byte, error)
	// Store keeps value under key. When it returns nil, every node's next Load
	// sees the value, and a crash does not lose it.
	Store(ctx context.Context, key string, value []byte) error
	// Delete removes key and everything below it. Nothing there is no error.
	Delete(ctx context.Context, key string) error
	// List returns the keys below prefix, in full: its direct children, or all of
	// them if recursive. Nothing there is an empty list or fs.ErrNotExist.
	List(ctx context.Context, prefix string, recursive bool) ([]string, error)
	// Lock waits until no other holder on any node has name, and takes it.
	Lock(ctx context.Context, name string) error
	// Unlock gives name back.
	Unlock(ctx context.Context, name string) error
}

// MemoryStore is the Store of `store memory`: one node, gone with the process.
// Its zero value is ready to use.
type MemoryStore struct {
	mu     sync.Mutex
	values map[string][]byte
	locks  map[string]chan struct{}
}

// Load implements Store.
func (m *MemoryStore) Load(_ context.Context, key string) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	value, ok := m.values[key]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return slices.Clone(value), nil
}

// Store implements Store.
func (m *MemoryStore) Store(_ context.Context, key string, value []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.values == nil {
		m.values = make(map[string][]byte)
	}
	m.values[key] = slices.Clone(value)
	return nil
}

// Delete implements Store.
func (m *MemoryStore) Delete(_ context.Context, key string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.values, key)
	for k := range m.values {
		if strings.HasPrefix(k, key+"/") {
			delete(m.values, k)
		}
	}
	return nil
}

// List implements Store.
func (m *MemoryStore) List(_ context.Context, prefix string, recursive bool) ([]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	found := make(map[string]bool)
	for k := range m.values {
		rest, below := strings.CutPrefix(k, prefix+"/")
		if !below {
			continue
		}
		if !recursive {
			rest, _, _ = strings.Cut(rest, "/")
		}
		found[path.Join(prefix, rest)] = true
	}
	keys := make([]string, 0, len(found))
	for k := range found {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys, nil
}

// Lock implements Store.
func (m *MemoryStore) Lock(ctx context.Context, name string) error {
	for {
		m.mu.Lock()
		held, taken := m.locks[name]
		if !taken {
			if m.locks == nil {
				m.locks = make(map[string]chan struct{})
			}
			m.locks[name] = make(chan struct{})
			m.mu.Unlock()
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

// Unlock implements Store.
func (m *MemoryStore) Unlock(_ context.Context, name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if held, taken := m.locks[name]; taken {
		close(held)
		delete(m.locks, name)
	}
	return nil
}
