package protocol

import (
	"bytes"
	"compress/flate"
	"compress/zlib"
	"encoding/base64"
	"errors"
	"io"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"
)

const logoutXML = `<samlp:LogoutRequest xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" ID="1" Version="2.0" IssueInstant="2026-03-10T09:00:00Z">` +
	`<saml:NameID xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion">ada</saml:NameID><samlp:SessionIndex>ST-1</samlp:SessionIndex></samlp:LogoutRequest>`

const form = "application/x-www-form-urlencoded"

func posted(xml string) string { return "logoutRequest=" + url.QueryEscape(xml) }

// deflated is a front-channel value, before percent-encoding.
func deflated(xml string, withHeader bool) string {
	var b bytes.Buffer
	var w io.WriteCloser = zlib.NewWriter(&b)
	if !withHeader {
		w, _ = flate.NewWriter(&b, flate.BestCompression)
	}
	io.WriteString(w, xml)
	w.Close()
	return base64.StdEncoding.EncodeToString(b.Bytes())
}

// told is what a logout reader says: the tickets, "ordinary", or the reason.
func told(tickets []string, err error) string {
	var e *Error
	switch {
	case errors.Is(err, ErrNotLogout):
		return "ordinary"
	case errors.As(err, &e) && e.Outcome == Malformed:
		return string(e.Reason)
	case err != nil:
		return err.Error()
	}
	return strings.Join(tickets, " ")
}

func TestReadLogout(t *testing.T) {
	in := func(old, new string) string { return strings.Replace(logoutXML, old, new, 1) }
	for _, x := range []struct{ name, contentType, body, want string }{
		{"form", form, posted(logoutXML), "ST-1"},
		{"form with charset", form + "; charset=UTF-8", posted(logoutXML), "ST-1"},
		{"form in capitals", "Application/X-WWW-Form-URLencoded;charset=utf-8", posted(logoutXML), "ST-1"},
		{"form with a broken parameter", form + "; charset", posted(logoutXML), "ST-1"},
		{"form without a type", "", posted(logoutXML), "ST-1"},
		{"form with other fields", form, "a=1&" + posted(logoutXML) + "&b=2", "ST-1"},
		{"form with a final line break", form, posted(logoutXML) + "\r\n", "ST-1"},
		{"raw", "", logoutXML, "ST-1"},
		{"raw, text/xml", "text/xml; charset=utf-8", "\xEF\xBB\xBF\r\n<?xml version='1.0'?>" + logoutXML + "\n", "ST-1"},
		{"raw, said to be a form", form, logoutXML, "ST-1"},
		{"raw, Latin-1 declared", "", `<?xml version="1.0" encoding="ISO-8859-1"?>` + in("ada", "h\xe9l\xe8ne"), "ST-1"},
		{"raw, Latin-1 by HTTP", "text/xml; charset=iso-8859-1", in("ada", "h\xe9l\xe8ne"), "ST-1"},
		{"form, Latin-1 by HTTP", form + "; charset=ISO-8859-1", posted(in("ada", "h\xe9l\xe8ne")), "ST-1"},
		{"two tickets", form, posted(in("</samlp:SessionIndex>", "</samlp:SessionIndex><samlp:SessionIndex>ST-2</samlp:SessionIndex>")), "ST-1 ST-2"},
		{"default namespace", form, posted(strings.NewReplacer("samlp:", "", ":samlp", "").Replace(logoutXML)), "ST-1"},
		{"index under its own prefix", form, posted(in("<samlp:SessionIndex>ST-1</samlp:SessionIndex>", `<p:SessionIndex xmlns:p="urn:oasis:names:tc:SAML:2.0:protocol">ST-1</p:SessionIndex>`)), "ST-1"},
		{"CDATA, padded", form, posted(in("ST-1", "\n <![CDATA[ST-1]]>\t")), "ST-1"},
		{"NameID empty", form, posted(in(">ada</saml:NameID>", "/>")), "ST-1"},
		{"NameID missing", form, posted(in(`<saml:NameID xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion">ada</saml:NameID>`, "")), "ST-1"},
		{"no date", form, posted(in(` IssueInstant="2026-03-10T09:00:00Z"`, "")), "ST-1"},
		{"date of mail", form, posted(in("2026-03-10T09:00:00Z", "Tue, 10 Mar 2026 09:00:00 +0000")), "ST-1"},
		{"ticket of any form", form, posted(in("ST-1", "_a&amp;b")), "_a&b"},

		{"nothing", form, "", "ordinary"},
		{"another form", form, "a=1&b=2", "ordinary"},
		{"field that ends alike", form, "xlogoutRequest=%3Ca/%3E", "ordinary"},
		{"field of another case", form, "logoutrequest=%3Ca/%3E", "ordinary"},
		{"field in a value", form, "a=logoutRequest%3D", "ordinary"},
		{"SAML response for PRONOTE", form, "SAMLResponse=PHNhbWxwOlJl&RelayState=x", "ordinary"},
		{"SAML request by POST", form, "SAMLRequest=" + url.QueryEscape(base64.StdEncoding.EncodeToString([]byte(logoutXML))), "ordinary"},
		{"WS-Federation", form, "wa=wsignin1.0&wresult=" + url.QueryEscape(logoutXML), "ordinary"},
		{"JSON", "application/json", `{"a":"<samlp:LogoutRequest>"}`, "ordinary"},
		{"JSON that holds the message", "application/json; charset=utf-8", posted(logoutXML), "ordinary"},
		{"upload", "multipart/form-data; boundary=b", "--b\r\nContent-Disposition: form-data; name=\"logoutRequest\"\r\n\r\n" + logoutXML + "\r\n--b--", "ordinary"},
		{"plain text", "text/plain", posted(logoutXML), "ordinary"},
		{"SOAP of the application", "text/xml", `<S:Envelope xmlns:S="u"><S:Body/></S:Envelope>`, "ordinary"},
		{"SOAP that carries the message", "text/xml", soapOpen + logoutXML + soapClose, "ordinary"},
		{"SOAP that mentions it and is broken", "text/xml", `<S:Envelope>LogoutRequest<`, "ordinary"},
		{"another document of 64 KiB", "text/xml", pad("<a>LogoutRequest</a>", MaxLogout+1), "ordinary"},

		{"empty field", form, "logoutRequest=", "empty"},
		{"blank field", form, "logoutRequest=+%0A", "empty"},
		{"wrong percent", form, "logoutRequest=%3Ca%zz", "empty"},
		{"two fields", form, posted(logoutXML) + "&" + posted(logoutXML), "two_messages"},
		{"not XML", form, "logoutRequest=hello", "compression"},
		{"another document in the field", form, posted("<a/>"), "wrong_root"},
		{"other namespace", form, posted(in("SAML:2.0:protocol", "SAML:1.0:protocol")), "wrong_namespace"},
		{"raw, other namespace", "", in("SAML:2.0:protocol", "SAML:1.0:protocol"), "wrong_namespace"},
		{"principal not escaped", form, posted(in("ada", "Tom & Co")), "entity"},
		{"raw, principal not escaped", "", in("ada", "Tom & Co"), "entity"},
		{"raw, declaration, broken", "", "<?xml version='1.0'?>\n<!-- x -->" + in("ada", "<"), "not_xml"},
		{"raw, doctype", "", "<!DOCTYPE a [<!ENTITY b 'c'>]>" + logoutXML, "doctype"},
		{"doctype", form, posted("<!DOCTYPE a>" + logoutXML), "doctype"},
		{"undeclared Latin-1", form, posted(in("ada", "h\xe9l\xe8ne")), "encoding"},
		{"truncated", form, posted(logoutXML[:len(logoutXML)-5]), "truncated"},
		{"raw, truncated", "", logoutXML[:25], "truncated"},
		{"no index", form, posted(in("<samlp:SessionIndex>ST-1</samlp:SessionIndex>", "")), "session_index"},
		{"empty index", form, posted(in("ST-1", "")), "session_index"},
		{"one of two is blank", form, posted(in("</samlp:SessionIndex>", "</samlp:SessionIndex><samlp:SessionIndex> </samlp:SessionIndex>")), "session_index"},
		{"index deeper", form, posted(strings.NewReplacer("<samlp:SessionIndex>", "<x><samlp:SessionIndex>", "</samlp:SessionIndex>", "</samlp:SessionIndex></x>").Replace(logoutXML)), "session_index"},
		{"index of another namespace", form, posted(in("<samlp:SessionIndex>ST-1</samlp:SessionIndex>", "<SessionIndex>ST-1</SessionIndex>")), "session_index"},
		{"comment in the index", form, posted(in("ST-1", "ST-1<!-- -->2")), "session_index"},
		{"too large", form, pad(posted(logoutXML), MaxLogout+1), "too_large"},
		{"raw, too large", "", pad(logoutXML, MaxLogout+1), "too_large"},
		{"too deep", form, posted(in("ada", strings.Repeat("<x>", 40))), "too_deep"},
	} {
		if got := told(ReadLogout(x.contentType, []byte(x.body))); got != x.want {
			t.Errorf("%s: got %s, want %s", x.name, got, x.want)
		}
		if x.want != "ordinary" && !LooksLikeLogout(x.contentType, []byte(x.body)) {
			t.Errorf("%s: does not look like one", x.name)
		}
	}
}

func TestReadFrontLogout(t *testing.T) {
	escape := url.QueryEscape
	zlibbed, raw := deflated(logoutXML, true), deflated(logoutXML, false)
	for _, x := range []struct{ name, query, want, callback string }{
		{"Apereo", "callback=jQuery1_2&logoutRequest=" + escape(zlibbed) + "&_=1", "ST-1", "jQuery1_2"},
		{"CAS 4.0", "SAMLRequest=" + escape(raw) + "&RelayState=e1s1", "ST-1", ""},
		{"names and forms crossed", "SAMLRequest=" + escape(zlibbed), "ST-1", ""},
		{"plus signs not encoded", "logoutRequest=" + strings.ReplaceAll(zlibbed, "=", "%3D"), "ST-1", ""},
		{"base64 for addresses, no padding", "logoutRequest=" + strings.NewReplacer("+", "-", "/", "_", "=", "").Replace(zlibbed), "ST-1", ""},
		{"base64 in lines", "logoutRequest=" + escape(zlibbed[:60]+"\r\n"+zlibbed[60:]), "ST-1", ""},
		{"not deflated at all", posted(logoutXML), "ST-1", ""},
		{"callback that is script", "callback=alert(1)&logoutRequest=" + escape(zlibbed), "ST-1", ""},
		{"two callbacks", "callback=a&callback=b&logoutRequest=" + escape(zlibbed), "ST-1", ""},
		{"long callback", "callback=" + strings.Repeat("a", 129) + "&logoutRequest=" + escape(zlibbed), "ST-1", ""},
		{"page query", "login=true&fd=1", "ordinary", ""},
		{"empty", "", "ordinary", ""},
		{"name that ends alike", "xSAMLRequest=a", "ordinary", ""},
		{"SAML of the application", "SAMLRequest=" + escape(deflated(`<AuthnRequest xmlns="urn:oasis:names:tc:SAML:2.0:protocol"/>`, false)), "ordinary", ""},
		{"SAML login in the CAS field", "logoutRequest=" + escape(deflated(`<AuthnRequest xmlns="urn:oasis:names:tc:SAML:2.0:protocol"/>`, false)), "wrong_root", ""},
		{"both fields", "SAMLRequest=" + escape(raw) + "&logoutRequest=" + escape(zlibbed), "two_messages", ""},
		{"no base64", "logoutRequest=%21%21", "compression", ""},
		{"no deflate", "logoutRequest=AAAA", "compression", ""},
		{"cut short", "logoutRequest=" + escape(zlibbed[:len(zlibbed)/2]), "compression", ""},
		{"bomb", "SAMLRequest=" + escape(deflated(logoutXML+strings.Repeat(" ", MaxLogout), false)), "compression", ""},
		{"64 KiB", "SAMLRequest=" + escape(deflated(pad(logoutXML, MaxLogout), false)), "ST-1", ""},
		{"empty value", "SAMLRequest=&a=b", "empty", ""},
		{"doctype", "SAMLRequest=" + escape(deflated("<!DOCTYPE a>"+logoutXML, false)), "doctype", ""},
	} {
		tickets, callback, err := ReadFrontLogout(x.query)
		if got := told(tickets, err); got != x.want || callback != x.callback {
			t.Errorf("%s: got %s, callback %q, want %s, %q", x.name, got, callback, x.want, x.callback)
		}
	}
}

// What the relay writes is what the gate reads, whatever is in the ticket.
func TestLogoutRequestRoundTrip(t *testing.T) {
	now := time.Date(2026, 3, 10, 10, 0, 0, 0, time.FixedZone("", 3600))
	for _, ticket := range []string{"ST-1", `ST-<a>&"']]>`, "ST-é"} {
		message := LogoutRequest(ticket, now)
		tickets, err := ReadLogout(form, []byte(posted(message)))
		if err != nil || !reflect.DeepEqual(tickets, []string{ticket}) {
			t.Errorf("%q: %q, %v", ticket, tickets, err)
		}
		if !strings.Contains(message, `IssueInstant="2026-03-10T09:00:00Z"`) || message == LogoutRequest(ticket, now) {
			t.Errorf("not in UTC, or the same ID twice: %s", message)
		}
	}
}

func TestExplainLogoutIgnores(t *testing.T) {
	for _, body := range []string{"", "a=b", `{"logoutRequest":"x"}`, "<a/>", "?login=true", "--b\r\nname=\"logoutRequest\"\r\n\r\n<a/>"} {
		if x := ExplainLogout("f", []byte(body)); x.Outcome != "ignored" || x.Tickets == nil || len(x.Tickets) > 0 || x.Reason != "" {
			t.Errorf("%q: %+v", body, x)
		}
	}
	if x := ExplainLogout("f", []byte("?SAMLRequest="+url.QueryEscape(deflated(logoutXML, false))+"\n")); x.Outcome != "ok" {
		t.Errorf("%+v", x)
	}
}
