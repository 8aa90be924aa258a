package pronote

import "testing"

// What a page of PRONOTE asks for, most frequent first.
var ordinary = map[string]string{
	"call":     "/pronote/appelfonction/3/7654321/0a1b2c3d4e5f60718293a4b5c6d7e8f9",
	"poll":     "/pronote/appelpolling/3/7654321/0a1b2c3d4e5f60718293a4b5c6d7e8f9",
	"static":   "/pronote/images/menu/fond.png?v=2025",
	"page":     "/pronote/mobile.eleve.html?fd=1",
	"root":     "/pronote/",
	"folded":   "/pronote/InfoMobileApp.json?id=0D264427-EEFC-4810-A9E9-346942A862A4",
	"download": "/pronote/FichiersExternes/0a1b2c3d4e5f60718293a4b5c6d7e8f9/%C3%89l%C3%A8ve.pdf?Session=7654321",
}

func BenchmarkJudge(b *testing.B) {
	for name, target := range ordinary {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				Judge(target, "/pronote/")
			}
		})
	}
}

// The gate runs on every request: an ordinary one must cost no allocation.
func TestJudgeDoesNotAllocate(t *testing.T) {
	for _, name := range []string{"call", "poll", "static", "page", "root"} {
		if n := testing.AllocsPerRun(100, func() { Judge(ordinary[name], "/pronote/") }); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}
