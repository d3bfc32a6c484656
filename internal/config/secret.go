package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/go-sql-driver/mysql"
)

const redacted = "[redacted]"

// Secret is one entry ID=VALUE or ID=@FILE. However it is printed, logged or marshalled, it does
// not show: not even its id, which is a part of the secret when somebody forgot the id. What it
// holds is string(s), for those who must.
type Secret string

// Format implements fmt.Formatter for every verb.
func (s Secret) Format(f fmt.State, _ rune) {
	_, _ = io.WriteString(f, redacted)
}

// LogValue implements slog.LogValuer.
func (s Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText implements encoding.TextMarshaler; JSON and YAML use it.
func (s Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// secretFileBytes bounds what is read of a secret's file, in bytes; keys in PEM are below 2 KiB.
const secretFileBytes = 64 << 10

// split takes an entry apart and reads its file, without white space at its ends. Errors hold
// no part of the entry, a file's name neither.
func (s Secret) split() (id string, value []byte, err error) {
	id, text, found := strings.Cut(string(s), "=")
	if !found || id == "" || text == "" {
		return "", nil, errors.New("it is not ID=VALUE or ID=@FILE")
	}
	path, isFile := strings.CutPrefix(text, "@")
	if !isFile {
		return id, []byte(text), nil
	}
	file, err := os.Open(path)
	if err != nil {
		return "", nil, fileError(err)
	}
	value, err = io.ReadAll(io.LimitReader(file, secretFileBytes+1))
	// A file that was only read has nothing to lose at Close.
	_ = file.Close()
	if err != nil {
		return "", nil, fileError(err)
	}
	if len(value) > secretFileBytes {
		return "", nil, errors.New("its file is too long")
	}
	return id, bytes.TrimSpace(value), nil
}

// fileError is err without the path, which is part of the entry.
func fileError(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		err = p.Err
	}
	return fmt.Errorf("its file cannot be read: %w", err)
}

const sqlitePrefix = "sqlite:"

// Engine is a kind of database.
type Engine string

// The engines. MariaDB is MySQL here; what differs is found out when it is opened.
const (
	SQLite Engine = "sqlite"
	MySQL  Engine = "mysql"
)

// DSN names a database: sqlite:PATH or a name of the Go MySQL driver. It prints without the
// password; string(d) is the whole.
type DSN string

// Database is what a DSN says.
type Database struct {
	Engine Engine
	// Path is the file of SQLite, else empty.
	Path string
	// DSN is the name for the MySQL driver, password and all, else empty.
	DSN DSN
}

// Parse takes d apart; without a path SQLite's is clientele.db in the folder data. Errors hold
// no part of d.
func (d DSN) Parse(data string) (Database, error) {
	if path, ok := strings.CutPrefix(string(d), sqlitePrefix); ok {
		if path == "" {
			path = filepath.Join(data, "clientele.db")
		}
		if strings.ContainsAny(path, "?#\x00") {
			// The driver would read them as parameters.
			return Database{}, errors.New("the path of sqlite:PATH has a ? or #")
		}
		return Database{Engine: SQLite, Path: path}, nil
	}
	c, err := mysql.ParseDSN(string(d))
	if err != nil || c.DBName == "" || c.User == "" {
		return Database{}, errors.New("it is neither sqlite:PATH nor USER:PASSWORD@tcp(HOST:PORT)/DATABASE")
	}
	return Database{Engine: MySQL, DSN: d}, nil
}

// Database is what the settings say of the database. It fails as DSN.Parse does.
func (s *Storage) Database() (Database, error) { return s.DB.Parse(s.Data) }

// String is d without user and password: what follows the last "@", or all of a SQLite name.
func (d DSN) String() string {
	if d == "" || strings.HasPrefix(string(d), sqlitePrefix) {
		return string(d)
	}
	i := strings.LastIndexByte(string(d), '@')
	if i < 0 {
		return redacted
	}
	return redacted + string(d[i:])
}

// Format implements fmt.Formatter for every verb, as String.
func (d DSN) Format(f fmt.State, _ rune) {
	_, _ = io.WriteString(f, d.String())
}

// LogValue implements slog.LogValuer, as String.
func (d DSN) LogValue() slog.Value { return slog.StringValue(d.String()) }

// MarshalText implements encoding.TextMarshaler, as String; JSON and YAML use it.
func (d DSN) MarshalText() ([]byte, error) { return []byte(d.String()), nil }
