package directory

import (
	"context"
	"slices"
	"strings"
	"time"
)

// Conflict is a login that was refused because somebody else holds the PRONOTE
// identifier. Only the school can tell who is right.
type Conflict struct {
	PronoteID string    `json:"pronote_id"`
	User      string    `json:"cas_identifier"` // who was refused
	HeldBy    string    `json:"held_by"`        // the CAS identifier that holds it
	Rule      Rule      `json:"rule"`
	First     time.Time `json:"first"` // when it happened first and last, the latter to within an hour
	Last      time.Time `json:"last"`
}

// Unresolved is somebody who logged in and whose PRONOTE identifier was not
// found.
type Unresolved struct {
	User      string    `json:"cas_identifier"`
	Category  Category  `json:"category,omitempty"` // this and the name: what the CAS server sent
	LastName  string    `json:"last_name,omitempty"`
	FirstName string    `json:"first_name,omitempty"`
	Ambiguous int       `json:"ambiguous,omitempty"` // how many rows fit the person
	Last      time.Time `json:"last"`                // last login, to within a day
}

// noteConflict keeps the latest conflict of a person. It is written before the
// login is refused, so that none is refused that the school cannot see.
func (d *Directory) noteConflict(ctx context.Context, c Claim, id, holder string, rule Rule) (*Conflict, error) {
	key := d.key(kindConflicts, c.User)
	before, err := load[Conflict](ctx, d, key)
	if err != nil {
		return nil, err
	}
	now := time.Now().UTC().Truncate(time.Second)
	this := &Conflict{PronoteID: id, User: c.User, HeldBy: holder, Rule: rule, First: now, Last: now}
	if before != nil && before.PronoteID == id && before.HeldBy == holder && before.Rule == rule {
		if now.Sub(before.Last) < time.Hour {
			return before, nil
		}
		this.First = before.First
	}
	return this, d.save(ctx, key, this)
}

func (d *Directory) noteUnresolved(ctx context.Context, c Claim, ambiguous int) error {
	key := d.key(kindUnresolved, c.User)
	before, err := load[Unresolved](ctx, d, key)
	if err != nil {
		return err
	}
	now := time.Now().UTC().Truncate(time.Second)
	if before != nil && before.Ambiguous == ambiguous && now.Sub(before.Last) < 24*time.Hour {
		return nil
	}
	who := d.person(c)
	return d.save(ctx, key, Unresolved{
		User: c.User, Category: who.Category, LastName: who.LastName, FirstName: who.FirstName,
		Ambiguous: ambiguous, Last: now,
	})
}

// Conflicts returns the conflicts that still stand, latest first.
func (d *Directory) Conflicts(ctx context.Context) ([]Conflict, error) {
	all, err := records[Conflict](ctx, d, kindConflicts)
	if err != nil {
		return nil, err
	}
	rows, err := d.imported(ctx)
	if err != nil {
		return nil, err
	}
	stand := make([]Conflict, 0, len(all))
	for _, c := range all {
		holder, err := d.holder(ctx, c.PronoteID, rows.byID(c.PronoteID))
		if err != nil {
			return nil, err
		}
		if holder != "" && holder != c.User {
			c.HeldBy = holder
			stand = append(stand, *c)
		}
	}
	slices.SortFunc(stand, func(a, b Conflict) int {
		if order := b.Last.Compare(a.Last); order != 0 {
			return order
		}
		return strings.Compare(a.User, b.User)
	})
	return stand, nil
}

// WithoutIdentifier returns who logged in without an identifier and has none
// still, latest first.
func (d *Directory) WithoutIdentifier(ctx context.Context) ([]Unresolved, error) {
	all, err := records[Unresolved](ctx, d, kindUnresolved)
	if err != nil {
		return nil, err
	}
	still := make([]Unresolved, 0, len(all))
	for _, u := range all {
		b, err := d.bindingOf(ctx, u.User)
		if err != nil {
			return nil, err
		}
		if b == nil {
			still = append(still, *u)
		}
	}
	slices.SortFunc(still, func(a, b Unresolved) int {
		if order := b.Last.Compare(a.Last); order != 0 {
			return order
		}
		return strings.Compare(a.User, b.User)
	})
	return still, nil
}
