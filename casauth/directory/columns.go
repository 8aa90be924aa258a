package directory

import "strings"

// field is what a column, attribute or element of an export can be.
type field int

const (
	fieldID field = iota
	fieldUser
	fieldCategory
	fieldLastName
	fieldFirstName
	fieldBirthDate
	fields
	noField field = -1
)

// values is what one person has of each.
type values [fields]string

// names are the titles of PRONOTE's lists, the attributes of its XML exports and
// what we write ourselves, folded.
var names = map[string]field{
	"idpn": fieldID, "idpronote": fieldID, "identifiantpronote": fieldID, "idpronoteent": fieldID,
	"identifiantpronoteent": fieldID, "idproduit": fieldID, "pronoteid": fieldID, "pronoteidentifier": fieldID,
	"identifiantcas": fieldUser, "idcas": fieldUser, "idpartenaire": fieldUser, "casidentifier": fieldUser,
	"categorie": fieldCategory, "categories": fieldCategory, "category": fieldCategory, "profil": fieldCategory,
	"nom": fieldLastName, "nomdefamille": fieldLastName, "lastname": fieldLastName,
	"prenom": fieldFirstName, "firstname": fieldFirstName,
	"datenaissance": fieldBirthDate, "datedenaissance": fieldBirthDate, "neele": fieldBirthDate, "nele": fieldBirthDate,
	"birthdate": fieldBirthDate,
}

// fieldOf returns what a title means, whatever its case, accents, blanks and
// punctuation.
func fieldOf(title string) field {
	if i := strings.LastIndexByte(title, ':'); i >= 0 {
		title = title[i+1:] // a prefix that the XML does not declare
	}
	if f, ok := names[Fold(title)]; ok {
		return f
	}
	return noField
}
