// Package linefile reads files of one record a line, as they come in parts: from any line on, so that one bad line costs that
// line and no other. A place in a file is a number of bytes.
package linefile

import "bytes"

// mark is the byte order mark of UTF-8, which a file may begin with.
const mark = "\uFEFF"

// blank is white space inside a line.
const blank = " \t\r"

// Census is what is known of a file from its bytes so far. The zero Census has seen none. It can be kept as JSON between
// two parts.
type Census struct {
	// Records is how many lines ended, blank ones apart; the one under way is not among them.
	Records int64 `json:"records"`
	// Begun: the line under way has a byte that is no white space.
	Begun bool `json:"begun,omitempty"`
}

// Add counts the next bytes.
func (c *Census) Add(data []byte) {
	for _, b := range data {
		switch b {
		case '\n':
			if c.Begun {
				c.Records++
			}
			c.Begun = false
		case ' ', '\t', '\r':
		default:
			c.Begun = true
		}
	}
}

// End is how many records the file has if nothing more comes.
func (c *Census) End() int64 {
	if c.Begun {
		return c.Records + 1
	}
	return c.Records
}

// Reader reads lines. The zero Reader is at the beginning of a file; kept as JSON it goes on where it was.
type Reader struct {
	// Inside: the line under way was too long; what is left of it is skipped.
	Inside bool `json:"inside,omitempty"`
	// Begun: something was read.
	Begun bool `json:"begun,omitempty"`
}

// Read reads the line at the beginning of data and answers it without its end and the white space around it, and how many
// bytes it takes: 0 when data ends before the line does and is not the last of the file; data of more than longest bytes are never
// answered so. The line is nil when there is no record: it is blank, or the rest of one that was too long. tooLong: the line, from
// its first byte that is no white space on, has more than longest bytes; that is said once.
func (r *Reader) Read(data []byte, longest int, last bool) (line []byte, size int, tooLong bool) {
	if len(data) == 0 {
		return nil, 0, false
	}
	line, size = data, len(data)
	end := bytes.IndexByte(data, '\n')
	if end >= 0 {
		line, size = data[:end], end+1
	}
	ends := end >= 0 || last
	if r.Inside {
		r.Inside = !ends
		return nil, size, false
	}
	if !r.Begun && (ends || len(data) > len(mark)) {
		line = bytes.TrimPrefix(line, []byte(mark))
	}
	line = bytes.TrimLeft(line, blank)
	switch {
	case len(line) > longest:
		r.Begun, r.Inside = true, !ends
		return nil, size, true
	case ends:
		r.Begun = true
		line = bytes.TrimRight(line, blank)
		if len(line) == 0 {
			return nil, size, false
		}
		return line, size, false
	case len(data) > longest:
		r.Begun = true
		return nil, len(data) - len(line), false // white space alone, so that the line begins a window
	}
	return nil, 0, false
}
