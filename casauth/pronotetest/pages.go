package pronotetest

import (
	"crypto/rand"
	"embed"
	"encoding/hex"
	"fmt"
	"html/template"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
)

//go:embed pages
var pageFiles embed.FS

var pages = template.Must(template.ParseFS(pageFiles, "pages/*.html"))

//go:embed pages/commun.js
var staticScript string

//go:embed pages/commun.css
var staticStyle string

//go:embed pages/image.svg
var staticImage string

type row struct{ Name, Value string }

func rows(attributes map[string][]string) []row {
	var out []row
	for _, name := range slices.Sorted(maps.Keys(attributes)) {
		out = append(out, row{name, strings.Join(attributes[name], " ; ")})
	}
	return out
}

// view is what the templates show.
type view struct {
	Title, Text, Code string
	Link, LinkText    string
	Rows              []row
	Form              string            // the form to show: "", "connexion" or "inscription"
	Failed            string            // above the form
	Note              string            // what this stand-in does that PRONOTE does not
	Espaces           []row             // name and address
	Body              template.HTMLAttr // onload of the page of an Espace

	Number, Genre int    // of the session, for the things to try
	Wait          string // how long a poll takes; "": nothing to try
	File          string // address of a download
}

// Style stands in every page, so that those outside the root have it too.
func (view) Style() template.CSS { return template.CSS(staticStyle) } // our own file

// onload is the attribute by which PRONOTE's pages start. All that goes in is
// made of digits, letters and our own punctuation.
func onload(number, genre, kind int, plainHTTP bool, more string) template.HTMLAttr {
	if plainHTTP {
		more += ",http:true"
	}
	return template.HTMLAttr(fmt.Sprintf(
		`onload="try { Start ({h:'%d',a:%d,d:false,g:%d%s,poll:true,p:2000}) } catch (e) { messageErreur (e) }"`,
		number, genre, kind, more)) // see above
}

// showEspace is the page of an Espace: of the session's person, or without a
// session of whom the proxy's header names.
func (p *pronote) showEspace(w http.ResponseWriter, r *http.Request, v visit, s *session) {
	genre := v.espace.desktop
	if v.mobile {
		genre = v.espace.mobile
	}
	page := view{Title: v.espace.title, Genre: genre, Link: p.cfg.LogoutURL, LinkText: "Se déconnecter"}
	header := strings.Join(r.Header.Values(p.cfg.IdentityHeader), ", ")
	more, kind := "", 0
	switch {
	case s != nil:
		page.Number, kind = s.Number, s.kind
		more = fmt.Sprintf(",e:'%s',f:'%s'", randomHex(), randomHex())
		page.Text = "Bonjour " + s.Person.Name
		page.Rows = []row{{"Identifiant PRONOTE", s.Person.ID}, {"Connexion par", map[int]string{2: "le formulaire de PRONOTE", 3: "la délégation CAS"}[kind]}}
		if header != "" {
			page.Rows = append(page.Rows, row{"En-tête " + p.cfg.IdentityHeader, header + " (reçu, non lu)"})
		}
	case header != "":
		page.Number = p.nextNumber()
		page.Text = "Bonjour"
		if person, ok := p.person(header); ok {
			page.Text = "Bonjour " + person.Name
		}
		page.Rows = []row{{"En-tête " + p.cfg.IdentityHeader, header}, {"Délégation", "aucune (accès direct)"}}
		page.Note = "Ce PRONOTE de démonstration montre l’en-tête pour que l’on voie arriver l’identifiant. Le vrai PRONOTE.net ne lit aucun en-tête d’identité : il demanderait ici un mot de passe."
	default:
		page.Number = p.nextNumber()
		page.Form = "connexion"
		page.Note = "Aucun en-tête " + p.cfg.IdentityHeader + " reçu."
		page.Link = ""
	}
	page.Body = onload(page.Number, genre, kind, p.plainHTTP(), more)
	if v.espace.name == commune {
		page.Espaces = p.espaceList(v.mobile)
	}
	if page.Form == "" {
		page.Wait = wait(p.cfg.PollWait)
		page.File = "FichiersExternes/" + randomHex() + "/document.txt"
	}
	if p.cfg.CookieDomain != "" {
		w.Header().Add("Set-Cookie", "demonstration="+rand.Text()+"; Domain="+p.cfg.CookieDomain+"; Path="+p.cfg.Root)
	}
	render(w, http.StatusOK, "espace", page)
}

// showForm is PRONOTE's own login form.
func (p *pronote) showForm(w http.ResponseWriter, _ *http.Request, v visit, failed string) {
	genre := v.espace.desktop
	if v.mobile {
		genre = v.espace.mobile
	}
	n := p.nextNumber()
	render(w, http.StatusOK, "espace", view{
		Title: v.espace.title, Form: "connexion", Failed: failed, Number: n, Genre: genre,
		Body: onload(n, genre, 0, p.plainHTTP(), ""),
	})
}

func (p *pronote) espaceList(mobile bool) []row {
	var list []row
	for _, e := range espaces[1:] {
		list = append(list, row{e.title, e.page(mobile && e.mobile != 0)})
	}
	return list
}

func wait(d time.Duration) string {
	if d < time.Minute {
		return fmt.Sprintf("%.0f secondes", d.Seconds())
	}
	return fmt.Sprintf("%.0f minutes", d.Minutes())
}

func randomHex() string {
	b := make([]byte, 16)
	_, _ = rand.Read(b) // never fails: crypto/rand
	return strings.ToUpper(hex.EncodeToString(b))
}

func render(w http.ResponseWriter, status int, name string, v view) {
	if v.Title == "" {
		v.Title = "Réponse"
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_ = pages.ExecuteTemplate(w, name, v)
}
