package events_test

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"math"
	"strings"
	"testing"

	"clientele/events"
	"clientele/models"
)

func TestCursor(t *testing.T) {
	t.Parallel()
	for _, seq := range []int64{0, 1, 127, 128, 1 << 40, math.MaxInt64} {
		c := events.Cursor{Epoch: events.Epoch{1, 2, 3}, Stream: models.NewKey(), Seq: seq}
		s := events.EncodeCursor(c)
		if got, err := events.DecodeCursor(s, "after"); err != nil || got != c {
			t.Errorf("%d: %+v, %v", seq, got, err)
		}
		for n := range len(s) {
			if _, err := events.DecodeCursor(s[:n], "after"); err == nil {
				t.Errorf("%d: cut to %d characters it is still a cursor", seq, n)
			}
		}
	}
}

// forge makes a cursor with a right checksum of whatever is given.
func forge(body []byte) string {
	return base64.RawURLEncoding.EncodeToString(binary.BigEndian.AppendUint32(body, crc32.ChecksumIEEE(body)))
}

func TestDecodeCursorInvalid(t *testing.T) {
	t.Parallel()
	body := func(version byte, seq ...byte) []byte {
		return append(append([]byte{version}, make([]byte, 24)...), seq...)
	}
	good := events.EncodeCursor(events.Cursor{Seq: 300})
	flipped := []byte(good)
	flipped[20] ^= 1
	for name, s := range map[string]string{
		"empty":                "",
		"garbage":              "not a cursor, and long enough to be one!",
		"damaged":              string(flipped),
		"padded":               good + "=",
		"a character more":     good + "A",
		"a line more":          good + "\n",
		"twice":                good + good,
		"over-long":            strings.Repeat("A", 1<<20),
		"another version":      forge(body(2, 1)),
		"no number":            forge(append(body(1), nil...)),
		"an unfinished number": forge(body(1, 0x80)),
		"a number too large":   forge(body(1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1)),
		"a number of 65 bits":  forge(body(1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2)),
		"a longer spelling":    forge(body(1, 0x81, 0)),
		"something behind it":  forge(body(1, 1, 1)),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := events.DecodeCursor(s, "input.after")
			if !errors.Is(err, &models.Error{Code: models.CodeInvalid, Field: "input.after"}) {
				t.Errorf("%v", err)
			}
		})
	}
	if _, err := events.DecodeCursor(forge(body(1, 0xac, 2)), "after"); err != nil {
		t.Errorf("the forgery itself is wrong: %v", err)
	}
}

func FuzzDecodeCursor(f *testing.F) {
	f.Add(events.EncodeCursor(events.Cursor{}))
	f.Add(events.EncodeCursor(events.Cursor{Epoch: events.Epoch{1}, Stream: models.NewKey(), Seq: math.MaxInt64}))
	f.Add("")
	f.Add(strings.Repeat("_", 52))
	f.Fuzz(func(t *testing.T, s string) {
		c, err := events.DecodeCursor(s, "after")
		if err != nil {
			if models.CodeOf(err) != models.CodeInvalid || c != (events.Cursor{}) {
				t.Fatalf("%+v, %v", c, err)
			}
			return
		}
		if c.Seq < 0 || events.EncodeCursor(c) != s {
			t.Fatalf("%q is %+v, which is written %q", s, c, events.EncodeCursor(c))
		}
	})
}
