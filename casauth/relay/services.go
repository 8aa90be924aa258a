package relay

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/pronote-cas/caddy-pronote-cas/casauth/address"
)

// Path is below what the CAS server lies on the public origin. No service does:
// a ticket on its way there would be a link to our own logout.
const Path = "/pronote-cas/"

// MaxService is the longest service that is taken, in bytes. PRONOTE's have a
// tenth of it.
const MaxService = 2048

// Services are the addresses that people may be sent to with a ticket: the
// prefixes that PRONOTE's own addresses begin with, by their public and by their
// private names.
//
// An address is judged by its parts and never as text (an open redirect here
// would hand out tickets), and one that browser, proxy and PRONOTE could take
// apart differently is none of ours.
type Services struct {
	public   address.Origin
	outward  address.Rewriter // private to public
	inward   address.Rewriter // public to the first private address
	prefixes []address.Prefix
}

// NewServices returns the services of a PRONOTE.net that lives below root (which
// begins and ends with a slash) on the public origin and has the internal
// addresses. Without prefixes, they are all of these, below root; an internal
// address with a path of its own counts below that. The error names a prefix
// for which there is no public address.
func NewServices(public address.Origin, root string, internal, prefixes []address.Prefix) (*Services, error) {
	s := &Services{
		public:   public,
		outward:  address.Rewriter{Public: public, Root: root, Internal: internal},
		prefixes: slices.Clone(prefixes),
	}
	if len(internal) > 0 {
		first := internal[0]
		s.inward = address.Rewriter{Public: first.Origin, Root: first.Path, Internal: []address.Prefix{{Origin: public}}}
		if first.Path != "" {
			s.inward.Internal[0].Path = root
		}
	}
	for _, p := range prefixes {
		if _, ok := s.outward.URL(p.String() + p.Path); p.Origin != public && !ok {
			return nil, fmt.Errorf("the service %s%s has no public address: write it below %s, or its origin as an internal_url too", p, p.Path, public)
		}
	}
	if len(prefixes) == 0 {
		s.prefixes = append(s.prefixes, address.Prefix{Origin: public, Path: root})
		for _, p := range internal {
			if p.Path == "" {
				p.Path = root
			}
			s.prefixes = append(s.prefixes, p)
		}
	}
	return s, nil
}

// Public returns the public form of a service that may be used: the public
// origin, path and query as they are, no fragment, and no ticket or SAMLart,
// beside which ours would be the second. ok is false for any other address.
func (s *Services) Public(service string) (public string, ok bool) {
	p, ok := s.take(service)
	if !ok {
		return "", false
	}
	path, query, _ := strings.Cut(p.rest, "?")
	if query = strings.TrimRight(address.WithoutTickets(query), "&"); query != "" {
		query = "?" + query
	}
	return s.public.String() + path + query, true
}

// Same reports whether two services, by whichever of their names, are one that
// may be used.
func (s *Services) Same(a, b string) bool {
	a, okA := s.Public(a)
	b, okB := s.Public(b)
	return okA && okB && address.Same(a, b)
}

// take returns the parts of a service's public form.
func (s *Services) take(service string) (place, bool) {
	p, ok := parse(service)
	if !ok || !slices.ContainsFunc(s.prefixes, p.below) {
		return place{}, false
	}
	if p.origin != s.public {
		public, ok := s.outward.URL(p.origin.String() + p.rest)
		if !ok {
			return place{}, false
		}
		if p, ok = parse(public); !ok {
			return place{}, false
		}
	}
	if own := len(Path); len(p.path) >= own-1 && strings.EqualFold((p.path + "/")[:own], Path) {
		return place{}, false
	}
	return p, true
}

// asked returns the service as the ENT knows it: what PRONOTE wrote, byte for
// byte, unless that is a private address.
func (s *Services) asked(service string) (string, bool) {
	if _, ok := s.take(service); !ok {
		return "", false
	}
	service, _ = s.outward.URL(service)
	return service, true
}

// internal returns where PRONOTE itself can be reached under a service: the
// private address that it wrote, or the first one in the place of a public one.
// Where none is known it is the public address.
func (s *Services) internal(service string) string {
	p, ok := parse(service)
	if !ok {
		return ""
	}
	private, _ := s.inward.URL(p.origin.String() + p.rest)
	return private
}

// place is an address taken apart.
type place struct {
	origin address.Origin
	path   string // decoded
	rest   string // path and query as they were written; begins with a slash
}

// below reports whether p is at or below prefix. PRONOTE's paths are case-blind.
func (p place) below(prefix address.Prefix) bool {
	under := lower(prefix.Path)
	path := lower(p.path)
	return p.origin == prefix.Origin && (strings.HasPrefix(path, under) || path+"/" == under)
}

// lower folds ASCII only: for Unicode, a K may be the Kelvin sign.
func lower(s string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			r += 'a' - 'A'
		}
		return r
	}, s)
}

// parse takes an http or https address apart. ok is false for one that anybody
// could read in another way.
func parse(service string) (p place, ok bool) {
	if len(service) > MaxService {
		return p, false
	}
	for _, c := range []byte(service) {
		// Browsers drop tabs and line breaks and take a backslash for a slash.
		if c <= ' ' || c > '~' || strings.IndexByte("\\\"<>^`{|}", c) >= 0 {
			return p, false
		}
	}
	service, _, _ = strings.Cut(service, "#")
	scheme, after, found := strings.Cut(service, "://")
	if !found {
		return p, false
	}
	end := strings.IndexAny(after, "/?")
	if end < 0 {
		end = len(after)
	}
	var err error
	if p.origin, err = address.ParseOrigin(scheme + "://" + after[:end]); err != nil {
		return place{}, false // a user name before the host is an error too
	}
	p.rest = after[end:]
	if !strings.HasPrefix(p.rest, "/") {
		p.rest = "/" + p.rest
	}
	raw, _, _ := strings.Cut(p.rest, "?")
	p.path, err = plainPath(raw)
	return p, err == nil
}

var errPath = errors.New("a path that can be read in two ways")

// plainPath decodes a path whose every segment is what it looks like: to a
// proxy that decodes once, to one that decodes twice, and to Windows, which
// drops dots and blanks at the end of a name.
func plainPath(raw string) (string, error) {
	path, err := url.PathUnescape(raw)
	if err != nil || !utf8.ValidString(path) {
		return "", errPath
	}
	if strings.Count(path, "/") != strings.Count(raw, "/") {
		return "", errPath
	}
	if strings.ContainsFunc(path, func(r rune) bool { return r < ' ' || r == 0x7F || strings.ContainsRune(`\%?#;`, r) }) {
		return "", errPath
	}
	segments := strings.Split(path[1:], "/")
	for i, segment := range segments {
		switch {
		case segment == "" && i == len(segments)-1: // a slash at the end
		case strings.Trim(segment, ". ") == "":
			return "", errPath
		}
	}
	return path, nil
}
