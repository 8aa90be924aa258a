package casauth

import (
	"net/http"
	"testing"
)

// A logout that another site could send would be a prank for a whole school.
func TestWhoSentARequest(t *testing.T) {
	g := newGated(t, nil)
	own := g.Public.String()
	for _, c := range []struct {
		name, value string
		want        bool
	}{
		{"Sec-Fetch-Site", "cross-site", true},
		{"Sec-Fetch-Site", "same-site", false},
		{"Sec-Fetch-Site", "same-origin", false},
		{"Sec-Fetch-Site", "none", false},
		{"Origin", own, false},
		{"Origin", "null", true},
		{"Origin", "https://evil.example", true},
		{"Origin", own + ".evil.example", true},
		{"Origin", "https://%zz", true},
		{"Referer", own + "/pronote/eleve.html", false},
		{"Referer", "https://evil.example/?" + own, true},
		{"Referer", "https://user@" + g.Public.String()[len("https://"):] + "/", true},
		{"Referer", "", false},
	} {
		r := &http.Request{Header: http.Header{c.name: {c.value}}}
		if got := g.foreign(r); got != c.want {
			t.Errorf("%s: %s is foreign: %v", c.name, c.value, got)
		}
	}
	r := &http.Request{Header: http.Header{"Sec-Fetch-Site": {"cross-site"}, "Origin": {own}}}
	if !g.foreign(r) {
		t.Error("what the browser itself says does not count")
	}
}

// A cookie of somebody else's is none of ours, however alike its name.
func TestACookieIsFoundByItsWholeName(t *testing.T) {
	for _, c := range []struct {
		lines []string
		value string
		found int
	}{
		{nil, "", 0},
		{[]string{"name"}, "", 0},
		{[]string{"name="}, "", 1},
		{[]string{"eman=x; nam=x; names=x; Name=x; xname=x"}, "", 0},
		{[]string{"a=b;\tname=x ;c=d"}, "x", 1},
		{[]string{"name=x; eman=y", "name=x"}, "x", 1},
		{[]string{"name=x; name=y"}, "", 2},
		{[]string{"name=x", "name=y"}, "", 2},
		{[]string{"other=name=x"}, "", 0},
	} {
		if value, found := cookie(&http.Request{Header: http.Header{"Cookie": c.lines}}, "name"); value != c.value || found != c.found {
			t.Errorf("%q: %q, %d", c.lines, value, found)
		}
	}
}
