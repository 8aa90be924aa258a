// Package pronote knows PRONOTE.net from the outside: its Espaces, its URL
// surface, and the form of the identifier it gives to each person.
//
// [Judge] answers the one question that a gate in front of PRONOTE has to ask
// of every request: what is this address to PRONOTE? The answer comes from one
// table (surface.go), read on the percent-decoded, case-folded path below the
// root, because PRONOTE runs on Windows and takes eleve.html, ELEVE.HTML and
// %65leve.html for the same page. An address that a proxy and PRONOTE could
// read in two ways is not guessed at: it is [Ambiguous].
package pronote
