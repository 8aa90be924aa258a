package directory

import (
	"context"
	"encoding/csv"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// Rows returns everybody whom an import or a first connection has brought, by
// category and name.
func (d *Directory) Rows(ctx context.Context) ([]Row, error) {
	snap, err := d.imported(ctx)
	if err != nil {
		return nil, err
	}
	all, err := d.bindings(ctx)
	if err != nil {
		return nil, err
	}
	bound := all.byID
	boundTo := make(map[string]string, len(bound))
	for id, b := range bound {
		boundTo[b.User] = id
	}
	rows := make([]Row, 0, len(snap.entries)+len(bound))
	for i := range snap.entries {
		e := &snap.entries[i]
		if !e.Dropped.IsZero() {
			continue
		}
		row := e.Row
		if b := bound[row.PronoteID]; b != nil {
			row.User, row.FirstConnection, row.LastConnection = b.User, b.FirstConnection, b.LastConnection
			delete(bound, row.PronoteID)
		} else if boundTo[row.User] != "" {
			row.User = "" // who turned out to be another
		}
		rows = append(rows, row)
	}
	for _, b := range bound {
		b.Source = FirstConnection
		rows = append(rows, b.Row)
	}
	byName(rows)
	return rows, nil
}

// byName orders rows by category, name and identifier, folding each name once.
func byName(rows []Row) {
	type named struct {
		name string
		row  Row
	}
	all := make([]named, len(rows))
	for i, r := range rows {
		all[i] = named{strings.Join([]string{string(r.Category), Fold(r.LastName), Fold(r.FirstName), r.PronoteID}, "\x00"), r}
	}
	slices.SortFunc(all, func(a, b named) int { return strings.Compare(a.name, b.name) })
	for i := range all {
		rows[i] = all[i].row
	}
}

// Export is what the school's secretary has to look after.
type Export struct {
	WithoutIdentifier []Unresolved `json:"without_identifier"`
	Conflicts         []Conflict   `json:"conflicts"`
	NeverConnected    []Row        `json:"never_connected"` // imported, not retired, and not seen yet
}

// Export returns what the school's secretary has to look after.
func (d *Directory) Export(ctx context.Context) (Export, error) {
	e := Export{NeverConnected: []Row{}}
	var err error
	if e.WithoutIdentifier, err = d.WithoutIdentifier(ctx); err != nil {
		return e, err
	}
	if e.Conflicts, err = d.Conflicts(ctx); err != nil {
		return e, err
	}
	rows, err := d.Rows(ctx)
	if err != nil {
		return e, err
	}
	for _, r := range rows {
		if r.FirstConnection.IsZero() && !r.Retired {
			e.NeverConnected = append(e.NeverConnected, r)
		}
	}
	return e, nil
}

// words are those of an export in one language.
type words struct {
	header                           []string
	without, conflict, never         string
	ambiguous, heldBy, unknownPerson string
	categories                       map[Category]string
}

var french = words{
	header:        []string{"Situation", "Identifiant CAS", "Identifiant PRONOTE", "Catégorie", "Nom", "Prénom", "Date de naissance", "Dernière connexion", "Remarque"},
	without:       "connecté sans identifiant PRONOTE",
	conflict:      "conflit",
	never:         "jamais connecté",
	ambiguous:     "%d personnes correspondent au nom et à la date de naissance",
	heldBy:        "identifiant déjà attribué à l’identifiant CAS %s",
	unknownPerson: "identifiant PRONOTE introuvable",
	categories: map[Category]string{Eleve: "Élève", Responsable: "Responsable", Professeur: "Professeur",
		Personnel: "Personnel", Accompagnant: "Accompagnant", Tuteur: "Maître de stage"},
}

var english = words{
	header:        []string{"Situation", "CAS identifier", "PRONOTE identifier", "Category", "Last name", "First name", "Birth date", "Last connection", "Remark"},
	without:       "logged in without PRONOTE identifier",
	conflict:      "conflict",
	never:         "never connected",
	ambiguous:     "%d people have this name and birth date",
	heldBy:        "identifier already belongs to the CAS identifier %s",
	unknownPerson: "PRONOTE identifier not found",
	categories: map[Category]string{Eleve: "Pupil", Responsable: "Parent or guardian", Professeur: "Teacher",
		Personnel: "Staff", Accompagnant: "Learning assistant", Tuteur: "Placement supervisor"},
}

// WriteCSV writes e for a spreadsheet, in French unless lang is "en": a byte
// order mark and semicolons, without which Excel in French shows one column of
// broken accents.
func (e Export) WriteCSV(w io.Writer, lang string) error {
	in := &french
	if lang == "en" {
		in = &english
	}
	if _, err := io.WriteString(w, "\uFEFF"); err != nil {
		return err
	}
	out := csv.NewWriter(w)
	out.Comma, out.UseCRLF = ';', true
	_ = out.Write(in.header) // Error below has it
	for _, c := range e.Conflicts {
		writeCells(out, in.conflict, c.User, c.PronoteID, "", "", "", "", day(c.Last), fmt.Sprintf(in.heldBy, c.HeldBy))
	}
	for _, u := range e.WithoutIdentifier {
		remark := in.unknownPerson
		if u.Ambiguous > 0 {
			remark = fmt.Sprintf(in.ambiguous, u.Ambiguous)
		}
		writeCells(out, in.without, u.User, "", in.categories[u.Category], u.LastName, u.FirstName, "", day(u.Last), remark)
	}
	for _, r := range e.NeverConnected {
		writeCells(out, in.never, r.User, r.PronoteID, in.categories[r.Category], r.LastName, r.FirstName, r.BirthDate, "", "")
	}
	out.Flush()
	return out.Error()
}

// writeCells writes one row. A spreadsheet runs a cell that begins like a formula
// (OWASP: CSV injection); names and CAS identifiers come from elsewhere.
func writeCells(out *csv.Writer, cells ...string) {
	for i, cell := range cells {
		if cell != "" && slices.Contains([]byte("=+-@\t\r\n"), cell[0]) {
			cells[i] = "'" + cell
		}
	}
	_ = out.Write(cells) // the writer keeps the error
}

func day(t time.Time) string { return t.Format(time.DateOnly) }
