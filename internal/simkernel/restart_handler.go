package simkernel

// psciPriority is that of the handler of ARM's firmware (drivers/firmware/psci/psci.c).
const psciPriority = 129

// doKernelRestart calls the restart handlers (kernel/reboot.c, do_kernel_restart).
func (m *Machine) doKernelRestart() {
	handlers := m.cfg.Reboot.RestartHandlers
	if m.kernel.arch == archARM64 || m.kernel.arch == archARM {
		handlers = append(
			[]Notifier{{Name: "psci", Priority: psciPriority, Does: Resets}}, handlers...)
	}
	m.callAtomic("restart_handler_list", chain(handlers))
}
