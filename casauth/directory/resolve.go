package directory

import (
	"context"
	"errors"
	"time"
)

// Claim is what the CAS server said about somebody who has just logged in.
type Claim struct {
	User       string // the CAS identifier
	Attributes map[string][]string
}

// Rule is what a person was recognised by.
type Rule string

// In the order in which they are tried, ByNothing being none of them.
const (
	ByNothing   Rule = "none"
	ByAttribute Rule = "attribute" // the CAS server sent the PRONOTE identifier
	ByRow       Rule = "row"       // the directory knew the CAS identifier
	ByIdentity  Rule = "identity"  // last name, first name, birth date and category
	ByAsking    Rule = "ask"       // the person had the code and proved it
)

// Result is who somebody turned out to be.
type Result struct {
	PronoteID string   // "" where not known, or refused
	Rule      Rule     // by what; of a refusal, by what it would have been
	Category  Category // "" where not known
	First     bool     // this login bound the two identifiers
	// Previous is the PRONOTE identifier that the person had until now, where the
	// CAS server sent another: the attribute wins, and the change belongs in the log.
	Previous string
	// Conflict is why PronoteID is "" although an identifier was found: somebody
	// else holds it. It is kept for [Directory.Conflicts] as well.
	Conflict *Conflict
	// Ambiguous is how many rows name, birth date and category fit, where that is
	// more than one and therefore no match.
	Ambiguous int
}

// binding is a row that somebody has logged in with.
type binding struct {
	Row
	Rule Rule `json:"rule"`
}

// held is what an identifier's own record says.
type held struct {
	PronoteID string `json:"pronote_id"`
	User      string `json:"cas_identifier"`
}

// errNobody is a mistake of the caller's; it would bind everybody to one row.
var errNobody = errors.New("no CAS identifier to look up")

// Resolve finds out who somebody is in PRONOTE, and binds it: a result with a
// PronoteID is in the store when Resolve returns. An error means that the store
// could not be asked, and nothing may be concluded.
func (d *Directory) Resolve(ctx context.Context, c Claim) (Result, error) {
	return d.resolve(ctx, c, d)
}

func (d *Directory) resolve(ctx context.Context, c Claim, keep keeper) (Result, error) {
	if c.User == "" {
		return Result{}, errNobody
	}
	known, err := d.bindingOf(ctx, c.User)
	if err != nil {
		return Result{}, err
	}
	sent, has := d.sentIdentifier(c)
	if known != nil && (!has || known.PronoteID == sent) {
		keep.touch(ctx, known)
		rule := ByRow
		if has {
			rule = ByAttribute
		}
		return Result{PronoteID: known.PronoteID, Rule: rule, Category: known.Category}, nil
	}
	if has {
		return keep.bind(ctx, c, sent, ByAttribute, known)
	}
	rows, err := d.imported(ctx)
	if err != nil {
		return Result{}, err
	}
	if row := rows.byUser(c.User); row != nil {
		return keep.bind(ctx, c, row.PronoteID, ByRow, nil)
	}
	fits := d.match(rows, c)
	if len(fits) == 1 {
		return keep.bind(ctx, c, fits[0].PronoteID, ByIdentity, nil)
	}
	result := Result{Rule: ByNothing}
	if len(fits) > 1 {
		result.Ambiguous = len(fits)
	}
	return result, keep.noteUnresolved(ctx, c, result.Ambiguous)
}

func (d *Directory) sentIdentifier(c Claim) (string, bool) {
	for _, name := range d.config.Identifier {
		for _, value := range c.Attributes[name] {
			if id, ok := identifier(value); ok {
				return id, true
			}
		}
	}
	return "", false
}

// match returns the rows that are this person by name, birth date and category.
// All four have to be known on both sides: a pupil must not become a teacher
// because a list lacks a column.
func (d *Directory) match(rows *snapshot, c Claim) (fits []*entry) {
	if !d.config.Match {
		return nil
	}
	who := d.person(c)
	last, first := Fold(who.LastName), Fold(who.FirstName)
	categories := d.sentCategories(c)
	if last == "" || first == "" || who.BirthDate == "" || len(categories) == 0 {
		return nil
	}
	for i := range rows.entries {
		e := &rows.entries[i]
		if e.BirthDate == who.BirthDate && !e.Retired && e.Dropped.IsZero() &&
			categories.have(e.Category) && Fold(e.LastName) == last && Fold(e.FirstName) == first {
			fits = append(fits, e)
		}
	}
	return fits
}

// person is what the CAS server sends of a person's identity, what it does not
// send being "".
func (d *Directory) person(c Claim) (who Row) {
	one := func(name string) string {
		if values := c.Attributes[name]; len(values) > 0 {
			return clipped(clean(values[0]))
		}
		return ""
	}
	who.LastName, who.FirstName = one(d.config.Attributes.LastName), one(d.config.Attributes.FirstName)
	who.BirthDate, _ = ParseDate(one(d.config.Attributes.BirthDate))
	if all := d.sentCategories(c); len(all) == 1 {
		for who.Category = range all {
		}
	}
	return who
}

// sentCategories are the categories that the CAS server sends.
func (d *Directory) sentCategories(c Claim) kinds {
	return categoriesIn(c.Attributes[d.config.Attributes.Category])
}

// kinds are what somebody is, by what the CAS server sends.
type kinds map[Category]bool

// have reports whether one of them can be what a row says. ENTs have no profile for
// learning assistants: there they are staff.
func (k kinds) have(c Category) bool {
	return k[c] || c == Accompagnant && k[Personnel]
}

func categoriesIn(values []string) kinds {
	all := make(kinds)
	for _, value := range values {
		for _, name := range Several(value) {
			if category, ok := ParseCategory(name); ok {
				all[category] = true
			}
		}
	}
	return all
}

// bindingOf returns the binding of a CAS identifier, or nil. It holds only where
// the identifier names the same person.
func (d *Directory) bindingOf(ctx context.Context, user string) (*binding, error) {
	b, err := load[binding](ctx, d, d.key(kindUsers, user))
	if err != nil || b == nil || b.User != user {
		return nil, err
	}
	h, err := load[held](ctx, d, d.key(kindIDs, b.PronoteID))
	if err != nil || h == nil || h.User != user {
		return nil, err
	}
	return b, nil
}

// holder returns the CAS identifier that holds id, by a first connection or by
// an import, or "".
func (d *Directory) holder(ctx context.Context, id string, row *entry) (string, error) {
	h, err := load[held](ctx, d, d.key(kindIDs, id))
	if err != nil {
		return "", err
	}
	if h != nil {
		b, err := d.bindingOf(ctx, h.User)
		if err != nil {
			return "", err
		}
		if b != nil && b.PronoteID == id {
			return h.User, nil
		}
	}
	if row == nil || row.User == "" {
		return "", nil
	}
	// What an import proposes is void once the person has turned out to be another.
	b, err := d.bindingOf(ctx, row.User)
	if err != nil || b != nil {
		return "", err
	}
	return row.User, nil
}

// bind makes id the PRONOTE identifier of c.User, whose binding until now is
// known, unless somebody else holds it.
func (d *Directory) bind(ctx context.Context, c Claim, id string, rule Rule, known *binding) (Result, error) {
	result, err := d.take(ctx, c, id, rule)
	if err == nil && known != nil && result.Conflict == nil {
		result.Previous = known.PronoteID
		_ = d.unbind(ctx, known.PronoteID, c.User, always) // half a binding by now, and as good as none
	}
	return result, err
}

func (d *Directory) take(ctx context.Context, c Claim, id string, rule Rule) (Result, error) {
	unlock, err := d.lock(ctx, kindIDs, id)
	if err != nil {
		return Result{}, err
	}
	defer unlock()
	rows, err := d.imported(ctx)
	if err != nil {
		return Result{}, err
	}
	row := rows.byID(id)
	holder, err := d.holder(ctx, id, row)
	if err != nil {
		return Result{}, err
	}
	if holder != "" && holder != c.User {
		conflict, err := d.noteConflict(ctx, c, id, holder, rule)
		return Result{Rule: rule, Conflict: conflict}, err
	}
	b := &binding{Row: d.rowFor(c, id, row), Rule: rule}
	// In this order: half a binding is none.
	if err := d.save(ctx, d.key(kindIDs, id), held{PronoteID: id, User: c.User}); err != nil {
		return Result{}, err
	}
	if err := d.save(ctx, d.key(kindUsers, c.User), b); err != nil {
		return Result{}, err
	}
	return Result{PronoteID: id, Rule: rule, Category: b.Category, First: true}, nil
}

// rowFor is what a binding keeps. What an import has of the person stays there;
// only of one that no import has is the name kept that the CAS server sends.
func (d *Directory) rowFor(c Claim, id string, row *entry) Row {
	now := time.Now().UTC().Truncate(time.Second)
	r := Row{}
	if row == nil {
		r = d.person(c)
		r.Source = FirstConnection
	} else {
		r.Category, r.Source = row.Category, Imported
	}
	r.PronoteID, r.User = id, c.User
	r.FirstConnection, r.LastConnection = now, now
	return r
}

// touchAfter is how exact LastConnection is: a person costs one more write a week.
const touchAfter = 7 * 24 * time.Hour

// touch notes that a person has logged in. It is only there for [Directory.Prune]:
// where it fails the login goes on, and the next one tries again.
func (d *Directory) touch(ctx context.Context, known *binding) {
	now := time.Now().UTC().Truncate(time.Second)
	if now.Sub(known.LastConnection) < touchAfter {
		return
	}
	unlock, err := d.lock(ctx, kindIDs, known.PronoteID)
	if err != nil {
		return
	}
	defer unlock()
	b, err := d.bindingOf(ctx, known.User)
	if err != nil || b == nil || b.PronoteID != known.PronoteID {
		return
	}
	b.LastConnection = now
	_ = d.save(ctx, d.key(kindUsers, b.User), b)
}
