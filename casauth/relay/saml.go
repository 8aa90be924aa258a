package relay

import (
	"crypto/rand"
	"encoding/hex"
	"strings"
	"time"
)

// validity is how long before and after its making an assertion holds: PRONOTE's
// clock may be wrong, and its server reads the answer at once.
const validity = 30 * time.Second

// samlSuccess writes the answer of samlValidate (CAS 3.0 §4.2.2): the shape
// that OpenENT answers PRONOTE with, without prefixes below the SOAP body. The
// PRONOTE.net of 2011 selects //*[name()="Response"], and to XPath a prefix is
// part of the name.
func samlSuccess(q question, g Grant, issuer string) []byte {
	now := time.Now()
	var b strings.Builder
	openResponse(&b, q, now)
	b.WriteString(`<Status><StatusCode Value="samlp:Success"/></Status>` +
		`<Assertion xmlns="` + samlNS + `" AssertionID="` + newID() + `" IssueInstant="` + instant(now) +
		`" Issuer="` + escape(issuer) + `" MajorVersion="1" MinorVersion="1">` +
		`<Conditions NotBefore="` + instant(now.Add(-validity)) + `" NotOnOrAfter="` + instant(now.Add(validity)) + `">` +
		`<AudienceRestrictionCondition><Audience>` + escape(q.service) + `</Audience></AudienceRestrictionCondition></Conditions>`)
	subject := `<Subject><NameIdentifier>` + escape(g.User) + `</NameIdentifier><SubjectConfirmation>` +
		`<ConfirmationMethod>urn:oasis:names:tc:SAML:1.0:cm:artifact</ConfirmationMethod></SubjectConfirmation></Subject>`
	b.WriteString(`<AttributeStatement>` + subject)
	for _, a := range g.attributes() {
		if len(a.values) == 0 { // an Attribute has one value at least
			continue
		}
		b.WriteString(`<Attribute AttributeName="` + escape(a.name) + `" AttributeNamespace="http://www.ja-sig.org/products/cas">`)
		for _, value := range a.values {
			b.WriteString(`<AttributeValue>` + escape(value) + `</AttributeValue>`)
		}
		b.WriteString(`</Attribute>`)
	}
	b.WriteString(`</AttributeStatement><AuthenticationStatement AuthenticationInstant="` + instant(g.authenticated()) +
		`" AuthenticationMethod="urn:oasis:names:tc:SAML:1.0:am:password">` + subject + `</AuthenticationStatement></Assertion>`)
	b.WriteString(closeResponse)
	return []byte(b.String())
}

// samlFailure writes a refusal: status 200 and Responder, as all CAS servers do.
func samlFailure(q question, r *Refusal) []byte {
	var b strings.Builder
	openResponse(&b, q, time.Now())
	b.WriteString(`<Status><StatusCode Value="samlp:Responder"/><StatusMessage>` + escape(string(r.Code)+": "+r.Text) +
		`</StatusMessage></Status>` + closeResponse)
	return []byte(b.String())
}

// openResponse writes up to the content of Response. samlp is declared because
// the value of StatusCode is a qualified name.
func openResponse(b *strings.Builder, q question, now time.Time) {
	b.WriteString(`<SOAP-ENV:Envelope xmlns:SOAP-ENV="` + soapNS + `"><SOAP-ENV:Header/><SOAP-ENV:Body>` +
		`<Response xmlns="` + samlpNS + `" xmlns:samlp="` + samlpNS + `" xmlns:saml="` + samlNS + `"`)
	if q.requestID != "" {
		b.WriteString(` InResponseTo="` + escape(q.requestID) + `"`)
	}
	b.WriteString(` IssueInstant="` + instant(now) + `" MajorVersion="1" MinorVersion="1"`)
	if q.service != "" {
		b.WriteString(` Recipient="` + escape(q.service) + `"`)
	}
	b.WriteString(` ResponseID="` + newID() + `">`)
}

const closeResponse = `</Response></SOAP-ENV:Body></SOAP-ENV:Envelope>`

// newID is an XML ID (it may not begin with a digit) that nobody can guess.
func newID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	return "_" + hex.EncodeToString(b[:])
}
