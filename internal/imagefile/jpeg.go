package imagefile

import (
	"bytes"
	"image/jpeg"
)

// Markers of a JPEG, the byte behind 0xff.
const (
	markSOI, markEOI, markSOS    = 0xd8, 0xd9, 0xda
	markSOF0, markSOF1, markSOF2 = 0xc0, 0xc1, 0xc2
	markDHT, markJPG, markDAC    = 0xc4, 0xc8, 0xcc
	markRST0, markRST7, markTEM  = 0xd0, 0xd7, 0x01
	markSOFFirst, markSOFLast    = 0xc0, 0xcf
	sofBytes, componentBytes     = 6, 3
	precision                    = 8
	// mostScans bounds what a decoder does: a scan of some bytes has it go through all pixels again.
	mostScans = 64
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

// examineJPEG walks through the file, and unpacks it where that takes no more memory than is allowed.
func examineJPEG(data []byte, most Limits) (Info, error) {
	s := &segments{data}
	var info Info
	for scans := 0; ; {
		mark, body, err := s.marker()
		if err != nil {
			return Info{}, err
		}
		switch {
		case mark == markEOI && scans > 0:
			if info.Memory <= most.Memory {
				if _, err := jpeg.Decode(bytes.NewReader(data)); err != nil {
					return Info{}, ErrBroken
				}
			}
			return info, nil
		case mark == markEOI:
			return Info{}, ErrBroken
		case mark == markSOS:
			if scans++; info.Width == 0 || scans > mostScans {
				return Info{}, ErrBroken
			}
			if err := s.scan(); err != nil {
				return Info{}, err
			}
		case mark >= markSOFFirst && mark <= markSOFLast && mark != markDHT && mark != markJPG && mark != markDAC:
			if info.Width != 0 {
				return Info{}, ErrBroken
			}
			if info, err = frame(mark, body, most); err != nil {
				return Info{}, err
			}
		}
	}
}

// frame is the size that a JPEG says it has.
func frame(mark byte, body []byte, most Limits) (Info, error) {
	if mark != markSOF0 && mark != markSOF1 && mark != markSOF2 || len(body) < sofBytes || body[0] != precision {
		return Info{}, ErrBroken
	}
	info, err := sized(JPEG, be16(body[3:]), be16(body[1:]), most)
	if err != nil {
		return Info{}, err
	}
	components := int(body[5])
	if len(body) != sofBytes+componentBytes*components || components != 1 && components != 3 && components != 4 {
		return Info{}, ErrBroken
	}
	// The first component is the finest but in files that nobody writes; all are taken to be as fine.
	widest, all := 1, 0
	for i := range components {
		h, v := int(body[7+componentBytes*i]>>4), int(body[7+componentBytes*i]&0xf)
		if h < 1 || h > 4 || v < 1 || v > 4 {
			return Info{}, ErrBroken
		}
		widest, all = max(widest, h*v), all+h*v
	}
	samples := info.Width * info.Height * all / widest
	info.Memory = samples
	if mark == markSOF2 {
		info.Memory += 4 * samples // coefficients, until the last scan
	}
	if components == 4 {
		info.Memory += 4 * info.Width * info.Height
	}
	return info, nil
}
