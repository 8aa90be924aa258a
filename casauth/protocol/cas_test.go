package protocol

import (
	"errors"
	"reflect"
	"strings"
	"testing"
)

// reading is one row of a table over Read: want is "ok <user>" or the reason.
type reading struct {
	name, body, want string
}

func (r reading) check(t *testing.T, p Protocol, c Context) Answer {
	t.Helper()
	answer, err := Read(p, []byte(r.body), c)
	got := "ok " + answer.User
	if err != nil {
		e, ok := err.(*Error)
		if !ok {
			t.Fatalf("not an *Error: %v", err)
		}
		got = string(e.Reason)
		if e.Detail == "" || e.Outcome == "" {
			t.Errorf("says nothing: %#v", e)
		}
	}
	if got != r.want {
		t.Errorf("%s: got %q (%v), want %q", r.name, got, err, r.want)
	}
	return answer
}

const (
	casOpen  = `<cas:serviceResponse xmlns:cas="http://www.yale.edu/tp/cas">`
	casClose = `</cas:serviceResponse>`
	ada      = `<cas:user>ada</cas:user>`
)

func casSuccess(inner string) string {
	return casOpen + `<cas:authenticationSuccess>` + inner + `</cas:authenticationSuccess>` + casClose
}

func casUser(inner string) string { return casSuccess(`<cas:user>` + inner + `</cas:user>`) }

func TestReadCAS1(t *testing.T) {
	for _, r := range []reading{
		{"LF", "yes\nada\n", "ok ada"},
		{"CRLF", "yes\r\nada\r\n", "ok ada"},
		{"no last line break", "yes\nada", "ok ada"},
		{"padded user", "yes\n  ada \t\n", "ok ada"},
		{"inner blank", "yes\nAda Lovelace\n", "ok Ada Lovelace"},
		{"256 bytes", "yes\n" + strings.Repeat("u", 256) + "\n", "ok " + strings.Repeat("u", 256)},
		{"attribute lines", "yes\nada\nuser=root\nyes\nroot\n", "ok ada"},
		{"no", "no\n", "refused"},
		{"no, two line breaks", "no\n\n", "refused"},
		{"no, CRLF", "no\r\n\r\n", "refused"},
		{"no alone", "no", "refused"},
		{"no and more", "no\nINVALID_TICKET\n", "refused"},
		{"257 bytes", "yes\n" + strings.Repeat("u", 257) + "\n", "user_too_long"},
		{"no user", "yes\n", "no_user"},
		{"yes alone", "yes", "no_user"},
		{"blank user", "yes\n \t\n", "no_user"},
		{"empty line before the user", "yes\n\nada\n", "no_user"},
		{"upper case", "YES\nada\n", "first_line"},
		{"blank after yes", "yes \nada\n", "first_line"},
		{"blank before yes", " yes\nada\n", "first_line"},
		{"byte order mark", "\xEF\xBB\xBFyes\nada\n", "first_line"},
		{"CR alone", "yes\rada\r", "first_line"},
		{"blanks only", "\n\n", "empty"},
		{"web page", "<html>yes\nada</html>", "html_page"},
		{"XML", casSuccess(ada), "first_line"},
		{"tab in the user", "yes\na\tb\n", "user_characters"},
		{"CR in the user", "yes\na\rb\n", "user_characters"},
		{"ESC in the user", "yes\na\x1bb\n", "characters"},
		{"DEL in the user", "yes\na\x7fb\n", "user_characters"},
		{"soft hyphen", "yes\na\u00adb\n", "user_characters"},
		{"Latin-1", "yes\nh\xe9l\xe8ne\n", "encoding"},
		{"NUL after the user", "yes\nada\n\x00", "characters"},
		{"too large", "yes\nada\n" + strings.Repeat("a=b\n", MaxAnswer/4), "too_large"},
	} {
		r.check(t, CAS1, fixed)
	}
	latin1 := Context{Charset: "ISO-8859-1"}
	reading{"Latin-1 by HTTP", "yes\nh\xe9l\xe8ne\n", "ok hélène"}.check(t, CAS1, latin1)
	reading{"UTF-8 whatever HTTP says", "yes\nhélène\n", "ok hélène"}.check(t, CAS1, latin1)
}

// Everything here is written by some server, or means the same.
func TestReadCAS2Tolerates(t *testing.T) {
	for _, r := range []reading{
		{"byte order mark", "\xEF\xBB\xBF" + casUser("ada"), "ok ada"},
		{"byte order mark, blanks, declaration", "\xEF\xBB\xBF\r\n <?xml version='1.0' encoding='utf-8'?>" + casUser("ada"), "ok ada"},
		{"blanks around the equals signs", `<?xml version = "1.0" encoding = 'ISO-8859-1' standalone = "yes" ?>` + casUser("h\xe9l\xe8ne"), "ok hélène"},
		{"windows-1252", `<?xml version="1.0" encoding="Windows-1252"?>` + casUser("c\x9cur"), "ok cœur"},
		{"US-ASCII", `<?xml version="1.0" encoding="US-ASCII"?>` + casUser("ada"), "ok ada"},
		{"CDATA", casUser("<![CDATA[a&b<c]]>"), "ok a&b<c"},
		{"CDATA in pieces", casUser("<![CDATA[a]]>d<![CDATA[a]]>"), "ok ada"},
		{"256 bytes", casUser(strings.Repeat("é", 128)), "ok " + strings.Repeat("é", 128)},
		{"CRLF", strings.ReplaceAll(casSuccess("\n"+ada+"\n"), "><", ">\r\n<"), "ok ada"},
		{"comments outside values", "<!-- a -->" + casOpen + "<!-- b --><cas:authenticationSuccess><!-- c -->" + ada + "</cas:authenticationSuccess>" + casClose + "<!-- d -->\n", "ok ada"},
		{"any order", casSuccess(`<cas:proxyGrantingTicket/><cas:attributes/>` + ada), "ok ada"},
		{"empty proxies", casSuccess(ada + `<cas:proxies/>`), "ok ada"},
		{"other prefix, single quotes", strings.NewReplacer("cas:", "sso:", ":cas", ":sso", `"`, `'`).Replace(casUser("ada")), "ok ada"},
		{"blank in tags", strings.ReplaceAll(casUser("ada"), ">", " >"), "ok ada"},
		{"unknown structure", casSuccess(ada + `<cas:groupes><cas:user>root</cas:user></cas:groupes>`), "ok ada"},
		{"unused DTD-like text", casSuccess(ada + `<cas:sn>&lt;!DOCTYPE x></cas:sn>`), "ok ada"},
		{"10000 elements", casSuccess(ada + strings.Repeat("<cas:x/>", 9997)), "ok ada"},
		{"depth 32", casSuccess(ada + strings.Repeat("<x>", 30) + strings.Repeat("</x>", 30)), "ok ada"},
		{"1 MiB", pad(casUser("ada"), MaxAnswer), "ok ada"},
		{"quotes in quotes", casSuccess(ada + `<x a = '"b"c' d="'>'e" />`), "ok ada"},
		{"xml:lang", casSuccess(`<cas:user xml:lang="fr">ada</cas:user>`), "ok ada"},
		{"U+FFFD in an attribute", casSuccess(ada + `<cas:sn>&#xFFFD;</cas:sn><cas:cn>` + "\uFFFD" + `</cas:cn>`), "ok ada"},
		{"refusal in CAS 1 (LemonLDAP::NG)", "no\n\n", "refused"},
		{"failure without text", casOpen + `<cas:authenticationFailure code="INVALID_TICKET"/>` + casClose, "refused"},
		{"failure with a comment", casOpen + `<cas:authenticationFailure code="X"><!-- x -->no</cas:authenticationFailure>` + casClose, "refused"},
	} {
		r.check(t, CAS2, fixed)
		r.check(t, CAS3, fixed)
	}
}

func pad(s string, size int) string { return s + strings.Repeat("\n", size-len(s)) }

// Nothing here may ever let someone in.
func TestReadCAS2Refuses(t *testing.T) {
	decl := func(s string) string { return s + casUser("ada") }
	for _, r := range []reading{
		{"UTF-16 LE", "\xFF\xFE<\x00a\x00/\x00>\x00", "encoding"},
		{"UTF-16 BE", "\xFE\xFF\x00<\x00a\x00/\x00>", "encoding"},
		{"UTF-16 without mark", "<\x00a\x00/\x00>\x00", "encoding"},
		{"UTF-16 declared", decl(`<?xml version="1.0" encoding="UTF-16"?>`), "encoding"},
		{"not US-ASCII", `<?xml version="1.0" encoding="us-ascii"?>` + casUser("é"), "encoding"},
		{"declared UTF-8, is Latin-1", `<?xml version="1.0" encoding="UTF-8"?>` + casUser("\xe9"), "encoding"},
		{"mark and another encoding", "\xEF\xBB\xBF" + decl(`<?xml version="1.0" encoding="ISO-8859-1"?>`), "encoding"},
		{"empty encoding", decl(`<?xml version="1.0" encoding=""?>`), "xml_declaration"},
		{"no version", decl(`<?xml encoding="UTF-8"?>`), "xml_declaration"},
		{"XML 1.1, spread out", decl(`<?xml version = "1.1"?>`), "xml_declaration"},
		{"empty declaration", decl(`<?xml?>`), "xml_declaration"},
		{"two declarations", decl(`<?xml version="1.0"?><?xml version="1.0"?>`), "processing_instruction"},
		{"declaration after a comment", decl(`<!-- --><?xml version="1.0"?>`), "processing_instruction"},
		{"style sheet", decl(`<?xml-stylesheet href="a"?>`), "processing_instruction"},
		{"instruction at the end", casUser("ada") + "<?a?>", "processing_instruction"},
		{"instruction in attributes", casSuccess(ada + `<cas:sn>a<?b?>c</cas:sn>`), "processing_instruction"},
		{"doctype", decl(`<!DOCTYPE serviceResponse>`), "doctype"},
		{"doctype inside", casSuccess(ada + `<!DOCTYPE a>`), "doctype"},
		{"html doctype", `<!DOCTYPE html><p>`, "html_page"},
		{"html after a comment", `<!-- --><html>&nbsp;</html>`, "entity"},
		{"html, well-formed, after a comment", `<!-- --><HTML/>`, "html_page"},
		{"JSON", ` {"serviceResponse":{}}`, "json"},
		{"text", "Service Unavailable", "not_xml"},
		{"CAS 1 yes", "yes\nada\n", "not_xml"},
		{"CAS 1 no and more", "no\nyes\n", "not_xml"},
		{"comment only", "<!-- -->", "not_xml"},
		{"blanks only", " \r\n\t", "empty"},
		{"control character", casUser("a\x01b"), "characters"},
		{"U+FFFE", casUser("a\uFFFEb"), "characters"},
		{"NUL in front", "<\x00", "encoding"},
		{"surrogate by number", casSuccess(ada + `<cas:sn>&#xD800;</cas:sn>`), "characters"},
		{"surrogate in an XML attribute", casSuccess(ada + `<cas:attribute name="a" value="&#xDC00;"/>`), "characters"},
		{"depth 33", casSuccess(ada + strings.Repeat("<x>", 31) + strings.Repeat("</x>", 31)), "too_deep"},
		{"depth, never closed", strings.Repeat("<x>", 100000), "too_deep"},
		{"10001 elements", casSuccess(ada + strings.Repeat("<cas:x/>", 9998)), "too_many_elements"},
		{"over 1 MiB", pad(casUser("ada"), MaxAnswer+1), "too_large"},
		{"65 XML attributes", casSuccess(ada + "<x" + manyAttributes(65) + "/>"), "duplicate_xml_attribute"},
		{"65 prefixes", casSuccess(ada + strings.Repeat(`<x xmlns:a="u" xmlns:b="u" xmlns:c="u">`, 22) + strings.Repeat("</x>", 22)), "too_many_elements"},
		{"same attribute by two prefixes", casSuccess(ada + `<x xmlns:a="u" xmlns:b="u" a:k="1" b:k="2"/>`), "duplicate_xml_attribute"},
		{"namespace declared twice", casSuccess(ada + `<x xmlns:a="u" xmlns:a="v"/>`), "duplicate_xml_attribute"},
		{"undeclared prefix", casSuccess(ada + `<ent:sn>a</ent:sn>`), "undeclared_prefix"},
		{"undeclared prefix of an attribute", casSuccess(ada + `<cas:sn xsi:nil="true"/>`), "undeclared_prefix"},
		{"prefix out of its scope", casSuccess(`<a:x xmlns:a="u"/><a:x/>` + ada), "undeclared_prefix"},
		{"root prefix undeclared", `<cas:serviceResponse><cas:authenticationSuccess/></cas:serviceResponse>`, "undeclared_prefix"},
		{"prefix unbound", casSuccess(ada + `<x xmlns:a=""/>`), "undeclared_prefix"},
		{"xmlns rebound", casSuccess(ada + `<x xmlns:xmlns="u"/>`), "undeclared_prefix"},
		{"xml rebound", casSuccess(ada + `<x xmlns:xml="u"/>`), "undeclared_prefix"},
		{"empty prefix", casSuccess(ada + `<:x/>`), "not_xml"},
		{"two colons", casSuccess(ada + `<cas:a:b/>`), "not_xml"},
		{"attribute without quotes", casSuccess(ada + `<x a=b/>`), "not_xml"},
		{"< in an XML attribute", casSuccess(ada + `<x a="<"/>`), "not_xml"},
		{"-- in a comment", casSuccess(ada + `<!-- a -- b -->`), "not_xml"},
		{"]]> in text", casSuccess(ada + `<x>]]></x>`), "not_xml"},
		{"end tag first", "</a>", "not_xml"},
		{"HTML entity", casUser("ad&eacute;"), "entity"},
		{"number past Unicode", casUser("&#x110000;"), "entity"},
		{"entity without end", casSuccess(ada + `<x>Tom & Co</x>`), "entity"},
		{"markup in a value", casSuccess(ada + `<x>Tom <Co></x>`), "not_xml"},
		{"nothing after the root tag", casOpen, "truncated"},
		{"cut in a comment", casUser("ada") + "<!-- ", "truncated"},
		{"text after the root", casUser("ada") + "x", "trailing"},
		{"blank after the root, by number", casUser("ada") + "&#32;", "trailing"},
		{"CDATA after the root", casUser("ada") + "<![CDATA[]]>", "trailing"},
		{"CDATA before the root", "<!-- -->\n<![CDATA[ ]]>" + casUser("ada"), "trailing"},
		{"XML attributes without a blank between", casSuccess(ada + `<x a="1"b='>'/>`), "not_xml"},
		{"element after the root", casUser("ada") + "<x/>", "trailing"},
		{"no namespace", `<serviceResponse><authenticationSuccess><user>ada</user></authenticationSuccess></serviceResponse>`, "wrong_namespace"},
		{"namespace with a slash", strings.Replace(casUser("ada"), "tp/cas", "tp/cas/", 1), "wrong_namespace"},
		{"SAML", samlOK.String(), "wrong_root"},
		{"empty root", casOpen + casClose, "no_outcome"},
		{"unknown outcome", casOpen + `<cas:authenticated/>` + casClose, "no_outcome"},
		{"text in the root", casOpen + `x<cas:authenticationSuccess>` + ada + `</cas:authenticationSuccess>` + casClose, "stray_text"},
		{"CDATA in the root", casOpen + `<cas:authenticationSuccess>` + ada + `</cas:authenticationSuccess><![CDATA[x]]>` + casClose, "stray_text"},
		{"text beside the user", casSuccess("root " + ada), "stray_text"},
		{"failure, then success", casOpen + `<cas:authenticationFailure code="A"/><cas:authenticationSuccess>` + ada + `</cas:authenticationSuccess>` + casClose, "two_outcomes"},
		{"success and a foreign element", casOpen + `<cas:authenticationSuccess>` + ada + `</cas:authenticationSuccess><x/>` + casClose, "two_outcomes"},
		{"failure deep in a success", casSuccess(ada + `<cas:attributes><cas:a><cas:authenticationFailure/></cas:a></cas:attributes>`), "nested_outcome"},
		{"success in a success", casSuccess(ada + `<cas:authenticationSuccess>` + ada + `</cas:authenticationSuccess>`), "nested_outcome"},
		{"failure with an element", casOpen + `<cas:authenticationFailure code="A"><b/></cas:authenticationFailure>` + casClose, "failure_markup"},
		{"two users", casSuccess(ada + `<cas:user>root</cas:user>`), "two_users"},
		{"empty second user", casSuccess(ada + `<cas:user/>`), "two_users"},
		{"user of another namespace beside", casSuccess(ada + `<user xmlns="">root</user>`), "wrong_namespace"},
		{"attributes of another namespace", casSuccess(ada + `<attributes><uid>1</uid></attributes>`), "wrong_namespace"},
		{"two attributes blocks", casSuccess(ada + `<cas:attributes/><cas:attributes/>`), "two_blocks"},
		{"two PGTs", casSuccess(ada + `<cas:proxyGrantingTicket>a</cas:proxyGrantingTicket><cas:proxyGrantingTicket>b</cas:proxyGrantingTicket>`), "two_blocks"},
		{"two proxies blocks", casSuccess(ada + `<cas:proxies/><cas:proxies/>`), "two_blocks"},
		{"element in the PGT", casSuccess(ada + `<cas:proxyGrantingTicket><b/></cas:proxyGrantingTicket>`), "two_blocks"},
		{"proxies that hide their chain", casSuccess(ada + `<cas:proxies><proxy xmlns="">https://p/</proxy></cas:proxies>`), "two_blocks"},
		{"text for a chain", casSuccess(ada + `<cas:proxies>https://p/</cas:proxies>`), "stray_text"},
		{"blank user", casUser(" \n\t "), "no_user"},
		{"no-break spaces for a user", casUser("\u00a0\u2003"), "no_user"},
		{"empty CDATA", casUser("<![CDATA[]]>"), "no_user"},
		{"257 bytes", casUser(strings.Repeat("é", 128) + "x"), "user_too_long"},
		{"comment at the end of the user", casUser("ada<!---->"), "user_markup"},
		{"line break by number", casUser("a&#10;b"), "user_characters"},
		{"CR by number", casUser("a&#13;b"), "user_characters"},
		{"tab", casUser("a\tb"), "user_characters"},
		{"DEL", casUser("a\x7fb"), "user_characters"},
		{"paragraph separator", casUser("a\u2029b"), "user_characters"},
		{"byte order mark in the user", casUser("a\ufeffb"), "user_characters"},
		{"tag characters", casUser("a\U000E0041"), "user_characters"},
		{"replacement character", casUser("a\ufffdb"), "user_characters"},
		{"surrogate in the user", casUser("a&#xD800;b"), "characters"},
	} {
		answer := r.check(t, CAS2, fixed)
		r.check(t, CAS3, fixed)
		if !reflect.DeepEqual(answer, Answer{}) {
			t.Errorf("%s: %+v beside the error", r.name, answer)
		}
	}
}

func manyAttributes(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(" a" + strings.Repeat("b", i) + `="c"`)
	}
	return b.String()
}

// An HTTP charset counts only where the document says nothing and is not UTF-8.
func TestCharsetOfHTTP(t *testing.T) {
	c := Context{Charset: "ISO-8859-1"}
	reading{"undeclared Latin-1", casUser("h\xe9l\xe8ne"), "ok hélène"}.check(t, CAS2, c)
	reading{"UTF-8", casUser("hélène"), "ok hélène"}.check(t, CAS2, c)
	reading{"declared", `<?xml version="1.0" encoding="UTF-8"?>` + casUser("h\xe9l\xe8ne"), "encoding"}.check(t, CAS2, c)
	reading{"no such charset", casUser("h\xe9l\xe8ne"), "encoding"}.check(t, CAS2, Context{Charset: "x-user-defined"})
}

func TestAttributeStyles(t *testing.T) {
	in := func(s string) string { return `<cas:attributes>` + s + `</cas:attributes>` }
	for _, x := range []struct {
		name, body string
		want       map[string][]string
	}{
		{"repeated", in(`<cas:g>b</cas:g><cas:g>a</cas:g><cas:g>b</cas:g>`), map[string][]string{"g": {"b", "a"}}},
		{"two styles", `<cas:g>a</cas:g>` + in(`<cas:g>a</cas:g><cas:g>b</cas:g>`) + `<cas:attribute name="g" value="b"/><cas:attribute name="g" value="c"/>`,
			map[string][]string{"g": {"a", "b", "c"}}},
		{"INLINE", in(`<cas:attribute name="sn" value=" Durand "/><cas:attribute name='e' value=''/>`), map[string][]string{"sn": {"Durand"}, "e": {""}}},
		{"named, with text", in(`<cas:attribute name="sn"> Durand </cas:attribute>`), map[string][]string{"sn": {"Durand"}}},
		{"named, with values", in(`<cas:attribute name="g"><cas:value>a</cas:value><cas:value>b</cas:value></cas:attribute>`), map[string][]string{"g": {"a", "b"}}},
		{"long, flat, any order", `<cas:attribute><cas:value>a</cas:value><cas:name>g</cas:name></cas:attribute>`, map[string][]string{"g": {"a"}}},
		{"long without name", in(`<cas:attribute><cas:value>a</cas:value></cas:attribute>`), map[string][]string{}},
		{"named with nothing", in(`<cas:attribute name=" " value="a"/>`), map[string][]string{}},
		{"userAttributes, namespace reset", in(`<cas:userAttributes><nom xmlns="">D</nom><prenom xmlns="">A</prenom></cas:userAttributes>`),
			map[string][]string{"nom": {"D"}, "prenom": {"A"}}},
		{"userAttributes, named", in(`<cas:userAttributes><cas:attribute name="nom" value="D"/></cas:userAttributes>`), map[string][]string{"nom": {"D"}}},
		{"userAttributes, empty", in(`<cas:userAttributes/>`), map[string][]string{"userAttributes": {""}}},
		{"nested", in(`<cas:groupes><cas:groupe>3B</cas:groupe></cas:groupes><cas:a>1</cas:a>`), map[string][]string{"a": {"1"}}},
		{"CDATA and comment", in(`<cas:a>x<!-- y --><![CDATA[<z>]]></cas:a>`), map[string][]string{"a": {"x<z>"}}},
		{"called like the protocol", in(`<cas:attributes>1</cas:attributes><cas:user>root</cas:user><cas:proxyGrantingTicket>2</cas:proxyGrantingTicket>`),
			map[string][]string{"attributes": {"1"}, "user": {"root"}, "proxyGrantingTicket": {"2"}}},
		{"text between", in(`x<cas:a>1</cas:a>y`), map[string][]string{"a": {"1"}}},
		{"case is kept", in(`<cas:Sn>1</cas:Sn><cas:sn>2</cas:sn>`), map[string][]string{"Sn": {"1"}, "sn": {"2"}}},
		{"not decoded", in(`<cas:a>[x, y]</cas:a><cas:b>--- !ruby/object</cas:b><cas:c>&amp;amp;</cas:c>`),
			map[string][]string{"a": {"[x, y]"}, "b": {"--- !ruby/object"}, "c": {"&amp;"}}},
	} {
		answer, err := Read(CAS3, []byte(casSuccess(ada+x.body)), fixed)
		if err != nil || !reflect.DeepEqual(answer.Attributes, x.want) {
			t.Errorf("%s: got %v, %v, want %v", x.name, answer.Attributes, err, x.want)
		}
	}
}

func TestProxyParts(t *testing.T) {
	answer, err := Read(CAS2, []byte(casSuccess(ada+`<cas:proxyGrantingTicket> PGTIOU-1 </cas:proxyGrantingTicket>`+
		`<cas:proxies><cas:proxy> https://a/ </cas:proxy><cas:proxy/></cas:proxies>`)), fixed)
	if err != nil || answer.ProxyGrantingTicket != "PGTIOU-1" || !reflect.DeepEqual(answer.Proxies, []string{"https://a/", ""}) {
		t.Fatalf("%+v, %v", answer, err)
	}
}

// A refusal counts with any status, a success with 200 only.
func TestStatus(t *testing.T) {
	refusal := casOpen + `<cas:authenticationFailure code="INVALID_TICKET"/>` + casClose
	for _, x := range []struct {
		p      Protocol
		status int
		body   string
		want   Outcome
		reason Reason
	}{
		{CAS2, 200, casUser("ada"), "", ""},
		{CAS2, 0, casUser("ada"), "", ""},
		{CAS2, 201, casUser("ada"), Unavailable, ReasonStatus},
		{CAS2, 500, casUser("ada"), Unavailable, ReasonStatus},
		{CAS2, 302, casUser("ada"), Unavailable, ReasonRedirect},
		{CAS2, 302, refusal, Unavailable, ReasonRedirect},
		{CAS2, 307, "", Unavailable, ReasonRedirect},
		{CAS2, 422, refusal, Failed, ReasonRefused},
		{CAS2, 500, refusal, Failed, ReasonRefused},
		{CAS2, 404, "<html>", Unavailable, ReasonStatus},
		{CAS2, 503, "", Unavailable, ReasonStatus},
		{CAS2, 200, "", Malformed, ReasonEmpty},
		{CAS1, 400, "no\n", Failed, ReasonRefused},
		{CAS1, 500, "yes\nada\n", Unavailable, ReasonStatus},
		{SAML11, 500, samlFault, Failed, ReasonSOAPFault},
		{SAML11, 403, samlOK.with("@status", "samlp:RequestDenied").String(), Failed, ReasonRefused},
		{SAML11, 500, samlOK.String(), Unavailable, ReasonStatus},
		{SAML11, 500, samlOK.with("@end", "2026-03-10T08:00:00Z").String(), Unavailable, ReasonStatus},
	} {
		c := fixed
		c.Status = x.status
		answer, err := Read(x.p, []byte(x.body), c)
		var e *Error
		if errors.As(err, &e); x.want == "" && err != nil || x.want != "" && (e == nil || e.Outcome != x.want || e.Reason != x.reason) {
			t.Errorf("%d %.40s: %+v, %v", x.status, x.body, answer, err)
		}
		if err != nil && answer.User != "" {
			t.Errorf("%d: a user beside an error", x.status)
		}
	}
}
