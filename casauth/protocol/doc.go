// Package protocol is the CAS wire: what is asked of a CAS server, what it
// answers, and what it says when a login ends.
//
// An answer decides who someone is. So [Read] is strict where it decides and
// lenient where it does not: the outcome is the one child of the root, found by
// its place and its namespace and never by a search; the user is text and
// nothing else; anything that two readers could read in two ways is no answer.
// What real servers do differently without changing the meaning (prefixes,
// blanks, encodings, the order of elements, seven ways of writing attributes)
// is read without a word.
//
// [Client] makes the request, [Read] judges the answer, [ReadLogout] and
// [ReadFrontLogout] read single logout messages, [Explain] tells an
// administrator what is made of an answer that was saved to a file.
//
// Sources: CAS Protocol 3.0 Specification; SAML 1.1 core and SOAP binding
// (oasis-sstc-saml-core-1.1); SOAP 1.1; SAML 2.0 core §3.7 for the logout
// message.
package protocol
