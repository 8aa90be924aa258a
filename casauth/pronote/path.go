package pronote

import (
	"errors"
	"fmt"
	"net/url"
	"path"
	"strings"
	"unicode"
	"unicode/utf8"
)

// What the bytes of a raw path ask for.
const (
	upper   = 1 << iota // a capital: fold
	percent             // '%': decode
	foreign             // beyond ASCII: look closer
	odd                 // not in the names of PRONOTE's own files
	blank               // in names, but not at their ends
	refused             // never in a path that all read alike
)

// class says for each byte what it asks for; 0 is a byte of plain names.
var class = func() (c [256]byte) {
	for b := range c {
		switch {
		case b < 0x20, b == 0x7f, b == '\\', b == ';', b == '#', b == '?':
			c[b] = refused
		case b >= utf8.RuneSelf:
			c[b] = foreign
		case b == '%':
			c[b] = percent
		case 'A' <= b && b <= 'Z':
			c[b] = upper
		case b == ' ':
			c[b] = blank
		case strings.IndexByte("\"*:<>[]^`{|}~", byte(b)) >= 0:
			c[b] = odd
		}
	}
	return c
}()

// classes is the union of the classes of all bytes of s.
func classes(s string) (all byte) {
	for i := 0; i < len(s); i++ {
		all |= class[s[i]]
	}
	return all
}

// plain reports whether a read path holds nothing but what PRONOTE's own names
// are made of.
func plain(path string) bool { return classes(path)&^blank == 0 }

// read decodes and folds a raw path, or says why two readers could take it for
// different things. disguised reports letters that one reader may take for
// ASCII letters: harmless in the name of a download, nowhere else.
func read(raw string) (path string, disguised bool, why string) {
	// One look at each byte is all that an ordinary path gets; the reasons are
	// searched for where there is one.
	asks, suspect, before := byte(0), false, byte(0)
	for i := 0; i < len(raw); i++ {
		c := raw[i]
		asks |= class[c]
		if c == '/' {
			suspect = suspect || before == '/' || before == '.'
		}
		before = c
	}
	suspect = suspect || before == '.' || before == 0 || raw[0] != '/'

	path = raw
	if asks&^upper != 0 {
		if path, why = decode(raw, asks); why != "" {
			return "", false, why
		}
		if disguised, why = beyondASCII(path); why != "" {
			return "", false, why
		}
		suspect = true
	}
	if asks != 0 {
		path = strings.ToLower(path)
	}
	if i := strings.Index(path, pageSuffix); suspect || i >= 0 && i+len(pageSuffix) != len(path) {
		return path, disguised, misreadSegments(path)
	}
	return path, disguised, ""
}

// decode undoes percent-encoding once.
func decode(raw string, asks byte) (string, string) {
	if asks&refused != 0 {
		for i := 0; i < len(raw); i++ {
			if why := misreadByte(raw[i]); why != "" {
				return "", why
			}
		}
	}
	if asks&percent == 0 {
		return raw, ""
	}
	path, err := url.PathUnescape(raw)
	if err != nil {
		return "", "an invalid percent sequence"
	}
	for rest := raw; ; {
		_, after, found := strings.Cut(rest, "%")
		if !found {
			break
		}
		// PathUnescape vouches for the two digits.
		c := unhex(after[0])<<4 | unhex(after[1])
		if c == '/' {
			return "", "an encoded slash"
		}
		if why := misreadByte(c); why != "" {
			return "", why
		}
		rest = after[2:]
	}
	// A server that decodes twice, or knows %uXXXX as http.sys does, would read
	// on where we stop.
	for rest := path; ; {
		_, after, found := strings.Cut(rest, "%")
		if !found {
			return path, ""
		}
		if strings.HasPrefix(after, "u") || strings.HasPrefix(after, "U") ||
			len(after) >= 2 && ishex(after[0]) && ishex(after[1]) {
			return "", "a doubly encoded character"
		}
		rest = after
	}
}

// misreadByte says why a byte that class refuses is refused; "" for all others.
func misreadByte(c byte) string {
	switch {
	case class[c]&refused == 0:
		return ""
	case c == '\\':
		return "a backslash"
	case c == ';':
		return "a semicolon in the path"
	case c == '?':
		return "an encoded question mark"
	case c == '#':
		return "a number sign"
	}
	return "a control character"
}

// misreadSegments says why the segments of a decoded path could be read in
// more than one way.
func misreadSegments(path string) string {
	switch {
	case path == "" || path[0] != '/':
		return "not a path from the server's root"
	case strings.Contains(path, "//"):
		return "an empty segment"
	case strings.Contains(path, "./"), strings.HasSuffix(path, "."):
		// "." and ".." are two of these; Windows drops the dots of the others.
		return "a segment that is or ends in a dot"
	case strings.Contains(path, " /"), strings.HasSuffix(path, " "):
		return "a segment that ends in a blank"
	}
	if i := strings.Index(path, "/ "); i >= 0 && strings.Contains(path[i+1:], "/") {
		return "a segment that begins with a blank"
	}
	if i := strings.Index(path, pageSuffix); i >= 0 && i+len(pageSuffix) != len(path) {
		return "a page name with something after it"
	}
	return ""
}

const pageSuffix = ".html"

// misreadQuery says why a query might not end where it seems to.
func misreadQuery(query string) string {
	for i := 0; i < len(query); i++ {
		switch c := query[i]; {
		case c == '#':
			return "a number sign"
		case c < 0x20, c == 0x7f:
			return "a control character"
		}
	}
	return ""
}

// beyondASCII looks at the characters that ASCII does not have.
func beyondASCII(path string) (disguised bool, why string) {
	for _, r := range path {
		switch {
		case r < utf8.RuneSelf:
		case r == utf8.RuneError:
			return false, "invalid UTF-8, or the character that stands for it"
		case unicode.IsControl(r):
			return false, "a control character"
		case unicode.Is(separators, r):
			return false, "a character that Windows may take for a separator"
		case unicode.ToLower(r) < utf8.RuneSelf, unicode.ToUpper(r) < utf8.RuneSelf,
			unicode.Is(unicode.Cf, r), 0xFF00 <= r && r <= 0xFFEF:
			// The Kelvin sign, long s, dotless i; invisible characters, which
			// Windows skips when it compares; full-width letters.
			disguised = true
		}
	}
	return disguised, ""
}

// separators are the characters that a conversion to a Windows code page
// ("best fit"), Unicode compatibility normalisation or a file service for
// Macintosh turns into one of / \ . : ; ? # %. The ellipsis is not one of them:
// Windows has it, and word processors put it into the names of documents.
var separators = &unicode.RangeTable{
	R16: []unicode.Range16{
		{Lo: 0x037E, Hi: 0x037E, Stride: 1}, // Greek question mark
		{Lo: 0x2024, Hi: 0x2025, Stride: 1}, // one and two dot leader
		{Lo: 0x2044, Hi: 0x2044, Stride: 1}, // fraction slash
		{Lo: 0x2047, Hi: 0x2049, Stride: 1}, // double question marks
		{Lo: 0x2100, Hi: 0x2101, Stride: 1}, // a/c, a/s
		{Lo: 0x2105, Hi: 0x2106, Stride: 1}, // c/o, c/u
		{Lo: 0x2215, Hi: 0x2216, Stride: 1}, // division slash, set minus
		{Lo: 0x2236, Hi: 0x2236, Stride: 1}, // ratio
		{Lo: 0x2488, Hi: 0x249B, Stride: 1}, // digits with a full stop
		{Lo: 0x29F5, Hi: 0x29F5, Stride: 1}, // reverse solidus operator
		{Lo: 0x29F8, Hi: 0x29F9, Stride: 1}, // big solidus, big reverse solidus
		{Lo: 0x2A74, Hi: 0x2A74, Stride: 1}, // double colon equal
		{Lo: 0x33C2, Hi: 0x33C2, Stride: 1}, // a.m.
		{Lo: 0x33C7, Hi: 0x33C7, Stride: 1}, // Co.
		{Lo: 0x33D8, Hi: 0x33D8, Stride: 1}, // p.m.
		{Lo: 0xF000, Hi: 0xF0FF, Stride: 1}, // where Macintosh services hide what Windows forbids
		{Lo: 0xFE10, Hi: 0xFE19, Stride: 1}, // vertical forms
		{Lo: 0xFE30, Hi: 0xFE30, Stride: 1}, // vertical two dot leader
		{Lo: 0xFE52, Hi: 0xFE6A, Stride: 1}, // small forms
		{Lo: 0xFF03, Hi: 0xFF03, Stride: 1}, // full-width #
		{Lo: 0xFF05, Hi: 0xFF05, Stride: 1}, // full-width %
		{Lo: 0xFF0E, Hi: 0xFF0F, Stride: 1}, // full-width . and /
		{Lo: 0xFF1A, Hi: 0xFF1B, Stride: 1}, // full-width : and ;
		{Lo: 0xFF1F, Hi: 0xFF1F, Stride: 1}, // full-width ?
		{Lo: 0xFF3C, Hi: 0xFF3C, Stride: 1}, // full-width \
		{Lo: 0xFF61, Hi: 0xFF61, Stride: 1}, // half-width full stop
	},
	R32: []unicode.Range32{
		{Lo: 0x1F100, Hi: 0x1F100, Stride: 1}, // zero with a full stop
	},
}

// ParseRoot reads the path at which PRONOTE.net lives and returns it with a
// slash at both ends, in the case it was written in; "" is "/".
func ParseRoot(s string) (string, error) {
	root := "/" + strings.Trim(s, "/") + "/"
	if root == "//" {
		root = "/"
	}
	if strings.Contains(s, "%") {
		return "", fmt.Errorf("root %q is percent-encoded: write the characters themselves, as in /pronote/", s)
	}
	if _, disguised, why := read(root); why != "" {
		return "", fmt.Errorf("root %q holds %s: write a plain path, as in /pronote/", s, why)
	} else if disguised {
		return "", fmt.Errorf("root %q holds a letter that only looks plain: type it again on a keyboard", s)
	}
	if strings.Contains(root, ".html/") {
		return "", errors.New("root is the folder of the Espaces, not one of their pages: write /pronote/, not /pronote/eleve.html")
	}
	return root, nil
}

// cutRoot returns the part of a read path that is below root, and whether there
// is one. The root without its last slash is the root itself; http.sys compares
// it case-blind.
func cutRoot(path, root string) (string, bool) {
	n := len(root)
	switch {
	case n == 0:
		return path, false
	case len(path) >= n && (path[:n] == root || strings.EqualFold(path[:n], root)):
		return path[n:], true
	case len(path) == n-1 && strings.EqualFold(path, root[:n-1]):
		return "", true
	}
	return path, false
}

// MayBeBelow reports whether a reader laxer than any (one that decodes again and
// again, takes backslashes for slashes, drops parameters and resolves dots) could
// take target for a path below root. It is for addresses that Judge calls
// ambiguous; what cannot be decoded may be anything.
func MayBeBelow(target, root string) bool {
	raw, _, _ := strings.Cut(target, "?")
	for range 4 {
		decoded, err := url.PathUnescape(raw)
		if err != nil || !utf8.ValidString(decoded) {
			return true
		}
		raw = decoded
	}
	segments := strings.FieldsFunc(raw, func(c rune) bool { return c == '/' || c == '\\' })
	for i, segment := range segments {
		segment, _, _ = strings.Cut(segment, ";")
		segments[i] = strings.TrimSpace(segment)
	}
	lax := path.Join("/", path.Join(segments...)) + "/"
	return len(lax) >= len(root) && strings.EqualFold(lax[:len(root)], root)
}

func ishex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

func unhex(c byte) byte {
	switch {
	case c <= '9':
		return c - '0'
	case c <= 'F':
		return c - 'A' + 10
	}
	return c - 'a' + 10
}
