package directory

import "context"

// Look finds out what [Directory.Resolve] would, and changes nothing.
func (d *Directory) Look(ctx context.Context, c Claim) (Result, error) {
	return d.resolve(ctx, c, onlooker{d})
}

// keeper is what a resolution leaves behind.
type keeper interface {
	touch(ctx context.Context, known *binding)
	bind(ctx context.Context, c Claim, id string, rule Rule, known *binding) (Result, error)
	noteUnresolved(ctx context.Context, c Claim, ambiguous int) error
}

// onlooker leaves nothing behind.
type onlooker struct{ *Directory }

func (onlooker) touch(context.Context, *binding) {}

func (o onlooker) bind(ctx context.Context, c Claim, id string, rule Rule, known *binding) (Result, error) {
	rows, err := o.imported(ctx)
	if err != nil {
		return Result{}, err
	}
	row := rows.byID(id)
	holder, err := o.holder(ctx, id, row)
	if err != nil {
		return Result{}, err
	}
	if holder != "" && holder != c.User {
		return Result{Rule: rule, Conflict: &Conflict{PronoteID: id, User: c.User, HeldBy: holder, Rule: rule}}, nil
	}
	result := Result{PronoteID: id, Rule: rule, Category: o.rowFor(c, id, row).Category, First: true}
	if known != nil {
		result.Previous = known.PronoteID
	}
	return result, nil
}

func (onlooker) noteUnresolved(context.Context, Claim, int) error { return nil }
