package imagefile

import (
	"bufio"
	"compress/zlib"
	"context"
	"encoding/binary"
	"hash/crc32"
	"io"
)

const (
	pngHead   = "\x89PNG\r\n\x1a\n"
	ihdrBytes = 13
	// The most that a filter byte at the beginning of a row may be.
	lastFilter = 4
)

// chunks are the parts of a PNG, with what is left of the file.
type chunks struct{ rest []byte }

// next is the next part; its sum is right.
func (c *chunks) next() (kind string, data []byte, err error) {
	const head, sum = 8, 4
	if len(c.rest) < head+sum {
		return "", nil, ErrBroken
	}
	n := binary.BigEndian.Uint32(c.rest)
	if uint64(n) > uint64(len(c.rest)-head-sum) { //nolint:gosec // they are no more than the rest.
		return "", nil, ErrBroken
	}
	end := head + int(n)
	if crc32.ChecksumIEEE(c.rest[4:end]) != binary.BigEndian.Uint32(c.rest[end:]) {
		return "", nil, ErrBroken
	}
	kind, data = string(c.rest[4:head]), c.rest[head:end]
	c.rest = c.rest[end+sum:]
	return kind, data, nil
}

// examinePNG checks the sum of each part, and that what is packed is exactly the pixels, which go nowhere.
func examinePNG(ctx context.Context, data []byte, most Limits) (Info, error) {
	info, err := header(data, PNG, most)
	if err != nil {
		return Info{}, err
	}
	parts := &chunks{data[len(pngHead):]}
	kind, ihdr, err := parts.next()
	if err != nil || kind != "IHDR" || len(ihdr) != ihdrBytes {
		return Info{}, ErrBroken
	}
	packed, err := parts.idat()
	if err != nil {
		return Info{}, err
	}
	depth, isInterlaced := int(ihdr[8]), ihdr[12] == 1
	perPixel := depth * map[byte]int{0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[ihdr[9]]
	info.Memory = info.Width * info.Height * 4 * max(depth/8, 1)
	if isInterlaced {
		info.Memory *= 2 // each pass is a picture of its own
	}
	if !whole(ctx, packed, passes(info.Width, info.Height, isInterlaced), perPixel) {
		return Info{}, ErrBroken
	}
	return info, nil
}

// idat reads the parts up to the end, and answers those of pixels, which must follow each other.
func (c *chunks) idat() (packed packedParts, err error) {
	for over := false; ; {
		kind, data, err := c.next()
		switch {
		case err != nil:
			return nil, err
		case kind == "IEND":
			return packed, nil
		case kind == "IHDR", kind == "IDAT" && over:
			return nil, ErrBroken
		case kind == "IDAT":
			packed = append(packed, data)
		default:
			over = len(packed) > 0
		}
	}
}

// packedParts reads parts one after the other.
type packedParts [][]byte

func (p *packedParts) Read(b []byte) (int, error) {
	for len(*p) > 0 && len((*p)[0]) == 0 {
		*p = (*p)[1:]
	}
	if len(*p) == 0 {
		return 0, io.EOF
	}
	n := copy(b, (*p)[0])
	(*p)[0] = (*p)[0][n:]
	return n, nil
}

// passes are the width and height of what is packed one after the other.
func passes(width, height int, isInterlaced bool) [][2]int {
	if !isInterlaced {
		return [][2]int{{width, height}}
	}
	var all [][2]int
	for _, p := range [][4]int{{0, 0, 8, 8}, {4, 0, 8, 8}, {0, 4, 4, 8}, {2, 0, 4, 4}, {0, 2, 2, 4}, {1, 0, 2, 2}, {0, 1, 1, 2}} {
		w, h := (width-p[0]+p[2]-1)/p[2], (height-p[1]+p[3]-1)/p[3]
		if w > 0 && h > 0 {
			all = append(all, [2]int{w, h})
		}
	}
	return all
}

// whole reports whether what is packed is exactly these rows.
func whole(ctx context.Context, packed packedParts, of [][2]int, perPixel int) bool {
	unpacked, err := zlib.NewReader(&packed)
	if err != nil {
		return false
	}
	rows := bufio.NewReaderSize(whileWanted{ctx, unpacked}, 1<<15)
	for _, pass := range of {
		n := (pass[0]*perPixel + 7) / 8
		for range pass[1] {
			filter, err := rows.ReadByte()
			if err != nil || filter > lastFilter {
				return false
			}
			if _, err := rows.Discard(n); err != nil {
				return false
			}
		}
	}
	_, err = rows.ReadByte() // the sum is checked at the end
	return err == io.EOF     //nolint:errorlint // the sentinel itself; one that is wrapped is another end.
}
