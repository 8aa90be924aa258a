package caddymodule

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"golang.org/x/net/http/httpguts"

	"github.com/pronote-cas/caddy-pronote-cas/casauth"
	"github.com/pronote-cas/caddy-pronote-cas/casauth/address"
	"github.com/pronote-cas/caddy-pronote-cas/casauth/ent"
	"github.com/pronote-cas/caddy-pronote-cas/casauth/pronote"
	"github.com/pronote-cas/caddy-pronote-cas/casauth/protocol"
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
	if err == nil && known && value == "" {
		s.failf(field, "is empty once its placeholders are replaced: %s", raw)
	}
	return value, known && err == nil && value != ""
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
		if value, ok := s.value("internal_url "+raw, raw); ok {
			_, err := address.ParsePrefix(value)
			s.fail("internal_url "+raw, err)
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

// cas settles where the CAS server is and what it speaks.
func (s *settler) cas() {
	h, g := s.h, &s.gate
	base := h.CASURL
	g.CAS = &protocol.Client{Protocol: protocol.SAML11, Renew: h.Renew, Timeout: 10 * time.Second}
	g.Renew = h.Renew
	if h.ENT != "" {
		var listed ent.ENT
		var ok bool
		if key, known := s.value("ent", h.ENT); known {
			var err error
			listed, err = ent.Lookup(key)
			s.fail("ent", err)
			ok = err == nil
		}
		if ok {
			g.CAS.Protocol = protocol.Protocol(listed.Protocol)
			params := listed.LoginParams()
			for _, name := range slices.Sorted(maps.Keys(params)) {
				g.LoginParams = append(g.LoginParams, protocol.Param{Name: name, Value: params[name]})
			}
			if base == "" {
				base = listed.CASURL
			}
		}
	} else if base == "" {
		s.failf("cas_url", "is missing: the base of the ENT's CAS server, such as https://cas.ent-exemple.fr, or `ent` with a key from `caddy pronote-cas ents`")
	}
	if value, ok := s.value("protocol", h.Protocol); ok {
		var err error
		g.CAS.Protocol, err = protocol.ParseProtocol(value)
		s.fail("protocol", err)
	}
	if value, ok := s.value("cas_url", base); ok {
		var err error
		base, err = address.ParseBase(value)
		s.fail("cas_url", err)
	}
	g.LoginURL = s.derived("login_url", h.LoginURL, base, "/login")
	g.CAS.ValidateURL = s.derived("validate_url", h.ValidateURL, base, g.CAS.Protocol.Path())
	g.LogoutURL = s.derived("logout_url", h.LogoutURL, base, "/logout")
	for _, p := range h.LoginParam {
		value, _ := s.value("login_param "+p.Name, p.Value)
		switch strings.ToLower(p.Name) {
		case "", "service", "target", "renew", "gateway", "method", "ticket", "samlart":
			s.failf("login_param "+p.Name, "is set by the plugin itself: name a parameter of the ENT's own, such as selection")
		}
		g.LoginParams = slices.DeleteFunc(g.LoginParams, func(listed protocol.Param) bool {
			return listed.Name == p.Name && !slices.Contains(h.LoginParam, LoginParam(listed))
		})
		g.LoginParams = append(g.LoginParams, protocol.Param{Name: p.Name, Value: value})
	}
	if s.duration("cas_timeout", h.CASTimeout); h.CASTimeout > 0 {
		g.CAS.Timeout = time.Duration(h.CASTimeout)
	}
	g.SingleLogout = s.choice("single_logout", h.SingleLogout, "on", "off") == "on"
}

func (s *settler) endpoint(field, raw string) (string, bool) {
	value, ok := s.value(field, raw)
	if !ok {
		return "", false
	}
	value, err := address.ParseEndpoint(value)
	s.fail(field, err)
	return value, err == nil
}

// derived is the address in raw, or else the one that follows from the base.
func (s *settler) derived(field, raw, base, path string) string {
	if value, ok := s.endpoint(field, raw); ok {
		return value
	}
	return base + path
}

func (s *settler) duration(field string, d caddy.Duration) {
	if d < 0 {
		s.failf(field, "%s is no length of time: write one such as 10s, 5m or 2h", time.Duration(d))
	}
}

// espaces settles what needs a login.
func (s *settler) espaces() {
	h, g := s.h, &s.gate
	for _, always := range []pronote.Espace{pronote.Entreprise, pronote.Tuteur, pronote.Academie} {
		g.NoCAS[always] = true
	}
	var commune string
	var opened []string // Espaces without CAS that open the page commune as well
	for _, name := range slices.Sorted(maps.Keys(h.Espace)) {
		espace, err := pronote.ParseEspace(name)
		s.fail("espace "+name, err)
		delegation := h.Espace[name]
		if delegation != "cas" && delegation != "none" {
			s.failf("espace "+name, "%q: write cas or none", delegation)
		}
		none := delegation == "none"
		g.NoCASWritten = g.NoCASWritten || none
		g.NoCAS[espace] = none
		switch espace {
		case pronote.Commune:
			commune = delegation
		case pronote.Entreprise, pronote.Tuteur, pronote.Academie:
		default:
			if none {
				opened = append(opened, name)
			}
		}
	}
	if commune == "" && len(opened) > 0 {
		g.NoCAS[pronote.Commune] = true
	}
	if commune == "cas" && len(opened) > 0 {
		s.failf("espace commune", "cannot be delegated while %s is not, which is PRONOTE's own rule: write `espace commune none` or leave commune out", strings.Join(opened, ", "))
	}
	for _, raw := range h.Open {
		if value, ok := s.value("open "+raw, raw); ok {
			pattern, err := pronote.ParsePattern(value)
			s.fail("open "+raw, err)
			g.Open = append(g.Open, pattern)
		}
	}
	g.DirectLogin = s.choice("direct_login", h.DirectLogin, "deny", "allow") == "allow"
	g.MobileApp = s.choice("mobile_app", h.MobileApp, "deny", "allow") == "allow"
}

// identities settles who somebody is, and which headers say so upstream.
func (s *settler) identities() {
	h, g := s.h, &s.gate
	g.Identifier = []string{"idPronote"}
	if len(h.Identifier) > 0 {
		g.Identifier = h.Identifier
	}
	if slices.Contains(g.Identifier, "") {
		s.failf("identifier", "an attribute's name is empty")
	}
	if h.CASIdentifier != "subject" {
		g.CASIdentifier = h.CASIdentifier
	}
	switch value := s.choice("unresolved", h.Unresolved, "deny", "pass", "ask"); value {
	case "ask":
		s.failf("unresolved", "ask needs the directory, which this version does not have yet: write deny or pass")
	default:
		g.Unresolved = casauth.Unresolved(value)
	}
	id := &s.identity
	id.pronoteID = s.headerName("identifier_header", h.IdentifierHeader)
	if id.pronoteID == "" {
		id.pronoteID = "X-Pronote-Id"
	}
	id.user = s.headerName("user_header", h.UserHeader)
	for _, a := range h.AttributeHeader {
		field := "attribute_header " + a.Attribute
		if a.Attribute == "" || a.Name == "" {
			s.failf(field, "names an attribute and a header, as in: attribute_header sn X-Nom")
		}
		id.attributes = append(id.attributes, AttributeHeader{a.Attribute, s.headerName(field, a.Name)})
	}
	if twice := id.prepare(); twice != "" {
		s.failf("identifier_header", "%s carries two things: give each its own header (- _ . and case do not tell names apart)", twice)
	}
}

// headerName returns name in canonical form, and refuses what a proxy uses itself.
func (s *settler) headerName(field, raw string) string {
	name, ok := s.value(field, raw)
	if !ok {
		return ""
	}
	if !httpguts.ValidHeaderFieldName(name) {
		s.failf(field, "%q is no header name: write one such as X-Pronote-Id", name)
	}
	switch folded := fold(name); {
	case slices.Contains(reservedHeaders, folded), strings.HasPrefix(folded, "sec-"), strings.HasPrefix(folded, "x-forwarded-"), strings.HasPrefix(folded, "content-"):
		s.failf(field, "%s has a meaning of its own in HTTP: choose another name, such as X-Pronote-Id", name)
	}
	return http.CanonicalHeaderKey(name)
}

var reservedHeaders = []string{
	"accept", "authorization", "connection", "cookie", "date", "early-data", "expect", "forwarded", "host", "keep-alive", "origin",
	"proxy-authorization", "proxy-connection", "range", "referer", "te", "trailer", "transfer-encoding", "upgrade", "via",
}

// sessions settles how long a login lasts and what its cookie looks like.
func (s *settler) sessions() {
	in := SessionSettings{}
	if s.h.Session != nil {
		in = *s.h.Session
	}
	for _, d := range []struct {
		name  string
		value caddy.Duration
	}{{"ttl", in.TTL}, {"idle", in.Idle}, {"grace", in.Grace}} {
		s.duration("session "+d.name, d.value)
	}
	s.memory = s.choice("session store", in.Store, "storage", "memory") == "memory"
	s.session.TTL = or(time.Duration(in.TTL), 10*time.Hour)
	s.session.Idle = or(time.Duration(in.Idle), min(2*time.Hour, s.session.TTL))
	s.session.Grace = or(time.Duration(in.Grace), 5*time.Minute)
	if s.session.Idle > s.session.TTL {
		s.failf("session idle", "%s is longer than ttl, %s: write at most that", s.session.Idle, s.session.TTL)
	}
	s.cookies.secure = s.gate.Public.Scheme() == "https"
	s.cookies.sameSite = http.SameSiteLaxMode
	if s.choice("session same_site", in.SameSite, "lax", "none") == "none" {
		s.cookies.sameSite = http.SameSiteNoneMode
		if s.gate.Public != (address.Origin{}) && !s.cookies.secure {
			s.failf("session same_site", "none needs an https public_url: browsers refuse such a cookie without it")
		}
	}
	name := "pronote_cas"
	if value, ok := s.value("session cookie_name", in.CookieName); ok {
		name = value
	}
	if !httpguts.ValidHeaderFieldName(name) || strings.HasPrefix(strings.ToLower(name), "__") || len(name) > 64 {
		s.failf("session cookie_name", "%q: letters, digits, - and _, 64 at most, not beginning with __ (the __Host- that https needs is added)", name)
	}
	if s.cookies.secure {
		name = "__Host-" + name
	}
	s.gate.CookieName = name
	s.session.Site = siteOf(s.gate.Public.String(), s.gate.LoginURL)
}

func or(value, otherwise time.Duration) time.Duration {
	if value == 0 {
		return otherwise
	}
	return value
}
