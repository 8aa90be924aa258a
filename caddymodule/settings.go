package caddymodule

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/pronote-cas/caddy-pronote-cas/casauth"
	"github.com/pronote-cas/caddy-pronote-cas/casauth/address"
	"github.com/pronote-cas/caddy-pronote-cas/casauth/pronote"
)

// fieldError is a refused value, named by its subdirective, which is its JSON
// field as well.
type fieldError struct {
	field string
	err   error
}

func (e *fieldError) Error() string { return e.field + ": " + e.err.Error() }
func (e *fieldError) Unwrap() error { return e.err }

// settings are a Handler's fields, checked and put in the form that they are used in.
type settings struct {
	gate     casauth.Config
	session  casauth.SessionConfig
	memory   bool
	internal []address.Prefix
	relay    *relayPlan // nil: off
	people   directoryPlan
	identity identityHeaders
	cookies  cookieStyle
}

// resolver replaces placeholders in raw. known is false where that has to wait
// for the start: then the value is not judged yet.
type resolver func(raw string) (value string, known bool, err error)

// settle judges every field. The Caddyfile parser calls it to name file and line
// of a refused value, and Provision again, with placeholders replaced, so that
// JSON configurations meet the same refusals.
func (h *Handler) settle(resolve resolver) (*settings, error) {
	s := &settler{h: h, resolve: resolve}
	s.addresses()
	s.cas()
	s.espaces()
	s.identities()
	s.sessions()
	s.delegation()
	s.directory()
	if s.err != nil {
		return nil, s.err
	}
	return &s.settings, nil
}

type settler struct {
	settings
	h       *Handler
	resolve resolver
	err     error // the first refusal; what follows may be its consequence
	pending bool  // some value is not known yet
}

func (s *settler) fail(field string, err error) {
	if s.err == nil && err != nil {
		s.err = &fieldError{field, err}
	}
}

func (s *settler) failf(field, format string, args ...any) {
	s.fail(field, fmt.Errorf(format, args...))
}

// value returns raw with its placeholders replaced; ok is false where there is
// nothing to judge: it is empty, or not known yet.
func (s *settler) value(field, raw string) (value string, ok bool) {
	if raw == "" {
		return "", false
	}
	value, known, err := s.resolve(raw)
	s.fail(field, err)
	s.pending = s.pending || !known
	if err == nil && known && value == "" {
		s.failf(field, "is empty once its placeholders are replaced: %s", raw)
	}
	return value, known && err == nil && value != ""
}

// listed is value for one of several, none of which may be empty.
func (s *settler) listed(field, raw string) (value string, ok bool) {
	if raw == "" {
		s.failf(field, "is empty in one place: write a value there, or leave it out")
	}
	return s.value(field+" "+raw, raw)
}

// choice returns which of the words value is; the first is the default.
func (s *settler) choice(field, raw string, words ...string) string {
	value, ok := s.value(field, raw)
	if !ok {
		return words[0]
	}
	if !slices.Contains(words, value) {
		s.failf(field, "%q: write %s", value, strings.Join(words, " or "))
	}
	return value
}

func (s *settler) duration(field string, d caddy.Duration) {
	if d < 0 {
		s.failf(field, "%s is no length of time: write one such as 10s, 5m or 2h", time.Duration(d))
	}
}

func (s *settler) addresses() {
	h, g := s.h, &s.gate
	if h.PublicURL == "" {
		s.failf("public_url", "is missing: the address people type, such as https://pronote.college-exemple.fr")
	}
	var err error
	if value, ok := s.value("public_url", h.PublicURL); ok {
		g.Public, err = address.ParseOrigin(value)
		s.fail("public_url", err)
	}
	g.Root = "/"
	if value, ok := s.value("root", h.Root); ok {
		g.Root, err = parseRoot(value)
		s.fail("root", err)
	}
	for _, raw := range h.InternalURL {
		if value, ok := s.listed("internal_url", raw); ok {
			private, err := address.ParsePrefix(value)
			s.fail("internal_url "+raw, err)
			if err == nil && private.Origin == g.Public {
				s.failf("internal_url "+raw, "is public_url itself: write PRONOTE's private address, such as http://192.168.222.60")
			}
			s.internal = append(s.internal, private)
		}
	}
	if value, ok := s.value("service_url", h.ServiceURL); ok && s.err == nil {
		g.ServiceURL = value
		if g.Public != (address.Origin{}) {
			s.fail("service_url", checkService(value, g.Public, g.Root))
		}
	}
}

func parseRoot(path string) (string, error) {
	root, err := pronote.ParseRoot(path)
	if err == nil && strings.HasPrefix(root, casauth.Prefix) {
		err = fmt.Errorf("%q lies below %s, where the plugin's own pages are", path, casauth.Prefix)
	}
	return root, err
}

// checkService refuses a fixed service that the browser could not come back to.
func checkService(service string, public address.Origin, root string) error {
	target, ok := strings.CutPrefix(service, public.String())
	if !ok || !strings.HasPrefix(target, "/") {
		return fmt.Errorf("%q must lie on public_url: %s/…", service, public)
	}
	if public.Service(target) != service {
		return fmt.Errorf("%q holds a fragment, or a ticket, SAMLart or identifiant parameter: leave that out", service)
	}
	if judged := pronote.Judge(target, root); judged.Kind == pronote.Ambiguous {
		return fmt.Errorf("%q: %s", service, judged.Why)
	}
	if strings.HasPrefix(target, casauth.Prefix) {
		return fmt.Errorf("%q lies below %s, where the plugin's own pages are", service, casauth.Prefix)
	}
	return nil
}

// rewriter hides PRONOTE's private addresses; nil where none is named. Redirects
// to the CAS server and to ourselves name services, which are rewritten as well.
func (s *settings) rewriter() *address.Rewriter {
	if len(s.internal) == 0 {
		return nil
	}
	r := &address.Rewriter{Public: s.gate.Public, Root: s.gate.Root, Internal: s.internal, CAS: []address.Origin{s.gate.Public}}
	for _, endpoint := range []string{s.gate.LoginURL, s.gate.LogoutURL, s.gate.CAS.ValidateURL} { // not always on one host
		if u, err := url.Parse(endpoint); err == nil {
			if origin, err := address.ParseOrigin(u.Scheme + "://" + u.Host); err == nil {
				r.CAS = append(r.CAS, origin)
			}
		}
	}
	return r
}

func or(value, otherwise time.Duration) time.Duration {
	if value == 0 {
		return otherwise
	}
	return value
}
