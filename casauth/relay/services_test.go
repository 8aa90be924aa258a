package relay_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/pronote-cas/caddy-pronote-cas/casauth/relay"
)

func TestAServiceIsSentToItsPublicForm(t *testing.T) {
	s := services(t, "/pronote/", []string{private, "http://10.0.0.5:82/pronote.net/cas", "https://[2001:db8::5]"}, nil)
	for service, want := range map[string]string{
		public + "/pronote/eleve.html":                    public + "/pronote/eleve.html",
		"HTTPS://PRONOTE.College.EXAMPLE:443/pronote/":    public + "/pronote/",
		private + "/pronote/eleve.html?fd=1&x=a:b":        public + "/pronote/eleve.html?fd=1&x=a:b",
		private + "/PRONOTE/Eleve.html":                   public + "/PRONOTE/Eleve.html",
		private + "/PRONOTE/AZ[az.html?~":                 public + "/PRONOTE/AZ[az.html?~",
		private + "/pronote/a%20b.html":                   public + "/pronote/a%20b.html",
		private + "/pronote":                              public + "/pronote",
		private + "/pronote?a=b":                          public + "/pronote?a=b",
		private + "/pronote/eleve.html#page":              public + "/pronote/eleve.html",
		private + "/pronote/eleve.html?":                  public + "/pronote/eleve.html",
		private + "/pronote/eleve.html?fd=1&":             public + "/pronote/eleve.html?fd=1",
		private + "/pronote/%C3%A9l%C3%A8ve.html":         public + "/pronote/%C3%A9l%C3%A8ve.html",
		"http://10.0.0.5:082/pronote.net/cas/accueil/":    public + "/pronote/accueil/",
		"http://10.0.0.5:82/Pronote.NET/cas":              public + "/pronote/",
		"https://[2001:DB8:0::5]:443/pronote/eleve.html":  public + "/pronote/eleve.html",
		private + "/pronote/?ticket=ST-old&a=1":           public + "/pronote/?a=1",
		private + "/pronote/?a=1&SAMLart=x&%74icket=ST-1": public + "/pronote/?a=1",
	} {
		if got, ok := s.Public(service); got != want || !ok {
			t.Errorf("%s\n got %q, %t\nwant %q", service, got, ok, want)
		}
	}
}

// Whoever finds an address that is taken here, and that a browser reads as
// another place, gets tickets of pupils sent there.
func TestNoServiceElsewhere(t *testing.T) {
	s := services(t, "/pronote/", []string{private}, nil)
	for name, service := range map[string]string{
		"nothing":                         "",
		"no scheme":                       "pronote.college.example/pronote/",
		"scheme-relative":                 "//pronote.college.example/pronote/",
		"a path":                          "/pronote/",
		"another host":                    "https://evil.example/pronote/",
		"lookalike, longer at the end":    public + ".evil.example/pronote/",
		"lookalike, longer at the start":  "https://xpronote.college.example/pronote/",
		"lookalike of the private host":   "http://10.0.0.5.evil.example:8088/pronote/",
		"lookalike by letters":            "https://pronote.coIIege.example/pronote/",
		"international letters":           "https://pronote.collège.example/pronote/",
		"full-width letters":              "https://ｐronote.college.example/pronote/",
		"trailing dot":                    "https://pronote.college.example./pronote/",
		"user name":                       "https://user@pronote.college.example/pronote/",
		"host as user name":               "https://pronote.college.example@evil.example/pronote/",
		"host and port as user":           "https://pronote.college.example:443@evil.example/pronote/",
		"user hidden by an encoded slash": "https://pronote.college.example%2Fpronote%2F@evil.example/",
		"backslash before @":              `https://evil.example\@pronote.college.example/pronote/`,
		"backslash for a slash":           `https:\\pronote.college.example\pronote\`,
		"backslash in the path":           public + `/pronote/..\x`,
		"encoded in the host":             "https://pronote%2ecollege.example/pronote/",
		"another scheme":                  "ftp://pronote.college.example/pronote/",
		"script":                          "javascript://pronote.college.example/pronote/%0aalert(1)",
		"script behind a scheme":          "https:javascript://pronote.college.example/pronote/",
		"data":                            "data:text/html,https://pronote.college.example/pronote/",
		"one slash":                       "https:/pronote.college.example/pronote/",
		"three slashes":                   "https:///pronote.college.example/pronote/",
		"no slashes":                      "https:pronote.college.example/pronote/",
		"http for https":                  "http://pronote.college.example/pronote/",
		"https for http":                  "https://10.0.0.5:8088/pronote/",
		"another port":                    public + ":8443/pronote/",
		"the private host without port":   "http://10.0.0.5/pronote/",
		"port 0":                          public + ":0/pronote/",
		"port missing":                    public + ":/pronote/",
		"port too large":                  public + ":65979/pronote/", // 443 modulo 65536
		"number for the private host":     "http://167772165:8088/pronote/",
		"octal for the private host":      "http://012.0.0.5:8088/pronote/",
		"IPv4 in IPv6":                    "http://[::ffff:10.0.0.5]:8088/pronote/",
		"query for a path":                "https://pronote.college.example?/pronote/",
		"fragment for a path":             "https://pronote.college.example#/pronote/",
		"above root":                      public + "/",
		"beside root":                     public + "/pronotes/eleve.html",
		"root without its end":            public + "/pronot",
		"root by a Kelvin sign":           public + "/%E2%84%AAronote/",
		"dot segments":                    public + "/pronote/../admin/",
		"dot segments, encoded":           public + "/pronote/%2e%2E/admin/",
		"dot segments, encoded twice":     public + "/pronote/%252e%252e/admin/",
		"dot segments, blank behind":      public + "/pronote/..%20/admin/",
		"three dots":                      public + "/pronote/.../admin/",
		"a dot":                           public + "/./pronote/",
		"dots at the end":                 public + "/pronote/..",
		"encoded slash":                   public + "/pronote/a%2fb.html",
		"encoded slash after dots":        public + "/pronote/..%2fadmin/",
		"encoded backslash":               public + "/pronote/..%5Cadmin/",
		"encoded question mark":           public + "/pronote/eleve.html%3Fx",
		"encoded number sign":             public + "/pronote/eleve.html%23x",
		"encoded NUL":                     public + "/pronote/eleve.html%00.png",
		"encoded line break":              public + "/pronote/%0d%0aSet-Cookie:a=b",
		"path parameter":                  public + "/pronote/eleve.html;jsessionid=1",
		"two slashes":                     public + "/pronote//eleve.html",
		"two slashes first":               public + "//pronote/eleve.html",
		"invalid percent":                 public + "/pronote/%zz",
		"invalid UTF-8":                   public + "/pronote/%ff",
		"line break":                      public + "/pronote/\r\nSet-Cookie:a=b",
		"tab in the host":                 "https://pronote.college\t.example/pronote/",
		"blank before":                    " " + public + "/pronote/",
		"blank behind":                    public + "/pronote/ ",
		"line break in the query":         public + "/pronote/?a=\r\nSet-Cookie:a=b",
		"tab in the query":                public + "/pronote/?a=\tb",
		"blank in the query":              public + "/pronote/?a= b",
		"backslash in the query":          public + `/pronote/?a=\b`,
		"letter in the query":             public + "/pronote/?a=é",
		"encoded DEL":                     public + "/pronote/a%7F.html",
		"NUL":                             public + "/pronote/\x00",
		"quotation mark":                  public + `/pronote/"><script>`,
		"placeholder":                     public + "/pronote/{env.HOME}",
		"too long":                        public + "/pronote/?" + strings.Repeat("a", relay.MaxService),
		"twice encoded":                   url.QueryEscape(public + "/pronote/"),
	} {
		if got, ok := s.Public(service); ok || got != "" {
			t.Errorf("%s: %q goes to %q", name, service, got)
		}
		if got, ok := s.Destination(relay.Login{Service: service}, "ST-1"); ok || got != "" {
			t.Errorf("%s: %q gets its ticket at %q", name, service, got)
		}
		if s.Same(service, service) {
			t.Errorf("%s: %q is a service", name, service)
		}
	}
}

// Below / everything is PRONOTE's, but a path that cannot be read is no path.
func TestNoPathThatCanBeReadInTwoWaysBelowTheRootOfTheHost(t *testing.T) {
	s := services(t, "/", []string{private}, nil)
	for _, path := range []string{"/%2e%2e/", "/a%2fb", "/a;b", "//evil.example/", "/%zz", "/%ff", "/a%5Cb", "/a%00", "/pronote/..", "/."} {
		for _, origin := range []string{public, private} {
			if got, ok := s.Public(origin + path); ok || got != "" {
				t.Errorf("%s goes to %s", origin+path, got)
			}
		}
	}
}

// A ticket on its way to our own logout would log the person out, by a link.
func TestOurOwnPathsAreNoService(t *testing.T) {
	s := services(t, "/", []string{private, "http://10.0.0.5:82/cas/"}, nil)
	for _, path := range []string{"/pronote-cas", "/pronote-cas/logout", "/Pronote-CAS/logout", "/%70ronote-cas/logout", "/pronote-cas?x"} {
		for _, origin := range []string{public, private, "http://10.0.0.5:82/cas"} {
			if got, ok := s.Public(origin + path); ok {
				t.Errorf("%s goes to %s", origin+path, got)
			}
		}
	}
	if _, ok := s.Public(public + "/pronote-cases/"); !ok {
		t.Error("a path that only begins alike is PRONOTE's")
	}
}

func TestWrittenServicesAreTheOnlyOnes(t *testing.T) {
	s := services(t, "/pronote/", []string{private, "http://10.0.0.5:82"}, []string{public + "/pronote/", "http://10.0.0.5:82/pronote.net/cas/"})
	for service, want := range map[string]bool{
		public + "/pronote/eleve.html":                  true,
		"http://10.0.0.5:82/pronote.net/cas/validation": true,
		"http://10.0.0.5:82/pronote/":                   false,
		private + "/pronote/":                           false,
	} {
		if _, ok := s.Public(service); ok != want {
			t.Errorf("%s: %t, want %t", service, ok, want)
		}
	}
}

// Without a public form the browser would be sent to the address as it is
// written: a private one.
func TestAServiceWithoutAPublicAddressIsRefused(t *testing.T) {
	for _, service := range []string{"http://10.0.0.6/pronote/", "http://10.0.0.5:82/other/", "https://pronote.example/x/"} {
		_, err := relay.NewServices(origin(t, public), "/pronote/", prefixes(t, private, "http://10.0.0.5:82/pronote.net/"), prefixes(t, service))
		if err == nil || !strings.Contains(err.Error(), service) {
			t.Errorf("%s: %v", service, err)
		}
	}
}

// To Unicode the Kelvin sign is a capital K.
func TestCaseIsFoldedInASCIIOnly(t *testing.T) {
	s := services(t, "/kiosque/", nil, nil)
	for path, want := range map[string]bool{"/KIOSQUE/": true, "/%4Biosque/": true, "/%E2%84%AAiosque/": false} {
		if got, ok := s.Public(public + path); ok != want {
			t.Errorf("%s: %q, %t", path, got, ok)
		}
	}
}

func TestSameServiceByAnyOfItsNames(t *testing.T) {
	s := services(t, "/", []string{private, "http://10.0.0.5:82"}, nil)
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{eleve, eleve, true},
		{eleve, public + "/eleve.html", true},
		{eleve, "HTTP://10.0.0.5:8088/%65leve.html#x", true},
		{eleve + "?b=2&a=1", public + "/eleve.html?a=1&b=2", true},
		{eleve + "?ticket=ST-1", eleve, true},
		{eleve, private + "/parent.html", false},
		{eleve, eleve + "/", false},
		{eleve, eleve + "?fd=1", false},
		{eleve + "?fd=1", eleve + "?fd=2", false},
		{eleve, "https://evil.example/eleve.html", false},
		{"https://evil.example/", "https://evil.example/", false},
	} {
		if got := s.Same(c.a, c.b); got != c.want {
			t.Errorf("%s and %s: %t", c.a, c.b, got)
		}
		if got := s.Same(c.b, c.a); got != c.want {
			t.Errorf("%s and %s: %t", c.b, c.a, got)
		}
	}
}

// Whatever a service is, the browser is sent to the public origin or nowhere.
func FuzzServices(f *testing.F) {
	for _, seed := range []string{eleve, public + "/pronote/?a=b#c", public + "@evil.example/pronote/", public + "/pronote/%2e%2e/",
		"http://10.0.0.5:82/pronote.net/cas/validationcas/", `https:\\evil.example`, "//evil.example", "https:///x"} {
		f.Add(seed)
	}
	all := services(f, "/pronote/", []string{private, "http://10.0.0.5:82/pronote.net/cas/"}, nil)
	f.Fuzz(func(t *testing.T, service string) {
		got, ok := all.Public(service)
		if !ok {
			return
		}
		u, err := url.Parse(got)
		if err != nil || u.Scheme != "https" || u.Host != "pronote.college.example" || u.User != nil || u.Fragment != "" ||
			!strings.HasPrefix(got, public+"/") || !strings.EqualFold((u.Path + "/")[:9], "/pronote/") || strings.Contains(u.Path, "/../") {
			t.Errorf("%q goes to %q", service, got)
		}
		if strings.ContainsAny(got, "\r\n\t \\") {
			t.Errorf("%q would break the header: %q", service, got)
		}
		if again, ok := all.Public(got); !ok || again != got {
			t.Errorf("%q: the public form %q is public as %q, %t", service, got, again, ok)
		}
		if !all.Same(service, got) || !all.Same(service, service) {
			t.Errorf("%q and its public form are not the same", service)
		}
	})
}
