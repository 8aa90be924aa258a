package relay

import (
	"bytes"
	"errors"
	"strings"
	"unicode/utf8"

	"github.com/beevik/etree"
	"golang.org/x/net/html/charset"
)

// swap puts PRONOTE's service and RequestID back into the ENT's SAML answer, in
// the three places that a client compares, and keeps the rest. protocol.Read has
// judged the answer before: that it is one document, in an encoding that CAS
// servers use, and that what is swapped names asked's service.
func swap(answer []byte, httpCharset string, asked, pronote question) ([]byte, error) {
	answer = bytes.TrimSpace(bytes.TrimPrefix(answer, bom))
	if httpCharset != "" && !utf8.Valid(answer) && !bytes.HasPrefix(answer, []byte("<?xml")) {
		label, _ := charset.Lookup(httpCharset)
		if label == nil {
			return nil, errors.New("the ENT's answer is in an unknown encoding")
		}
		var err error
		if answer, err = label.NewDecoder().Bytes(answer); err != nil {
			return nil, errors.New("the ENT's answer is not in the encoding that it claims")
		}
	}
	doc := etree.NewDocument()
	doc.ReadSettings = etree.ReadSettings{CharsetReader: charset.NewReaderLabel, PreserveCData: true}
	doc.WriteSettings = etree.WriteSettings{CanonicalText: true, CanonicalAttrVal: true}
	if err := doc.ReadFromBytes(answer); err != nil || doc.Root() == nil {
		return nil, errors.New("the ENT's answer is not well-formed XML")
	}
	for _, t := range doc.Child { // what is written is UTF-8, and says so
		if declaration, ok := t.(*etree.ProcInst); ok && declaration.Target == "xml" {
			declaration.Inst = `version="1.0" encoding="UTF-8"`
		}
	}
	for _, response := range (elements{doc.Root()}).below(soapNS, "Body").below(samlpNS, "Response") {
		swapAttributes(response, asked, pronote)
		for _, audience := range (elements{response}).below(samlNS, "Assertion").below(samlNS, "Conditions").
			below(samlNS, "AudienceRestrictionCondition").below(samlNS, "Audience") {
			if strings.TrimSpace(audience.Text()) == asked.service {
				audience.SetText(pronote.service)
			}
		}
	}
	return doc.WriteToBytes()
}

// swapAttributes swaps those of Response. One that is empty says nothing and
// stays; InResponseTo without a RequestID of PRONOTE's has nothing to name.
func swapAttributes(response *etree.Element, asked, pronote question) {
	if recipient := response.SelectAttr("Recipient"); recipient != nil && recipient.Value != "" {
		recipient.Value = pronote.service
	}
	if response.SelectAttr("InResponseTo") == nil {
		return
	}
	if pronote.requestID == "" {
		response.RemoveAttr("InResponseTo")
		return
	}
	response.CreateAttr("InResponseTo", pronote.requestID)
}

type elements []*etree.Element

// below returns the children of es that are called tag in namespace ns.
func (es elements) below(ns, tag string) elements {
	var found elements
	for _, e := range es {
		for child := range e.ChildElementsSeq() {
			if child.Tag == tag && child.NamespaceURI() == ns {
				found = append(found, child)
			}
		}
	}
	return found
}
