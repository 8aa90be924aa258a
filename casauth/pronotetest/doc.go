// Package pronotetest holds stand-ins for PRONOTE.net, for tests and for the
// demo: [Recent] is of the kind sold in 2025, [Legacy] of the kind of 2011.
//
// They imitate from public observation what a proxy in front of PRONOTE.net
// meets: its pages and calls, the redirects it emits with their peculiar
// percent-encoding, the way it validates CAS tickets, and what it does with the
// answer. They hold nothing of PRONOTE itself, and every page says that it is
// not PRONOTE.
//
//	PRONOTE's word                        here
//	URL publique                          Config.PublicURL
//	URL de PRONOTE.net pour le serveur CAS LegacyConfig.ServiceURL
//	Adresse personnalisée                 LegacyConfig.CustomURL
//	Déléguer l'authentification           Config.CAS, Config.Delegated
//	Autoriser l'authentification directe  Config.DirectLogin
//
// # Where they are stricter than need be
//
// Answers of the CAS server are read by the stand-ins' own small reader, which
// selects elements by their qualified name, as `//*[name()="Response"]` does:
// an answer with prefixes is not understood. A Recipient, an Audience or an
// InResponseTo that is present must be the one expected, and the time must fit.
//
// # Where they are laxer
//
// Paths are read as a Windows server might: case-blind, with backslashes,
// doubled slashes and dot segments resolved. What a gate lets through by
// mistake therefore reaches a page, and [Request] logs show it.
//
// One thing is pure invention: an Espace that is not delegated shows the
// identity header that the proxy sent ([Config].IdentityHeader). The real
// PRONOTE.net reads no such header; the page says so.
package pronotetest
