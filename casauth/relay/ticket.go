package relay

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Grant is what a ticket stands for.
type Grant struct {
	Session        string              `json:"session"`         // key of the session behind it, whatever the caller calls it
	SessionExpires time.Time           `json:"session_expires"` // when it ends at the latest
	User           string              `json:"user"`            // the CAS identifier
	PronoteID      string              `json:"pronote_id,omitempty"`
	Attributes     map[string][]string `json:"attributes,omitempty"` // as the ENT sent them
	Authenticated  time.Time           `json:"authenticated"`        // when the person logged in; zero: not known
	Fresh          bool                `json:"fresh,omitempty"`      // with credentials given for this very ticket: what renew asks for
	Service        string              `json:"service"`              // as PRONOTE spelled it
}

// ErrService says that a service may not be used.
var ErrService = errors.New("the service is not one of PRONOTE's addresses")

// ticketForm is that of our own tickets: the minute at which it has expired, so
// that it is found, and removed, without an index; and 260 random bits. Letters,
// digits and hyphen is all that CAS 3.0 §3.7 allows, and all that some clients
// take.
var ticketForm = regexp.MustCompile(`^ST-([0-9]{1,10})-[A-Z2-7]{52}$`)

// Ours reports whether ticket can be one that this server issued. No other
// server's has its form.
func Ours(ticket string) bool { return ticketForm.MatchString(ticket) }

// record is a ticket as it is stored, under its hash: the ticket itself is kept
// nowhere.
type record struct {
	Grant
	Expires time.Time `json:"expires"`
}

// Issue returns a new ticket for g: good once, for this service, for a short
// time and no longer than the session behind it. The error is ErrService, or
// says what is wrong with g, or is the store's.
func (s *Server) Issue(ctx context.Context, g Grant) (string, error) {
	now := time.Now()
	if _, ok := s.Services.Public(g.Service); !ok {
		return "", ErrService
	}
	if err := g.complete(now); err != nil {
		return "", err
	}
	expires := now.Add(s.TTL)
	data, err := json.Marshal(record{g, expires})
	if err != nil {
		return "", fmt.Errorf("encoding a ticket: %w", err)
	}
	ticket := fmt.Sprintf("ST-%d-%s%s", expires.Unix()/60+1, rand.Text(), rand.Text())
	if err := s.Store.Store(ctx, s.ticketPath(ticket), data); err != nil {
		return "", fmt.Errorf("storing a ticket: %w", err)
	}
	return ticket, nil
}

// complete says what keeps g from being stood for. A name with a line break in
// it would be another name to a client of CAS 1, which reads lines.
func (g *Grant) complete(now time.Time) error {
	switch {
	case g.Session == "":
		return errors.New("a ticket without a session")
	case !g.SessionExpires.After(now):
		return errors.New("a ticket for a session that has expired")
	case g.User == "" || g.User != strings.TrimSpace(g.User) || len(g.User) > 256:
		return errors.New("the CAS identifier is empty, longer than 256 bytes or has blanks around it")
	case strings.ContainsFunc(g.User, func(r rune) bool {
		return r == utf8.RuneError || r >= 0xFFFE && r <= 0xFFFF || unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp)
	}):
		return errors.New("the CAS identifier holds invisible or control characters")
	}
	return nil
}

// Redeem returns what ticket stands for, once: whatever comes of it, the ticket
// is used up, also where it comes at two nodes at the same time. renew takes
// only one that came of fresh credentials (CAS 3.0 §2.5.1).
//
// The validated ticket is kept, in clear, beside the session: it is good for
// nothing any more but to tell PRONOTE later that the login has ended ([Server.Ended]).
func (s *Server) Redeem(ctx context.Context, ticket, service string, renew bool) (Grant, *Refusal) {
	if !strings.HasPrefix(ticket, "ST-") {
		return Grant{}, refuse(InvalidTicketSpec, "only service tickets, which begin with ST-, can be validated", nil)
	}
	r, refusal := s.takeTicket(ctx, ticket)
	switch {
	case refusal != nil:
		return Grant{}, refusal
	case !time.Now().Before(r.Expires):
		return Grant{}, unknownTicket()
	case !s.Services.Same(r.Service, service):
		return Grant{}, s.otherService(r.Service, service)
	case renew && !r.Fresh:
		return Grant{}, refuse(InvalidTicket, "renew is asked for, and the ticket does not come of fresh credentials", nil)
	}
	// First remembered, then looked whether the session lives: one that ends in
	// between is either refused here or found by Ended.
	if err := s.remember(ctx, r.Grant, ticket, service); err != nil {
		return Grant{}, storeFailed(err)
	}
	alive, err := s.Alive(ctx, r.Session)
	if err != nil {
		return Grant{}, storeFailed(err)
	}
	if !alive {
		return Grant{}, refuse(InvalidTicket, "the login that the ticket came from has ended", nil)
	}
	return r.Grant, nil
}

// takeTicket removes a ticket from the store and returns what was there. Under a
// lock, for a store has no way to take a value out and give it to one only.
func (s *Server) takeTicket(ctx context.Context, ticket string) (r record, _ *Refusal) {
	where := s.ticketPath(ticket)
	if where == "" {
		return r, unknownTicket()
	}
	// The store's lock may be polled once a second; here there is nothing to wait
	// for, since the first to come uses the ticket up.
	if _, busy := s.redeeming.LoadOrStore(where, nil); busy {
		return r, unknownTicket()
	}
	defer s.redeeming.Delete(where)
	if err := s.Store.Lock(ctx, where); err != nil {
		return r, storeFailed(err)
	}
	defer func() { _ = s.Store.Unlock(context.WithoutCancel(ctx), where) }()
	data, err := s.Store.Load(ctx, where)
	if errors.Is(err, fs.ErrNotExist) {
		return r, unknownTicket()
	}
	if err != nil {
		return r, storeFailed(err)
	}
	if err := s.Store.Delete(ctx, where); err != nil {
		return r, storeFailed(err)
	}
	if err := json.Unmarshal(data, &r); err != nil {
		return r, storeFailed(errors.New("the ticket's record is damaged"))
	}
	return r, nil
}

// otherService tells the log which services did not go together. What is not a
// service of ours is not repeated: it can be anything.
func (s *Server) otherService(issued, asked string) *Refusal {
	issued, _ = s.Services.Public(issued)
	asked, ok := s.Services.Public(asked)
	if !ok {
		asked = "an address that is not one of PRONOTE's"
	}
	return refuse(InvalidService, "the ticket was issued for another service, and is used up",
		fmt.Errorf("issued for %s, validated for %s", issued, asked))
}

// ticketPath is where a ticket is stored: in the bucket of the minute at which it
// has expired. It is "" for one that we did not issue, or whose minute is over.
func (s *Server) ticketPath(ticket string) string {
	m := ticketForm.FindStringSubmatch(ticket)
	if m == nil {
		return ""
	}
	minute, err := strconv.ParseInt(m[1], 10, 64)
	if err != nil || minute*60 <= time.Now().Unix() {
		return ""
	}
	return path.Join(s.Root, "tickets", strconv.FormatInt(minute, 10), hash("ticket", ticket))
}

// hash keeps apart what is hashed for different ends.
func hash(kind, value string) string {
	sum := sha256.Sum256([]byte(kind + "\x00" + value))
	return hex.EncodeToString(sum[:])
}

// IssuedTo reports whether ticket was issued for session and has not been spent.
// Where the store cannot be asked, nobody knows, and the answer is no.
func (s *Server) IssuedTo(ctx context.Context, ticket, session string) bool {
	where := s.ticketPath(ticket)
	if where == "" { // and the store is not asked for its root, which is an error to it
		return false
	}
	data, err := s.Store.Load(ctx, where)
	if err != nil {
		return false
	}
	var r record
	return json.Unmarshal(data, &r) == nil && r.Session == session && time.Now().Before(r.Expires)
}
