package castest_test

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/pronote-cas/caddy-pronote-cas/casauth/castest"
)

// client is a browser: cookies, and redirects left to the test.
func client(t *testing.T) *http.Client {
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
	return c
}

// login returns the ticket of a login by the form or by SSO.
func login(t *testing.T, s *castest.Server, c *http.Client, query, user string) string {
	t.Helper()
	location, err := s.Login(c, s.URL+"/login"+query, user)
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(location)
	if err != nil {
		t.Fatal(err)
	}
	return firstNonEmpty(u.Query().Get("ticket"), u.Query().Get("SAMLart"))
}

func get(t *testing.T, c *http.Client, address string) (*http.Response, string) {
	t.Helper()
	resp, err := c.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(body)
}

func TestLoginGoesBackToTheServiceAsItCame(t *testing.T) {
	s := castest.Start(t, castest.Options{NewTicket: func() string { return "ST-1" }})
	browser := client(t)
	for _, c := range []struct{ query, want string }{
		{"service=https%3A%2F%2Fp.example%2Feleve.html", "https://p.example/eleve.html?ticket=ST-1"},
		{"service=https:%2F%2Fp.example%2Fmobile.eleve.html%3Ffd=1", "https://p.example/mobile.eleve.html?fd=1&ticket=ST-1"},
		{"service=https%3A%2F%2Fp.example%2F%3F", "https://p.example/?ticket=ST-1"},
		{"service=https%3A%2F%2Fp.example%2F%3Fa%26", "https://p.example/?a&ticket=ST-1"},
		{"service=https%3A%2F%2Fp.example%2F..%2Fa%2F%2Fb%2520c%3Fz%3D1%26a%3D2", "https://p.example/../a//b%20c?z=1&a=2&ticket=ST-1"},
		{"service=https%3A%2F%2Fp.example%2F%23frag", "https://p.example/?ticket=ST-1"},
		{"service=https%3A%2F%2Fp.example%2F%C3%A9", "https://p.example/%C3%A9?ticket=ST-1"},
		{"TARGET=https%3A%2F%2Fp.example%2F", "https://p.example/?SAMLart=ST-1"},
		{"TARGET=https%3A%2F%2Ft.example%2F&service=https%3A%2F%2Fp.example%2F", "https://p.example/?ticket=ST-1"},
		{"method=POST&service=https%3A%2F%2Fp.example%2F", "https://p.example/?ticket=ST-1"},
	} {
		got, err := s.Login(browser, s.URL+"/login?"+c.query, "camille.durand")
		if err != nil || got != c.want {
			t.Errorf("%s: %s, %v; want %s", c.query, got, err, c.want)
		}
	}
	if n := s.Counts(); n.Logins != 1 || n.LoginForms != 1 {
		t.Errorf("%+v: one login was to serve all", n)
	}
}

func TestLoginRefusesServicesOutsideTheList(t *testing.T) {
	s := castest.Start(t, castest.Options{
		Services:     []string{"https://p.example:8443", "https://q.example/pronote/"},
		AllowService: func(service string) bool { return service == "https://one.example/x" },
	})
	open := castest.Start(t, castest.Options{})
	browser := client(t)
	for _, c := range []struct {
		service string
		listed  bool
		anybody bool // by a server without a list
	}{
		{"https://p.example:8443", true, true},
		{"https://p.example:8443/", true, true},
		{"https://p.example:8443?a", true, true},
		{"https://q.example/pronote/eleve.html", true, true},
		{"https://one.example/x", true, true},
		{"https://p.example:84430/", false, true},
		{"https://p.example:8443@evil.example/", false, true},
		{"https://p.example:8443.evil.example/", false, false}, // no port: no URL
		{"https://q.example/pronote", false, true},
		{"http://p.example:8443/", false, true},
		{"javascript:alert(1)", false, false},
		{"//p.example:8443/", false, false},
		{"https://p.example:8443/\r\nX: y", false, false},
		{"ftp://p.example/", false, false},
	} {
		for srv, want := range map[*castest.Server]bool{s: c.listed, open: c.anybody} {
			resp, _ := get(t, browser, srv.URL+"/login?gateway=true&service="+url.QueryEscape(c.service))
			if got := resp.StatusCode == http.StatusFound; got != want {
				t.Errorf("%q: %d, want allowed %v", c.service, resp.StatusCode, want)
			}
			if !want && (resp.StatusCode != http.StatusForbidden || resp.Header.Get("Location") != "") {
				t.Errorf("%q: %d to %q", c.service, resp.StatusCode, resp.Header.Get("Location"))
			}
		}
	}
}

func TestGatewayNeverAsks(t *testing.T) {
	s := castest.Start(t, castest.Options{})
	browser := client(t)
	q := "/login?gateway=true&service=" + url.QueryEscape(service)
	resp, _ := get(t, browser, s.URL+q)
	if got := resp.Header.Get("Location"); got != service {
		t.Errorf("nobody: to %q", got)
	}
	if resp, _ := get(t, browser, s.URL+q+"&renew=true"); resp.StatusCode != http.StatusOK {
		t.Errorf("with renew, gateway is to be ignored: %d", resp.StatusCode)
	}
	login(t, s, browser, "?service="+url.QueryEscape(service), "camille.durand")
	resp, _ = get(t, browser, s.URL+q)
	if got := resp.Header.Get("Location"); !strings.HasPrefix(got, service+"&ticket=ST-") {
		t.Errorf("somebody: to %q", got)
	}
}

func TestTheFormAcceptsPasswordsAndDemoButtons(t *testing.T) {
	s := castest.Start(t, castest.Options{})
	at := s.URL + "/login?service=" + url.QueryEscape(service)
	for name, c := range map[string]struct {
		form url.Values
		want int
	}{
		"password":       {url.Values{"username": {" karim.benali "}, "password": {"demo"}}, http.StatusFound},
		"button":         {url.Values{"as": {"karim.benali"}}, http.StatusFound},
		"wrong password": {url.Values{"username": {"karim.benali"}, "password": {"Demo"}}, http.StatusUnauthorized},
		"empty password": {url.Values{"username": {"karim.benali"}}, http.StatusUnauthorized},
		"nobody":         {url.Values{"username": {"x"}, "password": {"demo"}}, http.StatusUnauthorized},
		"unknown button": {url.Values{"as": {"x"}, "username": {"karim.benali"}, "password": {"demo"}}, http.StatusUnauthorized},
		"nothing":        {url.Values{}, http.StatusUnauthorized},
	} {
		resp, err := client(t).PostForm(at, c.form)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != c.want {
			t.Errorf("%s: %d, want %d", name, resp.StatusCode, c.want)
		}
		if cookies := resp.Cookies(); (len(cookies) == 1) != (c.want == http.StatusFound) {
			t.Errorf("%s: cookies %v", name, cookies)
		}
	}
	if n := s.Counts().Logins; n != 2 {
		t.Errorf("%d logins, want 2", n)
	}
}

func TestTheCookieBelongsToThePrefixOfTheServer(t *testing.T) {
	s := castest.New(castest.Options{})
	defer s.Close()
	for _, c := range []struct {
		path, proto, wantPath string
		wantSecure            bool
	}{
		{"/ent/login", "https", "/ent", true}, {"/login", "", "/", false}, {"/realms/r/protocol/cas/login", "http", "/realms/r/protocol/cas", false},
	} {
		r := httptest.NewRequest(http.MethodPost, c.path, strings.NewReader("as=camille.durand"))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("X-Forwarded-Proto", c.proto)
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		got := w.Result().Cookies()
		if len(got) != 1 || got[0].Path != c.wantPath || got[0].Secure != c.wantSecure || !got[0].HttpOnly || got[0].SameSite != http.SameSiteLaxMode {
			t.Errorf("%s: %v", c.path, got)
		}
	}
}

func TestThePagesAreFrenchScriptlessAndEscaped(t *testing.T) {
	s := castest.Start(t, castest.Options{})
	_, body := get(t, client(t), s.URL+"/login?service="+url.QueryEscape(`https://p.example/"><script>alert(1)</script>?secret=1`))
	for _, want := range []string{
		`<html lang="fr">`, `name="viewport"`, `<label for="username">`, `<label for="password">`, "p.example",
		"Se connecter comme <strong>Camille Durand</strong> (élève)", "Hugo Lefèvre", "&lt;script&gt;",
	} {
		if !strings.Contains(body, want) {
			t.Errorf("no %s in\n%s", want, body)
		}
	}
	if strings.Contains(body, "<script") {
		t.Error("a script in the page")
	}
}

func TestDemoUsersHaveIdentifiersOfPronotesForm(t *testing.T) {
	form := regexp.MustCompile(`^[2-9A-HJKMNP-Z]{16}$`)
	seen := map[string]bool{}
	without := 0
	for _, u := range castest.DemoUsers() {
		for _, name := range []string{"nom", "prenom", "dateNaissance", "categories", "ENTPersonProfils"} {
			if len(u.Attributes[name]) != 1 {
				t.Errorf("%s: %s %v", u.Login, name, u.Attributes[name])
			}
		}
		ids := u.Attributes["idPronote"]
		if len(ids) == 0 {
			without++
			continue
		}
		letters := map[rune]bool{}
		for _, r := range ids[0] {
			letters[r] = true
		}
		if !form.MatchString(ids[0]) || len(letters) != 16 || seen[ids[0]] {
			t.Errorf("%s: %s", u.Login, ids[0])
		}
		seen[ids[0]] = true
	}
	if without != 1 || len(seen) != 3 {
		t.Errorf("%d with an identifier, %d without", len(seen), without)
	}
}
