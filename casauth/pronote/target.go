package pronote

import "strings"

// Kind is what an address is to PRONOTE, from the strictest to the most open.
// The zero Kind is the strictest, so that a [Target] that nobody judged is refused.
type Kind uint8

// The kinds. The first two are answered without asking who it is, the next
// three need a session, Page to Beacon depend on what the configuration says of
// an Espace, and the last two are open to everybody.
const (
	Ambiguous      Kind = iota // proxy and PRONOTE could read it differently: 400
	Administration             // PRONOTE's SOAP administration: 404
	Unknown                    // not in the table, or not below the root: gated
	Page                       // opens the Espace
	Call                       // a call, poll or upload of a page of the Espace
	Download                   // a file that PRONOTE protects by its own session number
	Beacon                     // what a page sends while it is being left
	Open                       // discovery, message and error pages, public forms with their calls
	Static                     // scripts, styles, images, fonts, sounds
)

// String returns the kind's name in lower case, for logs and tests.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return "ambiguous"
}

var kindNames = [...]string{
	"ambiguous", "administration", "unknown", "page", "call", "download", "beacon", "open", "static",
}

// Target is the judgement of one request target.
type Target struct {
	Kind Kind
	// Espace is the one that a Page opens, or that a Call names by its
	// genreEspace number. NoEspace on a Call means that the number belongs to
	// no Espace, or is not written as PRONOTE writes it: never open.
	Espace Espace
	// Path is the path below the root, percent-decoded once and case-folded,
	// without a leading slash; Full is the same from the server's own "/".
	// Outside the root Path equals Full and so begins with a slash. Both are
	// empty if Kind is Ambiguous.
	Path, Full string
	// Why says, in English and without a byte of the request, which rule made
	// the target Ambiguous.
	Why string
	// Poll marks what a page sends by itself (long polls, beacons): it is no
	// sign of a person being there.
	Poll bool
}

// Misnumbered reports whether a Call names its Espace as no page of PRONOTE does:
// PRONOTE.net may read 03, +3, $3 or 0x3 as 3.
func (t Target) Misnumbered() bool {
	if t.Kind != Call || t.Espace != NoEspace {
		return false
	}
	_, rest, _ := strings.Cut(t.Path, "/")
	number, _, _ := strings.Cut(rest, "/")
	return strings.HasPrefix(number, "0") || strings.Trim(number, "0123456789") != ""
}

// Judge says what target is to a PRONOTE.net that lives at root. target is the
// origin-form request target as it stood on the request line, query included;
// root is a path as [ParseRoot] returns it.
//
// Of the query only that is judged which could end it early somewhere else: a
// raw '#' and control characters. Judge does not allocate unless the path has
// to be decoded or folded.
func Judge(target, root string) Target {
	raw, query, _ := strings.Cut(target, "?")
	if why := misreadQuery(query); why != "" {
		return Target{Why: why}
	}
	path, disguised, why := read(raw)
	if why != "" {
		return Target{Why: why}
	}

	below, inside := cutRoot(path, root)
	t := Target{Kind: Unknown, Path: below, Full: path}
	switch {
	case anySegment(path, administers):
		t.Kind = Administration
	case inside:
		t.Kind, t.Espace, t.Poll = lookUp(below)
	}
	if disguised && t.Kind != Download {
		return Target{Why: "a letter that Windows may take for a plain one"}
	}
	return t
}

// lookUp finds a path below the root in the table.
func lookUp(below string) (Kind, Espace, bool) {
	first, rest, deeper := strings.Cut(below, "/")
	e, known := surface[first]
	if known && deeper && !e.folder {
		known = false
	}
	if !known && static(extension(below)) {
		e, known = entry{kind: Static}, true
	}

	switch {
	case !known:
		return Unknown, NoEspace, false
	case e.kind == Call:
		genre, _, _ := strings.Cut(rest, "/")
		if g, ok := genres[genre]; ok {
			return g.kind, g.espace, e.poll
		}
	case e.kind >= Beacon && !plain(below):
		// PRONOTE's own names are plain ASCII; only downloads bear the names
		// that people gave them.
		return Unknown, NoEspace, false
	case e.kind >= Open && deeper && (strings.HasSuffix(rest, ".html") || anySegment(rest, gated)):
		// A gated name deeper down is a wrong root or an attempt, never a file.
		return Unknown, NoEspace, false
	}
	return e.kind, e.espace, e.poll
}

// gated reports whether a segment is a name that is not open to everybody.
func gated(segment string) bool {
	e, ok := surface[segment]
	return ok && segment != "" && e.kind < Open
}

// extension returns what follows the last dot of the last segment.
func extension(path string) string {
	for i := len(path) - 1; i >= 0 && path[i] != '/'; i-- {
		if path[i] == '.' {
			return path[i+1:]
		}
	}
	return ""
}

// anySegment reports whether one of the segments of path is as is says.
func anySegment(path string, is func(string) bool) bool {
	for {
		end := strings.IndexByte(path, '/')
		if end < 0 {
			return is(path)
		}
		if is(path[:end]) {
			return true
		}
		path = path[end+1:]
	}
}
