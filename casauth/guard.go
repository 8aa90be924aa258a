package casauth

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync/atomic"
	"time"
)

// ErrStorage says that the store could not be asked: any error but "there is
// none", or no answer in time. Nothing may be concluded from it.
var ErrStorage = errors.New("storage unreachable")

const (
	storageTimeout = 2 * time.Second  // an answer that takes longer counts as none
	lockTimeout    = 15 * time.Second // a lock that a crash left behind goes stale after ten (certmagic)
	storageRetry   = time.Second      // after a failure, one caller in this time asks again
	storageHangs   = 200              // questions without an answer: from then on
	hangingRetry   = 10 * time.Minute // it is asked so seldom, and at once when one of them comes back
	storageAtOnce  = 16               // operations under way; the clock of a login in a crowd starts when its turn comes
)

// Guard wraps a Store so that one that is slow, stuck or gone costs nobody more
// than two seconds: an operation that takes longer fails, and while the store is
// known to be gone only one caller a second finds out whether it is back; the
// others fail at once. Every failure but fs.ErrNotExist is an ErrStorage.
func Guard(store Store) Store { return newGuard(store) }

func newGuard(store Store) *guard {
	return &guard{store: store, start: time.Now(), turns: make(chan struct{}, storageAtOnce)}
}

type guard struct {
	store Store
	start time.Time
	retry atomic.Int64 // since start: when the store may be asked again; 0: it answers
	turns chan struct{}

	stuck    atomic.Int64 // operations that were given up and have not come back
	failures atomic.Uint64
	down     atomic.Int64 // since start: the first failure since the last answer; 0: it answers
}

func (g *guard) Load(ctx context.Context, key string) (value []byte, err error) {
	return do(g, ctx, func(ctx context.Context) ([]byte, error) {
		value, err := g.store.Load(ctx, key)
		return value, g.alone(ctx, err)
	})
}

// alone returns err, as that of one key where the store answers.
func (g *guard) alone(ctx context.Context, err error) error {
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if _, other := g.store.Load(ctx, "pronote_cas/nothing"); errors.Is(other, fs.ErrNotExist) {
		return &unreadable{err}
	}
	return err
}

// unreadable says that a store that answers cannot read, or delete, one key, such as a
// file that belongs to root: nobody else has to be kept out because of it.
type unreadable struct{ error }

func isUnreadable(err error) bool {
	one := (*unreadable)(nil)
	return errors.As(err, &one)
}

func (g *guard) List(ctx context.Context, prefix string, recursive bool) (keys []string, err error) {
	keys, err = do(g, ctx, func(ctx context.Context) ([]string, error) { return g.store.List(ctx, prefix, recursive) })
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return keys, err
}

func (g *guard) Store(ctx context.Context, key string, value []byte) error {
	_, err := do(g, ctx, func(ctx context.Context) (struct{}, error) { return struct{}{}, g.store.Store(ctx, key, value) })
	if errors.Is(err, fs.ErrNotExist) { // its folder vanished
		return fmt.Errorf("%w: %v", ErrStorage, err)
	}
	return err
}

func (g *guard) Delete(ctx context.Context, key string) error {
	_, err := do(g, ctx, func(ctx context.Context) (struct{}, error) { return struct{}{}, g.alone(ctx, g.store.Delete(ctx, key)) })
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// Lock may wait for another holder, so it has a longer time and does not count
// as a failing store.
func (g *guard) Lock(ctx context.Context, name string) error {
	if !g.reachable() {
		return ErrStorage
	}
	ctx, cancel := context.WithTimeout(ctx, lockTimeout)
	defer cancel()
	done := make(chan error)
	go func() {
		err := g.store.Lock(ctx, name)
		select {
		case done <- err:
		case <-ctx.Done():
			if err == nil { // a lock that came too late must not stay behind
				_ = g.store.Unlock(context.WithoutCancel(ctx), name)
			}
		}
	}()
	select {
	case err := <-done:
		if err != nil {
			return fmt.Errorf("%w: %w", ErrStorage, err)
		}
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%w: locking: %w", ErrStorage, ctx.Err())
	}
}

func (g *guard) Unlock(ctx context.Context, name string) error {
	return g.store.Unlock(context.WithoutCancel(ctx), name)
}

// do asks the store, in a goroutine of its own because a storage module is free
// to ignore its context (a dead network file system does).
func do[T any](g *guard, ctx context.Context, ask func(context.Context) (T, error)) (T, error) {
	var none T
	if !g.reachable() {
		return none, ErrStorage
	}
	select {
	case g.turns <- struct{}{}:
		defer func() { <-g.turns }()
	case <-ctx.Done():
		return none, fmt.Errorf("%w: %w", ErrStorage, ctx.Err())
	}
	if !g.mayAsk() { // it may have failed while we waited
		return none, ErrStorage
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storageTimeout)
	defer cancel()
	type answer struct {
		value T
		err   error
	}
	answers := make(chan answer, 1)
	go func() {
		value, err := ask(ctx)
		answers <- answer{value, err}
	}()
	select {
	case a := <-answers:
		if a.err == nil || errors.Is(a.err, fs.ErrNotExist) {
			g.retry.Store(0)
			g.down.Store(0)
			return a.value, a.err
		}
		if isUnreadable(a.err) {
			g.failures.Add(1)
			g.retry.Store(0)
			g.down.Store(0)
		} else {
			g.fail()
		}
		return none, fmt.Errorf("%w: %w", ErrStorage, a.err)
	case <-ctx.Done():
		g.stuck.Add(1)
		go func() {
			<-answers
			g.stuck.Add(-1)
			if at, soon := g.retry.Load(), int64(time.Since(g.start)+storageRetry); at > soon {
				g.retry.CompareAndSwap(at, soon)
			}
		}()
		g.fail()
		return none, fmt.Errorf("%w: no answer in %s", ErrStorage, storageTimeout)
	}
}

// fail puts off the next question, for long where many are stuck: in a network file
// system that hangs each holds a thread, and Go ends the process at ten thousand.
func (g *guard) fail() {
	now, pause := time.Since(g.start), storageRetry
	if g.stuck.Load() >= storageHangs {
		pause = hangingRetry
	}
	g.failures.Add(1)
	g.down.CompareAndSwap(0, max(int64(now), 1))
	g.retry.Store(int64(now + pause))
}

// stale returns since when the store has not answered; 0 while it does.
func (g *guard) stale() time.Duration {
	if down := g.down.Load(); down != 0 {
		return time.Since(g.start) - time.Duration(down)
	}
	return 0
}

// reachable reports whether an operation would be tried.
func (g *guard) reachable() bool {
	at := g.retry.Load()
	return at == 0 || int64(time.Since(g.start)) >= at
}

// mayAsk lets everybody through while the store answers, and one caller per
// storageRetry while it does not.
func (g *guard) mayAsk() bool {
	at := g.retry.Load()
	if at == 0 {
		return true
	}
	now := time.Since(g.start)
	return int64(now) >= at && g.retry.CompareAndSwap(at, int64(now+storageTimeout))
}
