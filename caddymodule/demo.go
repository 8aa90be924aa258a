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

	ent := castest.New(castest.Options{Services: []string{"https://localhost:8443/"}})
	defer ent.Close()
	entAt := hosts.serve(ent)

	recentAt := hosts.listen()
	recent, err := pronotetest.NewRecent(pronotetest.Config{
		PublicURL:  "https://localhost:8443/pronote/",
		PrivateURL: "http://" + recentAt.addr + "/pronote/",
		LogoutURL:  "/pronote-cas/logout",
	})
	if err != nil {
		return err
	}
	defer recent.Close()
	recentAt.handle(recent)

	if hosts.err != nil {
		return hosts.err
	}
	if err := runCaddy(dir, map[string]string{"DIR": filepath.ToSlash(dir), "ENT": entAt, "PRONOTE": recentAt.addr}); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, caddy.Stop()) }()
	trusting, err := trustDemo(dir)
	if err != nil {
		return err
	}
	ent.SetSLO(castest.SLO{Client: trusting})

	fmt.Fprint(out, demoText)
	<-ctx.Done()
	fmt.Fprintln(out, "\nFin de la démonstration. / End of the demo.")
	return nil
}

// runCaddy starts Caddy, in this process, with the demo's Caddyfile.
func runCaddy(dir string, values map[string]string) error {
	text := demoCaddyfile
	for name, value := range values {
		text = strings.ReplaceAll(text, "{"+name+"}", value)
	}
	config, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(text), map[string]any{"filename": "demo.Caddyfile"})
	if err != nil {
		return err
	}
	if err := caddy.Load(config, true); err != nil {
		return fmt.Errorf("Caddy did not start; if a port is taken, end what listens there / Caddy n'a pas démarré ; si un port est pris, arrêtez ce qui l'occupe : %w", err)
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

func (h *demoHosts) serve(handler http.Handler) (addr string) {
	host := h.listen()
	host.handle(handler)
	return host.addr
}

func (h *demoHosts) close() {
	for _, server := range h.servers {
		_ = server.Close() // the process ends with them
	}
}
