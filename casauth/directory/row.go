package directory

import (
	"strings"
	"time"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// Row is one person of PRONOTE.
type Row struct {
	PronoteID string   `json:"pronote_id"`               // 16 characters out of A-Z and 0-9
	User      string   `json:"cas_identifier,omitempty"` // what names the person at the ENT; "" where not known
	Category  Category `json:"category,omitempty"`
	LastName  string   `json:"last_name,omitempty"`
	FirstName string   `json:"first_name,omitempty"`
	BirthDate string   `json:"birth_date,omitempty"` // 2012-03-07
	Source    Source   `json:"source,omitempty"`
	// FirstConnection is when the person's CAS identifier was bound, LastConnection
	// the last login, to within a week; both zero where nobody has logged in.
	FirstConnection time.Time `json:"first_connection,omitzero"`
	LastConnection  time.Time `json:"last_connection,omitzero"`
	Imported        time.Time `json:"imported,omitzero"` // the last import that had the row
	Retired         bool      `json:"retired,omitempty"` // the last full import did not have it
}

// Source says how a row came into the directory.
type Source string

// Where a row is in an import, that is its source.
const (
	Imported        Source = "import"           // from a file that PRONOTE exported
	FirstConnection Source = "first_connection" // no import has it: the CAS server sent the identifier
)

// Category is what somebody is to the school, by PRONOTE's own nouns.
type Category string

// The categories that exports and ENTs tell apart; "" is none of them, or not known.
const (
	Eleve        Category = "eleve"
	Responsable  Category = "responsable"
	Professeur   Category = "professeur"
	Personnel    Category = "personnel"
	Accompagnant Category = "accompagnant"
	Tuteur       Category = "tuteur" // maître de stage
)

// categories are PRONOTE's words, singular, and the profiles of the SDET (the
// ministry's framework for ENTs), which number or abbreviate them.
var categories = map[string]Category{
	"eleve": Eleve, "etudiant": Eleve, "national1": Eleve, "nationalelv": Eleve,
	"responsable": Responsable, "responsableeleve": Responsable, "responsablelegal": Responsable, "responsableslegaux": Responsable,
	"responsabledeleve": Responsable, "responsablesdeleve": Responsable, "parent": Responsable,
	"parenteleve": Responsable, "parentdeleve": Responsable, "parentsdeleve": Responsable, "national2": Responsable, "nationaltut": Responsable,
	"professeur": Professeur, "enseignant": Professeur, "prof": Professeur, "national3": Professeur, "nationalens": Professeur, "nationaldoc": Professeur,
	"personnel": Personnel, "national4": Personnel, "national5": Personnel, "national6": Personnel,
	"nationaldir": Personnel, "nationalevs": Personnel, "nationaleta": Personnel,
	"accompagnant": Accompagnant, "tuteur": Tuteur, "maitredestage": Tuteur,
}

// ParseCategory returns the category that value names: "Élève", "Professeurs",
// "National_1" and the like. ok is false for anything else.
func ParseCategory(value string) (c Category, ok bool) {
	name := Fold(value)
	if c, ok = categories[name]; !ok {
		name = strings.TrimSuffix(name, "s")
		if c, ok = categories[name]; !ok && strings.HasPrefix(name, "maitres") {
			c, ok = categories["maitre"+name[len("maitres"):]]
		}
	}
	return c, ok
}

// Several takes apart what an ENT sends as one value although it is several, as
// OpenENT does with semicolons.
func Several(value string) []string {
	return strings.FieldsFunc(value, func(r rune) bool { return r == ';' || r == ',' || r == '|' })
}

// Fold returns a name as names are compared: letters and digits only, lower case,
// no accents; "Le Goff-D’Æthelred" is "legoffdaethelred".
func Fold(name string) string {
	var b strings.Builder
	for _, r := range norm.NFKD.String(name) {
		switch r = unicode.ToLower(r); r {
		case 'œ':
			b.WriteString("oe")
		case 'æ':
			b.WriteString("ae")
		case 'ß':
			b.WriteString("ss")
		case 'ø':
			b.WriteByte('o')
		case 'ł':
			b.WriteByte('l')
		case 'đ':
			b.WriteByte('d')
		default:
			if unicode.IsLetter(r) && r != 'ʼ' || unicode.IsDigit(r) {
				b.WriteRune(r)
			}
		}
	}
	return b.String()
}

// ParseDate reads a date as ENTs, PRONOTE and people write it: 07/03/2012, with
// - . or a blank for the stroke, 07032012, 2012-03-07 or 20120307, each perhaps
// with a time behind it. It returns the ISO form.
func ParseDate(s string) (iso string, ok bool) {
	s = strings.TrimSpace(s)
	if i := strings.IndexAny(s, "T "); i >= len("1/1/2012") {
		s = s[:i]
	}
	if strings.Trim(s, "0123456789/-. ") != "" {
		return "", false
	}
	parts := strings.FieldsFunc(s, func(r rune) bool { return r < '0' || r > '9' })
	switch {
	case len(parts) == 1 && len(s) == 8:
		// Never both: the century of the one would be the month of the other.
		if iso, ok = isoDate(s[4:], s[2:4], s[:2]); ok {
			return iso, ok
		}
		return isoDate(s[:4], s[4:6], s[6:])
	case len(parts) == 3 && len(parts[0]) == 4:
		return isoDate(parts[0], parts[1], parts[2])
	case len(parts) == 3:
		return isoDate(parts[2], parts[1], parts[0])
	}
	return "", false
}

func isoDate(year, month, day string) (string, bool) {
	if len(year) != 4 || len(month) > 2 || len(day) > 2 || year < "1900" || year > "2100" {
		return "", false
	}
	date, err := time.Parse("2006-1-2", year+"-"+month+"-"+day)
	if err != nil {
		return "", false
	}
	return date.Format(time.DateOnly), true
}

// alphabet is what PRONOTE makes identifiers of: no 0, 1, I, L, O.
const alphabet = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"

const identifierLength = 16

// identifier returns s as PRONOTE writes its identifiers and whether it is one:
// 16 characters out of A-Z and 0-9 once blanks around it are gone.
func identifier(s string) (id string, ok bool) {
	s = strings.TrimSpace(s)
	if len(s) != identifierLength {
		return "", false
	}
	for i := 0; i < len(s); i++ {
		if c := s[i]; !('0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z') {
			return "", false
		}
	}
	return strings.ToUpper(s), true
}
