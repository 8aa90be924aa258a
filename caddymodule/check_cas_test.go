package caddymodule

import (
	"fmt"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/pronote-cas/caddy-pronote-cas/casauth/castest"
)

// What a school reads of its ENT's CAS server: the reason, and the cure or the
// sentence that goes with it.
func TestCheckCASServer(t *testing.T) {
	home := public + "/"
	declare := map[language]string{"ENT": "toutes les adresses qui commencent par " + home}
	for _, s := range []scene{
		{name: "no such name", site: func(h *Handler) { h.CASURL = "https://cas.ent-exemple.invalid" },
			step: "cas_name", result: bad, reason: "cas_name", says: map[language]string{en: "cas_url", fr: "nslookup cas.ent-exemple.invalid"}},
		{name: "down", site: func(h *Handler) { h.CASURL = "http://127.0.0.1:1" },
			step: "cas_certificate", result: bad, reason: "cas_refused", says: map[language]string{en: "cas_url", "ENT": "refuse les connexions"}},
		{name: "https at a port for http", site: func(h *Handler) { h.CASURL = "https" + h.CASURL[len("http"):] },
			step: "cas_certificate", result: bad, reason: "cas_no_tls", says: map[language]string{en: "port", fr: "port"}},

		{name: "by a proxy", edit: func(c *checker) { c.client.Proxy = deadProxy }, step: "cas_name", result: good, reason: "cas_proxy", says: map[language]string{en: "127.0.0.1:1 (HTTPS_PROXY)"}},
		{name: "by a proxy that leads nowhere", casCert: new(certificateOf), edit: func(c *checker) { c.client.Proxy = deadProxy },
			step: "cas_certificate", result: bad, reason: "cas_proxy_error", says: map[language]string{en: "NO_PROXY", fr: "127.0.0.1:1"}},

		{name: "clock ahead, SAML", site: with("saml11"), shape: castest.Shape{Skew: 90 * time.Second},
			step: "cas_clock", result: bad, reason: "clock_ahead", says: map[language]string{en: "timedatectl", "ENT": "en avance de 9"}},
		{name: "clock behind, SAML", site: with("saml11"), shape: castest.Shape{Skew: -5 * time.Minute},
			step: "cas_clock", result: bad, reason: "clock_behind", says: map[language]string{fr: "à l’heure", "ENT": "en retard de"}},
		{name: "clock behind, no SAML", site: with("cas3"), shape: castest.Shape{Skew: -5 * time.Minute},
			step: "cas_clock", result: doubtful, reason: "clock_behind"},
		{name: "clock a little ahead", shape: castest.Shape{Skew: 15 * time.Second}, step: "cas_clock", result: doubtful, reason: "clock_ahead"},
		{name: "clock right", shape: castest.Shape{Skew: 2 * time.Second}, step: "cas_clock", result: good, reason: "clock"},

		{name: "login page", step: "cas_login", result: good, reason: "login_form"},
		{name: "service not declared", ent: castest.Options{Services: []string{"https://www.exemple.fr/"}},
			step: "cas_login", result: bad, reason: "login_service", says: declare},
		{name: "service not declared, as Apereo says it", cas: onLogin(answering(200, "<title>CAS</title><form><h2>Application Not Authorized to Use CAS</h2>")),
			step: "cas_login", result: bad, reason: "login_service", says: declare},
		{name: "service not declared, as Apereo says it in French", cas: onLogin(answering(200, "<p>L&#39;application que vous tentez d'utiliser n’est pas autorisée.</p>")),
			step: "cas_login", result: bad, reason: "login_service", says: declare},
		{name: "what the ENT says is quoted to the end of its word", ent: castest.Options{Services: []string{"https://www.exemple.fr/"}},
			step: "cas_login", result: bad, reason: "login_service", says: map[language]string{fr: "application non autorisée »", "ENT": "application non autorisée »"}},
		{name: "service not declared, as django-cas-server says it", cas: onLogin(answering(200, "<form><p>Service https://pronote.example.fr/ not allowed</p><input type=password>")),
			step: "cas_login", result: bad, reason: "login_service", says: declare},
		{name: "service not declared, as Edifice says it", cas: onLogin(answering(400, "INVALID_SERVICE")),
			step: "cas_login", result: bad, reason: "login_service", says: declare},
		{name: "a script that knows the words is no refusal", cas: onLogin(answering(200, "<form><script>texts = {e: 'INVALID_SERVICE'}</script>")),
			step: "cas_login", result: good, reason: "login_form"},
		{name: "only the first address is declared", ent: castest.Options{AllowService: func(s string) bool { return s == home }},
			step: "cas_login", about: home + "eleve.html", result: bad, reason: "service_below", says: map[language]string{en: "service_url " + home, "ENT": "mais pas " + home + "eleve.html"}},
		{name: "one service for all", site: func(h *Handler) { h.ServiceURL = home }, ent: castest.Options{Services: []string{"https://www.exemple.fr/"}},
			step: "cas_login", result: bad, reason: "login_service", says: map[language]string{"ENT": "exactement l’adresse " + home}},
		{name: "relay beside the root", site: withRelay(func(h *Handler) { h.Root = "/pronote/" }), ent: castest.Options{Services: []string{home + "pronote/"}},
			step: "cas_login", about: home + "pronote-cas/login?service=https%3A%2F%2Fpronote.example.fr%2Fpronote%2F", result: bad, reason: "service_below", says: declare},

		{name: "no login page", cas: onLogin(answering(404, "<h1>Not Found</h1>")), step: "cas_login", result: bad, reason: "login_missing", says: map[language]string{en: "/cas", fr: "/cas"}},
		{name: "maintenance", cas: onLogin(answering(503, "<title>Maintenance</title>")), step: "cas_login", result: bad, reason: "login_down", says: map[language]string{fr: "Maintenance", "ENT": "503"}},
		{name: "no form", cas: onLogin(answering(200, "<title>Qui êtes-vous ?</title>")), step: "cas_login", result: doubtful, reason: "login_no_form", says: map[language]string{en: "--login"}},
		{name: "teapot", cas: onLogin(answering(418, "")), step: "cas_login", result: bad, reason: "login_odd", says: map[language]string{en: "login_param"}},
		{name: "single sign-on", cas: onLogin(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Query().Get("wayf") == "" {
				leading("/login?wayf=1")(w, r)
				return
			}
			answering(200, "<form>")(w, r)
		}), step: "cas_login", result: good, reason: "login_form"},
		{name: "from page to page", cas: onLogin(func(w http.ResponseWriter, r *http.Request) {
			leading(fmt.Sprintf("/login?again=%s1", r.URL.Query().Get("again")))(w, r)
		}), step: "cas_login", result: good, reason: "login_leads_on"},
		{name: "back without a login", cas: onLogin(leading(home)), step: "cas_login", result: doubtful, reason: "login_comes_back", says: map[language]string{en: "gateway"}},
		{name: "a ticket for nobody", cas: onLogin(leading(home + "?ticket=ST-1-abc")), step: "cas_login", result: bad, reason: "login_gives_tickets", says: map[language]string{"ENT": "sans mot de passe"}},
		{name: "passwords in clear", cas: onLogin(leading("http://sso.exemple.fr/login")), step: "cas_login", result: bad, reason: "login_plain", says: map[language]string{"ENT": "sso.exemple.fr"}},
	} {
		t.Run(s.name, s.test)
	}
}

func deadProxy(*http.Request) (*url.URL, error) { return url.Parse("http://127.0.0.1:1") }

const samlRefusal = `<SOAP-ENV:Envelope xmlns:SOAP-ENV="http://schemas.xmlsoap.org/soap/envelope/"><SOAP-ENV:Body>%s</SOAP-ENV:Body></SOAP-ENV:Envelope>`

func TestCheckMadeUpTicket(t *testing.T) {
	home := public + "/"
	cas3 := with("cas3")
	declare := map[language]string{"ENT": "toutes les adresses qui commencent par " + home}
	for _, s := range []scene{
		{name: "SAML", result: good, reason: "ticket_refused", says: map[language]string{en: "probably", fr: "sans doute"}},
		{name: "CAS 3", site: cas3, result: good, reason: "ticket_refused", says: map[language]string{en: "INVALID_TICKET"}},
		{name: "CAS 1", site: with("cas1"), result: good, reason: "ticket_no"},
		{name: "service not declared", site: cas3, ent: castest.Options{Services: []string{"https://www.exemple.fr/"}}, result: bad, reason: "ticket_service", says: declare},
		{name: "service not declared, SAML", ent: castest.Options{Services: []string{"https://www.exemple.fr/"}}, result: bad, reason: "ticket_service", says: declare},
		{name: "service not declared, 403", site: cas3, cas: onValidation(answering(403, casRefusal("UNAUTHORIZED_SERVICE"))), result: bad, reason: "ticket_service", says: declare},
		{name: "only the first address is declared", site: cas3, ent: castest.Options{AllowService: func(s string) bool { return s == home }},
			about: home + "eleve.html", result: bad, reason: "service_below", says: map[language]string{fr: "service_url " + home}},
		{name: "refused at the login already", site: cas3, cas: func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/cas/login" {
				answering(403, "<title>Application non autorisée</title>")(w, r)
				return
			}
			answering(200, casRefusal("INVALID_TICKET"))(w, r)
		}, result: good, reason: "ticket_no"},
		{name: "accepted", cas: onValidation(answering(200, "yes\nanybody\n")), site: with("cas1"), result: bad, reason: "ticket_accepted", says: map[language]string{en: "STOP", fr: "ARRÊTEZ", "ENT": "faille grave"}},
		{name: "another protocol", cas: onValidation(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/cas/serviceValidate" {
				answering(404, "<h1>Not Found</h1>")(w, r)
				return
			}
			answering(200, casRefusal("INVALID_TICKET"))(w, r)
		}), result: bad, reason: "ticket_other_protocol", says: map[language]string{en: "protocol cas2", fr: "protocol cas2"}},
		{name: "a web page", cas: onValidation(answering(200, "<!DOCTYPE html><html><title>Portail captif</title></html>")), result: bad, reason: "ticket_html", says: map[language]string{en: "validate_url", "ENT": "Portail captif"}},
		{name: "nothing there", cas: onValidation(answering(404, "")), result: bad, reason: "ticket_missing", says: map[language]string{fr: "protocol cas3", "ENT": "404"}},
		{name: "forbidden", cas: onValidation(answering(403, "<title>Access denied</title>")), result: bad, reason: "ticket_forbidden", says: map[language]string{"ENT": "adresse IP"}},
		{name: "maintenance", fault: castest.Fault{Status: 503, Body: []byte("<title>Maintenance</title>"), ContentType: "text/html"}, result: bad, reason: "ticket_down", says: map[language]string{fr: "Maintenance"}},
		{name: "redirected", fault: castest.Fault{Redirect: "https://cas.exemple.fr/cas/login?service=x"}, result: bad, reason: "ticket_redirect", says: map[language]string{en: "to https://cas.exemple.fr/cas/login,", "ENT": "renvoie vers https://cas.exemple.fr/cas/login"}},
		{name: "slow", site: func(h *Handler) { h.CASTimeout = caddy.Duration(50 * time.Millisecond) }, fault: castest.Fault{Delay: 10 * time.Second},
			result: bad, reason: "ticket_timeout", says: map[language]string{en: "cas_timeout", "ENT": "50ms"}},
		{name: "another document", cas: onValidation(answering(200, `<answer xmlns="urn:x"/>`)), result: bad, reason: "ticket_unreadable", says: map[language]string{en: "protocol", "ENT": "dans quel protocole"}},
		{name: "SOAP fault", cas: onValidation(answering(500, fmt.Sprintf(samlRefusal, `<SOAP-ENV:Fault><faultcode>SOAP-ENV:Server</faultcode></SOAP-ENV:Fault>`))), result: doubtful, reason: "ticket_soap_fault", says: map[language]string{en: "--login"}},
		{name: "a parameter is missing", site: cas3, cas: onValidation(answering(200, casRefusal("INVALID_REQUEST"))), result: bad, reason: "ticket_request", says: map[language]string{en: "validate_url"}},
		{name: "its own error", site: cas3, cas: onValidation(answering(200, casRefusal("INTERNAL_ERROR"))), result: bad, reason: "ticket_internal", says: map[language]string{"ENT": "INTERNAL_ERROR"}},
		{name: "cut off", fault: castest.Fault{Down: true}, result: bad, reason: "cas_broken", says: map[language]string{"ENT": "coupe la connexion"}},
	} {
		s.step = "cas_ticket"
		t.Run(s.name, s.test)
	}
}
