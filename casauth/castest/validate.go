package castest

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Omit, as a field of a [Shape], leaves the thing out of the answer.
const Omit = "-"

// Style is how attributes are written in an answer of CAS 2 and 3.
type Style int

// The styles that servers in use have.
const (
	Nested         Style = iota // <cas:attributes><cas:nom>…: CAS 3.0 §2.5.7
	Flat                        // <cas:nom>… beside cas:user: older servers, some French ENTs
	NameValue                   // <cas:attribute name="nom" value="…"/> in cas:attributes
	UserAttributes              // <cas:attributes><cas:userAttributes><nom xmlns="">…: Edifice
	NoAttributes                // only the user, as CAS 2 had it
)

// Shape is the form of the answers; every value of it has a server that
// answers so. The zero value is CAS 3.0's own form, and SAML 1.1 without
// prefixes below the SOAP body.
type Shape struct {
	Style   Style
	Prefix  string   // namespace prefix of CAS answers; "": cas; Omit: default namespace
	Proxies []string // a proxy chain to be written into successes
	SAML    SAMLShape

	// Skew is how far the server's clock is ahead, in SAML answers and in the
	// Date header of everything; negative: behind.
	Skew time.Duration
}

// SAMLShape is the form of SAML 1.1 answers.
type SAMLShape struct {
	Prefix       string // of the protocol namespace, e.g. "samlp", "saml1p"; "": none
	Recipient    string // "": the service; or Omit, or this value
	Audience     string // "": the service; or Omit, or this value
	InResponseTo string // "": the RequestID; or Omit, or this value
}

func (s *Server) validate(w http.ResponseWriter, r *http.Request, endpoint string) {
	if endpoint == "/samlValidate" {
		s.samlValidate(w, r)
		return
	}
	q := r.URL.Query()
	id := q.Get("ticket")
	s.countValidation(endpoint, id, r.Header)
	if s.spoil(w, r) {
		return
	}
	proxyOK := strings.HasSuffix(endpoint, "/proxyValidate")
	v := s.redeem(id, q.Get("service"), isSet(q, "renew"), proxyOK)
	switch {
	case endpoint == "/validate":
		writeCAS1(w, v)
	case q.Get("format") == "JSON":
		writeJSON(w, v, s.currentShape())
	default:
		writeXML(w, v, s.currentShape(), strings.HasPrefix(endpoint, "/p3/"))
	}
}

// isSet reads renew and gateway: CAS 3.0 §2.1.1 asks only that they be set.
func isSet(q url.Values, name string) bool {
	return q.Has(name) && q.Get(name) != "false"
}

func writeCAS1(w http.ResponseWriter, v verdict) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	if v.code != "" {
		_, _ = io.WriteString(w, "no\n\n")
		return
	}
	_, _ = io.WriteString(w, "yes\n"+v.user.Login+"\n")
}

func writeXML(w http.ResponseWriter, v verdict, sh Shape, p3 bool) {
	p, decl := sh.Prefix+":", "xmlns:"+sh.Prefix
	switch sh.Prefix {
	case "":
		p, decl = "cas:", "xmlns:cas"
	case Omit:
		p, decl = "", "xmlns"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "<%sserviceResponse %s=\"http://www.yale.edu/tp/cas\">\n", p, decl)
	if v.code != "" {
		fmt.Fprintf(&b, "  <%[1]sauthenticationFailure code=\"%[2]s\">%[3]s</%[1]sauthenticationFailure>\n", p, esc(v.code), esc(v.text))
	} else {
		fmt.Fprintf(&b, "  <%[1]sauthenticationSuccess>\n    <%[1]suser>%[2]s</%[1]suser>\n", p, esc(v.user.Login))
		writeAttributes(&b, v, sh.Style, p, p3)
		if len(sh.Proxies) > 0 {
			fmt.Fprintf(&b, "    <%sproxies>\n", p)
			for _, proxy := range sh.Proxies {
				fmt.Fprintf(&b, "      <%[1]sproxy>%[2]s</%[1]sproxy>\n", p, esc(proxy))
			}
			fmt.Fprintf(&b, "    </%sproxies>\n", p)
		}
		fmt.Fprintf(&b, "  </%sauthenticationSuccess>\n", p)
	}
	fmt.Fprintf(&b, "</%sserviceResponse>\n", p)
	w.Header().Set("Content-Type", "application/xml; charset=utf-8")
	_, _ = io.WriteString(w, b.String())
}

func writeAttributes(b *strings.Builder, v verdict, style Style, p string, p3 bool) {
	if style == NoAttributes {
		return
	}
	if style != Flat {
		fmt.Fprintf(b, "    <%sattributes>\n", p)
		defer fmt.Fprintf(b, "    </%sattributes>\n", p)
	}
	if style == UserAttributes {
		fmt.Fprintf(b, "      <%suserAttributes>\n", p)
		defer fmt.Fprintf(b, "      </%suserAttributes>\n", p)
	}
	if style == Nested && p3 { // CAS 3.0 §2.5.7
		element(b, p+"authenticationDate", "", v.began.UTC().Format(time.RFC3339))
		element(b, p+"longTermAuthenticationRequestTokenUsed", "", "false")
		element(b, p+"isFromNewLogin", "", fmt.Sprint(v.primary))
	}
	for _, name := range v.user.attributeNames() {
		for _, value := range v.user.Attributes[name] {
			switch style {
			case NameValue:
				fmt.Fprintf(b, "      <%sattribute name=\"%s\" value=\"%s\"/>\n", p, esc(name), esc(value))
			case UserAttributes:
				element(b, elementName(name), ` xmlns=""`, value)
			default:
				element(b, p+elementName(name), "", value)
			}
		}
	}
}

func element(b *strings.Builder, name, attrs, value string) {
	fmt.Fprintf(b, "      <%[1]s%[2]s>%[3]s</%[1]s>\n", name, attrs, esc(value))
}

// elementName makes an attribute's name one that XML allows, as Apereo does.
func elementName(name string) string {
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune(" :<>&\"'/=", r) {
			return '_'
		}
		return r
	}, name)
}

func writeJSON(w http.ResponseWriter, v verdict, sh Shape) {
	var inner map[string]any
	if v.code != "" {
		inner = map[string]any{"authenticationFailure": map[string]any{"code": v.code, "description": v.text}}
	} else {
		success := map[string]any{"user": v.user.Login}
		if sh.Style != NoAttributes {
			success["attributes"] = v.user.Attributes
		}
		if len(sh.Proxies) > 0 {
			success["proxies"] = sh.Proxies
		}
		inner = map[string]any{"authenticationSuccess": success}
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	_ = json.NewEncoder(w).Encode(map[string]any{"serviceResponse": inner})
}

func esc(s string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(s))
	return b.String()
}
