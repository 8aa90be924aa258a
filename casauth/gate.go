package casauth

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/pronote-cas/caddy-pronote-cas/casauth/address"
	"github.com/pronote-cas/caddy-pronote-cas/casauth/directory"
	"github.com/pronote-cas/caddy-pronote-cas/casauth/pronote"
	"github.com/pronote-cas/caddy-pronote-cas/casauth/protocol"
)

// Prefix is below what all lies that the plugin itself serves.
const Prefix = "/pronote-cas/"

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

	CASIdentifier string               // attribute that names the person at the ENT; "": the subject
	Identifier    []string             // attributes that may carry the PRONOTE identifier, first hit wins
	People        *directory.Directory // who is who in PRONOTE; nil: one beside the sessions that goes by Identifier alone
	Unresolved    Unresolved
	Require       [pronote.Academie + 1]Requirement // who may enter an Espace

	SingleLogout bool
	Relay        *Delegation // the CAS server for PRONOTE; nil: off
	CookieName   string      // of the session; the initiation cookie is CookieName + "_login"
}

// Gate decides on every request to one site.
type Gate struct {
	Config
	sessions    *Sessions
	cookieNames [2]string
}

// NewGate returns the gate of the site that c describes.
func NewGate(c Config, sessions *Sessions) *Gate {
	if c.People == nil {
		c.People = sessions.Directory(nil, directory.Config{Identifier: c.Identifier})
	}
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
	v.path, v.query, _ = strings.Cut(v.Asked, "?")
	own := strings.HasPrefix(v.path, Prefix)

	if d, ok := never(v, asked, upstream); ok {
		return d
	}
	if v.query != "" {
		v.tickets = address.Tickets(v.query)
	}
	if v.EarlyData && (own || len(v.tickets) > 0 || g.mayBeLogout(v)) {
		return refuse(v, EarlyData, nil)
	}

	v.renew = g.Renew
	v.session, v.noSession = g.session(ctx, v, !asked.Poll)
	if g.SingleLogout {
		if d, ok := g.singleLogout(ctx, v); ok {
			return d
		}
	}
	if own {
		return g.serveOwn(ctx, v, v.path[len(Prefix):])
	}
	if len(v.tickets) > 0 {
		if d, ok := g.finishLogin(ctx, v); ok {
			return d
		}
	}

	if v.session != nil && !g.pending(v.session) {
		if d, ok := g.toOwn(v, asked); ok {
			return d
		}
	}
	opened := g.opened(v, asked, upstream)
	if v.session != nil && !opened {
		if d, ok := g.withhold(v, asked, upstream); ok {
			return d
		}
	}
	switch {
	case v.session != nil && !g.pending(v.session):
		return Decision{Session: v.session, Espace: asked.Espace, StripTickets: g.spent(ctx, v), Brief: brief(asked), Discovery: g.discovery(asked)}
	case opened:
		return Decision{Espace: asked.Espace, StripTickets: g.spent(ctx, v), Discovery: g.discovery(asked)}
	case v.storage() != nil:
		return refuse(v, StorageUnavailable, v.noSession)
	case posts(v.Request), !navigates(v.Request), asked.Kind == pronote.Call: // to which nobody could come back
		d := refuse(v, SessionRequired, nil)
		d.Location = g.loginURL(g.wayBack(v.Request), g.Renew)
		return d
	}
	return g.startLogin(ctx, v)
}

// never refuses what is served to nobody, logged in or not: what Caddy and PRONOTE
// could read differently, and PRONOTE's administration.
func never(v *Visit, asked, upstream pronote.Target) (Decision, bool) {
	switch {
	case !strings.HasPrefix(v.path, "/"):
		return refuse(v, AmbiguousTarget, errors.New("the request target is not a path")), true
	case asked.Kind == pronote.Ambiguous:
		return refuse(v, AmbiguousTarget, errors.New(asked.Why)), true
	case upstream.Kind == pronote.Ambiguous:
		return refuse(v, AmbiguousTarget, errors.New("after rewriting: "+upstream.Why)), true
	case asked.Kind == pronote.Administration, upstream.Kind == pronote.Administration:
		return refuse(v, AdministrationHidden, nil), true
	}
	return Decision{}, false
}

// Beside decides on a request outside the directive's matcher: it passes, with no
// identity, unless PRONOTE could read it as one inside. Caddy's matchers compare
// paths, and do not know that Windows takes a backslash for a slash.
func (g *Gate) Beside(v *Visit) Decision {
	for _, target := range [...]string{v.Asked, v.Upstream} {
		switch judged := pronote.Judge(target, g.Root); {
		case judged.Kind == pronote.Administration:
			return refuse(v, AdministrationHidden, nil)
		case judged.Kind == pronote.Ambiguous && pronote.MayBeBelow(target, g.Root):
			return refuse(v, AmbiguousTarget, errors.New(judged.Why))
		}
	}
	return Decision{}
}

// brief reports whether PRONOTE answers target at once: its function calls, most of
// all that it is asked, and its static files.
func brief(target pronote.Target) bool {
	return target.Kind == pronote.Static || target.Kind == pronote.Call && strings.HasPrefix(target.Path, "appelfonction/")
}

// session returns the browser's session, or nil and why there is none.
func (g *Gate) session(ctx context.Context, v *Visit, person bool) (*Session, error) {
	value, found := cookie(v.Request, g.CookieName)
	if v.tossed = found > 1; found != 1 {
		return nil, ErrNoSession
	}
	s, err := g.sessions.Lookup(ctx, value, person)
	if s != nil && s.PronoteID == "" && g.Unresolved == DenyUnresolved {
		return nil, ErrNoSession // from before the configuration said so
	}
	return s, err
}

// opened reports whether v needs no login, by what was asked and by what it was
// rewritten to: the stricter counts.
func (g *Gate) opened(v *Visit, asked, upstream pronote.Target) bool {
	_, query, _ := strings.Cut(v.Upstream, "?")
	return g.open(asked, v.query, v.Request) && (v.Upstream == v.Asked || g.open(upstream, query, v.Request))
}

// open reports whether target, with that query, needs no login.
func (g *Gate) open(target pronote.Target, query string, r *http.Request) bool {
	switch target.Kind {
	case pronote.Static, pronote.Open:
		return true
	case pronote.Page:
		if g.NoCAS[target.Espace] || g.DirectLogin && pronote.DirectLogin(query) ||
			g.MobileApp && strings.HasSuffix(target.Path, ".html") && pronote.MobileApp(query, r.Header["Cookie"]) {
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

// spent reports whether the tickets in the query are of no use to PRONOTE: the
// one that this very session was made from, on a reload or a step back, or one
// that the relay did not give it. Any other is PRONOTE's own.
func (g *Gate) spent(ctx context.Context, v *Visit) bool {
	for _, ticket := range v.tickets {
		if v.session != nil && v.session.MadeFrom(g.sessions.Site, ticket) || g.foreignToPronote(ctx, v.session, ticket) {
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
	d.Location = g.loginURL(g.wayBack(r), g.Renew)
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
func (g *Gate) loginURL(target string, renew bool) string {
	return protocol.LoginURL(g.LoginURL, g.service(target), renew, g.LoginParams)
}
