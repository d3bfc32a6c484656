package csvfile

import (
	"encoding/csv"
	"slices"
	"strings"
	"testing"
)

// Ensure a text that a spreadsheet program may take for a formula is guarded, any other is not, and each comes back.
func TestGuarded(t *testing.T) {
	for text, want := range map[string]string{
		"": "", "plain": "plain", "'quoted'": "'quoted'", "'": "'", "''": "''", "1+1": "1+1", "o-1": "o-1", "=1+1": "'=1+1", "+86": "'+86", "-": "'-", "@SUM(A1)": "'@SUM(A1)",
		"\t=1": "'\t=1", "\r": "'\r", "＝1": "'＝1", "＋": "'＋", "－x": "'－x", "＠x": "'＠x", "'=1": "''=1", "''=1": "'''=1",
	} {
		got := Guarded(text)
		if got != want {
			t.Errorf("%q is guarded as %q, want %q", text, got, want)
		}
		if back := Unguarded(got); back != text {
			t.Errorf("%q comes back as %q", text, back)
		}
	}
	for cell, want := range map[string]string{"=1": "=1", "'x": "'x", "'": "'", "'=": "=", "''": "''"} {
		if got := Unguarded(cell); got != want {
			t.Errorf("the cell %q is %q, want %q", cell, got, want)
		}
	}
}

// Ensure what is written is read again, whatever it is, and that no cell begins like a formula.
func FuzzLine(f *testing.F) {
	for _, s := range []string{"", "a", "=1", "'=1", `"`, "a,b", " a ", "＝", `\.`, "王"} {
		f.Add(s, "x")
		f.Add("x", s)
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		a, b = strings.ToValidUTF8(a, ""), strings.ToValidUTF8(b, "")
		if a == "" && b == "" || strings.Contains(a+b, "\r") || len(a)+len(b) > 200 {
			return
		}
		line := Line([]string{a, b}) + "\r\n"
		cells, err := csv.NewReader(strings.NewReader(line)).Read()
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range cells {
			if isFormula(c) {
				t.Errorf("a cell of %q begins like a formula", line)
			}
		}
		r := Reader{Encoding: UTF8, Longest: 1000}
		fields, size, err := r.Read([]byte(line), false, true)
		if err != nil || size != len(line) {
			t.Fatalf("%q: %d bytes, %v", line, size, err)
		}
		for i := range fields {
			fields[i] = Unguarded(fields[i])
		}
		if !slices.Equal(fields, []string{a, b}) {
			t.Errorf("%q comes back as %q", []string{a, b}, fields)
		}
	})
}
