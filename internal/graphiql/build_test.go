package graphiql_test

import (
	"os"
	"path/filepath"
	"testing"

	"clientele/internal/testkit"
)

// Ensure dist is what web builds to with the packages of its lock file, byte for byte, and also in another folder than it was built in.
func TestDistIsCurrent(t *testing.T) {
	n := testkit.NewNPM(t, ".", "build.sh")
	for _, name := range []string{"web", "dist"} {
		copyTree(t, filepath.Join(n.Folder, name), name)
	}
	t.Logf("%s", n.Run("sh", "build.sh", "--check"))
}

// copyTree copies what is committed of a folder: packages that a developer has installed are not.
func copyTree(tb testing.TB, to, from string) {
	tb.Helper()
	entries, err := os.ReadDir(from)
	if err != nil {
		tb.Fatal(err)
	}
	if err := os.MkdirAll(to, 0o750); err != nil {
		tb.Fatal(err)
	}
	for _, e := range entries {
		source, target := filepath.Join(from, e.Name()), filepath.Join(to, e.Name())
		if e.IsDir() {
			if e.Name() != "node_modules" {
				copyTree(tb, target, source)
			}
			continue
		}
		text, err := os.ReadFile(source)
		if err != nil {
			tb.Fatal(err)
		}
		if err := os.WriteFile(target, text, 0o600); err != nil {
			tb.Fatal(err)
		}
	}
}
