package casauth

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"sync/atomic"
	"time"
)

// keyring holds the site's secret key, which signs what the browser keeps for
// us. It is made by the first login, in the store, and shared by all nodes.
type keyring struct {
	store   Store
	path    string
	making  turn
	secret  atomic.Pointer[[32]byte]
	start   time.Time
	checked atomic.Int64 // since start: when the store was last asked for it
}

// load returns the key, or fs.ErrNotExist where nobody has logged in yet.
func (k *keyring) load(ctx context.Context) (*[32]byte, error) {
	if secret := k.secret.Load(); secret != nil {
		return secret, nil
	}
	return k.fetch(ctx)
}

// fetch takes the store's word for what the key is.
func (k *keyring) fetch(ctx context.Context) (*[32]byte, error) {
	data, err := k.store.Load(ctx, k.path)
	if err != nil {
		return nil, err
	}
	secret := new([32]byte)
	if copy(secret[:], data) != len(secret) || len(data) != len(secret) {
		return nil, fmt.Errorf("%w: the signing key %s is damaged: delete it and everybody logs in again", ErrStorage, k.path)
	}
	if known := k.secret.Load(); known != nil && *known == *secret {
		return known, nil
	}
	k.secret.Store(secret)
	return secret, nil
}

// Person returns a pseudonym for the CAS identifier user: the same on every node
// and after every restart, and nobody without the site's key can tell whose it is
// or make a list of all. It is "" while the key is not known here, which it is from
// the first login on.
func (s *Sessions) Person(user string) string {
	secret := s.keys.secret.Load()
	if secret == nil || user == "" {
		return ""
	}
	h := hmac.New(sha256.New, secret[:])
	h.Write([]byte("person\x00" + user))
	return hex.EncodeToString(h.Sum(nil)[:6])
}

// get returns the key and makes it where there is none. The turn comes before
// the store's lock: a file lock is polled once a second, and three hundred first
// logins that wait for it in turn would time out.
//
// A store that lost its data, as a Redis without persistence does, has no key any
// more, or that of a node which started since. A node that went on with the one it
// remembers would be another site to the others, and people would log in again at
// each change of node; so logins look at the store's once a second.
func (k *keyring) get(ctx context.Context) (*[32]byte, error) {
	known := k.secret.Load()
	if known != nil && !k.stale() {
		return known, nil
	}
	secret, err := k.agree(ctx, known)
	if errors.Is(err, ErrStorage) && known != nil {
		return known, nil // as good as it was
	}
	return secret, err
}

// stale lets one caller a second know that the store is to be asked.
func (k *keyring) stale() bool {
	now, last := int64(time.Since(k.start)), k.checked.Load()
	return now-last >= int64(recheck) && k.checked.CompareAndSwap(last, now)
}

// agree returns the store's key, or puts one there: known, if that is not nil.
func (k *keyring) agree(ctx context.Context, known *[32]byte) (*[32]byte, error) {
	if err := k.making.take(ctx); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrStorage, err)
	}
	defer k.making.give()
	if made := k.secret.Load(); known == nil && made != nil {
		return made, nil // while we waited
	}
	secret, err := k.fetch(ctx)
	if !errors.Is(err, fs.ErrNotExist) {
		return secret, err
	}
	if err := k.store.Lock(ctx, k.path); err != nil {
		return nil, err
	}
	defer func() { _ = k.store.Unlock(ctx, k.path) }()
	secret, err = k.fetch(ctx) // another node may have been first
	if !errors.Is(err, fs.ErrNotExist) {
		return secret, err
	}
	if secret = known; secret == nil {
		secret = new([32]byte)
		_, _ = rand.Read(secret[:]) // crypto/rand never fails (Go 1.24)
	}
	if err := k.store.Store(ctx, k.path, secret[:]); err != nil {
		return nil, err
	}
	k.secret.Store(secret)
	return secret, nil
}
