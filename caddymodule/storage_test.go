package caddymodule

import (
	"testing"
	"testing/synctest"
	"time"

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
