// Package castest is a CAS server in memory, for tests and for the demo, as
// net/http/httptest is an HTTP server for tests.
//
// A [Server] is an [http.Handler] that answers the endpoints of CAS 1, 2 and 3
// and of CAS's SAML 1.1 flavour under any path prefix:
//
//	ent := castest.Start(t, castest.Options{})
//	ticket := ent.Ticket("camille.durand", "https://pronote.example/eleve.html")
//	http.Get(ent.URL + "/p3/serviceValidate?service=…&ticket=" + ticket)
//
// # What it does as the specification says
//
// Tickets are valid once, are spent by a validation that fails, live five
// minutes, and are bound to the service byte for byte (CAS 3.0 §3.1.1; the
// specification leaves the comparison to the server, and the strictest is the
// one that shows a client's mistakes). A login session lives in the TGC cookie;
// logging out tells each service that was given a ticket (CAS 3.0 §2.3.3).
//
// # What it does wrong on request
//
// A [Fault] makes the validation endpoints slow, broken or hostile; a [Shape]
// chooses among the forms that real servers give their answers; [SLO] does the
// same for logout messages. All can be changed while requests run.
//
// It is no CAS server for people: anyone may become any user with one click.
package castest
