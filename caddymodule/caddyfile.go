package caddymodule

import (
	"errors"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddytls"
)

func init() {
	httpcaddyfile.RegisterDirective("pronote_cas", parseDirective)
	httpcaddyfile.RegisterDirectiveOrder("pronote_cas", httpcaddyfile.Before, "basic_auth")
}

// parseDirective makes one route, or two where there is a matcher: outside it
// forged identity headers are still removed, and /pronote-cas/ is still served.
func parseDirective(h httpcaddyfile.Helper) ([]httpcaddyfile.ConfigValue, error) {
	if !h.Next() {
		return nil, h.ArgErr()
	}
	matcher, err := h.ExtractMatcherSet()
	if err != nil {
		return nil, err
	}
	handler := new(Handler)
	if err := handler.UnmarshalCaddyfile(h.Dispenser); err != nil {
		return nil, err
	}
	routes := h.NewRoute(matcher, handler)
	if matcher != nil {
		outside := *handler
		outside.Outside = true
		routes = append(routes, h.NewRoute(nil, &outside)...)
	}
	return routes, nil
}

// UnmarshalCaddyfile reads
//
//	pronote_cas [<matcher>] {
//		cas_url          <url>
//		ent              <key>
//		protocol         cas1|cas2|cas3|saml11
//		login_url        <url>
//		validate_url     <url>
//		logout_url       <url>
//		login_param      <name> <value>          # repeatable
//		renew
//		cas_timeout      <duration>
//		cas_trust_pool   <module> ...
//		public_url       <url>
//		internal_url     <url>...                # repeatable
//		service_url      <url>
//		root             <path>
//		espace           <name>... cas|none      # repeatable
//		espace           <name>... require <attribute> <value>...
//		open             <path>...               # repeatable
//		direct_login     allow|deny
//		mobile_app       allow|deny
//		identifier       <attribute>...
//		cas_identifier   subject|<attribute>
//		unresolved       deny|pass|ask
//		identifier_header <name>
//		user_header      <name>
//		attribute_header <attribute> <name>      # repeatable
//		single_logout    on|off
//		session {
//			store       storage|memory
//			ttl         <duration>
//			idle        <duration>
//			grace       <duration>
//			cookie_name <name>
//			same_site   lax|none
//		}
//		relay {
//			allow_from <address or network>...
//			service    <url prefix>...
//			ticket_ttl <duration>
//			forward
//		}
//		directory {
//			file      <folder>
//			match     identity on|off
//			retention <duration>
//			attributes {
//				last_name  <attribute>
//				first_name <attribute>
//				birth_date <attribute>
//				category   <attribute>
//			}
//		}
//	}
//
// A line that is not marked repeatable may stand once. A refused value is named
// with file and line, unless it holds a placeholder that is known at the start only.
func (h *Handler) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the directive's name
	if d.NextArg() {
		return d.Errf("pronote_cas takes a block and no arguments, but there is %q", d.Val())
	}
	p := &parser{Dispenser: d, h: h, at: make(map[string]caddyfile.Dispenser)}
	p.at[""] = *d
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		if err := p.line(); err != nil {
			return err
		}
	}
	return p.judge()
}

// parser reads one directive and remembers where each line stands.
type parser struct {
	*caddyfile.Dispenser
	h  *Handler
	at map[string]caddyfile.Dispenser // by field, or by field and first word where it is repeatable; "" is the directive itself
}

var repeatable = []string{"espace", "open", "internal_url", "login_param", "attribute_header"}

// open notes the line of field and refuses a second one.
func (p *parser) open(field string) error {
	if _, twice := p.at[field]; twice && !slices.Contains(repeatable, field) {
		before := p.at[field]
		return p.Errf("%s stands twice: it is already at line %d", field, before.Line())
	}
	p.at[field] = *p.Dispenser
	return nil
}

// line reads one subdirective.
func (p *parser) line() error {
	h, name := p.h, p.Val()
	if err := p.open(name); err != nil {
		return err
	}
	if text := h.textField(name); text != nil {
		return p.one(text)
	}
	switch name {
	case "renew":
		h.Renew = true
		return p.end()
	case "cas_timeout":
		return p.duration(&h.CASTimeout)
	case "cas_trust_pool":
		return p.trustPool()
	case "internal_url":
		return p.some(name, &h.InternalURL)
	case "open":
		return p.some(name, &h.Open)
	case "identifier":
		return p.some(name, &h.Identifier)
	case "login_param":
		var param LoginParam
		if !p.Args(&param.Name, &param.Value) {
			return p.Errf("login_param takes a name and a value, as in: login_param selection EDU")
		}
		p.at["login_param "+param.Name] = *p.Dispenser
		h.LoginParam = append(h.LoginParam, param)
		return p.end()
	case "attribute_header":
		var header AttributeHeader
		if !p.Args(&header.Attribute, &header.Name) {
			return p.Errf("attribute_header takes an attribute and a header, as in: attribute_header sn X-Nom")
		}
		p.at["attribute_header "+header.Attribute] = *p.Dispenser
		h.AttributeHeader = append(h.AttributeHeader, header)
		return p.end()
	case "espace":
		return p.espace()
	case "session":
		return p.session()
	case "relay":
		return p.relay()
	case "directory":
		return p.directory()
	}
	return p.Errf("unknown subdirective %q", name)
}

// textField returns the field for the subdirectives that take one word.
func (h *Handler) textField(name string) *string {
	return map[string]*string{
		"cas_url": &h.CASURL, "ent": &h.ENT, "protocol": &h.Protocol,
		"login_url": &h.LoginURL, "validate_url": &h.ValidateURL, "logout_url": &h.LogoutURL,
		"public_url": &h.PublicURL, "service_url": &h.ServiceURL, "root": &h.Root,
		"direct_login": &h.DirectLogin, "mobile_app": &h.MobileApp,
		"cas_identifier": &h.CASIdentifier, "unresolved": &h.Unresolved,
		"identifier_header": &h.IdentifierHeader, "user_header": &h.UserHeader,
		"single_logout": &h.SingleLogout,
	}[name]
}

// one reads a line's only word.
func (p *parser) one(into *string) error {
	name := p.Val()
	if !p.NextArg() || p.Val() == "" {
		return p.Errf("%s needs a value", name)
	}
	*into = p.Val()
	return p.end()
}

// some reads a line's words, of which there is at least one.
func (p *parser) some(field string, into *[]string) error {
	words := p.RemainingArgs()
	if len(words) == 0 || slices.Contains(words, "") {
		return p.Errf("%s needs at least one value, and none that is empty", field)
	}
	for _, word := range words {
		p.at[field+" "+word] = *p.Dispenser
	}
	*into = append(*into, words...)
	return p.end()
}

// end refuses what follows a line that is complete.
func (p *parser) end() error {
	if p.NextArg() {
		return p.Errf("there is %q too much on this line", p.Val())
	}
	if nesting := p.Nesting(); p.NextBlock(nesting) {
		return p.Errf("no block belongs here")
	}
	return nil
}

func (p *parser) duration(into *caddy.Duration) error {
	var word string
	name := p.Val()
	if err := p.one(&word); err != nil {
		return err
	}
	d, err := caddy.ParseDuration(word)
	if err != nil || d <= 0 {
		return p.Errf("%s: %q is no length of time: write one such as 10s, 5m or 2h", name, word)
	}
	*into = caddy.Duration(d)
	return nil
}

func (p *parser) trustPool() error {
	if !p.NextArg() {
		return p.Errf("cas_trust_pool needs a module, as in: cas_trust_pool file /etc/ssl/ent.pem")
	}
	name := p.Val()
	module, err := caddyfile.UnmarshalModule(p.Dispenser, "tls.ca_pool.source."+name)
	if err != nil {
		return err
	}
	if _, ok := module.(caddytls.CA); !ok {
		return p.Errf("cas_trust_pool: %s is no source of certificate authorities", name)
	}
	p.h.CASTrustPool = caddyconfig.JSONModuleObject(module, "provider", name, nil)
	return nil
}

func (p *parser) espace() error {
	words := p.RemainingArgs()
	if at := slices.Index(words, "require"); at >= 0 {
		return p.require(words[:at], words[at+1:])
	}
	if len(words) < 2 {
		return p.Errf("espace takes names and then cas, none or require, as in: espace entreprise academie none")
	}
	names, delegation := words[:len(words)-1], words[len(words)-1]
	if p.h.Espace == nil {
		p.h.Espace = make(map[string]string)
	}
	for _, name := range names {
		if before, twice := p.h.Espace[name]; twice {
			return p.Errf("espace %s stands twice: it is already %s", name, before)
		}
		p.h.Espace[name] = delegation
		p.at["espace "+name] = *p.Dispenser
	}
	return p.end()
}

// require reads who may enter the Espaces called names.
func (p *parser) require(names, words []string) error {
	if len(names) == 0 || len(words) < 2 {
		return p.Errf("espace … require takes names before it, an attribute and values behind it, as in: espace eleves require categories National_1")
	}
	if p.h.Require == nil {
		p.h.Require = make(map[string]*Requirement)
	}
	for _, name := range names {
		if p.h.Require[name] != nil {
			return p.Errf("espace %s require stands twice: write all values on one line", name)
		}
		p.h.Require[name] = &Requirement{Attribute: words[0], Values: words[1:]}
		p.at["require "+name] = *p.Dispenser
	}
	return p.end()
}

// judge checks the whole and names the line that a refusal is about.
func (p *parser) judge() error {
	_, err := p.h.settle(later)
	var refused *fieldError
	if !errors.As(err, &refused) {
		return err
	}
	for field := refused.field; ; field = "" {
		if at, ok := p.at[field]; ok {
			return at.WrapErr(err)
		}
	}
}

// later leaves a value with placeholders to Provision.
func later(raw string) (string, bool, error) { return raw, !strings.Contains(raw, "{"), nil }
