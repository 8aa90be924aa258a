package pages

import (
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

var property = regexp.MustCompile(`(--[a-z-]+):\s*#([0-9a-f]{6});`)

// scheme reads the colours of one :root block.
func scheme(t *testing.T, block string) map[string]float64 {
	t.Helper()
	colours := map[string]float64{}
	for _, m := range property.FindAllStringSubmatch(block, -1) {
		var luminance float64 // WCAG 2.2, "relative luminance"
		for i, weight := range []float64{0.2126, 0.7152, 0.0722} {
			n, err := strconv.ParseUint(m[2][2*i:2*i+2], 16, 8)
			if err != nil {
				t.Fatal(err)
			}
			c := float64(n) / 255
			if c <= 0.04045 {
				c /= 12.92
			} else {
				c = math.Pow((c+0.055)/1.055, 2.4)
			}
			luminance += weight * c
		}
		colours[m[1]] = luminance
	}
	return colours
}

// TestContrast: WCAG 2.2 §1.4.3 for texts (4.5) and §1.4.11 for edges, symbols
// and the focus ring (3), in both colour schemes.
func TestContrast(t *testing.T) {
	_, rest, ok := strings.Cut(style, ":root {")
	light, rest, ok2 := strings.Cut(rest, "}")
	_, rest, ok3 := strings.Cut(rest, "(prefers-color-scheme: dark)")
	dark, _, ok4 := strings.Cut(rest, "}\n}")
	if !ok || !ok2 || !ok3 || !ok4 {
		t.Fatal("the style has no two colour schemes any more")
	}
	pairs := []struct {
		front, back string
		least       float64
	}{
		{"--ink", "--ground", 4.5}, {"--ink", "--sheet", 4.5}, {"--ink", "--code", 4.5},
		{"--faint", "--ground", 4.5}, {"--faint", "--sheet", 4.5}, {"--error", "--sheet", 4.5},
		{"--on-action", "--action", 4.5}, {"--on-action", "--action-over", 4.5},
		{"--action", "--sheet", 4.5}, {"--action-over", "--sheet", 4.5},
		{"--edge", "--sheet", 3}, {"--error", "--sheet", 3},
		{"--info", "--sheet", 3}, {"--done", "--sheet", 3}, {"--warn", "--sheet", 3},
		{"--info", "--ground", 3}, {"--done", "--ground", 3}, {"--warn", "--ground", 3},
	}
	used := map[string]bool{"--line": true} // a line that nobody needs to see
	for name, colours := range map[string]map[string]float64{"light": scheme(t, light), "dark": scheme(t, dark)} {
		for _, pair := range pairs {
			front, ok := colours[pair.front]
			back, ok2 := colours[pair.back]
			if !ok || !ok2 {
				t.Errorf("%s: %s or %s is no colour", name, pair.front, pair.back)
				continue
			}
			used[pair.front], used[pair.back] = true, true
			ratio := (max(front, back) + 0.05) / (min(front, back) + 0.05)
			if ratio < pair.least {
				t.Errorf("%s: %s on %s is %.2f, want %.1f", name, pair.front, pair.back, ratio, pair.least)
			}
		}
		for colour := range colours {
			if !used[colour] {
				t.Errorf("%s: nothing checks %s", name, colour)
			}
		}
	}
	plain := strings.ReplaceAll(strings.ReplaceAll(style, light, ""), dark, "")
	if before, _, _ := strings.Cut(plain, "@media print"); regexp.MustCompile(`#[0-9a-f]{3,8}\b[^{]*;`).MatchString(before) {
		t.Error("a colour outside the two schemes")
	}
}

// TestNothingIsFetched: the policy would block it, and a page must not need it.
func TestNothingIsFetched(t *testing.T) {
	for _, bad := range []string{"url(", "@import", "@font-face", "animation", "transition", "outline: none", "outline: 0"} {
		if strings.Contains(style, bad) {
			t.Errorf("%s in the style", bad)
		}
	}
}
