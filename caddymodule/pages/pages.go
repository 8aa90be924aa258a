// Package pages holds what a person can be shown: one page for each way a
// visit can end short of PRONOTE, in French and in English.
//
// A page says in one sentence what happened, offers one thing to do next, and
// keeps for the small print the code that the school finds again in its log.
// Pages need no script, load nothing, and are never kept by a cache.
//
// [Write] answers with HTML and [Problem] with JSON (RFC 9457); which of the
// two a client wants is the caller's to tell. The texts are in fr.go and en.go.
package pages

import (
	"net/http"
	"time"
)

// Kind says which page it is. The set is closed; each kind's comment gives the
// status that is used when [Page.Status] is 0 and where [Page.Retry] leads.
type Kind string

const (
	// SessionEnded (401): a form was posted and nobody is logged in any more, so
	// what was typed is not saved. Retry logs in again.
	SessionEnded Kind = "session_ended"
	// LoginRequired (401): what a script asked for needs a login. Retry logs in.
	LoginRequired Kind = "login_required"
	// Refused (403): refused for the reason in Cause. Retry tries again.
	Refused Kind = "refused"
	// LoginLoop (403): several logins in a row failed. Retry logs in again.
	LoginLoop Kind = "login_loop"
	// UnknownIdentifier (403): logged in at the ENT, PRONOTE identifier not found.
	// Detail names the attributes looked at. Retry ends the login at the ENT, for
	// whoever came with the wrong account.
	UnknownIdentifier Kind = "unknown_identifier"
	// ENTUnavailable (503): the CAS server is down, slow, or fails by itself.
	// Detail is the address asked. Retry tries again.
	ENTUnavailable Kind = "ent_unavailable"
	// ENTUnreadable (503): the CAS server's answer is no CAS answer. Detail is the
	// address asked. Retry tries again.
	ENTUnreadable Kind = "ent_unreadable"
	// StorageUnavailable (503): sessions can be neither read nor kept. Retry tries again.
	StorageUnavailable Kind = "storage_unavailable"
	// BadRequest (400): an address that can be read in two ways, the rule in Cause.
	// Detail is its path; a query could hold a ticket. Retry leads to PRONOTE's
	// first page.
	BadRequest Kind = "bad_request"
	// NotFound (404): nothing here. Retry leads to PRONOTE's first page.
	NotFound Kind = "not_found"
	// MethodNotAllowed (405): the address exists, the method does not; the caller
	// sets Allow. Retry leads to PRONOTE's first page.
	MethodNotAllowed Kind = "method_not_allowed"
	// TooEarly (425): asked in TLS early data, which may be replayed (RFC 8470).
	// Retry is the same address.
	TooEarly Kind = "too_early"
	// LoggedOut (200): the session here has ended, perhaps not the one at the ENT.
	// Retry logs in again.
	LoggedOut Kind = "logged_out"
	// LogoutConfirm (200): another site asked for the logout; a button asks the
	// person. Retry goes on with the session.
	LogoutConfirm Kind = "logout_confirm"
	// ServiceNotAllowed (403): the relay gives tickets to PRONOTE alone. Detail is
	// the service asked for. Retry leads to PRONOTE's first page.
	ServiceNotAllowed Kind = "service_not_allowed"
	// WrongProfile (403): an Espace for other people. Espace names it, Own and
	// Retry the person's own; Detail is the profile that the ENT sent.
	WrongProfile Kind = "wrong_profile"
	// SessionOpen (200): logged in, with a button to log out. Retry leads to PRONOTE.
	SessionOpen Kind = "session_open"
	// SessionNone (200): not logged in. Retry logs in.
	SessionNone Kind = "session_none"
	// AskIdentifier (200, or 422 when Ask holds an error): the form that asks once
	// for the PRONOTE identifier. Retry ends the login at the ENT.
	AskIdentifier Kind = "ask_identifier"
	// AskLocked (429): too many tries at that form. Retry is the form.
	AskLocked Kind = "ask_locked"
)

// Tones choose a page's colour and symbol, never its meaning.
const (
	toneInfo = "info"
	toneDone = "done"
	toneWarn = "warn"
)

var kinds = map[Kind]struct {
	status int
	tone   string
}{
	SessionEnded:       {http.StatusUnauthorized, toneWarn},
	LoginRequired:      {http.StatusUnauthorized, toneInfo},
	Refused:            {http.StatusForbidden, toneWarn},
	LoginLoop:          {http.StatusForbidden, toneWarn},
	UnknownIdentifier:  {http.StatusForbidden, toneWarn},
	ENTUnavailable:     {http.StatusServiceUnavailable, toneWarn},
	ENTUnreadable:      {http.StatusServiceUnavailable, toneWarn},
	StorageUnavailable: {http.StatusServiceUnavailable, toneWarn},
	BadRequest:         {http.StatusBadRequest, toneWarn},
	NotFound:           {http.StatusNotFound, toneInfo},
	MethodNotAllowed:   {http.StatusMethodNotAllowed, toneInfo},
	TooEarly:           {http.StatusTooEarly, toneInfo},
	LoggedOut:          {http.StatusOK, toneDone},
	LogoutConfirm:      {http.StatusOK, toneInfo},
	ServiceNotAllowed:  {http.StatusForbidden, toneWarn},
	WrongProfile:       {http.StatusForbidden, toneInfo},
	SessionOpen:        {http.StatusOK, toneDone},
	SessionNone:        {http.StatusOK, toneInfo},
	AskIdentifier:      {http.StatusOK, toneInfo},
	AskLocked:          {http.StatusTooManyRequests, toneWarn},
}

// Cause says why, in a sentence of its own, on any page. The set is closed; a
// cause that is not in it reads like [CauseNone].
type Cause string

const (
	// CauseNone: the kind says all there is to say.
	CauseNone Cause = ""
	// CauseTicket: the CAS server refused the ticket it had just issued.
	CauseTicket Cause = "ticket_refused"
	// CauseService: the CAS server does not know our service; Detail is the exact
	// service to declare there.
	CauseService Cause = "service_refused"
	// CauseCookies: the cookie set before the login did not come back.
	CauseCookies Cause = "foreign_ticket"
	// CauseClock: the answer's validity lies outside our clock.
	CauseClock Cause = "clock_skew"
	// CauseProxyTicket: the login came through another application (CAS 3.0 §2.6).
	CauseProxyTicket Cause = "proxy_ticket"
	// CausePerson: the attribute that names the person is missing; Detail is its name.
	CausePerson Cause = "unknown_person"
	// CauseConflict: the PRONOTE identifier belongs to another account of the ENT.
	CauseConflict Cause = "identifier_conflict"
	// CauseAmbiguous: several people have this identity.
	CauseAmbiguous Cause = "identity_ambiguous"
	// CauseLogoutMessage: a single-logout message that cannot be read; goes with
	// Refused and status 400.
	CauseLogoutMessage Cause = "unreadable_logout"

	// The rules of an address, for BadRequest.

	// CauseEncodedSlash: a percent-encoded slash.
	CauseEncodedSlash Cause = "encoded_slash"
	// CauseBackslash: a backslash, encoded or not.
	CauseBackslash Cause = "backslash"
	// CauseReserved: a percent-encoded ?, or a control character.
	CauseReserved Cause = "encoded_delimiter"
	// CauseDotSegment: a segment "." or "..".
	CauseDotSegment Cause = "dot_segment"
	// CauseDoubleSlash: two slashes in a row.
	CauseDoubleSlash Cause = "double_slash"
	// CauseSemicolon: a semicolon in the path.
	CauseSemicolon Cause = "semicolon"
	// CauseHash: a #, encoded or not.
	CauseHash Cause = "hash"
	// CauseAfterPage: something after a page's name.
	CauseAfterPage Cause = "after_page"
	// CauseEncoding: invalid percent-encoding or UTF-8.
	CauseEncoding Cause = "encoding"
	// CauseHost: an absolute address for another host.
	CauseHost Cause = "foreign_host"
)

// Page is one answer to a person. Whatever it holds is escaped.
type Page struct {
	Kind   Kind
	Status int    // HTTP status; 0 takes the kind's own
	Cause  Cause  // why, where the kind alone does not say it
	Code   string // incident code, the same as in the log; "" shows none
	// Time is when it happened, in the zone to show it in; zero is now.
	Time time.Time
	// Retry is the address of the one thing to do, absolute (http, https) or a path;
	// see each Kind. "" or anything else offers none.
	Retry string
	// Detail is a fact for the school's administrator, such as the service to declare.
	Detail string
	// RetryAfter is rounded up to seconds for the header Retry-After; 0 sets none.
	RetryAfter time.Duration
	// Espace and Own are names as in the directive (professeurs, eleves…), for
	// WrongProfile; unknown or empty ones are left unnamed.
	Espace, Own string
	// Ask is the form of AskIdentifier.
	Ask Ask
	// FrameAncestors is the CSP source list of who may frame the page; "" is 'none'.
	FrameAncestors string
}

// known returns p with an unknown kind turned into Refused and its status filled in.
func (p Page) known() Page {
	if _, ok := kinds[p.Kind]; !ok {
		p.Kind = Refused
	}
	if p.Status == 0 {
		p.Status = kinds[p.Kind].status
		if p.Kind == AskIdentifier && p.Ask.failed() {
			p.Status = http.StatusUnprocessableEntity
		}
	}
	if p.Time.IsZero() {
		p.Time = time.Now()
	}
	return p
}
