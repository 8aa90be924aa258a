package pronote

import (
	"errors"
	"fmt"
	"path"
	"strings"
)

// Pattern is a path pattern in the syntax of Caddy's path matcher, case-blind:
// an exact path, "/x/*" for all that begins so, "*.x" for all that ends so,
// "*x*" for all that holds x, and otherwise the globs of [path.Match]. The zero
// Pattern matches nothing.
type Pattern struct {
	text string // folded, without the stars that rule speaks of
	rule patternRule
}

type patternRule uint8

const (
	glob patternRule = iota
	prefix
	suffix
	substring
)

// ParsePattern reads a pattern. The error says what can never match and what to
// write instead.
func ParsePattern(s string) (Pattern, error) {
	folded := strings.ToLower(s)
	switch {
	case s == "":
		return Pattern{}, errors.New("an empty path: write one that begins with a slash, as in /pronote/public/*")
	case s[0] != '/' && s[0] != '*':
		return Pattern{}, fmt.Errorf("path %q does not begin with a slash: write /%s", s, s)
	case strings.ContainsAny(s, "?#"):
		return Pattern{}, fmt.Errorf("path %q: only the path of a request is compared, write it without '?' or '#' and what follows", s)
	case strings.Contains(s, "%"):
		return Pattern{}, fmt.Errorf("path %q is percent-encoded: write the characters themselves", s)
	case strings.ContainsAny(s, "\\;"):
		return Pattern{}, fmt.Errorf("path %q can match nothing: requests with a backslash or a semicolon are refused", s)
	case strings.Contains(s, "//"), strings.Contains(s, "./"), strings.HasSuffix(s, "."):
		return Pattern{}, fmt.Errorf("path %q can match nothing: requests with empty or dot segments are refused", s)
	}
	if _, err := path.Match(folded, ""); err != nil {
		return Pattern{}, fmt.Errorf("path %q: a '[' has no ']'", s)
	}
	stars := strings.Count(folded, "*")
	switch {
	case stars == 2 && len(folded) > 1 && folded[0] == '*' && folded[len(folded)-1] == '*':
		return Pattern{folded[1 : len(folded)-1], substring}, nil
	case stars == 1 && folded[0] == '*':
		return Pattern{folded[1:], suffix}, nil
	case stars == 1 && folded[len(folded)-1] == '*':
		return Pattern{folded[:len(folded)-1], prefix}, nil
	}
	return Pattern{folded, glob}, nil
}

// Match reports whether the pattern matches a path, which is to be the Full of
// a [Target]: decoded, folded, and read by nobody in another way.
func (p Pattern) Match(full string) bool {
	if full == "" {
		return false // an Ambiguous target has no path
	}
	switch p.rule {
	case prefix:
		return strings.HasPrefix(full, p.text)
	case suffix:
		return strings.HasSuffix(full, p.text)
	case substring:
		return strings.Contains(full, p.text)
	}
	// Also exact comparison, where the pattern holds nothing special.
	matched, err := path.Match(p.text, full)
	return matched && err == nil
}
