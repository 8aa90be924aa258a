package caddymodule

import (
	"cmp"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/pronote-cas/caddy-pronote-cas/caddymodule/pages"
	"github.com/pronote-cas/caddy-pronote-cas/casauth"
	"github.com/pronote-cas/caddy-pronote-cas/casauth/address"
	"github.com/pronote-cas/caddy-pronote-cas/casauth/directory"
)

// ServeHTTP is one request from top to bottom: what came in becomes a Visit, the
// gate decides, and the decision is carried out.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	before, again := caddyhttp.GetVar(r.Context(), decidedVar).(decided)
	if again && h.Outside {
		h.stripBeside(r, before.by)
		return next.ServeHTTP(w, r)
	}
	left := r.Header["Cookie"]
	if !again {
		before.cookies = left
	}
	caddyhttp.SetVar(r.Context(), decidedVar, decided{h, before.cookies})
	v := h.visit(r)
	var d casauth.Decision
	if h.Outside && !strings.HasPrefix(v.Asked, casauth.Prefix) {
		d = h.gate.Beside(&v)
	} else {
		putCookies(r, before.cookies)
		d = h.gate.Decide(r.Context(), &v)
		putCookies(r, left)
	}
	if d.Action == casauth.Pass {
		return h.pass(w, r, next, &d)
	}
	h.answer(w, r, d)
	return nil
}

// decidedVar holds what the directives that have decided on a request leave to those
// behind them.
const decidedVar = "pronote_cas.decided"

// decided is the Handler that decided last, and the cookies as they came: what it let
// pass has none of ours any more, and the next one would ask for a login for ever.
type decided struct {
	by      *Handler
	cookies []string
}

func putCookies(r *http.Request, lines []string) {
	if len(lines) > 0 {
		r.Header["Cookie"] = lines
	} else {
		delete(r.Header, "Cookie")
	}
}

// visit collects what came in.
func (h *Handler) visit(r *http.Request) casauth.Visit {
	v := casauth.Visit{Request: r, EarlyData: earlyData(r)}
	original := original(r)
	v.Asked = original.RequestURI
	if original.URL.Host != "" && original.URL.User == nil && h.gate.Public.Names(original.URL.Host) {
		v.Asked = original.URL.RequestURI() // absolute form, to ourselves (RFC 9112 §3.2.2)
	}
	v.Upstream = v.Asked
	if u := original.URL; u != r.URL && (u.Path != r.URL.Path || u.RawPath != r.URL.RawPath || u.RawQuery != r.URL.RawQuery) {
		v.Upstream = r.URL.RequestURI()
	}
	// Only there it matters who calls; most requests are neither.
	if _, query, _ := strings.Cut(v.Asked, "?"); strings.HasPrefix(v.Asked, casauth.Prefix) || len(address.Tickets(query)) > 0 {
		v.Client = client(r)
	}
	return v
}

// original is r as the client wrote it: the directive runs after rewrite, redir and
// the like.
func original(r *http.Request) http.Request {
	if before, ok := r.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request); ok {
		return before
	}
	return *r // not below a Caddy server
}

// client is the TCP peer, or whom a proxy that Caddy trusts names: no header of an
// untrusted one has a say in it. Of several addresses Caddy takes the first that it
// can read, which the caller may have written, unless trusted_proxies_strict is on:
// without it, several are nobody's.
func client(r *http.Request) netip.Addr {
	server, _ := r.Context().Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	if through, _ := caddyhttp.GetVar(r.Context(), caddyhttp.TrustedProxyVarKey).(bool); through && server.TrustedProxiesStrict == 0 {
		var named []string
		for _, field := range server.ClientIPHeaders {
			named = append(named, r.Header.Values(field)...)
		}
		if strings.Contains(strings.Join(named, ","), ",") {
			return netip.Addr{}
		}
	}
	ip, _ := caddyhttp.GetVar(r.Context(), caddyhttp.ClientIPVarKey).(string)
	addr, err := netip.ParseAddr(ip)
	if err != nil {
		return netip.Addr{} // such as a unix socket's peer
	}
	return addr.Unmap()
}

// earlyData reports whether r came before the TLS handshake was complete, here
// or at a proxy in front (RFC 8470 §5.1).
func earlyData(r *http.Request) bool {
	return r.TLS != nil && !r.TLS.HandshakeComplete || len(r.Header["Early-Data"]) > 0
}

// pass sends r on, with the identity of d's session and no other.
func (h *Handler) pass(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler, d *casauth.Decision) error {
	h.identity.strip(r, h.gate.CookieNames())
	if d.StripTickets {
		stripTickets(r)
	}
	if d.Discovery {
		next = discovery{h.casURL, next}
	}
	h.log.passed(d.Session != nil)
	if d.Session != nil {
		return h.live(w, r, next, d)
	}
	noPlaceholders.install(r)
	if h.rewriter == nil || h.Outside {
		return next.ServeHTTP(w, r)
	}
	out := &response{ResponseWriterWrapper: caddyhttp.ResponseWriterWrapper{ResponseWriter: w}, rewriter: h.rewriter}
	defer out.finish()
	return next.ServeHTTP(out, r)
}

// stripTickets takes our own used ticket out of what goes upstream.
func stripTickets(r *http.Request) {
	clean := *r.URL
	clean.RawQuery = address.WithoutTickets(clean.RawQuery)
	*r.URL = clean
	r.RequestURI = clean.RequestURI()
}

// answer carries out what does not go upstream.
func (h *Handler) answer(w http.ResponseWriter, r *http.Request, d casauth.Decision) {
	noPlaceholders.install(r) // a header of the Caddyfile's own may name them
	code := h.log.decision(r, &d)
	for i := range d.Cookies {
		http.SetCookie(w, h.cookies.dress(&d.Cookies[i]))
	}
	h.bidFarewell(d.Farewells)
	header := w.Header()
	header.Set("Cache-Control", "no-store")
	switch d.Action {
	case casauth.Redirect:
		header.Set("Location", d.Location)
		header.Set("Referrer-Policy", "no-referrer") // a ticket in the address must not travel on
		w.WriteHeader(http.StatusFound)
	case casauth.Reply:
		header.Set("Content-Type", d.ContentType)
		header.Set("X-Content-Type-Options", "nosniff")
		w.WriteHeader(cmp.Or(d.Status, http.StatusOK))
		_, _ = w.Write([]byte(d.Body)) // a client that left needs no answer
	case casauth.Show:
		page := h.ownPage(d)
		page.Code = code
		pages.Write(w, r, h.dressed(page))
	case casauth.Refuse:
		h.refuse(w, r, d, code)
	}
}

func (h *Handler) ownPage(d casauth.Decision) pages.Page {
	switch {
	case d.Page == casauth.AskPage:
		return askPage(d.Asking)
	case d.Page == casauth.LoggedOutPage:
		return pages.Page{Kind: pages.LoggedOut, Retry: d.Location}
	case d.Session != nil:
		return pages.Page{Kind: pages.SessionOpen, Retry: d.Location}
	}
	return pages.Page{Kind: pages.SessionNone, Retry: d.Location}
}

// askPage is the form that asks for the PRONOTE identifier, or what keeps it from
// being filled in again for now.
func askPage(a *casauth.Asking) pages.Page {
	p := pages.Page{Kind: pages.AskIdentifier, Retry: pages.LogoutPath, Ask: pages.Ask{
		ProofKnown: a.ProofKnown,
		Identifier: pages.Field{Value: a.Code},
		LastName:   pages.Field{Value: a.LastName},
		BirthDate:  pages.Field{Value: a.BirthDate},
	}}
	wrong := a.Refused
	if wrong == nil {
		return p
	}
	p.RetryAfter = wrong.Wait
	if wrong.Kind == directory.AskLocked {
		p.Kind, p.Retry = pages.AskLocked, casauth.AskPath(a.To)
		return p
	}
	p.Ask.Identifier.Error = pages.AskError(wrong.Code)
	p.Ask.LastName.Error = pages.AskError(wrong.LastName)
	p.Ask.BirthDate.Error = pages.AskError(wrong.BirthDate)
	p.Ask.TriesLeft = wrong.TriesLeft
	switch wrong.Kind {
	case directory.AskWait:
		p.Status = http.StatusTooManyRequests
		fallthrough
	case directory.AskMismatch, directory.AskUnprovable:
		p.Ask.Error = pages.AskError(wrong.Kind)
	}
	return p
}

// refuse answers a person with a page and a script with a problem.
func (h *Handler) refuse(w http.ResponseWriter, r *http.Request, d casauth.Decision, code string) {
	page := h.refusalPage(r, d)
	page.Code = code
	switch d.Err.Reason {
	case casauth.MethodNotAllowed:
		w.Header().Set("Allow", "GET, HEAD")
		if original(r).URL.Path == pages.LogoutPath {
			w.Header().Set("Allow", "GET, POST")
		}
	case casauth.IdentifierRequired:
		if !d.Person {
			pages.Problem(w, r, page.Status, pages.ProblemFields{
				Kind: pages.AskIdentifier, Code: code, Reason: string(d.Err.Reason), LoginURL: d.Location})
			return
		}
	case casauth.SessionRequired:
		if !d.Person {
			pages.Problem(w, r, page.Status, pages.ProblemFields{
				Kind: pages.LoginRequired, Code: code, Reason: string(d.Err.Reason), LoginURL: d.Location})
			return
		}
	}
	if d.Person || r.Method == http.MethodGet && strings.Contains(r.Header.Get("Accept"), "text/html") {
		pages.Write(w, r, page)
		return
	}
	pages.Problem(w, r, page.Status, pages.ProblemFields{
		Kind: page.Kind, Cause: page.Cause, Code: code, Reason: string(d.Err.Reason), RetryAfter: page.RetryAfter})
}

const retryAfter = 30 * time.Second

// refusalPage says which page goes with which reason, and where its way on leads.
func (h *Handler) refusalPage(r *http.Request, d casauth.Decision) pages.Page {
	home, asked := h.gate.Home(), original(r)
	p := pages.Page{Status: d.Err.Reason.Status(), Detail: d.Err.Public, Retry: home}
	if d.Location != "" && d.Err.Reason != casauth.SessionRequired {
		p.Retry = d.Location
	}
	switch d.Err.Reason {
	case casauth.SessionRequired:
		p.Kind = pages.SessionEnded
		if back := h.gate.WayBack(r); back != "" {
			p.Retry = back
		}
	case casauth.AmbiguousTarget:
		p.Kind, p.Cause, p.Detail = pages.BadRequest, misread(d.Err.Cause), pathOnly(&asked)
	case casauth.AdministrationHidden, casauth.NotFound:
		p.Kind = pages.NotFound
	case casauth.MethodNotAllowed:
		p.Kind = pages.MethodNotAllowed
	case casauth.TicketRefused, casauth.ServiceRefused, casauth.ClockSkew, casauth.ForeignTicket:
		p.Kind, p.Cause = pages.LoginLoop, pages.Cause(d.Err.Reason)
	case casauth.ProxyTicket, casauth.UnknownPerson:
		p.Kind, p.Cause = pages.Refused, pages.Cause(d.Err.Reason)
	case casauth.UnknownIdentifier, casauth.IdentifierConflict, casauth.AmbiguousIdentity:
		p.Kind, p.Cause, p.Retry = pages.UnknownIdentifier, pages.Cause(d.Err.Reason), pages.LogoutPath
	case casauth.WrongProfile:
		p.Kind, p.Espace, p.Own = pages.WrongProfile, d.Espace.String(), d.Own.String()
		p.Detail = strings.Join(d.Session.Attributes[d.Err.Public], ";")
	case casauth.CASUnavailable, casauth.CASUnreadable:
		p.Kind, p.RetryAfter = pages.ENTUnavailable, retryAfter
		if d.Err.Reason == casauth.CASUnreadable {
			p.Kind = pages.ENTUnreadable
		}
		p.Detail, _, _ = strings.Cut(h.gate.CAS.ValidateURL, "?")
	case casauth.StorageUnavailable:
		p.Kind, p.RetryAfter, p.Retry = pages.StorageUnavailable, retryAfter, h.gate.Again(&asked)
	case casauth.EarlyData:
		p.Kind, p.Retry = pages.TooEarly, h.gate.Again(&asked)
	case casauth.ForeignLogout:
		p.Kind = pages.LogoutConfirm
	case casauth.ServiceNotAllowed:
		p.Kind = pages.ServiceNotAllowed
	case casauth.UnreadableLogout:
		p.Kind, p.Cause = pages.Refused, pages.Cause(d.Err.Reason)
	default:
		p.Kind = pages.Refused
	}
	return h.dressed(p)
}

// misread finds the words for the rule that an ambiguous address breaks.
func misread(why error) pages.Cause {
	if why == nil {
		return pages.CauseNone
	}
	for words, cause := range map[string]pages.Cause{
		"encoded slash": pages.CauseEncodedSlash, "backslash": pages.CauseBackslash, "semicolon": pages.CauseSemicolon,
		"question mark": pages.CauseReserved, "control character": pages.CauseReserved, "number sign": pages.CauseHash,
		"empty segment": pages.CauseDoubleSlash, "in a dot": pages.CauseDotSegment, "something after it": pages.CauseAfterPage,
		"percent sequence": pages.CauseEncoding, "doubly encoded": pages.CauseEncoding, "invalid UTF-8": pages.CauseEncoding,
		"not a path": pages.CauseHost,
	} {
		if strings.Contains(why.Error(), words) {
			return cause
		}
	}
	return pages.CauseNone
}

// dressed adds what every page of this site has.
func (h *Handler) dressed(p pages.Page) pages.Page {
	if h.cookies.sameSite == http.SameSiteNoneMode {
		p.FrameAncestors = "https:" // the ENT shows PRONOTE in a frame, and so our pages too
	}
	return p
}

// pathOnly is what was asked for without its query, which may hold a ticket, and
// without what somebody might have meant for one.
func pathOnly(r *http.Request) string {
	if end := strings.IndexAny(r.RequestURI, "?&;#%="); end >= 0 {
		return r.RequestURI[:end]
	}
	return r.RequestURI
}
