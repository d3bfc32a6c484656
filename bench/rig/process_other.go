//go:build !linux

package rig

import (
	"syscall"
	"time"
)

// attributes make a process that a Ctrl-C at the terminal does not reach.
func attributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// SleepUntil waits for an instant.
func SleepUntil(t time.Time) { time.Sleep(time.Until(t)) }
