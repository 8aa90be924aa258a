package castest

import (
	"crypto/rand"
	"fmt"
	"strings"
	"time"
)

// session is what a TGC cookie names: one person, logged in.
type session struct {
	user    User
	began   time.Time
	tickets []*ticket
}

type ticket struct {
	id      string
	service string
	user    User
	issued  time.Time
	primary bool // credentials were typed for it: what renew asks for (CAS 3.0 §2.5.1)
	spent   bool
	session *session
}

const sessionLifetime = 8 * time.Hour

// Ticket issues a service ticket without a browser, as if the user had just
// typed the password. The service is not looked up in the allow-list. It
// panics if there is no such user.
func (s *Server) Ticket(user, service string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	u, ok := s.users[user]
	if !ok {
		panic(fmt.Sprintf("castest: no user %q", user))
	}
	_, ses := s.newSession(u)
	return s.issue(ses, service, true)
}

// newSession wants s.mu held.
func (s *Server) newSession(u User) (id string, ses *session) {
	id = "TGC-" + rand.Text()
	ses = &session{user: u, began: time.Now()}
	s.sessions[id] = ses
	return id, ses
}

// issue wants s.mu held.
func (s *Server) issue(ses *session, service string, primary bool) string {
	s.sweep()
	s.serial++
	t := &ticket{
		service: service, user: ses.user, session: ses,
		issued: time.Now(), primary: primary,
	}
	if s.opts.NewTicket != nil {
		t.id = s.opts.NewTicket()
	} else {
		t.id = fmt.Sprintf("ST-%d-%s-castest", s.serial, rand.Text())
	}
	s.tickets[t.id] = t
	ses.tickets = append(ses.tickets, t)
	return t.id
}

// sweep keeps a demo that runs for weeks from growing. It wants s.mu held.
func (s *Server) sweep() {
	const enough = 10_000
	if len(s.tickets) > enough {
		for id, t := range s.tickets {
			if time.Since(t.issued) > s.opts.TicketLifetime {
				delete(s.tickets, id)
				delete(s.perTick, id)
			}
		}
	}
	if len(s.sessions) > enough {
		for id, ses := range s.sessions {
			if time.Since(ses.began) > sessionLifetime {
				delete(s.sessions, id)
			}
		}
	}
}

// verdict is the outcome of a validation: a user, or an error code of CAS 3.0
// §2.5.3 with a sentence.
type verdict struct {
	code, text string
	user       User
	primary    bool
	began      time.Time
	service    string
}

// redeem judges a ticket and spends it whatever the outcome.
func (s *Server) redeem(id, service string, renew, proxyOK bool) verdict {
	if id == "" || service == "" {
		return verdict{code: "INVALID_REQUEST", text: "'service' and 'ticket' parameters are both required"}
	}
	if strings.HasPrefix(id, "PT-") && !proxyOK {
		return verdict{code: "INVALID_TICKET_SPEC", text: "proxy tickets are not accepted here"}
	}
	known := s.allowed(service)

	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.tickets[id]
	spent := t == nil || t.spent
	if t != nil {
		t.spent = true
	}
	switch {
	case !known:
		return verdict{code: "INVALID_SERVICE", text: "the service is not registered"}
	case spent:
		return verdict{code: "INVALID_TICKET", text: "ticket not recognized"}
	case time.Since(t.issued) >= s.opts.TicketLifetime:
		return verdict{code: "INVALID_TICKET", text: "ticket expired"}
	case t.service != service:
		return verdict{code: "INVALID_SERVICE", text: "the ticket does not match the supplied service"}
	case renew && !t.primary:
		return verdict{code: "INVALID_TICKET", text: "the ticket was not issued from fresh credentials"}
	}
	return verdict{user: t.user, primary: t.primary, began: t.session.began, service: service}
}
