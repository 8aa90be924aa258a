package relay

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Store keeps tickets where all nodes find them. Load of what is not there is
// fs.ErrNotExist; Delete takes what is below along, and nothing there is no
// error; List gives full keys, and nothing there is an empty list or
// fs.ErrNotExist; Lock has one holder over all nodes.
type Store interface {
	Load(ctx context.Context, key string) ([]byte, error)
	Store(ctx context.Context, key string, value []byte) error
	Delete(ctx context.Context, key string) error
	List(ctx context.Context, prefix string, recursive bool) ([]string, error)
	Lock(ctx context.Context, name string) error
	Unlock(ctx context.Context, name string) error
}

// DefaultTTL is how long PRONOTE has to come with a ticket. It comes at once.
const DefaultTTL = time.Minute

// Config is what a Server is told.
type Config struct {
	Services *Services
	Store    Store
	Root     string        // key in Store below which everything is kept: one for each site
	TTL      time.Duration // of a ticket; 0: DefaultTTL

	// Alive reports whether a session still lives: a ticket dies with the session
	// that it came from. An error says that nobody knows, and refuses the ticket.
	Alive func(ctx context.Context, session string) (bool, error)

	Forward *Forward // for tickets that are not ours; nil: they are refused
}

// Server is the CAS server of one site. It may be used by many goroutines at
// once, and there may be one on each of several nodes.
type Server struct {
	Config
	redeeming sync.Map // paths of the tickets that are being validated here
}

// New returns the server that c describes. The error says what is missing.
func New(c Config) (*Server, error) {
	switch {
	case c.Services == nil:
		return nil, errors.New("relay: no services")
	case c.Store == nil:
		return nil, errors.New("relay: no store")
	case c.Root == "":
		return nil, errors.New("relay: no root in the store")
	case c.Alive == nil:
		return nil, errors.New("relay: nobody to ask whether a session lives")
	case c.TTL < 0:
		return nil, errors.New("relay: a ticket lives for a positive time")
	case c.Forward != nil && c.Forward.Transport == nil:
		return nil, errors.New("relay: no transport to the ENT")
	}
	if c.TTL == 0 {
		c.TTL = DefaultTTL
	}
	return &Server{Config: c}, nil
}

// MaxBody is the largest body of a validation that is read, in bytes. A SOAP
// request has 600. The caller reads one more, so that too long is seen.
const MaxBody = 16 << 10

// The endpoints, by their names below [Path].
const (
	Validate          = "validate"           // CAS 1 (CAS 3.0 §2.4)
	ServiceValidate   = "serviceValidate"    // CAS 2 (§2.5)
	ProxyValidate     = "proxyValidate"      // CAS 2 (§2.6); we issue no proxy tickets
	P3ServiceValidate = "p3/serviceValidate" // CAS 3 (§2.8)
	P3ProxyValidate   = "p3/proxyValidate"   // CAS 3
	SAMLValidate      = "samlValidate"       // SAML 1.1 (§4.2)
)

// Endpoints are the names of all endpoints.
func Endpoints() []string {
	return []string{Validate, ServiceValidate, ProxyValidate, P3ServiceValidate, P3ProxyValidate, SAMLValidate}
}

// Call is a request to a validation endpoint.
type Call struct {
	Endpoint    string // one of [Endpoints]
	Method      string
	Query       string // raw
	ContentType string
	Body        []byte // at most MaxBody+1 bytes of it
}

// Response is what the caller of an endpoint gets. A CAS server answers 200 to
// whatever it can answer at all: PRONOTE takes another status for a server that
// is down.
type Response struct {
	Status      int
	ContentType string
	Body        []byte // holds personal data: never logged, never cached

	Refusal   *Refusal // for the log; nil where the ticket was good
	Forwarded bool     // the ENT was asked
	User      string   // the CAS identifier of whom a ticket of ours stood for; else ""
}

// Answer validates a ticket: one that we issued here, any other at the ENT where
// pass-through is on.
func (s *Server) Answer(ctx context.Context, c Call) Response {
	switch c.Endpoint {
	case Validate, ServiceValidate, ProxyValidate, P3ServiceValidate, P3ProxyValidate, SAMLValidate:
	default:
		return Response{Status: http.StatusNotFound, ContentType: plainText,
			Refusal: refuse(InvalidRequest, "no such endpoint", nil)}
	}
	q, refusal := c.question()
	if refusal != nil {
		return s.refused(q, refusal)
	}
	if s.Forward != nil && !Ours(q.ticket) {
		return s.forward(ctx, q)
	}
	grant, refusal := s.Redeem(ctx, q.ticket, q.service, q.renew)
	if refusal != nil {
		return s.refused(q, refusal)
	}
	return s.granted(q, grant)
}

func (s *Server) refused(q question, refusal *Refusal) Response {
	r := reply(q, "")
	r.Refusal = refusal
	switch {
	case q.endpoint == Validate:
		r.Body = []byte("no\n\n")
	case q.endpoint == SAMLValidate:
		r.Body = samlFailure(q, refusal)
	case q.json:
		r.Body = jsonFailure(refusal)
	default:
		r.Body = casFailure(refusal)
	}
	return r
}

func (s *Server) granted(q question, g Grant) Response {
	r := reply(q, "")
	r.User = g.User
	switch {
	case q.endpoint == Validate:
		r.Body = []byte("yes\n" + g.User + "\n")
	case q.endpoint == SAMLValidate:
		r.Body = samlSuccess(q, g, s.Services.public.String()+strings.TrimSuffix(Path, "/"))
	case q.json:
		r.Body = jsonSuccess(q, g)
	default:
		r.Body = casSuccess(q, g)
	}
	return r
}

const (
	plainText = "text/plain; charset=utf-8"
	xmlText   = "text/xml; charset=utf-8" // and not application/xml, for the MSXML of old PRONOTE
	jsonText  = "application/json; charset=utf-8"
)

// reply is a response without a body yet, of the given type or of the usual one.
func reply(q question, contentType string) Response {
	switch {
	case contentType != "":
	case q.endpoint == Validate:
		contentType = plainText
	case q.json:
		contentType = jsonText
	default:
		contentType = xmlText
	}
	return Response{Status: http.StatusOK, ContentType: contentType}
}
