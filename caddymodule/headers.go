package caddymodule

import (
	"net/http"
	"slices"
	"strings"
	"unicode"

	"github.com/pronote-cas/caddy-pronote-cas/casauth"
)

// identityHeaders are the headers that tell upstream who it is. Upstream believes
// them, so no request may bring its own.
type identityHeaders struct {
	pronoteID  string // "" is never: there is a default
	user       string // "" for none
	attributes []AttributeHeader
	folded     []string // every name above, folded
	lengths    uint64   // bit n: a name of n bytes is among them (n < 64), which most are not
	long       bool     // a name of 64 bytes or more is among them
}

// fold maps the spellings of a header's name that some server somewhere takes for
// the same: CGI and WSGI turn both - and . into _, and none minds case.
func fold(name string) string {
	return strings.NewReplacer("_", "-", ".", "-").Replace(strings.ToLower(name))
}

// prepare readies h for use. It returns the place of a name that stands in it for
// the second time (0 pronoteID, 1 user, 2 and up attributes), or -1.
func (h *identityHeaders) prepare() (twice int) {
	names := []string{h.pronoteID, h.user}
	for _, a := range h.attributes {
		names = append(names, a.Name)
	}
	seen := make(map[string]bool)
	for place, name := range names {
		folded := fold(name)
		if name == "" {
			continue
		}
		if seen[folded] {
			return place
		}
		seen[folded] = true
		h.folded = append(h.folded, folded)
		if len(name) < 64 {
			h.lengths |= 1 << len(name)
		} else {
			h.long = true
		}
	}
	return -1
}

// ours reports whether name could be read as one of our headers.
func (h *identityHeaders) ours(name string) bool {
	if len(name) < 64 && h.lengths&(1<<len(name)) == 0 || len(name) >= 64 && !h.long {
		return false
	}
	for _, folded := range h.folded {
		if len(folded) == len(name) && foldEqual(name, folded) {
			return true
		}
	}
	return false
}

// foldEqual reports whether fold(name) is folded, without making a string.
func foldEqual(name, folded string) bool {
	for i := range len(name) {
		c := name[i]
		switch {
		case 'A' <= c && c <= 'Z':
			c += 'a' - 'A'
		case c == '_' || c == '.':
			c = '-'
		}
		if c != folded[i] {
			return false
		}
	}
	return true
}

// strip removes from r whatever could be read as one of our headers, wherever a
// request can carry one, and our own cookies, which are none of upstream's business.
func (h *identityHeaders) strip(r *http.Request, cookies []string) {
	for name := range r.Header {
		if h.ours(name) {
			delete(r.Header, name)
		}
	}
	// "Connection: X-Pronote-Id" makes the next proxy delete the header that is set
	// below as hop-by-hop (RFC 9110 §7.6.1), so that nobody seems to be logged in.
	if tokens := r.Header["Connection"]; len(tokens) > 0 {
		h.stripTokens(r.Header, "Connection", tokens)
	}
	// PRONOTE has no use for trailers, and what net/http reads into this map later
	// includes fields that were never announced.
	if r.Trailer != nil || r.Header["Trailer"] != nil {
		r.Trailer = nil
		delete(r.Header, "Trailer")
	}
	if lines := r.Header["Cookie"]; len(lines) > 0 {
		stripCookies(r.Header, lines, cookies)
	}
}

// stripBeside removes what is h's and not by's from a request that by, another
// directive on the site, has decided on: by has set its own headers.
func (h *Handler) stripBeside(r *http.Request, by *Handler) {
	if slices.Equal(h.identity.folded, by.identity.folded) && h.gate.CookieName == by.gate.CookieName {
		return // as with the two routes of one directive
	}
	left := h.identity
	left.folded = slices.DeleteFunc(slices.Clone(left.folded), func(name string) bool {
		return slices.Contains(by.identity.folded, name)
	})
	left.strip(r, h.gate.CookieNames())
}

// stripTokens removes our names from the comma-separated lists under name.
func (h *identityHeaders) stripTokens(header http.Header, name string, lines []string) {
	oursIn := func(line string) bool {
		for line != "" {
			var token string
			token, line, _ = strings.Cut(line, ",")
			if h.ours(strings.TrimSpace(token)) {
				return true
			}
		}
		return false
	}
	if !slices.ContainsFunc(lines, oursIn) {
		return
	}
	var kept []string
	for token := range strings.SplitSeq(strings.Join(lines, ","), ",") {
		if token = strings.TrimSpace(token); token != "" && !h.ours(token) {
			kept = append(kept, token)
		}
	}
	if len(kept) == 0 {
		delete(header, name)
		return
	}
	header[name] = []string{strings.Join(kept, ", ")}
}

// stripCookies removes the named cookies and leaves the others byte for byte.
func stripCookies(header http.Header, lines, names []string) {
	kept := lines[:0:0]
	removed := false
	for _, line := range lines {
		rest, cut := withoutCookies(line, names)
		removed = removed || cut
		if rest != "" {
			kept = append(kept, rest)
		}
	}
	switch {
	case !removed:
	case len(kept) == 0:
		delete(header, "Cookie")
	default:
		header["Cookie"] = kept
	}
}

// withoutCookies returns line less the named cookies, which are cut out with the
// separator behind them.
func withoutCookies(line string, names []string) (rest string, removed bool) {
	for at := 0; at < len(line); {
		end := len(line)
		if semicolon := strings.IndexByte(line[at:], ';'); semicolon >= 0 {
			end = at + semicolon + 1
		}
		if !named(strings.TrimLeft(line[at:end], " \t"), names) {
			at = end
			continue
		}
		removed = true
		before, behind := line[:at], line[end:]
		switch {
		case behind == "":
			line = strings.TrimRight(strings.TrimSuffix(before, ";"), " \t")
		case before == "":
			line = strings.TrimLeft(behind, " \t")
		default:
			line = before + behind
		}
	}
	return line, removed
}

func named(pair string, names []string) bool {
	for _, name := range names {
		if strings.HasPrefix(pair, name) && (len(pair) == len(name) || strings.IndexByte("=; \t", pair[len(name)]) >= 0) {
			return true
		}
	}
	return false
}

// set tells upstream who it is. Names and values go straight into the map: a
// Replacer never sees them, so {env.SECRET} in a name stays what it is.
func (h *identityHeaders) set(header http.Header, who *casauth.Identity) {
	if who.PronoteID != "" {
		header[h.pronoteID] = []string{who.PronoteID}
	}
	if h.user != "" {
		put(header, h.user, who.User)
	}
	for _, a := range h.attributes {
		put(header, a.Name, strings.Join(who.Attributes[a.Attribute], ";"))
	}
}

// put sends no value with control characters: upstream might see two headers in it.
func put(header http.Header, name, value string) {
	if value == "" {
		return
	}
	if strings.ContainsFunc(value, unicode.IsControl) {
		return
	}
	header[name] = []string{value}
}
