package models

import (
	"database/sql/driver"
	"strings"
	"unicode/utf8"
)

// Folded is a text as search compares it; empty is stored as NULL.
type Folded string

// Value implements driver.Valuer.
func (f Folded) Value() (driver.Value, error) {
	if f == "" {
		return nil, nil //nolint:nilnil // NULL is what the empty text means.
	}
	return string(f), nil
}

// Scan implements sql.Scanner.
func (f *Folded) Scan(src any) error {
	text, err := scannedText(src, "a folded text")
	*f = Folded(text)
	return err
}

// SearchText is what search finds the customer by: nickname and info, folded, a line each (rule E9).
func (c *Customer) SearchText() Folded {
	if c.Nickname == "" && len(c.Info) == 0 {
		return ""
	}
	lines := make([]string, 0, 1+len(c.Info))
	for _, line := range append([]string{c.Nickname}, c.Info...) {
		if line = Fold(line); line != "" {
			lines = append(lines, line)
		}
	}
	return Folded(strings.Join(lines, "\n"))
}

// CustomerGram says that the text of a customer has two characters beside each other, or one that is not
// ASCII: whoever searches for a text is led to those who have its grams (ADR 0028).
type CustomerGram struct {
	AccountID  Key   `gorm:"column:account_id;primaryKey"`
	Gram       Ident `gorm:"column:gram;primaryKey"`
	CustomerID Key   `gorm:"column:customer_id;primaryKey"`
}

// TableName names the table for the mapper.
func (CustomerGram) TableName() string { return "customer_gram" }

// Grams is the grams of a folded text, each once: its pairs of characters, none across two lines, and its single
// characters but those of ASCII.
func (f Folded) Grams() map[Ident]bool {
	grams := map[Ident]bool{}
	for line := range strings.SplitSeq(string(f), "\n") {
		at, size := 0, 0 // of the character before
		for i, r := range line {
			n := utf8.RuneLen(r)
			if n < 0 {
				n = 1 // a byte that is no UTF-8 is three bytes of U+FFFD; folded texts have none
			}
			if size > 0 {
				grams[Ident(line[at:i+n])] = true
			}
			if r >= utf8.RuneSelf {
				grams[Ident(line[i:i+n])] = true
			}
			at, size = i, n
		}
	}
	return grams
}
