package protocol

import (
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
	"strings"
	"testing"
)

// Every reason has a sentence, and every sentence a reason.
func TestReasonsAreAClosedSet(t *testing.T) {
	for r, s := range sentences {
		if r == "" || strings.ContainsAny(string(r), ": ABC") || s == "" || strings.HasSuffix(s, ".") {
			t.Errorf("%q: %q", r, s)
		}
	}
	for _, r := range declaredReasons(t) {
		if sentences[r] == "" {
			t.Errorf("%s has no sentence", r)
		}
	}
}

// declaredReasons reads the constants of reason.go.
func declaredReasons(t *testing.T) []Reason {
	file, err := parser.ParseFile(token.NewFileSet(), "reason.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var all []Reason
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if ok && len(spec.Values) == 1 {
			if lit, ok := spec.Values[0].(*ast.BasicLit); ok {
				s, _ := strconv.Unquote(lit.Value)
				all = append(all, Reason(s))
			}
		}
		return true
	})
	if len(all) != len(sentences) {
		t.Errorf("%d reasons, %d sentences", len(all), len(sentences))
	}
	return all
}
