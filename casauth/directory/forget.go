package directory

import (
	"context"
	"errors"
	"slices"
	"time"
)

// Forget erases a person by CAS identifier: binding, conflicts, logins without
// identifier, tries, and the imported row. An import whose file has the person
// brings that row back. known is whether there was anything. Sessions are not the
// directory's.
func (d *Directory) Forget(ctx context.Context, user string) (known bool, err error) {
	return d.erase(ctx, user, true)
}

// Release is Forget, but leaves the imported row, without its CAS identifier: for
// an identifier that the wrong person holds. The right one can log in with it at
// once.
func (d *Directory) Release(ctx context.Context, user string) (known bool, err error) {
	return d.erase(ctx, user, false)
}

// erase deletes the binding last: where something fails before, it is still
// known which row is the person's.
func (d *Directory) erase(ctx context.Context, user string, row bool) (known bool, err error) {
	if user == "" {
		return false, errNobody
	}
	b, err := load[binding](ctx, d, d.key(kindUsers, user))
	if err != nil {
		return false, err
	}
	known = b != nil
	bound := b
	if b != nil {
		h, err := load[held](ctx, d, d.key(kindIDs, b.PronoteID))
		if err != nil {
			return known, err
		}
		if h != nil && h.User != user {
			bound = nil // half a binding: the row is somebody else's by now
		}
	}
	changed, err := d.changeImported(ctx, func(entries []entry) []entry {
		return eraseFrom(entries, user, bound, row)
	})
	if err != nil {
		return known, err
	}
	noted, err := d.eraseNotes(ctx, user)
	if err != nil {
		return known, err
	}
	half, err := d.forgetHalves(ctx, user)
	if err == nil && b != nil {
		err = d.unbind(ctx, b.PronoteID, user, never)
	}
	return known || changed || noted || half, err
}

// forgetHalves deletes what a login that was never answered left of a person.
func (d *Directory) forgetHalves(ctx context.Context, user string) (known bool, err error) {
	bound, err := d.bindings(ctx)
	if err != nil {
		return false, err
	}
	for _, h := range bound.halves {
		if h.User == user {
			known = true
			if err := d.unbind(ctx, h.PronoteID, user, always); err != nil {
				return known, err
			}
		}
	}
	return known, nil
}

func eraseFrom(entries []entry, user string, b *binding, row bool) []entry {
	if row {
		return slices.DeleteFunc(entries, func(e entry) bool {
			return e.User == user || b != nil && e.PronoteID == b.PronoteID && e.Dropped.IsZero()
		})
	}
	for i := range entries {
		if entries[i].User == user {
			entries[i].User = ""
		}
	}
	return entries
}

func (d *Directory) eraseNotes(ctx context.Context, user string) (known bool, err error) {
	conflicts, err := records[Conflict](ctx, d, kindConflicts)
	if err != nil {
		return false, err
	}
	keys := []string{
		d.key(kindUnresolved, user), d.key(kindConflicts, user), d.key(kindTries, "person\x00"+user),
	}
	for key, c := range conflicts {
		known = known || c.User == user || c.HeldBy == user
		if c.HeldBy == user {
			keys = append(keys, key)
		}
	}
	if !known {
		u, err := load[Unresolved](ctx, d, d.key(kindUnresolved, user))
		if err != nil {
			return false, err
		}
		known = u != nil
	}
	for _, key := range keys {
		if err := d.remove(ctx, key); err != nil {
			return known, err
		}
	}
	return known, nil
}

// unbind deletes what binds id and user, whole or half, unless it is whole and
// keep says so. The record of the user goes last, because it says what else is to
// be deleted where that fails.
func (d *Directory) unbind(ctx context.Context, id, user string, keep func(*binding) bool) error {
	unlock, err := d.lock(ctx, kindIDs, id)
	if err != nil {
		return err
	}
	defer unlock()
	idKey, userKey := d.key(kindIDs, id), d.key(kindUsers, user)
	h, err := load[held](ctx, d, idKey)
	if err != nil {
		return err
	}
	b, err := load[binding](ctx, d, userKey)
	if err != nil {
		return err
	}
	holds, bound := h != nil && h.User == user, b != nil && b.PronoteID == id
	if holds && bound && keep(b) {
		return nil
	}
	if holds {
		if err := d.remove(ctx, idKey); err != nil {
			return err
		}
	}
	if bound {
		return d.remove(ctx, userKey)
	}
	return nil
}

func always(*binding) bool { return true }
func never(*binding) bool  { return false }

// changeImported replaces the imported rows by what change makes of a copy. What
// was deleted is in no import that does not count, either.
func (d *Directory) changeImported(ctx context.Context, change func([]entry) []entry) (changed bool, err error) {
	unlock, err := d.lockImport(ctx)
	if err != nil {
		return false, err
	}
	defer unlock()
	rows, err := d.imported(ctx)
	if err != nil {
		return false, err
	}
	entries := change(slices.Clone(rows.entries))
	version := rows.Version
	if changed = !slices.Equal(entries, rows.entries); changed {
		if version, err = d.publish(ctx, version, entries); err != nil {
			return false, err
		}
	}
	return changed, d.tidy(ctx, version)
}

// MinRetention is the shortest time that [Directory.Prune] takes: well above what
// LastConnection is exact to.
const MinRetention = 30 * 24 * time.Hour

// ErrRetention says that a retention is shorter than thirty days, which would
// forget people between two holidays.
var ErrRetention = errors.New("the retention of the directory is at least 720h (thirty days)")

// Pruned is what [Directory.Prune] deleted.
type Pruned struct {
	Rows     int `json:"rows"`     // imported rows that no import has confirmed, of people who do not log in
	Bindings int `json:"bindings"` // first connections of people who have not come back
	Notes    int `json:"notes"`    // conflicts, and logins without identifier
}

// Prune deletes what has not been used for olderThan, thirty days at least. It
// may be run at any time and on every node.
func (d *Directory) Prune(ctx context.Context, olderThan time.Duration) (Pruned, error) {
	var p Pruned
	if olderThan < MinRetention {
		return p, ErrRetention
	}
	before := time.Now().Add(-olderThan)
	bound, err := d.bindings(ctx)
	if err != nil {
		return p, err
	}
	for id, b := range bound.byID {
		if !b.LastConnection.Before(before) {
			continue
		}
		back := func(b *binding) bool { return !b.LastConnection.Before(before) }
		if err := d.unbind(ctx, id, b.User, back); err != nil {
			return p, err
		}
		p.Bindings++
		delete(bound.byID, id)
	}
	for _, h := range bound.halves {
		if err := d.unbind(ctx, h.PronoteID, h.User, always); err != nil {
			return p, err
		}
	}
	_, err = d.changeImported(ctx, func(entries []entry) []entry {
		return slices.DeleteFunc(entries, func(e entry) bool {
			old := e.Imported.Before(before) && e.Dropped.Before(before) && bound.byID[e.PronoteID] == nil
			if old && e.Dropped.IsZero() {
				p.Rows++
			}
			return old
		})
	})
	if err != nil {
		return p, err
	}
	return p, d.pruneNotes(ctx, before, &p)
}

func (d *Directory) pruneNotes(ctx context.Context, before time.Time, p *Pruned) error {
	conflicts, err := old(ctx, d, kindConflicts, func(c *Conflict) bool { return c.Last.Before(before) })
	if err != nil {
		return err
	}
	unresolved, err := old(ctx, d, kindUnresolved, func(u *Unresolved) bool { return u.Last.Before(before) })
	if err != nil {
		return err
	}
	tried, err := old(ctx, d, kindTries, func(t *tries) bool {
		return t.within(time.Now(), 24*time.Hour) == 0
	})
	if err != nil {
		return err
	}
	p.Notes = len(conflicts) + len(unresolved)
	return each(ctx, slices.Concat(conflicts, unresolved, tried), d.remove)
}

// old returns the keys of the records of kind that are.
func old[T any](ctx context.Context, d *Directory, kind string, is func(*T) bool) (keys []string, err error) {
	all, err := records[T](ctx, d, kind)
	for key, record := range all {
		if is(record) {
			keys = append(keys, key)
		}
	}
	return keys, err
}
