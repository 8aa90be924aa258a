package address

import (
	"net/url"
	"slices"
	"strings"
	"testing"
)

func rewriter(t testing.TB) *Rewriter {
	t.Helper()
	r := &Rewriter{Public: public(t), Root: "/pronote/"}
	for _, s := range []string{
		"http://192.168.222.60", "http://192.168.222.60:8088", "http://192.168.222.60:82/Pronote.net/", "http://192.168.222.60:82/pronote.net/cas/",
		"https://srv-pronote.lan", "http://[fd00::60]:8088", "http://pronote.exemple.fr:8088",
	} {
		p, err := ParsePrefix(s)
		if err != nil {
			t.Fatal(err)
		}
		r.Internal = append(r.Internal, p)
	}
	for _, s := range []string{"https://cas.ent-exemple.fr", "https://pronote.exemple.fr"} {
		o, err := ParseOrigin(s)
		if err != nil {
			t.Fatal(err)
		}
		r.CAS = append(r.CAS, o)
	}
	return r
}

func TestPrivateAddressesBecomePublic(t *testing.T) {
	r := rewriter(t)
	for in, want := range map[string]string{
		"http://192.168.222.60/pronote/eleve.html?fd=1#x":  "/pronote/eleve.html?fd=1#x",
		"http://192.168.222.60":                            "",
		"http://192.168.222.60/":                           "/",
		"http://192.168.222.60?x=1":                        "?x=1",
		"http://192.168.222.60:80/a":                       "/a",
		"http://192.168.222.60:080/a":                      "/a",
		"HTTP://192.168.222.60/a":                          "/a",
		"http://192.168.222.60:8088/a%2Fb/%c3?%zz&a=é":     "/a%2Fb/%c3?%zz&a=é",
		"https://SRV-Pronote.LAN:443/x":                    "/x",
		"http://[FD00::60]:8088/x":                         "/x",
		"http://[fd00:0:0::60]:8088/x":                     "/x",
		"//192.168.222.60/x":                               "/x",
		"//192.168.222.60:8088/x":                          "/x",
		"//srv-pronote.lan/x":                              "/x",
		"http://192.168.222.60:82/pronote.net/eleve.html":  "/pronote/eleve.html",
		"http://192.168.222.60:82/PRONOTE.NET/Eleve.html":  "/pronote/Eleve.html",
		"http://192.168.222.60:82/pronote%2Enet/x":         "/pronote/x",
		"http://192.168.222.60:82/pronote.net":             "/pronote/",
		"http://192.168.222.60:82/pronote.net?x":           "/pronote/?x",
		"http://192.168.222.60:82/pronote.net/cas/accueil": "/pronote/accueil",
		"http://192.168.222.60/x?u=http://192.168.222.60/": "/x?u=http://192.168.222.60/",
	} {
		// The longest prefix counts, wherever it stands in the list.
		for range 2 {
			if got, ok := r.URL(in); !ok || got != "https://pronote.exemple.fr"+want {
				t.Errorf("URL(%q) = %q, %v, want …%q", in, got, ok, want)
			}
			slices.Reverse(r.Internal)
		}
	}
}

// Rewritten by text search, each of these would hand somebody else's address
// the public name, or the other way round.
func TestLookalikesAreLeftAlone(t *testing.T) {
	r := rewriter(t)
	for _, in := range []string{
		"", "/", "/pronote/eleve.html", "eleve.html", "?x", "#", "//", "///192.168.222.60/x", "mailto:a@192.168.222.60",
		"http://192.168.222.60.evil.example/x", "http://192.168.222.60./x", "http://192.168.222.600/x", "http://1192.168.222.60/x", "http://192.168.222.60evil/x",
		"http://user@192.168.222.60/x", "http://user:pw@192.168.222.60/x", "http://@192.168.222.60/x", "http://192.168.222.60@evil.example/x", "http://192.168.222.60:80@evil.example/x",
		"http://192.168.222.60:81/x", "http://192.168.222.60:8089/x", "http://192.168.222.60:443/x", "http://192.168.222.60:/x", "http://192.168.222.60:80808/x",
		"https://192.168.222.60/x", "http://srv-pronote.lan/x", "ftp://192.168.222.60/x", "http:192.168.222.60/x", "http:/192.168.222.60/x",
		"http://192.168.222.60:82/", "http://192.168.222.60:82/pronote.network/x", "http://192.168.222.60:82/pronote.ne", "http://192.168.222.60:82/x/pronote.net/", "http://192.168.222.60:82/pronote.net%2Fx",
		"//192.168.222.60:81/x", "//192.168.222.60:82/x", "//evil.example/http://192.168.222.60/",
		"http://evil.example/?u=http://192.168.222.60/x", "http://evil.example/http://192.168.222.60/x", "http://evil.example#http://192.168.222.60/x",
		`http:\\192.168.222.60\x`, `http://192.168.222.60\@evil.example/x`, `http://evil.example\@192.168.222.60/x`, " http://192.168.222.60/x", "http://192.168.222.60\t/x", "http://192.168.222.60 /x", "http://192.168.222.60/\x00", "http://192.168.222.60/%zz",
		"http://3232292412/x", "http://0300.0250.0336.074/x", "http://192.168.222.60%00/x", "http://[::ffff:192.168.222.60]/x", "http://[fd00::60%25eth0]:8088/x",
		"https://pronote.exemple.fr/x",
	} {
		if got, ok := r.URL(in); ok || got != in {
			t.Errorf("URL(%q) = %q, %v, want it left alone", in, got, ok)
		}
	}
	if got, ok := (&Rewriter{}).Header("Location", "http://192.168.222.60/"); ok || got != "http://192.168.222.60/" {
		t.Errorf("the zero Rewriter changes nothing, and not to %q", got)
	}
	bare := &Rewriter{Public: r.Public, Internal: r.Internal}
	if got, _ := bare.URL("http://192.168.222.60:82/pronote.net/.evil.example"); got != "https://pronote.exemple.fr/.evil.example" {
		t.Errorf("without a root the path ran into the host: %q", got)
	}
}

func TestServicesInRedirectsToCASBecomePublic(t *testing.T) {
	r := rewriter(t)
	for in, want := range map[string]string{
		// As PRONOTE encodes it: '/' and '?', but neither ':' nor '='.
		"https://cas.ent-exemple.fr/login?service=http:%2F%2F192.168.222.60:8088%2Fpronote%2Fmobile.eleve.html%3Ffd=1": "https://cas.ent-exemple.fr/login?service=https%3A%2F%2Fpronote.exemple.fr%2Fpronote%2Fmobile.eleve.html%3Ffd%3D1",
		"https://cas.ent-exemple.fr/login?selection=EDU&service=HTTP:%2F%2F192.168.222.60%2F&x=%e9#f":                  "https://cas.ent-exemple.fr/login?selection=EDU&service=https%3A%2F%2Fpronote.exemple.fr%2F&x=%e9#f",
		"https://CAS.ent-exemple.fr:443/login?TARGET=http%3a%2f%2f192.168.222.60%3a80%2fa+b":                           "https://CAS.ent-exemple.fr:443/login?TARGET=https%3A%2F%2Fpronote.exemple.fr%2Fa+b",
		"https://cas.ent-exemple.fr/adfs/ls?wreply=http://192.168.222.60/x":                                            "https://cas.ent-exemple.fr/adfs/ls?wreply=https%3A%2F%2Fpronote.exemple.fr%2Fx",
		"https://cas.ent-exemple.fr/logout?url=http://192.168.222.60/x&service=http://192.168.222.60/y":                "https://cas.ent-exemple.fr/logout?url=https%3A%2F%2Fpronote.exemple.fr%2Fx&service=https%3A%2F%2Fpronote.exemple.fr%2Fy",
		"https://cas.ent-exemple.fr/login?s%65rvice=http://192.168.222.60/x":                                           "https://cas.ent-exemple.fr/login?s%65rvice=https%3A%2F%2Fpronote.exemple.fr%2Fx",
		"https://cas.ent-exemple.fr/login?service=http:%2F%2F192.168.222.60:82%2Fpronote.net%2Fcas%2Fvalidationcas%2F": "https://cas.ent-exemple.fr/login?service=https%3A%2F%2Fpronote.exemple.fr%2Fpronote%2Fvalidationcas%2F",
		// The relay, also where PRONOTE knows it by a private address.
		"https://pronote.exemple.fr/pronote-cas/login?service=http:%2F%2F192.168.222.60%2F": "https://pronote.exemple.fr/pronote-cas/login?service=https%3A%2F%2Fpronote.exemple.fr%2F",
		"http://192.168.222.60/pronote-cas/login?service=http:%2F%2F192.168.222.60%2F":      "https://pronote.exemple.fr/pronote-cas/login?service=https%3A%2F%2Fpronote.exemple.fr%2F",
	} {
		if got, ok := r.Header("Location", in); !ok || got != want {
			t.Errorf("%q\n became %q, %v\n want   %q", in, got, ok, want)
		}
	}
	for _, in := range []string{
		"https://cas.ent-exemple.fr/login",
		"https://cas.ent-exemple.fr/login?service=https:%2F%2Fpronote.exemple.fr%2Fpronote%2F",
		"https://cas.ent-exemple.fr/login?service=http:%2F%2F192.168.222.60.evil.example%2F",
		"https://cas.ent-exemple.fr/login?service=http:%2F%2F192.168.222.60:81%2F",
		"https://cas.ent-exemple.fr/login?service=http:%2F%2Fu@192.168.222.60%2F",
		"https://cas.ent-exemple.fr/login?service=http:%252F%252F192.168.222.60%252F",
		"https://cas.ent-exemple.fr/login?service=%zz",
		"https://cas.ent-exemple.fr/login?xservice=http:%2F%2F192.168.222.60%2F",
		"https://cas.ent-exemple.fr.evil.example/login?service=http:%2F%2F192.168.222.60%2F",
		"https://u@cas.ent-exemple.fr/login?service=http:%2F%2F192.168.222.60%2F",
		"http://cas.ent-exemple.fr/login?service=http:%2F%2F192.168.222.60%2F",
		"https://other.example/login?service=http:%2F%2F192.168.222.60%2F",
		"https://cas.ent-exemple.fr/login#?service=http:%2F%2F192.168.222.60%2F",
	} {
		if got, ok := r.Header("Location", in); ok || got != in {
			t.Errorf("%q became %q", in, got)
		}
	}
}

func TestHeaders(t *testing.T) {
	const private, open = "http://192.168.222.60/a", "https://pronote.exemple.fr/a"
	tests := []struct{ name, value, want string }{
		{"location", private, open},
		{"Content-Location", private, open},
		{"Refresh", "5; url=" + private, "5; url=" + open},
		{"refresh", "0;URL='" + private + "'", "0;URL='" + open + "'"},
		{"Refresh", `1.5 , url = "` + private + `" ; x`, `1.5 , url = "` + open + `" ; x`},
		{"Refresh", "5;" + private, "5;" + open},
		{"Refresh", "5 " + private, "5 " + open},
		{"Refresh", `5; url="` + private, `5; url="` + open},
		{"Refresh", "0; url=https://cas.ent-exemple.fr/login?service=http:%2F%2F192.168.222.60%2Fa", "0; url=https://cas.ent-exemple.fr/login?service=https%3A%2F%2Fpronote.exemple.fr%2Fa"},
		{"Refresh", "5", "5"},
		{"Refresh", "", ""},
		{"Refresh", "5; url=", "5; url="},
		{"Refresh", "5; url=/x", "5; url=/x"},
		{"Link", "<" + private + ">; rel=next", "<" + open + ">; rel=next"},
		{"Link", `<` + private + `>; rel="next"; title="<` + private + `>, \"<x>", </b>;rel=prev , <` + private + `>`,
			`<` + open + `>; rel="next"; title="<` + private + `>, \"<x>", </b>;rel=prev , <` + open + `>`},
		{"Link", "<" + private, "<" + private},
		{"Link", private, private},
		{"Link", `"\`, `"\`},
		{"Set-Cookie", "s=1; Path=/; Domain=192.168.222.60; HttpOnly", "s=1; Path=/; Domain=pronote.exemple.fr; HttpOnly"},
		{"set-cookie", "s=1;domain=.SRV-pronote.lan", "s=1;domain=pronote.exemple.fr"},
		{"Set-Cookie", "s=1; Domain=192.168.222.60; domain=srv-pronote.lan", "s=1; Domain=pronote.exemple.fr; domain=pronote.exemple.fr"},
		{"Set-Cookie", "Domain=192.168.222.60", "Domain=192.168.222.60"},
		{"Set-Cookie", "s=192.168.222.60; Path=/192.168.222.60", "s=192.168.222.60; Path=/192.168.222.60"},
		{"Set-Cookie", "s=1; Domain=Pronote.exemple.fr", "s=1; Domain=Pronote.exemple.fr"},
		{"Set-Cookie", "s=1; Domain=x192.168.222.60", "s=1; Domain=x192.168.222.60"},
		{"Set-Cookie", "s=1; Domain=lan", "s=1; Domain=lan"},
		{"Set-Cookie", "s=1; Domain", "s=1; Domain"},
		{"Set-Cookie", "", ""},
		{"X-Location", private, private},
		{"Server", private, private},
	}
	r := rewriter(t)
	for _, tt := range tests {
		got, ok := r.Header(tt.name, tt.value)
		if got != tt.want || ok != (tt.value != tt.want) {
			t.Errorf("%s: %s\n became %q, %v\n want   %q", tt.name, tt.value, got, ok, tt.want)
		}
	}
}

// FuzzRewrite: what is not private stays byte for byte, and what was rewritten
// reads as an address of the public origin.
func FuzzRewrite(f *testing.F) {
	for _, seed := range []string{
		"http://192.168.222.60/a?b#c", "//192.168.222.60:82/pronote.net/x", "http://192.168.222.60:82/pronote%2enet", "http://u@192.168.222.60/", "https://cas.ent-exemple.fr/login?service=http:%2F%2F192.168.222.60%2F",
		"5; url='http://192.168.222.60'", `<http://192.168.222.60>; a="\"<"`, "s=1; Domain=192.168.222.60", "http://192.168.222.60#%zz", "http://192.168.222.60.evil/",
	} {
		for i := range 5 {
			f.Add(i, seed)
		}
	}
	r := rewriter(f)
	names := []string{"Location", "Content-Location", "Refresh", "Link", "Set-Cookie"}
	f.Fuzz(func(t *testing.T, which int, s string) {
		name := names[uint(which)%uint(len(names))]
		got, changed := r.Header(name, s)
		if changed == (got == s) {
			t.Fatalf("%s %q became %q, changed %v", name, s, got, changed)
		}
		if strings.Count(got, "\n")+strings.Count(got, "\r") > strings.Count(s, "\n")+strings.Count(s, "\r") {
			t.Fatalf("%s %q became %q: a new line", name, s, got)
		}
		if again, ok := r.Header(name, got); ok && name != "Refresh" {
			t.Fatalf("%s %q became %q, and that %q", name, s, got, again)
		}

		rewritten, private := r.URL(s)
		u, err := url.Parse(s)
		named := err == nil && u.User == nil && slices.ContainsFunc(r.Internal, func(p Prefix) bool { return p.Names(u.Host) })
		switch {
		case private && !named:
			t.Fatalf("%q names nothing private, and became %q", s, rewritten)
		case !private && rewritten != s:
			t.Fatalf("%q became %q unsaid", s, rewritten)
		case private:
			after, err := url.Parse(rewritten)
			if err != nil || after.Scheme != "https" || after.Host != "pronote.exemple.fr" || after.User != nil {
				t.Fatalf("%q became %q: %v", s, rewritten, err)
			}
			if after.RawQuery != u.RawQuery || after.Fragment != u.Fragment {
				t.Fatalf("%q became %q: query or fragment changed", s, rewritten)
			}
		}
	})
}
