package pages

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Names of the fields that the form of AskIdentifier posts. A browser's autofill
// may write the birth date as 2012-03-07; people write 07/03/2012 or 07032012.
const (
	FieldIdentifier = "identifier"
	FieldLastName   = "last_name"
	FieldBirthDate  = "birth_date"
)

// LogoutPath is where the logout button of LogoutConfirm and SessionOpen posts.
const LogoutPath = "/pronote-cas/logout"

// identifierAlphabet is what PRONOTE makes identifiers of: no 0, 1, I, L, O.
const identifierAlphabet = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"

// Ask is the form that asks for the PRONOTE identifier with its proof.
type Ask struct {
	Action string            // where it posts; "" is the page's own address
	Hidden map[string]string // fields that travel along unseen
	// ProofKnown leaves out last name and birth date: the ENT sent both.
	ProofKnown bool
	Identifier Field
	LastName   Field
	BirthDate  Field
	Error      AskError // about the form as a whole
	TriesLeft  int      // tries that remain; 0 says nothing about them
}

// Field is one field as it was typed, and what is wrong with it.
type Field struct {
	Value string
	Error AskError
}

// AskError is what the form can object to. The set is closed; another value
// reads like [AskMismatch].
type AskError string

const (
	// AskEmpty: a field is empty.
	AskEmpty AskError = "empty"
	// AskLength: not 16 characters.
	AskLength AskError = "length"
	// AskAlphabet: characters that no identifier has.
	AskAlphabet AskError = "alphabet"
	// AskDate: not a date.
	AskDate AskError = "date"
	// AskMismatch: identifier and proof do not go together; which one is wrong is not said.
	AskMismatch AskError = "mismatch"
	// AskUnprovable: the directory has no last name and birth date to prove it with.
	AskUnprovable AskError = "unprovable"
	// AskWait: too soon after the last try; [Page.RetryAfter] says how long.
	AskWait AskError = "wait"
)

func (a Ask) failed() bool {
	return a.Error != "" || a.Identifier.Error != "" ||
		!a.ProofKnown && (a.LastName.Error != "" || a.BirthDate.Error != "")
}

// squeezed is an identifier as the form reads it: upper case, no blanks or hyphens.
func squeezed(identifier string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || unicode.Is(unicode.Pd, r) {
			return -1
		}
		return unicode.ToUpper(r)
	}, identifier)
}

// foreign lists, each once, the characters of an identifier that no identifier
// has; five are enough to see what is wrong.
func foreign(identifier string) string {
	var found []string
	seen := identifierAlphabet
	for _, r := range squeezed(identifier) {
		if strings.ContainsRune(seen, r) || !unicode.IsPrint(r) || r == utf8.RuneError {
			continue
		}
		if len(found) == 5 {
			return strings.Join(found, ", ") + "…"
		}
		seen += string(r)
		found = append(found, string(r))
	}
	return strings.Join(found, ", ")
}
