package casauth

import "net/http"

// Reason says why a request was not served as asked. The set is closed: pages,
// metrics and logs all speak of the same few words.
type Reason string

const (
	// SessionRequired: a script's call, or a form, without a login. 401.
	SessionRequired Reason = "session_required"
	// AmbiguousTarget: proxy and PRONOTE could read the address differently. 400.
	AmbiguousTarget Reason = "ambiguous_target"
	// AdministrationHidden: PRONOTE's SOAP administration, never served outside. 404.
	AdministrationHidden Reason = "administration"
	// NotFound: nothing of ours at this address below /pronote-cas/. 404.
	NotFound Reason = "not_found"
	// MethodNotAllowed: the address is ours, the method is not. 405.
	MethodNotAllowed Reason = "method_not_allowed"
	// TicketRefused: three logins in a row ended in a ticket the CAS server refused. 403.
	TicketRefused Reason = "ticket_refused"
	// ServiceRefused: as TicketRefused, the CAS server not knowing our service address. 403.
	ServiceRefused Reason = "service_refused"
	// ClockSkew: as TicketRefused, the answer's validity lying outside our clock. 403.
	ClockSkew Reason = "clock_skew"
	// ForeignTicket: as TicketRefused, the tickets being none that this browser set out for
	// (cookies refused, or an address that keeps changing on its way). 403.
	ForeignTicket Reason = "foreign_ticket"
	// ProxyTicket: the login came through another application (CAS 3.0 §2.6), never accepted. 403.
	ProxyTicket Reason = "proxy_ticket"
	// UnknownIdentifier: logged in at the ENT, PRONOTE identifier not found. 403.
	UnknownIdentifier Reason = "unknown_identifier"
	// IdentifierConflict: somebody else at the ENT holds the PRONOTE identifier. 403.
	IdentifierConflict Reason = "identifier_conflict"
	// AmbiguousIdentity: as UnknownIdentifier, several rows of the directory fitting the person. 403.
	AmbiguousIdentity Reason = "identity_ambiguous"
	// IdentifierRequired: a script's call before the person has given their PRONOTE identifier. 403.
	IdentifierRequired Reason = "identifier_required"
	// IdentifierRefused: what was typed into the form that asks for it is wrong. 422.
	IdentifierRefused Reason = "identifier_refused"
	// TooManyTries: at that form. 429.
	TooManyTries Reason = "too_many_tries"
	// WrongProfile: an Espace for other people than this one. 403.
	WrongProfile Reason = "wrong_profile"
	// UnknownPerson: the attribute that names the person at the ENT is missing. 403.
	UnknownPerson Reason = "unknown_person"
	// CASUnavailable: the CAS server is down, slow or answers an error of its own. 503.
	CASUnavailable Reason = "cas_unavailable"
	// CASUnreadable: what the CAS server said is no CAS answer. 503.
	CASUnreadable Reason = "cas_unreadable"
	// StorageUnavailable: whether there is a session cannot be known, or it cannot be kept. 503.
	StorageUnavailable Reason = "storage_unavailable"
	// EarlyData: a ticket or a logout in TLS early data, which can be replayed (RFC 8470 §5.2). 425.
	EarlyData Reason = "early_data"
	// ForeignLogout: a logout asked from another site; a person has to confirm it. 200, nothing ended.
	ForeignLogout Reason = "foreign_logout"
	// ServiceNotAllowed: the relay gives tickets for PRONOTE's own addresses alone. 403.
	ServiceNotAllowed Reason = "service_not_allowed"
	// ForeignCaller: only PRONOTE may validate tickets of the relay. 403.
	ForeignCaller Reason = "foreign_caller"
	// UnreadableLogout: a single-logout message that is broken. 400.
	UnreadableLogout Reason = "unreadable_logout"
)

var statusOf = map[Reason]int{
	SessionRequired:      http.StatusUnauthorized,
	AmbiguousTarget:      http.StatusBadRequest,
	AdministrationHidden: http.StatusNotFound,
	NotFound:             http.StatusNotFound,
	MethodNotAllowed:     http.StatusMethodNotAllowed,
	CASUnavailable:       http.StatusServiceUnavailable,
	CASUnreadable:        http.StatusServiceUnavailable,
	StorageUnavailable:   http.StatusServiceUnavailable,
	EarlyData:            http.StatusTooEarly,
	ForeignLogout:        http.StatusOK,
	UnreadableLogout:     http.StatusBadRequest,
	IdentifierRefused:    http.StatusUnprocessableEntity,
	TooManyTries:         http.StatusTooManyRequests,
}

// Status returns the HTTP status that goes with r: 403 where no other is named above.
func (r Reason) Status() int {
	if status, ok := statusOf[r]; ok {
		return status
	}
	return http.StatusForbidden
}

// Error keeps apart what people may read and what only the log gets.
type Error struct {
	Reason Reason
	Public string // a fact for the school's administrator, such as the service to declare; shown on the page
	Cause  error  // for the log alone; holds no ticket, cookie or session id
}

// Error returns the reason and its cause, for the log.
func (e *Error) Error() string {
	if e.Cause != nil {
		return string(e.Reason) + ": " + e.Cause.Error()
	}
	if e.Public != "" {
		return string(e.Reason) + ": " + e.Public
	}
	return string(e.Reason)
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Cause }
