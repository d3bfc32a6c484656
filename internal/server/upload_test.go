package server

import (
	"testing"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2"
)

// Ensure each place of a document that a file stands in is counted, and what only stands in the variables is not (rule X2).
func TestFilesAreCounted(t *testing.T) {
	schema := parsedSchema()
	file := graphql.Upload{}
	for name, tt := range map[string]struct {
		document string
		want     int
	}{
		"in a list":             {`mutation($l: [Upload!]!) { uploadImages(input: {files: $l}) { __typename } }`, 2},
		"in two fields":         {`mutation($l: [Upload!]!) { a: uploadImages(input: {files: $l}) { __typename } b: uploadImages(input: {files: $l}) { __typename } }`, 4},
		"in a fragment":         {`mutation($l: [Upload!]!) { ...f } fragment f on Mutation { uploadImages(input: {files: $l}) { __typename } }`, 2},
		"several times":         {`mutation($o: Upload!) { uploadImages(input: {files: [$o, $o, $o]}) { __typename } }`, 3},
		"in an input":           {`mutation($i: UploadImagesInput!) { uploadImages(input: $i) { __typename } }`, 1},
		"no file in a mutation": {`mutation { deleteImport(input: {importId: "x"}) { __typename } }`, 0},
		"no file in a query":    {`{ viewer { role } __schema { __typename } }`, 0},
	} {
		document, errs := gqlparser.LoadQueryWithRules(schema, tt.document, nil)
		if errs != nil {
			t.Fatalf("%s: %v", name, errs)
		}
		op := &graphql.OperationContext{Operation: document.Operations[0], Variables: map[string]any{
			"l": []any{file, &file}, "o": file, "i": map[string]any{"files": []any{file}},
		}}
		if got := uploadsOf(op); got != tt.want {
			t.Errorf("%s: %d files, want %d", name, got, tt.want)
		}
	}
}
