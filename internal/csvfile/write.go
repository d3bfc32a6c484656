package csvfile

import (
	"encoding/csv"
	"strings"
	"unicode/utf8"
)

// Mark is the byte order mark of UTF-8, by which spreadsheet programs know the encoding.
const Mark = mark

// formulas are the characters that a cell begins with which a spreadsheet program may take for a formula, also in
// their full width.
const formulas = "=+-@\t\r＝＋－＠"

// Guarded is a text as a cell holds it which a spreadsheet program must not take for a formula: with an apostrophe before it
// if it begins like one, whatever apostrophes stand there already. Unguarded takes that one off again.
func Guarded(text string) string {
	if isFormula(strings.TrimLeft(text, "'")) {
		return "'" + text
	}
	return text
}

// Unguarded is the text of a cell that Guarded, or any other text as it is.
func Unguarded(cell string) string {
	if bare, has := strings.CutPrefix(cell, "'"); has && isFormula(strings.TrimLeft(bare, "'")) {
		return bare
	}
	return cell
}

func isFormula(text string) bool {
	first, _ := utf8.DecodeRuneInString(text)
	return text != "" && strings.ContainsRune(formulas, first)
}

// Line is a record as a line of a file in UTF-8, without its end: fields in quotes where that is needed, and guarded. None may hold a
// line feed if a line is what the caller promises.
func Line(fields []string) string {
	var b strings.Builder
	w := csv.NewWriter(&b)
	guarded := make([]string, len(fields))
	for i, f := range fields {
		guarded[i] = Guarded(f)
	}
	_ = w.Write(guarded) // a Builder takes everything.
	w.Flush()
	return strings.TrimSuffix(b.String(), "\n")
}
