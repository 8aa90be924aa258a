package protocol

import (
	"bytes"
	"strings"
)

// readCAS1 reads the text answer of CAS 1 (CAS 3.0 §2.4.2). The first line alone
// decides. Apereo may add attributes, one a line, after the user: they have no
// agreed form and are left out.
func readCAS1(body []byte, c Context) (Answer, error) {
	first, rest := cutLine(body)
	if string(first) == "no" {
		return Answer{}, refused("")
	}
	if string(first) != "yes" {
		if len(bytes.Trim(body, blanks)) == 0 {
			return Answer{}, malformed(ReasonEmpty)
		}
		if err, ok := notXML(bytes.Trim(body, blanks)).(*Error); ok && err.Reason != ReasonNotXML {
			return Answer{}, err
		}
		return Answer{}, malformed(ReasonFirstLine)
	}
	if bytes.IndexByte(body, 0) >= 0 {
		return Answer{}, malformed(ReasonCharacters)
	}
	text, err := cas1Text(rest, c.Charset)
	if err != nil {
		return Answer{}, err
	}
	line, _ := cutLine(text)
	user, err := cleanUser(string(line))
	if err != nil {
		return Answer{}, err
	}
	return Answer{User: user, Attributes: map[string][]string{}}, nil
}

// cas1Text is UTF-8, or what HTTP says where it is not.
func cas1Text(text []byte, charset string) ([]byte, error) {
	decoded, err := toUTF8(text, "")
	if e, ok := err.(*Error); ok && e.Reason == ReasonEncoding && charset != "" {
		return toUTF8(text, strings.ToLower(charset))
	}
	return decoded, err
}

// cutLine returns the first line of b, without its LF or CRLF, and what follows.
func cutLine(b []byte) (line, rest []byte) {
	line, rest, _ = bytes.Cut(b, []byte("\n"))
	return bytes.TrimSuffix(line, []byte("\r")), rest
}

// isRefusalLine tells whether body is CAS 1's refusal and nothing more.
func isRefusalLine(body []byte) bool {
	return string(bytes.TrimRight(body, "\r\n")) == "no"
}
