package relay

import (
	"bytes"
	"context"
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"
	"time"

	"github.com/pronote-cas/caddy-pronote-cas/casauth/protocol"
)

// Forward is the pass-through for a PRONOTE that stays a client of the ENT but
// validates here. The login went to the ENT for the public form of the service,
// so that form is what the ENT is asked about; in its answer PRONOTE finds the
// service as it knows it.
type Forward struct {
	Endpoints map[string]string // name of an endpoint, as in [Endpoints], to its full address at the ENT
	Transport http.RoundTripper // pooled; decides on TLS and proxies
	Timeout   time.Duration     // of the whole exchange; 0: protocol.DefaultTimeout
}

// protocolOf is how the answer of an endpoint is read.
func protocolOf(endpoint string) protocol.Protocol {
	switch endpoint {
	case Validate:
		return protocol.CAS1
	case SAMLValidate:
		return protocol.SAML11
	case P3ServiceValidate, P3ProxyValidate:
		return protocol.CAS3
	}
	return protocol.CAS2
}

// forward asks the ENT about a ticket that is not ours, and makes of its answer
// the one for PRONOTE.
func (s *Server) forward(ctx context.Context, q question) Response {
	service, allowed := s.Services.asked(q.service)
	endpoint, known := s.Forward.Endpoints[q.endpoint]
	switch {
	case !mayForward(q):
		return s.refused(q, refuse(InvalidTicketSpec, "not a ticket that can be validated here", nil))
	case !allowed:
		return s.refused(q, refuse(InvalidService, "the service is not one of PRONOTE's addresses", nil))
	case !known, q.json:
		return s.refused(q, refuse(InvalidRequest, "the ENT is not asked in this way: choose another endpoint, or XML", nil))
	}
	r, err := s.exchange(ctx, endpoint, service, q)
	if err != nil {
		if strings.Contains(err.Error(), q.ticket) { // a server may put what it was sent anywhere
			err = errors.New("the cause names the ticket, and is left out")
		}
		r = s.refused(q, refuse(InternalError, "the ENT cannot be asked, or its answer cannot be read", err))
	}
	r.Forwarded = true
	return r
}

// mayForward keeps what no server issues away from the ENT. Proxy tickets are
// the ENT's own to judge: portals fetch a pupil's data from PRONOTE with them.
func mayForward(q question) bool {
	if proxied, ok := strings.CutPrefix(q.ticket, "PT-"); ok {
		return (q.endpoint == ProxyValidate || q.endpoint == P3ProxyValidate) && protocol.TicketShape("ST-"+proxied)
	}
	return protocol.TicketShape(q.ticket)
}

func (s *Server) exchange(ctx context.Context, endpoint, service string, q question) (Response, error) {
	timeout := s.Forward.Timeout
	if timeout <= 0 {
		timeout = protocol.DefaultTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()

	ours := q
	ours.service = service
	if ours.requestID == "" {
		ours.requestID = newID()
	}
	request, err := ours.request(ctx, endpoint)
	if err != nil {
		return Response{}, errors.New("the ENT's address is not one") // err quotes it, with the ticket
	}
	answer, err := s.Forward.Transport.RoundTrip(request)
	if err != nil {
		return Response{}, err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(io.LimitReader(answer.Body, protocol.MaxAnswer+1))
	if err != nil {
		return Response{}, err
	}
	return s.passOn(q, ours, answer, body)
}

// passOn judges the ENT's answer as if it were for us; only one that is an
// answer, to this question, goes on to PRONOTE.
func (s *Server) passOn(q, ours question, answer *http.Response, body []byte) (Response, error) {
	contentType := answer.Header.Get("Content-Type")
	charset := ""
	if _, params, err := mime.ParseMediaType(contentType); err == nil {
		charset = params["charset"]
	}
	_, err := protocol.Read(protocolOf(q.endpoint), body, protocol.Context{
		Service: ours.service, RequestID: ours.requestID, Status: answer.StatusCode, Charset: charset,
	})
	var refusal *Refusal
	if failed := (*protocol.Error)(nil); errors.As(err, &failed) {
		if failed.Reason != protocol.ReasonRefused && failed.Reason != protocol.ReasonSOAPFault {
			return Response{}, err
		}
		refusal = refuse(Code(failed.Code), "the ENT refuses the ticket", nil)
		if failed.Code == "" || strings.Contains(failed.Code, q.ticket) {
			refusal.Code = InvalidTicket
		}
	} else if err != nil {
		return Response{}, err
	}
	switch text := bytes.TrimSpace(bytes.TrimPrefix(body, bom)); {
	case q.endpoint == SAMLValidate:
		if body, err = swap(body, charset, ours, q); err != nil {
			return Response{}, err
		}
		contentType = xmlText
	case refusal != nil && q.endpoint != Validate && text[0] != '<':
		return s.refused(q, refusal), nil // LemonLDAP::NG can refuse with the "no" of CAS 1 everywhere
	}
	r := reply(q, contentType)
	r.Body, r.Refusal = body, refusal
	return r, nil
}

// request is q, asked of the ENT.
func (q question) request(ctx context.Context, endpoint string) (*http.Request, error) {
	endpoint, _, _ = strings.Cut(endpoint, "#")
	saml := q.endpoint == SAMLValidate
	// A GET that may be repeated, net/http sends again when a kept connection was
	// reset, and the ticket with it: used by then, and refused. A body that cannot
	// be had twice forbids it; it is empty, so nothing of it is sent.
	method, body := http.MethodGet, io.Reader(io.NopCloser(strings.NewReader("")))
	if saml {
		endpoint = withQuery(endpoint, "TARGET", q.service)
		method, body = http.MethodPost, strings.NewReader(q.envelope())
	} else {
		endpoint = withQuery(withQuery(endpoint, "service", q.service), "ticket", q.ticket)
	}
	if q.renew {
		endpoint = withQuery(endpoint, "renew", "true")
	}
	r, err := http.NewRequestWithContext(ctx, method, endpoint, body)
	if err != nil {
		return nil, err
	}
	r.Header.Set("User-Agent", "caddy-pronote-cas")
	if saml {
		r.Header.Set("Content-Type", "text/xml; charset=utf-8")
		r.Header.Set("Accept", "text/xml")
		r.Header.Set("Cache-Control", "no-cache")
		// The Keycloak plugin refuses a request without it. Spelled as SOAP does.
		r.Header["SOAPAction"] = []string{"http://www.oasis-open.org/committees/security"}
	}
	return r, nil
}

// envelope is the SOAP request (CAS 3.0 §4.2.2), in one line: older servers find
// the ticket by searching for the tags.
func (q question) envelope() string {
	return `<SOAP-ENV:Envelope xmlns:SOAP-ENV="` + soapNS + `"><SOAP-ENV:Header/><SOAP-ENV:Body>` +
		`<samlp:Request xmlns:samlp="` + samlpNS + `" MajorVersion="1" MinorVersion="1" RequestID="` + escape(q.requestID) +
		`" IssueInstant="` + instant(time.Now()) + `"><samlp:AssertionArtifact>` + escape(q.ticket) +
		`</samlp:AssertionArtifact></samlp:Request></SOAP-ENV:Body></SOAP-ENV:Envelope>`
}
