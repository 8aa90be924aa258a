package pages

import (
	"crypto/sha256"
	"encoding/base64"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"
)

// find returns every element of the document whose name is one of names.
func find(n *html.Node, names ...string) []*html.Node {
	var found []*html.Node
	for d := range n.Descendants() {
		if d.Type == html.ElementNode && slices.Contains(names, d.Data) {
			found = append(found, d)
		}
	}
	return found
}

func attr(n *html.Node, key string) string {
	for _, a := range n.Attr {
		if a.Key == key {
			return a.Val
		}
	}
	return ""
}

func text(n *html.Node) string {
	var b strings.Builder
	for d := range n.Descendants() {
		if d.Type == html.TextNode {
			b.WriteString(d.Data)
		}
	}
	return b.String()
}

func parse(t *testing.T, w *httptest.ResponseRecorder) *html.Node {
	t.Helper()
	doc, err := html.Parse(strings.NewReader(w.Body.String()))
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

// TestEveryPage holds each page in each language to what a browser, a screen
// reader and a tired parent need.
func TestEveryPage(t *testing.T) {
	for name, p := range samples() {
		for _, language := range tongues {
			t.Run(name+"."+language.tag, func(t *testing.T) {
				w := render(p, http.MethodGet, language.tag)
				doc := parse(t, w)
				if got := attr(find(doc, "html")[0], "lang"); got != language.tag {
					t.Errorf("lang is %q", got)
				}
				for _, element := range []string{"h1", "title", "header", "main", "footer"} {
					if found := find(doc, element); len(found) != 1 || strings.TrimSpace(text(found[0])) == "" {
						t.Errorf("%d <%s>, want one with text", len(found), element)
					}
				}
				if !strings.Contains(text(find(doc, "title")[0]), text(find(doc, "h1")[0])) {
					t.Error("the title does not name the page")
				}
				if !strings.Contains(text(find(doc, "footer")[0]), p.Code) {
					t.Error("the code is not shown")
				}
				if p.Detail != "" && !strings.Contains(text(find(doc, "details")[0]), p.Detail) {
					t.Error("the detail is not shown")
				}
				if links := find(doc, "a"); len(links) != 1 || attr(links[0], "href") != p.Retry || text(links[0]) == "" {
					t.Errorf("want one link to %s", p.Retry)
				}
				if s := text(find(doc, "body")[0]); strings.ContainsAny(s, "{}`") {
					t.Errorf("a placeholder was left: %s", s)
				}
				checkClean(t, doc)
				checkForm(t, doc, p)
			})
		}
	}
}

// checkClean: no script, no handler, nothing from outside, nothing that the
// policy would block, no id twice.
func checkClean(t *testing.T, doc *html.Node) {
	t.Helper()
	if bad := find(doc, "script", "link", "img", "iframe", "object", "embed", "base"); len(bad) > 0 {
		t.Errorf("<%s> on a page", bad[0].Data)
	}
	ids := map[string]bool{}
	for n := range doc.Descendants() {
		for _, a := range n.Attr {
			if strings.HasPrefix(a.Key, "on") || a.Key == "style" || a.Key == "src" {
				t.Errorf("<%s %s>", n.Data, a.Key)
			}
			if a.Key == "id" && ids[a.Val] {
				t.Errorf("id %s twice", a.Val)
			}
			ids[a.Val] = ids[a.Val] || a.Key == "id"
		}
	}
}

// checkForm: each field has its label, and its hint and error are tied to it.
func checkForm(t *testing.T, doc *html.Node, p Page) {
	t.Helper()
	byID, labelled := map[string]*html.Node{}, map[string]bool{}
	for n := range doc.Descendants() {
		if id := attr(n, "id"); id != "" {
			byID[id] = n
		}
		if n.Data == "label" {
			labelled[attr(n, "for")] = text(n) != ""
		}
	}
	fields := 0
	for _, input := range find(doc, "input") {
		if attr(input, "type") == "hidden" {
			continue
		}
		fields++
		if !labelled[attr(input, "id")] || attr(input, "autocomplete") == "" {
			t.Errorf("field %s has no label or autocomplete", attr(input, "name"))
		}
		for _, id := range strings.Fields(attr(input, "aria-describedby")) {
			if byID[id] == nil || text(byID[id]) == "" {
				t.Errorf("field %s is described by %s, which says nothing", attr(input, "name"), id)
			}
		}
		if wrong := byID[attr(input, "id")+"-error"] != nil; wrong != (attr(input, "aria-invalid") == "true") ||
			wrong != strings.Contains(attr(input, "aria-describedby"), "-error") {
			t.Errorf("field %s: error and field are not tied", attr(input, "name"))
		}
	}
	want := 0
	if p.Kind == AskIdentifier {
		want = 3
		if p.Ask.ProofKnown {
			want = 1
		}
	}
	if fields != want {
		t.Errorf("%d fields, want %d", fields, want)
	}
	if alert := strings.Contains(text(find(doc, "title")[0]), "Err"); alert != p.Ask.failed() {
		t.Errorf("the title says error: %t, want %t", alert, p.Ask.failed())
	}
	logout := slices.ContainsFunc(find(doc, "form"), func(n *html.Node) bool { return attr(n, "action") == LogoutPath })
	if logout != (p.Kind == LogoutConfirm || p.Kind == SessionOpen) {
		t.Errorf("logout button: %t", logout)
	}
}

// TestOneThingStandsOut: a page has one button that stands out, and none where what
// helps is not a click: to try again would only lead back here.
func TestOneThingStandsOut(t *testing.T) {
	for name, p := range samples() {
		doc := parse(t, render(p, http.MethodGet, "fr"))
		var loud []string
		for _, n := range find(doc, "a", "button") {
			if !slices.Contains(strings.Fields(attr(n, "class")), "second") {
				loud = append(loud, text(n))
			}
		}
		want := 1
		switch {
		case p.Kind == UnknownIdentifier, p.Kind == LoggedOut, p.Kind == AskLocked,
			p.Cause == CauseService, p.Cause == CausePerson, p.Cause == CauseLogoutMessage:
			want = 0
		}
		if len(loud) != want {
			t.Errorf("%s: %q, want %d", name, loud, want)
		}
	}
}

// hostile is what might come in from an address, an ENT's answer or a form.
var hostile = []string{
	`<script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, `' autofocus onfocus='alert(1)`,
	`javascript:alert(1)`, `</style><script>alert(1)</script>`, `</code></details><form action=//evil.example>`,
	"{{.Code}} {wait} `x`", "\x00\xff\xfe\u202eevil", `//evil.example/`, `/\evil.example/`, "data:text/html,x",
	"/a\nSet-Cookie: x=y", "https:evil", "\thttps://evil.example", strings.Repeat("<b>", 5000),
}

// TestNothingPassedInIsMarkup: no value given to a page makes an element, an
// attribute, a link or a header of its own.
func TestNothingPassedInIsMarkup(t *testing.T) {
	for _, kind := range slices.Sorted(maps.Keys(kinds)) {
		shape := func(value string) string {
			p := Page{
				Kind: kind, Code: value, Detail: value, Retry: "/x", Espace: value, Own: value, Cause: Cause(value),
				Ask: Ask{
					Hidden: map[string]string{value: value}, Error: AskError(value), TriesLeft: 2,
					Identifier: Field{value, AskAlphabet}, LastName: Field{value, AskEmpty}, BirthDate: Field{value, AskError(value)},
				},
				FrameAncestors: "'self'; script-src " + value,
			}
			w := render(p, http.MethodGet, "fr")
			if csp := w.Header().Get("Content-Security-Policy"); !strings.HasSuffix(csp, "; frame-ancestors 'none'") {
				t.Errorf("%q changed the policy: %s", value, csp)
			}
			var b strings.Builder
			for n := range parse(t, w).Descendants() {
				if n.Type == html.ElementNode {
					b.WriteString(" " + n.Data)
					for _, a := range n.Attr {
						b.WriteString("," + a.Key)
					}
				}
			}
			return b.String()
		}
		want := shape("é")
		for _, value := range hostile {
			if got := shape(value); got != want {
				t.Errorf("%s with %.60q:\n got %s\nwant %s", kind, value, got, want)
			}
		}
	}
}

// TestDetailShowsWhatIsThere: a service is read out to the ENT; a sign that
// turns the writing direction must not make it look like another.
func TestDetailShowsWhatIsThere(t *testing.T) {
	w := render(Page{Kind: Refused, Detail: "https://a.example/\u202egnp.exe\x00"}, http.MethodGet, "fr")
	if got := text(find(parse(t, w), "details")[0]); !strings.Contains(got, "https://a.example/\ufffdgnp.exe\ufffd") {
		t.Errorf("got %q", got)
	}
	if got := visible(strings.Repeat("a", 3*maxDetail)); len(got) > maxDetail+len("…") {
		t.Errorf("%d bytes are shown", len(got))
	}
}

func TestLinksLeadOnlyWhereTheyMay(t *testing.T) {
	for given, want := range map[string]string{
		"/pronote/":                     "/pronote/",
		"/pronote/eleve.html?fd=1&a=b":  "/pronote/eleve.html?fd=1&a=b",
		"https://cas.example/login?s=1": "https://cas.example/login?s=1",
		"http://127.0.0.1:8000/":        "http://127.0.0.1:8000/",
		"":                              "",
		"eleve.html":                    "",
		"//evil.example/":               "",
		`/\evil.example/`:               "",
		"javascript:alert(1)":           "",
		"JAVASCRIPT:alert(1)":           "",
		"https:evil.example":            "",
		"data:text/html,x":              "",
		"/a\nb":                         "",
		"\t/a":                          "",
	} {
		for _, kind := range []Kind{NotFound, LogoutConfirm, AskIdentifier} {
			got := ""
			if links := find(parse(t, render(Page{Kind: kind, Retry: given}, http.MethodGet, "fr")), "a"); len(links) == 1 {
				got = attr(links[0], "href")
			}
			if got != want {
				t.Errorf("%s %q: got %q, want %q", kind, given, got, want)
			}
		}
	}
}

func TestHeaders(t *testing.T) {
	w := render(Page{Kind: ENTUnavailable, RetryAfter: 1500 * time.Millisecond}, http.MethodGet, "en")
	for key, want := range map[string]string{
		"Cache-Control": "no-store", "Vary": "Accept-Language", "Content-Language": "en",
		"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Retry-After": "2",
		"Content-Type": "text/html; charset=utf-8", "Content-Length": strconv.Itoa(w.Body.Len()),
		"Www-Authenticate": "", "Set-Cookie": "",
	} {
		if got := w.Header().Get(key); got != want {
			t.Errorf("%s: got %q, want %q", key, got, want)
		}
	}
	if got := render(Page{Kind: SessionEnded}, http.MethodGet, "").Header().Get("WWW-Authenticate"); got != "CAS" {
		t.Errorf("a 401 without a challenge (RFC 9110 §15.5.2): %q", got)
	}
	// A post under no-referrer says "Origin: null", which no check can tell from another site's.
	for _, kind := range []Kind{LogoutConfirm, SessionOpen, AskIdentifier} {
		if got := render(Page{Kind: kind}, http.MethodGet, "").Header().Get("Referrer-Policy"); got != "same-origin" {
			t.Errorf("%s: Referrer-Policy %q", kind, got)
		}
	}
}

func TestStatus(t *testing.T) {
	for want, p := range map[int]Page{
		401: {Kind: SessionEnded}, 403: {Kind: LoginLoop}, 503: {Kind: StorageUnavailable}, 400: {Kind: BadRequest},
		404: {Kind: NotFound}, 405: {Kind: MethodNotAllowed}, 425: {Kind: TooEarly}, 200: {Kind: LoggedOut},
		429: {Kind: AskLocked}, 410: {Kind: NotFound, Status: 410},
		422: {Kind: AskIdentifier, Ask: Ask{BirthDate: Field{Error: AskDate}}},
	} {
		if got := render(p, http.MethodGet, "").Code; got != want {
			t.Errorf("%s: got %d, want %d", p.Kind, got, want)
		}
	}
	w := render(Page{Kind: "nonsense"}, http.MethodGet, "en")
	if w.Code != http.StatusForbidden || !strings.Contains(w.Body.String(), "Access refused") {
		t.Errorf("an unknown kind must refuse, got %d", w.Code)
	}
}

// TestPolicyLetsOneStyleIn: the hash in the policy is that of the style as a
// browser reads it, and nothing else is let in.
func TestPolicyLetsOneStyleIn(t *testing.T) {
	for kind := range kinds {
		w := render(Page{Kind: kind, FrameAncestors: "https://ent.example 'self'"}, http.MethodGet, "")
		sheet := text(find(parse(t, w), "style")[0])
		sum := sha256.Sum256([]byte(sheet))
		form := map[Kind]string{
			LogoutConfirm: "'self' https: http:", SessionOpen: "'self' https: http:", AskIdentifier: "'self'",
		}[kind]
		if form == "" {
			form = "'none'"
		}
		want := "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) +
			"'; base-uri 'none'; form-action " + form + "; frame-ancestors https://ent.example 'self'"
		if got := w.Header().Get("Content-Security-Policy"); got != want {
			t.Errorf("%s:\n got %s\nwant %s", kind, got, want)
		}
	}
}

func TestHeadHasNoBody(t *testing.T) {
	get, head := render(Page{Kind: NotFound}, http.MethodGet, ""), render(Page{Kind: NotFound}, http.MethodHead, "")
	if head.Body.Len() != 0 || head.Header().Get("Content-Length") == "0" || head.Code != get.Code {
		t.Errorf("HEAD: %d with %d bytes", head.Code, head.Body.Len())
	}
}
