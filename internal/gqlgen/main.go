// Command gqlgen writes graph/ and new resolvers from schema/, as gqlgen.yml says: `go tool gqlgen`,
// by `make generate`. It is gqlgen with one decision of ours (ADR 0019): the fields of an object
// are resolved one after the other, on the goroutine that resolves the object. What a page shows is
// read before its items are resolved, so that a goroutine for each field would only be made, grow
// its stack and end.
package main

import (
	"fmt"
	"os"

	"github.com/99designs/gqlgen/api"
	"github.com/99designs/gqlgen/codegen"
	"github.com/99designs/gqlgen/codegen/config"
)

// inTurn makes the fields of objects wait for each other. Root fields of a query still run side by
// side: there each reads for itself.
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
	return api.Generate(cfg, api.AddPlugin(inTurn{}))
}
