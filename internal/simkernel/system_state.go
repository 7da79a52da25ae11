package simkernel

// SystemState is system_state (include/linux/kernel.h): how far the kernel has come.
type SystemState uint8

// The states, in no version's order: see Machine.SystemStateValue. A machine begins when its PID 1
// does, and is SystemRunning.
const (
	SystemRunning SystemState = iota
	Booting
	Scheduling
	FreeingInitmem
	SystemHalt
	SystemPowerOff
	SystemRestart
	SystemSuspend
)

// String returns the name.
func (s SystemState) String() string {
	switch s {
	case SystemRunning:
		return "running"
	case Booting:
		return "booting"
	case Scheduling:
		return "scheduling"
	case FreeingInitmem:
		return "freeing initmem"
	case SystemHalt:
		return "halt"
	case SystemPowerOff:
		return "power off"
	case SystemRestart:
		return "restart"
	case SystemSuspend:
		return "suspend"
	}
	return "unknown"
}

// SystemState is how far the kernel has come.
func (m *Machine) SystemState() SystemState { return m.reboot.state }

// SystemStateValue is the number that the machine's kernel has for its state, or -1.
func (m *Machine) SystemStateValue() int {
	for i, s := range m.kernel.states {
		if s == m.reboot.state {
			return i
		}
	}
	return -1
}
