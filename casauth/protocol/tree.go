package protocol

import (
	"strings"

	"github.com/beevik/etree"
)

// is tells whether e is the element tag of namespace ns. Prefixes mean nothing.
func is(e *etree.Element, ns, tag string) bool {
	return e.Tag == tag && e.NamespaceURI() == ns
}

// elements returns the children of e, between which only blanks and comments
// may be.
func elements(e *etree.Element) ([]*etree.Element, error) {
	var children []*etree.Element
	for _, t := range e.Child {
		switch t := t.(type) {
		case *etree.Element:
			children = append(children, t)
		case *etree.CharData:
			if strings.Trim(t.Data, blanks) != "" {
				return nil, malformed(ReasonStrayText).with("in %s", e.Tag)
			}
		}
	}
	return children, nil
}

// named returns the children of e that are called tag in namespace ns, by
// place: a search would also find what an attacker nested somewhere.
func named(e *etree.Element, ns, tag string) []*etree.Element {
	var found []*etree.Element
	for c := range e.ChildElementsSeq() {
		if is(c, ns, tag) {
			found = append(found, c)
		}
	}
	return found
}

// only returns the one child of e that is called tag in namespace ns; none and
// two are malformed for the same reason.
func only(e *etree.Element, ns, tag string, r Reason) (*etree.Element, error) {
	found := named(e, ns, tag)
	if len(found) != 1 {
		return nil, malformed(r).with("%d × %s", len(found), tag)
	}
	return found[0], nil
}

// plainText returns the text of e, and false if there is anything but text in
// it. A comment is enough: readers disagree on what comes after it, which made
// one user into another in half a dozen SAML libraries (VU#475445).
func plainText(e *etree.Element) (string, bool) {
	var b strings.Builder
	for _, t := range e.Child {
		data, ok := t.(*etree.CharData)
		if !ok {
			return "", false
		}
		b.WriteString(data.Data)
	}
	return b.String(), true
}

// leafText returns the trimmed text of e, comments left out, and false if e has
// child elements.
func leafText(e *etree.Element) (string, bool) {
	var b strings.Builder
	for _, t := range e.Child {
		switch t := t.(type) {
		case *etree.Element:
			return "", false
		case *etree.CharData:
			b.WriteString(t.Data)
		}
	}
	return strings.Trim(b.String(), blanks), true
}

// wrongRoot says that root is not the one expected, and if it is a web page.
func wrongRoot(root *etree.Element, tag string) error {
	switch {
	case strings.EqualFold(root.Tag, "html"):
		return malformed(ReasonHTML)
	case root.Tag == tag:
		return malformed(ReasonNamespace).with("%s", tag)
	}
	return malformed(ReasonWrongRoot)
}
