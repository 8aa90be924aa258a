package relay_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"io"
	"net/url"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pronote-cas/caddy-pronote-cas/casauth/protocol"
	"github.com/pronote-cas/caddy-pronote-cas/casauth/relay"
)

// call asks about ticket as clients of the endpoint do.
func call(endpoint, service, ticket string) relay.Call {
	if endpoint == relay.SAMLValidate {
		return relay.Call{Endpoint: endpoint, Method: "POST", Query: "TARGET=" + url.QueryEscape(service),
			ContentType: "text/xml; charset=utf-8", Body: []byte(soap(artifact(ticket)))}
	}
	return relay.Call{Endpoint: endpoint, Method: "GET", Query: url.Values{"service": {service}, "ticket": {ticket}}.Encode()}
}

// ids are what no two answers have in common.
var ids = regexp.MustCompile(`_[0-9a-f]{32}`)

const samlHead = `<SOAP-ENV:Envelope xmlns:SOAP-ENV="http://schemas.xmlsoap.org/soap/envelope/"><SOAP-ENV:Header/><SOAP-ENV:Body>` +
	`<Response xmlns="urn:oasis:names:tc:SAML:1.0:protocol" xmlns:samlp="urn:oasis:names:tc:SAML:1.0:protocol" xmlns:saml="urn:oasis:names:tc:SAML:1.0:assertion"` +
	` InResponseTo="_192.168.16.51.1024506224022" IssueInstant="2000-01-01T00:00:00Z" MajorVersion="1" MinorVersion="1" Recipient="http://10.0.0.5:8088/eleve.html" ResponseID="ID">`

const subject = `<Subject><NameIdentifier>lea.martin</NameIdentifier><SubjectConfirmation><ConfirmationMethod>urn:oasis:names:tc:SAML:1.0:cm:artifact</ConfirmationMethod></SubjectConfirmation></Subject>`

var goldens = map[string]struct{ contentType, success, failure string }{
	relay.Validate: {"text/plain; charset=utf-8", "yes\nlea.martin\n", "no\n\n"},
	relay.ServiceValidate: {"text/xml; charset=utf-8",
		`<cas:serviceResponse xmlns:cas="http://www.yale.edu/tp/cas"><cas:authenticationSuccess><cas:user>lea.martin</cas:user><cas:attributes>` +
			`<cas:login>lea.martin</cas:login><cas:idPronote>KT2AQ3UW4S98DPYX</cas:idPronote>` +
			`<cas:categories>National_1</cas:categories><cas:categories>National_2</cas:categories><cas:nom>Martin</cas:nom>` +
			`</cas:attributes></cas:authenticationSuccess></cas:serviceResponse>`,
		`<cas:serviceResponse xmlns:cas="http://www.yale.edu/tp/cas"><cas:authenticationFailure code="INVALID_TICKET">the ticket is unknown, used or expired</cas:authenticationFailure></cas:serviceResponse>`},
	relay.P3ServiceValidate: {"text/xml; charset=utf-8",
		`<cas:serviceResponse xmlns:cas="http://www.yale.edu/tp/cas"><cas:authenticationSuccess><cas:user>lea.martin</cas:user><cas:attributes>` +
			`<cas:login>lea.martin</cas:login><cas:idPronote>KT2AQ3UW4S98DPYX</cas:idPronote>` +
			`<cas:categories>National_1</cas:categories><cas:categories>National_2</cas:categories><cas:nom>Martin</cas:nom>` +
			`<cas:authenticationDate>2000-01-01T00:00:00Z</cas:authenticationDate>` +
			`<cas:longTermAuthenticationRequestTokenUsed>false</cas:longTermAuthenticationRequestTokenUsed><cas:isFromNewLogin>false</cas:isFromNewLogin>` +
			`</cas:attributes></cas:authenticationSuccess></cas:serviceResponse>`,
		`<cas:serviceResponse xmlns:cas="http://www.yale.edu/tp/cas"><cas:authenticationFailure code="INVALID_TICKET">the ticket is unknown, used or expired</cas:authenticationFailure></cas:serviceResponse>`},
	relay.SAMLValidate: {"text/xml; charset=utf-8",
		samlHead + `<Status><StatusCode Value="samlp:Success"/></Status>` +
			`<Assertion xmlns="urn:oasis:names:tc:SAML:1.0:assertion" AssertionID="ID" IssueInstant="2000-01-01T00:00:00Z" Issuer="https://pronote.college.example/pronote-cas" MajorVersion="1" MinorVersion="1">` +
			`<Conditions NotBefore="1999-12-31T23:59:30Z" NotOnOrAfter="2000-01-01T00:00:30Z"><AudienceRestrictionCondition><Audience>http://10.0.0.5:8088/eleve.html</Audience></AudienceRestrictionCondition></Conditions>` +
			`<AttributeStatement>` + subject +
			`<Attribute AttributeName="login" AttributeNamespace="http://www.ja-sig.org/products/cas"><AttributeValue>lea.martin</AttributeValue></Attribute>` +
			`<Attribute AttributeName="idPronote" AttributeNamespace="http://www.ja-sig.org/products/cas"><AttributeValue>KT2AQ3UW4S98DPYX</AttributeValue></Attribute>` +
			`<Attribute AttributeName="categories" AttributeNamespace="http://www.ja-sig.org/products/cas"><AttributeValue>National_1</AttributeValue><AttributeValue>National_2</AttributeValue></Attribute>` +
			`<Attribute AttributeName="nom" AttributeNamespace="http://www.ja-sig.org/products/cas"><AttributeValue>Martin</AttributeValue></Attribute>` +
			`</AttributeStatement><AuthenticationStatement AuthenticationInstant="2000-01-01T00:00:00Z" AuthenticationMethod="urn:oasis:names:tc:SAML:1.0:am:password">` + subject +
			`</AuthenticationStatement></Assertion></Response></SOAP-ENV:Body></SOAP-ENV:Envelope>`,
		samlHead + `<Status><StatusCode Value="samlp:Responder"/><StatusMessage>INVALID_TICKET: the ticket is unknown, used or expired</StatusMessage></Status></Response></SOAP-ENV:Body></SOAP-ENV:Envelope>`},
}

func TestAnswersToTheByte(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := node(t, newMemory())
		for endpoint, want := range goldens {
			ticket := issue(t, s, pupil())
			for i, body := range []string{want.success, want.failure} { // the second time it is used
				got := s.Answer(t.Context(), call(endpoint, eleve, ticket))
				if text := ids.ReplaceAllString(string(got.Body), "ID"); text != body || got.ContentType != want.contentType || got.Status != 200 || got.Forwarded {
					t.Errorf("%s: %d %s\n%s\nwant\n%s", endpoint, got.Status, got.ContentType, text, body)
				}
				if (got.Refusal != nil) != (i == 1) {
					t.Errorf("%s: refusal %v", endpoint, got.Refusal)
				}
			}
		}
	})
}

var protocols = map[string]protocol.Protocol{
	relay.Validate: protocol.CAS1, relay.ServiceValidate: protocol.CAS2, relay.ProxyValidate: protocol.CAS2,
	relay.P3ServiceValidate: protocol.CAS3, relay.P3ProxyValidate: protocol.CAS3, relay.SAMLValidate: protocol.SAML11,
}

// What a person is called, and what the ENT says of them, is text from outside.
func TestWhatTheENTSaysCannotBreakTheAnswer(t *testing.T) {
	g := pupil()
	g.User = `<b>"O'Neill" & ]]> fils</b>`
	g.Attributes = map[string][]string{
		"nom":                   {`<cas:user>admin</cas:user>`, `"&'<>`, "two\nlines", "tab\there"},
		"nul":                   {"a\x00b", "c\x1bd", "e\uFFFE\uFFFFf"},
		"broken":                {"a\xffb"},
		"user":                  {"admin"},
		"authenticationSuccess": {"x"},
		"authenticationFailure": {"x"},
		"proxies":               {"x"},
		"userAttributes":        {"x"},
		"urn:oid:2.5.4.4":       {"Martin"},
		"2fa":                   {"yes"},
		"a b<c>":                {"odd"},
		"é":                     {"accent"},
		"\x00":                  {"nameless"},
		"":                      {"nameless"},
		"empty":                 {""},
		"none":                  {},
		"LOGIN":                 {"admin"},
		"log\x00in":             {"admin"},
		"idpronote":             {"AAAAAAAAAAAAAAAA"},
	}
	want := map[string][]string{
		"login": {g.User}, "idPronote": {g.PronoteID},
		"nom":    {`<cas:user>admin</cas:user>`, `"&'<>`, "two\nlines", "tab\there"},
		"nul":    {"ab", "cd", "ef"},
		"broken": {"a\uFFFDb"}, "user": {"admin"}, "authenticationSuccess": {"x"}, "authenticationFailure": {"x"},
		"proxies": {"x"}, "userAttributes": {"x"}, "urn:oid:2.5.4.4": {"Martin"}, "2fa": {"yes"}, "a b<c>": {"odd"},
		"é": {"accent"}, "empty": {""},
	}
	s := node(t, newMemory())
	for endpoint, p := range protocols {
		got := s.Answer(t.Context(), call(endpoint, eleve, issue(t, s, g)))
		answer, err := protocol.Read(p, got.Body, protocol.Context{Service: eleve, RequestID: requestID})
		if err != nil {
			t.Errorf("%s: %v\n%s", endpoint, err, got.Body)
			continue
		}
		if answer.User != g.User || len(answer.Proxies) > 0 {
			t.Errorf("%s: %q, %q", endpoint, answer.User, answer.Proxies)
		}
		for _, name := range []string{"authenticationDate", "longTermAuthenticationRequestTokenUsed", "isFromNewLogin"} {
			if _, there := answer.Attributes[name]; there != (p == protocol.CAS3) {
				t.Errorf("%s: %s is there: %v", endpoint, name, there)
			}
			delete(answer.Attributes, name)
		}
		if p != protocol.CAS1 && !reflect.DeepEqual(answer.Attributes, want) {
			t.Errorf("%s:\n got %q\nwant %q", endpoint, answer.Attributes, want)
		}
	}
}

// Recipient, Audience and InResponseTo are PRONOTE's own words.
func TestTheAnswerSpeaksOfTheServiceAsPRONOTEDoes(t *testing.T) {
	s := node(t, newMemory())
	g := pupil()
	g.Service = public + "/eleve.html?a=b&fd=1" // so the browser brought it
	spelled := "http://10.0.0.5:8088/%65leve.html?fd=1&a=b"
	got := s.Answer(t.Context(), call(relay.SAMLValidate, spelled, issue(t, s, g)))
	if got.Refusal != nil {
		t.Fatal(got.Refusal)
	}
	written := "http://10.0.0.5:8088/%65leve.html?fd=1&amp;a=b"
	if strings.Count(string(got.Body), written) != 2 || !strings.Contains(string(got.Body), `InResponseTo="`+requestID+`"`) {
		t.Errorf("%s", got.Body)
	}
	if _, err := protocol.Read(protocol.SAML11, got.Body, protocol.Context{Service: spelled, RequestID: requestID}); err != nil {
		t.Error(err)
	}
}

func TestSAMLWithoutARequestIDNamesNone(t *testing.T) {
	s := node(t, newMemory())
	c := call(relay.SAMLValidate, eleve, issue(t, s, pupil()))
	c.Body = bytes.Replace(c.Body, []byte(` RequestID="`+requestID+`"`), nil, 1)
	if got := s.Answer(t.Context(), c); got.Refusal != nil || bytes.Contains(got.Body, []byte("InResponseTo")) {
		t.Errorf("%v %s", got.Refusal, got.Body)
	}
}

// The PRONOTE.net of 2011 selects //*[name()="Response"], prefix included.
func TestNoPrefixBelowTheSOAPBody(t *testing.T) {
	s := node(t, newMemory())
	ticket := issue(t, s, pupil())
	for range 2 { // a success, then a failure
		dec := xml.NewDecoder(bytes.NewReader(s.Answer(t.Context(), call(relay.SAMLValidate, eleve, ticket)).Body))
		names := map[string]int{}
		for {
			token, err := dec.RawToken()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			if e, ok := token.(xml.StartElement); ok {
				if e.Name.Space != "" && e.Name.Space != "SOAP-ENV" {
					t.Errorf("element %s:%s", e.Name.Space, e.Name.Local)
				}
				names[e.Name.Space+":"+e.Name.Local]++
			}
		}
		if names[":Response"] != 1 || names[":Status"] != 1 || names[":StatusCode"] != 1 {
			t.Errorf("elements %v", names)
		}
	}
}

func TestJSONAnswers(t *testing.T) {
	s := node(t, newMemory())
	for _, endpoint := range []string{relay.ServiceValidate, relay.P3ServiceValidate, relay.ProxyValidate, relay.P3ProxyValidate} {
		g := pupil()
		g.Attributes["authenticationDate"] = []string{"of the ENT"}
		c := call(endpoint, eleve, issue(t, s, g))
		c.Query += "&format=JSON"
		var got struct {
			ServiceResponse struct {
				AuthenticationSuccess *struct {
					User       string
					Attributes map[string][]string
				}
				AuthenticationFailure *struct{ Code, Description string }
			}
		}
		r := s.Answer(t.Context(), c)
		if err := json.Unmarshal(r.Body, &got); err != nil || r.ContentType != "application/json; charset=utf-8" {
			t.Fatalf("%v %s %s", err, r.ContentType, r.Body)
		}
		success := got.ServiceResponse.AuthenticationSuccess
		if success == nil || got.ServiceResponse.AuthenticationFailure != nil || success.User != "lea.martin" ||
			success.Attributes["idPronote"][0] != "KT2AQ3UW4S98DPYX" || len(success.Attributes["categories"]) != 2 ||
			!reflect.DeepEqual(success.Attributes["authenticationDate"], []string{"of the ENT"}) {
			t.Errorf("%s: %s", endpoint, r.Body)
		}
		r = s.Answer(t.Context(), c)
		if want := `{"serviceResponse":{"authenticationFailure":{"code":"INVALID_TICKET","description":"the ticket is unknown, used or expired"}}}`; string(r.Body) != want || r.Status != 200 {
			t.Errorf("%s: %d %s", endpoint, r.Status, r.Body)
		}
	}
}

func TestSomeoneWithoutAnIdentifierHasNone(t *testing.T) {
	s := node(t, newMemory())
	g := pupil()
	g.PronoteID = ""
	g.Attributes["idPronote"] = []string{"what the ENT sent was no identifier"}
	g.Authenticated = time.Date(2026, 3, 10, 9, 0, 0, 0, time.FixedZone("", 3600))
	for _, endpoint := range []string{relay.P3ServiceValidate, relay.SAMLValidate} {
		got := string(s.Answer(t.Context(), call(endpoint, eleve, issue(t, s, g))).Body)
		if strings.Contains(got, "idPronote") || !strings.Contains(got, "2026-03-10T08:00:00Z") {
			t.Errorf("%s", got)
		}
	}
}
