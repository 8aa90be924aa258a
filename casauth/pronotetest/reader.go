package pronotetest

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"strings"
	"time"
)

// node is an element with its name as written, prefix included: what name()
// gives in XPath 1.0.
type node struct {
	name     string
	attr     map[string]string
	text     string
	children []*node
}

// parse reads a document. Namespaces are not looked at: the stand-ins go by
// qualified names only.
func parse(body []byte) (*node, error) {
	root := &node{}
	stack := []*node{root}
	dec := xml.NewDecoder(bytes.NewReader(body))
	for {
		tok, err := dec.RawToken()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
		top := stack[len(stack)-1]
		switch tok := tok.(type) {
		case xml.StartElement:
			n := &node{name: qualified(tok.Name), attr: make(map[string]string, len(tok.Attr))}
			for _, a := range tok.Attr {
				n.attr[qualified(a.Name)] = a.Value
			}
			top.children = append(top.children, n)
			stack = append(stack, n)
		case xml.EndElement:
			if len(stack) == 1 || top.name != qualified(tok.Name) {
				return nil, fmt.Errorf("</%s> closes nothing", qualified(tok.Name))
			}
			stack = stack[:len(stack)-1]
		case xml.CharData:
			top.text += string(tok)
		case xml.Directive:
			return nil, fmt.Errorf("the document has a DTD")
		}
	}
	if len(stack) != 1 || len(root.children) != 1 {
		return nil, fmt.Errorf("the document is not one element")
	}
	return root, nil
}

func qualified(n xml.Name) string {
	if n.Space == "" {
		return n.Local
	}
	return n.Space + ":" + n.Local
}

// find is .//*[name()="…"], in document order.
func (n *node) find(name string) []*node {
	var found []*node
	for _, c := range n.children {
		if c.name == name {
			found = append(found, c)
		}
		found = append(found, c.find(name)...)
	}
	return found
}

// first returns the text of the first such element, trimmed; "" if there is none.
func (n *node) first(name string) string {
	if found := n.find(name); len(found) > 0 {
		return strings.TrimSpace(found[0].text)
	}
	return ""
}

// answer is what a CAS server said of a person.
type answer struct {
	subject    string
	attributes map[string][]string
}

// refusal is why a login failed, with PRONOTE's number for it.
type refusal struct {
	code int
	text string
}

func (r *refusal) Error() string { return fmt.Sprintf("%s (%d)", r.text, r.code) }

// PRONOTE's numbers of delegation errors, and 0 for our own.
const (
	samlStatus    = 5
	samlMessage   = 6
	casStatus     = 7
	casMessage    = 8
	unknownMethod = 10
)

// unknownResponse is what users of old PRONOTE.net saw where no element had
// that qualified name.
const unknownResponse = `Méthode inconnue. //*[name()="Response"]`

const clockTolerance = time.Minute

func readSAML(body []byte, service, requestID string, now time.Time) (answer, error) {
	fail := func(code int, format string, args ...any) (answer, error) {
		return answer{}, &refusal{code, fmt.Sprintf(format, args...)}
	}
	doc, err := parse(body)
	if err != nil {
		return fail(samlMessage, "réponse illisible : %v", err)
	}
	found := doc.find("Response")
	if len(found) == 0 {
		return fail(samlMessage, unknownResponse)
	}
	resp := found[0]
	status := resp.find("StatusCode")
	if len(status) == 0 {
		return fail(samlMessage, "réponse sans StatusCode")
	}
	value := status[0].attr["Value"]
	if value[strings.LastIndex(value, ":")+1:] != "Success" {
		return fail(samlStatus, "%s %s", value, resp.first("StatusMessage"))
	}
	if to, ok := resp.attr["InResponseTo"]; ok && to != requestID {
		return fail(samlMessage, "InResponseTo n’est pas celui de la demande")
	}
	if to, ok := resp.attr["Recipient"]; ok && to != service {
		return fail(samlMessage, "Recipient %s n’est pas %s", to, service)
	}
	for _, a := range resp.find("Audience") {
		if strings.TrimSpace(a.text) != service {
			return fail(samlMessage, "Audience %s n’est pas %s", strings.TrimSpace(a.text), service)
		}
	}
	for _, c := range resp.find("Conditions") {
		from, err1 := time.Parse(time.RFC3339, c.attr["NotBefore"])
		until, err2 := time.Parse(time.RFC3339, c.attr["NotOnOrAfter"])
		if err1 != nil || err2 != nil || now.Before(from.Add(-clockTolerance)) || !now.Before(until.Add(clockTolerance)) {
			return fail(samlMessage, "réponse hors de sa période de validité")
		}
	}
	a := answer{subject: resp.first("NameIdentifier"), attributes: map[string][]string{}}
	if a.subject == "" {
		return fail(samlMessage, "réponse sans NameIdentifier")
	}
	for _, attr := range resp.find("Attribute") {
		name := attr.attr["AttributeName"]
		for _, v := range attr.find("AttributeValue") {
			a.attributes[name] = append(a.attributes[name], strings.TrimSpace(v.text))
		}
	}
	return a, nil
}

func readCAS2(body []byte) (answer, error) {
	fail := func(code int, format string, args ...any) (answer, error) {
		return answer{}, &refusal{code, fmt.Sprintf(format, args...)}
	}
	doc, err := parse(body)
	if err != nil {
		return fail(casMessage, "réponse illisible : %v", err)
	}
	if found := doc.find("cas:authenticationFailure"); len(found) > 0 {
		return fail(casStatus, "%s %s", found[0].attr["code"], strings.TrimSpace(found[0].text))
	}
	found := doc.find("cas:authenticationSuccess")
	if len(found) != 1 || found[0].first("cas:user") == "" {
		return fail(casMessage, "réponse sans cas:authenticationSuccess ni cas:user")
	}
	a := answer{subject: found[0].first("cas:user"), attributes: map[string][]string{}}
	collect(found[0], a.attributes)
	return a, nil
}

// collect reads attributes in the styles in use: leaves named after the
// attribute, at any depth, and <cas:attribute name="…" value="…"/>.
func collect(n *node, into map[string][]string) {
	for _, c := range n.children {
		local := c.name[strings.LastIndex(c.name, ":")+1:]
		switch {
		case local == "attribute" && c.attr["name"] != "":
			into[c.attr["name"]] = append(into[c.attr["name"]], c.attr["value"]+strings.TrimSpace(c.text))
		case len(c.children) > 0:
			collect(c, into)
		case local != "user":
			into[local] = append(into[local], strings.TrimSpace(c.text))
		}
	}
}
