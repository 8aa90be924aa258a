package caddymodule

import (
	"context"
	"errors"
	"io/fs"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyserver/certmagic"

	"github.com/pronote-cas/caddy-pronote-cas/casauth"
	"github.com/pronote-cas/caddy-pronote-cas/casauth/directory"
)

// Who has left is forgotten when the retention is over, and nobody has to do anything.
func TestWhoHasLeftIsForgottenInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const retention = 40 * 24 * time.Hour
		d := newPooledDirectory(directory.New(new(casauth.MemoryStore), "directory", directory.Config{Identifier: []string{"idPronote"}}), retention)
		defer func() { _ = d.Destruct(); synctest.Wait() }() // no error
		if _, err := d.Resolve(t.Context(), directory.Claim{User: pupil, Attributes: map[string][]string{"idPronote": {pupilID}}}); err != nil {
			t.Fatal(err)
		}
		for _, step := range []struct {
			after time.Duration
			rows  int
		}{{retention - 24*time.Hour, 1}, {3 * 24 * time.Hour, 0}} {
			time.Sleep(step.after)
			synctest.Wait()
			if rows, err := d.Rows(t.Context()); err != nil || len(rows) != step.rows {
				t.Errorf("%d rows after %s more, want %d (%v)", len(rows), step.after, step.rows, err)
			}
		}
	})
}

// redisLike is a storage whose module says "not there" for a server that is away.
type redisLike struct {
	certmagic.Storage
	awayFor int // operations
}

var errAway = errors.New("connection refused")

func (r *redisLike) away() bool { r.awayFor--; return r.awayFor >= 0 }

func (r *redisLike) Load(ctx context.Context, key string) ([]byte, error) {
	if r.away() {
		return nil, fs.ErrNotExist
	}
	return r.Storage.Load(ctx, key)
}

func (r *redisLike) List(ctx context.Context, prefix string, recursive bool) ([]string, error) {
	if r.away() {
		return nil, errAway
	}
	return r.Storage.List(ctx, prefix, recursive)
}

// A Redis that restarts between two questions must not log anybody out.
func TestARedisThatIsAwayHasNotLostASession(t *testing.T) {
	files := &certmagic.FileStorage{Path: t.TempDir()}
	if err := files.Store(t.Context(), "known", []byte("session")); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		awayFor int
		key     string
		value   string
		err     error
	}{
		{0, "known", "session", nil},
		{1, "known", "session", nil}, // back in time for the list
		{2, "known", "", errAway},
		{0, "unknown", "", fs.ErrNotExist},
		{1, "unknown", "", fs.ErrNotExist},
		{2, "unknown", "", errAway},
	} {
		s := &storage{Storage: &redisLike{Storage: files, awayFor: test.awayFor}}
		if value, err := s.Load(t.Context(), test.key); string(value) != test.value || !errors.Is(err, test.err) {
			t.Errorf("away for %d operations, %s: %q, %v, want %q, %v", test.awayFor, test.key, value, err, test.value, test.err)
		}
	}
}
