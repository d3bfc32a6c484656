package store

import (
	"context"
	"database/sql"
	stddriver "database/sql/driver"
	"errors"
	"fmt"
	"net"
	"strings"

	driver "github.com/go-sql-driver/mysql"
	"github.com/ncruces/go-sqlite3"
	"gorm.io/gorm"
)

// What the database refused, told apart by number and never by text.
var (
	// ErrNotFound: no such row.
	ErrNotFound = errors.New("no such row")
	// ErrDuplicate: a unique key is taken.
	ErrDuplicate = errors.New("a unique key is taken")
	// ErrCheck: a CHECK constraint holds, e.g. the most customers of one advisor.
	ErrCheck = errors.New("a check constraint holds")
	// errMeanwhile: what was not there when the transaction looked has been written by another since. Run
	// again, it finds it.
	errMeanwhile = errors.New("another transaction wrote it meanwhile")
	// ErrUnknownOutcome: the connection was lost at COMMIT, so nobody knows whether the
	// transaction happened. It is never run again by itself; an idempotency key tells.
	ErrUnknownOutcome = errors.New("the connection was lost at commit: the outcome is not known")
)

// The numbers of MySQL and MariaDB.
const (
	myDuplicate  = 1062
	myDeadlock   = 1213
	myLockWait   = 1205
	myRowChanged = 1020 // MariaDB: record has changed since last read
	myCheck      = 3819
	mariaCheck   = 4025
	myNoThread   = 1094 // KILL of a connection that is not there
	// A statement that was ended: by somebody's KILL QUERY, or because its time was over on MariaDB and on MySQL.
	myInterrupted  = 1317
	mariaStatement = 1969
	myStatement    = 3024
)

// translate turns a driver's error into one of this package's where it has one.
func translate(err error) error {
	if err == nil || errors.Is(err, ErrNotFound) || errors.Is(err, ErrDuplicate) || errors.Is(err, ErrCheck) {
		return err
	}
	if errors.Is(err, gorm.ErrRecordNotFound) || errors.Is(err, sql.ErrNoRows) {
		return ErrNotFound
	}
	var my *driver.MySQLError
	if errors.As(err, &my) {
		switch my.Number {
		case myDuplicate:
			return errors.Join(ErrDuplicate, err)
		case myCheck, mariaCheck:
			return errors.Join(ErrCheck, err)
		case mariaStatement, myStatement:
			return errors.Join(context.DeadlineExceeded, err)
		case myInterrupted:
			return errors.Join(context.Canceled, err)
		}
		return err
	}
	switch {
	case errors.Is(err, sqlite3.CONSTRAINT_UNIQUE), errors.Is(err, sqlite3.CONSTRAINT_PRIMARYKEY):
		return errors.Join(ErrDuplicate, err)
	case errors.Is(err, sqlite3.CONSTRAINT_CHECK):
		return errors.Join(ErrCheck, err)
	case errors.Is(err, sqlite3.INTERRUPT): // the engine's word for a context that ended
		return errors.Join(context.Canceled, err)
	}
	return err
}

// IfMeanwhile is the error of writing what was not there a moment ago: a key that is taken makes the
// transaction run again.
func IfMeanwhile(err error) error {
	if errors.Is(err, ErrDuplicate) {
		return errors.Join(errMeanwhile, err)
	}
	return err
}

// passing reports whether the same transaction may succeed when it runs again: the engine
// undid it because of others.
func passing(err error) bool {
	if errors.Is(err, errMeanwhile) {
		return true
	}
	var my *driver.MySQLError
	if errors.As(err, &my) {
		return my.Number == myDeadlock || my.Number == myLockWait || my.Number == myRowChanged
	}
	return errors.Is(err, sqlite3.BUSY)
}

// Describe is an error as a log may hold it: what a database says in it stands there by its number, since
// such a text quotes values.
func Describe(err error) string {
	text := err.Error()
	for _, part := range tree(err, nil) {
		switch part := part.(type) { //nolint:errorlint // each error of the tree is looked at by itself.
		case *driver.MySQLError:
			text = strings.ReplaceAll(text, part.Error(), fmt.Sprintf("mysql error %d", part.Number))
		case *sqlite3.Error:
			text = strings.ReplaceAll(text, part.Error(), fmt.Sprintf("sqlite error %d", part.ExtendedCode()))
		}
	}
	return text
}

// tree is an error behind those that it wraps, each in turn behind its own.
func tree(err error, all []error) []error {
	switch of := err.(type) { //nolint:errorlint // it walks the tree itself.
	case nil:
		return all
	case interface{ Unwrap() error }:
		all = tree(of.Unwrap(), all)
	case interface{ Unwrap() []error }:
		for _, part := range of.Unwrap() {
			all = tree(part, all)
		}
	}
	return append(all, err)
}

// Unreachable reports whether the database could not be asked: the same may succeed later.
func Unreachable(err error) bool {
	var network net.Error
	return errors.Is(err, stddriver.ErrBadConn) || errors.Is(err, driver.ErrInvalidConn) || errors.As(err, &network)
}

// lost reports whether the connection broke.
func lost(err error) bool {
	return errors.Is(err, stddriver.ErrBadConn) || errors.Is(err, driver.ErrInvalidConn) ||
		errors.Is(err, sql.ErrConnDone) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)
}
