package caddymodule

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	_ "github.com/caddyserver/caddy/v2/modules/standard"

	"github.com/pronote-cas/caddy-pronote-cas/casauth/castest"
)

// TestMain lets the test binary play caddy: a real one, with this very module,
// started anew by each test that needs it.
func TestMain(m *testing.M) {
	if os.Getenv("PLAY_CADDY") != "" {
		caddycmd.Main()
		return
	}
	os.Exit(m.Run())
}

// public is the address that people type; the browser below reaches it through
// the unix socket that its Caddy listens on, wherever the name points.
const public = "https://pronote.example.fr"

// rig is a Caddy with the plugin between a CAS server and an upstream.
type rig struct {
	t        *testing.T
	cas      *castest.Server
	upstream *upstream
	dir      string // sockets and storage; short, for a socket's path has 108 bytes at most
	storage  string
	process  *exec.Cmd
	exited   chan struct{}
	log      logFile
	config   func(*rig) string
}

// start runs a Caddy with lines in its pronote_cas block.
func start(t *testing.T, lines ...string) *rig {
	return startWith(t, func(s *rig) string { return s.caddyfile("", lines...) })
}

// startWith runs a Caddy with the Caddyfile that config writes.
func startWith(t *testing.T, config func(*rig) string) *rig {
	t.Helper()
	t.Parallel()
	return startAlone(t, config)
}

// startAlone is startWith for a test that needs the whole machine.
func startAlone(t *testing.T, config func(*rig) string) *rig {
	t.Helper()
	s := &rig{t: t, cas: castest.Start(t, castest.Options{Users: people()}), upstream: newUpstream(t), config: config, dir: shortDir(t)}
	s.storage = filepath.Join(s.dir, "data")
	s.cas.SetSLO(castest.SLO{Mode: castest.SLOSync, Client: &http.Client{Transport: s.transport(), Timeout: 5 * time.Second}})
	s.run()
	t.Cleanup(s.kill)
	return s
}

// beside runs a second node on the same storage, CAS server and upstream.
func (s *rig) beside() *rig {
	s.t.Helper()
	other := *s
	other.dir = shortDir(s.t)
	other.run()
	s.t.Cleanup(other.kill)
	return &other
}

func shortDir(t *testing.T) string {
	dir, err := os.MkdirTemp("", "pc")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// caddyfile is the smallest one, with more in the directive's block and before
// the directive.
func (s *rig) caddyfile(before string, lines ...string) string {
	return fmt.Sprintf(`{
	admin unix/%[1]s/admin
	auto_https off
	storage file_system %[2]s
	log {
		level DEBUG
	}
}
http://pronote.example.fr {
	bind unix/%[1]s/site
	log
	%[6]s
	pronote_cas {
		cas_url %[3]s
		public_url `+public+`
		%[5]s
	}
	reverse_proxy %[4]s {
		flush_interval -1
	}
}
`, s.dir, s.storage, s.cas.URL, strings.TrimPrefix(s.upstream.URL, "http://"), strings.Join(lines, "\n\t\t"), before)
}

func caddyCommand(args ...string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), "PLAY_CADDY=1")
	return cmd
}

func (s *rig) writeConfig() string {
	path := filepath.Join(s.dir, "Caddyfile")
	if err := os.WriteFile(path, []byte(s.config(s)), 0o600); err != nil {
		s.t.Fatal(err)
	}
	return path
}

func (s *rig) run() {
	s.t.Helper()
	log, err := os.CreateTemp(s.dir, "log")
	if err != nil {
		s.t.Fatal(err)
	}
	defer log.Close() // the process has its own
	s.log = logFile(log.Name())
	s.process = caddyCommand("run", "--adapter", "caddyfile", "--config", s.writeConfig())
	s.process.Stdout, s.process.Stderr = log, log
	if err := s.process.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.exited = make(chan struct{})
	go func(process *exec.Cmd, exited chan struct{}) {
		_ = process.Wait() // killed, mostly
		close(exited)
	}(s.process, s.exited)
	for range 600 {
		if conn, err := net.Dial("unix", s.dir+"/site"); err == nil {
			_ = conn.Close()
			return
		}
		select {
		case <-s.exited:
			s.t.Fatalf("caddy did not start:\n%s", s.log)
		case <-time.After(50 * time.Millisecond):
		}
	}
	s.t.Fatalf("caddy is not ready after 30 s:\n%s", s.log)
}

// kill ends the process as kill -9 does.
func (s *rig) kill() {
	_ = s.process.Process.Signal(syscall.SIGKILL) // gone already, perhaps
	<-s.exited
}

// reload makes the running process load the Caddyfile again.
func (s *rig) reload() {
	s.t.Helper()
	cmd := caddyCommand("reload", "--force", "--adapter", "caddyfile", "--config", s.writeConfig(), "--address", "unix/"+s.dir+"/admin")
	if out, err := cmd.CombinedOutput(); err != nil {
		s.t.Fatalf("reload: %v\n%s\n%s", err, out, s.log)
	}
}

// transport sends whatever is for the public address through the socket.
func (s *rig) transport() *http.Transport {
	dial := func(ctx context.Context, network, address string) (net.Conn, error) {
		if strings.HasPrefix(address, "pronote.example.fr:") {
			network, address = "unix", s.dir+"/site"
		}
		return new(net.Dialer).DialContext(ctx, network, address)
	}
	transport := &http.Transport{DialContext: dial, DialTLSContext: dial, DisableCompression: true}
	s.t.Cleanup(transport.CloseIdleConnections)
	return transport
}

// browser is a person's: it keeps cookies, navigates, and follows no redirect
// by itself.
type browser struct {
	*http.Client
	s *rig
}

func (s *rig) browser() *browser {
	jar, err := cookiejar.New(nil)
	if err != nil {
		s.t.Fatal(err)
	}
	return &browser{s: s, Client: &http.Client{
		Transport:     s.transport(),
		Jar:           jar,
		Timeout:       20 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// answer is a response, read.
type answer struct {
	*http.Response
	body string
}

func (a answer) location() string { return a.Header.Get("Location") }

// send sends a request; headers are pairs. A name of "" leaves out what a
// navigation has.
func (b *browser) send(method, target, body string, headers ...string) answer {
	b.s.t.Helper()
	if strings.HasPrefix(target, "/") {
		target = public + target
	}
	r, err := http.NewRequest(method, target, strings.NewReader(body))
	if err != nil {
		b.s.t.Fatal(err)
	}
	r.Header.Set("Accept", "text/html")
	r.Header.Set("Sec-Fetch-Mode", "navigate")
	r.Header.Set("Sec-Fetch-Dest", "document")
	r.Header.Set("Sec-Fetch-Site", "none")
	for pair := range slices.Chunk(headers, 2) {
		r.Header.Del(pair[0])
	}
	for pair := range slices.Chunk(headers, 2) {
		if pair[1] != "" {
			r.Header[pair[0]] = append(r.Header[pair[0]], pair[1]) // spelled as it is
		}
	}
	if host := r.Header.Get("Host"); host != "" {
		r.Host = host
	}
	res, err := b.Do(r)
	if err != nil {
		b.s.t.Fatalf("%s %s: %v\n%s", method, target, err, b.s.log)
	}
	defer res.Body.Close()
	read, err := io.ReadAll(res.Body)
	if err != nil {
		b.s.t.Fatalf("%s %s: %v", method, target, err)
	}
	return answer{res, string(read)}
}

func (b *browser) get(target string, headers ...string) answer {
	b.s.t.Helper()
	return b.send(http.MethodGet, target, "", headers...)
}

// script is what a page's own call looks like.
var script = []string{"Sec-Fetch-Mode", "cors", "Sec-Fetch-Dest", "empty", "Sec-Fetch-Site", "same-origin", "Accept", "*/*"}

// setOut asks for target and returns the address of the login that it leads to.
func (b *browser) setOut(target string) string {
	b.s.t.Helper()
	asked := b.get(target)
	if asked.StatusCode != http.StatusFound || !strings.HasPrefix(asked.location(), b.s.cas.URL+"/login?") {
		b.s.t.Fatalf("GET %s: %s to %q, want a redirect to the CAS server\n%s", target, asked.Status, asked.location(), asked.body)
	}
	return asked.location()
}

// ticket logs user in at the CAS server and returns where that leads back to.
func (b *browser) ticket(login, user string) string {
	b.s.t.Helper()
	back, err := b.s.cas.Login(b.Client, login, user)
	if err != nil {
		b.s.t.Fatal(err)
	}
	return back
}

// login walks the whole way to target and returns what is there.
func (b *browser) login(target, user string) answer {
	b.s.t.Helper()
	with := b.get(b.ticket(b.setOut(target), user))
	if with.StatusCode != http.StatusFound || with.location() != public+target {
		b.s.t.Fatalf("with the ticket: %s to %q, want a redirect to %s\n%s\n%s", with.Status, with.location(), target, with.body, b.s.log)
	}
	return b.get(target)
}

// raw sends bytes as they are and returns the one answer to them, which has no
// status where the connection was closed instead. The request is to ask for
// Connection: close.
func (s *rig) raw(request string) answer {
	s.t.Helper()
	conn, err := net.Dial("unix", s.dir+"/site")
	if err != nil {
		s.t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second)) // a socket has deadlines
	if _, err := io.WriteString(conn, request); err != nil {
		return answer{new(http.Response), ""} // refused before it was read to its end
	}
	method, _, _ := strings.Cut(request, " ")
	res, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	if err != nil {
		return answer{new(http.Response), ""}
	}
	body, _ := io.ReadAll(res.Body) // cut short where the server ends it
	return answer{res, string(body)}
}

// eventually waits until ok, for three seconds: what has to happen within one
// second, on a machine that is busy.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for range 60 {
		if ok() {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Errorf("not within three seconds: %s", what)
}

// logFile is what a process writes. It is no pipe: what was logged before an answer
// stands there when the answer has come.
type logFile string

func (f logFile) String() string {
	text, err := os.ReadFile(string(f))
	if err != nil {
		return err.Error()
	}
	return string(text)
}
