package directory

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"sync"
	"sync/atomic"
)

// Store is what the directory needs of Caddy's storage. Keys are slash-separated
// paths; Load returns an error that is fs.ErrNotExist where there is nothing; a
// Store that returned nil survives a crash and is seen by every node's next Load;
// Delete takes what is below along, and nothing there is no error; List returns
// full keys; Lock holds back every other node.
type Store interface {
	Load(ctx context.Context, key string) ([]byte, error)
	Store(ctx context.Context, key string, value []byte) error
	Delete(ctx context.Context, key string) error
	List(ctx context.Context, prefix string, recursive bool) ([]string, error)
	Lock(ctx context.Context, name string) error
	Unlock(ctx context.Context, name string) error
}

// Config says what the CAS server sends.
type Config struct {
	// Identifier names the attributes that may carry the PRONOTE identifier; the
	// first value that is one counts.
	Identifier []string
	// Match recognises people by last name, first name, birth date and category.
	Match bool
	// Attributes names the attributes that those are in; "" is the usual name.
	Attributes Attributes
}

// Attributes are the names under which a CAS server sends who somebody is.
type Attributes struct {
	LastName  string // nom
	FirstName string // prenom
	BirthDate string // dateNaissance
	Category  string // categories
}

// Directory is who is who on one site. Several, on several nodes, may share one
// store; all methods may be called at the same time.
type Directory struct {
	store   Store
	root    string
	config  Config
	reading chan struct{} // held by the one that reads an import
	rows    atomic.Pointer[snapshot]
}

// New returns the directory below root in store. Nothing is read before it is
// needed. Errors of store are passed on, wrapped.
func New(store Store, root string, config Config) *Directory {
	for _, name := range []struct {
		of    *string
		usual string
	}{
		{&config.Attributes.LastName, "nom"},
		{&config.Attributes.FirstName, "prenom"},
		{&config.Attributes.BirthDate, "dateNaissance"},
		{&config.Attributes.Category, "categories"},
	} {
		if *name.of == "" {
			*name.of = name.usual
		}
	}
	d := &Directory{store: store, root: root, config: config, reading: make(chan struct{}, 1)}
	d.rows.Store(newSnapshot(manifest{}, nil))
	return d
}

// The kinds of small records; each is a folder in the store.
const (
	kindUsers      = "users"
	kindIDs        = "ids"
	kindConflicts  = "conflicts"
	kindUnresolved = "unresolved"
	kindTries      = "tries"
)

const hashLength = 32

// key returns where the record of kind for name is. The first digit of the hash
// is a folder of its own: a hundred thousand records are then listed in sixteen
// steps, each short enough for a store that lists a thousand at a time.
func (d *Directory) key(kind, name string) string {
	sum := sha256.Sum256([]byte(kind + "\x00" + name))
	hash := hex.EncodeToString(sum[:hashLength/2])
	return path.Join(d.root, kind, hash[:1], hash)
}

// lock takes the lock on the record of kind for name, and returns what gives it
// back.
func (d *Directory) lock(ctx context.Context, kind, name string) (unlock func(), err error) {
	key := d.key(kind, name)
	if err := d.store.Lock(ctx, key); err != nil {
		return nil, fmt.Errorf("locking: %w", err)
	}
	return func() { _ = d.store.Unlock(context.WithoutCancel(ctx), key) }, nil // a lock that stays goes stale
}

// load returns the record under key, or nil where there is none.
func load[T any](ctx context.Context, d *Directory, key string) (*T, error) {
	data, err := d.store.Load(ctx, key)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the directory: %w", err)
	}
	value := new(T)
	if err := json.Unmarshal(data, value); err != nil {
		// Not the error itself: it may quote what it could not read.
		return nil, fmt.Errorf("the directory's record %s is damaged: delete it", key)
	}
	return value, nil
}

func (d *Directory) save(ctx context.Context, key string, value any) error {
	data, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("encoding a record: %w", err)
	}
	if err := d.store.Store(ctx, key, data); err != nil {
		return fmt.Errorf("writing the directory: %w", err)
	}
	return nil
}

func (d *Directory) remove(ctx context.Context, key string) error {
	if err := d.store.Delete(ctx, key); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("deleting from the directory: %w", err)
	}
	return nil
}

// records returns all records of kind by key.
func records[T any](ctx context.Context, d *Directory, kind string) (map[string]*T, error) {
	var mu sync.Mutex
	var keys []string
	err := each(ctx, []byte("0123456789abcdef"), func(ctx context.Context, digit byte) error {
		found, err := d.store.List(ctx, path.Join(d.root, kind, string(rune(digit))), false)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("listing the directory: %w", err)
		}
		mu.Lock()
		defer mu.Unlock()
		for _, key := range found {
			if len(path.Base(key)) == hashLength { // not what a crash of the store left behind
				keys = append(keys, key)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	all := make(map[string]*T, len(keys))
	err = each(ctx, keys, func(ctx context.Context, key string) error {
		record, err := load[T](ctx, d, key)
		if err != nil || record == nil { // nil: deleted since it was listed
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		all[key] = record
		return nil
	})
	return all, err
}

// each calls do for every item, sixteen at a time, because a store may be a
// network away. It stops at the first error and returns that.
func each[T any](ctx context.Context, items []T, do func(context.Context, T) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(16, len(items)) {
		wg.Go(func() {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= len(items) {
					return
				}
				if err := do(ctx, items[i]); err != nil {
					cancel(err)
				}
			}
		})
	}
	wg.Wait()
	return context.Cause(ctx)
}
