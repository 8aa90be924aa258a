package protocol

import (
	"fmt"
	"strconv"
)

// Outcome is the kind of a validation that gave no user.
type Outcome string

// The outcomes. Only after Failed does it make sense to log in again: the other
// two say nothing about the ticket.
const (
	Failed      Outcome = "fail"        // the ticket is refused, by the server or by what the answer says
	Malformed   Outcome = "malformed"   // not an answer of the protocol that was spoken
	Unavailable Outcome = "unavailable" // no answer came
)

// Error is a validation or a message that came to nothing. Neither the ticket
// nor the name of a person is in any part of it.
type Error struct {
	Outcome Outcome
	// Code is the code of the CAS server (CAS 3.0 §2.5.3), the local name of
	// the top SAML status, "@" and the reason where the refusal is ours, or
	// empty. It is text from outside: escape it before it is shown.
	Code   string
	Reason Reason
	Detail string // a sentence for those who run the CAS server and the school's help desk
	Err    error  // what the network or TLS said, if it was that
}

// Error says outcome, code and reason on one line.
func (e *Error) Error() string {
	s := "cas: " + string(e.Outcome)
	if e.Code != "" {
		s += " " + strconv.Quote(e.Code)
	}
	s += ": " + e.Detail
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap returns what the network or TLS said.
func (e *Error) Unwrap() error { return e.Err }

// with adds to the sentence what is particular to this case.
func (e *Error) with(format string, args ...any) *Error {
	e.Detail += " (" + fmt.Sprintf(format, args...) + ")"
	return e
}

func newError(o Outcome, r Reason, code string, err error) *Error {
	return &Error{Outcome: o, Code: code, Reason: r, Detail: r.sentence(), Err: err}
}

func malformed(r Reason) *Error              { return newError(Malformed, r, "", nil) }
func unavailable(r Reason, err error) *Error { return newError(Unavailable, r, "", err) }

// refused is the CAS server's own refusal; verdict is one of ours.
func refused(code string) *Error {
	e := newError(Failed, ReasonRefused, code, nil)
	if detail, ok := refusals[code]; ok {
		e.Detail = detail
	}
	return e
}

func verdict(r Reason) *Error { return newError(Failed, r, "@"+string(r), nil) }
