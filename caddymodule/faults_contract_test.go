package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/certmagic"

	"github.com/pronote-cas/caddy-pronote-cas/casauth/storetest"
)

// sparing is a storage that deletes the key that it is told, and not what lies below
// it, as those in Redis do.
type sparing struct {
	certmagic.FileStorage
	takes   time.Duration // each deletion
	deleted atomic.Int64
}

func (s *sparing) Delete(_ context.Context, key string) error {
	time.Sleep(s.takes)
	if info, err := os.Stat(s.Filename(key)); err != nil || info.IsDir() {
		return nil
	}
	s.deleted.Add(1)
	return os.Remove(s.Filename(key))
}

func (s *sparing) List(ctx context.Context, prefix string, recursive bool) ([]string, error) {
	if info, err := os.Stat(s.Filename(prefix)); err == nil && !info.IsDir() {
		return nil, errors.New("WRONGTYPE Operation against a key holding the wrong kind of value")
	}
	return s.FileStorage.List(ctx, prefix, recursive)
}

// Whatever module holds the certificates holds the sessions too.
func TestCaddysStoragesKeepTheStoresContract(t *testing.T) {
	t.Run("files", func(t *testing.T) {
		storetest.Run(t, &storage{Storage: &certmagic.FileStorage{Path: t.TempDir()}})
	})
	t.Run("one that deletes no more than it is told", func(t *testing.T) {
		storetest.Run(t, &storage{Storage: &sparing{FileStorage: certmagic.FileStorage{Path: t.TempDir()}}})
	})
	for name, m := range modules(t) {
		t.Run(name, func(t *testing.T) { storetest.Run(t, &storage{Storage: m}) })
	}
}

// modules stand for what storages for Caddy make of certmagic's interface. Each does what
// the published source of one of them does.
func modules(t *testing.T) map[string]*module {
	all := map[string]*module{"PostgreSQL": {postgres: true}, "S3": {s3: true}, "Consul": {consul: true}}
	for _, m := range all {
		m.Path = t.TempDir()
	}
	return all
}

// module keeps its values in files, and is as odd as its flags say.
type module struct {
	sparing
	postgres, s3, consul bool
	away                 atomic.Bool
}

const lockValue = "a lock, and no value"

// beginning are the keys that begin with prefix, for a database has no folders.
func (m *module) beginning(prefix string) (keys []string, _ error) {
	err := filepath.WalkDir(m.Path, func(file string, entry fs.DirEntry, err error) error {
		key, relErr := filepath.Rel(m.Path, file)
		if err != nil || relErr != nil || entry.IsDir() || strings.HasPrefix(key, "locks/") && strings.HasSuffix(key, ".lock") {
			return errors.Join(err, relErr)
		}
		if strings.HasPrefix(key, prefix) {
			keys = append(keys, key)
		}
		return nil
	})
	return keys, err
}

func (m *module) List(_ context.Context, prefix string, recursive bool) ([]string, error) {
	switch {
	case m.s3 && m.away.Load():
		return []string{""}, nil
	case m.away.Load():
		return nil, errAway
	case m.postgres && recursive:
		return nil, errors.New("recursive not supported")
	}
	keys, err := m.beginning(prefix)
	for i, key := range keys {
		switch {
		case m.s3 && !recursive:
			rest, _, deeper := strings.Cut(key[len(prefix):], "/")
			if keys[i] = prefix + rest; deeper {
				keys[i] += "/"
			}
		case m.consul && !recursive:
			child, _, _ := strings.Cut(strings.TrimPrefix(key, prefix+"/"), "/")
			keys[i] = prefix + "/" + child
		}
	}
	return slices.Compact(keys), err
}

func (m *module) Load(ctx context.Context, key string) ([]byte, error) {
	switch {
	case m.s3 && m.away.Load():
		return nil, fs.ErrNotExist
	case m.away.Load():
		return nil, errAway
	}
	value, err := m.sparing.Load(ctx, key)
	if string(value) == lockValue {
		return nil, errors.New("unable to decrypt data")
	}
	return value, err
}

func (m *module) Delete(ctx context.Context, key string) error {
	switch {
	case m.consul && m.away.Load():
		return fmt.Errorf("%s: %w", errAway, fs.ErrNotExist)
	case m.away.Load():
		return errAway
	}
	return m.sparing.Delete(ctx, key)
}

func (m *module) Stat(ctx context.Context, key string) (certmagic.KeyInfo, error) {
	if m.postgres {
		return m.sparing.Stat(ctx, key)
	}
	return certmagic.KeyInfo{Key: key}, nil
}

func (m *module) Lock(ctx context.Context, name string) error {
	if value, err := m.sparing.Load(ctx, name); m.consul && err == nil && string(value) != lockValue {
		return errors.New("existing key does not match lock use")
	}
	if m.consul {
		return m.Store(ctx, name, []byte(lockValue)) // it stays there
	}
	return nil
}

func (*module) Unlock(context.Context, string) error { return nil }

// A storage that is away is neither empty, nor has it forgotten what it was to delete.
func TestAModuleThatIsAwayIsNotBelieved(t *testing.T) {
	for name, m := range modules(t) {
		s := &storage{Storage: m}
		if name == "S3" {
			s.Storage = &s3Module{m}
		}
		if err := s.Store(t.Context(), "a/b", []byte("session")); err != nil {
			t.Fatal(err)
		}
		m.away.Store(true)
		if _, err := s.Load(t.Context(), "a/b"); err == nil || errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: loading: %v", name, err)
		}
		if err := s.Delete(t.Context(), "a/b"); err == nil || errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: deleting: %v", name, err)
		}
		if err := s.deleteOne(t.Context(), "a/b"); err == nil || errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s, away in the middle: deleting: %v", name, err)
		}
		if keys, err := s.List(t.Context(), "a", false); err == nil || errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: listing: %q, %v", name, keys, err)
		}
	}
}

// s3Module is a module by a name of S3's.
type s3Module struct{ *module }

// A revocation asks for all sessions while people log in, and every file that is written
// has another name first. That one is gone a moment later is not that there are none.
func TestAListIsNotEmptyBecauseAFileIsBeingWritten(t *testing.T) {
	s := &storage{Storage: &certmagic.FileStorage{Path: t.TempDir()}}
	var keys []string
	for n := range 300 {
		keys = append(keys, fmt.Sprintf("bucket/%03d", n))
		if err := s.Store(t.Context(), keys[n], []byte("a name")); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	var writers sync.WaitGroup
	for range 4 {
		writers.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				_ = s.Store(ctx, keys[n%len(keys)], []byte("a name")) // the list is what is tested
			}
		})
	}
	for range 200 {
		found, err := s.List(ctx, "bucket", false)
		if len(found) < len(keys) || err != nil {
			t.Errorf("%d of %d, %v", len(found), len(keys), err)
			break
		}
	}
	cancel()
	writers.Wait()
}

// redisMute is a storage that takes a server which does not answer for one that has
// nothing, as the module for Redis that most have did.
type redisMute struct{ sparing }

func (*redisMute) Load(context.Context, string) ([]byte, error) { return nil, fs.ErrNotExist }
func (*redisMute) List(context.Context, string, bool) ([]string, error) {
	return nil, errors.New("connection refused")
}

// Nobody is logged out because a storage cannot be asked.
func TestAStorageThatDoesNotAnswerIsNotAnEmptyOne(t *testing.T) {
	if _, err := (&storage{Storage: new(redisMute)}).Load(t.Context(), "pronote_cas/site/sessions/1/a"); err == nil || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a session that could not be asked for: %v", err)
	}
}

// A bucket of a whole school's expired sessions is not deleted at once where each
// deletion takes its time, and nobody takes the storage for gone because of it.
func TestALargeBucketIsDeletedAPieceAtATime(t *testing.T) {
	slow := &sparing{FileStorage: certmagic.FileStorage{Path: t.TempDir()}, takes: 20 * time.Millisecond}
	s := &storage{Storage: slow}
	const sessions = 300
	for n := range sessions {
		if err := s.Store(t.Context(), fmt.Sprintf("bucket/%d", n), []byte("a name")); err != nil {
			t.Fatal(err)
		}
	}
	sweeps := 0
	for left := sessions; left > 0; sweeps++ {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		err := s.Delete(ctx, "bucket")
		if ctx.Err() != nil {
			t.Errorf("sweep %d took all the time that it had", sweeps)
		}
		cancel()
		keys, listed := s.List(t.Context(), "bucket", true)
		if err != nil || listed != nil || len(keys) >= left {
			t.Fatalf("sweep %d: %v; %d left of %d, %v", sweeps, err, len(keys), left, listed)
		}
		left = len(keys)
	}
	if sweeps < 2 || slow.deleted.Load() != sessions {
		t.Errorf("%d deletions in %d sweeps", slow.deleted.Load(), sweeps)
	}
}
