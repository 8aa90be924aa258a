package pronotetest

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// escape is PRONOTE's percent-encoding of a service: / and ? are escaped, : and
// = are not. Seen in the redirects of hosted and self-hosted servers.
func escape(service string) string {
	const plain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~:="
	var b strings.Builder
	for _, c := range []byte(service) {
		if strings.IndexByte(plain, c) >= 0 {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

func (c *CAS) loginURL(service string) string {
	return c.URL + c.LoginPath + "?service=" + escape(service)
}

const soapRequest = `<SOAP-ENV:Envelope xmlns:SOAP-ENV="http://schemas.xmlsoap.org/soap/envelope/"><SOAP-ENV:Header/><SOAP-ENV:Body>` +
	`<samlp:Request xmlns:samlp="urn:oasis:names:tc:SAML:1.0:protocol" MajorVersion="1" MinorVersion="1" RequestID="%s" IssueInstant="%s">` +
	`<samlp:AssertionArtifact>%s</samlp:AssertionArtifact></samlp:Request></SOAP-ENV:Body></SOAP-ENV:Envelope>`

// validate asks the CAS server about a ticket.
func (p *pronote) validate(ctx context.Context, service, ticket string) (answer, error) {
	cas := p.cfg.CAS
	at := cas.URL + cas.ValidationPath
	switch segment := at[strings.LastIndex(at, "/")+1:]; segment {
	case "samlValidate":
		id := "_" + rand.Text()
		body := fmt.Sprintf(soapRequest, id, time.Now().UTC().Format(time.RFC3339), xmlEscape(ticket))
		got, err := p.ask(ctx, http.MethodPost, at+"?TARGET="+escape(service), body, samlStatus)
		if err != nil {
			return answer{}, err
		}
		return readSAML(got, service, id, time.Now())
	case "serviceValidate":
		got, err := p.ask(ctx, http.MethodGet, at+"?service="+escape(service)+"&ticket="+escape(ticket), "", casStatus)
		if err != nil {
			return answer{}, err
		}
		return readCAS2(got)
	default:
		return answer{}, &refusal{unknownMethod, "méthode de validation inconnue : " + segment}
	}
}

func (p *pronote) ask(ctx context.Context, method, at, body string, code int) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, at, strings.NewReader(body))
	if err != nil {
		return nil, &refusal{code, "adresse de validation incorrecte"}
	}
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "text/xml; charset=utf-8")
		req.Header.Set("SOAPAction", "http://www.oasis-open.org/committees/security")
	}
	resp, err := p.cfg.Client.Do(req)
	if err != nil {
		return nil, &refusal{code, "le serveur CAS ne répond pas"} // err holds the URL, and so the ticket
	}
	defer func() { _ = resp.Body.Close() }()
	got, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return nil, &refusal{code, "la réponse du serveur CAS est incomplète"}
	}
	if resp.StatusCode != http.StatusOK {
		return nil, &refusal{code, "le serveur CAS répond " + resp.Status}
	}
	return got, nil
}

func xmlEscape(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(s)
}

// identify finds the person an answer is about, in the mode "Avec l'identifiant
// PRONOTE".
func (p *pronote) identify(a answer) (Person, error) {
	ids := a.attributes[p.cfg.CAS.Attribute]
	if len(ids) == 0 {
		return Person{}, &refusal{0, "le serveur CAS ne donne pas l’attribut " + p.cfg.CAS.Attribute}
	}
	if person, ok := p.person(ids[0]); ok {
		return person, nil
	}
	return Person{}, &refusal{0, "aucun utilisateur n’a l’identifiant PRONOTE " + ids[0]}
}

func (p *pronote) person(id string) (Person, bool) {
	for _, person := range p.cfg.People {
		if person.ID != "" && person.ID == id {
			return person, true
		}
	}
	return Person{}, false
}
