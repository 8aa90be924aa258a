package relay

import (
	"encoding/json"
	"encoding/xml"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// attribute is what an answer says of the person beside the name.
type attribute struct {
	name   string
	values []string
}

// attributes returns login and idPronote, which are ours whatever the ENT sent
// by these names, in whatever case: PRONOTE goes by them, and they are what was
// resolved. The ENT's own follow by name.
func (g *Grant) attributes() []attribute {
	all := []attribute{{"login", []string{g.User}}}
	if g.PronoteID != "" {
		all = append(all, attribute{"idPronote", []string{g.PronoteID}})
	}
	for _, name := range slices.Sorted(maps.Keys(g.Attributes)) {
		if written := clean(name); written != "" && !strings.EqualFold(written, "login") && !strings.EqualFold(written, "idPronote") {
			all = append(all, attribute{written, g.Attributes[name]})
		}
	}
	return all
}

// cas3 adds the attributes that the schema of CAS 3.0 (appendix A) asks for, as
// far as the ENT did not send them.
func (g *Grant) cas3(all []attribute) []attribute {
	for _, a := range []attribute{
		{"authenticationDate", []string{instant(g.authenticated())}},
		{"longTermAuthenticationRequestTokenUsed", []string{"false"}},
		{"isFromNewLogin", []string{strconv.FormatBool(g.Fresh)}},
	} {
		if !slices.ContainsFunc(all, func(b attribute) bool { return a.name == b.name }) {
			all = append(all, a)
		}
	}
	return all
}

func (q question) attributes(g Grant) []attribute {
	all := g.attributes()
	if q.endpoint == P3ServiceValidate || q.endpoint == P3ProxyValidate {
		all = g.cas3(all)
	}
	return all
}

func (g *Grant) authenticated() time.Time {
	if g.Authenticated.IsZero() {
		return time.Now()
	}
	return g.Authenticated
}

func instant(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }

const (
	casOpen  = `<cas:serviceResponse xmlns:cas="http://www.yale.edu/tp/cas">`
	casClose = `</cas:serviceResponse>`
)

// casSuccess writes the answer of CAS 2 and 3 (CAS 3.0 §2.5.2). They differ in
// nothing that a client of CAS 2 would mind.
func casSuccess(q question, g Grant) []byte {
	var b strings.Builder
	b.WriteString(casOpen + `<cas:authenticationSuccess><cas:user>` + escape(g.User) + `</cas:user><cas:attributes>`)
	for _, a := range q.attributes(g) {
		start, end := `<cas:`+a.name+`>`, `</cas:`+a.name+`>`
		if !elementName.MatchString(a.name) || slices.Contains(protocolNames, a.name) {
			start, end = `<cas:attribute name="`+escape(a.name)+`">`, `</cas:attribute>`
		}
		for _, value := range a.values {
			b.WriteString(start + escape(value) + end)
		}
	}
	b.WriteString(`</cas:attributes></cas:authenticationSuccess>` + casClose)
	return []byte(b.String())
}

func casFailure(r *Refusal) []byte {
	return []byte(casOpen + `<cas:authenticationFailure code="` + escape(string(r.Code)) + `">` +
		escape(r.Text) + `</cas:authenticationFailure>` + casClose)
}

// elementName is what an attribute may be called as an element: a name in ASCII,
// which all readers take.
var elementName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.-]*$`)

// protocolNames are names that mean something in an answer: clients that search
// for them must not find an attribute. It is written as attributes with odd
// names are, which phpCAS and others read.
var protocolNames = []string{
	"serviceResponse", "authenticationSuccess", "authenticationFailure", "proxySuccess", "proxyFailure",
	"user", "attributes", "attribute", "userAttributes", "proxyGrantingTicket", "proxies", "proxy", "proxyTicket",
}

func jsonSuccess(q question, g Grant) []byte {
	all := make(map[string][]string)
	for _, a := range q.attributes(g) {
		for _, value := range a.values {
			all[a.name] = append(all[a.name], clean(value))
		}
	}
	return jsonResponse("authenticationSuccess", map[string]any{"user": g.User, "attributes": all})
}

func jsonFailure(r *Refusal) []byte {
	return jsonResponse("authenticationFailure", map[string]any{"code": r.Code, "description": r.Text})
}

func jsonResponse(outcome string, content any) []byte {
	body, err := json.Marshal(map[string]any{"serviceResponse": map[string]any{outcome: content}})
	if err != nil {
		panic(err) // strings and maps of strings can be encoded
	}
	return body
}

// escape writes s as text or as the value of an attribute.
func escape(s string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(clean(s))) // a strings.Builder never fails
	return b.String()
}

// clean returns s less what XML 1.0 cannot say (production [2], Char), not even
// escaped: one such character and PRONOTE could read nothing of the answer.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\t' && r != '\n' && r != '\r' || r == 0xFFFE || r == 0xFFFF {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, string(utf8.RuneError)))
}
