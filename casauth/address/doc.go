// Package address keeps the addresses apart: the public ones, which people and
// the CAS server see, and PRONOTE's private ones, which nobody is to see.
//
//   - An [Origin] is scheme, host and port in canonical form; a [Prefix] is an
//     origin with the path below which it counts.
//   - [Origin.Service] makes the one service string of a request, from the
//     configuration and the request target and from no header; [Same] compares
//     two service strings as servers that re-encode them do.
//   - A [Rewriter] turns private addresses in response headers into public
//     ones, by parsing them, never by searching for text.
package address
