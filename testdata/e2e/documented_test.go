package e2e

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
)

// TestEveryExportedNameIsDocumented reads the source: a name that others can
// use says what it means, and so does every field of the JSON configuration.
func TestEveryExportedNameIsDocumented(t *testing.T) {
	files := token.NewFileSet()
	for _, folder := range []string{"casauth", "caddymodule"} {
		err := filepath.WalkDir(filepath.Join("..", "..", folder), func(path string, _ fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			file, err := parser.ParseFile(files, path, nil, parser.ParseComments)
			if err != nil {
				return err
			}
			for _, declaration := range file.Decls {
				for _, name := range undocumented(declaration) {
					t.Errorf("%s: %s has no comment", files.Position(name.Pos()), name.Name)
				}
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}
}

// undocumented are the exported names that a declaration leaves without a comment.
func undocumented(declaration ast.Decl) (names []*ast.Ident) {
	switch d := declaration.(type) {
	case *ast.FuncDecl:
		if d.Name.IsExported() && d.Doc == nil && receiverIsExported(d) {
			names = append(names, d.Name)
		}
	case *ast.GenDecl:
		for _, spec := range d.Specs {
			switch s := spec.(type) {
			case *ast.ValueSpec: // one comment may stand for a group
				if d.Doc == nil && s.Doc == nil && s.Comment == nil {
					names = append(names, exported(s.Names)...)
				}
			case *ast.TypeSpec:
				if d.Doc == nil && s.Doc == nil {
					names = append(names, exported([]*ast.Ident{s.Name})...)
				}
			}
		}
	}
	return names
}

func exported(names []*ast.Ident) (found []*ast.Ident) {
	for _, name := range names {
		if name.IsExported() {
			found = append(found, name)
		}
	}
	return found
}

// receiverIsExported tells a method that others can reach, or a function.
func receiverIsExported(d *ast.FuncDecl) bool {
	if d.Recv == nil {
		return true
	}
	receiver := d.Recv.List[0].Type
	if pointer, ok := receiver.(*ast.StarExpr); ok {
		receiver = pointer.X
	}
	if generic, ok := receiver.(*ast.IndexExpr); ok {
		receiver = generic.X
	}
	name, ok := receiver.(*ast.Ident)
	return ok && name.IsExported()
}
