package address

import (
	"net/textproto"
	"net/url"
	"slices"
	"strings"
)

// Rewriter replaces PRONOTE's private addresses in response headers. Only what
// parses as an address with exactly one of the private origins (and below its
// path, if it has one) is touched: a look-alike host, another port or a user
// name before the host is some other address. The zero Rewriter changes nothing.
type Rewriter struct {
	Public   Origin   // what private origins become
	Root     string   // what the path of a private prefix becomes; begins and ends with a slash
	Internal []Prefix // PRONOTE's private addresses
	CAS      []Origin // the CAS servers, in redirects to which services are rewritten as well
}

// URL returns the public form of an absolute or scheme-relative address that is
// one of the private ones, and whether it is. Anything else comes back as it is,
// what url.Parse refuses included.
func (r *Rewriter) URL(s string) (string, bool) {
	if len(r.Internal) == 0 || !strings.Contains(s, "//") {
		return s, false
	}
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.User != nil || u.Opaque != "" {
		return s, false
	}
	rest := s[authorityEnd(s):]
	path, after := rest, ""
	if i := strings.IndexAny(rest, "?#"); i >= 0 {
		path, after = rest[:i], rest[i:]
	}

	best, public := -1, ""
	for _, internal := range r.Internal {
		if u.Scheme != "" && u.Scheme != internal.scheme || !internal.Names(u.Host) {
			continue
		}
		below, ok := cutPrefix(path, internal.Path)
		if !ok || len(internal.Path) <= best {
			continue
		}
		best, public = len(internal.Path), below
		if internal.Path != "" {
			// Never without a slash: what follows would belong to the host.
			public = "/" + strings.TrimPrefix(r.Root, "/") + below
		}
	}
	if best < 0 {
		return s, false
	}
	return r.Public.String() + public + after, true
}

// cutPrefix returns what follows a prefix in a raw path, byte for byte; the
// prefix is compared decoded and case-blind, and its last slash may be missing.
func cutPrefix(path, prefix string) (string, bool) {
	for i := range len(prefix) {
		if path == "" && i == len(prefix)-1 {
			return "", true
		}
		width := 1
		if strings.HasPrefix(path, "%") {
			width = 3
		}
		if len(path) < width {
			return "", false
		}
		c, err := url.PathUnescape(path[:width])
		// An encoded slash is no slash.
		if err != nil || width == 3 && c == "/" || !strings.EqualFold(c, prefix[i:i+1]) {
			return "", false
		}
		path = path[width:]
	}
	return path, true
}

// Redirect returns the public form of where a redirect leads: an address as
// [Rewriter.URL] rewrites it, and in one to a CAS server the private address in
// its service, TARGET, wreply or url parameter. That parameter is encoded again
// in full, for PRONOTE leaves ':' and '=' as they are.
func (r *Rewriter) Redirect(s string) (string, bool) {
	s, changed := r.URL(s)
	u, err := url.Parse(s)
	if err != nil || u.User != nil || u.RawQuery == "" ||
		!slices.ContainsFunc(r.CAS, func(cas Origin) bool { return cas.scheme == u.Scheme && cas.Names(u.Host) }) {
		return s, changed
	}
	head, query, _ := strings.Cut(s, "?")
	query, fragment, hasFragment := strings.Cut(query, "#")

	pairs := strings.Split(query, "&")
	services := false
	for i, pair := range pairs {
		name, value, _ := strings.Cut(pair, "=")
		if !namesService(decoded(name)) {
			continue
		}
		if public, ok := r.URL(decoded(value)); ok {
			pairs[i] = name + "=" + url.QueryEscape(public)
			services = true
		}
	}
	if !services {
		return s, changed
	}
	s = head + "?" + strings.Join(pairs, "&")
	if hasFragment {
		s += "#" + fragment
	}
	return s, true
}

// namesService reports whether a parameter of a login address says where to
// come back to: CAS, SAML 1.1, WS-Federation and PRONOTE's other delegations.
func namesService(name string) bool {
	return slices.ContainsFunc([]string{"service", "TARGET", "wreply", "url"}, func(n string) bool {
		return strings.EqualFold(n, name)
	})
}

// Header returns the public form of the value of a response header field, and
// whether it differs. It knows Location, Content-Location, Refresh, Link, and
// the Domain of Set-Cookie; the name is case-blind.
func (r *Rewriter) Header(name, value string) (string, bool) {
	if len(r.Internal) == 0 {
		return value, false
	}
	switch textproto.CanonicalMIMEHeaderKey(name) {
	case "Location", "Content-Location":
		return r.Redirect(value)
	case "Refresh":
		return r.refresh(value)
	case "Link":
		return r.link(value)
	case "Set-Cookie":
		return r.cookie(value)
	}
	return value, false
}

// refresh rewrites "5; url=https://…", which no RFC describes: browsers take
// ';', ',' or a blank after the seconds, and the address with or without url=
// and quotes (HTML, "shared declarative refresh steps").
func (r *Rewriter) refresh(value string) (string, bool) {
	address := strings.TrimLeft(value, "0123456789. \t")
	address = strings.TrimLeft(address, ";, \t")
	if name, after, ok := strings.Cut(address, "="); ok && strings.EqualFold(strings.TrimSpace(name), "url") {
		address = strings.TrimLeft(after, " \t")
	}
	quote := ""
	if strings.HasPrefix(address, "'") || strings.HasPrefix(address, `"`) {
		quote, address = address[:1], address[1:]
	}
	before, after := value[:len(value)-len(address)], ""
	if i := strings.Index(address, quote); quote != "" && i >= 0 {
		address, after = address[:i], address[i:]
	}
	public, changed := r.Redirect(address)
	return before + public + after, changed
}

// link rewrites every <target> of a Link field (RFC 8288 §3), and nothing that
// only looks like one inside a quoted parameter.
func (r *Rewriter) link(value string) (string, bool) {
	var b strings.Builder
	changed, quoted := false, false
	for i := 0; i < len(value); i++ {
		switch c := value[i]; {
		case quoted && c == '\\' && i+1 < len(value):
			b.WriteByte(c)
			i++
		case c == '"':
			quoted = !quoted
		case !quoted && c == '<':
			end := strings.IndexByte(value[i:], '>')
			if end < 0 {
				b.WriteString(value[i:])
				return b.String(), changed
			}
			target, ok := r.URL(value[i+1 : i+end])
			changed = changed || ok
			b.WriteString("<" + target)
			i += end
		}
		b.WriteByte(value[i])
	}
	return b.String(), changed
}

// cookie rewrites a Domain that is the host of a private origin. Ports do not
// count: a cookie has none (RFC 6265 §8.5).
func (r *Rewriter) cookie(value string) (string, bool) {
	pairs := strings.Split(value, ";")
	changed := false
	for i, pair := range pairs[1:] {
		name, domain, _ := strings.Cut(pair, "=")
		if !strings.EqualFold(strings.TrimSpace(name), "Domain") {
			continue
		}
		host := strings.ToLower(strings.TrimPrefix(strings.TrimSpace(domain), "."))
		if host != r.Public.host && slices.ContainsFunc(r.Internal, func(p Prefix) bool { return p.host == host }) {
			pairs[i+1] = name + "=" + r.Public.host
			changed = true
		}
	}
	return strings.Join(pairs, ";"), changed
}
