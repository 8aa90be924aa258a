package caddymodule_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"strings"
	"testing"
)

const module = "github.com/pronote-cas/caddy-pronote-cas/"

// eachFile hands over the project's own Go files that are no tests, with their
// package's path below the module.
func eachFile(t *testing.T, visit func(pkg, name string, file *ast.File)) {
	t.Helper()
	seen := 0
	for _, root := range []string{"../casauth", "../caddymodule"} {
		err := filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
				return err
			}
			file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
			if err != nil {
				return err
			}
			seen++
			name = filepath.ToSlash(name)
			visit(strings.TrimPrefix(path.Dir(name), "../"), name, file)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if seen < 40 {
		t.Fatalf("only %d files", seen)
	}
}

// casauth decides and knows nothing of Caddy, so that what it decides can be
// tested, and read, without a server; its subpackages know one thing each.
func TestTheArrowsPointOneWay(t *testing.T) {
	eachFile(t, func(pkg, name string, file *ast.File) {
		if !strings.HasPrefix(pkg, "casauth") {
			return
		}
		for _, spec := range file.Imports {
			imported := strings.Trim(spec.Path.Value, `"`)
			own, ours := strings.CutPrefix(imported, module)
			switch {
			case strings.Contains(imported, "caddyserver/"):
				t.Errorf("%s imports %s: casauth knows nothing of Caddy", name, imported)
			case !ours || pkg == "casauth":
			case own == "casauth" && pkg == "casauth/storetest": // what every Store of casauth must pass
			case pkg == "casauth/relay" && (own == "casauth/address" || own == "casauth/protocol"): // it hands on to the ENT what it did not issue
			default:
				t.Errorf("%s imports %s: the subpackages do not know each other", name, own)
			}
		}
	})
}

// Every exported name says what it means.
func TestEveryExportedNameIsDocumented(t *testing.T) {
	eachFile(t, func(_, name string, file *ast.File) {
		for _, decl := range file.Decls {
			switch decl := decl.(type) {
			case *ast.FuncDecl:
				if decl.Name.IsExported() && decl.Doc == nil && (decl.Recv == nil || ast.IsExported(receiver(decl.Recv.List[0].Type))) {
					t.Errorf("%s: func %s has no comment", name, decl.Name)
				}
			case *ast.GenDecl:
				for _, spec := range decl.Specs {
					undocumented(t, name, decl, spec)
				}
			}
		}
	})
}

func undocumented(t *testing.T, file string, decl *ast.GenDecl, spec ast.Spec) {
	t.Helper()
	switch spec := spec.(type) {
	case *ast.TypeSpec:
		if spec.Name.IsExported() && spec.Doc == nil && decl.Doc == nil {
			t.Errorf("%s: type %s has no comment", file, spec.Name)
		}
		configured, ok := spec.Type.(*ast.StructType)
		if !ok || spec.Name.Name != "Handler" && !strings.HasSuffix(spec.Name.Name, "Settings") || !spec.Name.IsExported() {
			return
		}
		for _, field := range configured.Fields.List { // what Caddy's documentation of the module shows
			if field.Names[0].IsExported() && field.Doc == nil {
				t.Errorf("%s: field %s.%s has no comment", file, spec.Name, field.Names[0])
			}
		}
	case *ast.ValueSpec:
		for _, name := range spec.Names {
			if name.IsExported() && spec.Doc == nil && spec.Comment == nil && decl.Doc == nil {
				t.Errorf("%s: %s has no comment", file, name)
			}
		}
	}
}

func receiver(of ast.Expr) string {
	switch of := of.(type) {
	case *ast.StarExpr:
		return receiver(of.X)
	case *ast.IndexExpr:
		return receiver(of.X)
	case *ast.Ident:
		return of.Name
	}
	return ""
}
