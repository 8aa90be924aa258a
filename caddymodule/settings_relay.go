package caddymodule

import (
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/pronote-cas/caddy-pronote-cas/casauth"
	"github.com/pronote-cas/caddy-pronote-cas/casauth/address"
	"github.com/pronote-cas/caddy-pronote-cas/casauth/relay"
)

// relayPlan is what the relay needs, before there are sessions to open it for.
type relayPlan struct {
	services  *relay.Services
	ttl       time.Duration
	allowFrom []netip.Prefix
	endpoints map[string]string // at the ENT; nil: no pass-through
}

// open makes the relay for the sessions.
func (p *relayPlan) open(sessions *casauth.Sessions, transport http.RoundTripper, timeout time.Duration) (*casauth.Delegation, error) {
	c := relay.Config{Services: p.services, TTL: p.ttl}
	if p.endpoints != nil {
		c.Forward = &relay.Forward{Endpoints: p.endpoints, Transport: transport, Timeout: timeout}
	}
	server, err := sessions.Grants(c)
	if err != nil {
		return nil, err
	}
	return &casauth.Delegation{Server: server, AllowFrom: p.allowFrom}, nil
}

// delegation settles the CAS server for PRONOTE.
func (s *settler) delegation() {
	h := s.h.Relay
	if h == nil || s.err != nil {
		return
	}
	plan := &relayPlan{ttl: time.Duration(h.TicketTTL)}
	s.duration("relay ticket_ttl", h.TicketTTL)
	if plan.ttl > 5*time.Minute {
		s.failf("relay ticket_ttl", "%s is too long: 5m at most (CAS 3.0 §3.1.1), and PRONOTE comes at once", plan.ttl)
	}
	s.callers(plan, h.AllowFrom)
	var prefixes []address.Prefix
	for _, raw := range h.Service {
		if value, ok := s.listed("relay service", raw); ok {
			prefix, err := address.ParsePrefix(value)
			s.fail("relay service "+raw, err)
			prefixes = append(prefixes, prefix)
		}
	}
	var err error
	plan.services, err = relay.NewServices(s.gate.Public, s.gate.Root, s.internal, prefixes)
	s.fail("relay service", err)
	if h.Forward {
		plan.endpoints = s.endpointsAtENT()
	}
	s.relay = plan
}

// callers settles who may validate tickets: PRONOTE's host, and nobody else.
func (s *settler) callers(plan *relayPlan, allowFrom []string) {
	for _, raw := range allowFrom {
		value, ok := s.listed("relay allow_from", raw)
		if !ok {
			continue
		}
		prefix, err := netip.ParsePrefix(value)
		if err != nil {
			var addr netip.Addr
			if addr, err = netip.ParseAddr(value); err == nil {
				prefix = netip.PrefixFrom(addr.Unmap(), addr.Unmap().BitLen())
			}
		}
		if err != nil {
			s.failf("relay allow_from "+raw, "is no address: write PRONOTE's own, such as 192.168.222.60, or a network such as 192.168.222.0/28")
		}
		plan.allowFrom = append(plan.allowFrom, prefix.Masked())
	}
	if len(allowFrom) > 0 {
		return
	}
	for _, internal := range s.internal {
		host := strings.Trim(internal.Hostname(), "[]")
		if host == "localhost" {
			plan.allowFrom = append(plan.allowFrom, netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128"))
		} else if addr, err := netip.ParseAddr(host); err == nil {
			plan.allowFrom = append(plan.allowFrom, netip.PrefixFrom(addr.Unmap(), addr.Unmap().BitLen()))
		}
	}
	if len(plan.allowFrom) == 0 && !s.pending {
		s.fail("relay", fmt.Errorf("who may validate tickets is not said: write allow_from with PRONOTE's address, or internal_url with an address instead of a name"))
	}
}

// endpointsAtENT are the ENT's validation addresses by endpoint. That of the
// protocol in use is validate_url; the others lie beside it.
func (s *settler) endpointsAtENT() map[string]string {
	used := s.gate.CAS.Protocol.Path()
	base, standard := strings.CutSuffix(s.gate.CAS.ValidateURL, used)
	endpoints := make(map[string]string)
	for _, name := range relay.Endpoints() {
		if standard {
			endpoints[name] = base + "/" + name
		}
	}
	endpoints[strings.TrimPrefix(used, "/")] = s.gate.CAS.ValidateURL
	return endpoints
}
