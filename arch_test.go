// Package clientele_test holds what is true of the whole tree.
package clientele_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
)

const module = "clientele"

// anything, in a row of imports, stands for every folder but those behind a minus sign.
const anything = "*"

// imports says which of our folders each folder may import. It is the picture of
// docs/architecture.md; a row is changed there first. A folder that is not here may not be. A
// row that ends in /* is for the folders below.
var imports = map[string][]string{
	".":                          {},
	"auth":                       {"limits"},
	"bench":                      {anything},
	"bench/*":                    {anything},
	"channels/*":                 {"services", "models", "limits", "internal/webcall"},
	"channels/wechat/wechattest": {"channels/wechat", "limits", "models"}, // a platform for tests
	"cmd/*":                      {anything, "-internal/testkit"},
	"dataloaders":                {"limits", "models", "services"},
	"docs":                       {anything}, // tests alone
	"events":                     {"limits", "models"},
	"graph":                      {"models", "internal/relay"},
	"internal/app":               {anything, "-cmd", "-internal/testkit"}, // the wiring that commands and end-to-end tests share
	"internal/config":            {"auth", "internal/blobs", "internal/seal", "limits"},
	"internal/blobs":             {},
	"internal/imagefile":         {},
	"internal/csvfile":           {},
	"internal/apiclient":         {},
	"internal/demo":              {"auth", "internal/apiclient", "internal/app", "internal/config", "internal/relay", "limits"}, // a client like any other
	"internal/gqlgen":            {},                                                                                            // writes graph/ before there is one
	"internal/graphiql":          {},
	"internal/linefile":          {},
	"internal/qrcode":            {},
	"internal/relay":             {},
	"internal/seal":              {},
	"internal/server":            {anything, "-cmd", "-jobs", "-internal/app", "-internal/testkit"},
	"internal/testkit":           {anything, "-cmd"},
	"internal/testkit/*":         {anything, "-cmd"},
	"internal/transport":         {},
	"internal/uploader":          {"internal/apiclient", "limits"}, // a client like any other
	"internal/webcall":           {},
	"jobs":                       {"services", "models", "limits", "events"},
	"limits":                     {},
	"migrations":                 {},
	"models":                     {"limits", "internal/relay"},
	"resolvers":                  {"dataloaders", "graph", "models", "services", "auth", "internal/relay", "internal/transport", "limits"},
	"schema":                     {},
	"services":                   {"auth", "events", "limits", "models", "store", "internal/csvfile", "internal/imagefile", "internal/linefile", "internal/qrcode", "internal/relay", "internal/seal"},
	"store":                      {"limits", "models", "events", "migrations", "internal/relay"},
	"tests":                      {anything},
	"tests/*":                    {anything},
}

// testImports says what the tests of a folder may import beside what it may itself, its own
// packages and internal/testkit.
var testImports = map[string][]string{
	"schema":     {"limits", "auth"},
	"channels/*": {"store", "auth", "internal/seal", "channels/*"},
	"jobs":       {"store", "auth", "channels/*", "internal/relay", "internal/seal", "internal/webcall"},
	"services":   {"channels/*"},
}

// outside says which folders alone may import packages of others whose path begins so.
var outside = map[string][]string{
	"gorm.io/":                      {"store"},
	"github.com/ncruces/go-sqlite3": {"store"},
	"github.com/pressly/goose":      {"migrations"},
	"github.com/boombuler/barcode":  {"internal/qrcode"},
	"golang.org/x/image":            {"internal/qrcode"},
	"gocloud.dev":                   {"internal/blobs"},
	"github.com/MicahParks/jwkset":  {"auth", "tests"},
	"github.com/99designs/gqlgen":   {"graph", "resolvers", "internal/server", "internal/transport", "internal/gqlgen", "bench/inbox"},
}

// clocks is the folders, and single files, that may ask the machine for the time. Whoever else
// needs it is given a clock, or tests could not set it.
var clocks = []string{
	"bench", "bench/*", "cmd/*", "internal/*", "tests", "tests/*",
	"store/store.go", "events/hub.go", "channels/wechat/wechattest/platform.go", // defaults of a clock that can be given
}

// Ensure nobody goes round the layers: see imports, outside and clocks.
func TestArchitecture(t *testing.T) {
	faults, err := inspect(os.DirFS("."))
	if err != nil {
		t.Fatal(err)
	}
	for _, fault := range faults {
		t.Error(fault)
	}
}

// Ensure the test finds what it is for.
func TestArchitectureFindsFaults(t *testing.T) {
	const clean = "package x\n"
	for _, tt := range []struct{ name, file, text, want string }{
		{"allowed", "services/a.go", `package x; import _ "clientele/store"`, ""},
		{"allowed to a subfolder", "channels/wechat/a.go", `package x; import _ "clientele/services"`, ""},
		{"test of its own package", "models/a_test.go", `package x_test; import _ "clientele/models"`, ""},
		{"test with the testkit", "store/a_test.go", `package x_test; import _ "clientele/internal/testkit"`, ""},
		{"wiring", "cmd/x/main.go", `package main; import _ "clientele/store"`, ""},
		{"clock in wiring", "cmd/x/main.go", `package main; import "time"; var _ = time.Now`, ""},
		{"a time of its own", "models/a.go", `package x; import "time"; var _ = time.Unix`, ""},
		{"testdata", "models/testdata/a.go", `package x; import _ "clientele/store"`, ""},

		{"backwards", "store/a.go", `package x; import _ "clientele/services"`, "store/a.go: store may not import services"},
		{"past the rules", "resolvers/a.go", `package x; import _ "clientele/store"`, "resolvers/a.go: resolvers may not import store"},
		{"test past its folder", "models/a_test.go", `package x; import _ "clientele/store"`, "models/a_test.go: models may not import store"},
		{"testkit in the product", "services/a.go", `package x; import _ "clientele/internal/testkit"`, "services/a.go: services may not import internal/testkit"},
		{"server needs no command", "internal/server/a.go", `package x; import _ "clientele/cmd/x"`, "internal/server/a.go: internal/server may not import cmd/x"},
		{"server needs no jobs", "internal/server/a.go", `package x; import _ "clientele/jobs"`, "internal/server/a.go: internal/server may not import jobs"},
		{"testkit in a command", "cmd/x/main.go", `package main; import _ "clientele/internal/testkit"`, "cmd/x/main.go: cmd/x may not import internal/testkit"},
		{"gorm beside the store", "models/a.go", `package x; import _ "gorm.io/gorm"`, "models/a.go: models may not import gorm.io/gorm"},
		{"gqlgen beside the API", "services/a.go", `package x; import _ "github.com/99designs/gqlgen/graphql"`, "services/a.go: services may not import github.com/99designs/gqlgen/graphql"},
		{"unknown folder", "utils/a.go", clean, "utils: is not in the table of imports"},
		{"machine's clock", "services/a.go", `package x; import "time"; var _ = time.Now()`, "services/a.go: asks the machine for the time (time.Now); use the clock that was given"},
		{"by another name", "services/a.go", `package x; import clock "time"; var _ = clock.Since`, "services/a.go: asks the machine for the time (time.Since); use the clock that was given"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			faults, err := inspect(fstest.MapFS{tt.file: {Data: []byte(tt.text)}})
			if err != nil {
				t.Fatal(err)
			}
			if tt.want == "" && len(faults) > 0 || tt.want != "" && !slices.Equal(faults, []string{tt.want}) {
				t.Errorf("faults %q, want %q", faults, tt.want)
			}
		})
	}
}

// inspect is every breach of the tables in the Go files of a tree.
func inspect(tree fs.FS) (faults []string, err error) {
	err = fs.WalkDir(tree, ".", func(file string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			name := entry.Name()
			if name != "." && strings.ContainsAny(name[:1], "._") || name == "testdata" || name == "node_modules" {
				return fs.SkipDir
			}
			return nil
		}
		if path.Ext(file) != ".go" {
			return nil
		}
		text, err := fs.ReadFile(tree, file)
		if err != nil {
			return err
		}
		found, err := inspectFile(file, text)
		faults = append(faults, found...)
		return err
	})
	slices.Sort(faults)
	return slices.Compact(faults), err
}

func inspectFile(file string, text []byte) (faults []string, err error) {
	parsed, err := parser.ParseFile(token.NewFileSet(), file, text, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	folder := path.Dir(file)
	allowed, ok := row(imports, folder)
	if !ok {
		return []string{folder + ": is not in the table of imports"}, nil
	}
	isTest := strings.HasSuffix(file, "_test.go")
	if isTest {
		more, _ := row(testImports, folder)
		allowed = slices.Concat(allowed, more, []string{folder, folder + "/*", "internal/testkit"})
	}
	timeName := ""
	for _, i := range parsed.Imports {
		imported, err := strconv.Unquote(i.Path.Value)
		if err != nil {
			return nil, err
		}
		if imported == "time" {
			timeName = "time"
			if i.Name != nil {
				timeName = i.Name.Name
			}
		}
		if ours, ok := strings.CutPrefix(imported, module+"/"); ok && !permits(allowed, ours) {
			faults = append(faults, file+": "+folder+" may not import "+ours)
		}
		for prefix, folders := range outside {
			if strings.HasPrefix(imported, prefix) && !permits(folders, folder) {
				faults = append(faults, file+": "+folder+" may not import "+imported)
			}
		}
	}
	if timeName != "" && !isTest && !permits(clocks, folder) && !permits(clocks, file) {
		ast.Inspect(parsed, func(n ast.Node) bool {
			s, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			if x, ok := s.X.(*ast.Ident); ok && x.Name == timeName && slices.Contains([]string{"Now", "Since", "Until"}, s.Sel.Name) {
				faults = append(faults, file+": asks the machine for the time (time."+s.Sel.Name+"); use the clock that was given")
			}
			return true
		})
	}
	return faults, nil
}

// row is a table's row for a folder: its own, else that of the nearest folder above with /*.
func row(table map[string][]string, folder string) ([]string, bool) {
	if r, ok := table[folder]; ok {
		return r, true
	}
	for above := path.Dir(folder); above != "."; above = path.Dir(above) {
		if r, ok := table[above+"/*"]; ok {
			return r, true
		}
	}
	return nil, false
}

// permits reports whether a list of folders holds this one, and does not except it.
func permits(list []string, folder string) bool {
	holds := func(pattern string) bool {
		below, ok := strings.CutSuffix(pattern, "/*")
		return pattern == anything || pattern == folder || ok && strings.HasPrefix(folder, below+"/")
	}
	for _, pattern := range list {
		if except, ok := strings.CutPrefix(pattern, "-"); ok && (holds(except) || holds(except+"/*")) {
			return false
		}
	}
	return slices.ContainsFunc(list, holds)
}
