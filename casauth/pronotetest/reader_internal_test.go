package pronotetest

import (
	"errors"
	"regexp"
	"strings"
	"testing"
	"time"
)

var at = time.Date(2026, 3, 10, 9, 0, 0, 0, time.UTC)

const samlSuccess = `<?xml version="1.0" encoding="UTF-8"?>
<E:Envelope xmlns:E="http://schemas.xmlsoap.org/soap/envelope/"><E:Body>
<Response xmlns="urn:oasis:names:tc:SAML:1.0:protocol" InResponseTo="_r" Recipient="https://p.example/">
<Status><StatusCode Value="samlp:Success"/></Status>
<Assertion xmlns="urn:oasis:names:tc:SAML:1.0:assertion">
<Conditions NotBefore="2026-03-10T09:00:00Z" NotOnOrAfter="2026-03-10T09:00:30.000Z"><AudienceRestrictionCondition><Audience>https://p.example/</Audience></AudienceRestrictionCondition></Conditions>
<AttributeStatement><Subject><NameIdentifier> NAA30191 </NameIdentifier></Subject>
<Attribute AttributeName="idPronote"><AttributeValue>KT2AQ3UW4S98DPYX</AttributeValue></Attribute></AttributeStatement>
</Assertion></Response></E:Body></E:Envelope>`

func TestReadSAML(t *testing.T) {
	for _, c := range []struct{ name, from, to, refused string }{
		{name: "as it is"},
		{"no Audience", "<Audience>https://p.example/</Audience>", "", ""},
		{"status without prefix", "samlp:Success", "Success", ""},
		{"refusal", "samlp:Success", "samlp:Responder", "samlp:Responder"},
		{"a status that ends alike", "samlp:Success", "samlp:NoSuccess", "NoSuccess"},
		{"prefixed Response", "<Response ", "<samlp:Response ", "illisible"}, // its end tag does not match
		{"no Response", "Response", "samlp:Response", "Méthode inconnue"},
		{"no user", " NAA30191 ", " ", "NameIdentifier"},
		{"other service", "https://p.example/\"", "https://q.example/\"", "Recipient"},
		{"other audience", "<Audience>https://p.example/", "<Audience>https://q.example/", "Audience"},
		{"other request", `"_r"`, `"_s"`, "InResponseTo"},
		{"over", "09:00:30.000Z", "08:58:59.000Z", "période"},
		{"not yet", "2026-03-10T09:00:00Z", "2026-03-10T09:01:01Z", "période"},
		{"no time", "2026-03-10T09:00:00Z", "maintenant", "période"},
		{"DTD", "<E:Envelope", `<!DOCTYPE x><E:Envelope`, "DTD"},
		{"two documents", "</E:Envelope>", "</E:Envelope><x/>", "illisible"},
		{"cut", "</E:Body></E:Envelope>", "", "illisible"},
	} {
		got, err := readSAML([]byte(strings.ReplaceAll(samlSuccess, c.from, c.to)), "https://p.example/", "_r", at)
		if c.from == "" {
			got, err = readSAML([]byte(samlSuccess), "https://p.example/", "_r", at)
		}
		var r *refusal
		switch {
		case c.refused == "" && (err != nil || got.subject != "NAA30191" || len(got.attributes["idPronote"]) != 1):
			t.Errorf("%s: %+v, %v", c.name, got, err)
		case c.refused != "" && (!errors.As(err, &r) || !strings.Contains(err.Error(), c.refused) || got.subject != ""):
			t.Errorf("%s: %+v, %v", c.name, got, err)
		}
	}
}

func TestReadCAS2(t *testing.T) {
	const head = `<cas:serviceResponse xmlns:cas="http://www.yale.edu/tp/cas"><cas:authenticationSuccess><cas:user>u</cas:user>`
	const foot = `</cas:authenticationSuccess></cas:serviceResponse>`
	for _, c := range []struct{ name, doc, want string }{
		{"nested", head + `<cas:attributes><cas:idPronote>A</cas:idPronote></cas:attributes>` + foot, "A"},
		{"flat", head + `<cas:idPronote> A </cas:idPronote>` + foot, "A"},
		{"name and value", head + `<cas:attribute name="idPronote" value="A"/>` + foot, "A"},
		{"name and text", head + `<cas:attributes><cas:attribute name="idPronote">A</cas:attribute></cas:attributes>` + foot, "A"},
		{"failure", `<cas:serviceResponse><cas:authenticationFailure code="X">t</cas:authenticationFailure></cas:serviceResponse>`, ""},
		{"no user", strings.Replace(head, "u</", "</", 1) + foot, ""},
		{"failure wins", head + `<cas:authenticationFailure code="X"/>` + foot, ""},
		{"other prefix", strings.ReplaceAll(head+foot, "cas:", "sso:"), ""},
	} {
		got, err := readCAS2([]byte(c.doc))
		if c.want == "" {
			if err == nil {
				t.Errorf("%s: %+v", c.name, got)
			}
		} else if err != nil || got.subject != "u" || got.attributes["idPronote"][0] != c.want {
			t.Errorf("%s: %+v, %v", c.name, got, err)
		}
	}
}

func TestEscapeLeavesColonAndEqualsRaw(t *testing.T) {
	for in, want := range map[string]string{
		"https://0310047H.example:443/pronote/mobile.eleve.html?fd=1": "https:%2F%2F0310047H.example:443%2Fpronote%2Fmobile.eleve.html%3Ffd=1",
		"a&b c%é": "a%26b%20c%25%C3%A9",
	} {
		if got := escape(in); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

func TestDemoPeopleHaveIdentifiersOfPronotesForm(t *testing.T) {
	form := regexp.MustCompile(`^[2-9A-HJKMNP-Z]{16}$`)
	seen := map[string]bool{}
	for _, p := range DemoPeople() {
		letters := map[rune]bool{}
		for _, r := range p.ID {
			letters[r] = true
		}
		if _, ok := findEspace(p.Espace); !form.MatchString(p.ID) || len(letters) != 16 || seen[p.ID] || !ok {
			t.Errorf("%+v", p)
		}
		seen[p.ID] = true
	}
}

// FuzzReaders: no bytes make the readers panic, and none make a login without
// an element named exactly Response, or cas:authenticationSuccess.
func FuzzReaders(f *testing.F) {
	f.Add([]byte(samlSuccess))
	f.Add([]byte(`<cas:serviceResponse><cas:authenticationSuccess><cas:user>u</cas:user></cas:authenticationSuccess></cas:serviceResponse>`))
	f.Add([]byte("<a"))
	f.Fuzz(func(t *testing.T, body []byte) {
		if a, err := readSAML(body, "https://p.example/", "_r", at); err == nil && (a.subject == "" || !strings.Contains(string(body), "<Response")) {
			t.Errorf("%+v", a)
		}
		if a, err := readCAS2(body); err == nil && (a.subject == "" || !strings.Contains(string(body), "<cas:authenticationSuccess")) {
			t.Errorf("%+v", a)
		}
	})
}
