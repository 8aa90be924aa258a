package protocol

import (
	"bytes"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"
)

const blanks = " \t\r\n" // what XML calls white space; nothing else is trimmed from a name

var utf8BOM = []byte("\xEF\xBB\xBF")

// declaration is XML 1.0's, production [23]; encoding/xml reads it by search
// and takes `version = "1.1"` for 1.0.
var declaration = regexp.MustCompile(`^<\?xml[ \t\r\n]+version[ \t\r\n]*=[ \t\r\n]*(?:"1\.0"|'1\.0')` +
	`(?:[ \t\r\n]+encoding[ \t\r\n]*=[ \t\r\n]*(?:"([A-Za-z][A-Za-z0-9._-]*)"|'([A-Za-z][A-Za-z0-9._-]*)'))?` +
	`(?:[ \t\r\n]+standalone[ \t\r\n]*=[ \t\r\n]*(?:"yes"|"no"|'yes'|'no'))?[ \t\r\n]*\?>`)

// document returns the XML text in body as UTF-8, without byte order mark,
// declaration and the blanks around, and how many lines that took off its top.
// JSP servers send blank lines before the root, and even before the declaration.
func document(body []byte, charset string) (text []byte, line int, err error) {
	if bytes.HasPrefix(body, []byte("\xFE\xFF")) || bytes.HasPrefix(body, []byte("\xFF\xFE")) ||
		bytes.IndexByte(body[:min(4, len(body))], 0) >= 0 {
		return nil, 0, malformed(ReasonEncoding).with("UTF-16 or UTF-32")
	}
	text, bom := bytes.CutPrefix(body, utf8BOM)
	text = bytes.Trim(text, blanks)
	if err := notXML(text); err != nil {
		return nil, 0, err
	}
	line = bytes.Count(body[:bytes.IndexByte(body, '<')], []byte("\n"))

	declared := ""
	if rest, ok := bytes.CutPrefix(text, []byte("<?xml")); ok && len(rest) > 0 && strings.IndexByte(blanks+"?", rest[0]) >= 0 {
		m := declaration.FindSubmatch(text)
		if m == nil {
			return nil, 0, malformed(ReasonDeclaration)
		}
		declared = strings.ToLower(string(m[1]) + string(m[2]))
		line += bytes.Count(m[0], []byte("\n"))
		text = text[len(m[0]):]
	}
	if bom && declared != "" && declared != "utf-8" {
		return nil, 0, malformed(ReasonEncoding).with("a UTF-8 byte order mark, and another encoding declared")
	}
	// What the document itself does not say is UTF-8. Only where it is not, HTTP
	// is asked: its charset is often a proxy's or a servlet container's default.
	if declared == "" && !utf8.Valid(text) {
		declared = strings.ToLower(charset)
	}
	text, err = toUTF8(text, declared)
	return text, line, err
}

// notXML refuses what is plainly something else, by its name.
func notXML(text []byte) error {
	if len(text) == 0 {
		return malformed(ReasonEmpty)
	}
	start := strings.ToLower(string(text[:min(64, len(text))]))
	switch {
	case strings.HasPrefix(start, "<html"), strings.HasPrefix(start, "<!doctype html"):
		return malformed(ReasonHTML)
	case start[0] == '{' || start[0] == '[':
		return malformed(ReasonJSON)
	case start[0] != '<':
		return malformed(ReasonNotXML)
	}
	return nil
}

// toUTF8 reads text in one of the encodings that CAS servers have been seen
// with. Others are refused: a UTF-7 that is passed through hides markup.
func toUTF8(text []byte, encoding string) ([]byte, error) {
	var table *charmap.Charmap
	switch encoding {
	case "", "utf-8", "utf8":
	case "us-ascii", "ascii":
		if bytes.ContainsFunc(text, func(r rune) bool { return r > unicode.MaxASCII }) {
			return nil, malformed(ReasonEncoding)
		}
	case "iso-8859-1", "latin1":
		table = charmap.ISO8859_1
	case "iso-8859-15":
		table = charmap.ISO8859_15
	case "windows-1252", "cp1252":
		table = charmap.Windows1252
	default:
		return nil, malformed(ReasonEncoding)
	}
	if table != nil {
		decoded, err := table.NewDecoder().Bytes(text)
		if err != nil {
			return nil, malformed(ReasonEncoding)
		}
		text = decoded
	}
	if !utf8.Valid(text) {
		return nil, malformed(ReasonEncoding)
	}
	if bytes.ContainsFunc(text, notXMLChar) {
		return nil, malformed(ReasonCharacters)
	}
	return text, nil
}

// notXMLChar is the complement of XML 1.0's Char, production [2]. U+FFFD is
// allowed; surrogates never reach it.
func notXMLChar(r rune) bool {
	return r < ' ' && r != '\t' && r != '\n' && r != '\r' || r == 0xFFFE || r == 0xFFFF
}

// cleanUser returns the user in s, less the blanks around it, if it can be a
// user at all. It is an identifier: it is never folded, normalised or shortened.
// What cannot be seen, or breaks a line, makes two people look like one or one
// header into two.
func cleanUser(s string) (string, error) {
	s = strings.Trim(s, blanks)
	switch {
	case strings.TrimSpace(s) == "":
		return "", malformed(ReasonNoUser)
	case len(s) > 256:
		return "", malformed(ReasonUserTooLong)
	case strings.ContainsFunc(s, func(r rune) bool {
		return r == utf8.RuneError || unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp)
	}):
		return "", malformed(ReasonUserCharacters)
	}
	return s, nil
}
