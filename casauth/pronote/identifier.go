package pronote

import "strings"

// Identifier returns s as PRONOTE writes its 16-character identifiers, blanks
// around it removed and in upper case, and whether it is one: 16 characters
// out of A-Z and 0-9. Anything else is not an identifier and returns "".
func Identifier(s string) (id string, ok bool) {
	s = strings.TrimSpace(s)
	if len(s) != 16 {
		return "", false
	}
	// ASCII first: the upper case of some foreign letters is an ASCII one.
	for i := 0; i < len(s); i++ {
		c := s[i]
		if !('0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z') {
			return "", false
		}
	}
	return strings.ToUpper(s), true
}
