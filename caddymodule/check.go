package caddymodule

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/certmagic"

	"github.com/pronote-cas/caddy-pronote-cas/casauth"
	"github.com/pronote-cas/caddy-pronote-cas/casauth/address"
)

// result is what a step came to.
type result string

const (
	good     result = "ok"
	doubtful result = "warn"
	bad      result = "fail"
)

// finding is what one step found. The zero finding is nothing worth a line.
type finding struct {
	result result
	words  string // names its sentences in the tables of words
	facts  facts  // what {…} in them stands for
	blocks bool   // what builds on this step cannot be asked
}

type facts map[string]string

func fine(words string, pairs ...string) finding  { return newFinding(good, words, pairs) }
func doubt(words string, pairs ...string) finding { return newFinding(doubtful, words, pairs) }
func wrong(words string, pairs ...string) finding { return newFinding(bad, words, pairs) }

func newFinding(r result, words string, pairs []string) finding {
	f := finding{result: r, words: words, facts: make(facts)}
	for pair := range slices.Chunk(pairs, 2) {
		f.facts[pair[0]] = pair[1]
	}
	return f
}

// last says that no step that builds on this one makes sense.
func (f finding) last() finding {
	f.blocks = true
	return f
}

// onward says that only where all is well the same can be asked about more.
func (f finding) onward() finding {
	f.blocks = f.result == bad
	return f
}

// step is one thing that is looked at.
type step struct {
	name  string
	about string // which one, where there are several
	after string // key of the step that this one builds on; "": none
	run   func(context.Context) finding
}

func (s step) key() string { return stepKey(s.name, s.about) }

func stepKey(name, about string) string { return name + " " + about }

// checker looks at one site: PRONOTE's own "test d'authentification", for the
// whole chain.
type checker struct {
	*site
	speaks       language
	before       bool // Caddy need not be running yet
	storage      certmagic.Storage
	storageLimit time.Duration
	transports   map[string]http.RoundTripper // of each upstream, by how it is dialled
	front        *http.Transport              // towards public_url, as a browser
	lookup       func(ctx context.Context, host string) ([]netip.Addr, error)
	accepted     map[string]bool // services that the login page took
	clock        *clock          // of the CAS server; nil: not known
}

// newChecker returns a checker of s as ctx has provisioned it.
func newChecker(ctx caddy.Context, s *site, speaks language, before bool) *checker {
	return &checker{
		site: s, speaks: speaks, before: before,
		storage: ctx.Storage(), storageLimit: storagePatience,
		transports: transportsOf(ctx),
		front:      towardsPublic(dialPublic, nil),
		lookup: func(ctx context.Context, host string) ([]netip.Addr, error) {
			return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		},
		accepted: make(map[string]bool),
	}
}

// towardsPublic is how a browser comes: directly, and trusting roots (nil: those of
// the system).
func towardsPublic(dial func(context.Context, string, string) (net.Conn, error), roots *x509.CertPool) *http.Transport {
	return &http.Transport{DialContext: dial, TLSClientConfig: trusting(roots), DisableKeepAlives: true, TLSHandshakeTimeout: patience}
}

// dialPublic dials as browsers do, for whom names below localhost are this machine
// (RFC 6761 §6.3).
func dialPublic(ctx context.Context, network, to string) (net.Conn, error) {
	if host, port, err := net.SplitHostPort(to); err == nil && strings.HasSuffix(host, ".localhost") {
		to = net.JoinHostPort("localhost", port)
	}
	return new(net.Dialer).DialContext(ctx, network, to)
}

// steps are all of them, from outside in.
func (c *checker) steps() []step {
	return slices.Concat(c.settingsSteps(), c.publicSteps(), c.casSteps(), c.pronoteSteps(), c.relaySteps(), c.storageSteps())
}

// run takes the steps one by one and reports each as soon as it is done.
func (c *checker) run(ctx context.Context, report func(line)) {
	blocked := make(map[string]bool)
	for _, s := range c.steps() {
		if ctx.Err() != nil {
			return
		}
		if blocked[s.after] {
			blocked[s.key()] = true
			continue
		}
		within, cancel := context.WithTimeout(ctx, 2*patience+c.gate.CAS.Timeout)
		begun := time.Now()
		f := s.run(within)
		took := time.Since(begun)
		cancel()
		blocked[s.key()] = f.blocks
		if f.words != "" {
			report(c.line(s, f, took))
		}
	}
}

// line is a finding as it is told.
type line struct {
	Site    string `json:"site"`
	Step    string `json:"step"`
	About   string `json:"about,omitempty"`
	Result  result `json:"result"`
	Reason  string `json:"reason"`
	TookMS  int64  `json:"took_ms"`
	What    string `json:"what"`
	Cause   string `json:"cause,omitempty"`
	Cure    string `json:"cure,omitempty"`
	ToENT   string `json:"to_ent,omitempty"` // the sentence for the ENT's help desk
	Details facts  `json:"details,omitempty"`
}

func (c *checker) line(s step, f finding, took time.Duration) line {
	said := c.say(f)
	return line{
		Site: c.name(), Step: s.name, About: s.about, Result: f.result, Reason: f.words, TookMS: took.Milliseconds(),
		What: said.what, Cause: said.cause, Cure: said.cure, ToENT: said.toENT, Details: f.facts,
	}
}

// service is the one that a person who opens PRONOTE logs in for.
func (c *checker) service() string {
	if c.gate.ServiceURL != "" {
		return c.gate.ServiceURL
	}
	return c.gate.Home()
}

// services are those that the ENT has to know. A page is among them, for an ENT may
// have declared the first address and nothing below it; so is where PRONOTE's own
// logins start, with the relay.
func (c *checker) services() []string {
	if c.gate.ServiceURL != "" {
		return []string{c.gate.ServiceURL}
	}
	all := []string{c.gate.Home(), c.gate.Home() + "eleve.html"}
	if c.gate.Relay != nil && c.gate.Root != "/" {
		all = append(all, c.gate.Public.String()+casauth.Prefix+"login?service="+url.QueryEscape(c.gate.Home()))
	}
	return all
}

// ownPage is an address below casauth.Prefix at which nothing is, and nobody but the
// gate says so in its way.
func (c *checker) ownPage(origin string) string {
	return origin + casauth.Prefix + "check/" + rand.Text()
}

// private reports whether host, a name or an address, means nothing outside.
func (c *checker) private(host string) bool {
	if host == c.gate.Public.Hostname() {
		return false
	}
	if slices.ContainsFunc(c.settled.internal, func(p address.Prefix) bool { return p.Hostname() == host }) {
		return true
	}
	return isPrivate(host)
}

// serveCheck runs the steps in the server that people use, and sends each line as it
// comes (application/x-ndjson).
func serveCheck(w http.ResponseWriter, r *http.Request, s *site) error {
	w.Header().Set("Content-Type", "application/x-ndjson")
	out := http.NewResponseController(w)
	lines := json.NewEncoder(w)
	lines.SetEscapeHTML(false)
	newChecker(caddy.ActiveContext(), s, askedIn(r), false).run(r.Context(), func(l line) {
		_ = lines.Encode(l) // who left reads nothing
		_ = out.Flush()
	})
	return nil
}

// asked is the language that the operator's command asks for.
func askedIn(r *http.Request) language {
	if r.URL.Query().Get("lang") == string(en) {
		return en
	}
	return fr
}
