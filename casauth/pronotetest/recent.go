package pronotetest

import (
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// Recent is a PRONOTE.net of the 2025 kind: the page of an Espace is itself
// the CAS service. It is an http.Handler for its private address.
type Recent struct {
	*pronote
	// URL is its private address with the root; set by StartRecent.
	URL string
}

// NewRecent returns a stand-in to be served by the caller. It fails if
// PRONOTE's console would refuse the settings.
func NewRecent(cfg Config) (*Recent, error) {
	if err := cfg.complete("/pronote/"); err != nil {
		return nil, err
	}
	return &Recent{pronote: newPronote(cfg), URL: cfg.PrivateURL}, nil
}

// StartRecent returns a stand-in that listens by HTTP on a free port of
// 127.0.0.1 until the test ends.
func StartRecent(t TB, cfg Config) *Recent {
	t.Helper()
	ln := listen(t)
	if cfg.Root == "" {
		cfg.Root = "/pronote/"
	}
	cfg.PrivateURL = "http://" + ln.Addr().String() + cfg.Root
	p, err := NewRecent(cfg)
	if err != nil {
		_ = ln.Close()
		t.Fatalf("%v", err)
	}
	p.serve(t, ln, p)
	return p
}

// ServeHTTP answers as PRONOTE.net would.
func (p *Recent) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	page, ok := p.receive(w, r, p.cfg.Root)
	if !ok {
		return
	}
	e, mobile, ok := espaceOf(page)
	if !ok {
		p.serveOther(w, r, page)
		return
	}
	v := visit{espace: e, mobile: mobile, self: p.pageURL(p.cfg.PublicURL, e.page(mobile), r.URL)}
	v.service, v.ticket = v.self, r.URL.Query().Get("ticket")
	if v.ticket == "" {
		v.ticket = r.URL.Query().Get("SAMLart")
	}
	p.serveEspace(w, r, v)
}

// serveOther answers all that is no Espace.
func (p *pronote) serveOther(w http.ResponseWriter, r *http.Request, page string) {
	name, rest, _ := strings.Cut(page, "/")
	switch name {
	case "appelfonction":
		p.appelFonction(w, r, rest)
	case "appelpolling":
		p.appelPolling(w, r, rest)
	case "uploadfilesession":
		p.upload(w, r)
	case "fichiersexternes":
		p.download(w, r)
	case "appeldeconnexion":
		p.appelDeconnexion(w, rest)
	case "logclientleger":
		w.WriteHeader(http.StatusOK)
	case "erreur":
		render(w, http.StatusOK, "message", view{Title: "Erreur", Text: "Une erreur est survenue dans le PRONOTE de démonstration.", Code: rest})
	case "message.html":
		p.message(w, r)
	case "deconnexion.html":
		render(w, http.StatusOK, "message", view{Title: "Déconnexion", Text: "La session de la console est terminée."})
	case "inscription.html", "mobile.inscription.html":
		p.inscription(w, r)
	case "infomobileapp.json":
		p.infoMobileApp(w)
	case "svcadminserveurhttp", "portgestioncas":
		// It answers, so that a test can tell that nobody got here.
		w.Header().Set("Content-Type", "text/xml; charset=utf-8")
		_, _ = io.WriteString(w, `<Envelope xmlns="http://schemas.xmlsoap.org/soap/envelope/"><Body>administration</Body></Envelope>`)
	default:
		p.static(w, r, page)
	}
}

func (p *pronote) message(w http.ResponseWriter, r *http.Request) {
	v := view{Title: "Message", Text: "Message du PRONOTE de démonstration.", Code: r.URL.Query().Get("G")}
	if strings.HasPrefix(strings.ToLower(v.Code), "deconnexionent") {
		v.Title = "Déconnexion effectuée"
		v.Text = "La session PRONOTE est terminée. La session de l’ENT peut être encore ouverte."
	}
	v.Link, v.LinkText = p.cfg.Root, "Revenir à la page commune"
	render(w, http.StatusOK, "message", v)
}

// inscription is the public form: PRONOTE excludes it from delegation itself.
func (p *pronote) inscription(w http.ResponseWriter, r *http.Request) {
	v := view{Title: "Demande d’inscription", Form: "inscription"}
	if r.Method == http.MethodPost {
		v.Form = ""
		v.Text = "Demande reçue. (Démonstration : elle n’est gardée nulle part.)"
		v.Code = r.PostFormValue("nom")
	}
	render(w, http.StatusOK, "message", v)
}

// infoMobileApp is the file by which apps find the Espaces and the CAS server.
// It has keys and forms of numbers that a proxy which edits it must keep.
func (p *pronote) infoMobileApp(w http.ResponseWriter) {
	cas := `{"actif":false}`
	if p.cfg.CAS != nil {
		cas = fmt.Sprintf(`{"actif":true,"casURL":%q,"jetonCAS":%q}`, p.cfg.CAS.URL, rand.Text())
	}
	var list []string
	for _, e := range espaces {
		if e.mobile == 0 || e.name == commune {
			continue
		}
		delegated, protocol := p.cfg.delegates(e.name), 0
		if delegated {
			protocol = 1
		}
		list = append(list, fmt.Sprintf(`{"genreEspace":%d,"nom":%q,"URL":%q,"avecDelegation":%t,"protocole":%d}`,
			e.mobile, e.title, e.page(true), delegated, protocol))
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	_, _ = fmt.Fprintf(w, `{"version":[2025,1,4],"date":%q,"modeModif":false,"CAS":%s,"espaces":[%s],`+
		`"collectivite":{"genreCollectivite":1},"demonstration":{"entier":12345678901234567890,"reel":1.50,"exposant":1e3,"html":"<&>"},`+
		`"nomEtab":"COLLEGE DE DEMONSTRATION"}`,
		time.Now().Format("2006-01-02T15:04:05-07:00"), cas, strings.Join(list, ","))
}
