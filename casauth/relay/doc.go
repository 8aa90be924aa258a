// Package relay is the CAS server that PRONOTE.net is pointed at. PRONOTE reads
// no identity header; it is a CAS client. So what the ENT said of a person is
// said once more here, to PRONOTE, in PRONOTE's own protocol:
//
//	browser                        Server                        PRONOTE.net
//	   │ GET /eleve.html              │                               │
//	   ├─────────────────────────────────────────────────────────────►│
//	   │ 302 /pronote-cas/login?service=http:%2F%2F10.0.0.5%2Feleve.html
//	   │◄─────────────────────────────────────────────────────────────┤
//	   │ GET /pronote-cas/login?…     │                               │
//	   ├─────────────────────────────►│ ParseLogin, Services.Public   │
//	   │                              │ (the gate: a session, by the  │
//	   │                              │  ENT's own login if need be)  │
//	   │ 302 https://public/eleve.html?ticket=ST-1                    │
//	   │◄─────────────────────────────┤ Issue, Services.Destination   │
//	   │ GET /eleve.html?ticket=ST-1  │                               │
//	   ├─────────────────────────────────────────────────────────────►│
//	   │                              │ samlValidate: ST-1, service   │
//	   │                              │◄──────────────────────────────┤
//	   │                              │ Answer: user, idPronote       │
//	   │                              ├──────────────────────────────►│
//
// The service has two names: PRONOTE's, which may be a private address, and the
// public one. Browsers and the ENT are only ever told the public one; PRONOTE
// is answered with the very string that it wrote.
//
// Who may call the validation endpoints, and that their answers are not to be
// cached, is the caller's business.
//
// Sources: CAS Protocol 3.0 Specification; SAML 1.1 core and bindings (OASIS);
// SOAP 1.1.
package relay
