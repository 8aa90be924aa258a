package caddymodule

import (
	"cmp"
	"context"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/pronote-cas/caddy-pronote-cas/casauth/address"
	"github.com/pronote-cas/caddy-pronote-cas/casauth/protocol"
)

// casSteps are about the ENT's CAS server, as the back channel reaches it.
func (c *checker) casSteps() (all []step) {
	login, validate := originOf(c.gate.LoginURL), originOf(c.gate.CAS.ValidateURL)
	origins := []address.Origin{login}
	if validate != login {
		origins = append(origins, validate)
	}
	for _, origin := range origins {
		host := origin.Host()
		all = append(all,
			step{name: "cas_name", about: host, run: func(ctx context.Context) finding { return c.casName(ctx, origin) }},
			step{name: "cas_certificate", about: host, after: stepKey("cas_name", host),
				run: func(ctx context.Context) finding { return c.casCertificate(ctx, origin) }})
	}
	forms, tickets := stepKey("cas_certificate", login.Host()), stepKey("cas_certificate", validate.Host())
	for i, service := range c.services() {
		if i == 1 { // what is wrong with the first address need not be said of each
			forms, tickets = stepKey("cas_login", c.service()), stepKey("cas_ticket", c.service())
		}
		all = append(all,
			step{name: "cas_login", about: service, after: forms,
				run: func(ctx context.Context) finding { return c.casLogin(ctx, service).onward() }},
			step{name: "cas_ticket", about: service, after: tickets,
				run: func(ctx context.Context) finding { return c.casTicket(ctx, service).onward() }})
	}
	return append(all, step{name: "cas_clock", after: stepKey("cas_certificate", validate.Host()),
		run: func(context.Context) finding { return c.casClock() }})
}

// proxied returns the proxy on the way to origin, "" for none.
func (c *checker) proxied(origin address.Origin) string {
	if c.client.Proxy == nil {
		return ""
	}
	r, err := http.NewRequest(http.MethodGet, origin.String(), nil)
	if err != nil {
		return ""
	}
	proxy, err := c.client.Proxy(r)
	if err != nil || proxy == nil {
		return ""
	}
	return proxy.Host
}

func (c *checker) casName(ctx context.Context, origin address.Origin) finding {
	host := origin.Hostname()
	if proxy := c.proxied(origin); proxy != "" {
		return fine("cas_proxy", "host", host, "proxy", proxy) // which asks the DNS itself
	}
	if _, err := netip.ParseAddr(host); err == nil {
		return finding{}
	}
	addresses, err := c.resolve(ctx, host)
	if err != nil {
		return wrong("cas_name", "host", host, "error", err.Error()).last()
	}
	return fine("cas_name_found", "host", host, "addresses", joined(addresses))
}

func (c *checker) casCertificate(ctx context.Context, origin address.Origin) finding {
	pairs := []string{"host", origin.Host(), "proxy", c.proxied(origin)}
	state, err := connect(ctx, c.client, origin.String())
	switch {
	case err != nil:
		return unanswered("cas", err, pairs...)
	case state == nil:
		return fine("cas_connected", pairs...)
	}
	return certificate("cas", origin.Host(), state)
}

// maxHops is how far a login page is followed through the pages of a single sign-on.
const maxHops = 5

// casLogin asks for the login page as a browser does that comes without cookies.
func (c *checker) casLogin(ctx context.Context, service string) finding {
	at := protocol.LoginURL(c.gate.LoginURL, service, c.gate.Renew, c.gate.LoginParams)
	for hop := 0; ; hop++ {
		begun := time.Now()
		p, err := getPage(ctx, c.client, at, "text/html,application/xhtml+xml,*/*;q=0.8")
		host := originOf(at).Host()
		switch {
		case err != nil && hop > 0:
			return doubt("login_onward", "service", service, "host", host, "error", err.Error())
		case err != nil:
			return unanswered("cas", err, "host", host, "proxy", c.proxied(originOf(at)))
		case hop == 0:
			c.noteDate(p.header, begun)
		}
		to := p.redirect(at)
		if to == nil {
			return c.loginPage(p, service, host)
		}
		if c.gate.Public.Names(to.Host) && to.Scheme == c.gate.Public.Scheme() {
			if len(address.Tickets(to.RawQuery)) > 0 {
				return wrong("login_gives_tickets", "service", service)
			}
			return doubt("login_comes_back", "service", service)
		}
		next, err := url.Parse(to.Scheme + "://" + to.Host)
		if err != nil || to.Scheme != "https" && to.Scheme != "http" || to.Host == "" {
			return wrong("login_odd", "service", service, "status", p.code(), "title", p.title())
		}
		if origin := originOf(next.String()); origin.Scheme() == "http" && !origin.Loopback() {
			return wrong("login_plain", "service", service, "host", to.Host)
		}
		if hop == maxHops {
			c.accepted[service] = true
			return fine("login_leads_on", "service", service, "host", to.Host)
		}
		to.Fragment = ""
		at = to.String()
	}
}

// unknownService is how CAS servers say that they know a service not: Apereo in two
// languages, Edifice, django-cas-server, Keycloak, and the codes of CAS 3.0 §2.5.3.
var unknownService = regexp.MustCompile(`invalid_service|unauthorized_service|not authorized to use|application not authorized|` +
	`service \S{1,300} (is )?not allowed|unknown service|service (is )?not (registered|authorized|allowed|known)|client not found|` +
	`(application|service)( non|[^<>.,;:]{0,80} n'est pas) (autoris|d[ée]clar|enregistr|r[ée]f[ée]renc|reconnu)\pL*`)

// loginPage judges the page at which a login ends up before anybody has typed.
func (c *checker) loginPage(p webPage, service, host string) finding {
	text := p.text()
	pairs := []string{"service", service, "host", host, "status", p.code(), "title", p.title()}
	form := strings.Contains(text, "<form") || strings.Contains(text, `type="password"`)
	switch {
	case unknownService.MatchString(text), p.status == http.StatusForbidden:
		return c.unknown("login", service, append(pairs, "said", cmp.Or(unknownService.FindString(text), p.title()))...)
	case p.status == http.StatusNotFound || p.status == http.StatusGone:
		return wrong("login_missing", pairs...)
	case p.status >= http.StatusInternalServerError:
		return wrong("login_down", pairs...)
	case p.status/100 != 2 && !(p.status == http.StatusUnauthorized && form): // Kerberos first, a form for all others
		return wrong("login_odd", pairs...)
	case !form:
		c.accepted[service] = true
		return doubt("login_no_form", pairs...)
	}
	c.accepted[service] = true
	return fine("login_form", pairs...)
}

// unknown is the finding where the ENT does not know a service; where it knows the
// first address, it was declared without what lies below it.
func (c *checker) unknown(where, service string, pairs ...string) finding {
	words := where + "_service"
	if service != c.service() && c.accepted[c.service()] {
		words = "service_below"
	}
	return wrong(words, pairs...)
}

// clock is what the CAS server's clock shows, against ours.
type clock struct{ ahead time.Duration }

// noteDate takes the time of an answer that was asked for at begun. What a cache
// answers tells nothing.
func (c *checker) noteDate(header http.Header, begun time.Time) {
	date, err := http.ParseTime(header.Get("Date"))
	if err != nil || header.Get("Age") != "" {
		return
	}
	middle := begun.Add(time.Since(begun) / 2)
	c.clock = &clock{date.Add(500 * time.Millisecond).Sub(middle)} // Date has whole seconds, cut off
}

// casClock compares the clocks. SAML answers name the minute that they are good in;
// those of the other protocols do not.
func (c *checker) casClock() finding {
	if c.clock == nil {
		return doubt("clock_unknown")
	}
	off := c.clock.ahead.Abs()
	pairs := []string{"seconds", strconv.Itoa(int(off.Round(time.Second).Seconds()))}
	words := "clock_behind"
	if c.clock.ahead > 0 {
		words = "clock_ahead"
	}
	switch {
	case off <= 5*time.Second:
		return fine("clock", pairs...)
	case off > protocol.DefaultSkew && c.gate.CAS.Protocol == protocol.SAML11:
		return wrong(words, pairs...)
	}
	return doubt(words, pairs...)
}
