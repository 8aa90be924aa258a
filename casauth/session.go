package casauth

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"path"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// Identity is who a login turned out to be.
type Identity struct {
	User       string              `json:"user"`                 // the CAS identifier
	PronoteID  string              `json:"pronote_id,omitempty"` // 16 characters, or "" where it is not known
	Attributes map[string][]string `json:"attributes,omitempty"` // what the CAS server sent
}

// Arrival is where a login came from, for the people who look after sessions.
type Arrival struct {
	From   string `json:"from,omitempty"`   // IP address; "" where it is not known
	Espace string `json:"espace,omitempty"` // the Espace that the login was for, by its name in the directive; "" for none
}

// Session is one login on this site, as this node knows it. Identity, Created
// and Expires never change; the rest is how the node keeps it up to date.
type Session struct {
	record
	key  ticketKey
	path string // in the store

	checking turn         // held by the one request that asks the store
	checked  atomic.Int64 // clock of the last try; 0: never
	good     atomic.Int64 // clock of the last answer of the store
	ended    atomic.Bool
	unseen   atomic.Bool             // it ended here alone, because the store could not be asked for too long
	next     atomic.Pointer[Session] // the same person's, where that is why it ended
	seen     atomic.Int64            // Unix nanoseconds of the person's last request
	flushed  atomic.Int64            // as seen, as last handed to the store

	mu   sync.Mutex
	live map[*Hold]struct{} // responses under way
}

// record is a session as it is stored: written once, at login, and only ever
// deleted, so that no late write brings an ended session back.
type record struct {
	Identity
	Arrival
	Created time.Time `json:"created"`
	Expires time.Time `json:"expires"`
	Proof   []byte    `json:"proof"` // SHA-256 of the cookie's value; the value itself is kept nowhere
}

func newSession(key ticketKey, path string) *Session {
	return &Session{key: key, path: path, checking: newTurn()}
}

// turn is a mutex that can be waited for until a context ends.
type turn chan struct{}

func newTurn() turn { return make(turn, 1) }

func (t turn) take(ctx context.Context) error {
	select {
	case t <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (t turn) give() { <-t }

// MadeFrom reports whether ticket is the one that this session was made from.
func (s *Session) MadeFrom(site, ticket string) bool { return s.key == keyOfTicket(site, ticket) }

// ticketKey names a session by the service ticket that it was made from, so that
// single logout (CAS 3.0 §2.3.3), which knows nothing but the ticket, finds it
// without an index of its own that would have to be written, and kept, as well.
type ticketKey [16]byte

func keyOfTicket(site, ticket string) (k ticketKey) {
	sum := sha256.Sum256([]byte("ticket\x00" + site + "\x00" + ticket))
	copy(k[:], sum[:])
	return k
}

// A cookie's value is the base64 of
//
//	bucket 4 | ticket key 16 | secret 32 | MAC 16
//
// bucket and ticket key say where the session is stored, the secret is what
// only this browser has, and the MAC spares the store every made-up cookie.
const (
	secretAt    = 4 + len(ticketKey{})
	macAt       = secretAt + 32
	cookieBytes = macAt + 16
)

var (
	cookieEncoding = base64.RawURLEncoding.Strict()
)

// cookieID is a cookie's value, decoded but not yet believed.
type cookieID struct {
	raw   [cookieBytes]byte
	proof [sha256.Size]byte
}

// decodeCookie reads value without allocating; ok is false for anything that we
// cannot have written.
func decodeCookie(value string) (id cookieID, ok bool) {
	var text [(cookieBytes*8 + 5) / 6]byte
	if len(value) != len(text) {
		return id, false
	}
	copy(text[:], value)
	if _, err := cookieEncoding.Decode(id.raw[:], text[:]); err != nil {
		return id, false
	}
	id.proof = sha256.Sum256(text[:])
	return id, true
}

func (id *cookieID) key() (k ticketKey) { copy(k[:], id.raw[4:]); return k }
func (id *cookieID) bucket() uint32     { return binary.BigEndian.Uint32(id.raw[:]) }

// newCookie returns a fresh value for a session in bucket made from key.
func newCookie(secret *[32]byte, bucket uint32, key ticketKey) string {
	var raw [cookieBytes]byte
	binary.BigEndian.PutUint32(raw[:], bucket)
	copy(raw[4:], key[:])
	_, _ = rand.Read(raw[secretAt:macAt]) // crypto/rand never fails (Go 1.24)
	mac := cookieMAC(secret, raw[:macAt])
	copy(raw[macAt:], mac[:])
	return cookieEncoding.EncodeToString(raw[:])
}

func (id *cookieID) genuine(secret *[32]byte) bool {
	mac := cookieMAC(secret, id.raw[:macAt])
	return subtle.ConstantTimeCompare(mac[:], id.raw[macAt:]) == 1
}

func cookieMAC(secret *[32]byte, data []byte) (mac [16]byte) {
	h := hmac.New(sha256.New, secret[:])
	h.Write([]byte("session\x00"))
	h.Write(data)
	copy(mac[:], h.Sum(nil))
	return mac
}

// Sessions are stored in buckets named by the minute at which all that they hold
// has expired, so that a bucket is removed whole and the live ones are never read.
func bucketOf(expires time.Time, ttl time.Duration) uint32 {
	width := max(int64(ttl/time.Minute)/8, 1)
	minute := expires.Unix()/60 + 1
	return uint32((minute + width - 1) / width * width)
}

func (s *Sessions) bucketPath(bucket uint32) string {
	return path.Join(s.root, "sessions", strconv.FormatUint(uint64(bucket), 10))
}

func (s *Sessions) sessionPath(bucket uint32, key ticketKey) string {
	return path.Join(s.bucketPath(bucket), hex.EncodeToString(key[:]))
}

// seenPath is beside the session, not below it: deleting the one must not race
// with writing the other.
func seenPath(sessionPath string) string { return sessionPath + ".seen" }

// Open makes a new session from a validated ticket and returns its cookie's
// value. It returns when the session is stored: a login that was answered
// survives a crash. The error is an ErrStorage.
func (s *Sessions) Open(ctx context.Context, who Identity, how Arrival, ticket string) (string, *Session, error) {
	secret, err := s.keys.get(ctx)
	if err != nil {
		return "", nil, err
	}
	now := time.Now()
	expires := now.Add(s.TTL)
	bucket, key := bucketOf(expires, s.TTL), keyOfTicket(s.Site, ticket)
	value := newCookie(secret, bucket, key)
	proof := sha256.Sum256([]byte(value))
	session := newSession(key, s.sessionPath(bucket, key))
	session.record = record{Identity: who, Arrival: how, Created: now, Expires: expires, Proof: proof[:]}
	data, err := json.Marshal(session.record)
	if err != nil {
		return "", nil, fmt.Errorf("encoding a session: %w", err)
	}
	if err := s.store.Store(ctx, session.path, data); err != nil {
		return "", nil, err
	}
	session.fresh(s.clock(), now)
	if before := s.cache.replace(session); before != nil {
		before.end() // a CAS server that honours a ticket twice: the later login counts
	}
	return value, session, nil
}

func (s *Session) fresh(clock int64, seen time.Time) {
	s.seen.Store(seen.UnixNano())
	s.flushed.Store(seen.UnixNano())
	s.good.Store(clock)
	s.checked.Store(clock)
}
