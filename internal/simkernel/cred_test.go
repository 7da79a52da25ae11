package simkernel

import (
	"fmt"
	"testing"

	"github.com/rebound-init/rebound/internal/kernel"
)

// id is who a process is, in short.
type id struct {
	uid, euid, suid int
	capable         bool // of CAP_KILL
}

func idOf(p *process) id {
	return id{p.cred.uid, p.cred.euid, p.cred.suid, p.capable(CapKill)}
}

func TestWhoAProcessIs(t *testing.T) {
	for _, test := range []struct {
		name       string
		privileges Privileges
		steps      []Step
		want       id
	}{
		{"root", Privileges{}, nil, id{0, 0, 0, true}},
		{"root without a capability", Privileges{Without: CapKill}, nil, id{0, 0, 0, false}},
		{"a user", Privileges{UID: 7}, nil, id{7, 7, 7, false}},
		{"root becomes a user", Privileges{}, []Step{SetUID{7}}, id{7, 7, 7, false}},
		{"and does not come back", Privileges{}, []Step{SetUID{7}, SetUID{0}}, id{7, 7, 7, false}},
		{
			"without CAP_SETUID root may only stay root",
			Privileges{Without: CapSetuid},
			[]Step{SetUID{7}},
			id{0, 0, 0, true},
		},
		{
			"a set-user-ID program is its owner's",
			Privileges{UID: 7},
			[]Step{Exec{[]string{"/bin/su"}}},
			id{7, 0, 0, true},
		},
		{
			"but has no more than the bounding set",
			Privileges{UID: 7, Without: CapKill},
			[]Step{Exec{[]string{"/bin/su"}}},
			id{7, 0, 0, false},
		},
		{
			"and may take its user back",
			Privileges{UID: 7},
			[]Step{Exec{[]string{"/bin/alice"}}, Pause{}},
			id{7, 9, 9, false},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			all := programs(map[string][]Step{"p": append(test.steps, Pause{})})
			all["/bin/su"] = Program{Setuid: true, Steps: []Step{Pause{}}}
			all["/bin/alice"] = Program{Setuid: true, Owner: 9, Steps: []Step{SetUID{0}, Pause{}}}
			m := New(Config{Privileges: test.privileges, Programs: all})
			m.Boot(func(k kernel.Kernel) int {
				pid := spawn(t, k, "p")[0]
				until(k, 1e9)
				wantEqual(t, "id", fmt.Sprint(idOf(m.find(pid))), fmt.Sprint(test.want))
				return 0
			})
		})
	}
}

func TestUsersAreCounted(t *testing.T) {
	m := New(Config{Programs: programs(map[string][]Step{"p": {SetUID{7}, Pause{}}})})
	m.Boot(func(k kernel.Kernel) int {
		root := m.userOf(0).threads
		spawn(t, k, "p", "p")
		wantEqual(t, "root's", m.userOf(0).threads, root+2)
		until(k, 1e9)
		wantEqual(t, "root's", m.userOf(0).threads, root)
		wantEqual(t, "7's", m.userOf(7).threads, 2)
		k.KillAll(kernel.SIGKILL)
		until(k, 2e9)
		wantEqual(t, "7's", m.userOf(7).threads, 0)
		return 0
	})
}

func TestLoopbackNeedsNetAdmin(t *testing.T) {
	m := New(Config{Privileges: Privileges{Without: CapNetAdmin}})
	m.Boot(func(k kernel.Kernel) int {
		wantErr(t, "LoopbackUp", k.LoopbackUp(), kernel.EPERM)
		return 0
	})
	wantEqual(t, "up", m.Loopback(), false)
}
