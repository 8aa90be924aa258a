package address

import (
	"net/url"
	"slices"
	"strings"
	"testing"
)

func public(t testing.TB) Origin {
	t.Helper()
	o, err := ParseOrigin("https://pronote.exemple.fr")
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func TestServiceIsTheRequestLessWhatIsOneTime(t *testing.T) {
	for target, want := range map[string]string{
		"/":                                  "/",
		"/pronote/eleve.html":                "/pronote/eleve.html",
		"/pronote/eleve.html?":               "/pronote/eleve.html",
		"/pronote/eleve.html?fd=1":           "/pronote/eleve.html?fd=1",
		"/e?ticket=ST-1":                     "/e",
		"/e?fd=1&ticket=ST-1":                "/e?fd=1",
		"/e?ticket=ST-1&fd=1":                "/e?fd=1",
		"/e?a=1&ticket=ST-1&b=2":             "/e?a=1&b=2",
		"/e?a=1&ticket=ST-1&ticket=ST-2&b=2": "/e?a=1&b=2",
		"/e?ticket=ST-1&ticket=ST-2":         "/e",
		"/e?SAMLart=ST-1":                    "/e",
		"/e?samlART=ST-1&TICKET=x":           "/e",
		"/e?%74icket=ST-1":                   "/e",
		"/e?t%69cke%74=ST-1&x":               "/e?x",
		"/e?SAML%61rt=1":                     "/e",
		"/e?identifiant=9W7u2z7V5ZfJxYrV":    "/e",
		"/e?fd=1&Identifiant=x":              "/e?fd=1",
		"/e?ticket":                          "/e",
		"/e?ticket=":                         "/e",
		"/e?ticket=a=b":                      "/e",
		"/e?xticket=1":                       "/e?xticket=1",
		"/e?ticket2=1":                       "/e?ticket2=1",
		"/e?ticket%20=1":                     "/e?ticket%20=1",
		"/e?a=ticket=1":                      "/e?a=ticket=1",
		"/e?a=1&":                            "/e?a=1",
		"/e?a=1&&&":                          "/e?a=1",
		"/e?a=1&&ticket=x":                   "/e?a=1",
		"/e?&ticket=x":                       "/e",
		"/e?&":                               "/e",
		"/e?&&a=1&&b":                        "/e?&&a=1&&b",
		"/e?b=2&a=1":                         "/e?b=2&a=1",
		"/e?a=%e9&b=%C3%A9&c=é&d=+%20":       "/e?a=%e9&b=%C3%A9&c=é&d=+%20",
		"/e?%zz=1&ticket%zz=2":               "/e?%zz=1&ticket%zz=2",
		"/e?a=b?":                            "/e?a=b?",
		"/e?a=b?ticket=1":                    "/e?a=b?ticket=1",
		"/e?x#y":                             "/e?x",
		"/e#?ticket=1":                       "/e",
		"/%65leve.html?x=%26ticket%3D1":      "/%65leve.html?x=%26ticket%3D1",
		"//evil.example/x":                   "//evil.example/x",
		"@evil.example":                      "/@evil.example",
		".evil.example/x":                    "/.evil.example/x",
		":8443/x":                            "/:8443/x",
		"https://evil.example/x?ticket=1":    "/https://evil.example/x",
		"":                                   "/",
		"?ticket=1":                          "/",
	} {
		got := public(t).Service(target)
		if got != "https://pronote.exemple.fr"+want {
			t.Errorf("Service(%q) = %q, want …%q", target, got, want)
		}
		if u, err := url.Parse(got); err == nil && u.Host != "pronote.exemple.fr" {
			t.Errorf("Service(%q) = %q leads to %q", target, got, u.Host)
		}
	}
}

// The server adds its ticket to the service; what comes back must make the same
// service again, or every validation is INVALID_SERVICE.
func TestServiceSurvivesTheWayThroughTheServer(t *testing.T) {
	for _, target := range []string{"/", "/e?", "/e?a=1", "/e?a=1&", "/e?&", "/e?&&a", "/e?a=b?", "/e?a=%e9"} {
		service := public(t).Service(target)
		glue := "?"
		if strings.Contains(service, "?") {
			glue = "&"
		}
		back := strings.TrimPrefix(service+glue+"ticket=ST-1-abc", "https://pronote.exemple.fr")
		if again := public(t).Service(back); again != service {
			t.Errorf("%q: logged in for %q, back for %q", target, service, again)
		}
	}
}

func TestTickets(t *testing.T) {
	for query, want := range map[string][]string{
		"":                                  nil,
		"fd=1":                              nil,
		"ticket=ST-1":                       {"ST-1"},
		"a=1&ticket=ST-1&SAMLart=ST-2&b":    {"ST-1", "ST-2"},
		"TICKET=ST-1&%74icket=ST%2D2":       {"ST-1", "ST-2"},
		"ticket":                            {""},
		"ticket=&ticket=x":                  {"", "x"},
		"ticket=a%zz":                       {"a%zz"},
		"ticket=a=b":                        {"a=b"},
		"identifiant=1&xticket=2&ticket2=3": nil,
		"a=1;ticket=ST-1":                   nil,
	} {
		if got := Tickets(query); !slices.Equal(got, want) {
			t.Errorf("Tickets(%q) = %q, want %q", query, got, want)
		}
	}
}

func TestWithoutTicketsLeavesAllElse(t *testing.T) {
	for query, want := range map[string]string{
		"":                            "",
		"a=1&":                        "a=1&",
		"&&":                          "&&",
		"identifiant=x":               "identifiant=x",
		"ticket=1":                    "",
		"a=%e9&ticket=1&identifiant=": "a=%e9&identifiant=",
		"a=1&%54icket=1":              "a=1",
		"a=1&&ticket=1":               "a=1",
		"SAMLart=1&b=2&samlart=3":     "b=2",
	} {
		if got := WithoutTickets(query); got != want {
			t.Errorf("WithoutTickets(%q) = %q, want %q", query, got, want)
		}
	}
}

func TestSame(t *testing.T) {
	const s = "https://pronote.exemple.fr/pronote/eleve.html?fd=1&a=b%20c"
	for _, other := range []string{
		s,
		"HTTPS://PRONOTE.exemple.FR:443/pronote/eleve.html?fd=1&a=b%20c",
		"https://pronote.exemple.fr/pronote/eleve.html?a=b+c&fd=1",
		"https://pronote.exemple.fr/pronote/eleve.html?a=b+c&&fd=%31&",
		"https://pronote.exemple.fr/pronote/%65leve%2Ehtml?fd=1&a=b%20c",
		s + "#fragment",
	} {
		if !Same(s, other) || !Same(other, s) {
			t.Errorf("%q and %q are the same service", s, other)
		}
	}
	for _, other := range []string{
		"",
		"https://pronote.exemple.fr/pronote/eleve.html",
		"https://pronote.exemple.fr/pronote/eleve.html?fd=1",
		"https://pronote.exemple.fr/pronote/eleve.html?fd=1&fd=1&a=b%20c",
		"https://pronote.exemple.fr/pronote/eleve.html?fd=1&a=B%20c",
		"https://pronote.exemple.fr/pronote/eleve.html?fd=1&a=b%2520c",
		"https://pronote.exemple.fr/pronote/eleve.html?fd=1%26a=b%20c",
		"https://pronote.exemple.fr/pronote/Eleve.html?fd=1&a=b%20c",
		"https://pronote.exemple.fr/pronote%2Feleve.html?fd=1&a=b%20c",
		"https://pronote.exemple.fr/pronote/./eleve.html?fd=1&a=b%20c",
		"https://pronote.exemple.fr/pronote/eleve.html/?fd=1&a=b%20c",
		"http://pronote.exemple.fr/pronote/eleve.html?fd=1&a=b%20c",
		"https://pronote.exemple.fr:80/pronote/eleve.html?fd=1&a=b%20c",
		"https://pronote.exemple.fr.evil.com/pronote/eleve.html?fd=1&a=b%20c",
		"https://pronote.exemple.fr@evil.com/pronote/eleve.html?fd=1&a=b%20c",
		"https://x@pronote.exemple.fr/pronote/eleve.html?fd=1&a=b%20c",
	} {
		if Same(s, other) {
			t.Errorf("%q is not %q", other, s)
		}
	}
	if !Same("https://a.fr", "https://A.fr:443/") || !Same("https://a.fr/?", "https://a.fr/") || !Same("https://a.fr/?x", "https://a.fr/?x=") {
		t.Error("an empty path is the root, an empty query is none, an empty value is a value")
	}
	if Same("https://a.fr/%2f", "https://a.fr/") || !Same("https://a.fr/%2f", "https://a.fr/%2F") || !Same("https://a.fr/é", "https://a.fr/é") {
		t.Error("escapes differ by case alone, and an encoded slash is none")
	}
	if Same("not an address", "not an address ") || !Same("not an address", "not an address") {
		t.Error("what is no address is the same as itself only")
	}
}

func TestNothingToStripCostsNothing(t *testing.T) {
	const query = "fd=1&redirect=1&a=%C3%A9"
	if n := testing.AllocsPerRun(100, func() { without(query, oneTime); WithoutTickets(query); Tickets(query) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkService(b *testing.B) {
	o := public(b)
	for name, target := range map[string]string{
		"plain":  "/pronote/eleve.html?fd=1&redirect=1",
		"ticket": "/pronote/eleve.html?fd=1&ticket=ST-6032-olCc0L2yNEBxSe6vKIPW-data4",
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				o.Service(target)
			}
		})
	}
}

// FuzzService: no spelling of a one-time parameter gets into a service, the
// host stays, and a service makes itself again.
func FuzzService(f *testing.F) {
	for _, seed := range []string{
		"/e?fd=1&ticket=ST-1", "/e?%74icket=1&&SAMLart=2", "/?identifiant=x&", "//e?&", "@evil?ticket", "/e?a#ticket=1", "/e?tic\u212aet=1", "/e?ticket%zz",
	} {
		f.Add(seed)
	}
	origin := public(f)
	f.Fuzz(func(t *testing.T, target string) {
		service := origin.Service(target)
		rest, ok := strings.CutPrefix(service, "https://pronote.exemple.fr")
		if !ok || !strings.HasPrefix(rest, "/") {
			t.Fatalf("Service(%q) = %q", target, service)
		}
		if again := origin.Service(rest); again != service {
			t.Fatalf("Service(%q) = %q, and of that %q", target, service, again)
		}
		_, query, found := strings.Cut(rest, "?")
		if found && (query == "" || strings.HasSuffix(query, "&")) {
			t.Fatalf("Service(%q) = %q has a loose end", target, service)
		}
		values, _ := url.ParseQuery(query)
		for name := range values {
			if strings.EqualFold(name, "ticket") || strings.EqualFold(name, "SAMLart") || strings.EqualFold(name, "identifiant") {
				t.Fatalf("Service(%q) = %q holds %q", target, service, name)
			}
		}
		if len(Tickets(query)) > 0 {
			t.Fatalf("Service(%q) = %q holds a ticket", target, service)
		}
		if canonical := Canonical(service); Canonical(canonical) != canonical || !Same(service, canonical) {
			t.Fatalf("Canonical(%q) = %q is not canonical", service, canonical)
		}
	})
}
