package casauth

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/pronote-cas/caddy-pronote-cas/casauth/directory"
)

// ErrNoSession says that a cookie opens nothing (any more).
var ErrNoSession = errors.New("no session")

// recheck is how old the store's word on a session may be: a session ended on
// one node is refused on every other within this time.
const recheck = time.Second

// SessionConfig are the lifetimes of a site's sessions.
type SessionConfig struct {
	Site  string        // whose sessions they are: another site's cookie opens nothing
	TTL   time.Duration // from the login, absolute
	Idle  time.Duration // since the last request that the person made; never above TTL
	Grace time.Duration // how long a known session goes on while the store cannot be asked
}

// Sessions keeps a site's sessions in a Store and, bounded, in memory.
//
// A session is looked up in the store again at most once a second, by one
// request while the others wait for it.
type Sessions struct {
	SessionConfig
	store   *guard
	root    string
	keys    keyring
	cache   cache
	start   time.Time
	logins  flights       // tickets being validated, by whichever of the site's gates
	pending pending       // sessions ended here that the store could not yet be told about
	unknown chan struct{} // held while the store is asked about a ticket that this node knows nothing of
	flush   chan *Session
	stop    chan struct{}
	heir    atomic.Pointer[Sessions] // who looks after what is left; nil: nobody but these
}

// NewSessions returns the sessions of one site in store, and starts what keeps
// them: Close ends it. store is guarded here; the caller hands it over bare.
func NewSessions(store Store, c SessionConfig) *Sessions {
	root := path.Join("pronote_cas", c.Site)
	guarded := newGuard(store)
	s := &Sessions{
		SessionConfig: c, store: guarded, root: root,
		keys:    keyring{store: guarded, path: path.Join(root, "key"), making: newTurn(), start: time.Now()},
		unknown: make(chan struct{}, storageAtOnce/2),
		start:   time.Now(),
		flush:   make(chan *Session, 256),
		stop:    make(chan struct{}),
	}
	go s.keep()
	go s.watch()
	return s
}

// Directory opens the directory of who is who: it lies beside the sessions, or in
// elsewhere, if that is not nil.
func (s *Sessions) Directory(elsewhere Store, c directory.Config) *directory.Directory {
	store := s.store
	if elsewhere != nil {
		store = newGuard(elsewhere)
	}
	return directory.New(store, path.Join(s.root, "directory"), c)
}

// Reachable reports whether the store is not known to be gone: a ticket is not
// worth spending on a login that could not be kept.
func (s *Sessions) Reachable() bool { return s.store.reachable() }

// Close stops the upkeep. Responses that are still under way stay watched until
// they end by themselves: after a reload, long polls go on for minutes. So do the
// tries to tell the store of logouts that it could not be told.
func (s *Sessions) Close() { close(s.stop) }

// CloseFor is Close where the same site has other sessions now, next: it is they who
// look after what is left, for a reload closes the store of these.
func (s *Sessions) CloseFor(next *Sessions) {
	s.heir.Store(next)
	s.bequeath(next)
	s.Close()
}

// clock is the monotonic time since start, never 0: a wall clock that jumps
// must not make an old answer of the store young.
func (s *Sessions) clock() int64 { return int64(time.Since(s.start)) + 1 }

// Lookup returns the session that value, a cookie's, opens. person says that a
// person made the request, which is what keeps a session from idling out.
// The error is ErrNoSession or an ErrStorage.
func (s *Sessions) Lookup(ctx context.Context, value string, person bool) (*Session, error) {
	id, ok := decodeCookie(value)
	if !ok {
		return nil, ErrNoSession
	}
	session := s.cache.find(id.key())
	if session == nil {
		var err error
		if session, err = s.admit(ctx, id); err != nil {
			return nil, err
		}
	}
	if clock := s.clock(); session.checked.Load() == 0 || clock-session.checked.Load() >= int64(recheck) {
		if err := s.check(ctx, session); err != nil {
			return nil, err
		}
	}
	if err := session.gone(); err != nil {
		return nil, err
	}
	if subtle.ConstantTimeCompare(session.Proof, id.proof[:]) != 1 {
		return nil, ErrNoSession
	}
	if err := s.age(ctx, session, person); err != nil {
		return nil, err
	}
	return session, nil
}

// admit makes room for a session that this node does not know yet. Only a cookie
// that we wrote gets this far: a made-up one costs a MAC and no more.
func (s *Sessions) admit(ctx context.Context, id cookieID) (*Session, error) {
	secret, err := s.keys.load(ctx)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrNoSession
	}
	if err != nil {
		return nil, err
	}
	if !id.genuine(secret) || int64(id.bucket())*60 < time.Now().Unix() {
		return nil, ErrNoSession
	}
	where := s.sessionPath(id.bucket(), id.key())
	if s.pending.has(where) {
		return nil, ErrNoSession
	}
	return s.cache.add(newSession(id.key(), where)), nil
}

// check asks the store whether session is still there.
func (s *Sessions) check(ctx context.Context, session *Session) error {
	if err := session.checking.take(ctx); err != nil {
		return fmt.Errorf("%w: %w", ErrStorage, err)
	}
	defer session.checking.give()
	clock := s.clock()
	if err := session.gone(); err != nil {
		return err
	}
	if last := session.checked.Load(); last != 0 && clock-last < int64(recheck) {
		return nil
	}
	stored, err := s.load(ctx, session.path)
	if s.pending.has(session.path) {
		err = fs.ErrNotExist // ended here, and the store does not know yet
	}
	clock = s.clock()
	switch {
	case err == nil:
		if session.good.Load() == 0 { // the first time: from now on the record is read without a lock
			session.record = stored
			session.seen.Store(stored.Created.UnixNano())
			session.flushed.Store(stored.Created.UnixNano())
		}
		session.good.Store(clock)
		session.checked.Store(clock)
		return nil
	case errors.Is(err, fs.ErrNotExist):
		s.cache.drop(session)
		session.end()
		return ErrNoSession
	}
	if good := session.good.Load(); good != 0 && clock-good < int64(s.Grace) {
		return nil
	}
	return err
}

func (s *Sessions) load(ctx context.Context, where string) (r record, err error) {
	data, err := s.store.Load(ctx, where)
	if err != nil {
		return r, err
	}
	if err := json.Unmarshal(data, &r); err != nil {
		return r, fmt.Errorf("%w: a session's record is damaged: %w", fs.ErrNotExist, err) // a new login mends it
	}
	return r, nil
}

// age ends a session that is past its time and notes that the person was here.
func (s *Sessions) age(ctx context.Context, session *Session, person bool) error {
	now := time.Now()
	if !now.Before(session.Expires) {
		return s.expire(ctx, session)
	}
	seen := session.seen.Load()
	if now.UnixNano()-seen > int64(s.Idle) {
		elsewhere, err := s.seenElsewhere(ctx, session)
		if err != nil {
			return err
		}
		if now.UnixNano()-elsewhere > int64(s.Idle+s.flushEvery()) {
			return s.expire(ctx, session)
		}
		seen = elsewhere
		session.seen.Store(seen)
	}
	if person && now.UnixNano()-seen > int64(time.Second) {
		session.seen.Store(now.UnixNano())
		s.note(session, now.UnixNano())
	}
	return nil
}

func (s *Sessions) expire(ctx context.Context, session *Session) error {
	_ = s.End(ctx, session) // where the store cannot be told, End keeps trying
	return ErrNoSession
}

// End ends session everywhere: here at once, with its live responses; on other
// nodes within a second. An ErrStorage says that the store could not be told
// yet; the session stays ended here, and the store is told when it is back.
func (s *Sessions) End(ctx context.Context, session *Session) error {
	s.cache.drop(session)
	session.end()
	return s.remove(ctx, session.path)
}

func (s *Sessions) remove(ctx context.Context, where string) error {
	err := s.store.Delete(ctx, where)
	if err != nil {
		s.pending.add(where)
	}
	if found := s.cached(where); found != nil { // by a request that came before the store was told
		s.cache.drop(found)
		found.end()
	}
	return err
}

// EndUnasked ends the session that value, a cookie's, would open, for whoever leaves
// while Lookup cannot ask the store: that we wrote the cookie is enough to know where
// it lies. It returns the session's name; "" where not even that can be known. An
// ErrStorage with a name is that of End.
func (s *Sessions) EndUnasked(ctx context.Context, value string) (ended string, err error) {
	id, ok := decodeCookie(value)
	if !ok {
		return "", ErrNoSession
	}
	secret, err := s.keys.load(ctx)
	if err != nil {
		return "", err
	}
	if !id.genuine(secret) {
		return "", ErrNoSession
	}
	where := s.sessionPath(id.bucket(), id.key())
	return where, s.remove(ctx, where)
}

// EndTicket ends the session that was made from ticket, on whichever node, and
// returns its name; "" where there is none, which changes nothing.
func (s *Sessions) EndTicket(ctx context.Context, ticket string) (ended string, err error) {
	key := keyOfTicket(s.Site, ticket)
	if session := s.cache.find(key); session != nil {
		return session.path, s.End(ctx, session)
	}
	// Anybody can make up such a message. A flood of them waits for itself, and leaves
	// half of the store to those who work.
	select {
	case s.unknown <- struct{}{}:
		defer func() { <-s.unknown }()
	case <-ctx.Done():
		return "", fmt.Errorf("%w: %w", ErrStorage, ctx.Err())
	}
	buckets, err := s.buckets(ctx)
	if err != nil {
		return "", err
	}
	for _, bucket := range buckets {
		where := s.sessionPath(bucket, key)
		if _, err := s.store.Load(ctx, where); errors.Is(err, fs.ErrNotExist) {
			continue
		} else if err != nil {
			return "", err
		}
		return where, s.remove(ctx, where)
	}
	return "", nil
}

// Alive reports whether the session called name, on whichever node it was made,
// still lives. The error is an ErrStorage.
func (s *Sessions) Alive(ctx context.Context, name string) (bool, error) {
	if s.pending.has(name) {
		return false, nil
	}
	r, err := s.load(ctx, name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil && time.Now().Before(r.Expires), err
}

// buckets lists the buckets in the store: a handful, however many sessions live.
func (s *Sessions) buckets(ctx context.Context) ([]uint32, error) {
	keys, err := s.store.List(ctx, path.Join(s.root, "sessions"), false)
	if err != nil {
		return nil, err
	}
	buckets := make([]uint32, 0, len(keys))
	for _, key := range keys {
		if n, err := strconv.ParseUint(path.Base(strings.TrimSuffix(key, "/")), 10, 32); err == nil {
			buckets = append(buckets, uint32(n))
		}
	}
	return buckets, nil
}

// sweep removes the buckets in which everything has expired.
func (s *Sessions) sweep(ctx context.Context) error {
	buckets, err := s.buckets(ctx)
	for _, bucket := range buckets {
		if int64(bucket)*60 < time.Now().Unix() {
			err = errors.Join(err, s.store.Delete(ctx, s.bucketPath(bucket)))
		}
	}
	return err
}
