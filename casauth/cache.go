package casauth

import "sync"

const (
	shards     = 64
	shardLimit = 1 << 10 // 65,536 sessions in all: several large schools on one node
)

// cache is what this node knows of its sessions: split so that no lock is shared
// by all requests, bounded so that no flood fills the memory.
type cache [shards]struct {
	sync.RWMutex
	byTicket map[ticketKey]*Session
}

func (c *cache) find(key ticketKey) *Session {
	shard := &c[key[0]%shards]
	shard.RLock()
	session := shard.byTicket[key]
	shard.RUnlock()
	return session
}

// add returns the session that is already there, or else adds this one.
func (c *cache) add(session *Session) *Session {
	shard := &c[session.key[0]%shards]
	shard.Lock()
	defer shard.Unlock()
	if known := shard.byTicket[session.key]; known != nil {
		return known
	}
	c.put(session)
	return session
}

// replace adds session and returns the one that had its place.
func (c *cache) replace(session *Session) (before *Session) {
	shard := &c[session.key[0]%shards]
	shard.Lock()
	defer shard.Unlock()
	before = shard.byTicket[session.key]
	c.put(session)
	return before
}

// put adds session to its shard, which is locked. A full shard gives up any
// session that has no response under way: it is in the store.
func (c *cache) put(session *Session) {
	shard := &c[session.key[0]%shards]
	if shard.byTicket == nil {
		shard.byTicket = make(map[ticketKey]*Session)
	}
	if len(shard.byTicket) >= shardLimit {
		for key, old := range shard.byTicket {
			if old.idle() {
				delete(shard.byTicket, key)
				break
			}
		}
	}
	shard.byTicket[session.key] = session
}

func (c *cache) drop(session *Session) {
	shard := &c[session.key[0]%shards]
	shard.Lock()
	defer shard.Unlock()
	if shard.byTicket[session.key] == session {
		delete(shard.byTicket, session.key)
	}
}

// all returns the sessions for which keep says so.
func (c *cache) all(keep func(*Session) bool) (found []*Session) {
	for i := range c {
		c[i].RLock()
		for _, session := range c[i].byTicket {
			if keep(session) {
				found = append(found, session)
			}
		}
		c[i].RUnlock()
	}
	return found
}
