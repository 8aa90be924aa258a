package pronote

import (
	"net/url"
	"strings"
	"testing"
)

// FuzzJudge looks for a spelling of a gated name that is let through: whatever
// one or two rounds of decoding and folding turn into a page, a call or a
// download must never be judged open to everybody.
func FuzzJudge(f *testing.F) {
	for _, seed := range []string{
		"/eleve.html?fd=1", "/%65leve.html", "/%2565leve.html", "/eleve.html%2f", "/images/..%2feleve.html", "/images/%2e%2e/eleve.html",
		"/appelfonction/3/1/x.js", "/x/../eleve.html", "/eleve.html;x.js", "/eleve.html::$data", "/FichiersExternes/a/Élève.pdf",
		"/\u212a.js", "/x\uff0fy", "/message.html?a#b", "//", "/%", "/images/x.png", "/erreur/1", "/SvcAdmin%53erveurHttp", "/appelfonction/18/1/a",
	} {
		f.Add(seed, "/")
		f.Add("/pronote"+seed, "/pronote/")
	}
	f.Fuzz(func(t *testing.T, target, root string) {
		root, err := ParseRoot(root)
		if err != nil {
			root = "/"
		}
		got := Judge(target, root)
		if (got.Kind == Ambiguous) != (got.Why != "") {
			t.Fatalf("%q: %+v", target, got)
		}
		if got.Kind == Ambiguous {
			return
		}
		if got.Espace != NoEspace && got.Kind != Page && got.Kind != Call {
			t.Fatalf("%q: an Espace on %v", target, got.Kind)
		}
		if again := Judge((&url.URL{Path: got.Full}).EscapedPath(), root); again.Full != got.Full || again.Kind != got.Kind {
			t.Fatalf("%q is %v, but spelled plainly %v (%s)", target, got.Kind, again.Kind, again.Why)
		}

		raw, _, _ := strings.Cut(target, "?")
		for path, round := raw, 0; round <= 2; round++ {
			if below, inside := cutRoot(strings.ToLower(path), root); inside {
				below = strings.ToLower(below)
				if i := strings.LastIndexByte(below, '\\'); i >= 0 {
					t.Fatalf("%q: a backslash", target)
				}
				first, _, _ := strings.Cut(below, "/")
				if e := surface[below]; e.kind == Page && got.Kind > Page {
					t.Fatalf("%q is the page %q to some and %v here", target, below, got.Kind)
				}
				if e := surface[first]; first != "" && e.kind < Open && e.kind >= Call && got.Kind >= Open && !publicCall(below) {
					t.Fatalf("%q is %q to some and %v here", target, first, got.Kind)
				}
				if anySegment(below, administers) && got.Kind != Administration {
					t.Fatalf("%q is administration to some and %v here", target, got.Kind)
				}
			}
			next, err := url.PathUnescape(path)
			if err != nil {
				break
			}
			path = next
		}
	})
}

func publicCall(below string) bool {
	_, rest, _ := strings.Cut(below, "/")
	genre, _, _ := strings.Cut(rest, "/")
	return genres[genre].kind == Open
}

// FuzzPattern: no pattern and no path panics, and what was parsed stays blind to case.
func FuzzPattern(f *testing.F) {
	f.Add("/a/*", "/a/b")
	f.Add("*[a-", "/x")
	f.Fuzz(func(t *testing.T, pattern, path string) {
		p, err := ParsePattern(pattern)
		if err != nil {
			return
		}
		q, err := ParsePattern(strings.ToLower(pattern))
		if err == nil && p.Match(path) != q.Match(path) {
			t.Fatalf("%q depends on case", pattern)
		}
	})
}
