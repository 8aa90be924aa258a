package caddymodule

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/spf13/cobra"

	"github.com/pronote-cas/caddy-pronote-cas/casauth/castest"
	"github.com/pronote-cas/caddy-pronote-cas/casauth/pronotetest"
)

//go:embed demo.Caddyfile
var demoCaddyfile string

//go:embed demo.txt
var demoText string

func demoCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "demo",
		Short: "Runs a whole school on this machine: an ENT, this proxy and PRONOTE.net stand-ins",
		Long: `
Runs, on this machine and for this machine alone, an ENT with a few people, Caddy
with this plugin, and PRONOTE.net stand-ins behind it. Nothing has to be
installed, and nothing stays behind. Ctrl-C ends it.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			return demo(ctx, cmd.OutOrStdout())
		},
	}
}

// demo runs until ctx ends.
func demo(ctx context.Context, out io.Writer) (err error) {
	dir, err := os.MkdirTemp("", "pronote-cas-demo")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	hosts := new(demoHosts)
	defer hosts.close()

	school := newDemoSchool(hosts)
	if hosts.err != nil {
		return hosts.err
	}
	if err := runCaddy(school.values(dir)); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, caddy.Stop()) }()
	trusting, err := trustDemo(dir)
	if err != nil {
		return err
	}
	if err := school.open(trusting); err != nil {
		return err
	}
	defer school.close()

	fmt.Fprint(out, demoText)
	<-ctx.Done()
	fmt.Fprintln(out, "\nFin de la démonstration. / End of the demo.")
	return nil
}

// demoSchool is what stands around Caddy: the ENT and three PRONOTE.net.
type demoSchool struct {
	ent, gated, relayed, pages, listener *demoHost
	close                                func()
}

func newDemoSchool(hosts *demoHosts) *demoSchool {
	return &demoSchool{ent: hosts.listen(), gated: hosts.listen(), relayed: hosts.listen(), pages: hosts.listen(), listener: hosts.listen()}
}

// values are what demo.Caddyfile leaves open.
func (s *demoSchool) values(dir string) map[string]string {
	return map[string]string{
		"DIR": filepath.ToSlash(dir), "ENT": s.ent.addr, "GATED": s.gated.addr, "RELAYED": s.relayed.addr,
		"PAGES": s.pages.addr, "LISTENER": s.listener.addr,
	}
}

// open begins to serve. client is for those that call through Caddy.
func (s *demoSchool) open(client *http.Client) error {
	ent := castest.New(castest.Options{
		Services: []string{"https://localhost:8443/", "https://localhost:8444/", "https://localhost:8445/"},
		SLO:      castest.SLO{Client: client},
	})
	const logout, wait = "/pronote-cas/logout", 20 * time.Second
	gated, err := pronotetest.NewRecent(pronotetest.Config{PublicURL: "https://localhost:8443/pronote/", LogoutURL: logout, PollWait: wait})
	// The two that delegate know nothing but their private addresses.
	relayed, err2 := pronotetest.NewRecent(pronotetest.Config{
		PrivateURL: "http://" + s.relayed.addr + "/pronote/", LogoutURL: logout, PollWait: wait, Client: client,
		CAS: &pronotetest.CAS{URL: "https://localhost:8444/pronote-cas"},
	})
	legacy, err3 := pronotetest.NewLegacy(pronotetest.LegacyConfig{
		ServiceURL: "http://" + s.listener.addr,
		Config: pronotetest.Config{
			PrivateURL: "http://" + s.pages.addr + "/", LogoutURL: logout, PollWait: wait, Client: client,
			CAS: &pronotetest.CAS{URL: "https://localhost:8445/pronote-cas"},
		},
	})
	if err := errors.Join(err, err2, err3); err != nil {
		return err
	}
	s.close = func() { ent.Close(); gated.Close(); relayed.Close(); legacy.Close() }
	s.ent.handle(ent)
	s.gated.handle(gated)
	s.relayed.handle(relayed)
	s.pages.handle(legacy.Pages())
	s.listener.handle(legacy.Listener())
	return nil
}

// runCaddy starts Caddy, in this process, with the demo's Caddyfile.
func runCaddy(values map[string]string) error {
	text := demoCaddyfile
	for name, value := range values {
		text = strings.ReplaceAll(text, "{"+name+"}", value)
	}
	config, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(text), map[string]any{"filename": "demo.Caddyfile"})
	if err != nil {
		return err
	}
	if err := caddy.Load(config, true); err != nil {
		return fmt.Errorf("starting Caddy (if a port is taken, end what listens there / si un port est pris, arrêtez ce qui l'occupe): %w", err)
	}
	return nil
}

// trustDemo returns a client that trusts the certificates of Caddy's own
// authority in dir, for the servers of the demo that call through Caddy.
func trustDemo(dir string) (*http.Client, error) {
	root, err := os.ReadFile(filepath.Join(dir, "pki", "authorities", "local", "root.crt"))
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(root)
	return &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}}, nil
}

// demoHosts are the servers around Caddy, each on a free port of the loopback.
type demoHosts struct {
	err     error // the first
	servers []*http.Server
}

type demoHost struct {
	addr string
	on   net.Listener
	all  *demoHosts
}

// listen takes a port, so that it is known before what is served there.
func (h *demoHosts) listen() *demoHost {
	on, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		h.err = errors.Join(h.err, err)
		return &demoHost{all: h}
	}
	return &demoHost{addr: on.Addr().String(), on: on, all: h}
}

func (h *demoHost) handle(handler http.Handler) {
	if h.on == nil {
		return
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	h.all.servers = append(h.all.servers, server)
	go func() { _ = server.Serve(h.on) }() // until close
}

func (h *demoHosts) close() {
	for _, server := range h.servers {
		_ = server.Close() // the process ends with them
	}
}
