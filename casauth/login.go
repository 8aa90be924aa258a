package casauth

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/pronote-cas/caddy-pronote-cas/casauth/address"
	"github.com/pronote-cas/caddy-pronote-cas/casauth/directory"
	"github.com/pronote-cas/caddy-pronote-cas/casauth/pronote"
	"github.com/pronote-cas/caddy-pronote-cas/casauth/protocol"
	"github.com/pronote-cas/caddy-pronote-cas/casauth/relay"
)

// startLogin sends the browser to the CAS server. Where it came with a ticket, it
// had not set out for it: the portal linked it here, or somebody planted it
// (login CSRF). Either way the login starts again.
func (g *Gate) startLogin(ctx context.Context, v *Visit) Decision {
	secret, err := g.sessions.keys.get(ctx)
	if err != nil {
		return refuse(v, StorageUnavailable, err)
	}
	under := g.initiation(v, secret)
	if (len(v.tickets) > 0 || v.tossed) && under.again(time.Now()) {
		return g.giveUp(v, secret, under, ForeignTicket, errors.New("the browser's cookies do not come back as they were set, or the tickets were for something else"))
	}
	return g.redirectToCAS(v, secret, under)
}

func (g *Gate) redirectToCAS(v *Visit, secret *[32]byte, under initiation) Decision {
	target := g.target(v)
	under.begin(time.Now(), target)
	return Decision{
		Action:   Redirect,
		Event:    LoginStarted,
		Location: g.loginURL(target, v.renew),
		Trip:     under.trip(),
		Cookies:  []http.Cookie{g.keep(secret, under)},
	}
}

// giveUp ends a loop with a page that names the cause. The cookie goes on
// counting, so a reload does not start the loop over.
func (g *Gate) giveUp(v *Visit, secret *[32]byte, under initiation, reason Reason, cause error) Decision {
	d := refuse(v, reason, cause)
	if reason == ServiceRefused {
		d.Err.Public = g.service(g.target(v)) // what the ENT has to declare
	}
	d.Location, d.Trip = g.Public.Service(g.target(v)), under.trip()
	d.Cookies = []http.Cookie{g.keep(secret, under)}
	return d
}

// target is what was asked for, less tickets: where the browser lands when it
// has logged in.
func (g *Gate) target(v *Visit) string {
	return strings.TrimPrefix(g.Public.Service(v.Asked), g.Public.String())
}

// finishLogin turns a ticket into a session where this browser has set out for
// its service. ok is false where it has not: then the ticket is somebody else's.
// v has at least one.
func (g *Gate) finishLogin(ctx context.Context, v *Visit) (Decision, bool) {
	ticket, one := g.ticket(v)
	value, found := cookie(v.Request, g.initiationCookie())
	if !one || found != 1 {
		return Decision{}, false
	}
	secret, err := g.sessions.keys.load(ctx)
	if err != nil {
		return Decision{}, false // no key, or none to be had: nothing can be believed
	}
	under := openInitiation(secret, value, time.Now())
	back, ok := g.takeAttempt(&under, v)
	if !ok {
		return Decision{}, false
	}
	if !g.sessions.Reachable() {
		return refuse(v, StorageUnavailable, errors.New("the ticket was not spent")), true
	}
	delegated, isDelegated := g.delegated(back)
	v.renew = g.Renew || delegated.Renew
	login, mine := g.sessions.logins.do(ticket, value, func() login {
		return g.validate(context.WithoutCancel(ctx), v, back, ticket)
	})
	if !mine {
		login.err = &Error{Reason: TicketRefused, Cause: errors.New("another browser sent the same ticket at the same time")}
	}
	if login.err != nil {
		v.Asked = back // where a fixed service leads, nobody asked to go
		d := g.failLogin(v, secret, under, login.err)
		d.Validated, d.Resolved, d.User = login.took, login.resolved, login.user
		return d, true
	}
	if !v.tossed {
		under.rounds = nil
	}
	d := Decision{
		Action:    Redirect,
		Event:     LoggedIn,
		Session:   login.session,
		Location:  g.Public.Service(back),
		Cookies:   []http.Cookie{{Name: g.CookieName, Value: login.cookie}, g.keep(secret, under)},
		Farewells: g.succeed(ctx, v.session, login.session),
		Trip:      under.trip(),
		Validated: login.took,
		Resolved:  login.resolved,
	}
	if isDelegated && !g.pending(login.session) {
		return g.grant(ctx, v, delegated, login.session, v.renew, d), true
	}
	return d, true
}

// ticket returns the one that a person's navigation brought. Two different ones
// are none, one of the relay's is on its way to PRONOTE, and the one that the session
// was made from has been spent.
func (g *Gate) ticket(v *Visit) (string, bool) {
	if v.Request.Method != http.MethodGet || !navigates(v.Request) {
		return "", false
	}
	for _, other := range v.tickets[1:] {
		if other != v.tickets[0] {
			return "", false
		}
	}
	ticket := v.tickets[0]
	spent := v.session != nil && v.session.MadeFrom(g.sessions.Site, ticket)
	return ticket, !spent && (g.Relay == nil || !relay.Ours(ticket))
}

// succeed ends the browser's old session. The same person's live responses go on
// with the new one; another person's are cut, and PRONOTE is told that they left.
func (g *Gate) succeed(ctx context.Context, old, next *Session) []relay.Logout {
	if old == nil || old == next {
		return nil
	}
	same := old.User == next.User
	if same {
		old.handOver(next)
	}
	_ = g.sessions.End(ctx, old) // where the store cannot be told, End keeps trying
	logouts := g.farewells(ctx, old.path)
	if same && len(logouts) > 0 {
		_ = g.Relay.Inherit(ctx, logouts, next.path, next.Expires) // best effort: PRONOTE's sessions end by themselves too
		return nil
	}
	return logouts
}

// takeAttempt spends the attempt that brought the browser here and returns the
// target that it was for.
func (g *Gate) takeAttempt(under *initiation, v *Visit) (string, bool) {
	if g.ServiceURL == "" {
		return under.take(g.Public.String(), g.target(v))
	}
	if !address.Same(g.ServiceURL, g.Public.Service(v.Asked)) {
		return "", false
	}
	return under.takeAny(g.Root)
}

// failLogin starts over where another ticket may help, and names the cause where
// it will not or has not.
func (g *Gate) failLogin(v *Visit, secret *[32]byte, under initiation, err *Error) Decision {
	switch err.Reason {
	case TicketRefused, ServiceRefused, ClockSkew:
		if !under.again(time.Now()) {
			d := g.redirectToCAS(v, secret, under)
			d.Err = err
			return d
		}
	}
	d := g.giveUp(v, secret, under, err.Reason, err.Cause)
	if err.Public != "" {
		d.Err.Public = err.Public
	}
	return d
}

// login is what became of one ticket.
type login struct {
	cookie   string
	session  *Session
	took     time.Duration // by the CAS server
	resolved *directory.Result
	user     string // as the CAS server names whoever it is; "" where it did not
	err      *Error
}

// validate asks the CAS server about a ticket that came for the target back; renew
// has to be said again there (CAS 3.0 §2.1.1).
func (g *Gate) validate(ctx context.Context, v *Visit, back, ticket string) (l login) {
	client := *g.CAS
	client.Renew = v.renew
	begun := time.Now()
	answer, err := client.Validate(ctx, g.service(back), ticket)
	l.took = time.Since(begun)
	if err != nil {
		l.err = refusal(err)
		return l
	}
	who, how, failed := g.identify(ctx, answer)
	l.user, l.resolved = who.User, how
	if failed != nil {
		l.err = failed
		return l
	}
	from := Arrival{Espace: pronote.Judge(back, g.Root).Espace.String()}
	if v.Client.IsValid() {
		from.From = v.Client.String()
	}
	if l.cookie, l.session, err = g.sessions.Open(ctx, who, from, ticket); err != nil {
		l.err = &Error{Reason: StorageUnavailable, Cause: err}
	}
	return l
}

// refusal sorts what the CAS server, or the way to it, has against a ticket.
func refusal(err error) *Error {
	var failed *protocol.Error
	if !errors.As(err, &failed) {
		return &Error{Reason: CASUnavailable, Cause: err}
	}
	reason := CASUnavailable
	switch {
	case failed.Reason == protocol.ReasonProxyTicket, failed.Reason == protocol.ReasonProxyChain:
		reason = ProxyTicket
	case failed.Outcome == protocol.Malformed:
		reason = CASUnreadable
	case failed.Outcome == protocol.Failed:
		reason = TicketRefused
		switch failed.Code {
		case "INVALID_SERVICE", "UNAUTHORIZED_SERVICE", "UNAUTHORIZED_SERVICE_PROXY", "@audience", "@recipient":
			reason = ServiceRefused
		case "@expired", "@not_yet_valid":
			reason = ClockSkew
		case "INTERNAL_ERROR":
			reason = CASUnavailable
		}
	}
	return &Error{Reason: reason, Cause: failed}
}

// initiation returns what the browser's initiation cookie holds.
func (g *Gate) initiation(v *Visit, secret *[32]byte) initiation {
	value, found := cookie(v.Request, g.initiationCookie())
	if found != 1 {
		return initiation{}
	}
	return openInitiation(secret, value, time.Now())
}

func (g *Gate) keep(secret *[32]byte, under initiation) http.Cookie {
	if under.empty() {
		return http.Cookie{Name: g.initiationCookie(), MaxAge: -1}
	}
	return http.Cookie{Name: g.initiationCookie(), Value: under.seal(secret), MaxAge: int(initiationLife / time.Second)}
}

// flights lets a ticket that arrives several times at once, as a double click
// sends it, be validated once, and gives the outcome to each.
type flights struct {
	mu    sync.Mutex
	under map[string]*flight
}

type flight struct {
	browser string // initiation cookie of the browser that came first
	done    chan struct{}
	login   login
}

// do returns what validating ticket gave. mine is false for another browser than
// the one that came first: it has no business with this ticket.
func (f *flights) do(ticket, browser string, validate func() login) (_ login, mine bool) {
	f.mu.Lock()
	if first, ok := f.under[ticket]; ok {
		f.mu.Unlock()
		if first.browser != browser {
			return login{}, false
		}
		<-first.done
		return first.login, true
	}
	if f.under == nil {
		f.under = make(map[string]*flight)
	}
	this := &flight{browser: browser, done: make(chan struct{}), login: login{err: &Error{Reason: CASUnavailable}}} // should validate panic
	f.under[ticket] = this
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		delete(f.under, ticket)
		f.mu.Unlock()
		close(this.done)
	}()
	this.login = validate()
	return this.login, true
}
