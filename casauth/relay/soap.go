package relay

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"strings"
)

const (
	soapNS  = "http://schemas.xmlsoap.org/soap/envelope/" // SOAP 1.1
	samlpNS = "urn:oasis:names:tc:SAML:1.0:protocol"      // SAML 1.0 and 1.1
	samlNS  = "urn:oasis:names:tc:SAML:1.0:assertion"
)

var bom = []byte("\xEF\xBB\xBF")

// artifactPath is where the ticket is in a request (CAS 3.0 §4.2.2). It is found
// by its place and never by a search.
var artifactPath = [...]xml.Name{
	{Space: soapNS, Local: "Envelope"},
	{Space: soapNS, Local: "Body"},
	{Space: samlpNS, Local: "Request"},
	{Space: samlpNS, Local: "AssertionArtifact"},
}

// maxDepth is of elements in each other. A request has four.
const maxDepth = 16

// ReadSAML reads the SOAP request of a SAML 1.1 validation and returns the
// ticket, and the RequestID if there is one that can be repeated. Any prefixes
// do; a DTD, a second document, a second ticket or markup within it do not. The
// error says what is wrong and quotes nothing of body.
func ReadSAML(body []byte) (ticket, requestID string, err error) {
	if len(body) > MaxBody {
		return "", "", errors.New("the SOAP request is too long")
	}
	r := soapReader{dec: xml.NewDecoder(bytes.NewReader(bytes.TrimSpace(bytes.TrimPrefix(body, bom))))}
	r.dec.CharsetReader = asciiOnly
	for first := true; ; first = false {
		token, err := r.dec.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			return "", "", errors.New("the SOAP request is not well-formed XML")
		}
		if err := r.take(token, first); err != nil {
			return "", "", err
		}
	}
	ticket = strings.TrimSpace(r.ticket.String())
	if ticket == "" {
		return "", "", errors.New("the SOAP request holds no AssertionArtifact")
	}
	return ticket, repeatable(r.requestID), nil
}

// asciiOnly takes the encodings in which what a request holds is the same as in
// UTF-8. Where one holds more, the decoder finds bytes that are no UTF-8.
func asciiOnly(label string, input io.Reader) (io.Reader, error) {
	switch strings.ToLower(label) {
	case "utf8", "us-ascii", "iso-8859-1", "iso-8859-15", "windows-1252":
		return input, nil
	}
	return nil, errors.New("unknown encoding")
}

// repeatable returns an id that goes into our answer, or "" for what nobody
// needs to have for one.
func repeatable(id string) string {
	if len(id) > 256 || strings.ContainsFunc(id, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return ""
	}
	return id
}

type soapReader struct {
	dec       *xml.Decoder
	depth     int                    // of the open elements
	onPath    int                    // how many of them, from the root on, are artifactPath's
	seen      [len(artifactPath)]int // how often each was there
	requestID string
	ticket    strings.Builder
}

func (r *soapReader) take(token xml.Token, first bool) error {
	inTicket := r.onPath == len(artifactPath)
	switch t := token.(type) {
	case xml.StartElement:
		return r.start(t, inTicket)
	case xml.EndElement:
		r.depth--
		r.onPath = min(r.onPath, r.depth)
	case xml.CharData:
		switch {
		case inTicket:
			r.ticket.Write(t)
		case r.onPath == r.depth && len(bytes.TrimSpace(t)) > 0:
			return errors.New("the SOAP request holds text where only elements may be")
		}
	case xml.Comment:
		if inTicket { // readers disagree on what comes after it
			return errors.New("the AssertionArtifact holds more than text")
		}
	case xml.Directive:
		return errors.New("the SOAP request holds a DTD")
	case xml.ProcInst:
		if !first || t.Target != "xml" {
			return errors.New("the SOAP request holds a processing instruction")
		}
	}
	return nil
}

func (r *soapReader) start(t xml.StartElement, inTicket bool) error {
	for i, a := range t.Attr {
		for _, b := range t.Attr[:i] {
			if a.Name == b.Name {
				return errors.New("the SOAP request holds an attribute twice")
			}
		}
	}
	here := r.depth
	expected := r.onPath == here && here < len(artifactPath) && t.Name == artifactPath[here]
	switch {
	case r.depth == maxDepth:
		return errors.New("the SOAP request is nested too deep")
	case inTicket:
		return errors.New("the AssertionArtifact holds more than text")
	case expected:
		if r.seen[here]++; r.seen[here] > 1 {
			return errors.New("the SOAP request holds more than one " + t.Name.Local)
		}
		r.onPath++
	case here == 0:
		return errors.New("the body is not a SOAP 1.1 envelope")
	case here == 1 && t.Name != xml.Name{Space: soapNS, Local: "Header"}:
		return errors.New("the SOAP envelope holds more than Header and Body")
	case here == 2 && r.onPath == 2:
		return errors.New("the SOAP body holds something else than a SAML 1.1 Request")
	}
	r.depth++
	if r.onPath == 3 && here == 2 {
		for _, a := range t.Attr {
			if (a.Name == xml.Name{Local: "RequestID"}) {
				r.requestID = a.Value
			}
		}
	}
	return nil
}
