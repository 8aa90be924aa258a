package casauth

import (
	"errors"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/pronote-cas/caddy-pronote-cas/casauth/address"
	"github.com/pronote-cas/caddy-pronote-cas/casauth/directory"
	"github.com/pronote-cas/caddy-pronote-cas/casauth/pronote"
	"github.com/pronote-cas/caddy-pronote-cas/casauth/relay"
)

// Visit is one request, as it came in.
type Visit struct {
	Request   *http.Request // method, header and body as they stand now; the body may be read and put back
	Asked     string        // the request target as the client wrote it (RFC 9112 §3.2)
	Upstream  string        // the target that would go upstream; other than Asked where something rewrote it
	Client    netip.Addr    // who sent it: the TCP peer, or whom a trusted proxy names; for logins and Prefix alone
	EarlyData bool          // sent in TLS early data, which an attacker can replay

	// What Decide finds out first.
	path, query string
	tickets     []string // in the query
	session     *Session // nil: none
	noSession   error    // why: ErrNoSession, or an ErrStorage
	tossed      bool     // there are two session cookies, one of them somebody else's
	renew       bool     // a login that starts or ends here wants fresh credentials
}

// storage returns the error that hides whether there is a session.
func (v *Visit) storage() error {
	if errors.Is(v.noSession, ErrNoSession) {
		return nil
	}
	return v.noSession
}

// Action is what to do with a Visit.
type Action uint8

// The actions.
const (
	Pass     Action = iota // on to the next handler, upstream in the end
	Redirect               // 302 to Location
	Refuse                 // answer Err: a page for a person, a problem (RFC 9457) for a script
	Show                   // answer one of our own pages
	Reply                  // Status and Body, to a program: the CAS server, or PRONOTE
)

// Event is what happened besides, for log, metrics and Caddy's events.
type Event uint8

// The events.
const (
	Nothing         Event = iota
	LoginStarted          // a browser was sent to the CAS server
	LoggedIn              // a ticket became a session
	LoggedOut             // a person ended the session
	Identified            // a person said, and proved, who they are in PRONOTE
	SingleLogout          // the CAS server ended it, or tried
	TicketIssued          // PRONOTE's login got a ticket of ours
	TicketValidated       // PRONOTE asked about one
)

// OwnPage names the pages that are no refusal.
type OwnPage uint8

// The pages.
const (
	StatusPage    OwnPage = iota // logged in, or not
	LoggedOutPage                // the session has ended
	AskPage                      // the form that asks for the PRONOTE identifier
)

// Decision is what to do with a Visit, and all that is needed to do it.
type Decision struct {
	Action
	Event        Event
	Session      *Session       // who it is: upstream gets the identity; nil: none
	Espace       pronote.Espace // the Espace that the request is for, if it names one
	StripTickets bool           // Pass: the tickets in the query are not PRONOTE's
	Brief        bool           // Pass: the answer comes at once; there is nothing to cut while it is awaited
	Discovery    bool           // Pass: the answer tells PRONOTE's app where the CAS server is, which is us
	Location     string         // Redirect: absolute URL; Refuse: where a login would start
	Person       bool           // Refuse, Show: a person sees the answer, not a script
	Err          *Error         // Refuse; with other actions, what went wrong without changing the answer
	Page         OwnPage        // Show
	Asking       *Asking        // Show: the form of AskPage
	Own          pronote.Espace // Refuse WrongProfile: the person's own Espace, if there is just one
	Status       int            // Reply; 0 is 200
	ContentType  string         // Reply
	Body         string         // Reply; may hold personal data
	Farewells    []relay.Logout // PRONOTE's logins that have ended with the session, to be told so
	Cookies      []http.Cookie  // to set, name and value only; MaxAge -1 deletes

	// For log, metrics and events alone.
	Trip      string            // names one browser's way through a login, from setting out to its end; "": none
	Validated time.Duration     // how long the CAS server took over the ticket; 0: it was not asked
	Resolved  *directory.Result // how the directory found out who it is; nil: it was not asked
	User      string            // the CAS identifier of whom it is about, where there is no Session and it is known
	Granted   bool              // Redirect: to PRONOTE, with a ticket of ours
	Ended     bool              // SingleLogout: there was such a session
}

func refuse(v *Visit, reason Reason, cause error) Decision {
	return Decision{Action: Refuse, Person: navigates(v.Request), Err: &Error{Reason: reason, Cause: cause}}
}

// navigates tells a navigation, whose answer a person sees, from a script's
// call. Fetch Metadata (W3C) says so; a client that sends none accepts HTML and
// does not call itself XMLHttpRequest.
func navigates(r *http.Request) bool {
	if mode := header(r, "Sec-Fetch-Mode"); mode != "" {
		return mode == "navigate" && header(r, "Sec-Fetch-Dest") != "empty"
	}
	switch header(r, "Sec-Fetch-Dest") {
	case "":
		return header(r, "X-Requested-With") == "" && strings.Contains(header(r, "Accept"), "text/html")
	case "document", "iframe", "frame":
		return true
	}
	return false
}

func reads(r *http.Request) bool { return r.Method == http.MethodGet || r.Method == http.MethodHead }
func posts(r *http.Request) bool { return !reads(r) }

// foreign reports whether another site made the browser send r. A client that
// says nothing at all about where it comes from is no browser of today.
func (g *Gate) foreign(r *http.Request) bool {
	if site := header(r, "Sec-Fetch-Site"); site != "" {
		return site == "cross-site"
	}
	for _, name := range [...]string{"Origin", "Referer"} {
		if from := header(r, name); from != "" {
			return !g.ours(from)
		}
	}
	return false
}

// ours reports whether an address lies on the public origin.
func (g *Gate) ours(where string) bool {
	u, err := url.Parse(where)
	if err != nil || u.User != nil {
		return false
	}
	origin, err := address.ParseOrigin(u.Scheme + "://" + u.Host)
	return err == nil && origin == g.Public
}

// header returns the first value under name, which is in canonical form.
func header(r *http.Request, name string) string {
	if values := r.Header[name]; len(values) > 0 {
		return values[0]
	}
	return ""
}

// cookie returns the value of the cookie called name, and how many different ones
// there are. Two mean that somebody tossed one in from a neighbouring site (RFC
// 6265 §8.6): then neither is believed.
func cookie(r *http.Request, name string) (value string, found int) {
	for _, line := range r.Header["Cookie"] {
		for line != "" {
			var pair string
			pair, line, _ = strings.Cut(line, ";")
			pair = strings.TrimLeft(pair, " \t")
			if len(pair) <= len(name) || pair[len(name)] != '=' || pair[:len(name)] != name {
				continue
			}
			one := strings.TrimRight(pair[len(name)+1:], " \t")
			switch {
			case found == 0:
				value, found = one, 1
			case one != value:
				return "", 2
			}
		}
	}
	return value, found
}
