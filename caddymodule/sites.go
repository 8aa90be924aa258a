package caddymodule

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
)

// site is one PRONOTE.net as the configuration has it: what the admin API, the
// commands and the metrics speak of.
type site struct {
	*Handler           // the site's first directive: sessions and directory are the same for all
	upstreams []string // where the site's reverse_proxy sends requests, as it dials
}

// name is the site's public_url, which is how an operator names it.
func (s *site) name() string { return s.gate.Public.String() }

// sitesOf finds the sites of a configuration, in the order of their names. It reads
// what Caddy has provisioned, so it knows of no site that is not served, and there
// is no list of ours to keep in step with reloads.
func sitesOf(ctx caddy.Context) ([]*site, error) {
	app, err := ctx.AppIfConfigured("http")
	if errors.Is(err, caddy.ErrNotConfigured) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	found := make(map[string]*site) // by storage place, for one site may have several directives
	for _, server := range app.(*caddyhttp.App).Servers {
		collectSites(server.Routes, found)
	}
	var all []*site
	for _, s := range found {
		slices.Sort(s.upstreams)
		s.upstreams = slices.Compact(s.upstreams)
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b *site) int { return strings.Compare(a.name(), b.name()) })
	return all, nil
}

// collectSites adds the sites among routes, and what lies beside each.
func collectSites(routes caddyhttp.RouteList, found map[string]*site) {
	for _, route := range routes {
		for _, handler := range route.Handlers {
			switch h := handler.(type) {
			case *caddyhttp.Subroute:
				collectSites(h.Routes, found)
			case *Handler:
				s := found[h.sessions.Site]
				if s == nil {
					s = &site{Handler: h}
					found[h.sessions.Site] = s
				}
				s.upstreams = append(s.upstreams, dialed(routes)...)
			}
		}
	}
}

// dialed lists the upstreams of every reverse_proxy among routes.
func dialed(routes caddyhttp.RouteList) (addresses []string) {
	for _, route := range routes {
		for _, handler := range route.Handlers {
			switch h := handler.(type) {
			case *caddyhttp.Subroute:
				addresses = append(addresses, dialed(h.Routes)...)
			case *reverseproxy.Handler:
				for _, upstream := range h.Upstreams {
					addresses = append(addresses, upstream.Dial)
				}
			}
		}
	}
	return addresses
}

// pickSite returns the site called name, or the only one where name is "".
func pickSite(sites []*site, name string) (*site, *adminError) {
	var names []string
	for _, s := range sites {
		if s.name() == strings.TrimSuffix(name, "/") || name == "" && len(sites) == 1 {
			return s, nil
		}
		names = append(names, s.name())
	}
	all := strings.Join(names, ", ")
	switch {
	case len(sites) == 0:
		return nil, &adminError{http.StatusNotFound, both{
			"this Caddy serves no site with pronote_cas",
			"ce Caddy ne sert aucun site avec pronote_cas"}}
	case name == "":
		return nil, &adminError{http.StatusBadRequest, both{
			"this Caddy serves several sites, choose one with --site: " + all,
			"ce Caddy sert plusieurs sites, choisissez-en un avec --site : " + all}}
	}
	return nil, &adminError{http.StatusNotFound, both{
		fmt.Sprintf("this Caddy serves no site %s with pronote_cas, but %s", name, all),
		fmt.Sprintf("ce Caddy ne sert pas de site %s avec pronote_cas, mais %s", name, all)}}
}
