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

	"github.com/99designs/gqlgen/api"
	"github.com/99designs/gqlgen/codegen"
	"github.com/99designs/gqlgen/codegen/config"
)

// inTurn makes the fields of objects wait for each other. Root fields of a query still run side by
// side: each reads for itself.
type inTurn struct{}

// Name implements plugin.Plugin.
func (inTurn) Name() string { return "inturn" }

// GenerateCode implements plugin.CodeGenerator: it changes what will be written.
func (inTurn) GenerateCode(data *codegen.Data) error {
	for _, o := range data.Objects {
		o.DisableConcurrency = o.DisableConcurrency || !o.Root
	}
	return nil
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
	if err := api.Generate(cfg, api.AddPlugin(inTurn{})); err != nil {
		return err
	}
	files, err := filepath.Glob(filepath.Join(cfg.Exec.Dir(), "*.generated.go"))
	if err != nil {
		return err
	}
	found := make([]int, len(edits))
	for _, file := range files {
		if err := edit(file, found); err != nil {
			return err
		}
	}
	for i, n := range found {
		if n == 0 {
			err = errors.Join(err, fmt.Errorf("the generated code has nowhere: %s", edits[i].from))
		}
	}
	return err
}

// edit edits one file and counts what it found.
func edit(file string, found []int) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	for i, e := range edits {
		if e.notRoot && filepath.Base(file) == rootFile {
			continue
		}
		found[i] += bytes.Count(text, []byte(e.from))
		text = bytes.ReplaceAll(text, []byte(e.from), []byte(e.to))
	}
	for _, im := range imports {
		if !bytes.Contains(text, []byte(im.use)) {
			text = bytes.Replace(text, []byte(im.line), nil, 1)
		}
	}
	return os.WriteFile(file, text, 0o644) //nolint:gosec // source code is for everybody.
}
