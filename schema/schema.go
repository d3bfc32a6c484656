// Package schema is the contract: the SDL that clients see, one file per noun. It is embedded
// for those who compare or print it; what the server executes is generated from the same files.
package schema

import (
	"embed"
	"io/fs"
	"strings"
)

//go:embed *.graphql
var files embed.FS

// SDL is the whole schema, each file under a comment that names it, in the order of their names.
func SDL() string {
	var b strings.Builder
	names, _ := fs.Glob(files, "*.graphql") // the pattern is well-formed.
	for _, name := range names {
		text, _ := files.ReadFile(name) // it is embedded.
		b.WriteString("# " + name + "\n\n")
		b.Write(text)
		b.WriteString("\n")
	}
	return b.String()
}
