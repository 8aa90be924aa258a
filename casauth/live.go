package casauth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Hold ties a response that is under way to the session it is given to: ending
// the session cuts it. One Hold serves one response.
type Hold struct {
	session atomic.Pointer[Session]
	live    Live
}

// Live is a response that can be cut. Cut is called at most once, and not after
// Release has returned.
type Live interface{ Cut() }

// Hold registers a response, with the person's next session where there is one by now.
// It returns false where the session has ended in the meantime.
func (s *Session) Hold(h *Hold, live Live) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if next := s.next.Load(); next != nil {
		return next.Hold(h, live)
	}
	if s.ended.Load() {
		return false
	}
	if s.live == nil {
		s.live = make(map[*Hold]struct{})
	}
	h.live = live
	h.session.Store(s)
	s.live[h] = struct{}{}
	return true
}

// Over reports whether the session has ended, its person having no next one. It is
// for a response too brief to be held.
func (s *Session) Over() bool {
	for s.ended.Load() {
		if s = s.next.Load(); s == nil {
			return true
		}
	}
	return false
}

// Unseen reports whether the session, or the next one that its responses went on with,
// ended here alone, because the store could not be asked about it any more: it may go on
// when the store is back.
func (s *Session) Unseen() bool {
	for next := s.next.Load(); next != nil; next = s.next.Load() {
		s = next
	}
	return s.unseen.Load()
}

// gone is what a session that has ended means to somebody who had found it just
// before: ErrNoSession, or an ErrStorage where it ended unseen.
func (s *Session) gone() error {
	switch {
	case !s.ended.Load():
		return nil
	case s.unseen.Load():
		return fmt.Errorf("%w: past the grace", ErrStorage)
	}
	return ErrNoSession
}

// Release says that the response is over.
func (h *Hold) Release() {
	for {
		s := h.session.Load()
		if s == nil {
			return
		}
		s.mu.Lock()
		if h.session.Load() == s { // not handed on meanwhile
			delete(s.live, h)
			h.session.Store(nil)
			s.mu.Unlock()
			return
		}
		s.mu.Unlock()
	}
}

// end cuts the session's live responses and lets no new one begin.
func (s *Session) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended.Store(true)
	for h := range s.live {
		h.live.Cut()
		h.session.Store(nil) // last, so that after Release no Cut is still running
	}
	s.live = nil
}

// idle reports whether no response is under way.
func (s *Session) idle() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.live) == 0
}

// handOver gives the live responses of s to next, the same person's new session:
// logging in again in a second tab must not cut the download in the first.
func (s *Session) handOver(next *Session) {
	s.next.Store(next)
	s.mu.Lock()
	live := s.live
	s.live = nil
	next.mu.Lock()
	if next.live == nil {
		next.live = make(map[*Hold]struct{}, len(live))
	}
	for h := range live {
		next.live[h] = struct{}{}
		h.session.Store(next)
	}
	next.mu.Unlock()
	s.mu.Unlock()
	if next.ended.Load() { // meanwhile
		next.end()
	}
}

// Unseen decides on a request whose session could not be looked up any more while it
// was under way.
func (g *Gate) Unseen(r *http.Request) Decision {
	return refuse(&Visit{Request: r}, StorageUnavailable, errors.New("past the grace while a response was under way"))
}

// watch ends, within a second, the live responses of sessions that were ended on
// another node or ran out, and does the upkeep that hangs on time. After Close it
// goes on until nothing is left that it alone knows of: responses under way, and
// logouts that the store has yet to be told.
func (s *Sessions) watch() {
	tick := time.NewTicker(recheck / 4)
	defer tick.Stop()
	stop, closing := s.stop, false
	var forgotten <-chan time.Time // when nothing of what is pending could open any more
	var late <-chan time.Time      // until then a request that had found its session may begin its response
	for n := 0; ; n++ {
		select {
		case <-stop:
			stop, closing = nil, true
			forgotten, late = time.After(s.TTL), time.After(storageTimeout)
		case <-late:
			late = nil
		case <-forgotten:
			return
		case <-tick.C:
		}
		ctx := context.Background()
		if next := s.heir.Load(); next != nil {
			s.bequeath(next) // and what has begun since
		}
		busy := s.cache.all(func(session *Session) bool { return !session.idle() })
		_ = eightAtATime(len(busy), func(i int) error { s.watchOne(ctx, busy[i]); return nil })
		if s.store.stale() > 0 {
			_, _ = s.store.Load(ctx, s.keys.path) // or at night nobody would find out that it is back
		}
		s.pending.retry(func(where string) error { return s.store.Delete(ctx, where) })
		if closing && late == nil && !s.pending.some.Load() && len(s.cache.all(func(session *Session) bool { return !session.idle() })) == 0 {
			return
		}
		if n%(4*600) == 4*60 { // not at the start: a start that is only a check must write nothing
			now := time.Now()
			for _, session := range s.cache.all(func(session *Session) bool { return session.checked.Load() != 0 && now.After(session.Expires) }) {
				s.cache.drop(session)
			}
			_ = s.sweep(ctx) // what stays is swept next time
		}
	}
}

// bequeath gives next the responses under way and the logouts that the store has yet to
// be told.
func (s *Sessions) bequeath(next *Sessions) {
	for _, where := range s.pending.all() {
		next.pending.add(where)
		s.pending.done(where)
	}
	for _, session := range s.cache.all(func(session *Session) bool { return !session.idle() }) {
		same := newSession(session.key, session.path)
		same.record = session.record
		same.fresh(max(next.clock()-(s.clock()-session.good.Load()), 1), time.Unix(0, session.seen.Load()))
		session.handOver(next.cache.add(same))
	}
}

// watchOne looks after a session that has a response under way.
func (s *Sessions) watchOne(ctx context.Context, session *Session) {
	err := s.check(ctx, session)
	if err == nil {
		err = s.age(ctx, session, false)
	}
	// Nothing goes on unseen. What was begun within the grace has a moment to end by
	// itself: a page that breaks off helps nobody.
	if errors.Is(err, ErrStorage) && s.clock()-session.good.Load() >= int64(s.Grace+recheck) {
		s.cache.drop(session)
		session.unseen.Store(true)
		session.end()
	}
}

// keep writes down when people were last here, one after the other, so that a
// slow store is never asked by a crowd.
func (s *Sessions) keep() {
	for {
		select {
		case session := <-s.flush:
			s.keepOne(session)
		case <-s.stop:
			for { // whose turn was still to come; who takes over reads it in the store
				select {
				case session := <-s.flush:
					s.keepOne(session)
				default:
					return
				}
			}
		}
	}
}

func (s *Sessions) keepOne(session *Session) {
	at, _ := json.Marshal(session.seen.Load())
	_ = s.store.Store(context.Background(), seenPath(session.path), at) // best effort: the next request writes again
}

// flushEvery is how much a node's knowledge of a person's last request may lag
// behind: a twentieth of Idle, a minute at most.
func (s *Sessions) flushEvery() time.Duration { return min(s.Idle/20, time.Minute) }

func (s *Sessions) note(session *Session, now int64) {
	last := session.flushed.Load()
	if now-last < int64(s.flushEvery()) || !session.flushed.CompareAndSwap(last, now) {
		return
	}
	select {
	case s.flush <- session:
	default:
		session.flushed.Store(last)
	}
}

// seenElsewhere returns when any node last saw the person, in Unix nanoseconds.
func (s *Sessions) seenElsewhere(ctx context.Context, session *Session) (int64, error) {
	data, err := s.store.Load(ctx, seenPath(session.path))
	if errors.Is(err, fs.ErrNotExist) {
		return session.seen.Load(), nil
	}
	if err != nil {
		return 0, err
	}
	var at int64
	if err := json.Unmarshal(data, &at); err != nil {
		return session.seen.Load(), nil // damaged: what we know ourselves counts
	}
	return max(at, session.seen.Load()), nil
}

// pending are records to delete once the store can be asked again.
type pending struct {
	mu    sync.Mutex
	paths map[string]bool
	some  atomic.Bool
}

func (p *pending) add(where string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.paths == nil {
		p.paths = make(map[string]bool)
	}
	p.paths[where] = true
	p.some.Store(true)
}

func (p *pending) has(where string) bool {
	if !p.some.Load() {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.paths[where]
}

// retry deletes what is pending until the first failure.
func (p *pending) retry(remove func(string) error) {
	if !p.some.Load() {
		return
	}
	for _, where := range p.all() {
		if remove(where) != nil {
			return
		}
		p.done(where)
	}
}

func (p *pending) all() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Collect(maps.Keys(p.paths))
}

func (p *pending) done(where string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.paths, where)
	p.some.Store(len(p.paths) > 0)
}
