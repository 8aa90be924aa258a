package caddymodule

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"io"
	"net/http"
	"strings"

	"github.com/caddyserver/caddy/v2"

	"github.com/pronote-cas/caddy-pronote-cas/casauth/protocol"
)

// trip is where a login by hand starts, and for which service.
type trip struct {
	LoginURL string `json:"login_url"`
	Service  string `json:"service"`
	Exact    bool   `json:"exact,omitempty"` // the gate takes the ticket if the browser gets there
}

// trip sets out for a page at which the ticket stays in the address bar: the gate
// takes tickets on pages alone, and what has no page answers with an error. Below
// another root than / it is an image that PRONOTE does not have, so that it lies
// where the ENT knows the services.
func (c *checker) trip() trip {
	service := c.ownPage(c.gate.Public.String())
	switch {
	case c.gate.ServiceURL != "":
		service = c.gate.ServiceURL
	case c.gate.Root != "/":
		service = c.gate.Home() + "images/check-" + rand.Text() + ".png"
	}
	return trip{protocol.LoginURL(c.gate.LoginURL, service, c.gate.Renew, c.gate.LoginParams), service, c.gate.ServiceURL != ""}
}

// walked is what became of a ticket.
type walked struct {
	line
	Answer  protocol.Explanation `json:"answer"`            // as `explain` reads it
	Headers map[string]string    `json:"headers,omitempty"` // that PRONOTE would get
}

// walk validates a real ticket as a login does, and opens no session.
func (c *checker) walk(ctx context.Context, service, ticket string) walked {
	heard := &overhear{next: c.client}
	client := *c.gate.CAS
	client.Transport = heard
	answer, err := client.Validate(ctx, service, ticket)
	w := walked{Answer: protocol.Explanation{File: c.gate.CAS.ValidateURL, Outcome: "ok", User: answer.User, Attributes: answer.Attributes}}
	f := fine("walk_login", "user", answer.User)
	if err != nil {
		f = c.refusal(err, heard, service)
		if f.result == good { // right for a made-up ticket
			f = wrong("walk_refused", "code", f.facts["code"], "detail", f.facts["detail"])
		}
		if e, ok := err.(*protocol.Error); ok {
			w.Answer = protocol.Explanation{File: c.gate.CAS.ValidateURL, Outcome: string(e.Outcome), Code: e.Code, Reason: string(e.Reason) + ": " + e.Detail}
		}
	} else if who, unknown := c.gate.WhoIs(ctx, answer); unknown != nil {
		f = wrong("walk_nobody", "cause", unknown.Error())
	} else {
		if who.PronoteID == "" { // with ask and pass they get in
			f = doubt("walk_unknown", "user", answer.User, "header", c.identity.pronoteID, "unresolved", c.Unresolved)
		}
		header := make(http.Header)
		c.identity.set(header, &who)
		w.Headers = make(map[string]string)
		for name := range header {
			w.Headers[name] = header.Get(name)
		}
	}
	w.line = c.line(step{name: "login", about: service}, f, 0)
	return w
}

// ticketFor is what the command sends when the person has come back.
type ticketFor struct {
	Service string `json:"service"`
	Ticket  string `json:"ticket"`
}

// serveCheckLogin says where a login by hand starts, or what became of its ticket.
func serveCheckLogin(w http.ResponseWriter, r *http.Request, s *site) error {
	c := newChecker(caddy.ActiveContext(), s, askedIn(r), false)
	var came ticketFor
	body, err := io.ReadAll(io.LimitReader(r.Body, 8<<10))
	if err != nil || len(body) > 0 && json.Unmarshal(body, &came) != nil {
		return &adminError{http.StatusBadRequest, both{
			"the body is JSON with service and ticket, or nothing",
			"le corps est un JSON avec service et ticket, ou rien"}}
	}
	if came.Ticket == "" {
		return answerJSON(w, c.trip())
	}
	if !strings.HasPrefix(came.Service, s.name()+"/") {
		return &adminError{http.StatusBadRequest, both{
			"the service does not lie below " + s.name(),
			"le service n’est pas sous " + s.name()}}
	}
	return answerJSON(w, c.walk(r.Context(), came.Service, came.Ticket))
}
