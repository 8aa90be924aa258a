package ent

import (
	"cmp"
	"slices"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// Search returns the ENTs in which every word of text is found: in the key, the
// name, the vendor, the area, or the name of a département; a number is the
// code of one. Accents, case and punctuation do not count. An empty text finds
// all.
func Search(text string) []ENT {
	words := strings.Fields(fold(text))
	var found []ENT
	for _, e := range list() {
		if !slices.ContainsFunc(words, func(word string) bool { return !e.has(word) }) {
			found = append(found, e)
		}
	}
	return found
}

func (e ENT) has(word string) bool {
	if code := strings.ToUpper(word); isCode(code) {
		if len(code) == 1 {
			code = "0" + code
		}
		// Key and name as well: some ENTs bear a number that is theirs.
		return slices.Contains(e.Departements, code) || strings.Contains(fold(e.Key+" "+e.Name), word)
	}
	haystack := e.Key + " " + e.Name + " " + e.Vendor + " " + e.Area
	for _, code := range e.Departements {
		haystack += " " + departements[code]
	}
	return strings.Contains(fold(haystack), word)
}

// isCode reports whether a word is a département's number, or could be.
func isCode(word string) bool {
	return word == "2A" || word == "2B" || len(word) <= 3 && strings.Trim(word, "0123456789") == ""
}

// fold removes case, accents and punctuation.
func fold(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.Is(unicode.Mn, r):
			return -1
		case unicode.IsLetter(r) || unicode.IsDigit(r):
			return unicode.ToLower(r)
		}
		return ' '
	}, norm.NFD.String(s))
}

// didYouMean offers the keys that are nearest to one that does not exist.
func didYouMean(key string) string {
	const offered = 3
	type near struct {
		key      string
		distance int
	}
	var keys []near
	for _, e := range list() {
		if e.usable() {
			keys = append(keys, near{e.Key, distance(key, e.Key)})
		}
	}
	// What the person may have meant as a name comes before what looks alike.
	named := Search(key)
	slices.SortStableFunc(keys, func(a, b near) int {
		is := func(n near) int {
			if slices.ContainsFunc(named, func(e ENT) bool { return e.Key == n.key }) && len(named) < len(list()) {
				return 0
			}
			return 1
		}
		return cmp.Or(cmp.Compare(is(a), is(b)), cmp.Compare(a.distance, b.distance))
	})
	var names []string
	for _, n := range keys[:min(offered, len(keys))] {
		names = append(names, n.key)
	}
	return ": perhaps " + strings.Join(names, ", ") + " (caddy pronote-cas ents lists all)"
}

// distance is the number of letters to change, add or remove (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
