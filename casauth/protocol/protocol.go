package protocol

import (
	"fmt"
	"net/http"
	"time"
)

// Protocol is one of the four ways to validate a ticket.
type Protocol string

// The protocols, by the names that a configuration uses.
const (
	CAS1   Protocol = "cas1"   // text, CAS 1.0 (CAS 3.0 §2.4)
	CAS2   Protocol = "cas2"   // XML, CAS 2.0 (CAS 3.0 §2.5)
	CAS3   Protocol = "cas3"   // XML with attributes, CAS 3.0 (§2.8)
	SAML11 Protocol = "saml11" // SAML 1.1 over SOAP (CAS 3.0 §4.2)
)

// ParseProtocol returns the protocol of that name; the error names the four.
func ParseProtocol(s string) (Protocol, error) {
	switch p := Protocol(s); p {
	case CAS1, CAS2, CAS3, SAML11:
		return p, nil
	}
	return "", fmt.Errorf("%q is no CAS protocol: choose cas1, cas2, cas3 or saml11", s)
}

// Path is the validation endpoint below the base address of a CAS server,
// as the CAS 3.0 specification names it.
func (p Protocol) Path() string {
	switch p {
	case CAS1:
		return "/validate"
	case CAS2:
		return "/serviceValidate"
	case CAS3:
		return "/p3/serviceValidate"
	default:
		return "/samlValidate"
	}
}

// Answer is what a CAS server says of the person a ticket stands for.
type Answer struct {
	User                string              // never empty; as the server wrote it, blanks around it aside
	Attributes          map[string][]string // never nil; values in the server's order, none twice; may hold line breaks
	ProxyGrantingTicket string              // the PGTIOU, if the server sent one
	Proxies             []string            // who asked in the person's name, latest first; empty for a person
}

// Bounds on an answer. They hold before a tree is built of it.
const (
	MaxAnswer   = 1 << 20 // bytes, decompressed
	maxDepth    = 32      // elements within elements, the root counted
	maxElements = 10000
)

// DefaultSkew is how far the CAS server's clock may be from ours, either way.
const DefaultSkew = 60 * time.Second

// Context is what an answer is held against. What is left empty is not known,
// as with an answer saved to a file, and then not judged; [Client] leaves
// nothing empty.
type Context struct {
	Service   string        // the service as it was sent to the CAS server
	RequestID string        // the RequestID of our SAML request
	Now       time.Time     // zero: the present
	Skew      time.Duration // zero: DefaultSkew
	Status    int           // HTTP status; zero: 200
	Charset   string        // charset of the HTTP Content-Type; counts only where the document names none and is not UTF-8
}

// Read reads the answer to a validation. The error is always an [*Error]:
// Failed if the CAS server, or a date or name in its answer, refuses the
// ticket; Malformed if it is no CAS answer; Unavailable if the status is not
// 200 and no refusal comes with it.
//
// A refusal counts with any status (the Keycloak plugin sends 400 and 403,
// RubyCAS 422 and 500), a success with 200 only.
func Read(p Protocol, body []byte, c Context) (Answer, error) {
	answer, err := read(p, body, c)
	if c.Status == 0 || c.Status == http.StatusOK {
		return answer, err
	}
	if e, ok := err.(*Error); ok && (e.Reason == ReasonRefused || e.Reason == ReasonSOAPFault) && c.Status/100 != 3 {
		return Answer{}, e
	}
	if c.Status/100 == 3 {
		return Answer{}, unavailable(ReasonRedirect, nil)
	}
	return Answer{}, unavailable(ReasonStatus, nil).with("HTTP status %d", c.Status)
}

func read(p Protocol, body []byte, c Context) (Answer, error) {
	if len(body) > MaxAnswer {
		return Answer{}, malformed(ReasonTooLarge)
	}
	if p == CAS1 {
		return readCAS1(body, c)
	}
	// LemonLDAP::NG answers a ticket that came without fresh credentials, where
	// they were asked for, in CAS 1 on every endpoint: "no" and two line breaks.
	if p != SAML11 && isRefusalLine(body) {
		return Answer{}, refused("")
	}
	root, err := parse(body, c.Charset)
	if err != nil {
		return Answer{}, err
	}
	if p == SAML11 {
		return readSAML11(root, c)
	}
	return readCAS2(root)
}
