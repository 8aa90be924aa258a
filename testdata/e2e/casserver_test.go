package e2e

import (
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pronote-cas/caddy-pronote-cas/casauth/protocol"
)

// Somebody both servers know (testdata/interop/README.md).
const (
	pupil     = "dwho"
	pupilCode = "A1B2C3D4E5F60718"
)

// casServer is one of testdata/interop.
type casServer struct {
	name   string // its folder
	speaks []protocol.Protocol
	base   string
}

var casServers = []casServer{
	{name: "lemonldap", speaks: []protocol.Protocol{protocol.CAS1, protocol.CAS2, protocol.CAS3}},
	{name: "django-cas-server", speaks: []protocol.Protocol{protocol.CAS1, protocol.CAS2, protocol.CAS3, protocol.SAML11}},
}

// forEachServer runs a test once for each real server.
func forEachServer(t *testing.T, test func(*testing.T, casServer)) {
	for _, server := range casServers {
		t.Run(server.name, func(t *testing.T) { test(t, server) })
	}
}

// start starts the server for the clients at some origins, until the test ends.
func (s *casServer) start(t *testing.T, clients ...string) {
	t.Helper()
	port := freePorts(t, 1)[0]
	startInterop(t, s.name, port, "INTEROP_CLIENTS="+strings.Join(clients, " "), "INTEROP_RUN="+filepath.Join(t.TempDir(), "run"))
	s.base = "http://localhost:" + port + "/cas"
}

// startInterop starts what is in a folder of testdata/interop, until the test ends.
func startInterop(t *testing.T, name, port string, env ...string) {
	t.Helper()
	folder, err := filepath.Abs(filepath.Join("..", "interop", name))
	if err != nil {
		t.Fatal(err)
	}
	run := func(script string) (string, error) {
		cmd := exec.Command("bash", filepath.Join(folder, script))
		cmd.Env = append(append(os.Environ(), "INTEROP_PORT="+port), env...)
		cmd.WaitDelay = time.Second // what it leaves running may hold its output open
		text, err := cmd.CombinedOutput()
		return strings.TrimSpace(string(text)), err
	}
	text, err := run("start.sh")
	var failed *exec.ExitError
	switch {
	case err == nil:
		t.Log(text)
		t.Cleanup(func() {
			if text, err := run("stop.sh"); err != nil {
				t.Errorf("stop %s: %v\n%s", name, err, text)
			}
		})
	case errors.Is(err, exec.ErrNotFound):
		missing(t, "%s is started by a bash script, and there is no bash.", name)
	case errors.As(err, &failed) && failed.ExitCode() == 77:
		missing(t, "%s", text)
	default:
		t.Fatalf("start %s: %v\n%s", name, err, text)
	}
}

// ticket logs p in for service, through the login form where there is no
// session yet, and returns the ticket that p would carry there.
func (s *casServer) ticket(p *person, service string, params ...protocol.Param) string {
	p.t.Helper()
	pg := p.open(protocol.LoginURL(s.base+"/login", service, false, params))
	if pg.asksForPassword() {
		pg = p.submit(pg, pupil)
	}
	ticket := pg.URL.Query().Get("ticket")
	if !strings.HasPrefix(ticket, "ST-") {
		p.t.Fatalf("no ticket from %s, but %d at %s:\n%s", s.name, pg.Status, pg.URL, pg.Body)
	}
	return ticket
}

// client validates by one protocol, as the module does.
func (s *casServer) client(t *testing.T, p protocol.Protocol) *protocol.Client {
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return &protocol.Client{Protocol: p, ValidateURL: s.base + p.Path(), Transport: transport}
}
