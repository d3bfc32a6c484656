package rig

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"runtime/pprof"
)

// The rates of the sampling profiles: one in so many contended locks, and one blocking of so many
// nanoseconds. Neither is seen in the figures.
const (
	mutexRate = 20
	blockRate = 100_000
)

// StartProfile begins the profiles of the time to measure, if --profile asks for them. The caller
// runs stop at its end.
func (r *Rig) StartProfile(program string) (stop func() error, err error) {
	if r.Profile == "" {
		return func() error { return nil }, nil
	}
	if !r.InProcess {
		return nil, errors.New("--profile needs --in-process")
	}
	if err := mkdir(r.Profile); err != nil {
		return nil, err
	}
	f, err := os.Create(filepath.Join(r.Profile, program+".cpu.pprof"))
	if err != nil {
		return nil, err
	}
	runtime.SetMutexProfileFraction(mutexRate)
	runtime.SetBlockProfileRate(blockRate)
	if err := pprof.StartCPUProfile(f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return func() error {
		pprof.StopCPUProfile()
		err := f.Close()
		for _, name := range []string{"mutex", "block", "allocs", "goroutine"} {
			err = errors.Join(err, writeProfile(name, filepath.Join(r.Profile, program+"."+name+".pprof")))
		}
		runtime.SetMutexProfileFraction(0)
		runtime.SetBlockProfileRate(0)
		return err
	}, nil
}

func writeProfile(name, file string) error {
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	return errors.Join(pprof.Lookup(name).WriteTo(f, 0), f.Close())
}
