package casauth

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/pronote-cas/caddy-pronote-cas/casauth/address"
	"github.com/pronote-cas/caddy-pronote-cas/casauth/pronote"
	"github.com/pronote-cas/caddy-pronote-cas/casauth/protocol"
)

// Prefix is below what all lies that the plugin itself serves.
const Prefix = "/pronote-cas/"

// Unresolved says what becomes of a login whose PRONOTE identifier is not found.
type Unresolved string

const (
	DenyUnresolved Unresolved = "deny" // a page, no session
	PassUnresolved Unresolved = "pass" // a session, but no identifier upstream
)

// Config is what a Gate is told about its site.
type Config struct {
	Public     address.Origin // what people type; the only address ever sent to CAS
	Root       string         // where PRONOTE.net lives: begins and ends with a slash
	ServiceURL string         // one fixed service for an ENT that accepts no other; "": the requested URL

	CAS         *protocol.Client // validates tickets
	LoginURL    string
	LogoutURL   string
	LoginParams []protocol.Param
	Renew       bool

	NoCAS        [pronote.Academie + 1]bool // Espaces without delegation
	NoCASWritten bool                       // the configuration itself names one: its downloads need no login
	Open         []pronote.Pattern          // further paths that need no login
	DirectLogin  bool                       // ?login=true reaches PRONOTE's own login form
	MobileApp    bool                       // PRONOTE's app and API clients pass with PRONOTE's own tokens

	CASIdentifier string   // attribute that names the person at the ENT; "": the subject
	Identifier    []string // attributes that may carry the PRONOTE identifier, first hit wins
	Unresolved    Unresolved

	SingleLogout bool
	CookieName   string // of the session; the initiation cookie is CookieName + "_login"
}

// Gate decides on every request to one site.
type Gate struct {
	Config
	sessions    *Sessions
	cookieNames [2]string
	logins      flights
}

// NewGate returns the gate of the site that c describes.
func NewGate(c Config, sessions *Sessions) *Gate {
	return &Gate{Config: c, sessions: sessions, cookieNames: [2]string{c.CookieName, c.CookieName + "_login"}}
}

// CookieNames returns the names of the session's cookie and of the initiation
// cookie: none of upstream's business.
func (g *Gate) CookieNames() []string { return g.cookieNames[:] }

func (g *Gate) initiationCookie() string { return g.cookieNames[1] }

// Decide is the whole gate: every request comes through this one switch.
func (g *Gate) Decide(ctx context.Context, v *Visit) Decision {
	asked := pronote.Judge(v.Asked, g.Root)
	upstream := asked
	if v.Upstream != v.Asked {
		upstream = pronote.Judge(v.Upstream, g.Root)
	}
	path, query, _ := strings.Cut(v.Asked, "?")
	own := strings.HasPrefix(path, Prefix)

	switch {
	case !strings.HasPrefix(path, "/"):
		return refuse(v, AmbiguousTarget, errors.New("the request target is not a path"))
	case asked.Kind == pronote.Ambiguous:
		return refuse(v, AmbiguousTarget, errors.New(asked.Why))
	case upstream.Kind == pronote.Ambiguous:
		return refuse(v, AmbiguousTarget, errors.New("after rewriting: "+upstream.Why))
	case asked.Kind == pronote.Administration, upstream.Kind == pronote.Administration:
		return refuse(v, AdministrationHidden, nil)
	}

	var tickets []string
	if query != "" {
		tickets = address.Tickets(query)
	}
	if v.EarlyData && (own || len(tickets) > 0 || g.mayBeLogout(v, query)) {
		return refuse(v, EarlyData, nil)
	}

	session, err := g.session(ctx, v, !asked.Poll)
	if g.SingleLogout {
		if d, ok := g.singleLogout(ctx, v, query, session); ok {
			return d
		}
	}
	if own {
		return g.serveOwn(ctx, v, path[len(Prefix):], session, err)
	}
	if len(tickets) > 0 && v.Request.Method == http.MethodGet && navigates(v.Request) {
		if d, ok := g.finishLogin(ctx, v, tickets, session); ok {
			return d
		}
	}

	switch {
	case session != nil:
		return Decision{Session: session, Espace: asked.Espace, StripTickets: g.spent(session, tickets)}
	case g.open(asked, v, query) && (v.Upstream == v.Asked || g.open(upstream, v, query)):
		return Decision{Espace: asked.Espace}
	case err != nil && !errors.Is(err, ErrNoSession):
		return refuse(v, StorageUnavailable, err)
	case posts(v.Request), !navigates(v.Request):
		d := refuse(v, SessionRequired, nil)
		d.Location = g.loginURL(g.wayBack(v.Request))
		return d
	}
	return g.startLogin(ctx, v, len(tickets) > 0)
}

// session returns the browser's session, or nil and why there is none.
func (g *Gate) session(ctx context.Context, v *Visit, person bool) (*Session, error) {
	value, ok := cookie(v.Request, g.CookieName)
	if !ok {
		return nil, ErrNoSession
	}
	return g.sessions.Lookup(ctx, value, person)
}

// open reports whether target needs no login.
func (g *Gate) open(target pronote.Target, v *Visit, query string) bool {
	switch target.Kind {
	case pronote.Static, pronote.Open:
		return true
	case pronote.Page:
		if g.NoCAS[target.Espace] || g.DirectLogin && pronote.DirectLogin(query) ||
			g.MobileApp && strings.HasSuffix(target.Path, ".html") && pronote.MobileApp(query, v.Request.Header["Cookie"]) {
			return true
		}
	case pronote.Call:
		if g.NoCAS[target.Espace] || g.DirectLogin || g.MobileApp {
			return true
		}
	case pronote.Download, pronote.Beacon:
		if g.NoCASWritten || g.DirectLogin || g.MobileApp {
			return true
		}
	}
	for _, pattern := range g.Open {
		if pattern.Match(target.Full) {
			return true
		}
	}
	return false
}

// spent reports whether the tickets in the query were ours and are of no more
// use: the one that this very session was made from, on a reload or a step back.
// Any other is PRONOTE's own.
func (g *Gate) spent(session *Session, tickets []string) bool {
	for _, ticket := range tickets {
		if session.MadeFrom(g.sessions.Site, ticket) {
			return true
		}
	}
	return false
}

// wayBack is the page that a script ran on, as far as the browser tells; never
// the call itself, which a person cannot look at.
func (g *Gate) wayBack(r *http.Request) string {
	referer, err := url.Parse(header(r, "Referer"))
	if err != nil || !g.ours(header(r, "Referer")) || strings.HasPrefix(referer.Path, Prefix) {
		return g.Root
	}
	target := referer.RequestURI()
	switch pronote.Judge(target, g.Root).Kind {
	case pronote.Page, pronote.Unknown, pronote.Open:
		return target
	}
	return g.Root
}

// Home is PRONOTE's first page.
func (g *Gate) Home() string { return g.Public.Service(g.Root) }

// WayBack is where a person can go on whose request r could not be served: the
// page that they were on.
func (g *Gate) WayBack(r *http.Request) string { return g.Public.Service(g.wayBack(r)) }

// Again is where a person can try r once more.
func (g *Gate) Again(r *http.Request) string {
	if posts(r) || !strings.HasPrefix(r.RequestURI, "/") {
		return g.Home()
	}
	return g.Public.Service(r.RequestURI)
}

// Ended decides on a request whose session ended while it was under way.
func (g *Gate) Ended(r *http.Request) Decision {
	d := refuse(&Visit{Request: r}, SessionRequired, nil)
	d.Location = g.loginURL(g.wayBack(r))
	return d
}

// service returns the service (CAS 3.0 §2.1.1) that stands for target. Only the
// configuration and the requested path and query have a say in it: a Host header
// that did is how CVE-2022-39369 sent tickets elsewhere.
func (g *Gate) service(target string) string {
	if g.ServiceURL != "" {
		return g.ServiceURL
	}
	return g.Public.Service(target)
}

// loginURL is where a login for target starts.
func (g *Gate) loginURL(target string) string {
	return protocol.LoginURL(g.LoginURL, g.service(target), g.Renew, g.LoginParams)
}
