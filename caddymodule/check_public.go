package caddymodule

import (
	"context"
	"net/http"
	"net/netip"
	"strings"

	"github.com/pronote-cas/caddy-pronote-cas/casauth/address"
)

// settingsSteps are the settings that a school should know of.
func (c *checker) settingsSteps() (all []step) {
	for _, s := range []struct {
		words string
		set   bool
	}{
		{"settings_http", c.gate.Public.Scheme() == "http" && !c.gate.Public.Loopback()},
		{"settings_same_site", c.cookies.sameSite == http.SameSiteNoneMode},
		{"settings_mobile_app", c.gate.MobileApp},
		{"settings_direct_login", c.gate.DirectLogin},
		{"settings_memory", c.settled.memory},
	} {
		if s.set {
			all = append(all, step{name: "settings", about: strings.TrimPrefix(s.words, "settings_"),
				run: func(context.Context) finding { return doubt(s.words) }})
		}
	}
	if all == nil {
		all = []step{{name: "settings", run: func(context.Context) finding { return fine("settings") }}}
	}
	return all
}

// publicSteps are what a browser meets first.
func (c *checker) publicSteps() []step {
	return []step{
		{name: "public_name", run: c.publicName},
		{name: "public_certificate", after: stepKey("public_name", ""), run: c.publicCertificate},
		{name: "public_gate", after: stepKey("public_certificate", ""), run: c.publicGate},
	}
}

func (c *checker) publicName(ctx context.Context) finding {
	host := c.gate.Public.Hostname()
	if _, err := netip.ParseAddr(host); err == nil || c.gate.Public.Loopback() {
		return finding{} // needs no DNS
	}
	addresses, err := c.resolve(ctx, host)
	if err != nil {
		return wrong("public_name", "host", host, "error", err.Error()).last()
	}
	return fine("public_name_found", "host", host, "addresses", joined(addresses))
}

func (c *checker) publicCertificate(ctx context.Context) finding {
	host := c.gate.Public.Host()
	state, err := connect(ctx, c.front, c.gate.Public.String())
	// It is judged below. What is asked later on is no secret, and the answers help.
	c.front.TLSClientConfig.InsecureSkipVerify = true //nolint:gosec
	if err != nil {
		f := unanswered("public", err, "host", host)
		f.blocks = false
		switch kind, _ := trouble(err); {
		case kind == "refused" && c.before:
			return doubt("public_not_running", "host", host).last()
		case kind == "self_signed" || kind == "authority" || kind == "chain":
			if c.gate.Public.Loopback() { // a trial on one's own machine
				f.result, f.words = doubtful, "public_local_authority"
			}
		case kind == "refused" || kind == "timeout" || kind == "broken" || kind == "no_tls":
			f.blocks = true
		}
		return f
	}
	if state == nil {
		return fine("public_connected", "host", host)
	}
	return certificate("public", host, state)
}

// publicGate asks whether it is the gate that answers.
func (c *checker) publicGate(ctx context.Context) finding {
	at := c.ownPage(c.gate.Public.String())
	p, err := getPage(ctx, c.front, at, "*/*")
	if err != nil {
		return unanswered("public", err, "host", c.gate.Public.Host())
	}
	if p.fromGate() {
		return fine("public_gate")
	}
	f := wrong("public_other", "status", p.code(), "server", p.header.Get("Server"), "title", p.title())
	if to := p.redirect(at); to != nil {
		f = wrong("public_redirects", "status", p.code(), "location", to.Scheme+"://"+to.Host+"/")
	}
	if c.before { // whatever is there now will not be when Caddy is
		f.result = doubtful
	}
	return f.last()
}

// resolve returns the addresses of a host.
func (c *checker) resolve(ctx context.Context, host string) ([]netip.Addr, error) {
	if addr, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{addr.Unmap()}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	addresses, err := c.lookup(ctx, host)
	for i := range addresses {
		addresses[i] = addresses[i].Unmap()
	}
	return addresses, err
}

func joined(addresses []netip.Addr) string {
	var all []string
	for _, a := range addresses {
		all = append(all, a.String())
	}
	return strings.Join(all, ", ")
}

// originOf is the origin of an address, as people read it.
func originOf(at string) address.Origin {
	end := strings.Index(at, "://") + len("://")
	if slash := strings.IndexAny(at[end:], "/?"); slash >= 0 {
		at = at[:end+slash]
	}
	origin, _ := address.ParseOrigin(at) // settle has read it before
	return origin
}
