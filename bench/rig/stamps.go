package rig

import (
	"errors"
	"os"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"
)

// Stamps are instants by a message's number, in Unix nanoseconds, in a file that two processes
// share: the one that knows when a COMMIT returned, and this one.
type Stamps struct {
	file  string
	bytes []byte
	at    []atomic.Int64
}

// NewStamps makes a file for n instants. Close it.
func NewStamps(n int) (*Stamps, error) {
	f, err := os.CreateTemp("", "clientele-stamps-")
	if err != nil {
		return nil, err
	}
	name := f.Name()
	if err := errors.Join(f.Truncate(int64(n)*8), f.Close()); err != nil {
		return nil, errors.Join(err, os.Remove(name))
	}
	s, err := openStamps(name)
	if err != nil {
		return nil, errors.Join(err, os.Remove(name))
	}
	return s, nil
}

func openStamps(name string) (*Stamps, error) {
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	s := &Stamps{file: name}
	if s.bytes, err = syscall.Mmap(int(f.Fd()), 0, int(info.Size()), syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED); err != nil {
		return nil, err
	}
	// Pages are aligned, and an atomic.Int64 is eight bytes.
	s.at = unsafe.Slice((*atomic.Int64)(unsafe.Pointer(&s.bytes[0])), len(s.bytes)/8)
	return s, nil
}

// Set notes now for a number; one out of range is none of ours.
func (s *Stamps) Set(n int, now time.Time) {
	if n >= 0 && n < len(s.at) {
		s.at[n].Store(now.UnixNano())
	}
}

// At is what was noted; 0 for nothing.
func (s *Stamps) At(n int) int64 { return s.at[n].Load() }

// Close removes the file.
func (s *Stamps) Close() error { return errors.Join(syscall.Munmap(s.bytes), os.Remove(s.file)) }
