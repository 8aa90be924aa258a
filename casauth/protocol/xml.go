package protocol

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"regexp"
	"strings"

	"github.com/beevik/etree"
)

// parse reads body as one XML document and returns its root. A token pass
// refuses everything that a CAS answer never has before a tree is built: etree
// by itself takes a DOCTYPE, a second root, undeclared prefixes and repeated
// attributes without a word.
func parse(body []byte, charset string) (*etree.Element, error) {
	text, line, err := document(body, charset)
	if err != nil {
		return nil, err
	}
	g := guard{dec: xml.NewDecoder(bytes.NewReader(text)), line: line, source: text}
	if err := g.run(); err != nil {
		return nil, err
	}
	doc := etree.NewDocument()
	doc.ReadSettings = etree.ReadSettings{PreserveDuplicateAttrs: true, MaxDepth: maxDepth}
	if err := doc.ReadFromBytes(text); err != nil {
		return nil, malformed(ReasonNotXML)
	}
	return doc.Root(), nil
}

// maxAttributes is how many an element may have, and how many prefixes may be
// declared at one place: each is searched for among the others. Real answers
// have a dozen.
const maxAttributes = 64

const (
	xmlURI   = "http://www.w3.org/XML/1998/namespace"
	xmlnsURI = "http://www.w3.org/2000/xmlns/"
)

// guard is the token pass: well-formedness, namespaces (Namespaces in XML 1.0)
// and bounds, in memory that grows with depth only.
type guard struct {
	dec      *xml.Decoder
	line     int    // lines above the first one that dec sees
	source   []byte // what dec reads
	marked   bool   // source is known to hold U+FFFD
	open     []opened
	bindings []binding // of all open elements, innermost last
	elements int
	ended    bool // the root was closed
}

type opened struct {
	name     xml.Name
	bindings int // how many there were outside of it
}

type binding struct{ prefix, uri string }

func (g *guard) run() error {
	for {
		start := g.dec.InputOffset()
		token, err := g.dec.RawToken()
		if err == io.EOF {
			return g.end()
		}
		if err == nil {
			err = g.take(token, g.source[start:g.dec.InputOffset()])
		} else {
			err = syntax(err)
		}
		if e, ok := err.(*Error); ok {
			line, _ := g.dec.InputPos()
			return e.with("line %d", g.line+line)
		}
	}
}

func (g *guard) end() error {
	switch {
	case len(g.open) > 0:
		return malformed(ReasonTruncated)
	case !g.ended:
		return malformed(ReasonNotXML)
	}
	return nil
}

// syntax tells apart what people can do something about. The decoder's own
// words quote the document, which may be about a pupil: they are not kept.
func syntax(err error) error {
	var s *xml.SyntaxError
	switch {
	case errors.As(err, &s) && strings.HasPrefix(s.Msg, "unexpected EOF"):
		return malformed(ReasonTruncated)
	case errors.As(err, &s) && strings.HasPrefix(s.Msg, "invalid character entity"):
		return malformed(ReasonEntity)
	}
	return malformed(ReasonNotXML)
}

// take checks one token; raw is what it was written as.
func (g *guard) take(token xml.Token, raw []byte) error {
	switch t := token.(type) {
	case xml.StartElement:
		if stuckTogether(raw) {
			return malformed(ReasonNotXML)
		}
		return g.start(t)
	case xml.EndElement:
		last := len(g.open) - 1
		if last < 0 || g.open[last].name != t.Name {
			return malformed(ReasonNotXML)
		}
		g.bindings = g.bindings[:g.open[last].bindings]
		g.open = g.open[:last]
		g.ended = last == 0
	case xml.CharData:
		if len(g.open) == 0 && len(bytes.Trim(raw, blanks)) > 0 { // raw: &#32; and CDATA are no blanks there
			return malformed(ReasonTrailing)
		}
		return g.text(string(t))
	case xml.Directive:
		return malformed(ReasonDoctype)
	case xml.ProcInst:
		return malformed(ReasonInstruction)
	}
	return nil
}

// stuckTogether tells whether no blank follows the value of an attribute in tag,
// where another begins: encoding/xml takes a="1"b="2" without a word.
func stuckTogether(tag []byte) bool {
	for {
		i := bytes.IndexAny(tag, `"'`)
		if i < 0 {
			return false
		}
		end := i + 1 + bytes.IndexByte(tag[i+1:], tag[i])
		if tag = tag[end+1:]; strings.IndexByte(blanks+"/>", tag[0]) < 0 {
			return true
		}
	}
}

// replacement finds U+FFFD, as such or by number.
var replacement = regexp.MustCompile("\uFFFD|&#(?:0*65533|x0*(?i:fffd));")

// text refuses a reference to a surrogate (&#xD800;), which encoding/xml turns
// into U+FFFD instead of refusing it.
func (g *guard) text(s string) error {
	if g.marked || !strings.ContainsRune(s, '\uFFFD') {
		return nil
	}
	if !replacement.Match(g.source) {
		return malformed(ReasonCharacters)
	}
	g.marked = true
	return nil
}

func (g *guard) start(t xml.StartElement) error {
	g.elements++
	switch {
	case g.ended:
		return malformed(ReasonTrailing)
	case len(g.open) == maxDepth:
		return malformed(ReasonTooDeep)
	case g.elements > maxElements:
		return malformed(ReasonTooManyElements)
	case len(t.Attr) > maxAttributes:
		return malformed(ReasonDuplicateAttr)
	}
	g.open = append(g.open, opened{t.Name, len(g.bindings)})
	for _, a := range t.Attr {
		if err := g.declare(a); err != nil {
			return err
		}
	}
	if _, err := g.resolve(t.Name); err != nil {
		return err
	}
	return g.attributes(t.Attr)
}

// declare takes note of a namespace prefix. The default namespace needs no
// note: an element without a prefix is always in one, or in none.
func (g *guard) declare(a xml.Attr) error {
	if a.Name.Space != "xmlns" {
		return nil
	}
	if a.Value == "" || a.Value == xmlnsURI || a.Name.Local == "xmlns" || (a.Name.Local == "xml") != (a.Value == xmlURI) {
		return malformed(ReasonPrefix)
	}
	if len(g.bindings) == maxAttributes {
		return malformed(ReasonTooManyElements).with("namespace declarations")
	}
	g.bindings = append(g.bindings, binding{a.Name.Local, a.Value})
	return nil
}

// resolve returns name with its prefix replaced by the namespace.
func (g *guard) resolve(name xml.Name) (xml.Name, error) {
	if strings.Contains(name.Local, ":") { // ":a" and "a:", which encoding/xml leaves whole
		return name, malformed(ReasonNotXML)
	}
	switch name.Space {
	case "":
		return name, nil
	case "xml":
		return xml.Name{Space: xmlURI, Local: name.Local}, nil
	}
	for i := len(g.bindings) - 1; i >= 0; i-- {
		if g.bindings[i].prefix == name.Space {
			return xml.Name{Space: g.bindings[i].uri, Local: name.Local}, nil
		}
	}
	return name, malformed(ReasonPrefix)
}

// attributes refuses the same attribute twice, also under two prefixes for one
// namespace: etree and encoding/xml would take the last.
func (g *guard) attributes(attrs []xml.Attr) error {
	var seen [maxAttributes]xml.Name
	for i, a := range attrs {
		name := a.Name
		if name.Space != "xmlns" {
			var err error
			if name, err = g.resolve(name); err != nil {
				return err
			}
		}
		for _, other := range seen[:i] {
			if other == name {
				return malformed(ReasonDuplicateAttr)
			}
		}
		seen[i] = name
		if err := g.text(a.Value); err != nil {
			return err
		}
	}
	return nil
}
