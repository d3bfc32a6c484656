package models

import (
	"database/sql/driver"
	"strings"
)

// CustomerField is what of a customer the log of changes tells (rule F3).
type CustomerField string

// The fields whose changes are logged.
const (
	FieldTags     CustomerField = "TAGS"
	FieldNickname CustomerField = "NICKNAME"
	FieldInfo     CustomerField = "INFO"
)

// CustomerChange is a row of the log of what was changed of customers (rule F3), written in the
// transaction of the change. What is personal in it stands in Was and Became alone.
type CustomerChange struct {
	AccountID  Key           `gorm:"column:account_id;primaryKey"`
	Key        Key           `gorm:"column:id;primaryKey"`
	CustomerID Key           `gorm:"column:customer_id"`
	Field      CustomerField `gorm:"column:field"`
	// Was and Became are the nickname, or the lines of the info, before and after; of FieldTags the
	// texts of the options that were taken off and put on.
	Was    Lines  `gorm:"column:was"`
	Became Lines  `gorm:"column:became"`
	By     string `gorm:"column:made_by"` // role and subject
	At     Time   `gorm:"column:at"`
}

// TableName names the table for the mapper.
func (CustomerChange) TableName() string { return "customer_change" }

// From is Was for the API.
func (c *CustomerChange) From() []string { return c.Was }

// To is Became for the API.
func (c *CustomerChange) To() []string { return c.Became }

// Lines are texts without line breaks, kept as one with them.
type Lines []string

// LinesOf is a text as Lines: none for an empty one.
func LinesOf(text string) Lines {
	if text == "" {
		return Lines{}
	}
	return strings.Split(text, "\n")
}

// Value implements driver.Valuer.
func (l Lines) Value() (driver.Value, error) { return strings.Join(l, "\n"), nil }

// Scan implements sql.Scanner. What it makes is never nil.
func (l *Lines) Scan(src any) error {
	text, err := scannedText(src, "lines")
	*l = LinesOf(text)
	return err
}
