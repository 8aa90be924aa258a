package caddymodule

import (
	"context"
	"net"
	"net/http"
	"net/url"
	"testing"

	"github.com/pronote-cas/caddy-pronote-cas/casauth/pronotetest"
)

// onEspace serves an Espace with one handler and the first page as usual.
func onEspace(h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/eleve.html" {
			h(w, r)
			return
		}
		pronotePage(w, r)
	}
}

const private = "http://192.168.222.60:82"

// toLogin is a redirect to a login, as PRONOTE writes it: ':' and '=' stay raw.
func toLogin(cas, service string) http.HandlerFunc {
	return leading(cas + "/login?service=" + url.PathEscape(service))
}

func TestCheckPronote(t *testing.T) {
	ent := "http://127.0.0.1:9/cas" // which the pages alone name
	atENT := func(lines ...func(*Handler)) func(*Handler) {
		return func(h *Handler) {
			h.LoginURL = ent + "/login"
			for _, line := range lines {
				line(h)
			}
		}
	}
	relay := public + "/pronote-cas"
	for _, s := range []scene{
		{name: "there", step: "pronote", result: good, reason: "pronote"},
		{name: "no reverse_proxy", edit: func(c *checker) { c.upstreams = nil }, step: "pronote", result: doubtful, reason: "pronote_nowhere", says: map[language]string{en: "reverse_proxy"}},
		{name: "down", edit: func(c *checker) { c.upstreams = []string{"127.0.0.1:1"} }, step: "pronote", result: bad, reason: "pronote_refused", says: map[language]string{fr: "publiez PRONOTE.net"}},
		{name: "no such name", edit: func(c *checker) {
			c.upstreams = []string{"pronote.invalid:80"}
			c.transports["pronote.invalid:80"] = unnamed{}
		},
			step: "pronote", result: bad, reason: "pronote_name", says: map[language]string{en: "IP address"}},
		{name: "suspended", pronote: answering(200, "<title>PRONOTE</title>Votre adresse IP est provisoirement suspendue."), step: "pronote", result: bad, reason: "pronote_suspended", says: map[language]string{en: "adresses IP privilégiées", fr: "adresses IP privilégiées"}},
		{name: "old MSXML", pronote: answering(200, `<p>Méthode inconnue. //*[name()="Response"]</p>`), step: "pronote", result: bad, reason: "pronote_msxml", says: map[language]string{en: "MSXML 6"}},
		{name: "not published", pronote: answering(503, "HTTP Error 503"), step: "pronote", result: bad, reason: "pronote_unpublished", says: map[language]string{fr: "Publier"}},
		{name: "not available", pronote: answering(200, "<p>Le site n&#39;est pas disponible</p>"), step: "pronote", result: bad, reason: "pronote_unpublished"},
		{name: "name not reserved", pronote: answering(400, "<h2>Bad Request - Invalid Hostname</h2>"), step: "pronote", result: bad, reason: "pronote_host", says: map[language]string{en: "header_up Host"}},
		{name: "https", pronote: answering(400, "Client sent an HTTP request to an HTTPS server."), step: "pronote", result: bad, reason: "pronote_tls", says: map[language]string{en: "reverse_proxy https://"}},
		{name: "another root", pronote: answering(404, ""), step: "pronote", result: bad, reason: "pronote_root", says: map[language]string{en: "/pronote/", fr: "/pronote/"}},
		{name: "error", pronote: answering(500, ""), step: "pronote", result: bad, reason: "pronote_error"},
		{name: "forbidden", pronote: answering(403, ""), step: "pronote", result: bad, reason: "pronote_forbidden", says: map[language]string{fr: "adresses IP privilégiées"}},
		{name: "something else", pronote: answering(200, "<title>Welcome to nginx!</title>"), step: "pronote", result: doubtful, reason: "pronote_other", says: map[language]string{en: "root (/)"}},

		{name: "its own login", step: "pronote_redirect", result: good, reason: "redirect_own_login"},
		{name: "the relay waits", site: withRelay(), step: "pronote_redirect", result: doubtful, reason: "redirect_none", says: map[language]string{en: relay, fr: relay}},
		{name: "relay", site: withRelay(internal(private)), pronote: onEspace(toLogin(relay, private+"/eleve.html")), step: "pronote_redirect", result: good, reason: "redirect_relay"},
		{name: "relay, private address not named", site: withRelay(), pronote: onEspace(toLogin(relay, private+"/eleve.html")),
			step: "pronote_redirect", result: bad, reason: "redirect_service_unknown", says: map[language]string{en: "internal_url " + private, fr: "URL publique"}},
		{name: "relay, no service", site: withRelay(), pronote: onEspace(leading(relay + "/login")), step: "pronote_redirect", result: bad, reason: "redirect_no_service"},
		{name: "relay that is off", pronote: onEspace(toLogin(relay, public+"/eleve.html")), step: "pronote_redirect", result: bad, reason: "redirect_no_relay", says: map[language]string{en: "relay { }"}},
		{name: "ENT, though the relay is on", site: atENT(withRelay()), pronote: onEspace(toLogin(ent, public+"/eleve.html")),
			step: "pronote_redirect", result: bad, reason: "redirect_ent", says: map[language]string{en: "relay { forward }", fr: relay}},
		{name: "ENT, forwarded", site: atENT(withRelay(internal(private), func(h *Handler) { h.Relay.Forward = true })), pronote: onEspace(toLogin(ent, private+"/eleve.html")),
			step: "pronote_redirect", result: good, reason: "redirect_delegated"},
		{name: "ENT", site: atENT(), pronote: onEspace(toLogin(ent, public+"/eleve.html")), step: "pronote_redirect", result: good, reason: "redirect_delegated"},
		{name: "another ENT than the gate's", site: atENT(), pronote: onEspace(toLogin("https://cas.autre.exemple.fr", public+"/eleve.html")),
			step: "pronote_redirect", result: doubtful, reason: "redirect_elsewhere", says: map[language]string{fr: "cas.autre.exemple.fr"}},
		{name: "ENT, private address", site: atENT(), pronote: onEspace(toLogin(ent, private+"/eleve.html")),
			step: "pronote_redirect", result: bad, reason: "redirect_private_service", says: map[language]string{en: "internal_url " + private, fr: "URL publique"}},
		{name: "ENT, one half mended", site: atENT(internal(private)), pronote: onEspace(toLogin(ent, private+"/eleve.html")),
			step: "pronote_redirect", result: bad, reason: "redirect_half", says: map[language]string{en: "relay { }", fr: "URL publique"}},
		{name: "private address", pronote: onEspace(leading("http://10.1.2.3:8088/mobile.eleve.html")), step: "pronote_redirect", result: bad, reason: "redirect_private", says: map[language]string{en: "internal_url http://10.1.2.3:8088"}},
		{name: "private name", pronote: onEspace(leading("http://srv-pronote/mobile.eleve.html")), step: "pronote_redirect", result: bad, reason: "redirect_private"},
		{name: "private address that is named", site: internal("http://10.1.2.3:8088"), pronote: onEspace(leading("http://10.1.2.3:8088/mobile.eleve.html")), step: "pronote_redirect", result: good, reason: "redirect_inside"},
		{name: "elsewhere", pronote: onEspace(leading("https://www.exemple.fr/")), step: "pronote_redirect", result: doubtful, reason: "redirect_elsewhere", says: map[language]string{en: "www.exemple.fr"}},

		{name: "app", pronote: onDiscovery(`{"CAS":{"actif":true,"casURL":"https://cas.ent-exemple.fr"},"espaces":[]}`), step: "pronote_app", result: good, reason: "app"},
		{name: "app, private address", pronote: onDiscovery(`{"CAS":{"actif":true,"casURL":"http:\/\/192.168.222.60:82\/x"},"espaces":[]}`), step: "pronote_app", result: bad, reason: "app_private", says: map[language]string{fr: "URL publique", en: "http://192.168.222.60:82"}},
		{name: "app, which the relay mends", site: withRelay(internal(private)), pronote: onDiscovery(`{"CAS":{"actif":true,"casURL":"` + private + `"},"espaces":[]}`), step: "pronote_app", result: good, reason: "app"},

		{name: "around", edit: alsoAt("pronote.example.fr:80", pronotePage), step: "pronote_around", result: bad, reason: "around", says: map[language]string{en: "http://pronote.example.fr/", fr: "pare-feu"}},
		{name: "around, delegating", edit: alsoAt("pronote.example.fr:80", onRoot(toLogin(ent, public+"/"))), step: "pronote_around", result: bad, reason: "around"},
		{name: "the school's own site", edit: alsoAt("pronote.example.fr:80", answering(200, `<title>Collège</title><a>PRONOTE</a>`)), step: "pronote_around", result: good, reason: "around_closed"},
		{name: "Caddy's redirect to https", edit: alsoAt("pronote.example.fr:80", leading(public+"/")), step: "pronote_around", result: good, reason: "around_closed"},
		{name: "public address", edit: func(c *checker) { c.upstreams = []string{"192.0.2.60:80"}; c.transports["192.0.2.60:80"] = unnamed{} },
			step: "pronote_around", result: doubtful, reason: "around_public", says: map[language]string{en: "firewall"}},
	} {
		t.Run(s.name, s.test)
	}
}

// unnamed is a way to an upstream whose name is not found.
type unnamed struct{}

func (unnamed) RoundTrip(*http.Request) (*http.Response, error) {
	return nil, &net.DNSError{Err: "no such host", IsNotFound: true}
}

func onDiscovery(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/InfoMobileApp.json" {
			answering(200, body)(w, r)
			return
		}
		pronotePage(w, r)
	}
}

func onRoot(h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/" {
			http.NotFound(w, r)
			return
		}
		h(w, r)
	}
}

// alsoAt lets something answer at a public address, beside Caddy.
func alsoAt(address string, h http.HandlerFunc) func(*checker) {
	return func(c *checker) {
		other := c.front.DialContext
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			panic(err)
		}
		server := &http.Server{Handler: h}
		go func() { _ = server.Serve(listener) }() // until the test's process ends
		c.front.DialContext = func(ctx context.Context, network, to string) (net.Conn, error) {
			if to == address {
				return new(net.Dialer).DialContext(ctx, network, listener.Addr().String())
			}
			return other(ctx, network, to)
		}
	}
}

// PRONOTE.net of 2011 serves pages on one port and CAS on another, which has no
// first page.
func TestCheckLegacyListener(t *testing.T) {
	s := scene{step: "pronote"}
	legacy := pronotetest.StartLegacy(t, pronotetest.LegacyConfig{Config: pronotetest.Config{CAS: &pronotetest.CAS{URL: public + "/pronote-cas"}}})
	s.site = withRelay(internal(legacy.ListenerURL))
	s.edit = func(c *checker) { c.upstreams = []string{host(legacy.URL), host(legacy.ListenerURL)} }
	for about, reason := range map[string]string{host(legacy.URL): "pronote", host(legacy.ListenerURL): "pronote_listener"} {
		s.about, s.result, s.reason = about, good, reason
		s.test(t)
	}
	s.step, s.reason = "pronote_redirect", "redirect_relay"
	s.test(t) // the listener's own test
}

func TestCheckRelay(t *testing.T) {
	from := func(addresses ...string) func(*Handler) {
		return withRelay(func(h *Handler) { h.Relay.AllowFrom = addresses })
	}
	for _, s := range []scene{
		{name: "callers", site: withRelay(), step: "relay_callers", result: good, reason: "callers"},
		{name: "PRONOTE is not among the callers", site: from("192.168.222.60"), edit: func(c *checker) { c.upstreams = []string{"10.9.8.7:80"}; c.transports["10.9.8.7:80"] = unnamed{} },
			step: "relay_callers", result: bad, reason: "callers_missing", says: map[language]string{en: "allow_from 10.9.8.7", fr: "allow_from 10.9.8.7"}},
		{name: "anybody", site: from("0.0.0.0/0"), step: "relay_callers", result: bad, reason: "callers_anybody", says: map[language]string{en: "no other"}},
		{name: "a name that is not found", site: withRelay(), edit: func(c *checker) {
			c.upstreams = []string{"pronote.invalid:80"}
			c.transports["pronote.invalid:80"] = unnamed{}
		},
			step: "relay_callers", result: doubtful, reason: "callers_unknown"},
		{name: "address", site: from("192.168.222.60"), step: "relay_address", result: good, reason: "relay_guarded"},
		{name: "address taken by something else", site: withRelay(), public: func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/pronote-cas/samlValidate" {
				answering(200, "<title>CAS</title>")(w, r)
				return
			}
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(http.StatusNotFound)
			_, _ = w.Write([]byte(`{"reason":"not_found"}`))
		}, step: "relay_address", result: bad, reason: "relay_missing", says: map[language]string{fr: "/pronote-cas/ avant pronote_cas"}},
		{name: "forward", site: withRelay(func(h *Handler) { h.Relay.Forward = true }), step: "relay_forward", result: good, reason: "forward"},
		{name: "forward, the ENT speaks SAML too", site: withRelay(with("cas3"), func(h *Handler) { h.Relay.Forward = true }), step: "relay_forward", result: good, reason: "forward"},
		{name: "forward, the ENT speaks no SAML", site: withRelay(with("cas3"), func(h *Handler) { h.Relay.Forward = true }), cas: onValidation(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/cas/samlValidate" {
				http.NotFound(w, r)
				return
			}
			answering(200, casRefusal("INVALID_TICKET"))(w, r)
		}), step: "relay_forward", result: doubtful, reason: "forward_no_saml", says: map[language]string{en: "/p3/serviceValidate"}},
	} {
		t.Run(s.name, s.test)
	}
}

func TestCheckPublicSide(t *testing.T) {
	refusing := func(c *checker) {
		c.front = towardsPublic(func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, "127.0.0.1:1")
		}, nil)
	}
	for _, s := range []scene{
		{name: "no such name", site: func(h *Handler) { h.PublicURL = "https://pronote.invalid" }, step: "public_name", result: bad, reason: "public_name", says: map[language]string{en: "DNS", fr: "DNS"}},
		{name: "down", edit: refusing, step: "public_certificate", result: bad, reason: "public_refused", says: map[language]string{fr: "Caddyfile"}},
		{name: "not started yet", edit: func(c *checker) { refusing(c); c.before = true }, step: "public_certificate", result: doubtful, reason: "public_not_running", says: map[language]string{en: "start Caddy", fr: "lancez Caddy"}},
		{name: "gate", step: "public_gate", result: good, reason: "public_gate"},
		{name: "another server", public: answering(200, "<title>IIS Windows</title>"), step: "public_gate", result: bad, reason: "public_other", says: map[language]string{fr: "IIS Windows", en: "port forwarding"}},
		{name: "another server, for now", public: answering(200, "<title>IIS Windows</title>"), edit: func(c *checker) { c.before = true }, step: "public_gate", result: doubtful, reason: "public_other"},
		{name: "moved", public: leading("https://www.exemple.fr/"), step: "public_gate", result: bad, reason: "public_redirects", says: map[language]string{en: "https://www.exemple.fr/"}},

		{name: "http", site: func(h *Handler) { h.PublicURL = "http://pronote.example.fr" }, step: "settings", result: doubtful, reason: "settings_http", says: map[language]string{en: "https://"}},
		{name: "same_site", site: func(h *Handler) { h.Session = &SessionSettings{SameSite: "none"} }, step: "settings", result: doubtful, reason: "settings_same_site"},
		{name: "mobile_app", site: func(h *Handler) { h.MobileApp = "allow" }, step: "settings", result: doubtful, reason: "settings_mobile_app", says: map[language]string{fr: "mobile_app deny"}},
		{name: "direct_login", site: func(h *Handler) { h.DirectLogin = "allow" }, step: "settings", result: doubtful, reason: "settings_direct_login", says: map[language]string{fr: "direct_login deny"}},
		{name: "memory", site: func(h *Handler) { h.Session = &SessionSettings{Store: "memory"} }, step: "settings", result: doubtful, reason: "settings_memory"},
	} {
		t.Run(s.name, s.test)
	}
}
