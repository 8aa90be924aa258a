package protocol

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// rawServer speaks to each connection through talk; heads are the request heads
// that came, over all connections.
func rawServer(t *testing.T, talk func(c net.Conn, nth int)) (address string, heads func() []string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	var mu sync.Mutex
	var all []string
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				r := bufio.NewReader(c)
				for nth := 1; ; nth++ {
					var head strings.Builder
					for {
						line, err := r.ReadString('\n')
						if err != nil {
							return
						}
						if head.WriteString(line); line == "\r\n" {
							break
						}
					}
					if n := regexp.MustCompile(`Content-Length: (\d+)`).FindStringSubmatch(head.String()); n != nil {
						length, _ := strconv.ParseInt(n[1], 10, 64)
						io.CopyN(io.Discard, r, length)
					}
					mu.Lock()
					all = append(all, head.String())
					mu.Unlock()
					talk(c, nth)
				}
			}()
		}
	}()
	return "http://" + l.Addr().String(), func() []string {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(all)
	}
}

func answerRaw(c net.Conn, body string) {
	io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: "+strconv.Itoa(len(body))+"\r\n\r\n"+body)
}

func reset(c net.Conn) {
	c.(*net.TCPConn).SetLinger(0)
	c.Close()
}

// net/http repeats a GET when a kept connection is reset after it was sent: the
// second time the ticket is used, and a person who logged in rightly is refused.
func TestTicketIsSentOnceOnAResetConnection(t *testing.T) {
	for _, p := range []Protocol{CAS1, CAS2, CAS3, SAML11} {
		address, heads := rawServer(t, func(c net.Conn, nth int) {
			if nth > 1 {
				reset(c)
				return
			}
			answerRaw(c, "<a/>")
		})
		c := Client{Protocol: p, ValidateURL: address, Transport: direct.Clone()}
		if _, err := c.Validate(t.Context(), service, "ST-first"); err == nil {
			t.Fatal("no answer was one")
		}
		if _, err := c.Validate(t.Context(), service, ticket); reasonOf(t, err) != ReasonInterrupted {
			t.Errorf("%s: %v", p, err)
		}
		if got := heads(); len(got) != 2 {
			t.Errorf("%s: %d requests", p, len(got))
		}
		for _, head := range heads() {
			if p != SAML11 && (strings.Contains(head, "Transfer-Encoding") || strings.Contains(head, "Content-Length")) {
				t.Errorf("a GET with a body:\n%s", head)
			}
		}
	}

	// The same without care is sent twice: this test can fail.
	address, heads := rawServer(t, func(c net.Conn, nth int) {
		if nth > 1 {
			reset(c)
			return
		}
		answerRaw(c, "<a/>")
	})
	transport := direct.Clone()
	for range 2 {
		r, _ := http.NewRequest("GET", address, nil)
		if response, err := transport.RoundTrip(r); err == nil {
			io.Copy(io.Discard, response.Body)
			response.Body.Close()
		}
	}
	if got := heads(); len(got) != 3 {
		t.Errorf("net/http no longer repeats a GET (%d requests): newRequest needs no body", len(got))
	}
}

// Connections are kept: a login must not cost a TLS handshake.
func TestConnectionIsKept(t *testing.T) {
	var most atomic.Int64
	address, _ := rawServer(t, func(c net.Conn, nth int) {
		most.Store(int64(nth))
		answerRaw(c, casUser("ada"))
	})
	c := Client{Protocol: CAS2, ValidateURL: address, Transport: direct.Clone()}
	for range 3 {
		if _, err := c.Validate(t.Context(), service, ticket); err != nil {
			t.Fatal(err)
		}
	}
	if most.Load() != 3 {
		t.Errorf("%d requests on one connection", most.Load())
	}
}

// Whatever a server sends back, the ticket does not reach a log.
func TestTicketIsInNoError(t *testing.T) {
	for name, answer := range map[string]string{
		"request for status": "GET /?ticket=" + url.QueryEscape(ticket) + " HTTP/1.1\r\n\r\n",
		"ticket for status":  ticket + "\r\n\r\n",
		"ticket as a header": "HTTP/1.1 200 OK\r\n" + ticket + "\r\n\r\n",
		"ticket as the code": "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + casOpen + `<cas:authenticationFailure code="bad ` + ticket + `">Ticket ` + ticket + ` not recognized</cas:authenticationFailure>` + casClose,
		"ticket as the root": "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n<" + strings.NewReplacer("=", "", ":", "", "/", "", "%", "", "+", "").Replace(ticket) + "/>",
		"ticket as markup":   "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n<a>&" + ticket + ";</a>",
		"ticket as location": "HTTP/1.1 302 Found\r\nLocation: /login?ticket=" + ticket + "\r\nContent-Length: 0\r\n\r\n",
	} {
		address, _ := rawServer(t, func(c net.Conn, _ int) {
			io.WriteString(c, answer)
			c.Close()
		})
		c := Client{Protocol: CAS2, ValidateURL: address, Transport: direct.Clone()}
		if _, err := c.Validate(t.Context(), service, ticket); reasonOf(t, err) == "" {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestValidateUnreachable(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := "http://" + l.Addr().String()
	l.Close()
	c := Client{Protocol: CAS2, ValidateURL: closed}
	if _, err := c.Validate(t.Context(), service, ticket); reasonOf(t, err) != ReasonConnect {
		t.Errorf("%v", err)
	}
	cut := casServer(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "10000")
		io.WriteString(w, casUser("ada"))
	})
	c.ValidateURL = cut.URL
	if _, err := c.Validate(t.Context(), service, ticket); reasonOf(t, err) != ReasonInterrupted {
		t.Errorf("cut off: %v", err)
	}
	c.Transport = transportFunc(func(*http.Request) (*http.Response, error) {
		return nil, &net.OpError{Op: "dial", Err: &net.DNSError{Name: "cas.invalid", IsNotFound: true}}
	})
	if _, err := c.Validate(t.Context(), service, ticket); reasonOf(t, err) != ReasonName {
		t.Errorf("no such name: %v", err)
	}
}

type transportFunc func(*http.Request) (*http.Response, error)

func (f transportFunc) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// drip is a body that gives a byte a second until its request ends.
type drip struct{ ctx context.Context }

func (d drip) Read(p []byte) (int, error) {
	select {
	case <-time.After(time.Second):
		p[0] = ' '
		return 1, nil
	case <-d.ctx.Done():
		return 0, d.ctx.Err()
	}
}

func (drip) Close() error { return nil }

// A server that keeps on sending, slowly, is as good as none.
func TestTimeoutCoversTheBody(t *testing.T) {
	for timeout, want := range map[time.Duration]time.Duration{0: 10 * time.Second, 3 * time.Second: 3 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			c := Client{Protocol: CAS2, ValidateURL: "https://cas/", Timeout: timeout,
				Transport: transportFunc(func(r *http.Request) (*http.Response, error) {
					time.Sleep(time.Second) // the connection counts too
					return &http.Response{StatusCode: 200, Header: http.Header{}, Body: drip{r.Context()}}, nil
				})}
			start := time.Now()
			_, err := c.Validate(t.Context(), service, ticket)
			if got := time.Since(start); reasonOf(t, err) != ReasonTimeout || got != want {
				t.Errorf("after %v: %v", got, err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(time.Second, cancel)
			if _, err := c.Validate(ctx, service, ticket); reasonOf(t, err) != ReasonCanceled {
				t.Errorf("canceled: %v", err)
			}
		})
	}
}

// A JSP that says ISO-8859-1 in HTTP only is understood.
func TestValidateUsesTheCharsetOfHTTP(t *testing.T) {
	s := casServer(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=ISO-8859-1")
		w.Write(bytes.ReplaceAll([]byte(casUser("h@l@ne")), []byte("@"), []byte{0xe9}))
	})
	c := Client{Protocol: CAS2, ValidateURL: s.URL}
	if answer, err := c.Validate(t.Context(), service, ticket); err != nil || answer.User != "héléne" {
		t.Errorf("%+v, %v", answer, err)
	}
}
