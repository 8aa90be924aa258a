package protocol

import (
	"bytes"
	"compress/flate"
	"compress/zlib"
	"encoding/base64"
	"errors"
	"io"
	"mime"
	"net/url"
	"regexp"
	"strings"
	"time"
)

// MaxLogout is the largest logout message that is read, in bytes, compressed or
// not. Real ones have 500.
const MaxLogout = 64 << 10

// ErrNotLogout says that a request is an ordinary one. It is not about us.
var ErrNotLogout = errors.New("not a logout message")

// logoutNS is that of a SAML 2.0 LogoutRequest, in CAS too (CAS 3.0 appendix C).
const logoutNS = "urn:oasis:names:tc:SAML:2.0:protocol"

// logoutTag finds a LogoutRequest that is the first element of a document which
// may be broken.
var logoutTag = regexp.MustCompile(`^[^<]*(?:<[?!][^<]*)*<(?:[\w.-]+:)?LogoutRequest(?:[\s/>]|$)`)

// LooksLikeLogout tells, from the content type and the first bytes of a POST,
// whether ReadLogout can say anything but ErrNotLogout. It costs nothing, and
// does not parse: a page's own posts are not to be held up.
func LooksLikeLogout(contentType string, prefix []byte) bool {
	media := mediaType(contentType)
	if strings.HasPrefix(media, "multipart/") || strings.Contains(media, "json") {
		return false
	}
	trimmed := bytes.TrimLeft(bytes.TrimPrefix(prefix, utf8BOM), blanks)
	if bytes.HasPrefix(trimmed, []byte("<")) {
		return bytes.Contains(trimmed, []byte("LogoutRequest"))
	}
	return (media == "" || media == "application/x-www-form-urlencoded") &&
		(bytes.HasPrefix(trimmed, []byte("logoutRequest=")) || bytes.Contains(trimmed, []byte("&logoutRequest=")))
}

// ReadLogout reads a back-channel single logout message (CAS 3.0 §2.3.3 and
// appendix C): the body of a POST that the CAS server makes to the service. It
// is a form with the field logoutRequest or, as Edifice and older Keycloak
// plugins send it, the XML alone. It returns every ticket that has ended.
//
// An ordinary POST gives ErrNotLogout; a logout message that cannot be read an
// [*Error] with the outcome Malformed. Nothing is said about the sender: whoever
// knows a ticket may end its session.
func ReadLogout(contentType string, body []byte) ([]string, error) {
	if !LooksLikeLogout(contentType, body) {
		return nil, ErrNotLogout
	}
	text := bytes.TrimLeft(bytes.TrimPrefix(body, utf8BOM), blanks)
	xml, ours := text[0] == '<', logoutTag.Match(text)
	switch {
	case len(body) > MaxLogout && (ours || !xml):
		return nil, malformed(ReasonTooLarge)
	case len(body) > MaxLogout:
		return nil, ErrNotLogout
	case !xml:
		return readMessages(fields(string(bytes.Trim(text, blanks)), "logoutRequest"), charsetOf(contentType))
	}
	tickets, err := readLogoutXML(body, charsetOf(contentType))
	if err != nil && !ours {
		return nil, ErrNotLogout // some other XML that the application is sent
	}
	return tickets, err
}

// ReadFrontLogout reads a front-channel single logout message: the query of a
// GET that the CAS server makes the browser do, with the message deflated and in
// base64, as SAMLRequest (CAS 4.0) or logoutRequest (Apereo 5 and later). The
// callback is the JSONP function that Apereo wants called, or empty if there is
// none that can be answered safely.
//
// Errors are those of ReadLogout.
func ReadFrontLogout(rawQuery string) (tickets []string, callback string, err error) {
	if !strings.Contains(rawQuery, "logoutRequest=") && !strings.Contains(rawQuery, "SAMLRequest=") {
		return nil, "", ErrNotLogout
	}
	values := fields(rawQuery, "logoutRequest")
	saml := fields(rawQuery, "SAMLRequest")
	tickets, err = readMessages(append(values, saml...), "")
	if e, ok := err.(*Error); ok && len(values) == 0 && e.Reason == ReasonWrongRoot {
		err = ErrNotLogout // SAML that PRONOTE itself speaks with someone
	}
	if err != nil {
		return nil, "", err
	}
	if names := fields(rawQuery, "callback"); len(names) == 1 && callbackName.MatchString(names[0]) {
		callback = names[0]
	}
	return tickets, callback, nil
}

// callbackName is a JavaScript function's name: anything more would be script
// that a link makes us send from our own address.
var callbackName = regexp.MustCompile(`^[A-Za-z_$][A-Za-z0-9_$.]{0,127}$`)

// fields returns the values of a form field. A value that is wrongly encoded is
// "", as no message is.
func fields(form, name string) []string {
	var values []string
	for pair := range strings.SplitSeq(form, "&") {
		if key, value, _ := strings.Cut(pair, "="); key == name {
			value, err := url.QueryUnescape(value)
			if err != nil {
				value = ""
			}
			values = append(values, value)
		}
	}
	return values
}

func readMessages(values []string, charset string) ([]string, error) {
	switch len(values) {
	case 0:
		return nil, ErrNotLogout
	case 1:
	default:
		return nil, malformed(ReasonTwoMessages)
	}
	message := strings.Trim(values[0], blanks)
	if message == "" {
		return nil, malformed(ReasonEmpty)
	}
	if strings.HasPrefix(strings.TrimPrefix(message, string(utf8BOM)), "<") {
		return readLogoutXML([]byte(message), charset)
	}
	text, ok := inflate(message)
	if !ok {
		return nil, malformed(ReasonCompression)
	}
	return readLogoutXML(text, "")
}

// inflate undoes base64 and DEFLATE. SAML's redirect binding has raw DEFLATE;
// Apereo writes it with the zlib header that Java adds.
func inflate(message string) ([]byte, bool) {
	// A plus sign that nobody encoded has become a blank.
	message = strings.NewReplacer(" ", "+", "-", "+", "_", "/", "\r", "", "\n", "", "=", "").Replace(message)
	packed, err := base64.RawStdEncoding.DecodeString(message)
	if err != nil {
		return nil, false
	}
	if z, err := zlib.NewReader(bytes.NewReader(packed)); err == nil {
		if text, ok := readAtMost(z, MaxLogout); ok {
			return text, true
		}
	}
	return readAtMost(flate.NewReader(bytes.NewReader(packed)), MaxLogout)
}

func readAtMost(r io.Reader, limit int64) ([]byte, bool) {
	b, err := io.ReadAll(io.LimitReader(r, limit+1))
	return b, err == nil && int64(len(b)) <= limit
}

// readLogoutXML returns the SessionIndex elements. NameID and IssueInstant are
// not looked at: servers write every sort of date, and anything for a name.
func readLogoutXML(text []byte, charset string) ([]string, error) {
	root, err := parse(text, charset)
	if err != nil {
		return nil, err
	}
	if !is(root, logoutNS, "LogoutRequest") {
		return nil, wrongRoot(root, "LogoutRequest")
	}
	var tickets []string
	for _, e := range named(root, logoutNS, "SessionIndex") {
		ticket, ok := plainText(e)
		// A blank one would end the sessions that have no ticket.
		if ticket = strings.Trim(ticket, blanks); !ok || strings.TrimSpace(ticket) == "" {
			return nil, malformed(ReasonSessionIndex)
		}
		tickets = append(tickets, ticket)
	}
	if len(tickets) == 0 {
		return nil, malformed(ReasonSessionIndex)
	}
	return tickets, nil
}

// LogoutRequest is the message that a CAS server posts to a service, as the form
// field logoutRequest, when the login behind ticket has ended (CAS 3.0 appendix
// C). NameID is what that appendix prints: the person is not named.
func LogoutRequest(ticket string, now time.Time) string {
	return `<samlp:LogoutRequest xmlns:samlp="` + logoutNS + `" ID="` + newID() + `" Version="2.0" IssueInstant="` +
		utcInstant(now) + `"><saml:NameID xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion">@NOT_USED@</saml:NameID>` +
		`<samlp:SessionIndex>` + escapeXML(ticket) + `</samlp:SessionIndex></samlp:LogoutRequest>`
}

// mediaType is the type of a Content-Type header, in lower case, also of one
// that is not well-formed behind it.
func mediaType(contentType string) string {
	media, _, _ := strings.Cut(contentType, ";")
	return strings.ToLower(strings.TrimSpace(media))
}

// charsetOf is the charset parameter of a Content-Type header, or "".
func charsetOf(contentType string) string {
	_, params, err := mime.ParseMediaType(contentType)
	if err != nil {
		return ""
	}
	return params["charset"]
}
