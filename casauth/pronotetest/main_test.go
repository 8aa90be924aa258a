package pronotetest_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"os"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/pronote-cas/caddy-pronote-cas/casauth/castest"
)

// TestMain fails the run if a goroutine of a server outlives the tests.
func TestMain(m *testing.M) {
	code := m.Run()
	if left := leftovers(); left != "" {
		fmt.Fprintln(os.Stderr, "goroutines left:\n"+left)
		code = 1
	}
	os.Exit(code)
}

func leftovers() string {
	var left string
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		left = ""
		buf := make([]byte, 1<<20)
		for _, g := range strings.Split(string(buf[:runtime.Stack(buf, true)]), "\n\n")[1:] {
			if strings.Contains(g, "net/http.") || strings.Contains(g, "pronotetest.") {
				left += g + "\n\n"
			}
		}
		if left == "" {
			return ""
		}
	}
	return left
}

// browser is a client with cookies that leaves redirects to the test.
type browser struct {
	*http.Client
	t *testing.T
}

func newBrowser(t *testing.T) browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	c := &http.Client{
		Jar: jar, Transport: &http.Transport{},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	t.Cleanup(c.CloseIdleConnections)
	return browser{c, t}
}

func (b browser) do(method, address, body string, header ...string) (status int, location, text string) {
	b.t.Helper()
	req, err := http.NewRequestWithContext(b.t.Context(), method, address, strings.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := b.Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return resp.StatusCode, resp.Header.Get("Location"), string(got)
}

func (b browser) get(address string, header ...string) (status int, location, text string) {
	b.t.Helper()
	return b.do(http.MethodGet, address, "", header...)
}

const form = "application/x-www-form-urlencoded"

// enter asks for a page, logs in at the CAS server where PRONOTE sends it, and
// returns PRONOTE's answer to the ticket.
func (b browser) enter(ent *castest.Server, page, user string) (location, text string) {
	b.t.Helper()
	_, toCAS, text := b.get(page)
	if !strings.HasPrefix(toCAS, ent.URL+"/login?service=") {
		b.t.Fatalf("%s leads to %q, not to the CAS server\n%s", page, toCAS, text)
	}
	back, err := ent.Login(b.Client, toCAS, user)
	if err != nil {
		b.t.Fatal(err)
	}
	_, location, text = b.get(back)
	return location, text
}

var (
	startLine = regexp.MustCompile(`onload="try \{ Start \(\{h:'(\d+)',a:(\d+),d:false,g:(\d)[^"]*\}\) \} catch`)
	marker    = regexp.MustCompile(`[?&]identifiant=[A-Za-z0-9]{16}$`)
)

// started reads h, a and g of a page of an Espace.
func (b browser) started(text string) (session, genre, kind string) {
	b.t.Helper()
	m := startLine.FindStringSubmatch(text)
	if m == nil {
		b.t.Fatalf("no Start in\n%s", text)
	}
	return m[1], m[2], m[3]
}
