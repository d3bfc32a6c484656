package events

import (
	"encoding/base64"
	"encoding/binary"
	"hash/crc32"
	"math"

	"clientele/models"
)

// Cursor is a place in a stream: after the event numbered Seq (0: before the first), in one
// epoch of the log. Clients see it as the opaque text of EncodeCursor.
type Cursor struct {
	Epoch  Epoch
	Stream models.Key
	Seq    int64
}

// The layout of a cursor: version, epoch, stream, number (uvarint), checksum.
const (
	cursorVersion  = 1
	cursorFixed    = 1 + len(Epoch{}) + len(models.Key{})
	cursorChecksum = crc32.Size
	cursorShortest = cursorFixed + 1 + cursorChecksum
	cursorLongest  = cursorFixed + binary.MaxVarintLen64 + cursorChecksum
)

// EncodeCursor writes c as clients keep it: 40 to 52 characters of base64url. The checksum
// finds a cursor that was cut or mistyped; it is no signature, and none is needed: a cursor
// gives no access that its bearer does not have.
func EncodeCursor(c Cursor) string {
	b := make([]byte, 0, cursorLongest)
	b = append(b, cursorVersion)
	b = append(b, c.Epoch[:]...)
	b = append(b, c.Stream[:]...)
	b = binary.AppendUvarint(b, uint64(max(c.Seq, 0))) //nolint:gosec // not negative.
	b = binary.BigEndian.AppendUint32(b, checksum(b))
	return base64.RawURLEncoding.EncodeToString(b)
}

// DecodeCursor reads what EncodeCursor wrote. Anything else, another spelling of the same
// cursor included, is a *models.Error INVALID that names field. Whose stream it is, and whether
// the log can still continue from it, are the caller's and Hub.Open's questions.
func DecodeCursor(s, field string) (Cursor, error) {
	// The length is looked at first: a client may send a megabyte.
	if n := len(s); n < base64.RawURLEncoding.EncodedLen(cursorShortest) || n > base64.RawURLEncoding.EncodedLen(cursorLongest) {
		return Cursor{}, models.Invalid(field, "not a cursor")
	}
	b, err := base64.RawURLEncoding.DecodeString(s)
	// The decoder skips line ends and ignores the last bits; writing it again does not.
	if err != nil || len(b) < cursorShortest || base64.RawURLEncoding.EncodeToString(b) != s {
		return Cursor{}, models.Invalid(field, "not a cursor")
	}
	body, sum := b[:len(b)-cursorChecksum], b[len(b)-cursorChecksum:]
	if binary.BigEndian.Uint32(sum) != checksum(body) {
		return Cursor{}, models.Invalid(field, "the cursor is damaged")
	}
	if body[0] != cursorVersion {
		return Cursor{}, models.Invalid(field, "a cursor of another version")
	}
	seq, n := binary.Uvarint(body[cursorFixed:])
	if n != len(body)-cursorFixed || seq > math.MaxInt64 || n > 1 && body[len(body)-1] == 0 {
		return Cursor{}, models.Invalid(field, "not a cursor")
	}
	c := Cursor{Seq: int64(seq)}
	copy(c.Epoch[:], body[1:])
	copy(c.Stream[:], body[1+len(c.Epoch):])
	return c, nil
}

// Continue reports why what follows c cannot be told: CURSOR_EXPIRED when c is of another epoch than
// the log's, when events behind it are not kept (floor: the number up to which they have been
// deleted), or when it is beyond newest (rule N4).
func (c Cursor) Continue(epoch Epoch, floor, newest int64) *models.Error {
	switch {
	case c.Epoch != epoch:
		return expired("the cursor is from before the event log was restored")
	case c.Seq < floor:
		return expired("the events after the cursor are no longer kept")
	case c.Seq > newest:
		return expired("the cursor is beyond the newest event")
	}
	return nil
}

func checksum(b []byte) uint32 { return crc32.ChecksumIEEE(b) }
