package caddymodule

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/pronote-cas/caddy-pronote-cas/casauth/protocol"
)

// casTicket validates a ticket that nobody was given. How it is refused tells
// whether the address, the protocol and the service are right.
func (c *checker) casTicket(ctx context.Context, service string) finding {
	overheard := &overhear{next: c.client}
	client := *c.gate.CAS
	client.Transport = overheard
	begun := time.Now()
	_, err := client.Validate(ctx, service, "ST-check-"+rand.Text())
	if overheard.header != nil {
		c.noteDate(overheard.header, begun)
	}
	if err == nil {
		return wrong("ticket_accepted", "service", service)
	}
	f := c.refusal(err, overheard, service)
	switch f.words {
	case "ticket_refused":
		if !c.accepted[service] { // and many servers look at the service last
			f.words = "ticket_no"
		}
	case "ticket_html", "ticket_unreadable", "ticket_redirect", "ticket_missing", "ticket_down":
		if instead, ok := c.speaksInstead(ctx, service); ok {
			return wrong("ticket_other_protocol", "service", service, "instead", string(instead), "path", instead.Path())
		}
	}
	return f
}

// refusal judges why a ticket was not accepted.
func (c *checker) refusal(err error, heard *overhear, service string) finding {
	var e *protocol.Error
	if !errors.As(err, &e) {
		return unanswered("cas", err, c.atENT()...)
	}
	p := webPage{heard.status, heard.header, heard.body.String()}
	pairs := []string{"service", service, "code", e.Code, "detail", e.Detail, "status", p.code(), "title", p.title()}
	if said := unknownService.FindString(p.text()); said != "" {
		return c.unknown("ticket", service, append(pairs, "said", strings.ToUpper(said))...)
	}
	switch e.Outcome {
	case protocol.Failed:
		return inItsWords(e, pairs)
	case protocol.Malformed:
		if e.Reason == protocol.ReasonHTML {
			return wrong("ticket_html", pairs...)
		}
		return wrong("ticket_unreadable", pairs...)
	}
	switch e.Reason {
	case protocol.ReasonRedirect:
		to := p.redirect(c.gate.CAS.ValidateURL)
		where := "?"
		if to != nil {
			where = to.Scheme + "://" + to.Host + to.EscapedPath() // its query may hold what was asked
		}
		return wrong("ticket_redirect", append(pairs, "location", where)...)
	case protocol.ReasonTimeout:
		return wrong("ticket_timeout", append(pairs, "timeout", c.gate.CAS.Timeout.String())...)
	case protocol.ReasonStatus:
		switch p.status {
		case http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusGone, http.StatusNotImplemented:
			return wrong("ticket_missing", pairs...)
		case http.StatusUnauthorized, http.StatusForbidden, http.StatusProxyAuthRequired, http.StatusTooManyRequests:
			return wrong("ticket_forbidden", pairs...)
		}
		return wrong("ticket_down", pairs...)
	}
	if e.Err != nil {
		err = e.Err
	}
	return unanswered("cas", err, c.atENT()...)
}

// atENT are the facts about where tickets are validated.
func (c *checker) atENT() []string {
	origin := originOf(c.gate.CAS.ValidateURL)
	return []string{"host", origin.Host(), "proxy", c.proxied(origin)}
}

// inItsWords judges a refusal in the protocol's own words.
func inItsWords(e *protocol.Error, pairs []string) finding {
	switch {
	case e.Reason == protocol.ReasonSOAPFault:
		return doubt("ticket_soap_fault", pairs...)
	case e.Code == "INVALID_REQUEST":
		return wrong("ticket_request", pairs...)
	case e.Code == "INTERNAL_ERROR":
		return wrong("ticket_internal", pairs...)
	case e.Code == "":
		return fine("ticket_no", pairs...)
	}
	return fine("ticket_refused", pairs...)
}

// speaksInstead looks for a protocol that the CAS server speaks where it does not
// speak the one that is set.
func (c *checker) speaksInstead(ctx context.Context, service string) (protocol.Protocol, bool) {
	base, derived := strings.CutSuffix(c.gate.CAS.ValidateURL, c.gate.CAS.Protocol.Path())
	if !derived {
		return "", false
	}
	for _, other := range []protocol.Protocol{protocol.SAML11, protocol.CAS3, protocol.CAS2} {
		if other == c.gate.CAS.Protocol {
			continue
		}
		client := *c.gate.CAS
		client.Protocol, client.ValidateURL = other, base+other.Path()
		_, err := client.Validate(ctx, service, "ST-check-"+rand.Text())
		var e *protocol.Error
		if errors.As(err, &e) && e.Outcome == protocol.Failed {
			return other, true
		}
	}
	return "", false
}

// overhear notes what comes back through a transport.
type overhear struct {
	next   http.RoundTripper
	status int // 0: nothing came
	header http.Header
	body   bytes.Buffer
}

// RoundTrip implements http.RoundTripper.
func (o *overhear) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := o.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	o.status, o.header = res.StatusCode, res.Header
	body := res.Body
	res.Body = struct {
		io.Reader
		io.Closer
	}{io.TeeReader(body, &o.body), body}
	return res, nil
}
