package protocol

import (
	"reflect"
	"strings"
	"testing"
	"time"
)

// samlAnswer is a SAML response with places that a test fills.
type samlAnswer string

// with replaces a place, or any text, which must be there.
func (s samlAnswer) with(old, new string) samlAnswer {
	if !strings.Contains(string(s), old) {
		panic("nothing to replace: " + old)
	}
	return samlAnswer(strings.ReplaceAll(string(s), old, new))
}

// String fills what is left as a server would that lets ada in.
func (s samlAnswer) String() string {
	return strings.NewReplacer("@response", ` InResponseTo="`+requestID+`"`, "@status", "samlp:Success",
		"@start", "2026-03-10T08:59:30Z", "@end", "2026-03-10T09:00:30Z", "@audience", samlAudience(service),
		"@attributes", "", "@name", "ada", "@more", "").Replace(string(s))
}

func samlAudience(audiences ...string) string {
	s := "<AudienceRestrictionCondition>"
	for _, a := range audiences {
		s += "<Audience>" + a + "</Audience>"
	}
	return s + "</AudienceRestrictionCondition>"
}

const (
	soapOpen  = `<S:Envelope xmlns:S="http://schemas.xmlsoap.org/soap/envelope/"><S:Header/><S:Body>`
	soapClose = `</S:Body></S:Envelope>`
	samlFault = soapOpen + `<S:Fault><faultcode>S:Server</faultcode></S:Fault>` + soapClose

	samlSubject = `<Subject><NameIdentifier>@name</NameIdentifier></Subject>`
	samlLogin   = `<AuthenticationStatement AuthenticationInstant="x" AuthenticationMethod="y">` + samlSubject + `</AuthenticationStatement>`

	samlOK samlAnswer = soapOpen +
		`<samlp:Response xmlns:samlp="urn:oasis:names:tc:SAML:1.0:protocol" MajorVersion="1" MinorVersion="1" ResponseID="_r"@response>` +
		`<samlp:Status><samlp:StatusCode Value="@status"/></samlp:Status>` +
		`<Assertion xmlns="urn:oasis:names:tc:SAML:1.0:assertion" MajorVersion="1" MinorVersion="1" AssertionID="_a" Issuer="x">` +
		`<Conditions NotBefore="@start" NotOnOrAfter="@end">@audience</Conditions>` + samlLogin + `@attributes</Assertion>@more</samlp:Response>` + soapClose
)

func TestReadSAML11(t *testing.T) {
	ok := samlOK
	for _, r := range []struct {
		name string
		body samlAnswer
		want string
	}{
		{"as it should be", ok, "ok ada"},
		{"byte order mark", "\xEF\xBB\xBF\n" + ok, "ok ada"},
		{"no header", ok.with("<S:Header/>", ""), "ok ada"},
		{"header with anything", ok.with("<S:Header/>", "<S:Header><x><samlp:Response xmlns:samlp='u'/></x></S:Header>"), "ok ada"},
		{"CDATA", ok.with("@name", "<![CDATA[ada]]>"), "ok ada"},
		{"comments between", ok.with("<Assertion", "<!-- --><Assertion"), "ok ada"},
		{"signature", ok.with("@more", "<ds:Signature xmlns:ds='http://www.w3.org/2000/09/xmldsig#'/>"), "ok ada"},
		{"two headers", ok.with("<S:Header/>", "<S:Header/><S:Header/>"), "envelope"},
		{"two bodies", ok.with(soapClose, "</S:Body><S:Body/></S:Envelope>"), "envelope"},
		{"body in the header", samlAnswer(strings.NewReplacer("<S:Header/><S:Body>", "<S:Header><S:Body>", "</S:Body>", "</S:Body></S:Header>").Replace(string(ok))), "envelope"},
		{"two responses", ok.with(soapClose, "<samlp:Response xmlns:samlp='urn:oasis:names:tc:SAML:1.0:protocol' MajorVersion='1'/>"+soapClose), "envelope"},
		{"response and fault", ok.with(soapClose, "<S:Fault/>"+soapClose), "envelope"},
		{"empty body", soapOpen + soapClose, "envelope"},
		{"text in the body", ok.with("<S:Body>", "<S:Body>x"), "stray_text"},
		{"text in the response", ok.with("@more", "x"), "stray_text"},
		{"no envelope", samlAnswer(strings.TrimSuffix(strings.TrimPrefix(string(ok), soapOpen), soapClose)), "wrong_root"},
		{"response of SAML 2", ok.with("SAML:1.0:protocol", "SAML:2.0:protocol"), "envelope"},
		{"no version", ok.with(` MajorVersion="1" MinorVersion="1" ResponseID`, ` ResponseID`), "version"},
		{"assertion version 2", ok.with(`MajorVersion="1" MinorVersion="1" AssertionID`, `MajorVersion="2" AssertionID`), "version"},
		{"fault", samlFault, "soap_fault"},
		{"page", "<!DOCTYPE html><html>", "html_page"},
		{"CAS 1", "no\n\n", "not_xml"},
		{"JSON", "{}", "json"},

		{"status in the default namespace", ok.with(`<samlp:StatusCode Value="@status"/>`, `<StatusCode xmlns="urn:oasis:names:tc:SAML:1.0:protocol" Value="Success"/>`), "ok ada"},
		{"status padded", ok.with("@status", " samlp:Success\n"), "ok ada"},
		{"prefix bound at the node", ok.with(`<samlp:StatusCode Value="@status"/>`, `<samlp:StatusCode xmlns:p="urn:oasis:names:tc:SAML:1.0:protocol" Value="p:Success"/>`), "ok ada"},
		{"another Success", ok.with(`<samlp:StatusCode Value="@status"/>`, `<samlp:StatusCode xmlns:p="urn:evil" Value="p:Success"/>`), "refused"},
		{"another default namespace", ok.with(`<samlp:StatusCode Value="@status"/>`, `<samlp:StatusCode xmlns="urn:evil" Value="Success"/>`), "refused"},
		{"success in small letters", ok.with("@status", "samlp:success"), "refused"},
		{"denied", ok.with("@status", "samlp:RequestDenied"), "refused"},
		{"undeclared prefix", ok.with("@status", "p:Success"), "undeclared_prefix"},
		{"empty status", ok.with("@status", ""), "status_code"},
		{"prefix only", ok.with("@status", "samlp:"), "status_code"},
		{"no prefix but a colon", ok.with("@status", ":Success"), "status_code"},
		{"two colons", ok.with("@status", "a:b:Success"), "status_code"},
		{"no value", ok.with(` Value="@status"`, ""), "status_code"},
		{"status of another namespace", ok.with("samlp:Status>", "Status>"), "status_code"},
		{"no status code", ok.with(`<samlp:StatusCode Value="@status"/>`, ""), "status_code"},

		{"no assertion", samlAnswer(cut(string(ok), "<Assertion", "</Assertion>")), "assertion"},
		{"assertion deeper", ok.with("<Assertion", "<x><Assertion").with("</Assertion>", "</Assertion></x>"), "assertion"},
		{"no conditions", samlAnswer(cut(string(ok), "<Conditions", "</Conditions>")), "conditions"},
		{"two conditions", ok.with("<Conditions", `<Conditions NotBefore="2026-03-10T08:59:30Z" NotOnOrAfter="2036-03-10T09:00:30Z"/><Conditions`), "conditions"},
		{"no end", ok.with(` NotOnOrAfter="@end"`, ""), "dates"},
		{"no zone", ok.with("@start", "2026-03-10T08:59:30"), "dates"},
		{"zone without colon", ok.with("@start", "2026-03-10T08:59:30+0000"), "dates"},
		{"date only", ok.with("@start", "2026-03-10"), "dates"},
		{"one-digit hour", ok.with("@start", "2026-03-10T8:59:30Z"), "dates"},
		{"comma", ok.with("@start", "2026-03-10T08:59:30,5Z"), "dates"},
		{"no such day", ok.with("@start", "2026-02-30T08:59:30Z"), "dates"},
		{"long fraction", ok.with("@start", "2026-03-10T08:59:30.123456789012345Z"), "ok ada"},
		{"fraction, +00:00", ok.with("@end", "2026-03-10T09:00:30.5+00:00"), "ok ada"},
		{"zone west", ok.with("@start", "2026-03-10T03:59:30-05:00"), "ok ada"},
		{"start, to the second", ok.with("@start", "2026-03-10T09:01:00Z").with("@end", "2026-03-10T09:02:00Z"), "ok ada"},
		{"start, a moment later", ok.with("@start", "2026-03-10T09:01:00.001Z").with("@end", "2026-03-10T09:02:00Z"), "not_yet_valid"},
		{"end, a moment later", ok.with("@start", "2026-03-10T08:58:00Z").with("@end", "2026-03-10T08:59:00.001Z"), "ok ada"},
		{"end, to the second", ok.with("@start", "2026-03-10T08:58:00Z").with("@end", "2026-03-10T08:59:00Z"), "expired"},

		{"no audience", ok.with("@audience", ""), "ok ada"},
		{"two restrictions, both ours", ok.with("@audience", samlAudience(service)+samlAudience("https://x/", service)), "ok ada"},
		{"two restrictions, one ours", ok.with("@audience", samlAudience(service)+samlAudience("https://x/")), "audience"},
		{"audience in capitals", ok.with("@audience", samlAudience(strings.ToUpper(service))), "audience"},
		{"audience is our host", ok.with("@audience", samlAudience("https://pronote.example.fr/")), "audience"},
		{"comment in the audience", ok.with("@audience", samlAudience(service+"<!-- -->")), "conditions"},
		{"something else in the restriction", ok.with("@audience", "<AudienceRestrictionCondition><Other/></AudienceRestrictionCondition>"), "conditions"},
		{"do not cache", ok.with("@audience", "<DoNotCacheCondition/>"), "ok ada"},
		{"foreign condition", ok.with("@audience", "<DoNotCacheCondition xmlns='u'/>"), "unknown_condition"},
		{"text among the conditions", ok.with("@audience", "x"), "stray_text"},

		{"no InResponseTo", ok.with("@response", ""), "ok ada"},
		{"InResponseTo our host", ok.with("@response", ` InResponseTo="Pronote.example.fr"`), "ok ada"},
		{"InResponseTo our service", ok.with("@response", ` InResponseTo="`+service+`"`), "ok ada"},
		{"empty InResponseTo", ok.with("@response", ` InResponseTo=""`), "in_response_to"},
		{"InResponseTo another host", ok.with("@response", ` InResponseTo="evil.example.fr"`), "in_response_to"},
		{"InResponseTo in part", ok.with("@response", ` InResponseTo="`+requestID[:20]+`"`), "in_response_to"},
		{"Recipient", ok.with("@response", ` Recipient="`+service+`"`), "ok ada"},
		{"Recipient empty", ok.with("@response", ` Recipient=""`), "ok ada"},
		{"Recipient our host", ok.with("@response", ` Recipient="pronote.example.fr"`), "ok ada"},
		{"Recipient longer", ok.with("@response", ` Recipient="`+service+`/x"`), "recipient"},

		{"subject of another namespace", ok.with("<Subject>", "<Subject xmlns='u'>"), "subject"},
		{"two subjects", ok.with("<Subject>", "<Subject/><Subject>"), "subject"},
		{"name of another namespace", ok.with("<NameIdentifier>", "<NameIdentifier xmlns='u'>"), "no_user"},
		{"element in the name", ok.with("@name", "a<b/>da"), "user_markup"},
		{"line break in the name", ok.with("@name", "ada\nroot"), "user_characters"},
		{"long name", ok.with("@name", strings.Repeat("u", 257)), "user_too_long"},
		{"attributes without subject", ok.with("@attributes", "<AttributeStatement/>"), "subject"},
		{"attributes of another", ok.with("@attributes", "<AttributeStatement><Subject><NameIdentifier>root</NameIdentifier></Subject></AttributeStatement>"), "subject_mismatch"},
		{"attributes, comment in the name", ok.with("@attributes", "<AttributeStatement><Subject><NameIdentifier>ada<!-- --></NameIdentifier></Subject></AttributeStatement>"), "subject_mismatch"},
		{"decision about another", ok.with("@attributes", "<AuthorizationDecisionStatement><Subject><NameIdentifier>root</NameIdentifier></Subject></AuthorizationDecisionStatement>"), "subject_mismatch"},
		{"advice", ok.with("@attributes", "<Advice><AuthenticationStatement><Subject><NameIdentifier>root</NameIdentifier></Subject></AuthenticationStatement></Advice>"), "ok ada"},
		{"login only in the advice", ok.with("<AuthenticationStatement", "<Advice><AuthenticationStatement").with("</AuthenticationStatement>", "</AuthenticationStatement></Advice>"), "subject"},
		{"failure, whatever else it says", ok.with("@status", "samlp:Responder").with("@response", ` InResponseTo="x"`), "refused"},
	} {
		reading{r.name, r.body.String(), r.want}.check(t, SAML11, fixed)
	}
}

// cut removes what is from the first start to the last end.
func cut(s, start, end string) string {
	return s[:strings.Index(s, start)] + s[strings.LastIndex(s, end)+len(end):]
}

func TestSAML11Attributes(t *testing.T) {
	statement := func(s string) samlAnswer {
		return samlOK.with("@attributes", "<AttributeStatement>"+samlSubject+s+"</AttributeStatement>")
	}
	for _, x := range []struct {
		name string
		body samlAnswer
		want map[string][]string
	}{
		{"none", statement(""), map[string][]string{}},
		{"several values", statement(`<Attribute AttributeName="g"><AttributeValue>a</AttributeValue><AttributeValue>b</AttributeValue></Attribute>`), map[string][]string{"g": {"a", "b"}}},
		{"repeated attribute", statement(`<Attribute AttributeName="g"><AttributeValue>a</AttributeValue></Attribute><Attribute AttributeName="g"><AttributeValue>b</AttributeValue><AttributeValue>a</AttributeValue></Attribute>`),
			map[string][]string{"g": {"a", "b"}}},
		{"empty, padded, typed, CDATA", statement(`<Attribute AttributeName="e"><AttributeValue/></Attribute><Attribute AttributeName="p"><AttributeValue xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="x"> a
			</AttributeValue></Attribute><Attribute AttributeName="c"><AttributeValue><![CDATA[<a>]]></AttributeValue></Attribute>`), map[string][]string{"e": {""}, "p": {"a"}, "c": {"<a>"}}},
		{"nested value", statement(`<Attribute AttributeName="g"><AttributeValue><x>a</x></AttributeValue><AttributeValue>b</AttributeValue></Attribute>`), map[string][]string{"g": {"b"}}},
		{"no value, no name, other namespace", statement(`<Attribute AttributeName="g"/><Attribute><AttributeValue>a</AttributeValue></Attribute><Attribute xmlns="u" AttributeName="h"><AttributeValue>a</AttributeValue></Attribute>`), map[string][]string{}},
		{"two statements", statement(`<Attribute AttributeName="a"><AttributeValue>1</AttributeValue></Attribute>`).with("</AttributeStatement>", "</AttributeStatement><AttributeStatement>"+samlSubject+`<Attribute AttributeName="b"><AttributeValue>2</AttributeValue></Attribute></AttributeStatement>`),
			map[string][]string{"a": {"1"}, "b": {"2"}}},
	} {
		answer, err := Read(SAML11, []byte(x.body.String()), fixed)
		if err != nil || !reflect.DeepEqual(answer.Attributes, x.want) {
			t.Errorf("%s: got %v, %v, want %v", x.name, answer.Attributes, err, x.want)
		}
	}
}

// What is not known of a saved answer is not held against it, and nothing else
// is forgotten.
func TestSavedAnswer(t *testing.T) {
	now := time.Now().UTC()
	body := samlOK.with("@start", utcInstant(now.Add(-30*time.Second))).with("@end", utcInstant(now.Add(30*time.Second)))
	reading{"nothing known", body.String(), "ok ada"}.check(t, SAML11, Context{})
	reading{"another service", body.String(), "audience"}.check(t, SAML11, Context{Service: "https://x/"})
	reading{"another request", body.String(), "in_response_to"}.check(t, SAML11, Context{RequestID: "_1"})
	reading{"old", samlOK.String(), "expired"}.check(t, SAML11, Context{Now: fixed.Now.Add(time.Hour)})
	reading{"little tolerance", samlOK.with("@start", "2026-03-10T09:00:02Z").String(), "not_yet_valid"}.check(t, SAML11, Context{Now: fixed.Now, Skew: time.Second})
}
