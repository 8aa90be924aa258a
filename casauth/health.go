package casauth

import "time"

// Health is how a site's sessions and their store are doing, for whoever watches.
type Health struct {
	Live          int           // sessions that this node knows and that would open
	StorageErrors uint64        // operations that the store refused or did not answer in time, since NewSessions
	Stale         time.Duration // since when the store has not answered; 0 while it does
}

// Health looks at what this node knows, and asks nobody.
func (s *Sessions) Health() Health {
	now := time.Now()
	idle := int64(s.Idle + s.flushEvery())
	live := s.cache.all(func(session *Session) bool {
		return session.good.Load() != 0 && !session.ended.Load() && // good first: before it the record is not to be read
			now.Before(session.Expires) && now.UnixNano()-session.seen.Load() <= idle
	})
	return Health{Live: len(live), StorageErrors: s.store.failures.Load(), Stale: s.store.stale()}
}

// userFrom returns the CAS identifier of whoever's session was made from ticket, where
// this node knows that session, or "".
func (s *Sessions) userFrom(ticket string) string {
	session := s.cache.find(keyOfTicket(s.Site, ticket))
	if session == nil || session.good.Load() == 0 {
		return ""
	}
	return session.User
}
