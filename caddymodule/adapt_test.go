package caddymodule

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"flag"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/pronote-cas/caddy-pronote-cas/casauth/castest"
)

var update = flag.Bool("update", false, "write testdata/adapt anew")

// What a Caddyfile means does not change unnoticed: a school's has been right for years.
func TestAdaptedCaddyfiles(t *testing.T) {
	files, err := filepath.Glob("../testdata/adapt/*.Caddyfile")
	if err != nil || len(files) == 0 {
		t.Fatalf("no Caddyfiles: %v", err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		got, err := adapt(string(text))
		if err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		if formatted := caddyfile.Format(text); !bytes.Equal(formatted, text) {
			t.Errorf("%s: `caddy fmt` would change it", file)
		}
		golden := strings.TrimSuffix(file, ".Caddyfile") + ".json"
		if *update {
			if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if line := differs(string(want), got); line > 0 {
			t.Errorf("%s: it is adapted to another JSON, from line %d on (with -update it is written anew)", golden, line)
		}
	}
}

// differs returns the first line in which a and b do, or 0.
func differs(a, b string) int {
	x, y := strings.Split(a, "\n"), strings.Split(b, "\n")
	for n := range max(len(x), len(y)) {
		if n >= len(x) || n >= len(y) || x[n] != y[n] {
			return n + 1
		}
	}
	return 0
}

// A matcher makes two routes: the gate, and behind it what removes forged headers
// everywhere else.
func TestAMatcherMakesTwoRoutes(t *testing.T) {
	got, err := adapt("http:// {\n\tpronote_cas /pronote/* {\n\t\tcas_url https://cas.example.fr\n\t\tpublic_url https://pronote.example.fr\n\t}\n\treverse_proxy 127.0.0.1:1\n}\n")
	if err != nil {
		t.Fatal(err)
	}
	gate, outside := strings.Index(got, `"/pronote/*"`), strings.Index(got, `"outside": true`)
	proxy := strings.Index(got, `"reverse_proxy"`)
	if strings.Count(got, `"handler": "pronote_cas"`) != 2 || gate < 0 || outside < gate || proxy < outside {
		t.Errorf("%s", got)
	}
}

// The example that people copy is one that Caddy takes as it stands.
func TestTheExampleIsCleanAndValid(t *testing.T) {
	const file = "../Caddyfile.example"
	text, err := os.ReadFile(file)
	if formatted := caddyfile.Format(text); err != nil || !bytes.Equal(formatted, text) {
		t.Errorf("%v; `caddy fmt` would change it:\n%s", err, formatted)
	}
	cmd := caddyCommand("validate", "--adapter", "caddyfile", "--config", file)
	cmd.Env = append(cmd.Env, "HOME="+t.TempDir(), "XDG_DATA_HOME="+t.TempDir(), "XDG_CONFIG_HOME="+t.TempDir())
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "Valid configuration") {
		t.Errorf("%v\n%s", err, out)
	}
	for line := range strings.Lines(string(out)) {
		if strings.Contains(line, `"level":"warn"`) || strings.Contains(line, "WARN") {
			t.Errorf("a warning: %s", line)
		}
	}
}

// `caddy validate` is run on the live server's machine before a reload: it writes
// nothing into the storage and asks nobody.
func TestValidateWritesNothingAndAsksNobody(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var asked atomic.Int64
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			asked.Add(1)
			_ = conn.Close()
		}
	}()
	t.Cleanup(func() { _ = listener.Close() })
	dir := shortDir(t)
	storage := filepath.Join(dir, "data")
	config := filepath.Join(dir, "Caddyfile")
	at := listener.Addr().String()
	text := "{\n\tadmin off\n\tstorage file_system " + storage + "\n}\nhttp://pronote.example.fr {\n\tbind unix/" + dir + "/site\n\tpronote_cas {\n\t\tcas_url http://" + at +
		"/cas\n\t\tpublic_url https://pronote.example.fr\n\t\tinternal_url http://" + at + "\n\t}\n\treverse_proxy " + at + "\n}\n"
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := caddyCommand("validate", "--adapter", "caddyfile", "--config", config).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if n := asked.Load(); n > 0 {
		t.Errorf("%d connections", n)
	}
	if written, err := os.ReadDir(storage); err == nil && len(written) > 0 {
		t.Errorf("in the storage: %v", written)
	}
}

// TLS towards the CAS server is always verified: by the system's authorities, or
// those of cas_trust_pool and no others.
func TestTheCASServersCertificateIsVerified(t *testing.T) {
	for name, test := range map[string]struct {
		pool func(file, base64 string) string
		want int
	}{
		"file":    {func(file, _ string) string { return "cas_trust_pool file " + file }, http.StatusFound},
		"inline":  {func(_, der string) string { return "cas_trust_pool inline {\ntrust_der " + der + "\n}" }, http.StatusFound},
		"system":  {func(_, _ string) string { return "" }, http.StatusServiceUnavailable},
		"another": {func(_, _ string) string { return "cas_trust_pool inline {\ntrust_der " + anotherAuthority(t) + "\n}" }, http.StatusServiceUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			var ent *httptest.Server
			var cas *castest.Server
			s := startWith(t, func(s *rig) string {
				if ent == nil {
					cas = castest.New(castest.Options{})
					t.Cleanup(cas.Close)
					ent = httptest.NewTLSServer(cas)
					t.Cleanup(ent.Close)
				}
				encoded := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ent.Certificate().Raw})
				file := filepath.Join(s.dir, "ca.pem")
				if err := os.WriteFile(file, encoded, 0o600); err != nil {
					t.Fatal(err)
				}
				lines := strings.Split(strings.TrimSpace(string(encoded)), "\n")
				return strings.Replace(s.caddyfile("", test.pool(file, strings.Join(lines[1:len(lines)-1], ""))), "cas_url "+s.cas.URL, "cas_url "+ent.URL, 1)
			})
			b := s.browser()
			asked := b.get("/eleve.html")
			if !strings.HasPrefix(asked.location(), ent.URL+"/login?") {
				t.Fatalf("%s to %q", asked.Status, asked.location())
			}
			if got := b.get("/eleve.html?ticket=" + cas.Ticket(pupil, public+"/eleve.html")); got.StatusCode != test.want {
				t.Errorf("%s, want %d\n%s", got.Status, test.want, refusals(s.log.String()))
			}
		})
	}
}

// anotherAuthority is the certificate of an authority that vouches for nobody.
func anotherAuthority(t *testing.T) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(der)
}

// Whoever runs Caddy with --resume on the machine on which they try the demo gets
// their own configuration afterwards; and nothing else of it stays behind.
func TestTheDemoWritesNothingBesideItsFolder(t *testing.T) {
	config, err := adapt(demoCaddyfile)
	if err != nil {
		t.Fatal(err)
	}
	var written struct {
		Admin   struct{ Config struct{ Persist *bool } }
		Storage struct{ Root string }
		Apps    struct {
			TLS struct {
				DisableStorageClean bool `json:"disable_storage_clean"`
			}
		}
	}
	if err := json.Unmarshal([]byte(config), &written); err != nil {
		t.Fatal(err)
	}
	if p := written.Admin.Config.Persist; p == nil || *p {
		t.Error("autosave.json becomes the demo's")
	}
	if !written.Apps.TLS.DisableStorageClean {
		t.Error("cleaning the storage leaves an instance.uuid")
	}
	if written.Storage.Root != "{DIR}" {
		t.Errorf("certificates and sessions go into %s", written.Storage.Root)
	}
}
