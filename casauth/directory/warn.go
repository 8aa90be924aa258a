package directory

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// warn says what is worth knowing about an import that goes through. Lines are
// numbered, never quoted.
func (m *merge) warn(f *file, entries []entry) {
	var noDate, noKind, unusual, unprovable, garbled numbers
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
		if strings.ContainsFunc(l.LastName+l.FirstName, foreignToNames) {
			garbled.add(l.Number)
		}
		if l.LastName == "" || l.BirthDate == "" {
			unprovable.add(l.Number)
		}
	}
	alike := ambiguous(f.lines)
	m.countUncovered(entries)
	m.warnOf(f.without, "People without a PRONOTE identifier, left out: %s.", "Personnes sans identifiant PRONOTE, laissées de côté : %s.")
	m.warnOf(garbled, "Names with signs that no name has: %s. The file may have gone through another encoding: look at these names, and export again as UTF-8 if they are wrong.",
		"Noms contenant des signes qu’aucun nom ne contient : %s. Le fichier a peut-être changé de codage en chemin : regardez ces noms et, s’ils sont faux, relancez l’export en UTF-8.")
	m.warnOf(noDate, "Birth dates that cannot be read, left empty (write 07/03/2012): %s.", "Dates de naissance illisibles, laissées vides (écrire 07/03/2012) : %s.")
	m.warnOf(noKind, "Rows without a category that is known (Élève, Responsable, Professeur, Personnel, Accompagnant, Tuteur): %s. The identity match does not find them.",
		"Lignes sans catégorie connue (Élève, Responsable, Professeur, Personnel, Accompagnant, Tuteur) : %s. Le rapprochement par identité ne les trouve pas.")
	m.warnOf(unprovable, "Rows without last name or birth date: %s. These people cannot claim their identifier themselves.",
		"Lignes sans nom ou sans date de naissance : %s. Ces personnes ne peuvent pas relier leur compte elles-mêmes.")
	m.warnOf(alike, "Rows with the same last name, first name, birth date and category as another: %s. The identity match finds none of them.",
		"Lignes ayant les mêmes nom, prénom, date de naissance et catégorie qu’une autre : %s. Le rapprochement par identité n’en trouve aucune.")
	m.warnOf(unusual, "PRONOTE identifiers with a character that PRONOTE does not use (0, 1, I, L, O): %s. Check that they were not typed by hand.",
		"Identifiants PRONOTE contenant un caractère que PRONOTE n’emploie pas (0, 1, I, L, O) : %s. Vérifiez qu’ils n’ont pas été saisis à la main.")
	m.warnOf(m.kept, "CAS identifiers left out, because the row or the CAS identifier belongs to somebody else already: %s. Where the file is right, forget the CAS identifier that holds the row, then import again.",
		"Identifiants CAS laissés de côté, car la ligne ou l’identifiant CAS appartient déjà à quelqu’un d’autre : %s. Si le fichier a raison, effacez (forget) l’identifiant CAS qui détient la ligne, puis relancez l’import.")
	m.warnOfRetired()
}

// foreignToNames reports whether r is what no name has, but text in the wrong encoding
// does: DOS's é is a low quotation mark to Windows, UTF-8's the sign ©.
func foreignToNames(r rune) bool {
	return !unicode.In(r, unicode.L, unicode.M, unicode.N, unicode.Zs) && !strings.ContainsRune("'’‘`´\"“”«»-‐‑–—.,()/&·", r)
}

// warnOfRetired says what becomes of whom the file does not have.
func (m *merge) warnOfRetired() {
	r := &m.report
	if r.Retired > 0 {
		m.say(fmt.Sprintf("Rows that are not in the file and are retired: %d, of which %d belong to people who have logged in, and go on working until the next full import, if that does not have them either.", r.Retired, r.RetiredBound),
			fmt.Sprintf("Lignes absentes du fichier, donc retirées : %d, dont %d de personnes qui se sont déjà connectées ; celles-ci continuent de fonctionner jusqu’au prochain import full, s’il ne les contient pas non plus.", r.Retired, r.RetiredBound))
	}
	if r.Retired > r.Updated+r.Unchanged {
		m.say("More rows are retired than stay. If the file was not meant to have everybody, import the file before again, with mode full, then this one with mode partial.",
			"Plus de lignes sont retirées qu’il n’en reste. Si le fichier n’était pas censé contenir tout le monde, réimportez le précédent en mode full, puis celui-ci en mode partial.")
	}
	if r.Removed > 0 {
		m.say(fmt.Sprintf("Rows that the last full import did not have either, removed with their bindings: %d.", r.Removed),
			fmt.Sprintf("Lignes absentes aussi du dernier import full, supprimées avec leurs liens : %d.", r.Removed))
	}
	if r.Uncovered > 0 {
		m.say(fmt.Sprintf("People who have logged in and are in no import, kept: %d.", r.Uncovered),
			fmt.Sprintf("Personnes qui se sont connectées et ne figurent dans aucun import, conservées : %d.", r.Uncovered))
	}
}

func (m *merge) say(en, fr string) {
	m.report.Warnings = append(m.report.Warnings, en)
	m.report.Avertissements = append(m.report.Avertissements, fr)
}

// warnOf warns of lines, if there are any.
func (m *merge) warnOf(lines numbers, en, fr string) {
	if lines.count > 0 {
		m.say(fmt.Sprintf(en, lines.in("line", "lines")), fmt.Sprintf(fr, lines.in("ligne", "lignes")))
	}
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

// in says how many lines, and which, by the word for one and for several.
func (n numbers) in(one, several string) string {
	text := make([]string, len(n.first))
	for i, number := range n.first {
		text[i] = fmt.Sprint(number)
	}
	more := ""
	if n.count > len(n.first) {
		more = ", …"
	}
	if n.count == 1 {
		return "1 (" + one + " " + text[0] + ")"
	}
	return fmt.Sprintf("%d (%s %s%s)", n.count, several, strings.Join(text, ", "), more)
}
