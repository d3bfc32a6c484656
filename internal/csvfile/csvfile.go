// Package csvfile reads files of comma-separated values (RFC 4180) as people upload them: in UTF-8, with a byte
// order mark or without, or in GB18030; a part at a time, from any record on; so that one bad
// record costs that record and no other.
//
// The bytes that separate records and fields (line feed, carriage return, comma, quote) are never part of another
// character in either encoding, so records are found before anything is decoded, and a place in a file is a number of bytes.
package csvfile

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"io"
	"unicode/utf8"

	"golang.org/x/text/encoding/simplifiedchinese"
)

// Encoding is how the texts of a file are written.
type Encoding string

// The encodings.
const (
	UTF8    Encoding = "UTF-8"
	GB18030 Encoding = "GB18030"
)

// mark is the byte order mark of UTF-8.
const mark = "\uFEFF"

// Census is what is known of a file from its bytes so far. The zero Census has seen none. It can be
// kept as JSON between two parts.
type Census struct {
	// Records is how many records ended, blank lines apart; the one under way is not among them.
	Records int64 `json:"records"`
	// NotUTF8: some byte is no UTF-8, so the file is GB18030.
	NotUTF8 bool `json:"notUtf8,omitempty"`
	// Tail is the beginning of a character that the next bytes go on with.
	Tail []byte `json:"tail,omitempty"`
	// Quoted: the last byte is inside quotes. Begun: the record under way has a byte.
	Quoted bool `json:"quoted,omitempty"`
	Begun  bool `json:"begun,omitempty"`
}

// Add counts the next bytes.
func (c *Census) Add(data []byte) {
	for _, b := range data {
		switch {
		case b == '"':
			c.Quoted, c.Begun = !c.Quoted, true
		case b == '\n' && !c.Quoted:
			if c.Begun {
				c.Records++
			}
			c.Begun = false
		case b != '\r':
			c.Begun = true
		}
	}
	if c.NotUTF8 {
		return
	}
	text := data
	if len(c.Tail) > 0 {
		text = append(bytes.Clone(c.Tail), data...)
	}
	whole := len(text)
	for cut := 1; cut < utf8.UTFMax && cut <= len(text); cut++ {
		if b := text[len(text)-cut]; utf8.RuneStart(b) {
			if !utf8.FullRune(text[len(text)-cut:]) {
				whole = len(text) - cut
			}
			break
		}
	}
	c.Tail = bytes.Clone(text[whole:])
	c.NotUTF8 = !utf8.Valid(text[:whole])
}

// End is how many records the file has and how it is written, if nothing more comes.
func (c *Census) End() (records int64, e Encoding) {
	records, e = c.Records, UTF8
	if c.Begun {
		records++
	}
	if c.NotUTF8 || len(c.Tail) > 0 {
		e = GB18030
	}
	return records, e
}

// What is wrong with a record.
var (
	// ErrQuotes: a quote stands where none may, or one that was opened is not closed.
	ErrQuotes = errors.New("the quotes do not match")
	// ErrTooLong: it is longer than the reader takes.
	ErrTooLong = errors.New("the line is too long")
	// ErrEncoding: it is not written in the file's encoding.
	ErrEncoding = errors.New("the text is not in the file's encoding")
)

// Reader reads records. It is used by one goroutine.
type Reader struct {
	// Encoding is how the file is written.
	Encoding Encoding
	// Longest is how many bytes a record may have; a longer one is ErrTooLong.
	Longest int
	in      *bufio.Reader
}

// Read reads the record at the beginning of data, which begins with a record of the file, and answers its
// fields in UTF-8 and how many bytes it takes: 0 when data ends before the record does and is not the last of
// the file. Fields are nil for a blank line. first: it is the first of the file, and may begin with a byte
// order mark. Where quotes do not match, size is that of the first line alone, so that a quote that was never closed takes no
// other record with it. A line without an end that is too long is read as several.
func (r *Reader) Read(data []byte, first, last bool) (fields []string, size int, err error) {
	if len(data) == 0 {
		return nil, 0, nil
	}
	if record, size := cut(data, last, r.Longest); size > 0 {
		fields, err := r.fields(record, first)
		if errors.Is(err, ErrQuotes) {
			_, size = line(data)
		}
		return fields, size, err
	}
	if !last && len(data) <= r.Longest {
		return nil, 0, nil
	}
	text, size := line(data)
	if len(text) > r.Longest {
		return nil, size, ErrTooLong
	}
	return nil, size, ErrQuotes
}

// cut finds the end of the first record: the first line end that is not inside quotes. size is 0 when there
// is none within the longest record, unless the file ends there.
func cut(data []byte, last bool, longest int) (record []byte, size int) {
	quoted := false
	for i, b := range data {
		if i > longest {
			return nil, 0
		}
		switch {
		case b == '"':
			quoted = !quoted
		case b == '\n' && !quoted:
			return data[:i], i + 1
		}
	}
	if last && !quoted {
		return data, len(data)
	}
	return nil, 0
}

// line is the first line, whatever its quotes, and its size with the line end; all of data without one.
func line(data []byte) (text []byte, size int) {
	if i := bytes.IndexByte(data, '\n'); i >= 0 {
		return data[:i], i + 1
	}
	return data, len(data)
}

// fields takes a record apart and decodes it.
func (r *Reader) fields(record []byte, first bool) ([]string, error) {
	if first {
		record = bytes.TrimPrefix(record, []byte(mark))
	}
	if r.in == nil {
		r.in = bufio.NewReader(nil)
	}
	r.in.Reset(bytes.NewReader(record))
	in := csv.NewReader(r.in)
	in.FieldsPerRecord = -1
	fields, err := in.Read()
	switch {
	case errors.Is(err, io.EOF):
		return nil, nil
	case err != nil:
		return nil, ErrQuotes
	}
	for i, f := range fields {
		if fields[i], err = r.decode(f); err != nil {
			return nil, err
		}
	}
	return fields, nil
}

func (r *Reader) decode(field string) (string, error) {
	if r.Encoding != GB18030 {
		if !utf8.ValidString(field) {
			return "", ErrEncoding
		}
		return field, nil
	}
	text, err := simplifiedchinese.GB18030.NewDecoder().String(field)
	if err != nil || bytes.ContainsRune([]byte(text), utf8.RuneError) {
		return "", ErrEncoding
	}
	return text, nil
}
