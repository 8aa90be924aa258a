package caddymodule

import (
	"go/ast"
	goparser "go/parser"
	"go/token"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

var placeholder = regexp.MustCompile(`\{[a-z_]+\}`)

// Nobody gets a line with nothing on it, or half of what another language says.
func TestCheckSaysTheSameInBothLanguages(t *testing.T) {
	for name, english := range checkEnglish {
		french, ok := checkFrench[name]
		if !ok {
			t.Errorf("%s is not there in French", name)
			continue
		}
		for _, pair := range [][3]string{{"what", english.what, french.what}, {"cause", english.cause, french.cause}, {"cure", english.cure, french.cure}} {
			if (pair[1] == "") != (pair[2] == "") {
				t.Errorf("%s: one language has no %s", name, pair[0])
			}
			facts := func(s string) []string {
				return slices.Compact(slices.Sorted(slices.Values(placeholder.FindAllString(s, -1))))
			}
			if a, b := facts(pair[1]), facts(pair[2]); !slices.Equal(a, b) {
				t.Errorf("%s: the %s has the facts %v in English and %v in French", name, pair[0], a, b)
			}
		}
		if english.toENT != "" {
			t.Errorf("%s: what goes to the ENT stands with the French words", name)
		}
		if strings.Contains(french.what+french.cause+french.cure+french.toENT, "'") {
			t.Errorf("%s: a straight apostrophe in French", name)
		}
	}
	for name := range checkFrench {
		if _, ok := checkEnglish[name]; !ok && !strings.HasPrefix(name, "declare") {
			t.Errorf("%s is not there in English", name)
		}
	}
}

// Every finding has words, and there are none for what is never found.
func TestCheckHasWordsForEveryFinding(t *testing.T) {
	used := make(map[string]bool)
	files, err := filepath.Glob("check*.go")
	if err != nil || len(files) < 10 {
		t.Fatalf("%v, %v", files, err)
	}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") || strings.HasPrefix(name, "check_words_") {
			continue
		}
		file, err := goparser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if literal, ok := n.(*ast.BasicLit); ok && literal.Kind == token.STRING {
				if text, err := strconv.Unquote(literal.Value); err == nil {
					used[text] = true
				}
			}
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			made, ok := call.Fun.(*ast.Ident)
			if !ok || made.Name != "fine" && made.Name != "doubt" && made.Name != "wrong" {
				return true
			}
			if literal, ok := call.Args[0].(*ast.BasicLit); ok {
				name, _ := strconv.Unquote(literal.Value)
				if _, ok := checkEnglish[name]; !ok {
					t.Errorf("there are no words for %s", name)
				}
			}
			return true
		})
	}
	kinds := []string{"expired", "not_yet", "other_name", "self_signed", "authority", "chain", "no_tls", "refused", "timeout", "broken", "name", "proxy_error", "ends", "certificate", "service"}
	for _, name := range slices.Sorted(maps.Keys(checkEnglish)) {
		side, kind, _ := strings.Cut(name, "_")
		composed := slices.Contains([]string{"public", "cas", "pronote", "login", "ticket"}, side) && slices.Contains(kinds, kind)
		if !used[name] && !composed {
			t.Errorf("nobody says %s", name)
		}
	}
}
