package protocol

import "github.com/beevik/etree"

// attributes gathers what is said about a person, in the order it is said. A
// value that comes twice counts once: django-cas-server writes each attribute in
// two styles.
//
// Values are never decoded: base64, YAML, JSON and "[a, b]" stay the text that
// they are. Dates too: Apereo writes them with a Java time zone behind.
type attributes struct {
	values map[string][]string
	seen   map[[2]string]bool
}

func newAttributes() *attributes {
	return &attributes{values: map[string][]string{}, seen: map[[2]string]bool{}}
}

func (a *attributes) add(name, value string) {
	if name == "" || a.seen[[2]string{name, value}] {
		return
	}
	a.seen[[2]string{name, value}] = true
	a.values[name] = append(a.values[name], value)
}

// block reads an attributes element. Within it there may be one more level,
// userAttributes, which Edifice writes as the first CAS 3 schema had it.
func (a *attributes) block(e *etree.Element) {
	for c := range e.ChildElementsSeq() {
		if c.Tag == "userAttributes" && len(c.ChildElements()) > 0 {
			for cc := range c.ChildElementsSeq() {
				a.element(cc)
			}
			continue
		}
		a.element(c)
	}
}

// element reads one attribute, in whichever style it is written:
//
//	<sn>Durand</sn>                                     CAS 3.0; in any namespace
//	<attribute name="sn" value="Durand"/>               Apereo, django-cas-server
//	<attribute name="sn">Durand</attribute>             the first CAS 3 schema
//	<attribute><name>sn</name><value>Durand</value></attribute>
//
// Structures of other kinds are skipped.
func (a *attributes) element(e *etree.Element) {
	text, leaf := leafText(e)
	if e.Tag != "attribute" {
		if leaf {
			a.add(e.Tag, text)
		}
		return
	}
	name, isNamed := lookAttribute(e, "name")
	value, hasValue := lookAttribute(e, "value")
	switch {
	case isNamed && hasValue:
		a.add(name, value)
	case isNamed && leaf:
		a.add(name, text)
	case leaf:
		a.add(e.Tag, text)
	default:
		a.long(name, e)
	}
}

// long reads an attribute whose name and values are child elements.
func (a *attributes) long(name string, e *etree.Element) {
	var values []string
	for c := range e.ChildElementsSeq() {
		text, leaf := leafText(c)
		switch {
		case leaf && c.Tag == "name" && name == "":
			name = text
		case leaf && c.Tag == "value":
			values = append(values, text)
		}
	}
	for _, v := range values {
		a.add(name, v)
	}
}
