package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/certmagic"

	"github.com/pronote-cas/caddy-pronote-cas/casauth"
	"github.com/pronote-cas/caddy-pronote-cas/casauth/directory"
)

// storage is Caddy's storage as a casauth.Store: nearly the same interface.
type storage struct {
	certmagic.Storage
	// A file lock is polled once a second when it is contended, so those of this
	// process queue here first and only one of them asks the storage.
	local casauth.MemoryStore
}

// Load implements casauth.Store. The module for Redis that most have, up to its
// version 1.8.1, says of a server that does not answer that the key does not exist,
// which would log everybody out whenever Redis restarts. Its lists tell the two apart;
// and where one is answered, the server may just have come back, so it is asked again.
func (s *storage) Load(ctx context.Context, key string) ([]byte, error) {
	value, err := s.Storage.Load(ctx, key)
	if errors.Is(err, fs.ErrNotExist) && strings.Contains(fmt.Sprintf("%T", s.Storage), "redis") {
		if _, unanswered := s.List(ctx, "pronote_cas/nothing", false); unanswered != nil && !errors.Is(unanswered, fs.ErrNotExist) {
			return nil, unanswered
		}
		return s.Storage.Load(ctx, key)
	}
	return value, err
}

// Lock implements casauth.Store.
func (s *storage) Lock(ctx context.Context, name string) error {
	if err := s.local.Lock(ctx, name); err != nil {
		return err
	}
	err := s.Storage.Lock(ctx, name)
	if err != nil {
		_ = s.local.Unlock(ctx, name) // never fails
	}
	return err
}

// Unlock implements casauth.Store.
func (s *storage) Unlock(ctx context.Context, name string) error {
	defer func() { _ = s.local.Unlock(ctx, name) }() // never fails
	return s.Storage.Unlock(ctx, name)
}

// Delete implements casauth.Store. certmagic asks of storages that they delete what
// lies below a key as well, but those in Redis leave it: expired sessions, and the
// names in them, would stay there for good.
func (s *storage) Delete(ctx context.Context, key string) error {
	if _, files := s.Storage.(*certmagic.FileStorage); files {
		return s.Storage.Delete(ctx, key) // as certmagic asks, and in one go
	}
	if info, err := s.Stat(ctx, key); err == nil && info.IsTerminal {
		return s.Storage.Delete(ctx, key)
	}
	below, err := s.List(ctx, key, true)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if done, err := s.deleteEach(ctx, below); err != nil || !done {
		return err
	}
	return s.Storage.Delete(ctx, key)
}

// deleteEach deletes keys, several at a time, and reports whether it got to the end
// in half the time that is left: what stays of an expired bucket is found by the next
// sweep, whereas a storage that takes too long is taken for one that is gone.
func (s *storage) deleteEach(ctx context.Context, keys []string) (done bool, _ error) {
	enough := ctx
	if deadline, ok := ctx.Deadline(); ok {
		half, cancel := context.WithTimeout(ctx, time.Until(deadline)/2)
		defer cancel()
		enough = half
	}
	queue, failures := make(chan string), make(chan error, len(keys))
	var workers sync.WaitGroup
	for range min(len(keys), 8) {
		workers.Go(func() {
			for key := range queue {
				failures <- s.Storage.Delete(ctx, key)
			}
		})
	}
	done = true
	for _, key := range keys {
		select {
		case queue <- key:
			continue
		case <-enough.Done():
			done = false
		}
		break
	}
	close(queue)
	workers.Wait()
	close(failures)
	var err error
	for failure := range failures {
		err = errors.Join(err, failure)
	}
	return done, err
}

// pool holds what outlives a configuration: the sessions, their cache and the
// responses under way. Nothing in it knows a configuration's logger or context.
var pool = caddy.NewUsagePool()

type pooledSessions struct{ *casauth.Sessions }

// Destruct implements caddy.Destructor.
func (p pooledSessions) Destruct() error {
	p.Close()
	return nil
}

type pooledMemory struct{ casauth.MemoryStore }

// Destruct implements caddy.Destructor.
func (*pooledMemory) Destruct() error { return nil }

// pooledSessions returns the sessions of the site: those of the configuration
// before, where nothing that matters to them has changed.
func (h *Handler) pooledSessions(ctx caddy.Context, set *settings) *casauth.Sessions {
	var store casauth.Store
	var where string
	if set.memory {
		// In a pool of its own: other lifetimes make new Sessions, but log nobody out.
		where = "memory"
		store = h.shared("memory "+set.session.Site, func() caddy.Destructor { return new(pooledMemory) }).(*pooledMemory)
	} else {
		where = identify(ctx.Storage())
		store = &storage{Storage: ctx.Storage()}
	}
	c := set.session
	key := fmt.Sprintf("sessions %s %s %s %s %s", c.Site, where, time.Duration(c.TTL), c.Idle, c.Grace)
	sessions := h.shared(key, func() caddy.Destructor { return pooledSessions{casauth.NewSessions(store, c)} })
	return sessions.(pooledSessions).Sessions
}

type pooledDirectory struct {
	*directory.Directory
	stop chan struct{}
}

// Destruct implements caddy.Destructor.
func (p pooledDirectory) Destruct() error {
	close(p.stop)
	return nil
}

// newPooledDirectory keeps d, and prunes it until nobody uses it any more.
func newPooledDirectory(d *directory.Directory, retention time.Duration) pooledDirectory {
	p := pooledDirectory{d, make(chan struct{})}
	go p.prune(retention)
	return p
}

// prune deletes, once a day, who has not been seen for retention.
func (p pooledDirectory) prune(retention time.Duration) {
	for next := time.NewTimer(time.Hour); ; next.Reset(24 * time.Hour) { // not at the start, which may be one of many
		select {
		case <-p.stop:
			return
		case <-next.C:
			_, _ = p.Prune(context.Background(), retention) // what stays is deleted tomorrow
		}
	}
}

// pooledDirectory returns the site's directory, with the rows that it has read.
func (h *Handler) pooledDirectory(ctx caddy.Context, set *settings) *directory.Directory {
	plan := set.people
	key := fmt.Sprintf("directory %s %p %s %+v", set.session.Site, h.sessions, identify(ctx.Storage()), plan)
	shared := h.shared(key, func() caddy.Destructor {
		var elsewhere casauth.Store
		switch {
		case plan.folder != "":
			elsewhere = &storage{Storage: &certmagic.FileStorage{Path: plan.folder}}
		case set.memory: // sessions may be lost, who is who must not be
			elsewhere = &storage{Storage: ctx.Storage()}
		}
		return newPooledDirectory(h.sessions.Directory(elsewhere, plan.config), plan.retention)
	})
	return shared.(pooledDirectory).Directory
}

// shared returns what the pool has under key, or puts there what create makes.
// Cleanup gives it back.
func (h *Handler) shared(key string, create func() caddy.Destructor) any {
	value, _, _ := pool.LoadOrNew(key, func() (caddy.Destructor, error) { return create(), nil }) // create has no error
	h.pooled = append(h.pooled, key)
	return value
}

// identify tells storages apart. Two configurations have the same one only where
// that is certain; where it is not, sessions are looked up afresh, which is all.
func identify(s certmagic.Storage) string {
	if files, ok := s.(*certmagic.FileStorage); ok {
		return files.Path
	}
	return fmt.Sprintf("%T %p", s, s)
}
