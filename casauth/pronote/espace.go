package pronote

import (
	"fmt"
	"strings"
)

// Espace is one of the doors of PRONOTE.net, as its administration console
// lists them. Each can be delegated to CAS, or not, on its own.
type Espace uint8

// The Espaces. The zero value, [NoEspace], stands for an address that names
// none and must never be read as one that is open.
const (
	NoEspace     Espace = iota
	Commune             // page commune: the list of the other Espaces
	Direction           // Espace Direction
	Professeurs         // Espace Professeurs
	VieScolaire         // Espace Vie scolaire
	Parents             // Espace Parents
	Accompagnant        // Espace Accompagnants (AESH)
	Eleves              // Espace Élèves
	Entreprise          // Espace Entreprise
	Tuteur              // Espace Tuteur de stage
	Academie            // Espace Académie
)

// ParseEspace returns the Espace of that name, as the configuration writes it:
// one of commune, direction, professeurs, vie_scolaire, parents, accompagnant,
// eleves, entreprise, tuteur, academie. The error lists them.
func ParseEspace(name string) (Espace, error) {
	for _, e := range Espaces() {
		if e.String() == name {
			return e, nil
		}
	}
	var names []string
	for _, e := range Espaces() {
		names = append(names, e.String())
	}
	return NoEspace, fmt.Errorf("%q is no Espace of PRONOTE: write one of %s", name, strings.Join(names, ", "))
}

// String returns the name that [ParseEspace] reads; "" for [NoEspace].
func (e Espace) String() string {
	if int(e) < len(espaces) {
		return espaces[e].name
	}
	return ""
}

// Page returns the name of the page that opens the Espace, below the root; "" for
// the page commune, which is the root itself.
func (e Espace) Page() string {
	if int(e) < len(espaces) && len(espaces[e].pages) > 0 {
		return espaces[e].pages[0]
	}
	return ""
}

// Espaces returns all Espaces in the order of PRONOTE's own table, without
// [NoEspace].
func Espaces() []Espace {
	all := make([]Espace, 0, len(espaces)-1)
	for e := Commune; int(e) < len(espaces); e++ {
		all = append(all, e)
	}
	return all
}
