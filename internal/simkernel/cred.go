package simkernel

import "github.com/rebound-init/rebound/internal/kernel"

// cred is who a process is. It is never changed, but replaced, and shared by all that are the same
// (kernel/cred.c).
type cred struct {
	uid, euid, suid int
	gid             int
	user            *user // uid's
	effective       Capabilities
	bounding        Capabilities
}

// user is a user, and counts the threads that run for it (kernel/user.c). A zombie counts, too.
type user struct{ threads int }

// userOf returns a user.
func (m *Machine) userOf(uid int) *user {
	u := m.users[uid]
	if u == nil {
		u = &user{}
		m.users[uid] = u
	}
	return u
}

// setUpCred gives PID 1 its identity. The kernel's threads have the same.
func (m *Machine) setUpCred() *cred {
	p := m.cfg.Privileges
	m.users = make(map[int]*user, 1)
	c := &cred{
		uid: p.UID, euid: p.UID, suid: p.UID, gid: p.GID, user: m.userOf(p.UID),
		bounding: everyCapability &^ p.Without,
	}
	if p.UID == 0 {
		c.effective = c.bounding
	}
	return c
}

// setuid is setuid(2) (kernel/sys.c, __sys_setuid). Who leaves user 0 for good leaves its
// capabilities there (security/commoncap.c, cap_emulate_setxid).
func (m *Machine) setuid(p *process, uid int) kernel.Errno {
	c := *p.cred
	switch {
	case uid < 0:
		return kernel.EINVAL
	case p.capable(CapSetuid):
		c.uid, c.suid = uid, uid
	case uid != c.uid && uid != c.suid:
		return kernel.EPERM
	}
	c.euid = uid
	old := p.cred
	if c.euid != 0 {
		c.effective = 0
	} else if old.euid != 0 {
		c.effective = c.bounding
	}
	m.commitCred(p, &c)
	return 0
}

// execCred is what an exec makes of a cred: a set-user-ID program is its owner's, and root has all
// that the bounding set leaves (security/commoncap.c, cap_bprm_creds_from_file).
func (m *Machine) execCred(p *process, prog *Program) {
	c := *p.cred
	if prog.Setuid {
		c.euid = prog.Owner
	}
	c.suid = c.euid
	c.effective = 0
	if c.euid == 0 {
		c.effective = c.bounding
	}
	if c != *p.cred {
		m.commitCred(p, &c)
	}
}

// setCred gives a new thread its identity.
func (m *Machine) setCred(p *process, c *cred) {
	p.cred = c
	c.user.threads++
}

// commitCred changes a process's identity. With the user changes who its number counts against.
func (m *Machine) commitCred(p *process, c *cred) {
	if p.rare != nil && (c.euid != p.cred.euid || c.effective&^p.cred.effective != 0) {
		p.rare.deathSignal = 0 // kernel/cred.c, commit_creds
	}
	c.user = m.userOf(c.uid)
	p.cred.user.threads--
	c.user.threads++
	p.cred = c
}

// SetUID is setuid(2). A process that is refused goes on as it was.
type SetUID struct{ UID int }

func (SetUID) step() {}

func (s SetUID) do(m *Machine, p *process) verdict {
	m.setuid(p, s.UID)
	return done
}
