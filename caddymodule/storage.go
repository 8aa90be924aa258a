package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/caddyserver/certmagic"

	"github.com/pronote-cas/caddy-pronote-cas/casauth"
)

// storage is Caddy's storage as a casauth.Store: nearly the same interface.
type storage struct {
	certmagic.Storage
	// A file lock is polled once a second when it is contended, so those of this
	// process queue here first and only one of them asks the storage.
	local casauth.MemoryStore
}

// Load implements casauth.Store. The module for Redis that most have, up to its
// version 1.8.1, and that for S3 say of a server that does not answer that the key does
// not exist, which would log everybody out whenever it restarts. Where the storage turns
// out to answer, it may just have come back, so it is asked again.
func (s *storage) Load(ctx context.Context, key string) ([]byte, error) {
	value, err := s.Storage.Load(ctx, key)
	if !errors.Is(err, fs.ErrNotExist) {
		return value, err
	}
	if module := strings.ToLower(fmt.Sprintf("%T", s.Storage)); !strings.Contains(module, "redis") && !strings.Contains(module, "s3") {
		return nil, err
	}
	if unanswered := s.answers(ctx); unanswered != nil {
		return nil, unanswered
	}
	return s.Storage.Load(ctx, key)
}

// answers tells a storage that has nothing from one that is away: lists say so.
func (s *storage) answers(ctx context.Context) error {
	if _, err := s.List(ctx, "pronote_cas/nothing", false); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// List implements casauth.Store. certmagic's own for files looks at each of them once
// more and says "not there" of the whole folder when one has gone meanwhile, as every
// file does that is just being written.
func (s *storage) List(ctx context.Context, prefix string, recursive bool) ([]string, error) {
	if files, ok := s.Storage.(*certmagic.FileStorage); ok && !recursive {
		entries, err := os.ReadDir(files.Filename(prefix))
		if err == nil || errors.Is(err, fs.ErrNotExist) { // and no file where a folder should be
			keys := make([]string, len(entries))
			for i, entry := range entries {
				keys[i] = path.Join(prefix, entry.Name())
			}
			return keys, err
		}
	}
	found, err := s.Storage.List(ctx, prefix, recursive)
	switch {
	case err != nil && recursive && strings.Contains(err.Error(), "not supported"): // PostgreSQL: all, unless all is asked for
		found, err = s.Storage.List(ctx, prefix, false)
	case !recursive && slices.ContainsFunc(found, func(key string) bool { return strings.HasSuffix(key, prefix+"/") }): // S3: the folder itself
		found, err = s.Storage.List(ctx, prefix, true)
	}
	if err != nil {
		return nil, err
	}
	return below(found, prefix, recursive)
}

// below returns which of keys a list of prefix has: modules add what only begins like
// it, or lies deeper.
func below(keys []string, prefix string, recursive bool) ([]string, error) {
	var found []string
	for _, key := range keys {
		if key == "" {
			return nil, errors.New("the storage's list holds an empty key, as that for S3 says that it failed")
		}
		rest, ok := strings.CutPrefix(strings.Trim(key, "/"), prefix+"/")
		if !ok {
			continue
		}
		if !recursive {
			rest, _, _ = strings.Cut(rest, "/")
		}
		found = append(found, path.Join(prefix, rest))
	}
	slices.Sort(found)
	return slices.Compact(found), nil
}

// Lock implements casauth.Store. Consul's locks lie among the values, so a lock does not
// have the name of what it protects.
func (s *storage) Lock(ctx context.Context, name string) error {
	if err := s.local.Lock(ctx, name); err != nil {
		return err
	}
	err := s.Storage.Lock(ctx, name+".lock")
	if err != nil {
		_ = s.local.Unlock(ctx, name) // never fails
	}
	return err
}

// Unlock implements casauth.Store.
func (s *storage) Unlock(ctx context.Context, name string) error {
	defer func() { _ = s.local.Unlock(ctx, name) }() // never fails
	return s.Storage.Unlock(ctx, name+".lock")
}

// Delete implements casauth.Store. certmagic asks of storages that they delete what
// lies below a key as well, but those in Redis leave it: expired sessions, and the
// names in them, would stay there for good.
func (s *storage) Delete(ctx context.Context, key string) error {
	if _, files := s.Storage.(*certmagic.FileStorage); files {
		return s.Storage.Delete(ctx, key) // as certmagic asks, and in one go
	}
	if info, err := s.Stat(ctx, key); err == nil && info.IsTerminal {
		return s.deleteOne(ctx, key)
	}
	keys, err := s.List(ctx, key, true)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if done, err := s.deleteEach(ctx, keys); err != nil || !done {
		return err
	}
	return s.deleteOne(ctx, key)
}

// deleteOne deletes key alone. The module for Consul says of a server that does not
// answer that the key does not exist, and a logout would be forgotten.
func (s *storage) deleteOne(ctx context.Context, key string) error {
	err := s.Storage.Delete(ctx, key)
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := s.answers(ctx); err != nil {
		return err
	}
	if err := s.Storage.Delete(ctx, key); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
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
				failures <- s.deleteOne(ctx, key)
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
