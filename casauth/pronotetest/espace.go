package pronotetest

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// appMarker is the constant by which PRONOTE's app asks for a page without
// delegation, to log in with its own token.
const appMarker = "A6ABB224-12DD-4E31-AD3E-8A39A1C2C335"

// visit is a request for the page of an Espace.
type visit struct {
	espace espace
	mobile bool
	self   string // public address of this page, without ticket and identifiant
	// service is what a login is asked for.
	service string
	// ticket is the CAS ticket to be judged here; "": none.
	ticket string
}

// withoutMarkers returns the query in order, byte for byte, less what PRONOTE
// or CAS added.
func withoutMarkers(rawQuery string) string {
	var kept []string
	for pair := range strings.SplitSeq(rawQuery, "&") {
		name, _, _ := strings.Cut(pair, "=")
		switch name {
		case "", "ticket", "SAMLart", "identifiant":
		default:
			kept = append(kept, pair)
		}
	}
	if len(kept) == 0 {
		return ""
	}
	return "?" + strings.Join(kept, "&")
}

func (p *pronote) serveEspace(w http.ResponseWriter, r *http.Request, v visit) {
	q := r.URL.Query()
	delegated := p.cfg.delegates(v.espace.name)
	direct := p.cfg.DirectLogin && q.Get("login") == "true"
	if r.Method == http.MethodPost {
		if p.singleLogout(r) {
			w.WriteHeader(http.StatusOK)
			return
		}
		if direct || !delegated {
			p.directLogin(w, r, v)
			return
		}
	}
	if s := p.redeem(q.Get("identifiant"), v.espace.name); s != nil {
		p.showEspace(w, r, v, s)
		return
	}
	switch {
	case direct:
		p.showForm(w, r, v, "")
	case !delegated, q.Get("bydlg") == appMarker:
		p.showEspace(w, r, v, nil)
	case v.ticket != "":
		p.acceptTicket(w, r, v)
	default:
		redirect(w, p.cfg.CAS.loginURL(v.service))
	}
}

// acceptTicket validates a ticket and leads to the person's page with a marker
// that serves once.
func (p *pronote) acceptTicket(w http.ResponseWriter, r *http.Request, v visit) {
	got, err := p.validate(r.Context(), v.service, v.ticket)
	var person Person
	if err == nil {
		person, err = p.identify(got)
	}
	target := v.espace
	if err == nil && target.name == commune {
		target, _ = findEspace(person.Espace)
		v.self = p.cfg.PublicURL + target.page(v.mobile && target.mobile != 0)
	}
	if err == nil && (target.name == "" || target.name != person.Espace) {
		err = &refusal{0, fmt.Sprintf("l’identifiant %s n’a pas accès à cette page : %s", person.ID, v.espace.title)}
	}
	if err != nil {
		p.showRefusal(w, err)
		return
	}
	name := p.newToken(token{espace: target.name, person: person, ticket: v.ticket, kind: 3})
	redirect(w, addQuery(v.self, "identifiant="+name))
}

// directLogin is PRONOTE's own form. (The real one logs in by calls.)
func (p *pronote) directLogin(w http.ResponseWriter, r *http.Request, v visit) {
	login, password := r.PostFormValue("login"), r.PostFormValue("motdepasse")
	for _, person := range p.cfg.People {
		if person.Password == "" || person.Login != login || person.Password != password {
			continue
		}
		if person.Espace != v.espace.name {
			break
		}
		name := p.newToken(token{espace: v.espace.name, person: person, kind: 2})
		redirect(w, addQuery(v.self, "identifiant="+name))
		return
	}
	p.showForm(w, r, v, "Identification impossible : vérifiez l’identifiant, le mot de passe et l’Espace.")
}

func addQuery(address, pair string) string {
	if strings.Contains(address, "?") {
		return address + "&" + pair
	}
	return address + "?" + pair
}

func redirect(w http.ResponseWriter, target string) {
	w.Header().Set("Location", target)
	w.WriteHeader(http.StatusFound)
}

func (p *pronote) showRefusal(w http.ResponseWriter, err error) {
	reason := &refusal{text: "erreur interne"}
	_ = errors.As(err, &reason)
	render(w, http.StatusOK, "message", view{
		Title: "Identification impossible",
		Text:  "PRONOTE de démonstration n’a pas pu vous reconnaître : " + reason.text + ".",
		Code:  fmt.Sprintf("z:%d", reason.code),
		Body:  onload(0, 15, 0, p.plainHTTP(), fmt.Sprintf(",z:%d", reason.code)),
		Link:  p.cfg.LogoutURL, LinkText: "Se déconnecter",
	})
}

func (p *pronote) plainHTTP() bool { return strings.HasPrefix(p.cfg.PrivateURL, "http:") }

// pageURL is the public address of a page with a request's own parameters.
func (p *pronote) pageURL(base, page string, u *url.URL) string {
	return base + page + withoutMarkers(u.RawQuery)
}
