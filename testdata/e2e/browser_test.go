package e2e

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// chromium finds the browser.
func chromium(t *testing.T) (path string) {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if found, err := exec.LookPath(name); err == nil {
			return found
		}
	}
	missing(t, "The browser test needs Chromium (Debian: apt-get install chromium).")
	return ""
}

// tab is one tab of a browser.
type tab struct {
	t   *testing.T
	ctx context.Context
}

// openBrowser starts a browser that trusts one certificate authority, named by
// the digest of its public key, and knows no host but localhost.
func openBrowser(t *testing.T, path, authority string) tab {
	t.Helper()
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path),
		chromedp.Flag("ignore-certificate-errors-spki-list", authority),
		chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND, EXCLUDE localhost"),
		chromedp.Flag("no-proxy-server", true),
		chromedp.Flag("accept-lang", "fr"))
	if os.Geteuid() == 0 { // Chromium's sandbox does not work for root
		options = append(options, chromedp.NoSandbox)
	}
	ctx, cancel := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(cancel)
	return openTab(t, ctx)
}

// openTab opens a tab in the browser of ctx, starting that first if need be.
func openTab(t *testing.T, ctx context.Context) tab {
	t.Helper()
	ctx, cancel := chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("Chromium does not open a tab: %v", err)
	}
	return tab{t, ctx}
}

// another is a second tab in the same browser, with the same cookies.
func (b tab) another() tab {
	b.t.Helper()
	return openTab(b.t, b.ctx)
}

// do takes one step of a visit.
func (b tab) do(step chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, 30*time.Second)
	defer cancel()
	if err := chromedp.Do(ctx, step); err != nil {
		b.t.Fatalf("%v\nat %s:\n%s", err, b.address(), b.text())
	}
}

// click clicks the first element that a CSS selector finds.
func (b tab) click(selector string) {
	b.t.Helper()
	b.do(chromedp.Click(chromedp.CSS(selector)))
}

// sees waits for a text on the page, at most 30 seconds.
func (b tab) sees(text string) {
	b.t.Helper()
	for range 300 {
		if strings.Contains(b.text(), text) {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	b.t.Fatalf("%q is not on the page %s:\n%s", text, b.address(), b.text())
}

func (b tab) address() string { return b.evaluate(`location.href`) }

func (b tab) text() string { return b.evaluate(`document.body ? document.body.innerText : ""`) }

// evaluate asks the page, and gets "" from one that is just being replaced.
func (b tab) evaluate(script string) string {
	ctx, cancel := context.WithTimeout(b.ctx, 5*time.Second)
	defer cancel()
	value, err := chromedp.Run(ctx, chromedp.Evaluate[string](script))
	if err != nil {
		return ""
	}
	return value
}

// localAuthority is the authority that signed for host, which must be Caddy's
// own: it is in no trust store, and what counts is that a browser accepts this
// one and no other. It waits at most a minute for the certificate.
func localAuthority(t *testing.T, host string, printed *output) (digest string) {
	t.Helper()
	waitForPort(t, host, printed)
	dialer := &net.Dialer{Timeout: 10 * time.Second}
	for range 600 {
		conn, err := tls.DialWithDialer(dialer, "tcp", host, &tls.Config{InsecureSkipVerify: true})
		if err != nil { // not signed yet
			time.Sleep(100 * time.Millisecond)
			continue
		}
		defer conn.Close()
		chain := conn.ConnectionState().PeerCertificates
		issuer := chain[len(chain)-1]
		if len(chain) < 2 || !strings.Contains(issuer.Subject.CommonName, "Caddy Local Authority") {
			t.Fatalf("%s has a certificate from %q, want Caddy's internal authority", host, issuer.Subject)
		}
		sum := sha256.Sum256(issuer.RawSubjectPublicKeyInfo)
		return base64.StdEncoding.EncodeToString(sum[:])
	}
	t.Fatalf("no certificate for %s", host)
	return ""
}
