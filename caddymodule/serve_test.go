package caddymodule

import (
	"errors"
	"testing"

	"github.com/pronote-cas/caddy-pronote-cas/caddymodule/pages"
	"github.com/pronote-cas/caddy-pronote-cas/casauth/pronote"
)

// Who mends a broken link goes by the sentence on the page: it names what is in the
// address, as it was written, and nothing else.
func TestThePageNamesWhatMakesAnAddressAmbiguous(t *testing.T) {
	for target, want := range map[string]pages.Cause{
		"/a%2feleve.html":     pages.CauseEncodedSlash,
		"/a\\eleve.html":      pages.CauseBackslash,
		"/a%5celeve.html":     pages.CauseBackslash,
		"/eleve.html%3ffd=1":  pages.CauseReserved,
		"/eleve.html%00":      pages.CauseReserved,
		"/eleve.html?a=\x01":  pages.CauseReserved,
		"/eleve.html#a":       pages.CauseHash,
		"/eleve.html%23a":     pages.CauseHash,
		"/eleve.html?a#b":     pages.CauseHash,
		"/a/../eleve.html":    pages.CauseDotSegment,
		"/a//eleve.html":      pages.CauseDoubleSlash,
		"/eleve.html;a":       pages.CauseSemicolon,
		"/eleve.html%3ba":     pages.CauseSemicolon,
		"/eleve.htmlx":        pages.CauseAfterPage,
		"/eleve%2.html":       pages.CauseEncoding,
		"/eleve%252ehtml":     pages.CauseEncoding,
		"/%ff.html":           pages.CauseEncoding,
		"https://other.test/": pages.CauseHost,
		"/eleve.html%20":      pages.CauseNone,
	} {
		judged := pronote.Judge(target, "/")
		if got := misread(errors.New(judged.Why)); judged.Kind != pronote.Ambiguous || got != want {
			t.Errorf("%s (%s): %q, want %q", target, judged.Why, got, want)
		}
	}
}
