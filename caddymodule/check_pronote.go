package caddymodule

import (
	"context"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"

	"github.com/pronote-cas/caddy-pronote-cas/casauth"
	"github.com/pronote-cas/caddy-pronote-cas/casauth/pronote"
)

// discoveryFile is what PRONOTE's app asks for first; its id is a constant.
const discoveryFile = "InfoMobileApp.json?id=0D264427-EEFC-4810-A9E9-346942A862A4"

// casListener is where the authentication test of PRONOTE.net 2011 begins, on its
// port for CAS, which serves nothing else.
const casListener = "/pronote.net/cas/accueil/"

// pronoteSteps are about PRONOTE.net, as reverse_proxy reaches it.
func (c *checker) pronoteSteps() (all []step) {
	if len(c.upstreams) == 0 {
		return []step{{name: "pronote", run: func(context.Context) finding { return doubt("pronote_nowhere") }}}
	}
	for _, dial := range c.upstreams {
		up := &upstreamCheck{checker: c, dial: dial}
		all = append(all,
			step{name: "pronote", about: dial, run: up.firstPage},
			step{name: "pronote_redirect", about: dial, after: stepKey("pronote", dial), run: up.redirect},
			step{name: "pronote_app", about: dial, after: stepKey("pronote", dial), run: up.app},
			step{name: "pronote_around", about: dial, run: up.around})
	}
	return all
}

// upstreamCheck looks at one upstream.
type upstreamCheck struct {
	*checker
	dial     string
	listener bool // it is the port for CAS of PRONOTE.net 2011
}

// ask sends target to the upstream as reverse_proxy does.
func (u *upstreamCheck) ask(ctx context.Context, target string) (webPage, error) {
	to, err := caddy.ParseNetworkAddress(caddy.NewReplacer().ReplaceKnown(u.dial, ""))
	if err != nil {
		return webPage{}, err
	}
	through, host := u.transports[u.dial], to.JoinHostPort(0)
	r := (&http.Request{Method: http.MethodGet, Header: make(http.Header)}).WithContext(ctx)
	if r.URL, err = url.Parse(target); err != nil {
		return webPage{}, err
	}
	dialInfo := reverseproxy.DialInfo{Network: to.Network, Address: host, Host: to.Host, Port: "0"}
	if to.IsUnixNetwork() {
		host = "localhost"
	}
	r.URL.Host, r.Host = host, u.gate.Public.Host()
	if through == nil {
		through, r.URL.Scheme = &http.Transport{DisableKeepAlives: true}, "http"
	}
	ctx = context.WithValue(ctx, caddy.CtxKey("reverse_proxy.dial_info"), dialInfo)
	ctx = context.WithValue(ctx, caddy.ReplacerCtxKey, caddy.NewReplacer())
	ctx = context.WithValue(ctx, caddyhttp.VarsCtxKey, make(map[string]any))
	r.Header.Set("Accept", "text/html,application/xhtml+xml,*/*;q=0.8")
	r.Header.Set("X-Forwarded-Proto", u.gate.Public.Scheme())
	r.Header.Set("X-Forwarded-Host", u.gate.Public.Host())
	return fetch(r.WithContext(ctx), through)
}

var (
	suspended   = regexp.MustCompile(`adresse ip est (provisoirement )?suspendue`)
	unpublished = regexp.MustCompile(`http error 503|(site|serveur|service) n'est pas disponible|momentan[ée]ment indisponible|n'est pas publi`)
	otherHost   = regexp.MustCompile(`invalid hostname`) // http.sys of Windows
)

// isPronote reports whether p is a page of PRONOTE's, or what it tells its app. That
// a page speaks of PRONOTE is not enough: the school's own site does.
func isPronote(p webPage) bool {
	return p.status/100 == 2 && (strings.Contains(strings.ToLower(p.title()), "pronote") ||
		strings.Contains(p.body, "Start (") || strings.Contains(p.body, `"espaces":`))
}

// page asks for PRONOTE's first page.
func (u *upstreamCheck) firstPage(ctx context.Context) finding {
	p, err := u.ask(ctx, u.gate.Root)
	if err != nil {
		return unanswered("pronote", err, "upstream", u.dial)
	}
	text := p.text()
	pairs := []string{"upstream", u.dial, "root", u.gate.Root, "status", p.code(), "title", p.title(), "server", p.header.Get("Server")}
	switch {
	case suspended.MatchString(text):
		return wrong("pronote_suspended", pairs...).last()
	case strings.Contains(text, "méthode inconnue"):
		return wrong("pronote_msxml", pairs...)
	case p.status == http.StatusServiceUnavailable, unpublished.MatchString(text):
		return wrong("pronote_unpublished", pairs...).last()
	case otherHost.MatchString(text):
		return wrong("pronote_host", pairs...).last()
	case p.status == http.StatusBadRequest && strings.Contains(text, "https"):
		return wrong("pronote_tls", pairs...).last()
	case p.status == http.StatusNotFound:
		if at, err := u.ask(ctx, casListener); err == nil && at.redirect(u.service()) != nil {
			u.listener = true
			return fine("pronote_listener", pairs...)
		}
		return wrong("pronote_root", pairs...).last()
	case p.status >= http.StatusInternalServerError:
		return wrong("pronote_error", pairs...).last()
	case p.status >= http.StatusBadRequest:
		return wrong("pronote_forbidden", pairs...).last()
	case p.status/100 == 2 && !isPronote(p):
		return doubt("pronote_other", pairs...)
	}
	return fine("pronote", pairs...)
}

// espacePage is the page of an Espace that needs a login here, and so should be
// delegated in PRONOTE as well.
func (c *checker) espacePage() string {
	for _, e := range []struct {
		espace pronote.Espace
		page   string
	}{{pronote.Eleves, "eleve.html"}, {pronote.Professeurs, "professeur.html"}, {pronote.Parents, "parent.html"}} {
		if !c.gate.NoCAS[e.espace] {
			return e.page
		}
	}
	return ""
}

// redirect asks for an Espace and looks where PRONOTE sends a person who is not
// logged in to it.
func (u *upstreamCheck) redirect(ctx context.Context) finding {
	target := u.gate.Root + u.espacePage()
	if u.listener {
		target = casListener
	}
	p, err := u.ask(ctx, target)
	if err != nil {
		return unanswered("pronote", err, "upstream", u.dial)
	}
	to := p.redirect(u.gate.Public.String() + target)
	if to == nil {
		if u.gate.Relay != nil && u.gate.Relay.Forward == nil && p.status/100 == 2 {
			return doubt("redirect_none", "upstream", u.dial, "page", target)
		}
		return fine("redirect_own_login", "upstream", u.dial, "page", target)
	}
	location := to.String()
	if u.rewriter != nil {
		location, _ = u.rewriter.Redirect(location)
	}
	rewritten, err := url.Parse(location)
	if err != nil {
		return wrong("redirect_elsewhere", "upstream", u.dial, "location", to.Host)
	}
	return u.judge(p, to, rewritten)
}

// judge judges a redirect of PRONOTE's: as it is, and as it leaves Caddy.
func (u *upstreamCheck) judge(p webPage, to, rewritten *url.URL) finding {
	service := serviceIn(to.Query())
	shown := to.Scheme + "://" + to.Host + to.EscapedPath()
	pairs := []string{"upstream", u.dial, "location", shown, "named", service}
	relay := u.gate.Public.String() + casauth.Prefix
	forwards := u.gate.Relay != nil && u.gate.Relay.Forward != nil
	login := originOf(u.gate.LoginURL)
	at := rewritten.Scheme + "://" + rewritten.Host + rewritten.EscapedPath()
	private := u.private(rewritten.Hostname())
	switch {
	case strings.HasPrefix(at, relay) && u.gate.Relay == nil:
		return wrong("redirect_no_relay", pairs...)
	case strings.HasPrefix(at, relay) && service == "":
		return wrong("redirect_no_service", pairs...)
	case strings.HasPrefix(at, relay):
		if _, ok := u.settled.relay.services.Public(service); !ok {
			return wrong("redirect_service_unknown", append(pairs, "origin", prefixOf(service))...)
		}
		return fine("redirect_relay", pairs...)
	case login.Names(rewritten.Host) && login.Scheme() == rewritten.Scheme && u.gate.Relay != nil && !forwards:
		return wrong("redirect_ent", pairs...)
	case service != "" && !strings.HasPrefix(serviceIn(rewritten.Query()), u.gate.Public.String()+"/"):
		return wrong("redirect_private_service", append(pairs, "origin", prefixOf(service))...)
	case service != "" && serviceIn(rewritten.Query()) != service && !forwards:
		return wrong("redirect_half", append(pairs, "origin", prefixOf(service))...)
	case service != "" && login.Names(rewritten.Host):
		return fine("redirect_delegated", pairs...)
	case private && p.header.Get("Location") != "" && rewritten.Host != "":
		return wrong("redirect_private", append(pairs, "origin", rewritten.Scheme+"://"+rewritten.Host)...)
	case u.gate.Public.Names(rewritten.Host):
		return fine("redirect_inside", pairs...)
	}
	return doubt("redirect_elsewhere", pairs...)
}

// serviceIn is the service that a login address names.
func serviceIn(query url.Values) string {
	for name, values := range query {
		switch strings.ToLower(name) {
		case "service", "target":
			return values[0]
		}
	}
	return ""
}

// prefixOf is what internal_url should say for an address of PRONOTE's.
func prefixOf(at string) string {
	u, err := url.Parse(at)
	if err != nil || u.Host == "" {
		return at
	}
	return u.Scheme + "://" + u.Host
}

var anyAddress = regexp.MustCompile(`(?i)https?:\\?/\\?/([a-z0-9._-]+|\[[0-9a-f:.]+\])(:[0-9]+)?`)

// app looks for private addresses in what PRONOTE tells its app, which is passed on
// as it is, but for the address of the CAS server where that is the relay.
func (u *upstreamCheck) app(ctx context.Context) finding {
	if u.listener {
		return finding{}
	}
	p, err := u.ask(ctx, u.gate.Root+discoveryFile)
	if err != nil || p.status != http.StatusOK || !strings.Contains(p.body, "{") {
		return finding{} // PRONOTE.net 2011 has none
	}
	body := []byte(p.body)
	if u.gate.Relay != nil && u.gate.Relay.Forward == nil {
		body = withCASURL(body, u.casURL)
	}
	for _, match := range anyAddress.FindAllStringSubmatch(string(body), -1) {
		if host := strings.Trim(match[1], "[]"); u.private(host) {
			return wrong("app_private", "upstream", u.dial, "found", strings.ReplaceAll(match[0], `\`, ""))
		}
	}
	return fine("app", "upstream", u.dial)
}

// transportsOf lists how every reverse_proxy of ctx's configuration reaches its
// upstreams.
func transportsOf(ctx caddy.Context) map[string]http.RoundTripper {
	found := make(map[string]http.RoundTripper)
	app, err := ctx.AppIfConfigured("http")
	if err != nil {
		return found
	}
	var visit func(caddyhttp.RouteList)
	visit = func(routes caddyhttp.RouteList) {
		for _, route := range routes {
			for _, handler := range route.Handlers {
				switch h := handler.(type) {
				case *caddyhttp.Subroute:
					visit(h.Routes)
				case *reverseproxy.Handler:
					for _, upstream := range h.Upstreams {
						found[upstream.Dial] = h.Transport
					}
				}
			}
		}
	}
	for _, server := range app.(*caddyhttp.App).Servers {
		visit(server.Routes)
	}
	return found
}
