package caddymodule

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/pronote-cas/caddy-pronote-cas/casauth"
	"github.com/pronote-cas/caddy-pronote-cas/casauth/address"
	"github.com/pronote-cas/caddy-pronote-cas/casauth/directory"
	"github.com/pronote-cas/caddy-pronote-cas/casauth/ent"
	"github.com/pronote-cas/caddy-pronote-cas/casauth/pronote"
	"github.com/pronote-cas/caddy-pronote-cas/casauth/protocol"
)

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
	for _, name := range slices.Sorted(maps.Keys(h.Require)) {
		s.requirement(name, h.Require[name])
	}
	for _, raw := range h.Open {
		if value, ok := s.listed("open", raw); ok {
			pattern, err := pronote.ParsePattern(value)
			s.fail("open "+raw, err)
			g.Open = append(g.Open, pattern)
		}
	}
	g.DirectLogin = s.choice("direct_login", h.DirectLogin, "deny", "allow") == "allow"
	g.MobileApp = s.choice("mobile_app", h.MobileApp, "deny", "allow") == "allow"
}

// requirement settles who may enter the Espace called name.
func (s *settler) requirement(name string, r *Requirement) {
	field := "require " + name
	espace, err := pronote.ParseEspace(name)
	s.fail(field, err)
	if err != nil {
		return
	}
	if r == nil || r.Attribute == "" || len(r.Values) == 0 {
		s.failf(field, "names an attribute and its values, as in: espace eleves require categories National_1")
		return
	}
	for _, value := range r.Values {
		if directory.Fold(value) == "" {
			s.failf(field, "%q has neither letters nor digits, and nothing else is compared", value)
		}
	}
	if s.gate.NoCAS[espace] {
		s.failf(field, "the Espace needs no login (none), so nobody is known to be anything there: write `espace %s cas`, or leave require out", name)
	}
	s.gate.Require[espace] = casauth.Requirement{Attribute: r.Attribute, Values: r.Values}
}
