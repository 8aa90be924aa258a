package directory

import (
	"fmt"
	"slices"
	"strings"
)

// warn says what is worth knowing about an import that goes through. Lines are
// numbered, never quoted.
func (m *merge) warn(f *file, entries []entry) {
	say := func(n int, format string, a ...any) {
		if n > 0 {
			m.report.Warnings = append(m.report.Warnings, fmt.Sprintf(format, a...))
		}
	}
	var noDate, noKind, unusual, unprovable numbers
	slices.SortFunc(f.lines, func(a, b line) int { return a.Number - b.Number })
	for i := range f.lines {
		l := &f.lines[i]
		if l.noDate {
			noDate.add(l.Number)
		}
		if l.noKind || l.Category == "" {
			noKind.add(l.Number)
		}
		if strings.Trim(l.PronoteID, alphabet) != "" {
			unusual.add(l.Number)
		}
		if l.LastName == "" || l.BirthDate == "" {
			unprovable.add(l.Number)
		}
	}
	alike := ambiguous(f.lines)
	m.countUncovered(entries)
	r := &m.report
	say(f.without.count, "People without a PRONOTE identifier, left out: %s.", f.without)
	say(noDate.count, "Birth dates that cannot be read, left empty (write 07/03/2012): %s.", noDate)
	say(noKind.count, "Rows without a category that is known (Élève, Responsable, Professeur, Personnel, Accompagnant, Tuteur): %s. The identity match does not find them.", noKind)
	say(unprovable.count, "Rows without last name or birth date: %s. These people cannot claim their identifier themselves.", unprovable)
	say(alike.count, "Rows with the same last name, first name, birth date and category as another: %s. The identity match finds none of them.", alike)
	say(unusual.count, "PRONOTE identifiers with a character that PRONOTE does not use (0, 1, I, L, O): %s. Check that they were not typed by hand.", unusual)
	say(m.kept.count, "CAS identifiers left out, because the row or the CAS identifier belongs to somebody else already: %s. Where the file is right, forget the CAS identifier that holds the row, then import again.", m.kept)
	say(r.Retired, "%d rows are not in the file and are retired. %d of them belong to people who have logged in, and go on working until the next full import, if that does not have them either.", r.Retired, r.RetiredBound)
	if r.Retired > r.Updated+r.Unchanged {
		say(1, "More rows are retired than stay. If the file was not meant to have everybody, import the file before again, with mode full, then this one with mode partial.")
	}
	say(r.Removed, "%d rows were not in the last full import either and are removed, with their bindings.", r.Removed)
	say(r.Uncovered, "%d people who have logged in are in no import. They are kept.", r.Uncovered)
}

// countUncovered counts the bindings that no row confirms.
func (m *merge) countUncovered(entries []entry) {
	rows := snapshot{entries: entries}
	dropped := make(map[string]*entry)
	for i := range entries {
		if e := &entries[i]; !e.Dropped.IsZero() {
			dropped[e.PronoteID] = e
		}
	}
	for id, b := range m.bound {
		gone := dropped[id]
		if rows.byID(id) == nil && (gone == nil || b.FirstConnection.After(gone.Dropped)) {
			m.report.Uncovered++
		}
	}
}

// ambiguous finds the lines that the identity match cannot tell apart.
func ambiguous(lines []line) (alike numbers) {
	seen := make(map[string]int, len(lines)) // index of the first, -1 once it is counted
	for i := range lines {
		l := &lines[i]
		if l.LastName == "" || l.FirstName == "" || l.BirthDate == "" || l.Category == "" {
			continue
		}
		who := Fold(l.LastName) + "\x00" + Fold(l.FirstName) + "\x00" + l.BirthDate + "\x00" + string(l.Category)
		first, twice := seen[who]
		if !twice {
			seen[who] = i
			continue
		}
		if first >= 0 {
			alike.add(lines[first].Number)
			seen[who] = -1
		}
		alike.add(l.Number)
	}
	return alike
}

// String says how many lines, and which.
func (n numbers) String() string {
	text := make([]string, len(n.first))
	for i, number := range n.first {
		text[i] = fmt.Sprint(number)
	}
	more := ""
	if n.count > len(n.first) {
		more = ", …"
	}
	if n.count == 1 {
		return "1 (line " + text[0] + ")"
	}
	return fmt.Sprintf("%d (lines %s%s)", n.count, strings.Join(text, ", "), more)
}
