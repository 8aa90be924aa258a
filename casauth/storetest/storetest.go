// Package storetest is what every casauth.Store must pass.
package storetest

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/pronote-cas/caddy-pronote-cas/casauth"
)

// Run tests that store, which is empty, keeps the contract of casauth.Store.
func Run(t *testing.T, store casauth.Store) {
	t.Run("what is stored is loaded, and the latest counts", func(t *testing.T) { values(t, store) })
	t.Run("deleting takes what is below along, and what is not there is no error", func(t *testing.T) { deletes(t, store) })
	t.Run("a list has the children, or all below", func(t *testing.T) { lists(t, store) })
	t.Run("a lock has one holder", func(t *testing.T) { locks(t, store) })
	t.Run("a lock that is held is given up with the context", func(t *testing.T) { gives(t, store) })
	t.Run("a lock leaves alone the value that has its name", func(t *testing.T) { namesakes(t, store) })
}

func values(t *testing.T, store casauth.Store) {
	ctx := t.Context()
	if _, err := store.Load(ctx, "values/none"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("loading what is not there: %v, want fs.ErrNotExist", err)
	}
	for _, value := range [][]byte{[]byte("one"), {0, 255, '\n'}, {}} {
		given := slices.Clone(value)
		if err := store.Store(ctx, "values/a/b", given); err != nil {
			t.Fatal(err)
		}
		if len(given) > 0 {
			given[0]++ // the caller's slice is the caller's
		}
		got, err := store.Load(ctx, "values/a/b")
		if err != nil || !bytes.Equal(got, value) {
			t.Errorf("loaded %q, %v, want %q", got, err, value)
		}
	}
}

func deletes(t *testing.T, store casauth.Store) {
	ctx := t.Context()
	for _, key := range []string{"deletes/1/a", "deletes/1/b/c", "deletes/10/a"} {
		if err := store.Store(ctx, key, []byte(key)); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		if err := store.Delete(ctx, "deletes/1"); err != nil {
			t.Errorf("deleting: %v", err)
		}
	}
	for key, want := range map[string]bool{"deletes/1/a": false, "deletes/1/b/c": false, "deletes/10/a": true} {
		if _, err := store.Load(ctx, key); (err == nil) != want {
			t.Errorf("after deleting deletes/1, loading %s: %v, want it there: %v", key, err, want)
		}
	}
}

func lists(t *testing.T, store casauth.Store) {
	ctx := t.Context()
	for _, key := range []string{"lists/1/a", "lists/1/b", "lists/2/c"} {
		if err := store.Store(ctx, key, []byte(key)); err != nil {
			t.Fatal(err)
		}
	}
	children, err := store.List(ctx, "lists", false)
	slices.Sort(children)
	if want := []string{"lists/1", "lists/2"}; err != nil || !slices.Equal(children, want) {
		t.Errorf("children %q, %v, want %q", children, err, want)
	}
	all, err := store.List(ctx, "lists", true)
	for _, want := range []string{"lists/1/a", "lists/1/b", "lists/2/c"} {
		if err != nil || !slices.Contains(all, want) {
			t.Errorf("all %q, %v, want %q in it", all, err, want)
		}
	}
	if none, err := store.List(ctx, "lists/none", false); len(none) > 0 || err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("nothing there: %q, %v", none, err)
	}
}

func locks(t *testing.T, store casauth.Store) {
	ctx := t.Context()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if err := store.Lock(ctx, "locks/counter"); err != nil {
				t.Error(err)
				return
			}
			defer func() {
				if err := store.Unlock(ctx, "locks/counter"); err != nil {
					t.Error(err)
				}
			}()
			value, _ := store.Load(ctx, "locks/value") // none, the first time
			n, _ := strconv.Atoi(string(value))
			if err := store.Store(ctx, "locks/value", []byte(strconv.Itoa(n+1))); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if value, err := store.Load(ctx, "locks/value"); string(value) != "8" {
		t.Errorf("eight holders counted to %q, %v", value, err)
	}
}

func gives(t *testing.T, store casauth.Store) {
	if err := store.Lock(t.Context(), "gives"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := store.Lock(ctx, "gives"); err == nil {
		t.Error("two holders")
	}
	if err := store.Unlock(t.Context(), "gives"); err != nil {
		t.Fatal(err)
	}
	if err := store.Lock(t.Context(), "gives"); err != nil {
		t.Error(err)
	}
	_ = store.Unlock(t.Context(), "gives") // the end of the test
}

func namesakes(t *testing.T, store casauth.Store) {
	const name = "namesakes/ticket"
	for range 2 { // the lock first, then the value
		if err := store.Lock(t.Context(), name); err != nil {
			t.Fatal(err)
		}
		if err := store.Store(t.Context(), name, []byte("value")); err != nil {
			t.Error(err)
		}
		if err := store.Unlock(t.Context(), name); err != nil {
			t.Error(err)
		}
		if value, err := store.Load(t.Context(), name); string(value) != "value" {
			t.Errorf("the value is %q, %v", value, err)
		}
	}
}
