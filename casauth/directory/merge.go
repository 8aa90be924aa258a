package directory

import (
	"slices"
	"strings"
	"time"
)

// merge is one import under way.
type merge struct {
	mode    Mode
	now     time.Time
	old     []entry
	bound   map[string]*binding // by PRONOTE identifier
	boundTo map[string]string   // CAS identifier to PRONOTE identifier, of bindings
	propose map[string]string   // the same, of imported rows
	report  Report
	kept    numbers // lines whose CAS identifier was left out
}

func newMerge(old []entry, bound map[string]*binding, mode Mode, now time.Time) *merge {
	m := &merge{
		mode: mode, now: now, old: old, bound: bound,
		boundTo: make(map[string]string, len(bound)), propose: make(map[string]string),
		report: Report{Mode: mode, ByCategory: make(map[Category]int), Warnings: []string{}, Avertissements: []string{}},
	}
	for id, b := range bound {
		m.boundTo[b.User] = id
	}
	for i := range old {
		if e := &old[i]; e.User != "" && e.Dropped.IsZero() {
			m.propose[e.User] = e.PronoteID
		}
	}
	return m
}

// merge returns the rows that count after the file, ordered by identifier.
func (m *merge) merge(f *file) []entry {
	lines := f.lines
	slices.SortFunc(lines, func(a, b line) int { return strings.Compare(a.PronoteID, b.PronoteID) })
	m.free(f)
	entries := make([]entry, 0, max(len(lines), len(m.old)))
	old := m.old
	for i := range lines {
		l := &lines[i]
		for len(old) > 0 && old[0].PronoteID < l.PronoteID {
			entries = m.absent(entries, old[0])
			old = old[1:]
		}
		var before *entry
		if len(old) > 0 && old[0].PronoteID == l.PronoteID {
			before = &old[0]
			old = old[1:]
			if !before.Dropped.IsZero() {
				before = nil
			}
		}
		entries = append(entries, m.present(l, before))
	}
	for _, e := range old {
		entries = m.absent(entries, e)
	}
	m.report.Read = len(lines)
	m.report.NotReassigned = m.kept.count
	return entries
}

// free lets go of the CAS identifiers of rows that go for good with this file, so
// that it may give them to others: a new PRONOTE database has new identifiers.
func (m *merge) free(f *file) {
	for i := range m.old {
		e := &m.old[i]
		if _, there := f.byID[e.PronoteID]; there || m.mode != Full || !e.Retired {
			continue
		}
		if m.propose[e.User] == e.PronoteID {
			delete(m.propose, e.User)
		}
		if b := m.bound[e.PronoteID]; b != nil {
			delete(m.boundTo, b.User)
		}
	}
}

// present returns the row for a line of the file, where before is the row that
// it replaces.
func (m *merge) present(l *line, before *entry) entry {
	e := entry{Row: l.Row}
	e.Imported = m.now
	e.User = m.user(l, before)
	if before != nil && m.mode == Partial {
		for _, v := range []struct{ now, before *string }{
			{&e.LastName, &before.LastName}, {&e.FirstName, &before.FirstName},
			{&e.BirthDate, &before.BirthDate}, {(*string)(&e.Category), (*string)(&before.Category)},
		} {
			if *v.now == "" {
				*v.now = *v.before
			}
		}
	}
	category := e.Category
	if category == "" {
		category = unknownCategory
	}
	m.report.ByCategory[category]++
	if before == nil {
		m.report.Added++
		return e
	}
	same := before.Row
	same.Imported = m.now
	if same == e.Row {
		m.report.Unchanged++
	} else {
		m.report.Updated++
	}
	return e
}

// user decides whose the row is. What somebody holds is never given to another,
// neither the row nor the CAS identifier.
func (m *merge) user(l *line, before *entry) string {
	id := l.PronoteID
	proposed := ""
	if before != nil && before.User != "" {
		if to, bound := m.boundTo[before.User]; !bound || to == id {
			proposed = before.User
		}
	}
	holder := proposed
	if b := m.bound[id]; b != nil {
		holder = b.User
		if proposed != holder {
			proposed = ""
		}
	}
	if l.User == "" || l.User == holder {
		if l.User == holder {
			proposed = holder
		}
		return proposed
	}
	to, taken := m.boundTo[l.User]
	if !taken {
		to, taken = m.propose[l.User]
	}
	if holder != "" || taken && to != id {
		m.kept.add(l.Number)
		return proposed
	}
	return l.User
}

// absent takes a row that the file does not have.
func (m *merge) absent(entries []entry, e entry) []entry {
	switch {
	case m.mode == Partial:
	case !e.Dropped.IsZero():
		if b := m.bound[e.PronoteID]; b == nil || b.FirstConnection.After(e.Dropped) {
			return entries // nothing of it is left
		}
	case e.Retired:
		m.report.Removed++
		e = entry{Row: Row{PronoteID: e.PronoteID}, Dropped: m.now}
	default:
		e.Retired = true
		m.report.Retired++
		if m.bound[e.PronoteID] != nil {
			m.report.RetiredBound++
		}
	}
	return append(entries, e)
}
