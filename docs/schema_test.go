package docs_test

import (
	"os"
	"path/filepath"
	"testing"

	"clientele/schema"
)

// Ensure schema.graphql is the schema as it is printed, for the tools of front ends that read a file.
func TestPublishedSchema(t *testing.T) {
	file := filepath.Join(root, "schema.graphql")
	if *update {
		if err := os.WriteFile(file, []byte(schema.Printed()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(file); err != nil || string(got) != schema.Printed() {
		t.Errorf("schema.graphql is not what schema/*.graphql say now (%v); go test ./docs -update writes it", err)
	}
}
