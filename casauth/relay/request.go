package relay

import (
	"bytes"
	"net/http"
	"net/url"
	"strings"
)

// question is a call, read: is ticket good for service?
type question struct {
	endpoint  string
	service   string // as PRONOTE spells it; the answer repeats it
	ticket    string
	requestID string // of a SAML request; "" where there is none worth repeating
	renew     bool
	json      bool // CAS 3.0 §2.5.1, format
}

// question reads c. Where it cannot, what it returns is enough for the refusal
// to be written in the form that was asked for.
//
// The form of PRONOTE's request is not public, so its parameters are taken by
// either name and from wherever a client may put them; but each of them once,
// for two readers of a repeated one would read two different ones. pgtUrl is
// ignored (CAS 3.0 §2.5.1): we give no proxy tickets.
func (c Call) question() (q question, _ *Refusal) {
	q.endpoint = c.Endpoint
	bad := func(text string) (question, *Refusal) { return q, refuse(InvalidRequest, text, nil) }

	values, err := url.ParseQuery(c.Query)
	if err != nil {
		return bad("the query is not well-formed")
	}
	switch body := bytes.TrimSpace(c.Body); {
	case c.Method != http.MethodGet && c.Method != http.MethodPost: // a HEAD must not use a ticket up
		return bad("the method is neither GET nor POST")
	case c.Method == http.MethodGet || len(body) == 0:
	case len(c.Body) > MaxBody:
		return bad("the body is too long")
	case c.Endpoint == SAMLValidate && (body[0] == '<' || bytes.HasPrefix(body, bom)):
		ticket, requestID, err := ReadSAML(body)
		if err != nil {
			return bad(err.Error())
		}
		q.requestID = requestID
		values.Add("ticket", ticket)
	case !isForm(c.ContentType):
		return bad("the body is neither a form nor, at samlValidate, a SOAP request")
	default:
		form, err := url.ParseQuery(string(body))
		if err != nil {
			return bad("the form is not well-formed")
		}
		for name, more := range form {
			values[name] = append(values[name], more...)
		}
	}

	format, err := one(values, "format")
	q.json = strings.EqualFold(format, "JSON") && c.Endpoint != Validate && c.Endpoint != SAMLValidate
	switch {
	case err != nil:
		return bad(err.Error())
	case format != "" && !q.json && !strings.EqualFold(format, "XML"):
		return bad("the format is neither XML nor, with CAS 2 and 3, JSON")
	}
	if q.renew, err = flag(values, "renew"); err != nil {
		return bad(err.Error())
	}
	if q.service, err = one(values, "service", "TARGET"); err != nil {
		return bad(err.Error())
	}
	if q.ticket, err = one(values, "ticket", "SAMLart"); err != nil {
		return bad(err.Error())
	}
	switch {
	case q.service == "":
		return bad("the service is missing")
	case q.ticket == "":
		return bad("the ticket is missing")
	}
	return q, nil
}

func isForm(contentType string) bool {
	media, _, _ := strings.Cut(contentType, ";")
	return strings.EqualFold(strings.TrimSpace(media), "application/x-www-form-urlencoded")
}
