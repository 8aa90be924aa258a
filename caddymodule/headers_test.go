package caddymodule

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/pronote-cas/caddy-pronote-cas/casauth"
)

// spellings are some of the names that a server somewhere takes for name: CGI,
// WSGI and PHP read - _ and . as one, and nobody minds case.
func spellings(name string) []string {
	under, dot := strings.ReplaceAll(name, "-", "_"), strings.ReplaceAll(name, "-", ".")
	mixed := strings.Replace(under, "_", ".", 1)
	return []string{name, strings.ToLower(name), strings.ToUpper(name), under, strings.ToLower(under), dot, strings.ToUpper(dot), mixed, strings.Replace(name, "-", "_", 1)}
}

// identities are the headers of r that could be read as one of names.
func identities(header http.Header, names ...string) (found []string) {
	for name, values := range header {
		for _, ours := range names {
			if fold(name) == fold(ours) {
				found = append(found, fmt.Sprint(name, values))
			}
		}
	}
	slices.Sort(found)
	return found
}

func preparedHeaders(t *testing.T) *identityHeaders {
	t.Helper()
	h := &identityHeaders{pronoteID: "X-Pronote-Id", user: "X-Cas-User", attributes: []AttributeHeader{{"nom", "X-Nom"}, {"long", "X-" + strings.Repeat("Long-", 20) + "Name"}}}
	if twice := h.prepare(); twice >= 0 {
		t.Fatalf("name %d stands twice", twice)
	}
	return h
}

// CVE-2025-64484 (oauth2-proxy), GHSA-f59h-q822-g45g and GHSA-49wc-4hcv-v58q
// (Caddy): a header in another spelling went through beside the one that was
// removed, and the application read it as that one.
func TestHeaderAliasesAreRemoved(t *testing.T) {
	h := preparedHeaders(t)
	for _, name := range []string{h.pronoteID, h.user, h.attributes[0].Name, h.attributes[1].Name} {
		for _, spelling := range spellings(name) {
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.Header[spelling] = []string{"forged"}
			r.Header["X-Pronote-Idx"] = []string{"another"}
			r.Header["Xpronoteid"] = []string{"another"}
			h.strip(r, nil)
			if len(r.Header) != 2 {
				t.Errorf("after %s: %v", spelling, r.Header)
			}
		}
	}
}

// CVE-2024-45410 (Traefik), CVE-2022-31813 (Apache), CVE-2025-48865 (Fabio): a
// header named in Connection is deleted by the proxy that has just set it.
func TestConnectionTokensThatNameOurHeadersAreRemoved(t *testing.T) {
	h := preparedHeaders(t)
	for _, test := range []struct{ lines, want []string }{
		{[]string{"close, X-Pronote-Id"}, []string{"close"}},
		{[]string{"x-pronote-id,close"}, []string{"close"}},
		{[]string{"X_PRONOTE.ID\t, Upgrade ,X-Cas-User", "keep-alive", "X-Nom"}, []string{"Upgrade, keep-alive"}},
		{[]string{"X-Pronote-Id"}, nil},
		{[]string{" ,, X-Pronote-Id ,,"}, nil},
		{[]string{"close", "X-Other"}, []string{"close", "X-Other"}},
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header["Connection"] = slices.Clone(test.lines)
		h.strip(r, nil)
		if got := r.Header["Connection"]; !slices.Equal(got, test.want) {
			t.Errorf("Connection %q becomes %q, want %q", test.lines, got, test.want)
		}
	}
}

// Our cookies open a session for whoever holds them: PRONOTE and its logs must not.
func TestOurCookiesAreRemovedAndTheOthersStayByteForByte(t *testing.T) {
	h := preparedHeaders(t)
	for _, test := range []struct{ lines, want []string }{
		{[]string{"__Host-s=1"}, nil},
		{[]string{"__Host-s=1; __Host-s_login=2"}, nil},
		{[]string{"a=b; __Host-s=1; c=d"}, []string{"a=b; c=d"}},
		{[]string{"__Host-s=1; a=\"x y\";b=%20;;c"}, []string{"a=\"x y\";b=%20;;c"}},
		{[]string{"a=b", "__Host-s=1", "c=d;__Host-s_login=2"}, []string{"a=b", "c=d"}},
		{[]string{"  a = b ;c=d"}, []string{"  a = b ;c=d"}},
		{[]string{"__Host-s2=1; __Host-s-login=2; x__Host-s=3; a=__Host-s=4"}, []string{"__Host-s2=1; __Host-s-login=2; x__Host-s=3; a=__Host-s=4"}},
		{[]string{"__Host-s =1; a=b"}, []string{"a=b"}},
		{[]string{"__Host-s; a=b"}, []string{"a=b"}},
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header["Cookie"] = slices.Clone(test.lines)
		h.strip(r, []string{"__Host-s", "__Host-s_login"})
		if got := r.Header["Cookie"]; !slices.Equal(got, test.want) {
			t.Errorf("Cookie %q becomes %q, want %q", test.lines, got, test.want)
		}
	}
}

// A value with a control character could be read as two headers.
func TestValuesWithControlCharactersAreNotSent(t *testing.T) {
	h := preparedHeaders(t)
	for value, sent := range map[string]bool{
		"Lefèvre; Hugo": true, "{env.HOME}": true, "": false,
		"a\r\nX-Pronote-Id: b": false, "a\x00": false, "a\tb": false, "a\x7f": false, "a\u0085b": false,
	} {
		header := make(http.Header)
		h.set(header, &casauth.Identity{User: value, PronoteID: pupilID, Attributes: map[string][]string{"nom": {value}}})
		_, user := header["X-Cas-User"]
		_, attribute := header["X-Nom"]
		if user != sent || attribute != sent || header.Get("X-Pronote-Id") != pupilID {
			t.Errorf("%q: %v, want it sent: %v", value, header, sent)
		}
	}
}

const identityLines = `user_header X-Cas-User
		attribute_header nom X-Nom
		attribute_header classe X-Classe
		unresolved pass`

var identityNames = []string{"X-Pronote-Id", "X-Cas-User", "X-Nom", "X-Classe"}

// GHSA-7r4p-vjf4-gxv4 (Caddy's forward_auth): a header that the proxy had nothing
// to say about stayed as the client had forged it.
func TestForgedIdentityNeverArrives(t *testing.T) {
	s := startWith(t, func(s *rig) string {
		return strings.Replace(s.caddyfile("", identityLines), "pronote_cas {", "pronote_cas /pronote/* {\n\t\troot /pronote/", 1)
	})
	var forged []string
	for _, name := range identityNames {
		for _, spelling := range spellings(name) {
			forged = append(forged, spelling, parentID)
		}
	}
	forged = append(forged, "Connection", "X-Pronote-Id, X_Cas_User", "Connection", "x-nom", "Trailer", "X-Pronote-Id")
	anonymous, in := s.browser(), s.browser()
	in.login("/pronote/eleve.html", pupil)
	without := s.browser() // somebody for whom PRONOTE's identifier is not known
	without.login("/pronote/eleve.html", "hugo.lefevre")
	for _, test := range []struct {
		name, target string
		browser      *browser
		want         []string
	}{
		{"open page", "/pronote/message.html", anonymous, nil},
		{"static file", "/pronote/x.js", anonymous, nil},
		{"Espace without delegation", "/pronote/entreprise.html", anonymous, nil},
		{"outside the matcher", "/other", anonymous, nil},
		{"outside the matcher, the root's name in another place", "/x/pronote/eleve.html", anonymous, nil},
		{"gated page", "/pronote/eleve.html", in, []string{"X-Cas-User[" + pupil + "]", "X-Nom[Durand]", "X-Pronote-Id[" + pupilID + "]"}},
		{"open page, logged in", "/pronote/message.html", in, []string{"X-Cas-User[" + pupil + "]", "X-Nom[Durand]", "X-Pronote-Id[" + pupilID + "]"}},
		{"outside the matcher, logged in", "/other", in, nil},
		{"no identifier", "/pronote/eleve.html", without, []string{"X-Cas-User[hugo.lefevre]", "X-Nom[Lefèvre]"}},
	} {
		before := s.upstream.count()
		if got := test.browser.get(test.target, forged...); got.StatusCode != http.StatusOK || s.upstream.count() != before+1 {
			t.Errorf("%s: %s, %d requests upstream", test.name, got.Status, s.upstream.count()-before)
			continue
		}
		r, _ := s.upstream.last(t)
		if got := identities(r.Header, identityNames...); !slices.Equal(got, test.want) {
			t.Errorf("%s: PRONOTE is told %q, want %q", test.name, got, test.want)
		}
		if len(r.Cookies()) > 0 {
			t.Errorf("%s: PRONOTE sees our cookies", test.name)
		}
	}
	before := s.upstream.count()
	if got := anonymous.get("/pronote/eleve.html", forged...); got.StatusCode != http.StatusFound || s.upstream.count() != before {
		t.Errorf("a gated page with forged headers: %s", got.Status)
	}
}

// Trailers arrive after the headers were looked at, and a server may put them
// among those (RFC 9110 §6.5.1), so none of them goes on, announced or not.
func TestTrailersDoNotSmuggleAnIdentity(t *testing.T) {
	s := start(t)
	in := s.browser()
	in.login("/eleve.html", pupil)
	var cookies []string
	for _, c := range in.Jar.Cookies(mustURL(t, public)) {
		cookies = append(cookies, c.Name+"="+c.Value)
	}
	s.upstream.answer(func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprint(w, r.Header.Get("X-Pronote-Id"), identities(r.Trailer, identityNames...), len(r.Trailer))
	})
	for _, announced := range []string{"", "Trailer: X-Pronote-Id, X_Pronote_Id\r\n"} {
		for who, cookie := range map[string]string{"[]0": "", pupilID + "[]0": "Cookie: " + strings.Join(cookies, "; ") + "\r\n"} {
			got := s.raw("POST /message.html HTTP/1.1\r\nHost: pronote.example.fr\r\nConnection: close\r\n" + announced + cookie +
				"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nX-Pronote-Id: " + parentID + "\r\nX_Pronote_Id: " + parentID + "\r\n\r\n")
			if got.StatusCode != http.StatusOK || strings.ReplaceAll(got.body, " ", "") != who {
				t.Errorf("%q: %s, PRONOTE reads %q, want %q", announced, got.Status, got.body, who)
			}
			if _, body := s.upstream.last(t); body != "{}" {
				t.Errorf("%q: the body arrives as %q", announced, body)
			}
		}
	}
}

// A placeholder in a name would let its owner read the proxy's environment; one
// that nobody answers would go upstream as literal text.
func TestNamesAndPlaceholdersGoUpVerbatim(t *testing.T) {
	s := startWith(t, func(s *rig) string {
		return strings.Replace(s.caddyfile("header >X-Whose \"<{http.auth.user.id}>\"", identityLines), "flush_interval -1", `flush_interval -1
		header_up X-Up-Id {http.auth.user.id}
		header_up X-Up-Pronote {http.auth.user.pronote_id}
		header_up X-Up-Class {http.auth.user.classe}
		header_up X-Up-None {http.auth.user.nothing}
		header_up X-Up-Espace {http.pronote_cas.espace}
		header_up X-Up-Else {http.pronote_cas.nothing}`, 1)
	})
	up := func(r *http.Request) []string {
		var values []string
		for _, name := range []string{"Id", "Pronote", "Class", "None", "Espace", "Else"} {
			values = append(values, r.Header.Get("X-Up-"+name))
		}
		return values
	}
	b := s.browser()
	b.login("/eleve.html", "{env.HOME}")
	r, _ := s.upstream.last(t)
	want := []string{"X-Cas-User[{env.HOME}]", "X-Classe[3e A;LV2;ESP]", "X-Nom[{http.request.header.Cookie}]", "X-Pronote-Id[" + bracesID + "]"}
	if got := identities(r.Header, identityNames...); !slices.Equal(got, want) {
		t.Errorf("PRONOTE is told %q, want %q", got, want)
	}
	if got, want := up(r), []string{"{env.HOME}", bracesID, "3e A;LV2;ESP", "", "eleves", ""}; !slices.Equal(got, want) {
		t.Errorf("placeholders: %q, want %q", got, want)
	}
	s.browser().get("/message.html")
	r, _ = s.upstream.last(t)
	if got := up(r); strings.Join(got, "") != "" {
		t.Errorf("placeholders without a session: %q", got)
	}
	for _, target := range []string{"/message.html", "/eleve.html", "/a//b"} {
		if got := s.browser().get(target); got.Header.Get("X-Whose") != "<>" {
			t.Errorf("GET %s: a placeholder in the answer: %q", target, got.Header.Get("X-Whose"))
		}
	}

	b = s.browser()
	b.login("/eleve.html", "lines")
	r, _ = s.upstream.last(t)
	if got := identities(r.Header, "X-Pronote-Id", "X-Nom"); !slices.Equal(got, []string{"X-Pronote-Id[" + linesID + "]"}) {
		t.Errorf("an attribute of two lines: PRONOTE is told %q", got)
	}
}

// Logs are kept for a year and read by many; who a minor is does not belong there.
// Caddy itself writes addresses, and reverse_proxy, when an answer breaks off, the
// headers that went up: the filter of Caddyfile.example is what keeps both clean.
func TestLogsThroughTheExamplesFilterNameNobody(t *testing.T) {
	example, err := os.ReadFile("../Caddyfile.example")
	if err != nil {
		t.Fatal(err)
	}
	_, filter, _ := strings.Cut(string(example), "\n\tlog {\n")
	filter, _, found := strings.Cut(filter, "\n\t}\n")
	if !found || !strings.Contains(filter, "format filter") {
		t.Fatalf("no log with a filter in Caddyfile.example: %q", filter)
	}
	s := startWith(t, func(s *rig) string {
		file := s.caddyfile("", "user_header X-Cas-User", "attribute_header categories X-Cas-Categories")
		return strings.Replace(file, "\t\tlevel DEBUG", filter, 1)
	})
	b := s.browser()
	back := b.ticket(b.setOut("/eleve.html"), pupil)
	b.get(back)
	b.get("/eleve.html")
	var secrets []string
	for _, c := range b.Jar.Cookies(mustURL(t, public)) {
		secrets = append(secrets, c.Value)
	}
	b.get("/eleve.html?ticket=REDACTED", "Referer", public+"/eleve.html")
	s.upstream.answer(func(w http.ResponseWriter, r *http.Request) { // a download that breaks
		w.Header().Set("Content-Length", "100")
		_, _ = io.WriteString(w, "x")
		_ = http.NewResponseController(w).Flush() // of net/http's own
		panic(http.ErrAbortHandler)
	})
	if res, err := b.Get(public + download); err == nil {
		_, _ = io.Copy(io.Discard, res.Body) // breaks off
		_ = res.Body.Close()
	}
	b.get("/pronote-cas/logout")
	log := s.log.String()
	if !strings.Contains(log, `"handled request"`) || !strings.Contains(log, "aborting with incomplete response") || len(secrets) == 0 || !strings.Contains(log, "logged in") {
		t.Fatalf("no access log, or no session:\n%s", log)
	}
	_, ticket, _ := strings.Cut(back, "ticket=")
	for what, secret := range map[string]string{"ticket": ticket, "cookie": secrets[0], "user": pupil, "identifier": pupilID, "category": "National_1"} {
		for line := range strings.Lines(log) {
			if strings.Contains(line, secret) {
				t.Errorf("the log holds the %s: %s", what, strings.ReplaceAll(line, secret, "<"+what+">"))
			}
		}
	}
}
