package relay

// Code is why a validation fails, in the words of CAS 3.0 §2.5.3. A refusal that
// the ENT made, in pass-through, has the ENT's own code, which may be any text.
type Code string

// The codes that this server gives.
const (
	InvalidRequest    Code = "INVALID_REQUEST"     // a parameter is missing, or is there twice
	InvalidTicketSpec Code = "INVALID_TICKET_SPEC" // not a service ticket
	InvalidTicket     Code = "INVALID_TICKET"      // unknown, used, expired, its session gone, or not fresh where renew asks for it
	InvalidService    Code = "INVALID_SERVICE"     // for another service; the ticket is used up
	InternalError     Code = "INTERNAL_ERROR"      // whether the ticket is good cannot be known
)

// Refusal is a validation that gave nobody.
type Refusal struct {
	Code  Code
	Text  string // a sentence for PRONOTE's administrator; holds no ticket and no name
	Cause error  // for the log, where there is more to say; holds no ticket either
}

// Error says code, sentence and cause on one line.
func (r *Refusal) Error() string {
	s := string(r.Code) + ": " + r.Text
	if r.Cause != nil {
		s += ": " + r.Cause.Error()
	}
	return s
}

// Unwrap returns the cause.
func (r *Refusal) Unwrap() error { return r.Cause }

func refuse(code Code, text string, cause error) *Refusal {
	return &Refusal{Code: code, Text: text, Cause: cause}
}

func unknownTicket() *Refusal {
	return refuse(InvalidTicket, "the ticket is unknown, used or expired", nil)
}

func storeFailed(err error) *Refusal {
	return refuse(InternalError, "the ticket cannot be checked at the moment", err)
}
