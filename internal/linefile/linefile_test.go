package linefile_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"clientele/internal/linefile"
)

const longest = 20

// lines is what a file's records are when it is read in windows of some size: "!" for one that is too long.
func lines(t testing.TB, file string, window int) (all []string) {
	t.Helper()
	var r linefile.Reader
	for at := 0; at < len(file); {
		end := min(at+window, len(file))
		line, size, tooLong := r.Read([]byte(file[at:end]), longest, end == len(file))
		if size == 0 {
			t.Fatalf("nothing is read of %q at %d", file, at)
		}
		at += size
		if tooLong {
			all = append(all, "!")
		} else if line != nil {
			all = append(all, string(line))
		}
		// Another process goes on.
		text, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		r = linefile.Reader{}
		if err := json.Unmarshal(text, &r); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// counted is how many records a census counts that gets a file in parts of some size.
func counted(file string, part int) int64 {
	var c linefile.Census
	for at := 0; at < len(file); at += part {
		c.Add([]byte(file[at:min(at+part, len(file))]))
	}
	return c.End()
}

// Ensure lines are read whatever ends them, blank ones left out, a long one told once; and that a census counts as many.
func TestLines(t *testing.T) {
	long := strings.Repeat("x", longest)
	for name, tt := range map[string]struct {
		file string
		want []string
	}{
		"empty":                    {"", nil},
		"one without an end":       {"a", []string{"a"}},
		"one":                      {"a\n", []string{"a"}},
		"carriage returns":         {"a\r\nb\r\n", []string{"a", "b"}},
		"blank lines":              {"\n \t\r\n\na\n\n\nb\n\n", []string{"a", "b"}},
		"a byte order mark":        {"\uFEFFa\n\uFEFFb\n", []string{"a", "\uFEFFb"}},
		"as long as may be":        {long + "\n" + long, []string{long, long}},
		"too long":                 {"a\n" + long + "x\nb\n", []string{"a", "!", "b"}},
		"much too long":            {strings.Repeat(long, 9) + "\nb\n" + strings.Repeat(long, 9), []string{"!", "b", "!"}},
		"white space, then a line": {strings.Repeat(" ", 50) + "a\n" + strings.Repeat(" ", 15) + long + "\nb", []string{"a", long, "b"}},
		"white space alone":        {strings.Repeat(" ", 100), nil},
		"a line, then white space": {"a" + strings.Repeat(" ", 50) + "\nb", []string{"!", "b"}},
		"too long, then end":       {"a\n" + long + "xyz", []string{"a", "!"}},
	} {
		t.Run(name, func(t *testing.T) {
			for _, window := range []int{2*longest + 2, longest + 1, 1000} {
				if got := lines(t, tt.file, window); !slices.Equal(got, tt.want) {
					t.Errorf("window %d: %q, want %q", window, got, tt.want)
				}
			}
			for _, part := range []int{1, 3, 1000} {
				if got := counted(tt.file, part); got != int64(len(tt.want)) {
					t.Errorf("parts of %d: %d records, want %d", part, got, len(tt.want))
				}
			}
		})
	}
}

// Ensure however a file is cut, it has the same lines, none is lost, and the census counts them.
func FuzzLines(f *testing.F) {
	f.Add("a\nb\r\n\n c", 30)
	f.Add("\uFEFF"+strings.Repeat("x", 100)+"\n1\n", 22)
	f.Fuzz(func(t *testing.T, file string, window int) {
		// Any window that a line fits in; a mark is one at the beginning of a window alone where that begins the file.
		window = longest + 1 + (window & (1<<10 - 1))
		file = strings.ReplaceAll(file[:min(len(file), 1<<12)], "\uFEFF", "")
		whole, cut := lines(t, file, max(len(file), 1)), lines(t, file, window)
		if !slices.Equal(whole, cut) {
			t.Fatalf("%q in one: %q, in windows of %d: %q", file, whole, window, cut)
		}
		if n := counted(file, 7); n != int64(len(whole)) {
			t.Fatalf("%q has %d records, the census counts %d", file, len(whole), n)
		}
	})
}
