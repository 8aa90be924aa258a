package castest

import (
	"embed"
	"html/template"
	"net/http"
	"net/url"
	"strings"
)

//go:embed pages
var pageFiles embed.FS

var pages = template.Must(template.ParseFS(pageFiles, "pages/*.html"))

type page struct {
	Heading, Title, Text string
	Code                 string // shown as it is, e.g. the address that was refused
	Link, LinkText       string
	Frames               []template.URL

	Service, Host string // of the login form
	Login         string // what was typed when it was wrong
	Failed        bool
	People        []User
}

func (s *Server) form(w http.ResponseWriter, status int, service, typed string) {
	p := page{Title: "Connexion", Login: typed, Failed: status != http.StatusOK, People: s.opts.Users}
	if u, err := url.Parse(service); err == nil && service != "" {
		p.Host = u.Host
		p.Service, _, _ = strings.Cut(service, "?")
	}
	s.count(func(c *Counts) { c.LoginForms++ })
	s.render(w, status, "login", p)
}

func (s *Server) loggedIn(w http.ResponseWriter, u User) {
	s.render(w, http.StatusOK, "message", page{
		Title: "Session ouverte",
		Text:  "La session de " + u.Name + " est ouverte.",
		Link:  "logout", LinkText: "Se déconnecter",
	})
}

func (s *Server) render(w http.ResponseWriter, status int, name string, p page) {
	p.Heading = s.opts.Title
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("X-Content-Type-Options", "nosniff")
	if len(p.Frames) == 0 {
		h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'")
	}
	w.WriteHeader(status)
	_ = pages.ExecuteTemplate(w, name, p)
}
