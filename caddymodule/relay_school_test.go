package caddymodule

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pronote-cas/caddy-pronote-cas/casauth/castest"
	"github.com/pronote-cas/caddy-pronote-cas/casauth/pronotetest"
)

// old is the address of the PRONOTE.net of 2011; that of the recent one is public.
const old = "https://ancien.example.fr"

// school is a Caddy in front of two PRONOTE.net that delegate to the relay and
// know nothing but their private addresses. What the ENT is told is written down.
type school struct {
	*rig
	recent *pronotetest.Recent
	legacy *pronotetest.Legacy
	told   *lockedBuffer // every request that the ENT got
	ports  []string      // of each node; PRONOTE reaches the relay there
}

// plan is what can differ from school to school.
type plan struct {
	recent  pronotetest.Config
	matcher string   // of the recent one's directive
	lines   []string // in the recent one's directive
	relay   string   // in its relay block
	global  string   // in the global options
}

// startSchool runs a school as edit plans it.
func startSchool(t *testing.T, edit ...func(*school, *plan)) *school {
	t.Helper()
	sc := new(school)
	var p plan
	sc.rig = startWith(t, func(s *rig) string {
		sc.ports = append(sc.ports, freePort(t))
		if sc.rig == nil {
			sc.rig = s
			sc.build(&p, edit)
		}
		return sc.file(s, &p)
	})
	sc.ready(0)
	return sc
}

// node runs a second Caddy on the same storage; PRONOTE reaches it as node 1.
func (sc *school) node() {
	sc.beside()
	sc.ready(1)
}

func (sc *school) ready(node int) {
	sc.t.Helper()
	for range 200 {
		if conn, err := net.Dial("tcp", "127.0.0.1:"+sc.ports[node]); err == nil {
			_ = conn.Close()
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	sc.t.Fatalf("nobody listens on port %s:\n%s", sc.ports[node], sc.log)
}

// build starts what stands around Caddy.
func (sc *school) build(p *plan, edit []func(*school, *plan)) {
	t := sc.t
	sc.told = new(lockedBuffer)
	ent := castest.New(castest.Options{Users: people(), SLO: castest.SLO{
		Mode: castest.SLOSync, Client: &http.Client{Transport: sc.wire("unix", sc.dir+"/site", ""), Timeout: 5 * time.Second}}})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body) // of a client that left: as much as there is
		r.Body = io.NopCloser(bytes.NewReader(body))
		_, _ = fmt.Fprintf(sc.told, "%s %s %v\n%s\n", r.Method, r.RequestURI, r.Header, body)
		ent.ServeHTTP(w, r)
	}))
	t.Cleanup(func() { ent.Close(); server.CloseClientConnections(); server.Close() })
	ent.URL = server.URL + "/cas"
	sc.cas = ent

	client := sc.caller("127.0.0.1", 0)
	p.recent.CAS, p.recent.Client, p.recent.PollWait = &pronotetest.CAS{URL: public + "/pronote-cas"}, client, 20*time.Second
	for _, change := range edit {
		change(sc, p)
	}
	sc.recent = pronotetest.StartRecent(t, p.recent)
	sc.legacy = pronotetest.StartLegacy(t, pronotetest.LegacyConfig{Config: pronotetest.Config{
		CAS: &pronotetest.CAS{URL: old + "/pronote-cas"}, Client: client, PollWait: 20 * time.Second}})
}

func (sc *school) file(s *rig, p *plan) string {
	return strings.NewReplacer("DIR", s.dir, "STORAGE", s.storage, "GLOBAL", p.global, "PORT", sc.ports[len(sc.ports)-1], "ENT", sc.cas.URL,
		"MATCHER", p.matcher, "LINES", strings.Join(p.lines, "\n"), "IN_RELAY", p.relay,
		"RECENT", host(sc.recent.URL), "PAGES", host(sc.legacy.URL), "LISTENER", host(sc.legacy.ListenerURL),
	).Replace(`{
	admin unix/DIR/admin
	auto_https off
	storage file_system STORAGE
	log {
		level DEBUG
	}
	GLOBAL
}
http://pronote.example.fr:PORT {
	bind unix/DIR/site 127.0.0.1
	log
	pronote_cas MATCHER {
		cas_url ENT
		public_url https://pronote.example.fr
		root /pronote/
		internal_url http://RECENT
		relay {
			IN_RELAY
		}
		LINES
	}
	reverse_proxy RECENT {
		flush_interval -1
	}
}
http://ancien.example.fr:PORT {
	bind unix/DIR/site 127.0.0.1
	log
	pronote_cas {
		cas_url ENT
		public_url https://ancien.example.fr
		internal_url http://PAGES http://LISTENER
		relay
	}
	reverse_proxy /pronote.net/* LISTENER
	reverse_proxy PAGES {
		flush_interval -1
	}
}
`)
}

func host(address string) string {
	host, _, _ := strings.Cut(strings.TrimPrefix(address, "http://"), "/")
	return host
}

var lastPort atomic.Int32

// freePort returns one below those that the system gives to clients, so that no
// connection of another test takes it before Caddy does.
func freePort(t *testing.T) string {
	t.Helper()
	for range 1000 {
		port := fmt.Sprint(16000 + (os.Getpid()*64+int(lastPort.Add(1)))%16000)
		if l, err := net.Listen("tcp", "127.0.0.1:"+port); err == nil {
			_ = l.Close()
			return port
		}
	}
	t.Fatal("no free port")
	return ""
}

// wire is a transport that finds the sites at one address, and calls from the
// address from where it has a say ("" for any).
func (sc *school) wire(network, address, from string) *http.Transport {
	dialer := &net.Dialer{Timeout: 10 * time.Second}
	if from != "" {
		dialer.LocalAddr = &net.TCPAddr{IP: net.ParseIP(from)}
	}
	dial := func(ctx context.Context, asked, to string) (net.Conn, error) {
		if name, _, _ := net.SplitHostPort(to); strings.HasSuffix(name, ".example.fr") {
			return dialer.DialContext(ctx, network, address)
		}
		return new(net.Dialer).DialContext(ctx, asked, to)
	}
	transport := &http.Transport{DialContext: dial, DialTLSContext: dial, DisableCompression: true}
	sc.t.Cleanup(transport.CloseIdleConnections)
	return transport
}

// caller is a program on the host from, which asks a node.
func (sc *school) caller(from string, node int) *http.Client {
	if l, err := net.Listen("tcp", from+":0"); err != nil {
		sc.t.Skipf("this system has no second loopback address: %v", err)
	} else {
		_ = l.Close()
	}
	return &http.Client{Transport: sc.wire("tcp", "127.0.0.1:"+sc.ports[node], from), Timeout: 20 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// visitor is a browser that remembers all that it was told.
type visitor struct {
	*browser
	sc    *school
	seen  lockedBuffer // every response: status, header and body, but not what the test itself typed
	hops  []string     // every address
	forms int          // how often the ENT asked for a password
}

func (sc *school) visitor() *visitor {
	v := &visitor{browser: sc.browser(), sc: sc}
	v.Transport = watched{sc.wire("unix", sc.dir+"/site", ""), &v.seen}
	return v
}

// watched writes down what comes back.
type watched struct {
	http.RoundTripper
	seen io.Writer
}

func (w watched) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := w.RoundTripper.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	_, _ = fmt.Fprintf(w.seen, "%s\n%v\n", res.Status, res.Header)
	res.Body = struct {
		io.Reader
		io.Closer
	}{io.TeeReader(res.Body, w.seen), res.Body}
	return res, nil
}

// enter follows every redirect from target on, fills in the ENT's form as user,
// and returns where that ends.
func (v *visitor) enter(target, user string) answer {
	v.s.t.Helper()
	if strings.HasPrefix(target, "/") {
		target = public + target
	}
	for range 20 {
		v.hops = append(v.hops, target)
		got := v.get(target)
		switch {
		case got.StatusCode == http.StatusFound:
			to, err := got.Request.URL.Parse(got.location())
			if err != nil {
				v.s.t.Fatal(err)
			}
			target = to.String()
		case strings.HasPrefix(target, v.sc.cas.URL+"/login?") && got.StatusCode == http.StatusOK:
			v.forms++
			target = v.ticket(target, user)
		default:
			return got
		}
	}
	v.s.t.Fatalf("going round in circles:\n%s", strings.Join(v.hops, "\n"))
	return answer{}
}

// private finds private addresses of PRONOTE in text, however often encoded.
func (sc *school) private(text string) []string {
	var ports []string
	for _, address := range []string{sc.recent.URL, sc.legacy.URL, sc.legacy.ListenerURL} {
		ports = append(ports, mustURL(sc.t, address).Port())
	}
	return regexp.MustCompile(`(?i)127\.0\.0\.1(:|%(25)*3A)(`+strings.Join(ports, "|")+`)\b[^\s"]*`).FindAllString(text, -1)
}

// keepsSecret fails the test where the browser or the ENT was told of a private address.
func (sc *school) keepsSecret(v *visitor) {
	sc.t.Helper()
	for what, text := range map[string]string{"the browser": v.seen.String(), "the ENT": sc.told.String()} {
		if found := sc.private(text); len(found) > 0 {
			sc.t.Errorf("%s is told of %s", what, strings.Join(found, "\n"))
		}
	}
}

// relayLogin is the address to which PRONOTE sends a browser for service.
func relayLogin(service string, params ...string) string {
	return "/pronote-cas/login?service=" + url.QueryEscape(service) + strings.Join(append([]string{""}, params...), "&")
}

// ticketFor asks the relay for a ticket; the browser has a session already.
func (v *visitor) ticketFor(service string, params ...string) string {
	v.s.t.Helper()
	got := v.get(relayLogin(service, params...))
	ticket := ticketIn(got.location())
	if got.StatusCode != http.StatusFound || ticket == "" {
		v.s.t.Fatalf("no ticket for %s, but %s to %q\n%s\n%s", service, got.Status, got.location(), got.body, v.s.log)
	}
	return ticket
}

func ticketIn(location string) string {
	u, err := url.Parse(location)
	if err != nil {
		return ""
	}
	return u.Query().Get("ticket")
}

const soap = `<SOAP-ENV:Envelope xmlns:SOAP-ENV="http://schemas.xmlsoap.org/soap/envelope/"><SOAP-ENV:Body>` +
	`<samlp:Request xmlns:samlp="urn:oasis:names:tc:SAML:1.0:protocol" MajorVersion="1" MinorVersion="1" RequestID="_4711">` +
	`<samlp:AssertionArtifact>%s</samlp:AssertionArtifact></samlp:Request></SOAP-ENV:Body></SOAP-ENV:Envelope>`

// ask validates a ticket as a program on the caller's host does.
func (sc *school) ask(caller *http.Client, endpoint, service, ticket string, headers ...string) answer {
	sc.t.Helper()
	method, query, body := http.MethodGet, "service="+url.QueryEscape(service)+"&ticket="+url.QueryEscape(ticket), ""
	if strings.HasPrefix(endpoint, "samlValidate") {
		method, query, body = http.MethodPost, "TARGET="+url.QueryEscape(service), fmt.Sprintf(soap, ticket)
	}
	name, more, _ := strings.Cut(endpoint, "?")
	return sc.send(caller, method, "/pronote-cas/"+name+"?"+strings.TrimSuffix(query+"&"+more, "&"), body, headers...)
}

func (sc *school) send(caller *http.Client, method, target, body string, headers ...string) answer {
	sc.t.Helper()
	r, err := http.NewRequest(method, public+target, strings.NewReader(body))
	if err != nil {
		sc.t.Fatal(err)
	}
	for pair := range slices.Chunk(headers, 2) {
		r.Header.Set(pair[0], pair[1])
	}
	res, err := caller.Do(r)
	if err != nil {
		sc.t.Fatalf("%s %s: %v\n%s", method, target, err, sc.log)
	}
	defer res.Body.Close()
	got, err := io.ReadAll(res.Body)
	if err != nil {
		sc.t.Fatalf("%s %s: %v", method, target, err)
	}
	return answer{res, string(got)}
}

// granted reports whether an answer says who somebody is.
func granted(body string) bool {
	return strings.Contains(body, ":Success") || strings.Contains(body, "authenticationSuccess") || strings.HasPrefix(body, "yes\n")
}
