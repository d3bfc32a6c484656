// Command gqlgen writes graph/ and new resolvers from schema/, as gqlgen.yml says: `go tool gqlgen`,
// by `make generate`. It is gqlgen with decisions of ours (ADR 0019): what a page shows is read
// before its items are resolved, so the fields of an object, and the items of a list, are resolved
// one after the other, where gqlgen would make a goroutine for each; and there is no @defer.
package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"

	"github.com/99designs/gqlgen/api"
	"github.com/99designs/gqlgen/codegen"
	"github.com/99designs/gqlgen/codegen/config"
	"github.com/vektah/gqlparser/v2/ast"
)

// inTurn makes the fields of objects wait for each other. Root fields of a query still run side by
// side: each reads for itself.
type inTurn struct {
	// plain are the functions of fields that are nothing but a value of their object.
	plain map[string]bool
}

// Name implements plugin.Plugin.
func (inTurn) Name() string { return "inturn" }

// GenerateCode implements plugin.CodeGenerator: it changes what will be written, and notes what is
// edited after it.
func (p inTurn) GenerateCode(data *codegen.Data) error { //nolint:unparam // as the interface has it.
	for _, o := range data.Objects {
		o.DisableConcurrency = o.DisableConcurrency || !o.Root
		for _, f := range o.Fields {
			if !o.Root && isPlain(f) {
				p.plain["_"+o.Name+"_"+f.Name] = true
			}
		}
	}
	return nil
}

// isPlain reports whether a field is a scalar or an enum that its object always has: nothing is
// asked for it, and it can neither fail nor be missing.
func isPlain(f *codegen.Field) bool {
	t := f.TypeReference
	isLeaf := t.Definition.Kind == ast.Scalar || t.Definition.Kind == ast.Enum
	return isLeaf && !f.IsResolver && !f.MethodHasContext && len(f.Args) == 0 && !f.HasDirectives() && !t.IsPtr() && !t.IsSlice()
}

// plainField is the function of a field as gqlgen writes it: the object's value, then how it is
// written, in the field's own context, with what a resolver might do wrong in mind.
var plainField = regexp.MustCompile(`(func (_\w+)\(ctx context\.Context, ec \*executionContext, field graphql\.CollectedField, obj [^)]+\) )\(ret graphql\.Marshaler\) \{
\treturn graphql\.ResolveField\(
\t\tctx,
\t\tec\.OperationContext,
\t\tfield,
\t\tfunc\([^\n]+
\t\t\treturn fieldContext_[^\n]+
\t\t\},
\t\tfunc\(ctx context\.Context\) \(any, error\) \{
\t\t\treturn (obj\.[^\n]+), nil
\t\t\},
\t\tnil,
\t\tfunc\([^\n]+
\t\t\treturn ([^\s(]+)\(ctx, ec, selections, v\)
\t\t\},
\t\ttrue,
\t\t\w+,
\t\)
\}
`)

// writePlain makes of those functions what is left when nothing can go wrong.
func (p inTurn) writePlain(text []byte) ([]byte, int) {
	n := 0
	return plainField.ReplaceAllFunc(text, func(all []byte) []byte {
		m := plainField.FindSubmatch(all)
		if !p.plain[string(m[2])] {
			return all
		}
		n++
		return fmt.Appendf(nil, "%sgraphql.Marshaler {\n\treturn %s(ctx, ec, field.Selections, %s)\n}\n", m[1], m[4], m[3])
	}), n
}

// rootFile has the root objects, whose fields are not resolved in turn.
const rootFile = "root.generated.go"

// edits change what gqlgen has no setting for, in the code as it was written. An edit that finds
// nothing is an error: gqlgen writes something else now.
var edits = []struct {
	from, to string
	notRoot  bool // the root file stays as it is
}{
	{from: "graphql.MarshalSliceConcurrently(ctx, len(v), 0, false, ", to: "marshalSlice(ctx, len(v), "},
	{from: "graphql.BuildUnmarshalerMap(", to: "inputMap("},
	{from: "\tout := graphql.NewFieldSet(fields)\n", to: "\tout := newObject(fields)\n", notRoot: true},
	{from: "\tout.Dispatch(ctx)\n", notRoot: true},
	// The transport strips @defer, so that these are empty, for each object anew.
	{from: "\tdeferredFieldSet := graphql.NewFieldSet(nil)\n\tdeferLabelToView := make(map[string]*graphql.FieldSetView)\n"},
	{from: `
	atomic.AddInt32(&ec.Deferred, int32(min(len(deferLabelToView), math.MaxInt32)))

	ec.ProcessDeferredGroup(graphql.DeferredGroup{
		Defers:   deferLabelToView,
		Path:     graphql.GetPath(ctx),
		FieldSet: deferredFieldSet,
		Context:  ctx,
	})
`},
}

// imports are those that edited code may no longer need.
var imports = []struct{ line, use string }{
	{"\t\"math\"\n", "math."},
	{"\t\"sync/atomic\"\n", "atomic."},
	{"\t\"clientele/internal/relay\"\n", "relay."},
	{"\t\"clientele/models\"\n", "models."},
}

func main() {
	if err := generate(); err != nil {
		fmt.Fprintln(os.Stderr, "gqlgen:", err)
		os.Exit(1)
	}
}

func generate() error {
	cfg, err := config.LoadConfigFromDefaultLocations()
	if err != nil {
		return err
	}
	turns := inTurn{plain: map[string]bool{}}
	if err := api.Generate(cfg, api.AddPlugin(turns)); err != nil {
		return err
	}
	files, err := filepath.Glob(filepath.Join(cfg.Exec.Dir(), "*.generated.go"))
	if err != nil {
		return err
	}
	found, plain := make([]int, len(edits)), 0
	for _, file := range files {
		n, err := turns.edit(file, found)
		if err != nil {
			return err
		}
		plain += n
	}
	if plain != len(turns.plain) {
		err = fmt.Errorf("%d fields are nothing but a value, and %d functions of theirs were found", len(turns.plain), plain)
	}
	for i, n := range found {
		if n == 0 {
			err = errors.Join(err, fmt.Errorf("the generated code has nowhere: %s", edits[i].from))
		}
	}
	return err
}

// edit edits one file, counts what it found, and answers how many plain fields it wrote.
func (p inTurn) edit(file string, found []int) (int, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	for i, e := range edits {
		if e.notRoot && filepath.Base(file) == rootFile {
			continue
		}
		found[i] += bytes.Count(text, []byte(e.from))
		text = bytes.ReplaceAll(text, []byte(e.from), []byte(e.to))
	}
	text, plain := p.writePlain(text)
	for _, im := range imports {
		if !bytes.Contains(text, []byte(im.use)) {
			text = bytes.Replace(text, []byte(im.line), nil, 1)
		}
	}
	return plain, os.WriteFile(file, text, 0o644) //nolint:gosec // source code is for everybody.
}
