package casauth

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"

	"github.com/pronote-cas/caddy-pronote-cas/casauth/protocol"
)

// serveOwn answers what lies below Prefix; name is the rest of the path.
func (g *Gate) serveOwn(ctx context.Context, v *Visit, name string) Decision {
	switch name {
	case "", "logged-out":
		if v.storage() != nil {
			return refuse(v, StorageUnavailable, v.noSession)
		}
		if g.pending(v.session) && reads(v.Request) {
			return Decision{Action: Redirect, Location: g.toAsk(g.Root)} // they have no access to PRONOTE yet
		}
		if name == "" || v.session != nil { // who reads that a session is closed leaves it open for the next
			return g.ownPage(v, StatusPage)
		}
		return g.ownPage(v, LoggedOutPage)
	case "logout":
		return g.logout(ctx, v)
	}
	if name == askName && g.Unresolved == AskUnresolved {
		return g.ask(ctx, v)
	}
	if g.Relay != nil {
		return g.serveRelay(ctx, v, name)
	}
	return refuse(v, NotFound, nil)
}

func (g *Gate) ownPage(v *Visit, page OwnPage) Decision {
	if posts(v.Request) {
		return refuse(v, MethodNotAllowed, nil)
	}
	return Decision{Action: Show, Page: page, Person: navigates(v.Request), Session: v.session, Location: g.Home()}
}

// logout ends the session and goes on to the CAS server's logout. No parameter
// has a say in where it goes, and none is added: LemonLDAP::NG, given a service
// that it does not know, refuses the whole logout.
func (g *Gate) logout(ctx context.Context, v *Visit) Decision {
	switch {
	case v.Request.Method == http.MethodHead: // a link checker is not a person who leaves
		return refuse(v, MethodNotAllowed, nil)
	case v.Request.Method != http.MethodGet && v.Request.Method != http.MethodPost:
		return refuse(v, MethodNotAllowed, nil)
	case g.foreign(v.Request):
		return refuse(v, ForeignLogout, nil)
	case v.Request.Method == http.MethodGet && !navigates(v.Request):
		return refuse(v, ForeignLogout, nil) // an image, which nobody clicked
	}
	d := Decision{Action: Redirect, Event: LoggedOut, Session: v.session, Location: g.LogoutURL,
		Cookies: []http.Cookie{{Name: g.CookieName, MaxAge: -1}, {Name: g.initiationCookie(), MaxAge: -1}}}
	var ended string
	var err error
	switch {
	case v.session != nil:
		ended, err = v.session.path, g.sessions.End(ctx, v.session)
	case v.storage() != nil:
		value, _ := cookie(v.Request, g.CookieName)
		if ended, err = g.sessions.EndUnasked(ctx, value); ended == "" {
			return refuse(v, StorageUnavailable, err) // and the cookie stays, for it may open something
		}
	}
	if err != nil {
		d.Err = &Error{Reason: StorageUnavailable, Cause: err} // ended here; the store is told when it is back
	}
	d.Farewells = g.farewells(ctx, ended)
	return d
}

// mayBeLogout reports whether v could be a single-logout message, by its looks.
func (g *Gate) mayBeLogout(v *Visit) bool {
	return g.SingleLogout && (frontChannel(v) || backChannel(v.Request))
}

func frontChannel(v *Visit) bool {
	return v.query != "" && v.Request.Method == http.MethodGet &&
		(strings.Contains(v.query, "SAMLRequest=") || strings.Contains(v.query, "logoutRequest="))
}

// backChannel reports whether r could be the CAS server's own post: a small form,
// XML, or, as Edifice sends it, XML without a content type.
func backChannel(r *http.Request) bool {
	if r.Method != http.MethodPost || r.ContentLength > protocol.MaxLogout {
		return false
	}
	media, _, _ := strings.Cut(header(r, "Content-Type"), ";")
	switch strings.ToLower(strings.TrimSpace(media)) {
	case "", "application/x-www-form-urlencoded", "text/xml", "application/xml", "application/soap+xml":
		return true
	}
	return false
}

// singleLogout ends the sessions that a message of the CAS server names. ok is
// false where v is no such message: then its body is as it came.
//
// Nobody signs these messages (CAS 3.0 §2.3.3). Who knows a ticket can end the
// session made from it, and nothing else; who does not, learns nothing.
func (g *Gate) singleLogout(ctx context.Context, v *Visit) (Decision, bool) {
	var (
		tickets  []string
		callback string
		err      error
	)
	switch {
	case frontChannel(v):
		tickets, callback, err = protocol.ReadFrontLogout(v.query)
	case v.session == nil && backChannel(v.Request):
		tickets, err = readBackChannel(v.Request)
	default:
		return Decision{}, false
	}
	if errors.Is(err, protocol.ErrNotLogout) {
		return Decision{}, false
	}
	if err != nil {
		return refuse(v, UnreadableLogout, err), true
	}
	d := Decision{Action: Reply, Event: SingleLogout, ContentType: "text/plain; charset=utf-8"}
	if callback != "" {
		d.ContentType, d.Body = "application/javascript; charset=utf-8", callback+"(true);"
	}
	var failed error
	for _, ticket := range tickets {
		user := g.sessions.userFrom(ticket) // before it is forgotten
		ended, err := g.sessions.EndTicket(ctx, ticket)
		if err != nil {
			failed = err // the others count all the same
		}
		if ended != "" {
			d.Ended, d.User = true, user
		}
		d.Farewells = append(d.Farewells, g.farewells(ctx, ended)...)
	}
	if failed != nil {
		refused := refuse(v, StorageUnavailable, failed)
		refused.Farewells = d.Farewells
		return refused, true
	}
	return d, true
}

// readBackChannel reads a message from r's body and puts what it read back.
func readBackChannel(r *http.Request) ([]string, error) {
	if r.Body == nil || r.Body == http.NoBody {
		return nil, protocol.ErrNotLogout
	}
	head, err := io.ReadAll(io.LimitReader(r.Body, protocol.MaxLogout+1))
	r.Body = &putBack{Reader: io.MultiReader(bytes.NewReader(head), failing(r.Body, err)), body: r.Body}
	if err != nil || len(head) > protocol.MaxLogout {
		return nil, protocol.ErrNotLogout
	}
	return protocol.ReadLogout(header(r, "Content-Type"), head)
}

// putBack is a body whose beginning was read ahead.
type putBack struct {
	io.Reader
	body io.Closer
}

func (p *putBack) Close() error { return p.body.Close() }

// failing goes on reading body, or repeats the error that it gave.
func failing(body io.Reader, err error) io.Reader {
	if err == nil {
		return body
	}
	return errorReader{err}
}

type errorReader struct{ err error }

func (e errorReader) Read([]byte) (int, error) { return 0, e.err }
