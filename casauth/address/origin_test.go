package address

import (
	"strings"
	"testing"
)

func TestParseOriginHasOneSpelling(t *testing.T) {
	for in, want := range map[string]string{
		"https://pronote.college-exemple.fr":     "https://pronote.college-exemple.fr",
		"https://pronote.college-exemple.fr/":    "https://pronote.college-exemple.fr",
		"HTTPS://Pronote.College-Exemple.FR:443": "https://pronote.college-exemple.fr",
		"http://pronote.exemple.fr:80/":          "http://pronote.exemple.fr",
		"https://pronote.exemple.fr:8443":        "https://pronote.exemple.fr:8443",
		"https://pronote.exemple.fr:08443":       "https://pronote.exemple.fr:8443",
		"https://pronote.exemple.fr:80":          "https://pronote.exemple.fr:80",
		"http://192.168.222.60:8088":             "http://192.168.222.60:8088",
		"http://srv_pronote":                     "http://srv_pronote",
		"http://2serveur":                        "http://2serveur",
		"https://[::1]":                          "https://[::1]",
		"https://[2001:DB8:0:0:0:0:0:1]:8443":    "https://[2001:db8::1]:8443",
		"https://[2001:db8::1]:443":              "https://[2001:db8::1]",
		"https://pronote.collège-exemple.fr":     "https://pronote.xn--collge-exemple-yjb.fr",
		"https://PRONOTE.COLLÈGE-EXEMPLE.FR":     "https://pronote.xn--collge-exemple-yjb.fr",
		"https://xn--collge-exemple-yjb.fr":      "https://xn--collge-exemple-yjb.fr",
		"https://coll%C3%A8ge-exemple.fr":        "https://xn--collge-exemple-yjb.fr",
		"http://localhost:8080":                  "http://localhost:8080",
	} {
		o, err := ParseOrigin(in)
		if err != nil || o.String() != want {
			t.Errorf("ParseOrigin(%q) = %v, %v, want %s", in, o, err, want)
			continue
		}
		if again, err := ParseOrigin(o.String()); err != nil || again != o {
			t.Errorf("%q does not read its own spelling %s: %v", in, o, err)
		}
	}
}

func TestParseOriginRefusesWhatIsMore(t *testing.T) {
	for in, say := range map[string]string{
		"":                              "https://",
		"pronote.exemple.fr":            "https://",
		"//pronote.exemple.fr":          "https://",
		"ftp://pronote.exemple.fr":      "https://",
		"https:pronote.exemple.fr":      "host",
		"https://":                      "host",
		"https:///x":                    "host",
		"https://:8443":                 "empty",
		"https://pronote.fr/pronote/":   "path",
		"https://pronote.fr//":          "path",
		"https://pronote.fr?x=1":        "query",
		"https://pronote.fr?":           "query",
		"https://pronote.fr/#":          "fragment",
		"https://pronote.fr#x":          "fragment",
		"https://user@pronote.fr":       "user",
		"https://user:pw@pronote.fr":    "user",
		"https://@pronote.fr":           "user",
		"https://pronote.fr:":           "port",
		"https://pronote.fr:0":          "port",
		"https://pronote.fr:65536":      "port",
		"https://pronote.fr:x":          "read",
		"https://pronote.fr:-1":         "read",
		"https://pronote.fr.":           "dot",
		"https://.pronote.fr":           "dot",
		"https://pronote..fr":           "dot",
		"https://pro note.fr":           "read",
		"https://pro*note.fr":           "letters",
		"https://192.168.1":             "IPv4",
		"https://192.168.1.060":         "IPv4",
		"https://192.168.1.256":         "IPv4",
		"https://0x7f.0x1":              "IPv4",
		"https://2130706433":            "IPv4",
		"https://[fe80::1%25eth0]":      "zone",
		"https://[::1":                  "read",
		"https://\u202epronote.fr":      "international",
		"https://pronote.fr\\@evil.com": "read",
		"https://{env.HOST}":            "read",
	} {
		o, err := ParseOrigin(in)
		if err == nil {
			t.Errorf("ParseOrigin(%q) = %v, want an error", in, o)
		} else if !strings.Contains(err.Error(), say) {
			t.Errorf("ParseOrigin(%q): %v, which does not speak of %q", in, err, say)
		} else if strings.Contains(err.Error(), "pw") {
			t.Errorf("ParseOrigin(%q): the error repeats the password: %v", in, err)
		}
	}
}

func TestOriginParts(t *testing.T) {
	o, err := ParseOrigin("http://[2001:db8::1]:8088")
	if err != nil || o.Scheme() != "http" || o.Hostname() != "2001:db8::1" || o.Host() != "[2001:db8::1]:8088" {
		t.Errorf("%v %v: %q %q %q", o, err, o.Scheme(), o.Hostname(), o.Host())
	}
	if (Origin{}).String() != "" || (Origin{}).Names("") || (Origin{}).Names("x") {
		t.Error("the zero Origin is none")
	}
}

func TestLoopback(t *testing.T) {
	for in, want := range map[string]bool{
		"http://localhost":             true,
		"http://LOCALHOST:9000":        true,
		"http://cas.localhost":         true,
		"http://127.0.0.1":             true,
		"http://127.8.9.1:80":          true,
		"http://[::1]":                 true,
		"http://[::ffff:127.0.0.1]":    true,
		"http://localhost.evil.fr":     false,
		"http://xlocalhost":            false,
		"http://127.0.0.1.evil.fr":     false,
		"http://128.0.0.1":             false,
		"http://0.0.0.0":               false,
		"http://[::2]":                 false,
		"http://192.168.222.60":        false,
		"http://127-0-0-1.sslip.io":    false,
		"http://localhost.localdomain": false,
	} {
		if o, err := ParseOrigin(in); err != nil || o.Loopback() != want {
			t.Errorf("%s: %v, %v", in, o.Loopback(), err)
		}
	}
}

func TestNames(t *testing.T) {
	o, err := ParseOrigin("https://pronote.exemple.fr")
	if err != nil {
		t.Fatal(err)
	}
	for host, want := range map[string]bool{
		"pronote.exemple.fr":          true,
		"PRONOTE.exemple.FR:443":      true,
		"pronote.exemple.fr:80":       false,
		"pronote.exemple.fr.":         false,
		"pronote.exemple.fr/":         false,
		"pronote.exemple.fr?":         false,
		"x@pronote.exemple.fr":        false,
		"pronote.exemple.fr.evil.com": false,
		"":                            false,
	} {
		if got := o.Names(host); got != want {
			t.Errorf("Names(%q) = %v", host, got)
		}
	}
}

func TestParsePrefix(t *testing.T) {
	for in, want := range map[string]string{
		"http://192.168.222.60":                 "http://192.168.222.60",
		"http://192.168.222.60:80/":             "http://192.168.222.60",
		"http://192.168.222.60:82/pronote.net":  "http://192.168.222.60:82/pronote.net/",
		"http://192.168.222.60:82/pronote.net/": "http://192.168.222.60:82/pronote.net/",
		"http://srv:8088/a/B/":                  "http://srv:8088/a/B/",
		"http://srv/coll%C3%A8ge":               "http://srv/collège/",
	} {
		if p, err := ParsePrefix(in); err != nil || p.Origin.String()+p.Path != want {
			t.Errorf("ParsePrefix(%q) = %v, %v, want %s", in, p, err, want)
		}
	}
	for _, in := range []string{
		"", "192.168.222.60", "192.168.222.60:80", "http://srv/a?b", "http://srv/a#b", "http://u@srv/", "http://srv/a//b", "http://srv/../b",
		"http://srv/a/.", `http://srv/a\b`, "http://srv/a;b", "http://srv/%2e%2e/a",
	} {
		if p, err := ParsePrefix(in); err == nil {
			t.Errorf("ParsePrefix(%q) = %v, want an error", in, p)
		}
	}
}

// A ticket that travels in clear belongs to whoever listens.
func TestCASEndpointsAreEncryptedUnlessLocal(t *testing.T) {
	for in, want := range map[string]string{
		"https://cas.ent-exemple.fr":           "https://cas.ent-exemple.fr",
		"https://cas.ent-exemple.fr/":          "https://cas.ent-exemple.fr",
		"https://CAS.ent-exemple.fr:443/cas//": "https://cas.ent-exemple.fr/cas",
		"http://localhost:9000/cas/":           "http://localhost:9000/cas",
		"http://127.0.0.1":                     "http://127.0.0.1",
		"http://[::1]:8080/cas":                "http://[::1]:8080/cas",
		"https://cas.fr/a%2Fb":                 "https://cas.fr/a%2Fb",
	} {
		if got, err := ParseBase(in); err != nil || got != want {
			t.Errorf("ParseBase(%q) = %q, %v, want %q", in, got, err, want)
		}
	}
	for in, want := range map[string]string{
		"https://portail.fr/connexion/":      "https://portail.fr/connexion/",
		"https://portail.fr/login?idp=edu":   "https://portail.fr/login?idp=edu",
		"https://Portail.fr:443/Login?A=%3a": "https://portail.fr/Login?A=%3a",
	} {
		if got, err := ParseEndpoint(in); err != nil || got != want {
			t.Errorf("ParseEndpoint(%q) = %q, %v, want %q", in, got, err, want)
		}
	}
	for _, in := range []string{
		"", "cas.fr", "http://cas.fr", "http://192.168.1.1/cas", "http://localhost.evil.fr", "https://u:p@cas.fr", "https://cas.fr/#x", "ftp://localhost", "https://{host}.fr",
	} {
		if got, err := ParseEndpoint(in); err == nil {
			t.Errorf("ParseEndpoint(%q) = %q, want an error", in, got)
		}
	}
	for _, in := range []string{"https://cas.fr/cas?x=1", "https://cas.fr?"} {
		if got, err := ParseBase(in); err == nil {
			t.Errorf("ParseBase(%q) = %q, want an error", in, got)
		}
	}
}
