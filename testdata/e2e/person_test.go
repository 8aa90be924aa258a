package e2e

import (
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"
)

// person is somebody with a browser: keeps cookies, follows redirects, fills in forms.
type person struct {
	t      *testing.T
	client http.Client
}

// page is what a person sees.
type page struct {
	URL    *url.URL // where it is, or for a redirect that was not followed, where it would be
	Status int
	Header http.Header
	Body   string
}

// newPerson has no cookies yet, and stops before a redirect into the origin stop ("" for none).
func newPerson(t *testing.T, stop string) *person {
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	p := &person{t: t}
	p.client = http.Client{
		Jar:       jar,
		Timeout:   30 * time.Second,
		Transport: &http.Transport{}, // no proxy from the environment: loopback only
		CheckRedirect: func(r *http.Request, via []*http.Request) error {
			if stop != "" && strings.HasPrefix(r.URL.String(), stop) {
				return http.ErrUseLastResponse
			}
			if len(via) == 10 {
				return fmt.Errorf("a loop: %d redirects, the last to %s", len(via), r.URL)
			}
			return nil
		},
	}
	t.Cleanup(p.client.CloseIdleConnections)
	return p
}

// open types an address.
func (p *person) open(address string) page {
	p.t.Helper()
	r, err := http.NewRequest(http.MethodGet, address, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	return p.do(r)
}

// submit sends the first form of pg, filled in with the hidden fields as they
// are, and name as both login and password where it asks for them.
func (p *person) submit(pg page, name string) page {
	p.t.Helper()
	method, action, values := form(pg, name)
	if values == nil {
		p.t.Fatalf("no form on %s (%d):\n%s", pg.URL, pg.Status, pg.Body)
	}
	target, err := pg.URL.Parse(action)
	if err != nil {
		p.t.Fatal(err)
	}
	var body io.Reader
	if method == http.MethodPost {
		body = strings.NewReader(values.Encode())
	} else {
		target.RawQuery = values.Encode()
	}
	r, err := http.NewRequest(method, target.String(), body)
	if err != nil {
		p.t.Fatal(err)
	}
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Origin", target.Scheme+"://"+target.Host)
		r.Header.Set("Referer", pg.URL.String())
	}
	return p.do(r)
}

func (p *person) do(r *http.Request) page {
	p.t.Helper()
	r.Header.Set("Accept", "text/html,*/*;q=0.8")
	resp, err := p.client.Do(r)
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		p.t.Fatal(err)
	}
	pg := page{URL: resp.Request.URL, Status: resp.StatusCode, Header: resp.Header, Body: string(body)}
	if to, err := resp.Location(); err == nil {
		pg.URL = to
	}
	return pg
}

// asksForPassword tells a login page from others.
func (pg page) asksForPassword() bool {
	return strings.Contains(pg.Body, `type="password"`)
}

// form reads the first form of a page: its method, action and what it sends.
func form(pg page, name string) (method, action string, values url.Values) {
	root, err := html.Parse(strings.NewReader(pg.Body))
	if err != nil {
		return "", "", nil
	}
	for n := range root.Descendants() {
		if n.Type == html.ElementNode && n.Data == "form" {
			method, action, values = strings.ToUpper(attr(n, "method")), attr(n, "action"), url.Values{}
			if method == "" {
				method = http.MethodGet
			}
			for input := range n.Descendants() {
				if input.Type != html.ElementNode || input.Data != "input" || attr(input, "name") == "" {
					continue
				}
				switch attr(input, "type") {
				case "hidden":
					values.Add(attr(input, "name"), attr(input, "value"))
				case "text", "password", "":
					values.Set(attr(input, "name"), name)
				}
			}
			return method, action, values
		}
	}
	return "", "", nil
}

func attr(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}
