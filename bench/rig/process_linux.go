package rig

import (
	"syscall"
	"time"
)

// attributes make a process that a Ctrl-C at the terminal does not reach, and that is told to end
// when the thread that started it does.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
}

// SleepUntil waits for an instant in the kernel, on the thread of its own that the caller locked:
// the runtime's timers are late by up to a millisecond where nothing else happens.
func SleepUntil(t time.Time) {
	for {
		d := time.Until(t)
		if d <= 0 {
			return
		}
		ts := syscall.NsecToTimespec(d.Nanoseconds())
		_ = syscall.Nanosleep(&ts, nil) // interrupted: the loop goes on.
	}
}
