package simkernel

// DumpReason is why the kernel log is to be kept (include/linux/kmsg_dump.h).
type DumpReason uint8

// The reasons. Since 5.8 there is one for all ways down.
const (
	DumpPanic     DumpReason = 1
	DumpOops      DumpReason = 2
	DumpEmergency DumpReason = 3
	DumpRestart   DumpReason = 4
	DumpHalt      DumpReason = 5
	DumpPowerOff  DumpReason = 6
	DumpShutdown  DumpReason = 4
)

// kmsgDump lets the log be kept by who wants to (kernel/printk/printk.c, kmsg_dump).
func (m *Machine) kmsgDump(r DumpReason) {
	m.trace("kmsg_dump", [...]string{"", "1", "2", "3", "4", "5", "6"}[r])
	m.pstoreDump(r)
}
