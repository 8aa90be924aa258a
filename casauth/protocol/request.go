package protocol

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/xml"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Param is a parameter of an address, as it is before encoding.
type Param struct{ Name, Value string }

// LoginURL is where a browser is sent to log in for service (CAS 3.0 §2.1.1).
// login may have a query of its own, which is kept; params follow it in their
// order. The service is encoded exactly once: twice is the commonest fault of
// CAS clients.
func LoginURL(login, service string, renew bool, params []Param) string {
	all := append(params[:len(params):len(params)], Param{"service", service})
	if renew {
		all = append(all, Param{"renew", "true"})
	}
	return withQuery(login, all...)
}

// withQuery adds params to an address. It does not parse: what an administrator
// wrote stays as it is, byte for byte.
func withQuery(address string, params ...Param) string {
	address, _, _ = strings.Cut(address, "#")
	var b strings.Builder
	b.WriteString(address)
	separator := "?"
	if strings.Contains(address, "?") {
		separator = "&"
		if strings.HasSuffix(address, "?") || strings.HasSuffix(address, "&") {
			separator = ""
		}
	}
	for _, p := range params {
		b.WriteString(separator + url.QueryEscape(p.Name) + "=" + url.QueryEscape(p.Value))
		separator = "&"
	}
	return b.String()
}

// newRequest is the validation request of the protocol. id is the RequestID that
// a SAML response may name; renew is repeated, as CAS 3.0 §2.5.1 asks.
func (c *Client) newRequest(ctx context.Context, service, ticket, id string) (*http.Request, error) {
	var renew []Param
	if c.Renew {
		renew = []Param{{"renew", "true"}}
	}
	if c.Protocol == SAML11 {
		return samlRequest(ctx, withQuery(c.ValidateURL, append([]Param{{"TARGET", service}}, renew...)...), ticket, id)
	}
	address := withQuery(c.ValidateURL, append([]Param{{"service", service}, {"ticket", ticket}}, renew...)...)
	// net/http sends a GET again when a kept connection was reset, and a ticket
	// must not be sent twice: the second time it is used, and refused. A body that
	// cannot be had again forbids it; it is empty, so nothing of it is sent.
	return http.NewRequestWithContext(ctx, http.MethodGet, address, io.NopCloser(strings.NewReader("")))
}

// samlRequest asks for the assertion behind ticket (CAS 3.0 §4.2.2). The ticket
// is escaped as XML and nothing else, in one line: older servers find it by
// searching for the tags.
func samlRequest(ctx context.Context, address, ticket, id string) (*http.Request, error) {
	body := `<?xml version="1.0" encoding="UTF-8"?>` +
		`<SOAP-ENV:Envelope xmlns:SOAP-ENV="` + soapNS + `"><SOAP-ENV:Header/><SOAP-ENV:Body>` +
		`<samlp:Request xmlns:samlp="` + samlpNS + `" MajorVersion="1" MinorVersion="1" RequestID="` + id +
		`" IssueInstant="` + utcInstant(time.Now()) + `"><samlp:AssertionArtifact>` + escapeXML(ticket) +
		`</samlp:AssertionArtifact></samlp:Request></SOAP-ENV:Body></SOAP-ENV:Envelope>`
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, address, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "text/xml; charset=utf-8")
	r.Header.Set("Accept", "text/xml")
	r.Header.Set("Cache-Control", "no-cache")
	r.Header.Set("Pragma", "no-cache")
	// The Keycloak plugin refuses a request without it. Spelled as SOAP does.
	r.Header["SOAPAction"] = []string{"http://www.oasis-open.org/committees/security"}
	return r, nil
}

// newID is an XML ID (it may not begin with a digit) that nobody can guess.
func newID() string {
	var b [16]byte
	rand.Read(b[:]) // never fails (crypto/rand)
	return "_" + hex.EncodeToString(b[:])
}

func utcInstant(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }

func escapeXML(s string) string {
	var b strings.Builder
	xml.EscapeText(&b, []byte(s)) // a strings.Builder never fails
	return b.String()
}
