package relay_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/pronote-cas/caddy-pronote-cas/casauth/relay"
)

const (
	soapNS  = "http://schemas.xmlsoap.org/soap/envelope/"
	samlpNS = "urn:oasis:names:tc:SAML:1.0:protocol"
)

// soap is a request as CAS clients send it; inner is the content of Request.
func soap(inner string) string {
	return `<SOAP-ENV:Envelope xmlns:SOAP-ENV="` + soapNS + `"><SOAP-ENV:Header/><SOAP-ENV:Body>` +
		`<samlp:Request xmlns:samlp="` + samlpNS + `" MajorVersion="1" MinorVersion="1" RequestID="_192.168.16.51.1024506224022" IssueInstant="2026-03-10T09:00:00Z">` +
		inner + `</samlp:Request></SOAP-ENV:Body></SOAP-ENV:Envelope>`
}

func artifact(ticket string) string {
	return `<samlp:AssertionArtifact>` + ticket + `</samlp:AssertionArtifact>`
}

const requestID = "_192.168.16.51.1024506224022"

func TestSOAPRequestsOfRealClients(t *testing.T) {
	plain := soap(artifact("ST-1"))
	for name, body := range map[string]string{
		"plain":             plain,
		"declaration":       `<?xml version="1.0" encoding="UTF-8"?>` + "\n" + plain,
		"Latin 1":           `<?xml version="1.0" encoding="ISO-8859-1"?>` + plain,
		"byte order mark":   "\xEF\xBB\xBF" + plain,
		"blank lines":       "\r\n" + plain + "\r\n",
		"other prefixes":    strings.NewReplacer("SOAP-ENV", "s", "samlp:", "p:", "xmlns:samlp", "xmlns:p").Replace(plain),
		"without prefixes":  `<Envelope xmlns="` + soapNS + `"><Body><Request xmlns="` + samlpNS + `" RequestID="` + requestID + `"><AssertionArtifact>ST-1</AssertionArtifact></Request></Body></Envelope>`,
		"padding":           soap(artifact("\n  ST-1\n  ")),
		"CDATA":             soap(artifact("<![CDATA[ST-1]]>")),
		"reference":         soap(artifact("ST&#45;1")),
		"comments":          "<!-- a -->" + soap("<!-- b -->"+artifact("ST-1")) + "<!-- c -->",
		"full header":       strings.Replace(plain, "<SOAP-ENV:Header/>", `<SOAP-ENV:Header><a xmlns="urn:a">ST-2</a></SOAP-ENV:Header>`, 1),
		"decoy in header":   strings.Replace(plain, "<SOAP-ENV:Header/>", `<SOAP-ENV:Header xmlns:samlp="`+samlpNS+`"><samlp:Request RequestID="x">`+artifact("ST-2")+`</samlp:Request></SOAP-ENV:Header>`, 1),
		"without header":    strings.Replace(plain, "<SOAP-ENV:Header/>", "", 1),
		"other parts first": soap(`<samlp:RespondWith>x</samlp:RespondWith>` + artifact("ST-1")),
	} {
		if ticket, id, err := relay.ReadSAML([]byte(body)); ticket != "ST-1" || id != requestID || err != nil {
			t.Errorf("%s: %q, %q, %v", name, ticket, id, err)
		}
	}
}

func TestSOAPRequestsThatAreNone(t *testing.T) {
	plain := soap(artifact("ST-secret"))
	deep := strings.Repeat("<a>", 20) + strings.Repeat("</a>", 20)
	for name, body := range map[string]string{
		"nothing":                   "",
		"no XML":                    "ticket=ST-secret",
		"truncated":                 plain[:len(plain)-1],
		"too long":                  soap(artifact("ST-secret") + strings.Repeat(" ", relay.MaxBody)),
		"DTD":                       `<!DOCTYPE x [<!ENTITY e "ST-secret">]>` + soap(artifact("&e;")),
		"external DTD":              `<!DOCTYPE x SYSTEM "http://evil.example/">` + plain,
		"undefined entity":          soap(artifact("ST-&eacute;")),
		"processing instruction":    `<?php x?>` + plain,
		"a second declaration":      plain + `<?xml version="1.0"?>`,
		"UTF-16":                    `<?xml version="1.0" encoding="UTF-16"?>` + plain,
		"UTF-7":                     `<?xml version="1.0" encoding="UTF-7"?>` + plain,
		"two documents":             plain + plain,
		"text behind":               plain + "ST-2",
		"text between":              strings.Replace(plain, "<SOAP-ENV:Body>", "<SOAP-ENV:Body>x", 1),
		"no ticket":                 soap(""),
		"an empty ticket":           soap(artifact(" ")),
		"two tickets":               soap(artifact("ST-1") + artifact("ST-secret")),
		"the same ticket twice":     soap(artifact("ST-secret") + artifact("ST-secret")),
		"markup in the ticket":      soap(artifact("ST-<b/>secret")),
		"comment in the ticket":     soap(artifact("ST-<!-- -->secret")),
		"a ticket in the ticket":    soap(artifact(artifact("ST-secret"))),
		"ticket elsewhere":          soap(`<samlp:Query>` + artifact("ST-secret") + `</samlp:Query>`),
		"ticket in the header":      strings.Replace(soap(""), "<SOAP-ENV:Header/>", `<SOAP-ENV:Header xmlns:samlp="`+samlpNS+`"><samlp:Request>`+artifact("ST-secret")+`</samlp:Request></SOAP-ENV:Header>`, 1),
		"two requests":              strings.Replace(plain, "</SOAP-ENV:Body>", `<samlp:Request xmlns:samlp="`+samlpNS+`">`+artifact("ST-2")+`</samlp:Request></SOAP-ENV:Body>`, 1),
		"two bodies":                strings.Replace(plain, "<SOAP-ENV:Body>", "<SOAP-ENV:Body/><SOAP-ENV:Body>", 1),
		"something beside the body": strings.Replace(plain, "<SOAP-ENV:Body>", "<x/><SOAP-ENV:Body>", 1),
		"something in the body":     strings.Replace(plain, "<SOAP-ENV:Body>", "<SOAP-ENV:Body><x/>", 1),
		"no envelope":               `<samlp:Request xmlns:samlp="` + samlpNS + `">` + artifact("ST-secret") + `</samlp:Request>`,
		"SOAP 1.2":                  strings.ReplaceAll(plain, soapNS, "http://www.w3.org/2003/05/soap-envelope"),
		"SAML 2":                    strings.ReplaceAll(plain, samlpNS, "urn:oasis:names:tc:SAML:2.0:protocol"),
		"prefix not declared":       strings.Replace(plain, ` xmlns:samlp="`+samlpNS+`"`, "", 1),
		"attribute twice":           strings.Replace(plain, "RequestID=", `RequestID="x" RequestID=`, 1),
		"too deep":                  soap(artifact("ST-secret") + deep),
	} {
		ticket, id, err := relay.ReadSAML([]byte(body))
		if err == nil || ticket != "" || id != "" {
			t.Errorf("%s: %q, %q, %v", name, ticket, id, err)
		} else if strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: the error quotes the ticket: %v", name, err)
		}
	}
}

func TestARequestIDThatIsNoneIsNotRepeated(t *testing.T) {
	for _, id := range []string{"", "a b", "a&#10;b", "é", strings.Repeat("a", 257)} {
		body := strings.Replace(soap(artifact("ST-1")), requestID, id, 1)
		if ticket, got, err := relay.ReadSAML([]byte(body)); ticket != "ST-1" || got != "" || err != nil {
			t.Errorf("%q: %q, %q, %v", id, ticket, got, err)
		}
	}
}

func FuzzReadSAML(f *testing.F) {
	f.Add([]byte(soap(artifact("ST-1"))))
	f.Add([]byte(`<?xml version="1.0" encoding="ISO-8859-1"?>` + soap(artifact("<![CDATA[ST-1]]>"))))
	f.Add([]byte(`<!DOCTYPE x>` + soap(artifact("ST-1")+artifact("ST-2"))))
	f.Fuzz(func(t *testing.T, body []byte) {
		ticket, id, err := relay.ReadSAML(body)
		if err != nil {
			if ticket != "" || id != "" {
				t.Errorf("an error, and %q, %q", ticket, id)
			}
			return
		}
		if ticket == "" || len(body) > relay.MaxBody || strings.Contains(string(body), "<!DOCTYPE") && !strings.Contains(string(body), "<!--") && !strings.Contains(string(body), "CDATA") {
			t.Errorf("%q was read as %q", body, ticket)
		}
		// What was read reads the same when it is written as clients do.
		again := strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", "\r", "&#13;").Replace(ticket)
		if got, _, err := relay.ReadSAML([]byte(soap(artifact(again)))); len(again) < 1<<13 && (got != ticket || err != nil) {
			t.Errorf("%q is read back as %q, %v", ticket, got, fmt.Sprint(err))
		}
	})
}
