package casauth

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pronote-cas/caddy-pronote-cas/casauth/directory"
	"github.com/pronote-cas/caddy-pronote-cas/casauth/relay"
)

// Entry is a session as the people who look after sessions see it. Nothing in it
// opens anything.
type Entry struct {
	ID        string `json:"id"`                   // names the session, here alone: no cookie, no ticket, and not where it is stored
	User      string `json:"user"`                 // the CAS identifier; "", and no times, where the record cannot be read
	PronoteID string `json:"pronote_id,omitempty"` // "" where it is not known
	Arrival
	Created time.Time `json:"created"` // the login
	Seen    time.Time `json:"seen"`    // the person's last request; other nodes' to within a minute
	Expires time.Time `json:"expires"` // at the latest

	attributes map[string][]string
	path       string // in the store
}

// profileAttributes are in what ENTs say who is pupil, parent or teacher; each may
// hold several, in one value too.
var profileAttributes = []string{"categories", "ENTPersonProfils", "profile", "profil"}

// HasProfile reports whether the CAS server sent profile, in any spelling, as one of
// the person's: "National_2", or what it stands for, such as "parents". A number of
// the SDET (the ministry's framework for ENTs) asks for itself alone: several of
// them stand for staff.
func (e *Entry) HasProfile(profile string) bool {
	asked := directory.Fold(profile)
	category, isCategory := directory.ParseCategory(profile)
	isCategory = isCategory && !strings.HasPrefix(asked, "national")
	for _, name := range profileAttributes {
		for _, values := range e.attributes[name] {
			for _, value := range directory.Several(values) {
				is, _ := directory.ParseCategory(value)
				if asked != "" && directory.Fold(value) == asked || isCategory && is == category {
					return true
				}
			}
		}
	}
	return false
}

// List returns the sessions that live, on whichever node, by the time of their
// login. It asks the store and not this node's memory, so that whoever ended one a
// moment ago elsewhere sees it gone. The error is an ErrStorage.
func (s *Sessions) List(ctx context.Context) ([]Entry, error) {
	buckets, err := s.buckets(ctx)
	if err != nil {
		return nil, err
	}
	var records []string
	active := make(map[string]bool) // whose last request is kept beside them
	for _, bucket := range buckets {
		where := s.bucketPath(bucket)
		keys, err := s.store.List(ctx, where, false)
		if err != nil {
			return nil, err
		}
		for _, key := range keys {
			name, isSeen := strings.CutSuffix(path.Base(key), path.Base(seenPath("")))
			if _, ok := keyOfName(name); !ok {
				continue // not ours, such as what a crash of the store left behind
			}
			if isSeen {
				active[path.Join(where, name)] = true
			} else {
				records = append(records, path.Join(where, name))
			}
		}
	}
	found := make([]*Entry, len(records))
	err = eightAtATime(len(records), func(i int) (err error) {
		found[i], err = s.entry(ctx, records[i], active[records[i]])
		return err
	})
	if err != nil {
		return nil, err
	}
	all := make([]Entry, 0, len(found))
	for _, e := range found {
		if e != nil {
			all = append(all, *e)
		}
	}
	slices.SortFunc(all, func(a, b Entry) int {
		return cmp.Or(a.Created.Compare(b.Created), strings.Compare(a.ID, b.ID))
	})
	return all, nil
}

// entry reads the session stored at where; nil for one that does not live any more. One
// that cannot be read keeps nobody from the rest: it is what this node remembers of it,
// and else nobody's.
func (s *Sessions) entry(ctx context.Context, where string, active bool) (*Entry, error) {
	r, err := s.load(ctx, where)
	if errors.Is(err, fs.ErrNotExist) || s.pending.has(where) {
		return nil, nil
	}
	id := sha256.Sum256([]byte("entry\x00" + where))
	e := &Entry{ID: hex.EncodeToString(id[:6]), path: where}
	known := s.cached(where)
	if isUnreadable(err) {
		if known == nil || known.good.Load() == 0 {
			return e, nil
		}
		r, err = known.record, nil
	}
	if err != nil {
		return nil, err
	}
	seen := r.Created.UnixNano()
	if active {
		at, err := s.store.Load(ctx, seenPath(where))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		var elsewhere int64
		if json.Unmarshal(at, &elsewhere) == nil { // damaged: what we know ourselves counts
			seen = max(seen, elsewhere)
		}
	}
	if known != nil {
		seen = max(seen, known.seen.Load())
	}
	now := time.Now()
	if !now.Before(r.Expires) || now.UnixNano()-seen > int64(s.Idle+s.flushEvery()) {
		return nil, nil
	}
	e.User, e.PronoteID, e.Arrival, e.attributes = r.User, r.PronoteID, r.Arrival, r.Attributes
	e.Created, e.Seen, e.Expires = r.Created, time.Unix(0, seen), r.Expires
	return e, nil
}

// Revoke ends the sessions for which which says so, on whichever node: here at once,
// with their live responses; on other nodes within a second. It returns them. An
// ErrStorage without any says that nothing was ended; with some, that the store
// could not be told of all of them yet, and will be when it is back.
func (s *Sessions) Revoke(ctx context.Context, which func(Entry) bool) ([]Entry, error) {
	all, err := s.List(ctx)
	if err != nil {
		return nil, err
	}
	ended := slices.DeleteFunc(all, func(e Entry) bool { return !which(e) })
	return ended, eightAtATime(len(ended), func(i int) error {
		if known := s.cached(ended[i].path); known != nil {
			return s.End(ctx, known)
		}
		return s.remove(ctx, ended[i].path)
	})
}

// Revoke ends sessions as [Sessions.Revoke] does, and returns besides whom PRONOTE
// has to be told about.
func (g *Gate) Revoke(ctx context.Context, which func(Entry) bool) ([]Entry, []relay.Logout, error) {
	ended, err := g.sessions.Revoke(ctx, which)
	farewells := make([][]relay.Logout, len(ended))
	_ = eightAtATime(len(ended), func(i int) error {
		farewells[i] = g.farewells(ctx, ended[i].path)
		return nil
	})
	return ended, slices.Concat(farewells...), err
}

// cached returns the session stored at where, if this node knows it.
func (s *Sessions) cached(where string) *Session {
	key, _ := keyOfName(path.Base(where))
	if session := s.cache.find(key); session != nil && session.path == where {
		return session
	}
	return nil
}

// keyOfName reads the name under which a session is stored.
func keyOfName(name string) (k ticketKey, ok bool) {
	raw, err := hex.DecodeString(name)
	if err != nil || len(raw) != len(k) {
		return k, false
	}
	return ticketKey(raw), true
}

// eightAtATime calls do for every i below n and returns the first error. A store may
// be a network away, and half of what a guard asks at once is left to logins.
func eightAtATime(n int, do func(i int) error) (err error) {
	var next atomic.Int64
	var wg sync.WaitGroup
	var first sync.Once
	for range min(8, n) {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				if failed := do(i); failed != nil {
					first.Do(func() { err = failed })
				}
			}
		})
	}
	wg.Wait()
	return err
}
