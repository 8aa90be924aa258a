// Package caddymodule is the Caddy module http.handlers.pronote_cas and its
// Caddyfile directive pronote_cas: it puts PRONOTE.net behind the login of the
// school's ENT. What it decides is decided in package casauth; this package
// turns Caddy's world into that and does what the decision says.
//
// Read serve.go first: one request from top to bottom.
package caddymodule

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddytls"

	"github.com/pronote-cas/caddy-pronote-cas/casauth"
	"github.com/pronote-cas/caddy-pronote-cas/casauth/address"
	"github.com/pronote-cas/caddy-pronote-cas/casauth/directory"
)

func init() { caddy.RegisterModule(new(Handler)) }

// Handler lets nobody reach PRONOTE.net without a login at the ENT's CAS server,
// and tells PRONOTE.net who it is in a header.
//
// Every field is the Caddyfile's subdirective of the same name. Addresses may
// hold placeholders such as {env.CAS_URL}, which are read once, at the start.
type Handler struct {
	// Base of the ENT's CAS server. https, unless it is a loopback address.
	// Required where `ent` is not given; where both are, this address counts.
	CASURL string `json:"cas_url,omitempty"`
	// Key of an ENT of the built-in list (`caddy pronote-cas ents`): gives the base,
	// the protocol and the login parameters.
	ENT string `json:"ent,omitempty"`
	// cas1, cas2, cas3 or saml11. Default: saml11, as PRONOTE itself and the ENTs use.
	Protocol string `json:"protocol,omitempty"`
	// Replaces <cas_url>/login.
	LoginURL string `json:"login_url,omitempty"`
	// Replaces <cas_url> with the protocol's validation path.
	ValidateURL string `json:"validate_url,omitempty"`
	// Replaces <cas_url>/logout.
	LogoutURL string `json:"logout_url,omitempty"`
	// Parameters added to the login redirect, in this order.
	LoginParam []LoginParam `json:"login_param,omitempty"`
	// Ask the CAS server for fresh credentials at each login.
	Renew bool `json:"renew,omitempty"`
	// Whole validation of a ticket, from connecting to the last byte. Default: 10s.
	CASTimeout caddy.Duration `json:"cas_timeout,omitempty"`
	// Certificate authorities that the CAS server's certificate may come from.
	// Default: those of the system.
	CASTrustPool json.RawMessage `json:"cas_trust_pool,omitempty" caddy:"namespace=tls.ca_pool.source inline_key=provider"`

	// The address people type, without a path. The only one ever sent to CAS. Required.
	PublicURL string `json:"public_url,omitempty"`
	// PRONOTE's private origins, with an optional path prefix that stands for `root`.
	InternalURL []string `json:"internal_url,omitempty"`
	// One fixed service, for an ENT that accepts no other. Default: the requested URL.
	ServiceURL string `json:"service_url,omitempty"`
	// Where PRONOTE.net lives. Default: /
	Root string `json:"root,omitempty"`

	// Delegation per Espace: "cas" or "none" by name.
	Espace map[string]string `json:"espace,omitempty"`
	// Who may enter an Espace, by its name: what the ENT says of the person.
	Require map[string]*Requirement `json:"require,omitempty"`
	// Paths that need no login, in Caddy's path-match syntax, case-blind.
	Open []string `json:"open,omitempty"`
	// "allow": ?login=true reaches PRONOTE's own login form. Default: deny.
	DirectLogin string `json:"direct_login,omitempty"`
	// "allow": PRONOTE's app and API clients, which carry PRONOTE's own tokens, pass
	// without CAS. Default: deny.
	MobileApp string `json:"mobile_app,omitempty"`

	// CAS attributes that may carry the PRONOTE identifier; the first hit wins.
	// Default: idPronote.
	Identifier []string `json:"identifier,omitempty"`
	// What names the person at the ENT: "subject" or an attribute. Default: subject.
	CASIdentifier string `json:"cas_identifier,omitempty"`
	// A login whose PRONOTE identifier is not found: "deny", "pass", or "ask", which
	// asks the person once, with proof. Default: deny.
	Unresolved string `json:"unresolved,omitempty"`
	// Header that carries the PRONOTE identifier. Default: X-Pronote-Id.
	IdentifierHeader string `json:"identifier_header,omitempty"`
	// Header that carries the CAS identifier. Default: none.
	UserHeader string `json:"user_header,omitempty"`
	// Further attributes as headers; several values are joined with a semicolon.
	AttributeHeader []AttributeHeader `json:"attribute_header,omitempty"`

	// "on" or "off": obey the CAS server's logout messages. Default: on.
	SingleLogout string `json:"single_logout,omitempty"`
	// How sessions are kept.
	Session *SessionSettings `json:"session,omitempty"`

	// The CAS server for PRONOTE.net. Default: off.
	Relay *RelaySettings `json:"relay,omitempty"`

	// Who is who in PRONOTE. Default: kept beside the sessions in Caddy's storage.
	Directory *DirectorySettings `json:"directory,omitempty"`

	// Set on the second route of a directive with a matcher: forged identity headers
	// are removed and /pronote-cas/ is served, and all else passes.
	Outside bool `json:"outside,omitempty"`

	settled  *settings
	gate     *casauth.Gate
	sessions *casauth.Sessions
	people   *directory.Directory
	pooled   []string // keys to give back at Cleanup
	identity identityHeaders
	cookies  cookieStyle
	rewriter *address.Rewriter // nil: no internal_url
	casURL   string            // of the relay; "" where it is off
	client   *http.Transport
	log      *observer
}

// LoginParam is one parameter added to the login redirect.
type LoginParam struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// AttributeHeader sends a CAS attribute upstream.
type AttributeHeader struct {
	Attribute string `json:"attribute"`
	Name      string `json:"name"`
}

// SessionSettings says how long sessions last and where they live.
type SessionSettings struct {
	// "storage": where Caddy keeps its certificates, shared by the nodes that share
	// it. "memory": this process only. Default: storage.
	Store string `json:"store,omitempty"`
	// Life of a session from its login. Default: 10h.
	TTL caddy.Duration `json:"ttl,omitempty"`
	// Life of a session since the last request that a person made. Never above ttl. Default: 2h.
	Idle caddy.Duration `json:"idle,omitempty"`
	// How long known sessions go on while the storage cannot be reached. Default: 5m.
	Grace caddy.Duration `json:"grace,omitempty"`
	// Name of the session's cookie, without the __Host- that https adds. Default: pronote_cas.
	CookieName string `json:"cookie_name,omitempty"`
	// "lax", or "none" for an ENT that shows PRONOTE in a frame. Default: lax.
	SameSite string `json:"same_site,omitempty"`
}

// RelaySettings make the plugin a CAS server for PRONOTE.net, below /pronote-cas/.
type RelaySettings struct {
	// Addresses or networks that may validate tickets. Default: the hosts of internal_url.
	AllowFrom []string `json:"allow_from,omitempty"`
	// Prefixes of the services that get a ticket. Default: public_url and every
	// internal_url, below root.
	Service []string `json:"service,omitempty"`
	// How long a ticket is good for. Default: 60s.
	TicketTTL caddy.Duration `json:"ticket_ttl,omitempty"`
	// Pass validations of tickets that are not ours on to the ENT, for a PRONOTE that
	// stays the ENT's own client.
	Forward bool `json:"forward,omitempty"`
}

// DirectorySettings say where the directory of who is who lies, and what it goes by.
type DirectorySettings struct {
	// Folder that it is kept in, of this machine alone. Default: Caddy's storage,
	// beside the sessions, shared by the nodes that share it.
	File string `json:"file,omitempty"`
	// What people are recognised by besides their CAS identifier.
	Match *MatchSettings `json:"match,omitempty"`
	// Where the CAS server says who somebody is.
	Attributes *PersonAttributes `json:"attributes,omitempty"`
	// How long somebody is remembered who neither logs in nor is in an import. At
	// least 720h. Default: 9600h (400 days, a school year and its summer).
	Retention caddy.Duration `json:"retention,omitempty"`
}

// MatchSettings say what people are recognised by.
type MatchSettings struct {
	// "on": last name, first name, birth date and category, where they fit one row
	// of the import. Default: off.
	Identity string `json:"identity,omitempty"`
}

// PersonAttributes name the CAS attributes that say who somebody is.
type PersonAttributes struct {
	LastName  string `json:"last_name,omitempty"`  // Default: nom
	FirstName string `json:"first_name,omitempty"` // Default: prenom
	BirthDate string `json:"birth_date,omitempty"` // Default: dateNaissance
	Category  string `json:"category,omitempty"`   // Default: categories
}

// Requirement is what the ENT has to say of somebody who enters an Espace.
type Requirement struct {
	Attribute string   `json:"attribute"` // CAS attribute, such as categories
	Values    []string `json:"values"`    // one of them, whatever case and accents
}

// CaddyModule returns the module's name in Caddy's registry.
func (*Handler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.pronote_cas", New: func() caddy.Module { return new(Handler) }}
}

// Provision resolves placeholders, refuses what is wrong, and sets up what the
// handler works with. It asks no network and writes nothing: `caddy validate`
// runs it as well.
func (h *Handler) Provision(ctx caddy.Context) error {
	repl := caddy.NewReplacer()
	set, err := h.settle(func(raw string) (string, bool, error) {
		value, err := repl.ReplaceOrErr(raw, true, true)
		return value, true, err
	})
	if err != nil {
		return err
	}
	if h.client, err = h.backChannel(ctx); err != nil {
		return err
	}
	set.gate.CAS.Transport, set.gate.CAS.Turns = h.client, make(chan struct{}, casAtOnce)
	h.settled = set
	h.identity, h.cookies, h.rewriter = set.identity, set.cookies, set.rewriter()
	h.sessions = h.pooledSessions(ctx, set)
	h.people = h.pooledDirectory(ctx, set)
	set.gate.People = h.people
	if set.relay != nil {
		if set.gate.Relay, err = set.relay.open(h.sessions, h.client, set.gate.CAS.Timeout); err != nil {
			return &fieldError{"relay", err}
		}
		h.casURL = set.gate.Public.String() + strings.TrimSuffix(casauth.Prefix, "/")
	}
	h.gate = casauth.NewGate(set.gate, h.sessions)
	h.log, err = h.newObserver(ctx)
	return err
}

// siteOf names whose sessions they are, by the two addresses that make a site.
func siteOf(public, loginURL string) string {
	sum := sha256.Sum256([]byte(public + "\n" + loginURL))
	return hex.EncodeToString(sum[:8])
}

// casAtOnce bounds the connections to the CAS server, where other schools log in too.
const casAtOnce = 256

// backChannel returns the client side towards the CAS server: pooled, kept alive,
// bounded, its certificate always verified.
func (h *Handler) backChannel(ctx caddy.Context) (*http.Transport, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if len(h.CASTrustPool) > 0 {
		module, err := ctx.LoadModule(h, "CASTrustPool")
		if err != nil {
			return nil, &fieldError{"cas_trust_pool", err}
		}
		authority, ok := module.(caddytls.CA)
		if !ok {
			return nil, &fieldError{"cas_trust_pool", fmt.Errorf("%T is no source of certificate authorities", module)}
		}
		config.RootCAs = authority.CertPool() // nil would mean the system's
		if config.RootCAs == nil || config.RootCAs.Equal(x509.NewCertPool()) {
			return nil, &fieldError{"cas_trust_pool", errors.New("holds no certificate: name a file in PEM form, which has a line -----BEGIN CERTIFICATE-----")}
		}
	}
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment, // as reverse_proxy: many a DMZ has no other way out
		DialContext:            (&net.Dialer{Timeout: 5 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		TLSClientConfig:        config,
		TLSHandshakeTimeout:    5 * time.Second,
		ForceAttemptHTTP2:      true,
		MaxConnsPerHost:        casAtOnce,
		MaxIdleConnsPerHost:    casAtOnce, // or a crowd would close and open them all the time
		IdleConnTimeout:        30 * time.Second,
		MaxResponseHeaderBytes: 64 << 10,
	}, nil
}

// Cleanup lets go of what is shared with the next configuration. Requests of this
// one may still be under way, so nothing that they use is closed.
func (h *Handler) Cleanup() error {
	if h.client != nil {
		h.client.CloseIdleConnections()
	}
	for _, key := range h.pooled {
		if _, err := pool.Delete(key); err != nil {
			return err
		}
	}
	return nil
}

var (
	_ caddy.Provisioner           = (*Handler)(nil)
	_ caddy.CleanerUpper          = (*Handler)(nil)
	_ caddyhttp.MiddlewareHandler = (*Handler)(nil)
	_ caddyfile.Unmarshaler       = (*Handler)(nil)
)
