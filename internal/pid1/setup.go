package pid1

import (
	"bytes"
	"errors"
	"slices"

	"github.com/rebound-init/rebound/internal/config"
	"github.com/rebound-init/rebound/internal/halt/rebootparam"
	"github.com/rebound-init/rebound/internal/inittab"
	"github.com/rebound-init/rebound/internal/kernel"
	"github.com/rebound-init/rebound/internal/panicwatch"
)

// setUp is all that comes before the first command. Nothing in it can stop the boot.
func (in *Init) setUp() {
	// With Ctrl-Alt-Del disabled the kernel sends SIGINT instead of rebooting at once. A
	// container has no such thing, and the kernel says so.
	in.at.Own = in.k.RebootSelf(kernel.CadOff) == nil
	in.at.Orphans = !in.opt.Linuxrc
	boot, _ := in.k.Proc("cmdline")
	cameBack := in.at.Own && panicwatch.ComeBack(in.k, boot)
	in.openConsole()
	if err := in.k.Chdir("/"); err != nil {
		in.warn("chdir /: " + strerror(err))
	}
	// EPERM: it leads its session already.
	_ = in.k.Setsid()
	in.env = environ(in.opt.Env, in.k.IsVT(0), in.runlevel())
	in.configure(boot)
	// What brings the machine back comes before what makes a panic of a failure.
	if in.opt.State == nil {
		in.openWatchdogs()
	}
	in.applyPolicy(boot, cameBack)
	if in.set.Mounts == config.MountsAuto {
		in.mountAll()
	}
	if err := in.k.LoopbackUp(); err != nil {
		// Without CAP_NET_ADMIN whoever made the container has seen to it.
		in.note(kernel.Debug, "lo: "+strerror(err))
	}
	if in.opt.State == nil {
		// An argument is for one reboot only, and the last one is over.
		_ = in.k.Remove(rebootparam.Path)
	}
	if in.singleUser() {
		in.use(inittab.SingleUser())
	} else {
		in.use(in.readTable())
	}
}

// openConsole finds init's terminal: what CONSOLE or console name, else what init was given
// [BusyBox 1.10 to 1.14].
func (in *Init) openConsole() {
	in.k.FillStdio()
	name, ok := lookup(in.opt.Env, "CONSOLE")
	if !ok {
		name, ok = lookup(in.opt.Env, "console")
	}
	if ok {
		if err := in.k.Stdio(name, false); err != nil {
			in.con.open()
			in.warn("can't open console " + name + ": " + strerror(err))
		}
	}
	in.con.open()
	in.k.Sane(0)
}

// runlevel is the first argument, whatever it is [BusyBox 1.20].
func (in *Init) runlevel() string {
	if len(in.opt.Args) == 0 {
		return ""
	}
	return in.opt.Args[0]
}

func (in *Init) singleUser() bool {
	return slices.Contains([]string{"single", "-s", "1"}, in.runlevel())
}

// configure reads the configuration file and what the kernel's command line says over it.
func (in *Init) configure(cmdline []byte) {
	b, err := in.k.ReadFile(ConfigPath)
	if errors.Is(err, kernel.ENOENT) && !bytes.Contains(cmdline, []byte(config.ParamPrefix)) {
		// The usual case is not worth a tenth of a millisecond before the first command.
		in.set = config.Default()
		return
	}
	if err != nil && !errors.Is(err, kernel.ENOENT) {
		in.warn(ConfigPath + ": " + strerror(err) + ": using the defaults")
	}
	set, problems := config.Load(ConfigPath, b, cmdline)
	in.set = set
	for _, p := range problems {
		if p.Note {
			in.note(kernel.Info, p.Error())
			continue
		}
		in.warn(p.Error())
	}
	if !set.Log.Syslog && in.opt.NoSyslog != nil {
		in.opt.NoSyslog()
	}
}
