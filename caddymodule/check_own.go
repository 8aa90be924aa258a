package caddymodule

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/pronote-cas/caddy-pronote-cas/casauth/protocol"
)

// around asks whether PRONOTE answers beside Caddy, at the public name.
func (u *upstreamCheck) around(ctx context.Context) finding {
	to, err := caddy.ParseNetworkAddress(caddy.NewReplacer().ReplaceKnown(u.dial, ""))
	if err != nil || to.IsUnixNetwork() || u.gate.Public.Loopback() {
		return finding{}
	}
	host := u.gate.Public.Hostname()
	tries := []string{"https://" + host, "http://" + host}
	if port := strconv.Itoa(int(to.StartPort)); port != "80" && port != "443" {
		tries = append(tries, "http://"+net.JoinHostPort(host, port))
	}
	answers := make([]bool, len(tries))
	var all sync.WaitGroup
	for i, origin := range tries {
		all.Go(func() { answers[i] = u.bare(ctx, origin) })
	}
	all.Wait()
	if i := slices.Index(answers, true); i >= 0 {
		return wrong("around", "upstream", u.dial, "at", tries[i]+u.gate.Root)
	}
	if addr, err := netip.ParseAddr(to.Host); err == nil && !isPrivate(addr.String()) {
		return doubt("around_public", "upstream", u.dial)
	}
	return fine("around_closed", "upstream", u.dial, "tried", strings.Join(tries, ", "))
}

// bare reports whether PRONOTE answers at origin, and nothing of ours before it.
func (u *upstreamCheck) bare(ctx context.Context, origin string) bool {
	ctx, cancel := context.WithTimeout(ctx, patience/3) // a firewall that drops says nothing
	defer cancel()
	p, err := getPage(ctx, u.front, u.ownPage(origin), "*/*")
	if err != nil || p.fromGate() || p.redirect(origin) != nil {
		return false
	}
	for _, target := range []string{discoveryFile, ""} {
		p, err := getPage(ctx, u.front, origin+u.gate.Root+target, "text/html")
		if err != nil {
			return false
		}
		if to := p.redirect(origin); isPronote(p) || to != nil && serviceIn(to.Query()) != "" {
			return true
		}
	}
	return false
}

// relaySteps are about the CAS server for PRONOTE.
func (c *checker) relaySteps() (all []step) {
	if c.gate.Relay == nil {
		return nil
	}
	for _, dial := range c.upstreams {
		all = append(all, step{name: "relay_callers", about: dial, run: func(ctx context.Context) finding { return c.callers(ctx, dial) }})
	}
	all = append(all, step{name: "relay_address", after: stepKey("public_gate", ""), run: c.relayAddress})
	if c.gate.Relay.Forward != nil {
		all = append(all, step{name: "relay_forward", run: c.forwards})
	}
	return all
}

// callers asks whether PRONOTE may validate tickets: from the address at which it is
// reached, as far as can be told.
func (c *checker) callers(ctx context.Context, dial string) finding {
	to, err := caddy.ParseNetworkAddress(caddy.NewReplacer().ReplaceKnown(dial, ""))
	if err != nil || to.IsUnixNetwork() {
		return finding{}
	}
	var allowed []string
	for _, prefix := range c.gate.Relay.AllowFrom {
		if prefix.Bits() == 0 {
			return wrong("callers_anybody", "upstream", dial, "allow_from", prefix.String())
		}
		allowed = append(allowed, prefix.String())
	}
	pairs := []string{"upstream", dial, "host", to.Host, "allow_from", strings.Join(allowed, " ")}
	addresses, err := c.resolve(ctx, to.Host)
	if err != nil {
		return doubt("callers_unknown", pairs...)
	}
	if slices.ContainsFunc(addresses, netip.Addr.IsLoopback) { // PRONOTE on this machine comes from any of its addresses
		own, _ := net.InterfaceAddrs()
		for _, a := range own {
			if prefix, err := netip.ParsePrefix(a.String()); err == nil && !prefix.Addr().IsLinkLocalUnicast() {
				addresses = append(addresses, prefix.Addr())
			}
		}
		slices.SortFunc(addresses, netip.Addr.Compare)
		addresses = slices.Compact(addresses)
	}
	for _, a := range addresses {
		if slices.ContainsFunc(c.gate.Relay.AllowFrom, func(p netip.Prefix) bool { return p.Contains(a) }) {
			return fine("callers", pairs...)
		}
	}
	return wrong("callers_missing", append(pairs, "addresses", strings.ReplaceAll(joined(addresses), ",", ""))...)
}

// relayAddress asks the address that PRONOTE is told to validate at.
func (c *checker) relayAddress(ctx context.Context) finding {
	p, err := getPage(ctx, c.front, c.casURL+protocol.SAML11.Path(), "*/*")
	if err != nil {
		return unanswered("public", err, "host", c.gate.Public.Host())
	}
	switch {
	case p.status == http.StatusForbidden && p.header.Get("Content-Type") == "application/problem+json":
		return fine("relay_guarded")
	case strings.Contains(p.body, "INVALID_REQUEST"):
		return fine("relay_answers") // whoever asks from this machine may
	}
	return wrong("relay_missing", "status", p.code(), "server", p.header.Get("Server"))
}

// forwards asks whether what PRONOTE asks for by default can be passed on.
func (c *checker) forwards(ctx context.Context) finding {
	if c.gate.CAS.Protocol == protocol.SAML11 {
		return fine("forward")
	}
	client := *c.gate.CAS
	client.Protocol = protocol.SAML11
	client.ValidateURL = c.gate.Relay.Forward.Endpoints["samlValidate"]
	if client.ValidateURL != "" {
		_, err := client.Validate(ctx, c.service(), "ST-check-"+rand.Text())
		if e, ok := err.(*protocol.Error); ok && e.Outcome == protocol.Failed {
			return fine("forward")
		}
	}
	return doubt("forward_no_saml", "path", c.gate.CAS.Protocol.Path())
}

// storageSteps are about where sessions live.
func (c *checker) storageSteps() []step {
	return []step{
		{name: "storage", run: c.stores},
		{name: "storage_clock", after: stepKey("storage", ""), run: c.nodeClock},
	}
}

// storagePatience is how long the sessions wait for a storage before it counts as gone.
const storagePatience = 2 * time.Second

// stores writes, reads and deletes a value.
func (c *checker) stores(ctx context.Context) finding {
	limit := c.storageLimit
	where := fmt.Sprintf("%T", c.storage) // not its value, which may hold a password
	if named, ok := c.storage.(fmt.Stringer); ok {
		where = named.String()
	}
	pairs := []string{"storage", where, "limit", limit.String()}
	probe, value := "pronote_cas/check-"+rand.Text(), []byte(rand.Text())
	begun := time.Now()
	err := within(ctx, 3*limit, func(ctx context.Context) error {
		if err := c.storage.Store(ctx, probe, value); err != nil {
			return err
		}
		read, err := c.storage.Load(ctx, probe)
		if err == nil && !bytes.Equal(read, value) {
			err = fmt.Errorf("what was written is not what was read")
		}
		if gone := c.storage.Delete(ctx, probe); err == nil {
			err = gone
		}
		return err
	})
	switch {
	case err == context.DeadlineExceeded:
		return wrong("storage_slow", pairs...).last()
	case err != nil:
		return wrong("storage_failed", append(pairs, "error", err.Error())...).last()
	case time.Since(begun) > limit:
		return wrong("storage_slow", pairs...)
	}
	return fine("storage", pairs...)
}

// within runs do, which may not look at its context, for no longer than limit.
func within(ctx context.Context, limit time.Duration, do func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- do(ctx) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return context.DeadlineExceeded
	}
}

// sampled is how many sessions are read for their age.
const sampled = 20

// nodeClock reads a few of the latest sessions: one that was made in the future was
// made by a node whose clock is ahead of this one's.
func (c *checker) nodeClock(ctx context.Context) finding {
	if c.settled.memory {
		return finding{}
	}
	var ahead time.Duration
	seen := 0
	err := within(ctx, patience, func(ctx context.Context) error {
		root := path.Join("pronote_cas", c.sessions.Site, "sessions")
		buckets, err := c.storage.List(ctx, root, false)
		if err != nil || len(buckets) == 0 {
			return err
		}
		number := func(bucket string) int { n, _ := strconv.Atoi(path.Base(bucket)); return n }
		latest := slices.MaxFunc(buckets, func(a, b string) int { return number(a) - number(b) })
		records, err := c.storage.List(ctx, latest, false)
		if err != nil {
			return err
		}
		for _, where := range records {
			var record struct{ Created time.Time }
			data, err := c.storage.Load(ctx, where)
			if err != nil || json.Unmarshal(data, &record) != nil || record.Created.IsZero() {
				continue
			}
			ahead = max(ahead, time.Until(record.Created))
			if seen++; seen == sampled {
				break
			}
		}
		return nil
	})
	if err != nil || seen == 0 {
		return finding{} // nobody has logged in yet
	}
	pairs := []string{"seconds", strconv.Itoa(int(ahead.Seconds()))}
	switch {
	case ahead > 60*time.Second:
		return wrong("nodes_clock", pairs...)
	case ahead > 5*time.Second:
		return doubt("nodes_clock", pairs...)
	}
	return fine("nodes_clock_same", pairs...)
}
