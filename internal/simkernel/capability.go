package simkernel

// Capabilities are a set of capabilities(7).
type Capabilities uint64

// The capabilities that the model asks for, with the numbers of include/uapi/linux/capability.h.
const (
	CapChown       Capabilities = 1 << 0
	CapDACOverride Capabilities = 1 << 1
	CapFowner      Capabilities = 1 << 3
	CapKill        Capabilities = 1 << 5
	CapSetuid      Capabilities = 1 << 7
	CapNetAdmin    Capabilities = 1 << 12
	CapSysChroot   Capabilities = 1 << 18
	CapSysAdmin    Capabilities = 1 << 21
	CapSysBoot     Capabilities = 1 << 22
	CapSysResource Capabilities = 1 << 24
	CapMknod       Capabilities = 1 << 27
	CapSyslog      Capabilities = 1 << 34

	everyCapability Capabilities = 1<<41 - 1
)

// Privileges are who PID 1 is and what it may do. The zero value is root with all capabilities.
type Privileges struct {
	// UID and GID are its user and its group. A user other than 0 has no capabilities.
	UID, GID int
	// Without are the capabilities that it and all of its children lack, as those of a
	// container do: they are not in the bounding set either.
	Without Capabilities
}

// capable reports whether p has a capability (kernel/capability.c, capable).
func (p *process) capable(c Capabilities) bool { return p.cred.effective&c == c }
