package relay

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
)

// maxLogouts is how many of a session's validated tickets are remembered, the
// last ones: PRONOTE has long forgotten the others.
const maxLogouts = 20

// Logout is a login that PRONOTE is to be told the end of: a POST to URL of the
// form field logoutRequest (CAS 3.0 §2.3.3), as protocol.LogoutRequest writes it.
type Logout struct {
	URL    string `json:"url"`    // the service at PRONOTE's private address; at its public one only where no private one is known
	Ticket string `json:"ticket"` // validated, so of no other use any more
}

// A session's validated tickets lie in a directory of its own, in the bucket of
// the hour at which it has expired; one file each, so that nobody has to wait
// for a lock in order to add one.
func (s *Server) sessionPath(bucket, session string) string {
	return path.Join(s.Root, "validated", bucket, hash("session", session))
}

func (s *Server) remember(ctx context.Context, g Grant, ticket, service string) error {
	return s.keep(ctx, g.Session, g.SessionExpires, Logout{URL: s.Services.internal(service), Ticket: ticket})
}

// Inherit gives what an ended session opened at PRONOTE to the same person's next
// one, whose end will end that too. It is best effort, as single logout is.
func (s *Server) Inherit(ctx context.Context, logouts []Logout, session string, expires time.Time) error {
	var err error
	for _, l := range logouts {
		err = errors.Join(err, s.keep(ctx, session, expires, l))
	}
	return err
}

func (s *Server) keep(ctx context.Context, session string, expires time.Time, l Logout) error {
	data, err := json.Marshal(l)
	if err != nil {
		return err
	}
	bucket := strconv.FormatInt(expires.Unix()/3600+1, 10)
	where := s.sessionPath(bucket, session)
	name := fmt.Sprintf("%020d-%s", time.Now().UnixNano(), rand.Text()) // in the order of time
	if err := s.Store.Store(ctx, path.Join(where, name), data); err != nil {
		return err
	}
	names, err := s.list(ctx, where)
	if err != nil {
		return err
	}
	for _, oldest := range names[:max(len(names)-maxLogouts, 0)] {
		if err := s.Store.Delete(ctx, path.Join(where, oldest)); err != nil {
			return err
		}
	}
	return nil
}

// Ended returns whom to tell that session has ended, oldest first, and forgets
// it. It is called after the session was ended, so that no ticket of it is
// validated any more. Where the store fails, what was found comes with the error.
func (s *Server) Ended(ctx context.Context, session string) ([]Logout, error) {
	buckets, err := s.list(ctx, path.Join(s.Root, "validated"))
	if err != nil {
		return nil, err
	}
	var logouts []Logout
	for _, bucket := range buckets { // one for each hour of a session's life
		where := s.sessionPath(bucket, session)
		names, err := s.list(ctx, where)
		if err != nil {
			return logouts, err
		}
		if len(names) == 0 {
			continue
		}
		for _, name := range names {
			data, err := s.Store.Load(ctx, path.Join(where, name))
			if errors.Is(err, fs.ErrNotExist) {
				continue // another node was faster
			}
			if err != nil {
				return logouts, err
			}
			var l Logout
			if json.Unmarshal(data, &l) == nil && l.URL != "" {
				logouts = append(logouts, l)
			}
		}
		if err := s.Store.Delete(ctx, where); err != nil {
			return logouts, err
		}
	}
	return logouts, nil
}

// Sweep removes what has expired, without looking at what has not: to be called
// now and then, on any node. It goes on after an error.
func (s *Server) Sweep(ctx context.Context) error {
	now := time.Now().Unix()
	return errors.Join(
		s.sweep(ctx, "tickets", now/60),
		s.sweep(ctx, "validated", now/3600),
	)
}

// sweep removes the buckets below kind up to and including last.
func (s *Server) sweep(ctx context.Context, kind string, last int64) error {
	buckets, err := s.list(ctx, path.Join(s.Root, kind))
	for _, bucket := range buckets {
		if n, malformed := strconv.ParseInt(bucket, 10, 64); malformed == nil && n <= last {
			err = errors.Join(err, s.Store.Delete(ctx, path.Join(s.Root, kind, bucket)))
		}
	}
	return err
}

// list returns the names of the children of where, sorted.
func (s *Server) list(ctx context.Context, where string) ([]string, error) {
	keys, err := s.Store.List(ctx, where, false)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	names := make([]string, 0, len(keys))
	for _, key := range keys {
		names = append(names, path.Base(strings.TrimSuffix(key, "/")))
	}
	slices.Sort(names)
	return names, nil
}
