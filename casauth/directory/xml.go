package directory

import (
	"encoding/xml"
	"io"
	"strings"
)

// maxDepth bounds what an XML file can make us remember.
const maxDepth = 100

// element is one that has not ended yet.
type element struct {
	name     string
	category Category // its own, or of the nearest element around it
	line     int
	values   values
	has      [fields]bool
	text     []byte
	parent   bool // there are elements in it
	person   bool // it is called what a person is
}

func (e *element) set(f field, value string) {
	if f == noField {
		return
	}
	e.has[f] = true
	if strings.TrimSpace(e.values[f]) == "" {
		e.values[f] = value
	}
}

// readXML reads any XML in which an element has a PRONOTE identifier, as an
// attribute or as an element in it: the form of PRONOTE's own export is published
// nowhere.
func (f *file) readXML(r io.Reader) error {
	d := xml.NewDecoder(r)
	d.CharsetReader = func(_ string, r io.Reader) (io.Reader, error) { return r, nil } // it is UTF-8 by now
	var open []element
	var identified bool // there was a PRONOTE identifier, be it empty
	for {
		token, err := d.RawToken()
		number, _ := d.InputPos()
		number += f.skipped
		if err == io.EOF && len(open) == 0 {
			break
		}
		if err != nil {
			return refuseBroken(number)
		}
		switch t := token.(type) {
		case xml.Directive:
			if name := strings.Fields(strings.ToLower(string(t))); len(name) > 1 && name[1] == "html" {
				return refuseWebPage()
			}
			return refuseDoctype(number)
		case xml.StartElement:
			switch {
			case encrypted(t):
				return refuseEncrypted()
			case len(open) == 0 && strings.EqualFold(t.Name.Local, "html"):
				return refuseWebPage()
			}
			if len(open) == maxDepth {
				return refuseBroken(number)
			}
			open = f.start(open, t, number)
		case xml.CharData:
			if n := len(open); n > 0 && !open[n-1].parent && len(open[n-1].text) <= 4*maxValue {
				open[n-1].text = append(open[n-1].text, t...)
			}
		case xml.EndElement:
			n := len(open)
			if n == 0 || open[n-1].name != t.Name.Space+":"+t.Name.Local {
				return refuseBroken(number)
			}
			identified = identified || open[n-1].has[fieldID]
			if err := f.end(open); err != nil {
				return err
			}
			open = open[:n-1]
		}
	}
	switch {
	case len(f.lines) > 0:
		return nil
	case identified:
		return refuseEmpty()
	}
	return refuseForeign()
}

// encrypted tells the containers in which the publisher encrypts an export for
// one partner.
func encrypted(t xml.StartElement) bool {
	switch strings.ToLower(t.Name.Local) {
	case "export_index_education", "importchiffre", "exportchiffre":
		return true
	case "contenu":
		for _, a := range t.Attr {
			if strings.EqualFold(a.Name.Local, "CompresseAvantChiffrement") {
				return true
			}
		}
	}
	for _, a := range t.Attr {
		if (a.Name.Local == "xmlns" || a.Name.Space == "xmlns") && strings.Contains(strings.ToLower(a.Value), "chiffre") {
			return true
		}
	}
	return false
}

func (f *file) start(open []element, t xml.StartElement, number int) []element {
	e := element{name: t.Name.Space + ":" + t.Name.Local, line: number}
	if n := len(open); n > 0 {
		open[n-1].parent = true
		e.category = open[n-1].category
	}
	if own, ok := ParseCategory(t.Name.Local); ok {
		e.category, e.person = own, true
	}
	for _, a := range t.Attr {
		if a.Name.Space != "xmlns" {
			e.set(fieldOf(a.Name.Local), a.Value)
		}
	}
	if named, ok := ParseCategory(e.values[fieldCategory]); ok {
		e.category = named
	}
	return append(open, e)
}

// end takes an element that is a person; of another one that has only text, the
// text is a value of the element around it.
func (f *file) end(open []element) error {
	n := len(open)
	e := &open[n-1]
	if e.has[fieldID] {
		return f.add(&e.values, e.category, e.line)
	}
	if e.person && e.has[fieldLastName] && e.has[fieldFirstName] {
		f.without.add(e.line) // PRONOTE leaves out what somebody does not have
	}
	if !e.parent && n > 1 {
		_, name, _ := strings.Cut(e.name, ":")
		open[n-2].set(fieldOf(name), string(e.text))
	}
	return nil
}
