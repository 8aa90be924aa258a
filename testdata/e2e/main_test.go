package e2e

import (
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	_ "github.com/caddyserver/caddy/v2/modules/standard"

	_ "github.com/pronote-cas/caddy-pronote-cas/caddymodule"
)

// TestMain lets the test binary play caddy, so that what is tested is built
// once, with the race detector if the tests have it.
func TestMain(m *testing.M) {
	if os.Getenv("E2E_PLAY_CADDY") != "" {
		caddycmd.Main()
		return
	}
	os.Exit(m.Run())
}

// missing skips the test with a sentence that says what it would need.
func missing(t *testing.T, format string, args ...any) {
	t.Helper()
	if os.Getenv("E2E_REQUIRED") != "" {
		t.Fatalf(format, args...)
	}
	t.Skipf(format, args...)
}

// freePorts returns n ports on loopback that nobody listened on a moment ago.
func freePorts(t *testing.T, n int) []string {
	t.Helper()
	var ports []string
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close() // held until all are known, so that no two are the same
		_, port, _ := net.SplitHostPort(l.Addr().String())
		ports = append(ports, port)
	}
	return ports
}

// runCaddy runs a caddy command with the plugin in the background until the test
// ends, with HOME and its data in an empty folder of its own. CADDY_BIN names a
// binary to use instead of this one. It returns what the command prints.
func runCaddy(t *testing.T, stdin string, args ...string) *output {
	t.Helper()
	binary := os.Getenv("CADDY_BIN")
	if binary == "" {
		var err error
		if binary, err = os.Executable(); err != nil {
			t.Fatal(err)
		}
	}
	home := t.TempDir()
	printed := new(output)
	cmd := exec.Command(binary, args...)
	cmd.Env = append(os.Environ(), "E2E_PLAY_CADDY=1", "HOME="+home,
		"XDG_DATA_HOME="+filepath.Join(home, "data"), "XDG_CONFIG_HOME="+filepath.Join(home, "config"))
	cmd.Stdin = strings.NewReader(stdin)
	cmd.Stdout, cmd.Stderr = printed, printed
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt) // Ctrl-C
		kill := time.AfterFunc(20*time.Second, func() { _ = cmd.Process.Kill() })
		err := cmd.Wait()
		if !kill.Stop() {
			t.Error("caddy did not end within 20 seconds")
		} else if err != nil {
			t.Errorf("caddy %s: %v", strings.Join(args, " "), err)
		}
		if strings.Contains(printed.String(), "DATA RACE") {
			t.Error("the race detector found something in caddy")
		}
		if t.Failed() {
			t.Logf("caddy %s printed:\n%s", strings.Join(args, " "), printed)
		}
	})
	return printed
}

// caddyfile runs Caddy with a configuration and waits until origin answers.
func caddyfile(t *testing.T, config, origin string) *output {
	t.Helper()
	printed := runCaddy(t, config, "run", "--config", "-", "--adapter", "caddyfile")
	u, err := url.Parse(origin)
	if err != nil {
		t.Fatal(err)
	}
	waitForPort(t, u.Host, printed)
	return printed
}

// waitForPort waits at most a minute for somebody to listen on host.
func waitForPort(t *testing.T, host string, printed *output) {
	t.Helper()
	for range 600 {
		conn, err := net.DialTimeout("tcp", host, time.Second)
		if err == nil {
			conn.Close()
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Fatalf("nobody listens on %s; printed so far:\n%s", host, printed)
}

// output collects what a process prints.
type output struct {
	mu   sync.Mutex
	text []byte
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.text = append(o.text, p...)
	return len(p), nil
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return string(o.text)
}
