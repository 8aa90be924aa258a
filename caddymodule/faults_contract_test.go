package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
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
