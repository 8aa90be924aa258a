// Package directory remembers who is who in PRONOTE: which PRONOTE identifier
// belongs to which CAS identifier. It learns from the file that PRONOTE exports
// ("Exporter les identifiants PRONOTE") and from each first connection.
//
// # Who somebody is
//
// [Directory.Resolve] goes by the first of these that says something:
//
//  1. the attribute in which the CAS server sends the PRONOTE identifier,
//  2. the row of this CAS identifier, from a first connection or an import,
//  3. last name, first name, birth date and category, where that is switched on
//     and they fit exactly one row,
//  4. nothing: then [Directory.Ask] may ask the person, who has to prove it.
//
// Whatever it goes by, the answer is bound to the CAS identifier before it is
// given. An identifier that another CAS identifier holds is a [Conflict]: it is
// refused and kept for the school to see, and the holder keeps it.
//
// # What is in the store
//
//	<root>/users/3/3f…     one first connection: CAS identifier → its row
//	<root>/ids/a/a0…       PRONOTE identifier → the CAS identifier that holds it
//	<root>/current         which import counts
//	<root>/imports/<v>/0…  rows of import v, JSON lines, compressed
//	<root>/conflicts/…     logins refused because somebody else holds the identifier
//	<root>/unresolved/…    logins without an identifier
//	<root>/tries/…         when somebody tried to prove an identifier
//
// A binding holds where users and ids name each other, and only there. ids names
// one person for an identifier and users one identifier for a person, so nobody
// can be bound twice whatever crashes, times out or arrives late: ids is written
// first, users second, and half a binding is none. That costs a login two Loads.
// A lock on the identifier keeps two people from taking it at the same moment;
// three hundred first connections wait for nobody, for each has its own lock.
//
// An import can have a hundred thousand rows, too many to be a file each. It is
// written beside the one that counts, in pieces below the smallest size limit of
// the usual stores (Consul: 512 KiB a value), and counts as soon as current names
// it; until then it is not there, so a crash leaves the one before. Each node
// keeps the rows in memory and asks for current whenever it needs them. A CAS
// identifier in an import is only a proposal: the person's first connection
// binds it, under the same lock as any other.
//
// Keys are hashes, because stores put keys into their errors, and errors are
// logged.
package directory
