// Package docs_test holds the documents to the code they speak of.
package docs_test

import (
	"cmp"
	"encoding/json"
	"flag"
	"fmt"
	"go/ast"
	"go/constant"
	"go/parser"
	"go/token"
	"go/types"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/vektah/gqlparser/v2"
	gql "github.com/vektah/gqlparser/v2/ast"

	"clientele/internal/config"
	"clientele/schema"
)

// root is the repository, seen from this folder.
const root = ".."

var update = flag.Bool("update", false, "write schema.graphql and the tables of limits.md and operations.md anew; who enforces a limit is kept")

// Ensure limits.md says of every constant of limits what its file says, and who
// enforces it: "nothing yet" exactly of those that no code reads.
func TestLimits(t *testing.T) {
	page := mustRead(t, "limits.md")
	enforcers := map[string]string{}
	for line := range strings.Lines(page) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		if len(cells) == 5 && strings.HasPrefix(cells[0], " `") { // the columns below.
			enforcers[strings.Trim(cells[0], " `")] = strings.TrimSpace(cells[4])
		}
	}
	used := mustUses(t)
	var b strings.Builder
	for _, g := range mustLimits(t) {
		fmt.Fprintf(&b, "\n## %s\n\n| constant | value | unit | rule | enforced by |\n|---|---|---|---|---|\n", g.title)
		for _, l := range g.limits {
			who := cmp.Or(enforcers[l.name], "?")
			fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n", l.name, l.value, l.unit, cmp.Or(l.rules, "none"), who)
			if who == "?" && !*update {
				t.Errorf("limits.md does not say who enforces %s", l.name)
			}
			if none := strings.HasPrefix(who, "nothing yet"); none == used[l.name] && who != "?" {
				t.Errorf("limits.md: %s is enforced by %q; is it read by any code: %t", l.name, who, used[l.name])
			}
		}
	}
	hold(t, "limits.md", "limits", b.String())
}

// Ensure operations.md holds the tables of settings that the program would print.
func TestSettings(t *testing.T) {
	hold(t, "operations.md", "serve", "\n"+config.Table())
	hold(t, "operations.md", "demo", "\n"+config.DemoTable())
	hold(t, "operations.md", "token", "\n"+config.TokenTable())
	hold(t, "operations.md", "import", "\n"+config.ImportTable())
}

// hold compares what stands between the two marks of a table with what should; -update writes it.
func hold(t *testing.T, file, name, want string) {
	t.Helper()
	page := mustRead(t, file)
	before, rest, ok := strings.Cut(page, "<!-- begin "+name+" -->\n")
	got, after, ok2 := strings.Cut(rest, "\n<!-- end "+name+" -->")
	if !ok || !ok2 {
		t.Fatalf("%s has no marks of %q", file, name)
	}
	if got+"\n" == want {
		return
	}
	if !*update {
		t.Errorf("%s: the table %q is not what the code says; run `go test ./docs -update`.\ngot:\n%s\nwant:\n%s", file, name, got, want)
		return
	}
	page = before + "<!-- begin " + name + " -->\n" + want + "<!-- end " + name + " -->" + after
	if err := os.WriteFile(file, []byte(page), 0o644); err != nil {
		t.Fatal(err)
	}
}

type limit struct{ name, value, unit, rules string }

type limitGroup struct {
	title  string
	limits []limit
}

// limitFiles are the files of limits that have constants, in the order of limits.md.
var limitFiles = []string{
	"account.go", "advisor.go", "image.go", "customer.go", "tag.go", "message.go", "api.go",
	"event.go", "retention.go", "revocation.go", "job.go", "callback.go", "webhook.go",
}

// mustLimits reads the constants of limits.
func mustLimits(t *testing.T) (groups []limitGroup) {
	t.Helper()
	set := token.NewFileSet()
	var files []*ast.File
	for _, name := range limitFiles {
		file, err := parser.ParseFile(set, filepath.Join(root, "limits", name), nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
	}
	names, err := filepath.Glob(filepath.Join(root, "limits", "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if name = filepath.Base(name); name != "limits.go" && !slices.Contains(limitFiles, name) {
			t.Errorf("limits/%s has no place in limits.md: limitFiles does not have it", name)
		}
	}
	checker := types.Config{Importer: onlyTime{}}
	checked, err := checker.Check("limits", set, files, nil)
	if err != nil {
		t.Fatal(err)
	}
	var decls []ast.Decl
	for _, file := range files {
		decls = append(decls, file.Decls...)
	}
	for _, d := range decls {
		group, ok := d.(*ast.GenDecl)
		if !ok || group.Tok != token.CONST {
			continue
		}
		title, _, _ := strings.Cut(group.Doc.Text(), ".")
		g := limitGroup{title: title}
		for _, s := range group.Specs {
			spec, ok := s.(*ast.ValueSpec)
			if !ok {
				continue
			}
			for _, name := range spec.Names {
				c, ok := checked.Scope().Lookup(name.Name).(*types.Const)
				if !ok {
					t.Fatalf("%s is no constant", name.Name)
				}
				value, unit := shown(c)
				rules := sources(spec.Doc.Text() + spec.Comment.Text())
				g.limits = append(g.limits, limit{name.Name, value, unit, cmp.Or(rules, sources(group.Doc.Text()))})
			}
		}
		groups = append(groups, g)
	}
	return groups
}

// sources is the rules that a comment names after "Source:".
func sources(comment string) string {
	_, after, _ := strings.Cut(comment, "Source:")
	return strings.Join(cited(after), ", ")
}

// shown is a constant's value and unit as a person reads them.
func shown(c *types.Const) (value, unit string) {
	n, _ := constant.Int64Val(c.Val())
	if strings.HasSuffix(c.Type().String(), "time.Duration") {
		const day = 24 * time.Hour
		of, unit := time.Millisecond, "ms"
		switch d := time.Duration(n); {
		case d > 2*day && d%day == 0:
			of, unit = day, "days"
		case d >= time.Hour:
			of, unit = time.Hour, "h"
		case d >= time.Minute:
			of, unit = time.Minute, "min"
		case d >= time.Second:
			of, unit = time.Second, "s"
		}
		return strconv.FormatFloat(float64(n)/float64(of), 'f', -1, 64), unit
	}
	unit = "count"
	for suffix, u := range map[string]string{"Bytes": "bytes", "Runes": "characters", "Days": "days"} {
		if strings.HasSuffix(c.Name(), suffix) {
			unit = u
		}
	}
	value = strconv.FormatInt(n, 10)
	for i := len(value) - 3; i > 0; i -= 3 {
		value = value[:i] + "," + value[i:]
	}
	return value, unit
}

// onlyTime imports a package time that has the units of durations and nothing else.
type onlyTime struct{}

func (onlyTime) Import(string) (*types.Package, error) {
	p := types.NewPackage("time", "time")
	duration := types.NewNamed(types.NewTypeName(token.NoPos, p, "Duration", nil), types.Typ[types.Int64], nil)
	for name, d := range map[string]time.Duration{
		"Nanosecond": time.Nanosecond, "Microsecond": time.Microsecond, "Millisecond": time.Millisecond,
		"Second": time.Second, "Minute": time.Minute, "Hour": time.Hour,
	} {
		p.Scope().Insert(types.NewConst(token.NoPos, p, name, duration, constant.MakeInt64(int64(d))))
	}
	p.MarkComplete()
	return p, nil
}

// mustUses is the constants of limits that the product's code reads.
func mustUses(t *testing.T) map[string]bool {
	t.Helper()
	used := map[string]bool{}
	for _, f := range mustGoFiles(t) {
		if strings.HasSuffix(f.name, "_test.go") {
			continue
		}
		ast.Inspect(f.parsed, func(n ast.Node) bool {
			if s, ok := n.(*ast.SelectorExpr); ok {
				if x, ok := s.X.(*ast.Ident); ok && x.Name == "limits" {
					used[s.Sel.Name] = true
				}
			}
			return true
		})
	}
	return used
}

var (
	ruleNumber  = regexp.MustCompile(`\b[A-Z][1-9][0-9]?\b`)
	ruleCitings = regexp.MustCompile(`\b[Rr]ules?\s+([A-Z][1-9][0-9]?\b(?:(?:,|\s+and|\s+or|\s+to)\s+[A-Z][1-9][0-9]?\b)*)`)
	ruleHeads   = regexp.MustCompile(`(?m)^\*\*([A-Z][1-9][0-9]?)\.\*\* `)
	adrCitings  = regexp.MustCompile(`\bADR ([0-9]{4})\b`)
)

// cited is the rules that a text cites, in its order; "B1 to B3" cites three.
func cited(text string) (rules []string) {
	for _, c := range ruleCitings.FindAllStringSubmatch(text, -1) {
		fields := strings.Fields(strings.ReplaceAll(c[1], ",", " "))
		for i, f := range fields {
			if f == "to" && i > 0 && i+1 < len(fields) && fields[i-1][0] == fields[i+1][0] {
				first, _ := strconv.Atoi(fields[i-1][1:])
				last, _ := strconv.Atoi(fields[i+1][1:])
				for n := first + 1; n < last; n++ {
					rules = append(rules, fields[i-1][:1]+strconv.Itoa(n))
				}
			}
			if ruleNumber.MatchString(f) {
				rules = append(rules, f)
			}
		}
	}
	return rules
}

// Ensure whoever follows a number finds something: every rule and every ADR that a Go comment, the
// schema or a document cites is there, and no rule stands twice.
func TestCitations(t *testing.T) {
	rules := map[string]bool{}
	for _, head := range ruleHeads.FindAllStringSubmatch(mustRead(t, "rules.md"), -1) {
		if rules[head[1]] {
			t.Errorf("rules.md has rule %s twice", head[1])
		}
		rules[head[1]] = true
	}
	check := func(where, text string) {
		for _, r := range cited(text) {
			if !rules[r] {
				t.Errorf("%s cites rule %s, which docs/rules.md does not have", where, r)
			}
		}
		for _, a := range adrCitings.FindAllStringSubmatch(text, -1) {
			if found, _ := filepath.Glob(filepath.Join("adr", a[1]+"-*.md")); len(found) != 1 {
				t.Errorf("%s cites ADR %s; docs/adr has %d of that number", where, a[1], len(found))
			}
		}
	}
	for _, f := range mustGoFiles(t) {
		for _, group := range f.parsed.Comments {
			check(f.name, group.Text())
		}
	}
	check("the schema", schema.SDL())
	for _, name := range mustDocuments(t) {
		check(name, mustRead(t, filepath.Join(root, name)))
	}
}

// Ensure a citation is found in each of its forms.
func TestCited(t *testing.T) {
	for text, want := range map[string]string{
		"see rule B7.": "B7", "(rules E15, G5)": "E15 G5", "rules B1 to B3 hold": "B1 B2 B3", "rules A1,\nV3 and E12": "A1 V3 E12",
		"Rule N4's": "N4", "the B7 of nothing": "", "rule of thumb": "",
	} {
		if got := strings.Join(cited(text), " "); got != want {
			t.Errorf("%q cites %q, want %q", text, got, want)
		}
	}
}

// Ensure every direct module of go.mod has its reason in ADR 0010.
func TestDependencies(t *testing.T) {
	reasons := mustRead(t, filepath.Join("adr", "0010-dependencies.md"))
	n := 0
	for line := range strings.Lines(mustRead(t, filepath.Join(root, "go.mod"))) {
		fields := strings.Fields(line)
		if len(fields) != 2 || !strings.HasPrefix(line, "\t") || !strings.HasPrefix(fields[1], "v") { // module and version, no comment.
			continue
		}
		n++
		if !strings.Contains(reasons, "`"+strings.TrimPrefix(fields[0], "github.com/")+"`") {
			t.Errorf("adr/0010-dependencies.md does not say why %s", fields[0])
		}
	}
	if n == 0 {
		t.Error("no module was found: this test looks in the wrong place")
	}
}

// Ensure architecture.md says of each folder what arch_test.go lets it import.
func TestImportTable(t *testing.T) {
	_, table, _ := strings.Cut(mustRead(t, "architecture.md"), "\n## Who imports whom\n")
	table, _, _ = strings.Cut(table, "\n## ")
	quoted := regexp.MustCompile("`([^`]+)`")
	told := map[string][]string{}
	for line := range strings.Lines(table) {
		cells := strings.Split(line, "|")
		if len(cells) != 4 { // two, and the borders.
			continue
		}
		var items []string
		for _, m := range quoted.FindAllStringSubmatch(cells[2], -1) {
			items = append(items, m[1])
		}
		slices.Sort(items)
		for _, m := range quoted.FindAllStringSubmatch(cells[1], -1) {
			told[m[1]] = items
		}
	}
	for folder, items := range mustImports(t) {
		said, ok := told[folder]
		if !ok {
			said, ok = told[strings.TrimSuffix(folder, "/*")]
		}
		if !ok || !slices.Equal(said, items) {
			t.Errorf("architecture.md says of %s %q, arch_test.go %q", folder, said, items)
		}
	}
}

// mustImports is the table of imports in arch_test.go: what a folder may import or, where it may
// import anything, what it may not.
func mustImports(t *testing.T) map[string][]string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, "arch_test.go"), nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string][]string{}
	ast.Inspect(file, func(n ast.Node) bool {
		v, ok := n.(*ast.ValueSpec)
		if !ok || v.Names[0].Name != "imports" || len(v.Values) != 1 {
			return true
		}
		for _, e := range v.Values[0].(*ast.CompositeLit).Elts {
			row := e.(*ast.KeyValueExpr)
			var items []string
			ast.Inspect(row.Value, func(n ast.Node) bool {
				if l, ok := n.(*ast.BasicLit); ok {
					text, _ := strconv.Unquote(l.Value)
					items = append(items, strings.TrimPrefix(text, "-"))
				}
				return true
			})
			slices.Sort(items)
			folder, _ := strconv.Unquote(row.Key.(*ast.BasicLit).Value)
			rows[folder] = items
		}
		return false
	})
	delete(rows, ".") // this table's own folder
	if len(rows) == 0 {
		t.Fatal("arch_test.go has no table of imports")
	}
	return rows
}

var adrName = regexp.MustCompile(`^([0-9]{4})-[a-z0-9-]+\.md$`)

// Ensure the ADRs are numbered without a hole and each has its parts.
func TestADRs(t *testing.T) {
	entries, err := os.ReadDir("adr")
	if err != nil {
		t.Fatal(err)
	}
	for i, e := range entries {
		m := adrName.FindStringSubmatch(e.Name())
		if m == nil || m[1] != fmt.Sprintf("%04d", i+1) {
			t.Errorf("adr/%s is not number %04d", e.Name(), i+1)
			continue
		}
		text := mustRead(t, filepath.Join("adr", e.Name()))
		if !strings.HasPrefix(text, "# "+m[1]+" ") {
			t.Errorf("adr/%s does not begin with its number", e.Name())
		}
		for _, part := range []string{"Context", "Decision", "Consequences", "Alternatives"} {
			if !strings.Contains(text, "\n## "+part+"\n") {
				t.Errorf("adr/%s has no %s", e.Name(), part)
			}
		}
	}
}

var (
	fences = regexp.MustCompile("(?ms)^```(\\w*)\n(.*?)^```$")
	links  = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	marks  = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
)

// Ensure every relative link of a document leads somewhere, with its heading if it names one.
func TestLinks(t *testing.T) {
	for _, name := range mustDocuments(t) {
		text := fences.ReplaceAllString(mustRead(t, filepath.Join(root, name)), "")
		for _, l := range links.FindAllStringSubmatch(text, -1) {
			if strings.Contains(l[1], "://") {
				continue
			}
			target, heading, _ := strings.Cut(l[1], "#")
			to := path.Join(path.Dir(name), target)
			if target == "" {
				to = name
			}
			if _, err := os.Stat(filepath.Join(root, to)); err != nil {
				t.Errorf("%s links to %s, which is not there", name, l[1])
				continue
			}
			if heading != "" && !slices.Contains(headings(mustRead(t, filepath.Join(root, to))), heading) {
				t.Errorf("%s links to %s, which has no such heading", name, l[1])
			}
		}
	}
}

// headings is a document's headings as links name them.
func headings(text string) (names []string) {
	for line := range strings.Lines(fences.ReplaceAllString(text, "")) {
		if title, ok := strings.CutPrefix(strings.TrimLeft(line, "#"), " "); ok && strings.HasPrefix(line, "#") {
			title = marks.ReplaceAllString(strings.ToLower(strings.TrimSpace(title)), "")
			names = append(names, strings.ReplaceAll(title, " ", "-"))
		}
	}
	return names
}

var posted = regexp.MustCompile(`(?s)-d '(\{.*?\})'`)

// Ensure what the documents tell people to ask can be asked.
func TestSnippets(t *testing.T) {
	s, err := gqlparser.LoadSchema(&gql.Source{Name: "schema", Input: schema.SDL()})
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, name := range mustDocuments(t) {
		for _, f := range fences.FindAllStringSubmatch(mustRead(t, filepath.Join(root, name)), -1) {
			var queries []string
			switch f[1] {
			case "graphql":
				queries = append(queries, f[2])
			case "sh":
				for _, p := range posted.FindAllStringSubmatch(f[2], -1) {
					var body struct{ Query string }
					if err := json.Unmarshal([]byte(p[1]), &body); err != nil {
						t.Errorf("%s: a body that is no JSON: %v\n%s", name, err, p[1])
						continue
					}
					queries = append(queries, body.Query)
				}
			}
			for _, q := range queries {
				n++
				if _, errs := gqlparser.LoadQueryWithRules(s, q, nil); len(errs) > 0 {
					t.Errorf("%s: %v\n%s", name, errs, q)
				}
			}
		}
	}
	if n == 0 {
		t.Error("no snippet was found: this test looks in the wrong place")
	}
}

// mustDocuments is every Markdown file of ours, by its path in the repository.
func mustDocuments(t *testing.T) (names []string) {
	t.Helper()
	for _, pattern := range []string{"*.md", "docs/*.md", "docs/adr/*.md"} {
		found, err := fs.Glob(os.DirFS(root), pattern)
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, found...)
	}
	return names
}

func mustRead(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

type goFile struct {
	name   string
	parsed *ast.File
}

// mustGoFiles is every Go file of the repository but the generated ones.
func mustGoFiles(t *testing.T) (files []goFile) {
	t.Helper()
	set := token.NewFileSet()
	err := fs.WalkDir(os.DirFS(root), ".", func(name string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if e.IsDir() {
			if base := e.Name(); name != "." && (base[0] == '.' || base == "node_modules" || base == "testdata" || name == "graph") {
				return fs.SkipDir
			}
			return nil
		}
		if path.Ext(name) != ".go" {
			return nil
		}
		parsed, err := parser.ParseFile(set, filepath.Join(root, name), nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		files = append(files, goFile{name, parsed})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}
