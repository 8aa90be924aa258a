package protocol

import (
	"bytes"
	"errors"
	"strings"
)

// Explanation is what is made of one saved answer, as one line of JSON.
type Explanation struct {
	File       string              `json:"file"`
	Outcome    string              `json:"outcome"` // ok, fail or malformed
	User       string              `json:"user,omitempty"`
	Attributes map[string][]string `json:"attributes,omitzero"` // with ok always, maybe empty
	Code       string              `json:"code,omitempty"`      // with fail, if there is one; see Error.Code
	Reason     string              `json:"reason,omitempty"`    // one word of the closed set, a colon, a sentence
}

// Explain reads an answer that was saved to a file as Read would have read it
// from the CAS server. What c leaves empty is not judged.
func Explain(file string, p Protocol, body []byte, c Context) Explanation {
	answer, err := Read(p, body, c)
	if e, ok := err.(*Error); ok {
		return Explanation{File: file, Outcome: string(e.Outcome), Code: e.Code, Reason: e.reason()}
	}
	x := Explanation{File: file, Outcome: "ok", User: answer.User, Attributes: answer.Attributes}
	if len(answer.Proxies) > 0 {
		x.Reason = verdict(ReasonProxyChain).reason() // well said, and still not let in
	}
	return x
}

// LogoutExplanation is what is made of one saved logout message, as one line of
// JSON.
type LogoutExplanation struct {
	File    string   `json:"file"`
	Outcome string   `json:"outcome"` // ok, ignored or malformed
	Tickets []string `json:"tickets"` // those that ended; never null
	Reason  string   `json:"reason,omitempty"`
}

// ExplainLogout reads a logout message that was saved to a file: the body of a
// POST or, for the front channel, the query of a GET.
func ExplainLogout(file string, body []byte) LogoutExplanation {
	tickets, err := ReadLogout("", body)
	if errors.Is(err, ErrNotLogout) {
		query := strings.TrimPrefix(string(bytes.Trim(body, blanks)), "?")
		tickets, _, err = ReadFrontLogout(query)
	}
	x := LogoutExplanation{File: file, Outcome: "ok", Tickets: tickets}
	if e, ok := err.(*Error); ok {
		x.Outcome, x.Reason = string(e.Outcome), e.reason()
	} else if err != nil {
		x.Outcome = "ignored"
	}
	if x.Tickets == nil {
		x.Tickets = []string{}
	}
	return x
}

// reason is the word and the sentence; a program cuts at the first colon.
func (e *Error) reason() string { return string(e.Reason) + ": " + e.Detail }
