package castest

import (
	"crypto/rand"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

const (
	nsSOAP      = "http://schemas.xmlsoap.org/soap/envelope/"
	nsProtocol  = "urn:oasis:names:tc:SAML:1.0:protocol"
	nsAssertion = "urn:oasis:names:tc:SAML:1.0:assertion"
)

// samlValidate is the SAML 1.1 endpoint: the service in the query as TARGET,
// the ticket in the SOAP body as AssertionArtifact (CAS 3.0 §4.2).
func (s *Server) samlValidate(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		s.countValidation("/samlValidate", "", r.Header)
		w.Header().Set("Allow", http.MethodPost)
		http.Error(w, "samlValidate wants POST", http.StatusMethodNotAllowed)
		return
	}
	id, requestID, err := readSAMLRequest(http.MaxBytesReader(w, r.Body, 64<<10))
	s.countValidation("/samlValidate", id, r.Header)
	if s.spoil(w, r) {
		return
	}
	service := r.URL.Query().Get("TARGET")
	var v verdict
	switch {
	case err != nil:
		v = verdict{code: "INVALID_REQUEST", text: err.Error()}
	case s.opts.RequireSOAPAction && r.Header.Get("SOAPAction") == "":
		v = verdict{code: "INVALID_REQUEST", text: "no SOAPAction header"}
	default:
		v = s.redeem(id, service, false, false)
	}
	sh := s.currentShape()
	now := time.Now().Add(sh.Skew).UTC()
	w.Header().Set("Content-Type", "text/xml; charset=utf-8")
	_, _ = io.WriteString(w, samlAnswer(v, sh.SAML, service, requestID, now))
}

// readSAMLRequest finds the ticket and the RequestID. Which elements stand
// around them is not looked at; the namespace is.
func readSAMLRequest(body io.Reader) (ticket, requestID string, err error) {
	dec := xml.NewDecoder(body)
	for {
		tok, err := dec.Token()
		if err == io.EOF && ticket != "" {
			return ticket, requestID, nil
		}
		if err != nil {
			return "", "", errors.New("the body holds no SAML 1.1 request with an AssertionArtifact")
		}
		start, ok := tok.(xml.StartElement)
		if !ok || start.Name.Space != nsProtocol {
			continue
		}
		switch start.Name.Local {
		case "Request":
			for _, a := range start.Attr {
				if a.Name.Local == "RequestID" {
					requestID = a.Value
				}
			}
		case "AssertionArtifact":
			if ticket != "" {
				return "", "", errors.New("more than one AssertionArtifact")
			}
			if err := dec.DecodeElement(&ticket, &start); err != nil {
				return "", "", errors.New("AssertionArtifact is not closed")
			}
		}
	}
}

func samlAnswer(v verdict, sh SAMLShape, service, requestID string, now time.Time) string {
	var b strings.Builder
	stamp := now.Format("2006-01-02T15:04:05.000Z")
	p, decl := "", "xmlns"
	if sh.Prefix != "" {
		p, decl = sh.Prefix+":", "xmlns:"+sh.Prefix
	}
	// samlp is always bound: the status is a QName, and servers write it so
	// even where their elements have no prefix.
	b.WriteString(`<?xml version="1.0" encoding="UTF-8"?>` + "\n")
	fmt.Fprintf(&b, `<SOAP-ENV:Envelope xmlns:SOAP-ENV="%s"><SOAP-ENV:Header/><SOAP-ENV:Body>`, nsSOAP)
	fmt.Fprintf(&b, `<%sResponse %s="%s"`, p, decl, nsProtocol)
	if sh.Prefix != "samlp" {
		fmt.Fprintf(&b, ` xmlns:samlp="%s"`, nsProtocol)
	}
	optional(&b, "InResponseTo", sh.InResponseTo, requestID)
	fmt.Fprintf(&b, ` IssueInstant="%s" MajorVersion="1" MinorVersion="1"`, stamp)
	optional(&b, "Recipient", sh.Recipient, service)
	fmt.Fprintf(&b, ` ResponseID="_%s">`, rand.Text())
	if v.code != "" {
		fmt.Fprintf(&b, `<%[1]sStatus><%[1]sStatusCode Value="samlp:Responder"/><%[1]sStatusMessage>%[2]s</%[1]sStatusMessage></%[1]sStatus>`, p, esc(v.code+": "+v.text))
	} else {
		fmt.Fprintf(&b, `<%[1]sStatus><%[1]sStatusCode Value="samlp:Success"/></%[1]sStatus>`, p)
		writeAssertion(&b, v, sh, now, stamp)
	}
	fmt.Fprintf(&b, `</%sResponse></SOAP-ENV:Body></SOAP-ENV:Envelope>`, p)
	return b.String()
}

// optional writes an XML attribute unless it is to be left out or is empty.
func optional(b *strings.Builder, name, shape, usual string) {
	switch shape {
	case Omit:
		return
	case "":
		shape = usual
	}
	if shape != "" {
		fmt.Fprintf(b, ` %s="%s"`, name, esc(shape))
	}
}

func writeAssertion(b *strings.Builder, v verdict, sh SAMLShape, now time.Time, stamp string) {
	p, decl := "", "xmlns"
	if sh.Prefix != "" { // samlp goes with saml, saml1p with saml1
		name := strings.TrimSuffix(sh.Prefix, "p")
		if name == sh.Prefix {
			name += "a"
		}
		p, decl = name+":", "xmlns:"+name
	}
	fmt.Fprintf(b, `<%sAssertion %s="%s" AssertionID="_%s" IssueInstant="%s" Issuer="localhost" MajorVersion="1" MinorVersion="1">`,
		p, decl, nsAssertion, rand.Text(), stamp)
	fmt.Fprintf(b, `<%sConditions NotBefore="%s" NotOnOrAfter="%s">`, p, stamp, now.Add(30*time.Second).Format("2006-01-02T15:04:05.000Z"))
	if sh.Audience != Omit {
		audience := sh.Audience
		if audience == "" {
			audience = v.service
		}
		fmt.Fprintf(b, `<%[1]sAudienceRestrictionCondition><%[1]sAudience>%[2]s</%[1]sAudience></%[1]sAudienceRestrictionCondition>`, p, esc(audience))
	}
	fmt.Fprintf(b, `</%sConditions>`, p)
	subject := fmt.Sprintf(`<%[1]sSubject><%[1]sNameIdentifier>%[2]s</%[1]sNameIdentifier><%[1]sSubjectConfirmation>`+
		`<%[1]sConfirmationMethod>urn:oasis:names:tc:SAML:1.0:cm:artifact</%[1]sConfirmationMethod></%[1]sSubjectConfirmation></%[1]sSubject>`,
		p, esc(v.user.Login))
	if len(v.user.Attributes) > 0 {
		fmt.Fprintf(b, `<%sAttributeStatement>%s`, p, subject)
		for _, name := range v.user.attributeNames() {
			fmt.Fprintf(b, `<%sAttribute AttributeName="%s" AttributeNamespace="http://www.ja-sig.org/products/cas/">`, p, esc(name))
			for _, value := range v.user.Attributes[name] {
				fmt.Fprintf(b, `<%[1]sAttributeValue>%[2]s</%[1]sAttributeValue>`, p, esc(value))
			}
			fmt.Fprintf(b, `</%sAttribute>`, p)
		}
		fmt.Fprintf(b, `</%sAttributeStatement>`, p)
	}
	fmt.Fprintf(b, `<%[1]sAuthenticationStatement AuthenticationInstant="%[2]s" AuthenticationMethod="urn:oasis:names:tc:SAML:1.0:am:password">%[3]s</%[1]sAuthenticationStatement></%[1]sAssertion>`,
		p, v.began.UTC().Format("2006-01-02T15:04:05.000Z"), subject)
}
