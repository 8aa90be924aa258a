package casauth

import "github.com/pronote-cas/caddy-pronote-cas/casauth/protocol"

// WhoIs says who an answer of the CAS server is about, as a login with it would
// find; nil where that person is let in.
func (g *Gate) WhoIs(answer protocol.Answer) (Identity, *Error) { return g.identify(answer) }
