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
)

// keyring holds the site's secret key, which signs what the browser keeps for
// us. It is made by the first login, in the store, and shared by all nodes.
type keyring struct {
	store  Store
	path   string
	making turn
	secret atomic.Pointer[[32]byte]
}

// load returns the key, or fs.ErrNotExist where nobody has logged in yet.
func (k *keyring) load(ctx context.Context) (*[32]byte, error) {
	if secret := k.secret.Load(); secret != nil {
		return secret, nil
	}
	data, err := k.store.Load(ctx, k.path)
	if err != nil {
		return nil, err
	}
	secret := new([32]byte)
	if copy(secret[:], data) != len(secret) || len(data) != len(secret) {
		return nil, fmt.Errorf("%w: the signing key %s is damaged: delete it and everybody logs in again", ErrStorage, k.path)
	}
	k.secret.CompareAndSwap(nil, secret)
	return k.secret.Load(), nil
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
func (k *keyring) get(ctx context.Context) (*[32]byte, error) {
	if secret := k.secret.Load(); secret != nil {
		return secret, nil
	}
	if err := k.making.take(ctx); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrStorage, err)
	}
	defer k.making.give()
	secret, err := k.load(ctx)
	if !errors.Is(err, fs.ErrNotExist) {
		return secret, err
	}
	if err := k.store.Lock(ctx, k.path); err != nil {
		return nil, err
	}
	defer func() { _ = k.store.Unlock(ctx, k.path) }()
	secret, err = k.load(ctx) // another node may have been first
	if !errors.Is(err, fs.ErrNotExist) {
		return secret, err
	}
	secret = new([32]byte)
	_, _ = rand.Read(secret[:]) // crypto/rand never fails (Go 1.24)
	if err := k.store.Store(ctx, k.path, secret[:]); err != nil {
		return nil, err
	}
	k.secret.Store(secret)
	return secret, nil
}
