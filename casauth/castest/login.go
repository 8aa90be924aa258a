package castest

import (
	"crypto/subtle"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const cookieName = "TGC"

// login is /login as requester (GET) and acceptor (POST) of credentials
// (CAS 3.0 §2.1, §2.2). The parameter method is ignored, as most servers do.
func (s *Server) login(w http.ResponseWriter, r *http.Request, prefix string) {
	r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
	service, param := r.FormValue("service"), "ticket"
	if target := r.FormValue("TARGET"); service == "" && target != "" {
		service, param = target, "SAMLart"
	}
	if service != "" && !s.allowed(service) {
		s.render(w, http.StatusForbidden, "message", page{
			Title: "Application non autorisée",
			Text:  "Cette application n’est pas déclarée auprès du service d’authentification.",
			Code:  service,
		})
		return
	}
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		s.requestCredentials(w, r, service, param)
	case http.MethodPost:
		s.acceptCredentials(w, r, prefix, service, param)
	default:
		w.Header().Set("Allow", "GET, HEAD, POST")
		http.Error(w, "login wants GET or POST", http.StatusMethodNotAllowed)
	}
}

func (s *Server) requestCredentials(w http.ResponseWriter, r *http.Request, service, param string) {
	q := r.URL.Query()
	renew := isSet(q, "renew")
	// With both, gateway is to be ignored (CAS 3.0 §2.1.1).
	gateway := isSet(q, "gateway") && !renew && service != ""

	s.mu.Lock()
	ses := s.sessionOf(r)
	if ses != nil && !renew && service != "" {
		id := s.issue(ses, service, false)
		s.mu.Unlock()
		redirect(w, withTicket(service, param, id))
		return
	}
	s.mu.Unlock()
	switch {
	case gateway:
		redirect(w, service)
	case ses != nil && service == "":
		s.loggedIn(w, ses.user)
	default:
		s.form(w, http.StatusOK, service, "")
	}
}

func (s *Server) acceptCredentials(w http.ResponseWriter, r *http.Request, prefix, service, param string) {
	login := strings.TrimSpace(r.PostFormValue("username"))
	password := r.PostFormValue("password")
	as := r.PostFormValue("as")

	s.mu.Lock()
	u, ok := s.users[login]
	ok = ok && subtle.ConstantTimeCompare([]byte(u.Password), []byte(password)) == 1
	if as != "" { // a button of the demo
		u, ok = s.users[as]
	}
	if !ok {
		s.mu.Unlock()
		s.form(w, http.StatusUnauthorized, service, login)
		return
	}
	s.counts.Logins++
	if c, err := r.Cookie(cookieName); err == nil {
		delete(s.sessions, c.Value) // the old login ends without a word, as when a TGC expires
	}
	id, ses := s.newSession(u)
	ticket := ""
	if service != "" {
		ticket = s.issue(ses, service, true)
	}
	s.mu.Unlock()

	http.SetCookie(w, tgc(r, prefix, id, 0))
	if service == "" {
		s.loggedIn(w, u)
		return
	}
	redirect(w, withTicket(service, param, ticket))
}

// sessionOf wants s.mu held.
func (s *Server) sessionOf(r *http.Request) *session {
	c, err := r.Cookie(cookieName)
	if err != nil {
		return nil
	}
	ses := s.sessions[c.Value]
	if ses == nil || time.Since(ses.began) >= sessionLifetime {
		return nil
	}
	return ses
}

func tgc(r *http.Request, prefix, value string, maxAge int) *http.Cookie {
	if prefix == "" {
		prefix = "/"
	}
	return &http.Cookie{
		Name: cookieName, Value: value, Path: prefix, MaxAge: maxAge,
		HttpOnly: true, SameSite: http.SameSiteLaxMode,
		Secure: r.TLS != nil || r.Header.Get("X-Forwarded-Proto") == "https",
	}
}

// withTicket adds the ticket to a service without touching a byte of the rest.
// A fragment cannot survive (CAS 3.0 §2.1.4 sends a GET redirect).
func withTicket(service, param, ticket string) string {
	service, _, _ = strings.Cut(service, "#")
	sep := "?"
	if strings.HasSuffix(service, "?") || strings.HasSuffix(service, "&") {
		sep = ""
	} else if strings.Contains(service, "?") {
		sep = "&"
	}
	return service + sep + param + "=" + url.QueryEscape(ticket)
}

// redirect is http.Redirect without its cleaning of paths: a service goes back
// as it came. Bytes that no header may carry are escaped.
func redirect(w http.ResponseWriter, target string) {
	var b strings.Builder
	for _, c := range []byte(target) {
		if c <= ' ' || c >= 0x7f {
			const hex = "0123456789ABCDEF"
			b.Write([]byte{'%', hex[c>>4], hex[c&15]})
			continue
		}
		b.WriteByte(c)
	}
	w.Header().Set("Location", b.String())
	w.WriteHeader(http.StatusFound)
}
