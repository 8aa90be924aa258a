package directory

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Attempt is what somebody typed to claim a PRONOTE identifier.
type Attempt struct {
	Claim
	Code      string // the identifier: lower case, blanks and hyphens are accepted
	LastName  string // not looked at where the CAS server sends it
	BirthDate string // as [ParseDate] reads it; not looked at where the CAS server sends it
}

// AskKind is what an attempt can be refused for. The set is closed.
type AskKind string

// The first four are about a field by itself, the others about the attempt.
const (
	AskEmpty      AskKind = "empty"      // a field is empty
	AskLength     AskKind = "length"     // not 16 characters
	AskAlphabet   AskKind = "alphabet"   // characters that no identifier has
	AskDate       AskKind = "date"       // not a date
	AskMismatch   AskKind = "mismatch"   // code and proof do not go together; which one is wrong is not said
	AskUnprovable AskKind = "unprovable" // the directory has no last name and birth date for it: ask the school
	AskWait       AskKind = "wait"       // too soon after the last try
	AskLocked     AskKind = "locked"     // no tries left for now
)

// AskError is why an attempt bound nothing. It holds nothing that was typed but
// the characters at fault.
type AskError struct {
	Kind AskKind // of the first field at fault, or of the whole
	// What is wrong with each field, "" where nothing is. All are "" unless Kind
	// is empty, length, alphabet or date; those cost no try.
	Code, LastName, BirthDate AskKind
	Characters                string        // AskAlphabet: the characters, each once
	Length                    int           // AskLength: how many characters there are
	Wait                      time.Duration // AskWait, AskLocked: until the next try
	TriesLeft                 int           // AskMismatch, AskUnprovable: how many tries remain within the hour
}

// Error names the kind.
func (e *AskError) Error() string { return "claiming an identifier: " + string(e.Kind) }

// ProofSent reports whether the CAS server sends both last name and birth date,
// so that the person need not type them.
func (d *Directory) ProofSent(c Claim) bool {
	who := d.person(c)
	return Fold(who.LastName) != "" && who.BirthDate != ""
}

// Ask binds the identifier that somebody typed if the last name and birth date
// of its row go with it: typed too, or sent by the CAS server, which then counts.
// A code alone never binds. The error is an *[AskError] where the attempt was
// refused; any other means that the store could not be asked. A refusal because
// somebody else holds the identifier is AskMismatch to the person, and Conflict
// in the result.
func (d *Directory) Ask(ctx context.Context, a Attempt) (Result, error) {
	if a.User == "" {
		return Result{}, errNobody
	}
	rows, err := d.imported(ctx)
	if err != nil {
		return Result{}, err
	}
	code, proof, wrong := d.readAttempt(rows, a)
	if wrong != nil {
		return Result{}, wrong
	}
	if known, err := d.bindingOf(ctx, a.User); err != nil || known != nil {
		if err != nil {
			return Result{}, err
		}
		return Result{PronoteID: known.PronoteID, Rule: ByRow, Category: known.Category}, nil // a form sent twice
	}
	left, err := d.spendTry(ctx, a.User, code)
	if err != nil {
		return Result{}, err
	}
	row := rows.byID(code)
	if kind := d.check(row, proof, a.Claim); kind != "" {
		return Result{}, &AskError{Kind: kind, TriesLeft: left}
	}
	result, err := d.bind(ctx, a.Claim, code, ByAsking, nil)
	if err != nil {
		return Result{}, err
	}
	if result.Conflict != nil {
		return result, &AskError{Kind: AskMismatch, TriesLeft: left}
	}
	d.forgetTries(ctx, a.User)
	return result, nil
}

// proof is what a claim is proved with, ready to compare.
type proof struct{ lastName, birthDate string }

// readAttempt says what is wrong with the fields by themselves.
func (d *Directory) readAttempt(rows *snapshot, a Attempt) (code string, p proof, wrong *AskError) {
	sent := d.person(a.Claim)
	e := new(AskError)
	if p.lastName = Fold(sent.LastName); p.lastName == "" {
		if p.lastName = Fold(a.LastName); p.lastName == "" {
			e.LastName = AskEmpty
		}
	}
	if p.birthDate = sent.BirthDate; p.birthDate == "" {
		var ok bool
		if p.birthDate, ok = ParseDate(a.BirthDate); !ok {
			e.BirthDate = AskDate
			if strings.TrimSpace(a.BirthDate) == "" {
				e.BirthDate = AskEmpty
			}
		}
	}
	code = squeeze(a.Code)
	if code == "" {
		e.Code = AskEmpty
	} else if e.Characters = foreign(code, rows.alphabet); e.Characters != "" {
		e.Code = AskAlphabet
	} else if len(code) != identifierLength {
		e.Code, e.Length = AskLength, len(code)
	}
	for _, kind := range [...]AskKind{e.Code, e.LastName, e.BirthDate} {
		if kind != "" {
			e.Kind = kind
			return "", p, e
		}
	}
	return code, p, nil
}

// check compares a proof with the row of a code; "" is a proof. It does the same
// work whether or not there is such a row, so that nobody learns by the clock
// which codes exist.
func (d *Directory) check(row *entry, p proof, c Claim) AskKind {
	there := row != nil && !row.Retired
	if !there {
		row = new(entry)
	}
	lastName := Fold(row.LastName)
	provable := lastName != "" && row.BirthDate != ""
	want := sha256.Sum256([]byte(lastName + "\x00" + row.BirthDate))
	got := sha256.Sum256([]byte(p.lastName + "\x00" + p.birthDate))
	same := subtle.ConstantTimeCompare(want[:], got[:]) == 1
	// Where both sides know what the person is, a pupil cannot claim a teacher's
	// row even with the teacher's letter and birthday at hand.
	categories := d.sentCategories(c)
	if len(categories) == 0 {
		categories = categoriesIn(c.Attributes["ENTPersonProfils"]) // where most ENTs say it, whatever the configuration names
	}
	fits := len(categories) == 0 || row.Category == "" || categories.have(row.Category)
	switch {
	case there && !provable:
		return AskUnprovable
	case !there || !same || !fits:
		return AskMismatch
	}
	return ""
}

// squeeze returns a code as people type it in the form that PRONOTE writes it.
func squeeze(code string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || unicode.Is(unicode.Pd, r) || unicode.Is(unicode.Cf, r) {
			return -1 // Cf: what copying from a word processor brings along
		}
		return unicode.ToUpper(r)
	}, code)
}

// foreign lists, each once, the characters of code that are not in alphabet.
// Five are enough to see what is wrong.
func foreign(code, alphabet string) string {
	var found []string
	for _, r := range code {
		if strings.ContainsRune(alphabet, r) {
			continue
		}
		if len(found) == 5 {
			return strings.Join(found, ", ") + "…"
		}
		alphabet += string(r)
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			r = '\uFFFD'
		}
		found = append(found, string(r))
	}
	return strings.Join(found, ", ")
}
