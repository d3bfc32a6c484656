package imagefile

import (
	"compress/lzw"
	"context"
	"io"
)

// Sizes of parts of a GIF, in bytes.
const (
	gifHead, gifFrame = 13, 10
	// The least and the most bits of a code for a pixel.
	leastBits, mostBits = 2, 8
)

// blocks is what is left of a GIF.
type blocks struct {
	rest []byte
	lzw  *lzw.Reader // unpacks one frame after the other; nil before the first
}

// take is the next n bytes; nil when there are not so many.
func (b *blocks) take(n int) []byte {
	if n > len(b.rest) {
		return nil
	}
	taken := b.rest[:n:n]
	b.rest = b.rest[n:]
	return taken
}

// skip passes over a series of blocks.
func (b *blocks) skip() bool {
	for {
		n := b.take(1)
		switch {
		case n == nil:
			return false
		case n[0] == 0:
			return true
		case b.take(int(n[0])) == nil:
			return false
		}
	}
}

// examineGIF unpacks each frame, to nowhere.
func examineGIF(ctx context.Context, data []byte, most Limits) (Info, error) {
	info, err := header(data, GIF, most)
	if err != nil {
		return Info{}, err
	}
	info.Memory = 2 * info.Width * info.Height // rows may come in another order
	b := &blocks{rest: data}
	head := b.take(gifHead)
	if head == nil || !b.table(head[10]) {
		return Info{}, ErrBroken
	}
	pixels, frames := 0, 0
	for {
		kind := b.take(1)
		switch {
		case kind == nil:
			return Info{}, ErrBroken
		case kind[0] == 0x3b && frames > 0:
			return info, nil
		case kind[0] == 0x21:
			if b.take(1) == nil || !b.skip() {
				return Info{}, ErrBroken
			}
		case kind[0] == 0x2c:
			if frames++; frames > most.Frames {
				return Info{}, ErrFrames
			}
			n, err := b.frame(ctx, info, most.FramePixels-pixels)
			if err != nil {
				return Info{}, err
			}
			pixels += n
		default:
			return Info{}, ErrBroken
		}
	}
}

// table passes over a table of colours, if the flags say that one follows.
func (b *blocks) table(flags byte) bool {
	return flags&0x80 == 0 || b.take(3<<(1+flags&7)) != nil
}

// frame unpacks a frame of at most so many pixels, and answers how many it has.
func (b *blocks) frame(ctx context.Context, in Info, room int) (pixels int, err error) {
	about := b.take(gifFrame - 1)
	if about == nil {
		return 0, ErrBroken
	}
	width, height := le16(about[4:]), le16(about[6:])
	if le16(about)+width > in.Width || le16(about[2:])+height > in.Height || width == 0 || height == 0 {
		return 0, ErrBroken
	}
	if pixels = width * height; pixels > room {
		return 0, ErrFramePixels
	}
	if !b.table(about[8]) {
		return 0, ErrBroken
	}
	bits := b.take(1)
	if bits == nil || bits[0] < leastBits || bits[0] > mostBits {
		return 0, ErrBroken
	}
	if b.lzw == nil {
		b.lzw = new(lzw.Reader)
	}
	b.lzw.Reset(&stream{series: &blocks{rest: b.rest}}, lzw.LSB, int(bits[0]))
	n, err := io.CopyN(io.Discard, whileWanted{ctx, b.lzw}, int64(pixels))
	if err != nil || n != int64(pixels) || !b.skip() {
		return 0, ErrBroken
	}
	return pixels, nil
}

// stream is the bytes of a series of blocks, without their lengths.
type stream struct {
	series *blocks
	block  []byte
	over   bool
}

// ReadByte implements io.ByteReader, which the unpacker asks for: it reads no byte more than it needs.
func (s *stream) ReadByte() (byte, error) {
	for len(s.block) == 0 {
		if s.over {
			return 0, io.EOF
		}
		n := s.series.take(1)
		if n == nil {
			return 0, ErrBroken
		}
		if s.over = n[0] == 0; s.over {
			return 0, io.EOF
		}
		if s.block = s.series.take(int(n[0])); s.block == nil {
			return 0, ErrBroken
		}
	}
	next := s.block[0]
	s.block = s.block[1:]
	return next, nil
}

// Read implements io.Reader.
func (s *stream) Read(to []byte) (int, error) {
	if len(to) == 0 {
		return 0, nil
	}
	next, err := s.ReadByte()
	if err != nil {
		return 0, err
	}
	to[0] = next
	return 1, nil
}
