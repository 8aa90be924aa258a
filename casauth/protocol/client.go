package protocol

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
)

// DefaultTimeout is how long a validation may take, from the connection to the
// last byte.
const DefaultTimeout = 10 * time.Second

// Client validates tickets at one CAS server. It may be used by many goroutines
// at once and must not be changed then.
//
// A ticket is good for one request, so there is exactly one: no redirect is
// followed, nothing is sent again, no cookie is kept.
type Client struct {
	Protocol    Protocol
	ValidateURL string            // the whole address; a query in it is kept
	Renew       bool              // only accept fresh credentials (CAS 3.0 §2.1.1)
	Transport   http.RoundTripper // pooled; decides on TLS and proxies; nil: verified TLS, no proxy
	Timeout     time.Duration     // zero: DefaultTimeout

	// Turns, if not nil, lets as many validations go on at a time as it has room for.
	// The time of one begins when its turn has come; the wait before is three times
	// as long at most. Without, a crowd at 8 o'clock would wait for a connection of
	// Transport's, and whoever stands at the end be told that the CAS server is silent.
	Turns chan struct{}
}

// direct is used where a Client names no transport. A proxy taken from the
// environment would see the tickets.
var direct = func() *http.Transport {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.Proxy = nil
	return t
}()

// Validate asks the CAS server who ticket stands for. service is the one that
// the login was for, byte for byte. The error is always an [*Error].
//
// Proxy tickets, and answers that name a proxy chain, are refused: an
// application that acts in someone's name is not that person.
func (c *Client) Validate(ctx context.Context, service, ticket string) (Answer, error) {
	switch {
	case IsProxyTicket(ticket):
		return Answer{}, verdict(ReasonProxyTicket)
	case !TicketShape(ticket):
		return Answer{}, verdict(ReasonTicketShape)
	}
	answer, err := c.exchange(ctx, service, ticket)
	if e, ok := err.(*Error); ok {
		return Answer{}, e.without(ticket)
	}
	if len(answer.Proxies) > 0 {
		return Answer{}, verdict(ReasonProxyChain)
	}
	return answer, nil
}

func (c *Client) exchange(ctx context.Context, service, ticket string) (Answer, error) {
	timeout := c.Timeout
	if timeout <= 0 {
		timeout = DefaultTimeout
	}
	if err := c.takeTurn(ctx, timeout); err != nil {
		return Answer{}, transportError(ctx, err)
	}
	defer c.giveTurn()
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()

	id := newID()
	request, err := c.newRequest(ctx, service, ticket, id)
	if err != nil || service == "" {
		return Answer{}, unavailable(ReasonRequest, nil) // err quotes the address, and the ticket in it
	}
	request.Header.Set("User-Agent", "caddy-pronote-cas")
	transport := c.Transport
	if transport == nil {
		transport = direct
	}
	// A RoundTripper rather than an http.Client: it follows no redirect and keeps
	// no cookie, and its errors do not quote the address.
	response, err := transport.RoundTrip(request)
	if err != nil {
		return Answer{}, transportError(ctx, err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, MaxAnswer+1)) // decompressed by the transport
	if err != nil {
		return Answer{}, transportError(ctx, err)
	}
	return Read(c.Protocol, body, Context{
		Service:   service,
		RequestID: id,
		Status:    response.StatusCode,
		Charset:   charsetOf(response.Header.Get("Content-Type")),
	})
}

func (c *Client) takeTurn(ctx context.Context, timeout time.Duration) error {
	if c.Turns == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, 3*timeout)
	defer cancel()
	select {
	case c.Turns <- struct{}{}:
		return nil
	case <-ctx.Done():
		return os.ErrDeadlineExceeded
	}
}

func (c *Client) giveTurn() {
	if c.Turns != nil {
		<-c.Turns
	}
}

// transportError says why no answer came.
func transportError(ctx context.Context, err error) *Error {
	var (
		netErr      net.Error
		dns         *net.DNSError
		op          *net.OpError
		certificate *tls.CertificateVerificationError
		record      tls.RecordHeaderError
		authority   x509.UnknownAuthorityError
		host        x509.HostnameError
		invalid     x509.CertificateInvalidError
	)
	reason := ReasonInterrupted
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		reason = ReasonCanceled
	case errors.Is(ctx.Err(), context.DeadlineExceeded), errors.As(err, &netErr) && netErr.Timeout():
		reason = ReasonTimeout
	case errors.As(err, &op) && op.Op == "proxyconnect": // whose name or address it is then, err says
		reason = ReasonConnect
	case errors.As(err, &dns):
		reason = ReasonName
	case errors.As(err, &certificate), errors.As(err, &record), errors.As(err, &authority), errors.As(err, &host), errors.As(err, &invalid),
		// What crypto/tls says of versions and ciphers that do not meet has no type of its own:
		// an alert is an OpError, from either side, and the rest is text.
		errors.As(err, &op) && strings.HasSuffix(op.Op, " error"), strings.HasPrefix(err.Error(), "tls: "):
		reason = ReasonTLS
	case errors.As(err, &op) && op.Op == "dial":
		reason = ReasonConnect
	}
	return unavailable(reason, err)
}

// without makes sure that nothing of e holds the ticket: a server can put what
// it was sent into a code or, speaking no HTTP, into an error of net/http.
func (e *Error) without(ticket string) *Error {
	if strings.Contains(e.Code, ticket) {
		e.Code = ""
	}
	if e.Err != nil {
		if s := e.Err.Error(); strings.Contains(s, ticket) || strings.Contains(s, url.QueryEscape(ticket)) {
			e.Err = nil
		}
	}
	return e
}
