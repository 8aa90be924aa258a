package address

import (
	"net/url"
	"slices"
	"strings"
)

// Service returns the service string of a request for target on this origin:
// the one string that goes to the CAS server at login and at validation. The
// query is kept byte for byte and in order, less every pair that names ticket,
// SAMLart or PRONOTE's one-time identifiant, in whatever case or encoding;
// without a '?' or '&' at its end, to which servers would add their own; without
// a fragment.
//
// Origin and target are all that the string is made of: nothing that a client
// says of hosts changes it (CVE-2022-39369).
func (o Origin) Service(target string) string {
	target, _, _ = strings.Cut(target, "#")
	if !strings.HasPrefix(target, "/") {
		// Whatever this is, it must not become part of the host.
		target = "/" + target
	}
	path, query, found := strings.Cut(target, "?")
	if found {
		if query = strings.TrimRight(without(query, oneTime), "&"); query != "" {
			return o.String() + path + "?" + query
		}
	}
	return o.String() + path
}

// Tickets returns the decoded values of all pairs of a raw query that name
// ticket or SAMLart, in their order. A value that cannot be decoded is returned
// as it is.
func Tickets(rawQuery string) []string {
	var tickets []string
	for more := rawQuery != ""; more; {
		var pair string
		pair, rawQuery, more = strings.Cut(rawQuery, "&")
		if name, value, _ := strings.Cut(pair, "="); isTicket(decoded(name)) {
			tickets = append(tickets, decoded(value))
		}
	}
	return tickets
}

// WithoutTickets returns a raw query less all pairs that name ticket or SAMLart,
// the rest byte for byte; unchanged if there is none.
func WithoutTickets(rawQuery string) string {
	kept := without(rawQuery, isTicket)
	if len(kept) == len(rawQuery) {
		return rawQuery
	}
	return strings.TrimRight(kept, "&")
}

func isTicket(name string) bool {
	return strings.EqualFold(name, "ticket") || strings.EqualFold(name, "SAMLart")
}

func oneTime(name string) bool {
	return isTicket(name) || strings.EqualFold(name, "identifiant")
}

// without returns a raw query less the pairs whose decoded name is to go. It
// allocates only if there is one.
func without(rawQuery string, drop func(name string) bool) string {
	var kept []string // nil as long as nothing was dropped
	rest := rawQuery
	for i, more := 0, rawQuery != ""; more; i++ {
		var pair string
		start := len(rawQuery) - len(rest)
		pair, rest, more = strings.Cut(rest, "&")
		name, _, _ := strings.Cut(pair, "=")
		switch {
		case drop(decoded(name)):
			if kept == nil {
				kept = make([]string, 0, 8)
				if start > 0 {
					kept = append(kept, rawQuery[:start-1])
				}
			}
		case kept != nil:
			kept = append(kept, pair)
		}
	}
	if kept == nil {
		return rawQuery
	}
	return strings.Join(kept, "&")
}

// decoded undoes the encoding of a query, or returns s itself if it has none
// that is valid.
func decoded(s string) string {
	if d, err := url.QueryUnescape(s); err == nil {
		return d
	}
	return s
}

// Same reports whether two service strings name the same service to servers
// that decode, sort and encode a query again before they add their ticket
// (django-cas-server does), and to URL normalisation as RFC 3986 §6.2.2 has it.
func Same(a, b string) bool {
	return a == b || Canonical(a) == Canonical(b)
}

// Canonical returns the form in which [Same] compares services: scheme and host
// in canonical form, unreserved characters of the path decoded and all else in
// it untouched, the query's pairs decoded, sorted and encoded again, no
// fragment. What is no http or https address, or has a user in it, is returned
// as it is, and so is the same as itself only.
func Canonical(s string) string {
	s, _, _ = strings.Cut(s, "#")
	o, _, err := parse(s)
	if err != nil {
		return s
	}
	path, query, _ := strings.Cut(s[authorityEnd(s):], "?")
	if path == "" {
		path = "/"
	}
	var pairs []string
	for pair := range strings.SplitSeq(query, "&") {
		if pair != "" {
			name, value, _ := strings.Cut(pair, "=")
			pairs = append(pairs, url.QueryEscape(decoded(name))+"="+url.QueryEscape(decoded(value)))
		}
	}
	canonical := o.String() + unreserved(path)
	if len(pairs) == 0 {
		return canonical
	}
	slices.Sort(pairs)
	return canonical + "?" + strings.Join(pairs, "&")
}

// unreserved decodes those percent sequences of a path that never needed to be
// encoded, and writes the others with capitals.
func unreserved(path string) string {
	if !strings.Contains(path, "%") {
		return path
	}
	var b strings.Builder
	for i := 0; i < len(path); i++ {
		if path[i] != '%' || i+2 >= len(path) {
			b.WriteByte(path[i])
			continue
		}
		// url.Parse has vouched for the digits; what it decodes to one byte is that byte.
		c, err := url.PathUnescape(path[i : i+3])
		if err == nil && len(c) == 1 && strings.IndexByte(unreservedBytes, c[0]) >= 0 {
			b.WriteString(c)
		} else {
			b.WriteString(strings.ToUpper(path[i : i+3]))
		}
		i += 2
	}
	return b.String()
}

const unreservedBytes = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"

// authorityEnd returns where the authority of an absolute address ends: at the
// end, or before one of "/?#".
func authorityEnd(s string) int {
	start := strings.Index(s, "//") + len("//")
	if i := strings.IndexAny(s[start:], "/?#"); i >= 0 {
		return start + i
	}
	return len(s)
}
