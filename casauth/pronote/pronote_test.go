package pronote

import (
	"strings"
	"testing"
)

func TestEspaceNames(t *testing.T) {
	names := []string{
		"commune", "direction", "professeurs", "vie_scolaire", "parents",
		"accompagnant", "eleves", "entreprise", "tuteur", "academie",
	}
	all := Espaces()
	if len(all) != len(names) {
		t.Fatalf("%d Espaces, want %d", len(all), len(names))
	}
	for i, name := range names {
		e, err := ParseEspace(name)
		if err != nil || e != all[i] || e.String() != name || e == NoEspace {
			t.Errorf("ParseEspace(%q) = %v, %v", name, e, err)
		}
	}
	for _, name := range []string{"", "Eleves", "eleve", "élèves", " eleves", "professeur", "viescolaire", "inscription"} {
		e, err := ParseEspace(name)
		if err == nil || e != NoEspace {
			t.Errorf("ParseEspace(%q) = %v, want an error", name, e)
			continue
		}
		for _, want := range names {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("the error for %q does not offer %s: %v", name, want, err)
			}
		}
	}
	if NoEspace.String() != "" || Espace(200).String() != "" || Kind(200).String() != "ambiguous" {
		t.Error("no name for what is no Espace, and an unknown kind is the strictest")
	}
}

func TestDirectLoginIsOnePairSpelledSo(t *testing.T) {
	for query, want := range map[string]bool{
		"login=true":               true,
		"fd=1&login=true":          true,
		"login=true&fd=1":          true,
		"fd=1&login=true&redirect": true,
		"":                         false,
		"login":                    false,
		"login=":                   false,
		"login=false":              false,
		"login=True":               false,
		"login=true1":              false,
		"login=true%20":            false,
		"login=%74rue":             false,
		"%6cogin=true":             false,
		"Login=true":               false,
		"xlogin=true":              false,
		"login=true=":              false,
		"a=1;login=true":           false,
		"login=true;a=1":           false,
		"login=true&login=true":    false,
		"login=true&login=false":   false,
		"login=false&login=true":   false,
		"login=true&LOGIN=false":   false,
		"login=true&%6Cogin=x":     false,
		"login=true&lo%67in":       false,
		"x=login=true":             false,
		"?login=true":              false,
	} {
		if got := DirectLogin(query); got != want {
			t.Errorf("DirectLogin(%q) = %v", query, got)
		}
	}
}

func TestMobileApp(t *testing.T) {
	const id = "A6ABB224-12DD-4E31-AD3E-8A39A1C2C335"
	tests := []struct {
		query   string
		cookies []string
		want    bool
	}{
		{"fd=1&bydlg=" + id, nil, true},
		{"bydlg=" + strings.ToLower(id) + "&login=true", nil, true},
		{"", []string{"appliMobile=1"}, true},
		{"fd=1", []string{"ielang=1036; appliMobile=1; uuidAppliMobile=x"}, true},
		{"", []string{"ielang=1036", "appliMobile=1"}, true},
		{"", nil, false},
		{"bydlg=", nil, false},
		{"bydlg=" + id + "x", nil, false},
		{"bydlg=" + id + "&bydlg=" + id, nil, false},
		{"bydlg=" + id + "&BYDLG=1", nil, false},
		{"xbydlg=" + id, nil, false},
		{"bydlg=%41" + id[1:], nil, false},
		{"", []string{"appliMobile=11"}, false},
		{"", []string{"appliMobile=0; xappliMobile=1"}, false},
		{"", []string{"applimobile=1"}, false},
		{"", []string{"validationAppliMobile=1"}, false},
		{"", []string{"x=appliMobile=1"}, false},
	}
	for _, tt := range tests {
		if got := MobileApp(tt.query, tt.cookies); got != tt.want {
			t.Errorf("MobileApp(%q, %q) = %v", tt.query, tt.cookies, got)
		}
	}
}

func TestIdentifier(t *testing.T) {
	for in, want := range map[string]string{
		"KT2AQ3UW4S98DPYX":           "KT2AQ3UW4S98DPYX",
		" \tkt2aq3uw4s98dpyx\r\n":    "KT2AQ3UW4S98DPYX",
		"0000000000000000":           "0000000000000000",
		"":                           "",
		"KT2AQ3UW4S98DPY":            "",
		"KT2AQ3UW4S98DPYXX":          "",
		"KT2AQ3UW 4S98DPYX":          "",
		"KT2AQ3UW-4S98DPY":           "",
		"KT2AQ3UW4S98DP\u017f":       "", // 16 bytes, and the long s has S for its upper case
		"KT2AQ3UW4S98DPY\u0131":      "",
		"KT2AQ3UW4S98D\u212a":        "",
		"KT2AQ3UW4S98DPY\x00":        "",
		"KT2AQ3UW4S98DPY\n":          "",
		"KT2AQ3UW4S98DPYX\nX-Evil:1": "",
		"ÉÉÉÉÉÉÉÉ":                   "",
	} {
		got, ok := Identifier(in)
		if got != want || ok != (want != "") {
			t.Errorf("Identifier(%q) = %q, %v, want %q", in, got, ok, want)
		}
	}
}

func TestPatternsMatchAsCaddyDoes(t *testing.T) {
	tests := []struct {
		pattern, path string
		want          bool
	}{
		{"/public", "/public", true},
		{"/Public", "/public", true},
		{"/public", "/public/", false},
		{"/public", "/publicx", false},
		{"/public*", "/publicx/y", true},
		{"/public/*", "/public/x/y", true},
		{"/public/*", "/public", false},
		{"*.TXT", "/a/robots.txt", true},
		{"*.txt", "/robots.txt/x", false},
		{"*/public/*", "/a/b/public/c", true},
		{"*public*", "/xpublicx", true},
		{"/a/*/c", "/a/b/c", true},
		{"/a/*/c", "/a/b/b/c", false},
		{"/a/*/*", "/a/b/c", true},
		{"/a/[bc]", "/a/b", true},
		{"/a/[bc]", "/a/d", false},
		{"*", "/anything", true},
		{"/*", "/anything/else", true},
		{"**", "/x", true},
		{"/règlement/*", "/règlement/x", true},
		{"/RÈGLEMENT/*", "/règlement/x", true},
		{"*", "", false},
	}
	for _, tt := range tests {
		p, err := ParsePattern(tt.pattern)
		if err != nil {
			t.Errorf("%q: %v", tt.pattern, err)
		} else if got := p.Match(tt.path); got != tt.want {
			t.Errorf("%q on %q: %v", tt.pattern, tt.path, got)
		}
	}
	if (Pattern{}).Match("") || (Pattern{}).Match("/") {
		t.Error("the zero Pattern matches nothing")
	}
}

// A pattern that silently matches nothing leaves an administrator guessing.
func TestPatternsThatCannotMatchAreRefused(t *testing.T) {
	for _, s := range []string{
		"", "public", "/public?x=1", "/public#x", "/a%20b", `/a\b`, "/a;b", "/a//b", "/a/../b", "/a/.", "/a[b", "//", "public/*",
	} {
		if p, err := ParsePattern(s); err == nil {
			t.Errorf("ParsePattern(%q) = %+v, want an error", s, p)
		}
	}
}
