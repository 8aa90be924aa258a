package pronotetest

import (
	"net/http"
	"strings"
)

// LegacyConfig are the settings of a [Legacy]. In Config, Root is / by default
// and CAS.ValidationPath must end in samlValidate.
type LegacyConfig struct {
	Config

	// ServiceURL is "URL de PRONOTE.net pour le serveur CAS": the address of
	// the CAS listener, e.g. "http://192.168.222.60:82".
	ServiceURL string
	// CustomURL is "Adresse personnalisée", for users who come through a
	// reverse proxy; it takes the place of both other addresses.
	CustomURL string
}

// Legacy is a PRONOTE.net of the 2011 kind: the Espaces on port 80, and a
// listener of its own for CAS on port 82, whose three paths are three services.
type Legacy struct {
	*pronote
	service string // base of the listener's services, as the CAS server sees it

	// URL and ListenerURL are its private addresses; set by StartLegacy.
	URL, ListenerURL string
}

const listenerRoot = "/pronote.net/cas/"

// NewLegacy returns a stand-in whose Pages and Listener are to be served by the
// caller, and fails if the settings are incomplete.
func NewLegacy(cfg LegacyConfig) (*Legacy, error) {
	if cfg.CustomURL != "" {
		cfg.PublicURL, cfg.ServiceURL = cfg.CustomURL, cfg.CustomURL
	}
	if cfg.CAS != nil && cfg.Delegated == nil {
		for _, e := range espaces {
			if e.legacy && e.name != commune && e.name != "entreprise" && e.name != "academie" {
				cfg.Delegated = append(cfg.Delegated, e.name)
			}
		}
	}
	if err := cfg.complete("/"); err != nil {
		return nil, err
	}
	service, err := base(cfg.ServiceURL, "ServiceURL", "/")
	if err != nil && cfg.CAS != nil {
		return nil, err
	}
	return &Legacy{pronote: newPronote(cfg.Config), service: strings.TrimSuffix(service, "/") + listenerRoot}, nil
}

// StartLegacy returns a stand-in that listens by HTTP on two free ports of
// 127.0.0.1 until the test ends.
func StartLegacy(t TB, cfg LegacyConfig) *Legacy {
	t.Helper()
	pages, listener := listen(t), listen(t)
	if cfg.Root == "" {
		cfg.Root = "/"
	}
	cfg.PrivateURL = "http://" + pages.Addr().String() + cfg.Root
	listenerURL := "http://" + listener.Addr().String()
	if cfg.ServiceURL == "" {
		cfg.ServiceURL = listenerURL
	}
	p, err := NewLegacy(cfg)
	if err != nil {
		_ = pages.Close()
		_ = listener.Close()
		t.Fatalf("%v", err)
	}
	p.URL, p.ListenerURL = cfg.PrivateURL, listenerURL
	p.serve(t, pages, p.Pages())
	p.serve(t, listener, p.Listener())
	return p
}

// Pages is what listens on port 80: the Espaces.
func (p *Legacy) Pages() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		page, ok := p.receive(w, r, p.cfg.Root)
		if !ok {
			return
		}
		e, mobile, ok := espaceOf(page)
		if !ok || !e.legacy {
			p.serveOther(w, r, page)
			return
		}
		p.serveEspace(w, r, visit{
			espace: e, mobile: mobile, service: p.service,
			self: p.pageURL(p.cfg.PublicURL, e.page(mobile), r.URL),
		})
	})
}

// Listener is what listens on port 82: the CAS services, and nothing else.
func (p *Legacy) Listener() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		page, ok := p.receive(w, r, listenerRoot)
		if !ok {
			return
		}
		if p.cfg.CAS == nil {
			http.NotFound(w, r)
			return
		}
		if r.Method == http.MethodPost && p.singleLogout(r) {
			w.WriteHeader(http.StatusOK)
			return
		}
		ticket := r.URL.Query().Get("ticket")
		switch {
		case page == "accueil": // the test of the administrator begins
			redirect(w, p.cfg.CAS.loginURL(p.service+"validationcas/"))
		case page == "validationcas":
			p.testResult(w, r, ticket)
		case page == "" && ticket == "":
			redirect(w, p.cfg.CAS.loginURL(p.service))
		case page == "":
			e, _ := findEspace(commune) // a ticket leads to the person's own Espace
			p.acceptTicket(w, r, visit{espace: e, service: p.service, ticket: ticket})
		default:
			http.NotFound(w, r)
		}
	})
}

// testResult is the page of "test d'authentification": what the CAS server
// said, without a login.
func (p *Legacy) testResult(w http.ResponseWriter, r *http.Request, ticket string) {
	v := view{Title: "Test d’authentification", Link: "../accueil/", LinkText: "Recommencer le test"}
	if ticket == "" {
		v.Text = "Aucun ticket reçu du serveur CAS."
		render(w, http.StatusOK, "message", v)
		return
	}
	got, err := p.validate(r.Context(), p.service+"validationcas/", ticket)
	if err != nil {
		v.Text, v.Code = "L’authentification a échoué.", err.Error()
		render(w, http.StatusOK, "message", v)
		return
	}
	v.Text = "L’authentification a réussi."
	v.Rows = append(v.Rows, row{"Subject", got.subject})
	v.Rows = append(v.Rows, rows(got.attributes)...)
	render(w, http.StatusOK, "message", v)
}
