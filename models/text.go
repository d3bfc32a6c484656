package models

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
	"golang.org/x/text/width"
)

// Fold is s as uniqueness and search compare it: compatibility form, one width, no case.
func Fold(s string) string {
	return norm.NFKC.String(cases.Fold().String(width.Fold.String(norm.NFKC.String(s))))
}

// CheckName trims s and checks that it has 1 to most runes of valid UTF-8 without control
// characters. It answers the trimmed name, or INVALID / LIMIT_EXCEEDED that names the field.
func CheckName(s, field string, most int) (string, error) {
	if !utf8.ValidString(s) {
		return "", Invalid(field, "is not valid UTF-8")
	}
	s = strings.TrimSpace(s)
	if s == "" {
		return "", Invalid(field, "is empty")
	}
	if n := utf8.RuneCountInString(s); n > most {
		return "", TooMany(field, most, "has %d characters, at most %d are allowed", n, most)
	}
	if strings.ContainsFunc(s, unicode.IsControl) {
		return "", Invalid(field, "holds a control character")
	}
	return s, nil
}

// CheckText checks a text for a customer: valid UTF-8, not only white space, no NUL, at most
// `most` bytes (rule G1).
func CheckText(s, field string, most int) error {
	switch {
	case len(s) > most:
		return TooMany(field, most, "has %d bytes, at most %d are allowed", len(s), most)
	case !utf8.ValidString(s):
		return Invalid(field, "is not valid UTF-8")
	case strings.TrimSpace(s) == "":
		return Invalid(field, "is empty")
	case strings.ContainsRune(s, 0):
		return Invalid(field, "holds a NUL character")
	}
	return nil
}

// CheckReply is CheckText for a text that is measured in characters.
func CheckReply(s, field string, most int) error {
	if n := utf8.RuneCountInString(s); n > most {
		return TooMany(field, most, "has %d characters, at most %d are allowed", n, most)
	}
	return CheckText(s, field, utf8.UTFMax*most)
}

// CheckIdent checks an identifier from outside: 1 to most bytes of printable ASCII without
// spaces. It answers INVALID that names the field.
func CheckIdent(s, field string, most int) error {
	if s == "" {
		return Invalid(field, "is empty")
	}
	if len(s) > most {
		return TooMany(field, most, "has %d bytes, at most %d are allowed", len(s), most)
	}
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return Invalid(field, "holds a character outside printable ASCII")
		}
	}
	return nil
}
