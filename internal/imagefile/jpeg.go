package imagefile

import (
	"bytes"
	"context"
	"image/jpeg"
)

// Markers of a JPEG, the byte behind 0xff.
const (
	markSOI, markEOI, markSOS    = 0xd8, 0xd9, 0xda
	markSOF0, markSOF1, markSOF2 = 0xc0, 0xc1, 0xc2
	markDHT, markJPG, markDAC    = 0xc4, 0xc8, 0xcc
	markAPP14                    = 0xee
	markRST0, markRST7, markTEM  = 0xd0, 0xd7, 0x01
	markSOFFirst, markSOFLast    = 0xc0, 0xcf
	sofBytes, componentBytes     = 6, 3
	precision                    = 8
	blockSide                    = 8
	// mostPasses and mostProgressivePasses bound what a decoder does: how often the scans together go over all pixels. One pass is enough for a
	// baseline JPEG, whose components may come one after the other; the usual script of a progressive one takes five to six.
	mostPasses, mostProgressivePasses = 4, 10
)

// segments is what is left of a JPEG.
type segments struct{ rest []byte }

// marker is the next one, with what belongs to it.
func (s *segments) marker() (mark byte, data []byte, err error) {
	if len(s.rest) < 2 || s.rest[0] != 0xff {
		return 0, nil, ErrBroken
	}
	for len(s.rest) > 1 && s.rest[1] == 0xff {
		s.rest = s.rest[1:] // bytes that fill
	}
	if len(s.rest) < 2 {
		return 0, nil, ErrBroken
	}
	mark, s.rest = s.rest[1], s.rest[2:]
	if mark == markSOI || mark == markEOI || mark == markTEM || mark >= markRST0 && mark <= markRST7 {
		return mark, nil, nil
	}
	if len(s.rest) < 2 {
		return 0, nil, ErrBroken
	}
	n := be16(s.rest)
	if n < 2 || n > len(s.rest) {
		return 0, nil, ErrBroken
	}
	data, s.rest = s.rest[2:n], s.rest[n:]
	return mark, data, nil
}

// scan passes over the pixels of a scan, up to the next marker.
func (s *segments) scan() error {
	for {
		at := bytes.IndexByte(s.rest, 0xff)
		if at < 0 || at+1 >= len(s.rest) {
			return ErrBroken
		}
		next := s.rest[at+1]
		switch {
		case next == 0, next >= markRST0 && next <= markRST7:
			s.rest = s.rest[at+2:]
		case next == 0xff:
			s.rest = s.rest[at+1:]
		default:
			s.rest = s.rest[at:]
			return nil
		}
	}
}

// picture is what a JPEG says of itself before its first scan.
type picture struct {
	info       Info
	components []component
	// units is of how many units, of h*v blocks of each component, it consists.
	units                          int
	isProgressive, isOfOtherColors bool
	work                           int // blocks that its scans go over
}

type component struct {
	id     byte
	blocks int // in a unit
}

// blocks is how many there are of all components.
func (p *picture) blocks() (n int) {
	for _, c := range p.components {
		n += p.units * c.blocks
	}
	return n
}

// scanned counts the work of a scan with this header.
func (p *picture) scanned(head []byte) error {
	if len(head) < 1 || len(head) < 1+2*int(head[0]) || p.components == nil {
		return ErrBroken
	}
	for i := range int(head[0]) {
		for _, c := range p.components {
			if c.id == head[1+2*i] {
				p.work += p.units * c.blocks
			}
		}
	}
	most := mostPasses
	if p.isProgressive {
		most = mostProgressivePasses
	}
	if p.work > most*p.blocks() {
		return ErrWork
	}
	return nil
}

// memory is what a decoder takes of it.
func (p *picture) memory() int {
	samples := blockSide * blockSide * p.blocks()
	n := samples
	if p.isProgressive {
		n += 4 * samples // coefficients, until the last scan
	}
	if p.isOfOtherColors || len(p.components) == 4 {
		n += 4 * p.info.Width * p.info.Height // the same picture once more
	}
	return n
}

// examineJPEG walks through the file, and unpacks it where that takes no more memory than is allowed.
func examineJPEG(ctx context.Context, data []byte, most Limits) (Info, error) {
	s, p := &segments{data}, &picture{}
	isOfAdobe, scans := false, 0
	for {
		mark, body, err := s.marker()
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return Info{}, err
		}
		switch {
		case mark == markEOI && scans > 0:
			p.isOfOtherColors = p.isOfOtherColors || isOfAdobe && len(p.components) == 3
			p.info.Memory = p.memory()
			if p.info.Memory <= most.Memory {
				if _, err := jpeg.Decode(whileWanted{ctx, bytes.NewReader(data)}); err != nil {
					return Info{}, ErrBroken
				}
			}
			return p.info, nil
		case mark == markEOI:
			return Info{}, ErrBroken
		case mark == markAPP14:
			// Without a transform three components are red, green and blue.
			isOfAdobe = isOfAdobe || len(body) >= 12 && bytes.HasPrefix(body, []byte("Adobe")) && body[11] == 0
		case mark == markSOS:
			scans++
			if err := p.scanned(body); err != nil {
				return Info{}, err
			}
			if err := s.scan(); err != nil {
				return Info{}, err
			}
		case mark >= markSOFFirst && mark <= markSOFLast && mark != markDHT && mark != markJPG && mark != markDAC:
			if p.components != nil {
				return Info{}, ErrBroken
			}
			if p, err = frame(mark, body, most); err != nil {
				return Info{}, err
			}
		}
	}
}

// frame is what a JPEG says it is.
func frame(mark byte, body []byte, most Limits) (*picture, error) {
	if mark != markSOF0 && mark != markSOF1 && mark != markSOF2 || len(body) < sofBytes || body[0] != precision {
		return nil, ErrBroken
	}
	info, err := sized(JPEG, be16(body[3:]), be16(body[1:]), most)
	if err != nil {
		return nil, err
	}
	n := int(body[5])
	if len(body) != sofBytes+componentBytes*n || n != 1 && n != 3 && n != 4 {
		return nil, ErrBroken
	}
	p := &picture{info: info, components: make([]component, n), isProgressive: mark == markSOF2}
	ids := ""
	for i := range p.components {
		about := body[sofBytes+componentBytes*i:]
		h, v := int(about[1]>>4), int(about[1]&0xf)
		if h < 1 || h > 4 || v < 1 || v > 4 {
			return nil, ErrBroken
		}
		if n == 1 {
			h, v = 1, 1 // whatever it says: there is no other to compare it with
		}
		if i == 0 { // the finest: decoders read no other files
			wide, high := blockSide*h, blockSide*v
			p.units = ((info.Width + wide - 1) / wide) * ((info.Height + high - 1) / high)
		}
		p.components[i] = component{id: about[0], blocks: h * v}
		ids += string(about[:1])
	}
	p.isOfOtherColors = ids == "RGB"
	return p, nil
}
