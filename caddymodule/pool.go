package caddymodule

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/certmagic"

	"github.com/pronote-cas/caddy-pronote-cas/casauth"
	"github.com/pronote-cas/caddy-pronote-cas/casauth/directory"
)

// pool holds what outlives a configuration: the sessions, their cache and the
// responses under way. Nothing in it knows a configuration's logger or context.
var pool = caddy.NewUsagePool()

type pooledSessions struct{ *casauth.Sessions }

// heirs are by site the sessions of all configurations that are loaded, the latest last.
var heirs = struct {
	sync.Mutex
	of map[string][]*casauth.Sessions
}{of: make(map[string][]*casauth.Sessions)}

func newPooledSessions(store casauth.Store, c casauth.SessionConfig) pooledSessions {
	p := pooledSessions{casauth.NewSessions(store, c)}
	heirs.Lock()
	defer heirs.Unlock()
	heirs.of[c.Site] = append(heirs.of[c.Site], p.Sessions)
	return p
}

// Destruct implements caddy.Destructor.
func (p pooledSessions) Destruct() error {
	heirs.Lock()
	defer heirs.Unlock()
	left := slices.DeleteFunc(heirs.of[p.Site], func(s *casauth.Sessions) bool { return s == p.Sessions })
	if heirs.of[p.Site] = left; len(left) == 0 {
		delete(heirs.of, p.Site)
		p.Close()
		return nil
	}
	p.CloseFor(left[len(left)-1])
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
	sessions := h.shared(key, func() caddy.Destructor { return newPooledSessions(store, c) })
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
