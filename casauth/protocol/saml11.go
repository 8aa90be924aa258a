package protocol

import (
	"net/url"
	"strings"

	"github.com/beevik/etree"
)

const (
	soapNS  = "http://schemas.xmlsoap.org/soap/envelope/" // SOAP 1.1
	samlpNS = "urn:oasis:names:tc:SAML:1.0:protocol"      // SAML 1.0 and 1.1
	samlNS  = "urn:oasis:names:tc:SAML:1.0:assertion"
)

// readSAML11 reads a SAML 1.1 response in its SOAP envelope (CAS 3.0 §4.2.2).
// First comes what the server says, then whether it can be read in one way only,
// last whether it is meant for this service, request and moment.
func readSAML11(root *etree.Element, c Context) (Answer, error) {
	response, err := samlResponse(root)
	if err != nil {
		return Answer{}, err
	}
	if err := status(response); err != nil {
		return Answer{}, err
	}
	assertion, err := only(response, samlNS, "Assertion", ReasonAssertion)
	if err != nil {
		return Answer{}, err
	}
	if attribute(assertion, "MajorVersion") != "1" {
		return Answer{}, malformed(ReasonVersion)
	}
	conditions, err := readConditions(assertion)
	if err != nil {
		return Answer{}, err
	}
	answer, err := readStatements(assertion)
	if err != nil {
		return Answer{}, err
	}
	if err := addressed(response, c); err != nil {
		return Answer{}, err
	}
	if err := conditions.hold(c); err != nil {
		return Answer{}, err
	}
	return answer, nil
}

// samlResponse returns the Response: the one child of the one Body of a SOAP 1.1
// Envelope. A Header may be there and says nothing.
func samlResponse(root *etree.Element) (*etree.Element, error) {
	if !is(root, soapNS, "Envelope") {
		return nil, wrongRoot(root, "Envelope")
	}
	parts, err := elements(root)
	if err != nil {
		return nil, err
	}
	headers, bodies := named(root, soapNS, "Header"), named(root, soapNS, "Body")
	if len(headers) > 1 || len(bodies) != 1 || len(headers)+len(bodies) != len(parts) {
		return nil, malformed(ReasonEnvelope)
	}
	content, err := elements(bodies[0])
	if err != nil {
		return nil, err
	}
	switch {
	case len(content) != 1:
		return nil, malformed(ReasonEnvelope)
	case is(content[0], soapNS, "Fault"):
		return nil, verdict(ReasonSOAPFault)
	case !is(content[0], samlpNS, "Response"):
		return nil, malformed(ReasonEnvelope)
	case attribute(content[0], "MajorVersion") != "1":
		return nil, malformed(ReasonVersion)
	}
	_, err = elements(content[0])
	return content[0], err
}

// status returns nil if the response is a success. The top StatusCode alone
// decides; those within it explain. Its value is a QName: the prefix means what
// it is bound to at that place. Without a prefix and a default namespace it is
// taken for SAML's own, as some servers write it.
func status(response *etree.Element) error {
	s, err := only(response, samlpNS, "Status", ReasonStatusCode)
	if err != nil {
		return err
	}
	code, err := only(s, samlpNS, "StatusCode", ReasonStatusCode)
	if err != nil {
		return err
	}
	value := attribute(code, "Value")
	prefix, local, prefixed := strings.Cut(value, ":")
	if !prefixed {
		prefix, local = "", value
	}
	if local == "" || strings.ContainsAny(local, ":"+blanks) || prefixed && prefix == "" {
		return malformed(ReasonStatusCode)
	}
	ns := namespaceOf(code, prefix)
	switch {
	case prefixed && ns == "":
		return malformed(ReasonPrefix).with("in the value of StatusCode")
	case local == "Success" && (ns == samlpNS || ns == ""):
		return nil
	}
	return refused(local)
}

// namespaceOf returns what prefix is bound to at e, or "". etree resolves names
// of elements and attributes only.
func namespaceOf(e *etree.Element, prefix string) string {
	for ; e != nil; e = e.Parent() {
		for _, a := range e.Attr {
			if prefix == "" && a.Space == "" && a.Key == "xmlns" || prefix != "" && a.Space == "xmlns" && a.Key == prefix {
				return a.Value
			}
		}
	}
	return ""
}

// addressed holds the response against the service and the request that it
// claims to be for. Absent is fine: the answer came on the connection that we
// opened. Older Apereo versions write the host of the service where others write
// the RequestID; phpCAS's constant RequestID is what a cache would return.
func addressed(response *etree.Element, c Context) error {
	if to, ok := lookAttribute(response, "InResponseTo"); ok && c.RequestID != "" {
		if to != c.RequestID && !ownName(to, c) {
			return verdict(ReasonInResponseTo)
		}
	}
	if to := attribute(response, "Recipient"); to != "" && c.Service != "" && !ownName(to, c) {
		return verdict(ReasonRecipient)
	}
	return nil
}

// ownName tells whether name is the service, or its host.
func ownName(name string, c Context) bool {
	if c.Service == "" {
		return false
	}
	if name == c.Service {
		return true
	}
	u, err := url.Parse(c.Service)
	return err == nil && u.Host != "" && (strings.EqualFold(name, u.Host) || strings.EqualFold(name, u.Hostname()))
}
