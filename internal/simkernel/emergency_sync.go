package simkernel

// emergencySync begins a sync that nobody waits for (fs/sync.c, emergency_sync).
func (m *Machine) emergencySync() {
	m.kworker(m.syncAll().and(&ioWait{then: func() {
		defer m.in("do_sync_work")()
		m.printk(defaultMessageLevel, "Emergency Sync complete")
	}}))
}
