package relay_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/pronote-cas/caddy-pronote-cas/casauth/protocol"
	"github.com/pronote-cas/caddy-pronote-cas/casauth/relay"
)

// Apereo's and others' SAML, by what changes on its way to PRONOTE.
func entSAML(p, a, service, inResponseTo string, now time.Time) string {
	stamp := func(d time.Duration) string { return now.Add(d).UTC().Format("2006-01-02T15:04:05.000Z") }
	return `<SOAP-ENV:Envelope xmlns:SOAP-ENV="` + soapNS + `"><SOAP-ENV:Header></SOAP-ENV:Header><SOAP-ENV:Body>` +
		`<` + p + `:Response xmlns:` + p + `="` + samlpNS + `" ` + inResponseTo + ` IssueInstant="` + stamp(0) + `" MajorVersion="1" MinorVersion="1" Recipient="` + service + `" ResponseID="_r">` +
		`<` + p + `:Status><` + p + `:StatusCode Value="` + p + `:Success"/></` + p + `:Status>` +
		`<` + a + `:Assertion xmlns:` + a + `="urn:oasis:names:tc:SAML:1.0:assertion" AssertionID="_a" IssueInstant="` + stamp(0) + `" Issuer="ENT &amp; co" MajorVersion="1" MinorVersion="1">` +
		`<` + a + `:Conditions NotBefore="` + stamp(-30*time.Second) + `" NotOnOrAfter="` + stamp(30*time.Second) + `">` +
		`<` + a + `:AudienceRestrictionCondition><` + a + `:Audience>urn:other</` + a + `:Audience><` + a + `:Audience> ` + service + ` </` + a + `:Audience></` + a + `:AudienceRestrictionCondition></` + a + `:Conditions>` +
		`<` + a + `:AuthenticationStatement AuthenticationInstant="` + stamp(-time.Hour) + `" AuthenticationMethod="urn:x"><` + a + `:Subject><` + a + `:NameIdentifier>` + `léa&amp;co` + `</` + a + `:NameIdentifier></` + a + `:Subject></` + a + `:AuthenticationStatement>` +
		`<` + a + `:AttributeStatement><` + a + `:Subject><` + a + `:NameIdentifier>` + `léa&amp;co` + `</` + a + `:NameIdentifier></` + a + `:Subject>` +
		`<` + a + `:Attribute AttributeName="url" AttributeNamespace="n"><` + a + `:AttributeValue>` + service + `</` + a + `:AttributeValue><` + a + `:AttributeValue><![CDATA[<x>]]>&#13;</` + a + `:AttributeValue></` + a + `:Attribute>` +
		`</` + a + `:AttributeStatement></` + a + `:Assertion></` + p + `:Response></SOAP-ENV:Body></SOAP-ENV:Envelope>` + "\n"
}

func latin1(s string) string {
	b := make([]byte, 0, len(s))
	for _, r := range s {
		b = append(b, byte(r))
	}
	return string(b)
}

func TestTheENTsSAMLComesToPRONOTEInItsOwnWords(t *testing.T) {
	now, echo := time.Now(), `InResponseTo="`+requestID+`"`
	service := public + "/eleve.html?a=1&amp;b=2"
	for name, answer := range map[string]string{
		"Apereo":            entSAML("saml1p", "saml1", service, echo, now),
		"older Apereo":      entSAML("saml1p", "saml1", service, `InResponseTo="pronote.college.example"`, now),
		"Edifice":           strings.ReplaceAll(strings.ReplaceAll(entSAML("p", "a", service, "", now), "p:Success", "Success"), `="p:`, `="`),
		"declaration":       `<?xml version="1.0" encoding="UTF-8"?>` + "\n" + entSAML("samlp", "saml", service, echo, now),
		"byte order mark":   "\xEF\xBB\xBF" + entSAML("samlp", "saml", service, echo, now),
		"Latin 1":           latin1(`<?xml version="1.0" encoding="ISO-8859-1"?>` + entSAML("samlp", "saml", service, echo, now)),
		"Latin 1, by HTTP":  latin1(entSAML("samlp", "saml", service, echo, now)),
		"no Recipient":      strings.Replace(entSAML("samlp", "saml", service, echo, now), ` Recipient="`+service+`"`, "", 1),
		"blanks and header": " \r\n" + strings.Replace(entSAML("samlp", "saml", service, echo, now), "<SOAP-ENV:Header>", `<SOAP-ENV:Header><x xmlns="y"/>`, 1),
	} {
		e := says(200, "text/xml; charset=ISO-8859-1", answer)
		s, store := forwarding(t, e)
		spelled := eleve + "?a=1&b=2"
		got := s.Answer(t.Context(), call(relay.SAMLValidate, spelled, entTicket))
		if got.Refusal != nil || !got.Forwarded || got.Status != 200 || got.ContentType != "text/xml; charset=utf-8" {
			t.Errorf("%s: %v", name, got.Refusal)
			continue
		}
		who, err := protocol.Read(protocol.SAML11, got.Body, protocol.Context{Service: spelled, RequestID: requestID})
		if err != nil || who.User != "léa&co" {
			t.Errorf("%s: PRONOTE reads %q, %v in\n%s", name, who.User, err, got.Body)
		}
		// What is not the address of the question is the ENT's, and stays.
		if values := who.Attributes["url"]; len(values) != 2 || values[0] != public+"/eleve.html?a=1&b=2" || values[1] != "<x>" {
			t.Errorf("%s: attributes %q", name, who.Attributes)
		}
		body := string(got.Body)
		for _, kept := range []string{`Issuer="ENT &amp; co"`, `AuthenticationMethod="urn:x"`, `AttributeNamespace="n"`, "urn:other", "&#xD;"} {
			if !strings.Contains(body, kept) {
				t.Errorf("%s: %s is gone from\n%s", name, kept, body)
			}
		}
		if want := strings.Contains(answer, "InResponseTo"); strings.Contains(body, echo) != want {
			t.Errorf("%s: InResponseTo in\n%s", name, body)
		}
		if store.keys("") != 0 {
			t.Errorf("%s: something was stored", name)
		}
	}
}

func TestWithoutARequestIDPRONOTEIsToldNone(t *testing.T) {
	var asked string
	s, _ := forwarding(t, &ent{answer: func(_ *http.Request, body string) (int, string, string, error) {
		_, asked, _ = relay.ReadSAML([]byte(body))
		return 200, "text/xml", entSAML("samlp", "saml", public+"/eleve.html", `InResponseTo="`+asked+`"`, time.Now()), nil
	}})
	got := s.Answer(t.Context(), relay.Call{Endpoint: relay.SAMLValidate, Method: "GET", Query: "TARGET=" + url.QueryEscape(eleve) + "&ticket=" + entTicket})
	if got.Refusal != nil || asked == "" || strings.Contains(string(got.Body), "InResponseTo") {
		t.Errorf("asked by %q: %v %s", asked, got.Refusal, got.Body)
	}
}

func TestTheENTsTextAndXMLPassAsTheyAre(t *testing.T) {
	proxied := `<cas:serviceResponse xmlns:cas="http://www.yale.edu/tp/cas"><cas:authenticationSuccess><cas:user>portail</cas:user><cas:proxies><cas:proxy>https://ent.example/</cas:proxy></cas:proxies></cas:authenticationSuccess></cas:serviceResponse>`
	success := "\n\n" + `<c:serviceResponse xmlns:c='http://www.yale.edu/tp/cas'><c:authenticationSuccess><c:user>léa</c:user><c:nom>Martin</c:nom></c:authenticationSuccess></c:serviceResponse>` + "\n"
	failure := `<cas:serviceResponse xmlns:cas="http://www.yale.edu/tp/cas"><cas:authenticationFailure code='INVALID_TICKET'>Le ticket n'est pas reconnu</cas:authenticationFailure></cas:serviceResponse>`
	for name, c := range map[string]struct {
		endpoint, ticket, body string
		status                 int
		refusal                relay.Code
	}{
		"CAS 1":                    {relay.Validate, entTicket, "yes\nlea\nnom=Martin\n", 200, ""},
		"CAS 1, refused":           {relay.Validate, entTicket, "no\n", 200, relay.InvalidTicket},
		"CAS 2":                    {relay.ServiceValidate, entTicket, success, 200, ""},
		"CAS 3":                    {relay.P3ServiceValidate, entTicket, success, 200, ""},
		"refused":                  {relay.ServiceValidate, entTicket, failure, 200, relay.InvalidTicket},
		"refused with status 400":  {relay.ServiceValidate, entTicket, failure, 400, relay.InvalidTicket},
		"refused in its own words": {relay.ServiceValidate, entTicket, strings.ReplaceAll(failure, "INVALID_TICKET", "UNAUTHORIZED_USER"), 200, "UNAUTHORIZED_USER"},
		"a proxy ticket":           {relay.ProxyValidate, "PT-12-abc.ent", proxied, 200, ""},
		"a proxy ticket, CAS 3":    {relay.P3ProxyValidate, "PT-12-abc.ent", proxied, 200, ""},
	} {
		s, _ := forwarding(t, says(c.status, "text/xml;charset=UTF-8", c.body))
		got := s.Answer(t.Context(), call(c.endpoint, eleve, c.ticket))
		if string(got.Body) != c.body || got.Status != 200 || got.ContentType != "text/xml;charset=UTF-8" || code(got.Refusal) != c.refusal || !got.Forwarded {
			t.Errorf("%s: %d %s %v\n%s", name, got.Status, got.ContentType, got.Refusal, got.Body)
		}
	}
	s, _ := forwarding(t, says(200, "", success))
	if got := s.Answer(t.Context(), call(relay.ServiceValidate, eleve, entTicket)); got.ContentType != "text/xml; charset=utf-8" {
		t.Errorf("content type %q", got.ContentType)
	}
}

func TestTheENTsSAMLRefusalComesThrough(t *testing.T) {
	failure := `<SOAP-ENV:Envelope xmlns:SOAP-ENV="` + soapNS + `"><SOAP-ENV:Body><Response xmlns="` + samlpNS + `" xmlns:samlp="` + samlpNS + `" MajorVersion="1" MinorVersion="1" Recipient="">` +
		`<Status><StatusCode Value="samlp:RequestDenied"/><StatusMessage>le ticket n'est pas reconnu</StatusMessage></Status></Response></SOAP-ENV:Body></SOAP-ENV:Envelope>`
	s, _ := forwarding(t, says(200, "text/xml", failure))
	got := s.Answer(t.Context(), call(relay.SAMLValidate, eleve, entTicket))
	_, err := protocol.Read(protocol.SAML11, got.Body, protocol.Context{Service: eleve, RequestID: requestID})
	if code(got.Refusal) != "RequestDenied" || err == nil || !strings.Contains(err.Error(), "RequestDenied") ||
		!strings.Contains(string(got.Body), "le ticket n'est pas reconnu") || !strings.Contains(string(got.Body), `Recipient=""`) {
		t.Errorf("%v, %v\n%s", got.Refusal, err, got.Body)
	}
}

// LemonLDAP::NG refuses with the two lines of CAS 1 where XML is expected.
func TestARefusalInAnotherProtocolIsTranslated(t *testing.T) {
	s, _ := forwarding(t, says(200, "application/soap+xml", "no\n\n"))
	got := s.Answer(t.Context(), call(relay.ServiceValidate, eleve, entTicket))
	if code(got.Refusal) != relay.InvalidTicket || got.ContentType != "text/xml; charset=utf-8" ||
		!strings.Contains(string(got.Body), `<cas:authenticationFailure code="INVALID_TICKET">`) || !got.Forwarded {
		t.Errorf("%v %s", got.Refusal, got.Body)
	}
}
