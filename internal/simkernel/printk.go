package simkernel

import (
	"fmt"
	"time"

	"github.com/rebound-init/rebound/internal/kernel"
)

// LogLine is a line of the kernel log.
type LogLine struct {
	At    time.Duration
	Level kernel.Level
	Text  string
	// Kernel says that it is the kernel's own and not PID 1's.
	Kernel bool
}

// String is the line as dmesg(1) shows it.
func (l LogLine) String() string {
	return fmt.Sprintf("[%12.6f] %s", l.At.Seconds(), l.Text)
}

// Log returns the kernel log.
func (m *Machine) Log() []LogLine { return m.log }

// printk is a line of the kernel's own.
func (m *Machine) printk(level kernel.Level, text string) {
	m.log = append(m.log, LogLine{m.now, level, text, true})
}

func (k *pid1Calls) Log(level kernel.Level, text string) {
	k.enter(callLog)
	k.m.log = append(k.m.log, LogLine{k.m.now, level, text, false})
}

// stamp is a time in seconds, as the transcripts show it.
func stamp(t time.Duration) string { return fmt.Sprintf("%.6f", t.Seconds()) }
