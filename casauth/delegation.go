package casauth

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/pronote-cas/caddy-pronote-cas/casauth/pronote"
	"github.com/pronote-cas/caddy-pronote-cas/casauth/relay"
)

// Delegation is the CAS server that PRONOTE.net is pointed at: PRONOTE asks us
// who somebody is, and we know from the session that the ENT gave us.
type Delegation struct {
	*relay.Server
	AllowFrom []netip.Prefix // who may validate tickets: PRONOTE's own addresses
	swept     atomic.Int64   // Unix seconds of the last sweep
}

// Grants opens a relay for the sessions s: its tickets lie beside them and die
// with them.
func (s *Sessions) Grants(c relay.Config) (*relay.Server, error) {
	c.Store, c.Root, c.Alive = s.store, s.root+"/relay", s.Alive
	return relay.New(c)
}

// serveRelay answers as a CAS server does; name is the path below Prefix.
func (g *Gate) serveRelay(ctx context.Context, v *Visit, name string) Decision {
	switch {
	case name == "login":
		return g.delegate(ctx, v)
	case slices.Contains(relay.Endpoints(), name):
		return g.validateFor(ctx, v, name)
	}
	return refuse(v, NotFound, nil)
}

// delegate answers PRONOTE's redirect to our login: a session, by the ENT's own
// login if need be, and then back to PRONOTE with a ticket of ours.
func (g *Gate) delegate(ctx context.Context, v *Visit) Decision {
	login, err := relay.ParseLogin(v.query)
	if err != nil {
		return refuse(v, ServiceNotAllowed, err)
	}
	back, allowed := g.Relay.Services.Destination(login, "")
	switch {
	case !reads(v.Request):
		return refuse(v, MethodNotAllowed, nil)
	case !allowed: // no redirect and no ticket: this is how open redirects steal logins
		d := refuse(v, ServiceNotAllowed, nil)
		d.Err.Public, _, _ = strings.Cut(login.Service, "?") // its query may hold a ticket
		return d
	case !navigates(v.Request):
		d := refuse(v, SessionRequired, nil)
		d.Location = g.loginURL(g.Root, g.Renew)
		return d
	}
	if len(v.tickets) > 0 {
		if d, ok := g.finishLogin(ctx, v); ok {
			return d
		}
	}
	switch {
	case g.pending(v.session) && login.Gateway: // which wants no questions asked (CAS 3.0 §2.1.1)
		return Decision{Action: Redirect, Location: back}
	case g.pending(v.session):
		return Decision{Action: Redirect, Location: g.toAsk(g.target(v))}
	case v.session != nil && !login.Renew:
		return g.grant(ctx, v, login, v.session, false, Decision{Event: TicketIssued})
	case v.storage() != nil:
		return refuse(v, StorageUnavailable, v.noSession)
	case login.Gateway && !login.Renew: // renew wins over gateway (CAS 3.0 §2.1.1)
		return Decision{Action: Redirect, Location: back}
	}
	v.renew = g.Renew || login.Renew
	v.Asked = Prefix + "login?" + login.For(back) // the ENT sees it: PRONOTE's service by its public name
	return g.startLogin(ctx, v)
}

// delegated returns the login of PRONOTE's that target, a request target of ours,
// stands for.
func (g *Gate) delegated(target string) (relay.Login, bool) {
	path, query, _ := strings.Cut(target, "?")
	if g.Relay == nil || path != Prefix+"login" {
		return relay.Login{}, false
	}
	login, err := relay.ParseLogin(query)
	if err != nil {
		return relay.Login{}, false
	}
	_, allowed := g.Relay.Services.Destination(login, "")
	return login, allowed
}

// grant sends the browser on to PRONOTE with a ticket for session. fresh says that
// credentials were given for it; d is what was decided besides, the cookies of a
// login just now above all.
func (g *Gate) grant(ctx context.Context, v *Visit, login relay.Login, session *Session, fresh bool, d Decision) Decision {
	back, _ := g.Relay.Services.Destination(login, "")
	wanted := pronote.Judge(strings.TrimPrefix(back, g.Public.String()), g.Root)
	if !g.Require[wanted.Espace].met(session.Attributes) {
		refused := g.wrongProfile(v, session, wanted.Espace)
		refused.Cookies = d.Cookies
		return refused
	}
	ticket, err := g.Relay.Issue(ctx, relay.Grant{
		Session: session.path, SessionExpires: session.Expires,
		User: session.User, PronoteID: session.PronoteID, Attributes: session.Attributes,
		Authenticated: session.Created, Fresh: fresh, Service: login.Service,
	})
	if err != nil {
		reason := StorageUnavailable
		if !errors.Is(err, ErrStorage) {
			reason = UnknownPerson // a name that cannot be told to PRONOTE
		}
		return Decision{Action: Refuse, Person: true, Cookies: d.Cookies, Err: &Error{Reason: reason, Cause: err}, Trip: d.Trip, User: session.User}
	}
	g.sweepRelay(ctx)
	d.Action, d.Session, d.Granted = Redirect, session, true
	d.Location, _ = g.Relay.Services.Destination(login, ticket) // allowed, or delegate had refused it
	return d
}

// sweepRelay removes expired tickets now and then, beside the requests.
func (g *Gate) sweepRelay(ctx context.Context) {
	last, now := g.Relay.swept.Load(), time.Now().Unix()
	if now-last > 600 && g.Relay.swept.CompareAndSwap(last, now) {
		go func() { _ = g.Relay.Sweep(context.WithoutCancel(ctx)) }() // what stays is swept next time
	}
}

// validateFor answers PRONOTE, and nobody else, who a ticket stands for.
func (g *Gate) validateFor(ctx context.Context, v *Visit, endpoint string) Decision {
	if !slices.ContainsFunc(g.Relay.AllowFrom, func(p netip.Prefix) bool { return p.Contains(v.Client.Unmap()) }) {
		return refuse(v, ForeignCaller, fmt.Errorf("%s is not in relay allow_from", v.Client))
	}
	body, err := io.ReadAll(io.LimitReader(v.Request.Body, relay.MaxBody+1))
	if err != nil {
		return refuse(v, ForeignCaller, fmt.Errorf("the request broke off: %w", err))
	}
	r := g.Relay.Answer(ctx, relay.Call{
		Endpoint: endpoint, Method: v.Request.Method, Query: v.query,
		ContentType: header(v.Request, "Content-Type"), Body: body,
	})
	d := Decision{Action: Reply, Event: TicketValidated, Status: r.Status, ContentType: r.ContentType, Body: string(r.Body), User: r.User}
	if r.Refusal != nil {
		d.Err = &Error{Reason: TicketRefused, Cause: r.Refusal}
	}
	return d
}

// foreignToPronote reports whether a ticket on its way to PRONOTE is none that
// the relay gave this very session. One of somebody else's would log this browser
// in to PRONOTE as somebody else.
func (g *Gate) foreignToPronote(ctx context.Context, session *Session, ticket string) bool {
	switch {
	case g.Relay == nil:
		return false
	case !relay.Ours(ticket):
		return g.Relay.Forward == nil // with it, PRONOTE is a client of the ENT itself
	}
	return session == nil || !g.Relay.IssuedTo(ctx, ticket, session.path)
}

// farewells are whom PRONOTE has to be told about: the logins that came from a
// session that has ended.
func (g *Gate) farewells(ctx context.Context, ended string) []relay.Logout {
	if g.Relay == nil || ended == "" {
		return nil
	}
	logouts, _ := g.Relay.Ended(ctx, ended) // what was found is told even if the store fails
	return logouts
}

// discovery reports whether target is the file in which PRONOTE names its CAS
// server to its app, and that server is the relay.
func (g *Gate) discovery(target pronote.Target) bool {
	return g.Relay != nil && g.Relay.Forward == nil && target.Path == "infomobileapp.json"
}
