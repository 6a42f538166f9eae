package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// check reads the imports of every Go file below root and gives a line for each
// that goes against the house, in the order of the files. Build tags are not
// heeded: a forbidden import is forbidden on every system.
func check(root string) ([]string, error) {
	var findings []string
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if path != root && (skipped(entry.Name()) || isModule(path)) {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(path, ".go") {
			return nil
		}
		relative, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		found, err := checkFile(path, filepath.ToSlash(relative))
		findings = append(findings, found...)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("check imports: %w", err)
	}
	return findings, nil
}

// skipped are the folders that the go command skips too.
func skipped(name string) bool {
	return strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_") || name == "testdata"
}

func isModule(folder string) bool {
	_, err := os.Stat(filepath.Join(folder, "go.mod"))
	return err == nil
}

func checkFile(path, relative string) ([]string, error) {
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, path, nil, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	if from := roomOf(relative); !placed(from) {
		return []string{fmt.Sprintf("%s:1: %s is no room of the house: give it a place in tools/importcheck/rooms.go",
			relative, from)}, nil
	}
	var findings []string
	for _, spec := range file.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return nil, err
		}
		if reason := refuse(relative, imported); reason != "" {
			line := files.Position(spec.Pos()).Line
			findings = append(findings, fmt.Sprintf("%s:%d: %s", relative, line, reason))
		}
	}
	for _, call := range unjudgedDoubles(relative, file) {
		findings = append(findings, fmt.Sprintf("%s:%d: a test gets its Stripe double from stripesim/judge, which judges what it is sent",
			relative, files.Position(call.Pos()).Line))
	}
	return findings, nil
}

// unjudgedDoubles are the places outside stripesim where a test makes a double of
// Stripe that nobody holds against Stripe's own description.
func unjudgedDoubles(relative string, file *ast.File) []ast.Node {
	if roomOf(relative) == "stripesim" || !strings.HasSuffix(relative, "_test.go") {
		return nil
	}
	var found []ast.Node
	ast.Inspect(file, func(n ast.Node) bool {
		selector, ok := n.(*ast.SelectorExpr)
		if !ok || selector.Sel.Name != "New" {
			return true
		}
		if from, ok := selector.X.(*ast.Ident); ok && from.Name == "sim" {
			found = append(found, selector)
		}
		return true
	})
	return found
}

// roomOf is the first folder of a path.
func roomOf(path string) string {
	room, _, _ := strings.Cut(path, "/")
	return room
}

func placed(name string) bool {
	_, ok := house[name]
	return ok
}

// refuse says why the file at a path below the checkout may not import a package,
// and "" when it may.
func refuse(relative, imported string) string {
	from := roomOf(relative)
	rules := house[from]
	test := strings.HasSuffix(relative, "_test.go")
	inside, ours := strings.CutPrefix(imported, module+"/")
	if !ours {
		if rules.standardOnly && !test && !standard(imported) {
			return fmt.Sprintf("%s imports the standard library only, not %s", from, imported)
		}
		return ""
	}
	to := roomOf(inside)
	if to == from || slices.Contains(rules.may, to) || test && slices.Contains(testsMay, to) {
		return ""
	}
	return fmt.Sprintf("%s may not import %s: imports point inwards", from, to)
}

// standard tells the standard library by its paths, whose first element has no dot.
func standard(imported string) bool {
	first, _, _ := strings.Cut(imported, "/")
	return !strings.Contains(first, ".")
}
