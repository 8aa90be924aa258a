package castest

import (
	"bytes"
	"compress/flate"
	"compress/zlib"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// SLOMode is when logout messages are sent.
type SLOMode int

// The modes of back-channel single logout.
const (
	SLOAsync SLOMode = iota // in the background; see WaitLogouts
	SLOSync                 // before /logout answers
	SLOOff                  // never
)

// SLO is how single logout goes (CAS 3.0 §2.3.3). One message is sent for every
// ticket of the login session, validated or not, as Apereo does.
type SLO struct {
	Mode   SLOMode
	Raw    bool         // the bare XML as body and no Content-Type, as Edifice does, instead of a form field
	Client *http.Client // nil: one with a timeout of 5 s; in SetSLO, the one before
	// Front makes the logout page load each service in a hidden frame, with the
	// message as SAMLRequest, besides what Mode says.
	Front bool
	Zlib  bool // SAMLRequest has a zlib header, as Apereo writes it, instead of raw DEFLATE
}

// LogoutSent is one back-channel message and what became of it.
type LogoutSent struct {
	Ticket, Service string
	Status          int   // 0 if there was no answer
	Err             error // nil if there was one
}

// SetSLO replaces the way of single logout from now on.
func (s *Server) SetSLO(o SLO) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if o.Client == nil {
		o.Client = s.opts.SLO.Client
	}
	s.opts.SLO = o
}

// LogoutsSent returns the back-channel messages that were answered or failed.
func (s *Server) LogoutsSent() []LogoutSent {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]LogoutSent(nil), s.logouts...)
}

// WaitLogouts returns when all back-channel messages begun before are done.
func (s *Server) WaitLogouts() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.telling > 0 {
		s.told.Wait()
	}
}

// EndSessions logs a user out everywhere, as an administrator or a timeout at
// the ENT would: the login sessions end and the services are told.
func (s *Server) EndSessions(user string) {
	s.mu.Lock()
	var ended []*session
	for id, ses := range s.sessions {
		if ses.user.Login == user {
			ended = append(ended, ses)
			delete(s.sessions, id)
		}
	}
	slo := s.opts.SLO
	s.mu.Unlock()
	for _, ses := range ended {
		s.tell(ses, slo)
	}
}

// logout is /logout. It goes on to the service only if that is allowed; the
// parameter url of CAS 2 is ignored, as CAS 3.0 §2.3.1 demands.
func (s *Server) logout(w http.ResponseWriter, r *http.Request, prefix string) {
	s.mu.Lock()
	s.counts.Logouts++
	slo := s.opts.SLO
	ses := s.sessionOf(r)
	if c, err := r.Cookie(cookieName); err == nil {
		delete(s.sessions, c.Value)
	}
	s.mu.Unlock()
	http.SetCookie(w, tgc(r, prefix, "", -1))

	p := page{Title: "Déconnexion effectuée", Text: "Votre session à l’ENT est terminée, et les applications ouvertes ont été prévenues."}
	if ses != nil {
		s.tell(ses, slo)
		if slo.Front {
			for _, t := range ses.tickets {
				p.Frames = append(p.Frames, template.URL(frontChannelURL(t, slo.Zlib))) // services are http(s), checked at login
			}
		}
	}
	service := r.URL.Query().Get("service")
	if service != "" && !s.allowed(service) {
		service = ""
	}
	if service != "" && len(p.Frames) == 0 {
		redirect(w, service)
		return
	}
	p.Link, p.LinkText = "login", "Se reconnecter"
	if service != "" {
		p.Link, p.LinkText = service, "Continuer"
	}
	s.render(w, http.StatusOK, "message", p)
}

// tell sends the back-channel messages of a session that has ended, so nobody
// adds tickets to it any more.
func (s *Server) tell(ses *session, slo SLO) {
	if slo.Mode == SLOOff {
		return
	}
	s.mu.Lock()
	s.telling += len(ses.tickets)
	s.mu.Unlock()
	var all sync.WaitGroup
	for _, t := range ses.tickets {
		all.Go(func() {
			sent := s.send(t, slo)
			s.mu.Lock()
			defer s.mu.Unlock()
			s.logouts = append(s.logouts, sent)
			s.telling--
			s.told.Broadcast()
		})
	}
	if slo.Mode == SLOSync {
		all.Wait()
	}
}

func (s *Server) send(t *ticket, slo SLO) LogoutSent {
	sent := LogoutSent{Ticket: t.id, Service: t.service}
	body, contentType := LogoutRequest(t.id), ""
	if !slo.Raw {
		body, contentType = url.Values{"logoutRequest": {body}}.Encode(), "application/x-www-form-urlencoded"
	}
	req, err := http.NewRequestWithContext(s.ctx, http.MethodPost, t.service, strings.NewReader(body))
	if err != nil {
		sent.Err = err
		return sent
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	resp, err := slo.Client.Do(req)
	if err != nil {
		sent.Err = err
		return sent
	}
	defer func() { _ = resp.Body.Close() }()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10))
	sent.Status = resp.StatusCode
	return sent
}

// LogoutRequest returns the message that ends the sessions made from the
// tickets (CAS 3.0 Appendix C).
func LogoutRequest(tickets ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, `<samlp:LogoutRequest xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" ID="LR-%s" Version="2.0" IssueInstant="%s">`,
		rand.Text(), time.Now().UTC().Format(time.RFC3339))
	b.WriteString(`<saml:NameID xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion">@NOT_USED@</saml:NameID>`)
	for _, t := range tickets {
		fmt.Fprintf(&b, `<samlp:SessionIndex>%s</samlp:SessionIndex>`, esc(t))
	}
	b.WriteString(`</samlp:LogoutRequest>`)
	return b.String()
}

// FrontChannel returns the value of SAMLRequest that carries a message through
// the browser: base64 of the compressed XML, not yet percent-encoded.
func FrontChannel(message string, zlibHeader bool) string {
	var buf bytes.Buffer
	var z io.WriteCloser
	if zlibHeader {
		z = zlib.NewWriter(&buf)
	} else {
		z, _ = flate.NewWriter(&buf, flate.DefaultCompression) // fails on a bad level only
	}
	_, _ = io.WriteString(z, message)
	_ = z.Close()
	return base64.StdEncoding.EncodeToString(buf.Bytes())
}

func frontChannelURL(t *ticket, zlibHeader bool) string {
	q := withTicket(t.service, "SAMLRequest", FrontChannel(LogoutRequest(t.id), zlibHeader))
	return q + "&RelayState=" + rand.Text()
}
