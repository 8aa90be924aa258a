package directory

import (
	"context"
	"errors"
	"io"
	"path"
	"strings"
	"time"
)

// Mode says what an imported file is.
type Mode string

// An import is one or the other.
const (
	Full    Mode = "full"    // it has everybody: who is not in it has left
	Partial Mode = "partial" // it adds to what is there
)

// Report is what an import did, or would do.
type Report struct {
	Mode       Mode             `json:"mode"`
	Read       int              `json:"read"` // rows with a PRONOTE identifier
	Added      int              `json:"added"`
	Updated    int              `json:"updated"`
	Retired    int              `json:"retired"` // full: rows that it does not have, and the one before had
	Unchanged  int              `json:"unchanged"`
	ByCategory map[Category]int `json:"by_category"` // of the rows read; "unknown" for those without
	Warnings   []string         `json:"warnings"`
	// Avertissements are the warnings in French, in the same order.
	Avertissements []string `json:"avertissements"`

	DryRun bool `json:"dry_run"` // nothing was changed
	// RetiredBound counts the retired rows that somebody has logged in with. They
	// go on doing so until the next full import, if that does not have them either.
	RetiredBound int `json:"retired_bound"`
	// Removed counts the rows that two full imports in a row did not have, with
	// their bindings.
	Removed int `json:"removed"`
	// Uncovered counts the first connections that no import has. They are kept.
	Uncovered int `json:"uncovered"`
	// NotReassigned counts the rows whose CAS identifier in the file was left out
	// because row or CAS identifier belongs to somebody else already.
	NotReassigned int `json:"not_reassigned"`
}

// unknownCategory is the key of [Report.ByCategory] for rows without one.
const unknownCategory Category = "unknown"

// Import takes an export of PRONOTE's identifiers: XML, or CSV or TSV with a
// header row, in UTF-8, UTF-16 or windows-1252. name is the file's, for messages.
// progress, if not nil, is told every thousand rows how many have been read.
//
// All of it counts, or none: an *[ImportError] says what is wrong with the file,
// any other error that the store could not be asked or told. A dry run reports
// what would happen.
func (d *Directory) Import(ctx context.Context, r io.Reader, name string, mode Mode, dryRun bool, progress func(n int)) (Report, error) {
	if mode != Full && mode != Partial {
		return Report{}, refuseMode()
	}
	f, err := readFile(r, maxBytes, progress)
	if err != nil {
		var refused *ImportError
		if errors.As(err, &refused) && name != "" {
			refused.File = path.Base(strings.ReplaceAll(name, `\`, "/"))
		}
		return Report{}, err
	}
	if !dryRun {
		unlock, err := d.lockImport(ctx)
		if err != nil {
			return Report{}, err
		}
		defer unlock()
	}
	old, err := d.importedBefore(ctx, mode)
	if err != nil {
		return Report{}, err
	}
	bound, err := d.bindings(ctx)
	if err != nil {
		return Report{}, err
	}
	m := newMerge(old.entries, bound.byID, mode, time.Now().UTC().Truncate(time.Second))
	entries := m.merge(f)
	m.report.DryRun = dryRun
	m.warn(f, entries)
	if dryRun {
		return m.report, nil
	}
	version, err := d.publish(ctx, old.Version, entries)
	if err != nil {
		return Report{}, err
	}
	err = d.dropBindings(ctx, entries, bound)
	if err == nil {
		err = d.tidy(ctx, version)
	}
	if err != nil {
		m.say("The import counts, but what it replaces could not be deleted altogether; the next import does it.",
			"L’import est pris en compte, mais ce qu’il remplace n’a pas pu être effacé entièrement ; le prochain import s’en chargera.")
	}
	return m.report, nil
}

// importedBefore returns what a file is merged with. Damaged rows do not keep a
// full import from replacing them.
func (d *Directory) importedBefore(ctx context.Context, mode Mode) (*snapshot, error) {
	rows, err := d.imported(ctx)
	if !errors.Is(err, ErrDamaged) || mode != Full {
		return rows, err
	}
	current, err := load[manifest](ctx, d, d.currentKey())
	if err != nil {
		return nil, err
	}
	damaged := new(snapshot)
	if current != nil {
		damaged.Version = current.Version
	}
	return damaged, nil
}

// bindings are all first connections.
type bindings struct {
	byID   map[string]*binding // by PRONOTE identifier
	halves []held              // what crashes left, or somebody is writing right now
}

func (d *Directory) bindings(ctx context.Context) (bindings, error) {
	users, err := records[binding](ctx, d, kindUsers)
	if err != nil {
		return bindings{}, err
	}
	holders, err := records[held](ctx, d, kindIDs)
	if err != nil {
		return bindings{}, err
	}
	holds := make(map[string]string, len(holders))
	for _, h := range holders {
		holds[h.PronoteID] = h.User
	}
	all := bindings{byID: make(map[string]*binding, len(users))}
	for _, b := range users {
		if holds[b.PronoteID] == b.User {
			all.byID[b.PronoteID] = b
		} else {
			all.halves = append(all.halves, held{PronoteID: b.PronoteID, User: b.User})
		}
	}
	for _, h := range holders {
		if all.byID[h.PronoteID] == nil {
			all.halves = append(all.halves, *h)
		}
	}
	return all, nil
}

// dropBindings deletes the bindings of rows that have been removed: those from
// before the removal, because the CAS server may have sent the identifier again
// since.
func (d *Directory) dropBindings(ctx context.Context, entries []entry, bound bindings) error {
	var gone []*entry
	for i := range entries {
		e := &entries[i]
		if b := bound.byID[e.PronoteID]; b != nil && !e.Dropped.IsZero() && !b.FirstConnection.After(e.Dropped) {
			gone = append(gone, e)
		}
	}
	return each(ctx, gone, func(ctx context.Context, e *entry) error {
		since := func(b *binding) bool { return b.FirstConnection.After(e.Dropped) }
		return d.unbind(ctx, e.PronoteID, bound.byID[e.PronoteID].User, since)
	})
}
