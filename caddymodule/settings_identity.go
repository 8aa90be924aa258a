package caddymodule

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"golang.org/x/net/http/httpguts"

	"github.com/pronote-cas/caddy-pronote-cas/casauth"
	"github.com/pronote-cas/caddy-pronote-cas/casauth/address"
)

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
	if value, ok := s.value("cas_identifier", h.CASIdentifier); ok && value != "subject" {
		g.CASIdentifier = value
	}
	g.Unresolved = casauth.Unresolved(s.choice("unresolved", h.Unresolved, "deny", "pass", "ask"))
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
	if twice := id.prepare(); twice >= 0 {
		field := "user_header"
		if twice > 1 {
			field = "attribute_header " + id.attributes[twice-2].Attribute
		}
		s.failf(field, "its header carries something else already: give each its own (- _ . and case do not tell names apart)")
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
