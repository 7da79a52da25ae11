package main

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/rebound-init/rebound/internal/crash"
	"github.com/rebound-init/rebound/internal/crash/matrix"
	"github.com/rebound-init/rebound/internal/kernel"
	"github.com/rebound-init/rebound/internal/knob"
	"github.com/rebound-init/rebound/internal/nearest"
	"github.com/rebound-init/rebound/internal/options"
	"github.com/rebound-init/rebound/internal/panicwatch"
	"github.com/rebound-init/rebound/internal/simkernel"
)

// machine is one whose kernel is to fail in the model, with what people are to know of it.
type machine struct {
	matrix.Machine
	// of says whose kernel it is, if the profile is not what was asked for.
	of string
	// foreign says that it is none for this machine's architecture.
	foreign bool
	// line is the boot line of the running machine.
	line string
	// notes say what the model does not know of it.
	notes []string
}

// machineFlags are the options that say which machine it is.
type machineFlags struct {
	root, kernel, policy string
	set                  []crash.Setting
	watchdogs            []crash.Watchdog
	crashKernel, ramoops bool
	cpus                 int
}

func (o *machineFlags) define(f *flag.FlagSet) {
	f.StringVar(&o.kernel, "kernel", "", "a machine with this kernel `profile`, and nothing set, instead of the "+
		"running machine")
	f.Var(options.Several(&o.set, crash.ParseSetting), "set", "a `setting` that is otherwise: NAME=VALUE of a sysctl, a parameter of a module\n"+
		"or a word of the boot line; may be given several times")
	f.StringVar(&o.policy, "policy", "", "what PID 1 sets: one of `"+strings.Join(knob.Presets(), ", ")+"`")
	f.Var(options.Several(&o.watchdogs, crash.ParseWatchdog), "watchdog", "a watchdog that a process feeds: `NAME,TIMEOUT[,PRETIMEOUT]`; may be given "+
		"several\ntimes. Names: "+strings.Join(simkernel.WatchdogDrivers(), ", "))
	f.BoolVar(&o.crashKernel, "crash-kernel", false, "a crash kernel has been loaded (kdump)")
	f.BoolVar(&o.ramoops, "ramoops", false, "the kernel keeps its log in memory, for the next boot (pstore)")
	f.IntVar(&o.cpus, "cpus", 0, "the `number` of CPUs")
	f.StringVar(&o.root, "root", "/", "read proc and sys of the running machine below this `directory`")
}

// machine is the one that the options say.
func (o *machineFlags) machine() (*machine, error) {
	m := &machine{}
	m.Kernel, m.CPUs = o.kernel, 1
	if o.kernel == "" {
		if err := m.take(running{o.root}); err != nil {
			return nil, err
		}
	}
	if o.cpus != 0 {
		m.CPUs = o.cpus
	}
	m.CrashKernel = m.CrashKernel || o.crashKernel
	m.Ramoops = m.Ramoops || o.ramoops
	if len(o.watchdogs) > 0 {
		m.Watchdogs = o.watchdogs
	}
	if err := m.follow(o.policy); err != nil {
		return nil, err
	}
	m.Settings = append(m.Settings, o.set...)
	// What somebody asks for comes last, whoever else sets the same.
	m.ByInit = append(m.ByInit, o.set...)
	_, err := crash.Play(m.For("panic"))
	return m, err
}

// follow sets what PID 1 sets for a policy: PID 1's own code does it, on the simulated kernel.
func (m *machine) follow(policy string) error {
	if policy == "" {
		return nil
	}
	at := slices.Index(knob.Presets(), policy)
	if at < 0 {
		if w := nearest.Word(policy, knob.Presets()); w != "" {
			return fmt.Errorf("unknown policy %q: did you mean %q?", policy, w)
		}
		return fmt.Errorf("unknown policy %q: expected one of %s", policy, strings.Join(knob.Presets(), ", "))
	}
	preset := knob.Preset(at)
	before, after, err := crash.Settle(m.For("panic"), func(k kernel.Kernel) {
		if preset == knob.Kernel {
			return // it leaves all as it is
		}
		panicwatch.ComeBack(k, []byte(m.line))
		if preset == knob.Standard {
			return
		}
		for _, o := range panicwatch.Apply(k, knob.Plan{Preset: preset}, []byte(m.line)) {
			switch {
			case o.Result == panicwatch.Lacking && o.Knob.Off(o.Value), o.Result < panicwatch.Kept:
			default:
				m.note("%s", o.String())
			}
		}
	})
	if err != nil {
		return err
	}
	for _, name := range inOrder(after) {
		if after[name] != before[name] {
			m.change(name, after[name], before)
		}
	}
	return nil
}

// inOrder are the names of settings: those of a policy first, as their page has them.
func inOrder(values map[string]string) []string {
	rank := make(map[string]int)
	for i, k := range knob.Policy() {
		rank[k.Name] = i - len(knob.Policy())
	}
	names := slices.Sorted(maps.Keys(values))
	slices.SortStableFunc(names, func(a, b string) int { return rank[a] - rank[b] })
	return names
}

// value is a setting's as PID 1 finds it.
func (m *machine) value(name string, defaults map[string]string) string {
	value := defaults[name]
	for _, s := range slices.Concat(m.Settings, m.ByInit) {
		if s.Name == name {
			value = s.Value
		}
	}
	return value
}

// consoleLevel is the sysctl whose first number the boot line calls loglevel.
const consoleLevel = "kernel.printk"

// change lets PID 1 make a setting, if that changes anything.
func (m *machine) change(name, value string, defaults map[string]string) {
	was, has := defaults[name]
	switch {
	case name == consoleLevel:
		level, _, _ := strings.Cut(strings.TrimSpace(value), "\t")
		level, _, _ = strings.Cut(level, " ")
		if before, _, _ := strings.Cut(was, "\t"); level == before {
			return
		}
		name, value = "loglevel", level
	case !has:
		if value != "" && value != "0" && value != "N" {
			m.note("%s=%s: %s has no such setting", name, value, m.Kernel)
		}
		return
	case value == m.value(name, defaults):
		return
	}
	m.ByInit = append(m.ByInit, crash.Setting{Name: name, Value: value})
}

func (m *machine) note(format string, args ...any) {
	m.notes = append(m.notes, fmt.Sprintf(format, args...))
}

// matters reports whether a setting has a say in how a kernel dies.
func matters(name string) bool {
	switch name {
	case "crash_kexec_post_notifiers", "pause_on_oops", "printk.always_kmsg_dump", "kernel.printk",
		"vm.panic_on_oom", "vm.oom_kill_allocating_task", "kernel.watchdog", "kernel.watchdog_thresh",
		"kernel.soft_watchdog", "kernel.nmi_watchdog", "kernel.sysrq", "kernel.ctrl-alt-del":
		return true
	}
	for _, part := range []string{
		"kernel.panic", "kernel.oops", "kernel.warn", "kernel.hung_task", "kernel.softlockup",
		"kernel.hardlockup", "rcupdate.", "rcu_stall", "kernel.unknown_nmi",
	} {
		if strings.Contains(name, part) {
			return true
		}
	}
	return false
}

// bootWords are the words of the boot line that count before there is a PID 1.
func bootWords(line string) string {
	var words []string
	for word := range strings.FieldsSeq(line) {
		name, _, _ := strings.Cut(word, "=")
		switch {
		case name == "panic", name == "oops", name == "reboot", name == "nokaslr", name == "quiet",
			name == "loglevel", name == "ignore_loglevel", name == "debug", name == "panic_on_warn",
			name == "crash_kexec_post_notifiers", strings.HasPrefix(name, "sysctl.") && matters(name[len("sysctl."):]):
			words = append(words, word)
		}
	}
	return strings.Join(words, " ")
}

// take takes over what the running machine is like.
func (m *machine) take(r running) error {
	release, err := r.Read("proc/sys/kernel/osrelease")
	if err != nil {
		return err
	}
	arch, err := r.Read("proc/sys/kernel/arch")
	if err != nil {
		// It came with Linux 6.1.
		var u unix.Utsname
		if err := unix.Uname(&u); err != nil {
			return fmt.Errorf("uname: %w", err)
		}
		arch = unix.ByteSliceToString(u.Machine[:])
	}
	m.Kernel, m.of = profileFor(release, arch)
	if !strings.HasSuffix(m.of, " "+strings.SplitN(m.Kernel, "-", 3)[2]) {
		m.foreign = true
		m.note("no kernel of the model is for %s: %s is another architecture's", arch, m.Kernel)
	}
	defaults, err := crash.Defaults(m.Kernel)
	if err != nil {
		return err
	}
	for _, name := range inOrder(defaults) {
		if !matters(name) {
			continue
		}
		value, err := r.Read(settingPath(name))
		if errors.Is(err, fs.ErrNotExist) {
			continue // the real kernel does not have it, and so nobody has set it
		}
		if err != nil {
			return err
		}
		m.change(name, value, defaults)
	}
	line, err := r.Read("proc/cmdline")
	if err != nil {
		return err
	}
	m.line, m.Cmdline = line, bootWords(line)
	m.CPUs = 1
	if online, err := r.Read("sys/devices/system/cpu/online"); err == nil {
		m.CPUs = min(cpuCount(online), crash.MaxCPUs)
	}
	loaded, err := r.Read("sys/kernel/kexec_crash_loaded")
	m.CrashKernel = err == nil && loaded == "1"
	m.takePstore(r)
	m.takeWatchdogs(r)
	return nil
}

// settingPath is where a setting is, below /.
func settingPath(name string) string {
	if k := knob.ByName(name); k != nil && k.File() != "" {
		return strings.TrimPrefix(k.File(), "/")
	}
	if simkernel.HasSysctl(name) {
		return "proc/sys/" + strings.ReplaceAll(name, ".", "/")
	}
	module, parameter, found := strings.Cut(name, ".")
	if !found {
		module, parameter = "kernel", name
	}
	return "sys/module/" + module + "/parameters/" + parameter
}

// takePstore sees who keeps the kernel log.
func (m *machine) takePstore(r running) {
	backend, err := r.Read("sys/module/pstore/parameters/backend")
	switch {
	case err != nil, backend == "", backend == "(null)":
	case backend == "ramoops":
		m.Ramoops = true
	default:
		m.Ramoops = true
		m.note("pstore keeps the log by %s: the model takes ramoops for it", backend)
	}
}

// takeWatchdogs sees which watchdogs are fed.
func (m *machine) takeWatchdogs(r running) {
	const most = 8
	drivers := map[string]string{"Software Watchdog": "softdog", "i6300ESB timer": "i6300esb"}
	for i := range most {
		dir := fmt.Sprintf("sys/class/watchdog/watchdog%d/", i)
		identity, err := r.Read(dir + "identity")
		if err != nil {
			continue
		}
		if state, err := r.Read(dir + "state"); err == nil && state != "active" {
			m.note("watchdog%d (%s) is not active: nobody feeds it, and it rescues nobody", i, identity)
			continue
		}
		timeout, err := r.Read(dir + "timeout")
		if err != nil {
			m.note("watchdog%d (%s): its timeout cannot be read: %v", i, identity, err)
			continue
		}
		driver := drivers[identity]
		if driver == "" {
			driver = "i6300esb"
			m.note("watchdog%d is a %s: the model takes i6300esb for it", i, identity)
		}
		text := driver + "," + timeout
		pretimeout, err := r.Read(dir + "pretimeout")
		if err == nil && pretimeout != "0" {
			text += "," + pretimeout
			if governor, err := r.Read(dir + "pretimeout_governor"); err == nil && governor != "panic" {
				text += ",noop"
			}
		}
		w, err := crash.ParseWatchdog(text)
		if err != nil {
			m.note("watchdog%d (%s): %v", i, identity, err)
			continue
		}
		m.Watchdogs = append(m.Watchdogs, w)
	}
}

// cpuCount is how many CPUs a list such as 0-3,8 has (lib/vsprintf.c, %*pbl).
func cpuCount(list string) int {
	n := 0
	for part := range strings.SplitSeq(list, ",") {
		var from, to int
		switch got, _ := fmt.Sscanf(part, "%d-%d", &from, &to); got {
		case 1:
			n++
		case 2:
			n += to - from + 1
		}
	}
	return max(n, 1)
}

// profileFor is the kernel of the model that is nearest to a release on an architecture: the newest that
// is not newer, or the oldest.
func profileFor(release, arch string) (name, of string) {
	switch {
	case arch == "aarch64":
		arch = "arm64"
	case len(arch) == len("i386") && arch[0] == 'i' && strings.HasSuffix(arch, "86"):
		arch = "i386"
	case strings.HasPrefix(arch, "arm") && arch != "arm64":
		arch = "arm"
	}
	is := versionOf(release)
	var best, oldest string
	for _, k := range simkernel.Kernels() {
		words := strings.SplitN(k, "-", 3)
		if words[2] != arch {
			continue
		}
		v := versionOf(words[1])
		if slices.Compare(v, is) <= 0 && (best == "" || slices.Compare(v, versionOf(strings.Split(best, "-")[1])) > 0) {
			best = k
		}
		if oldest == "" || slices.Compare(v, versionOf(strings.Split(oldest, "-")[1])) < 0 {
			oldest = k
		}
	}
	switch {
	case best != "":
		name = best
	case oldest != "":
		name = oldest
	default:
		name, _ = profileFor(release, "arm64")
	}
	return name, release + " " + arch
}

// versionOf are the numbers that a release begins with.
func versionOf(release string) []int {
	var major, minor int
	// One number is a version, too.
	_, _ = fmt.Sscanf(release, "%d.%d", &major, &minor)
	return []int{major, minor}
}

// describe tells people which machine it is.
func (t *tool) describe(m *machine) *table {
	tb := &table{}
	row := func(name, text string) { tb.add(cell{name, faint}, cell{text, plain}) }
	kernel := m.Kernel
	if m.of != "" {
		kernel += ", the model's nearest to this machine's " + m.of
	}
	row("kernel", kernel)
	row("machine", m.hardware())
	row("set", m.isSet())
	for _, n := range m.notes {
		tb.add(cell{"note", fair}, cell{n, plain})
	}
	return tb
}

// hardware is what the machine has, in words.
func (m *machine) hardware() string {
	words := []string{fmt.Sprintf("%d CPUs", m.CPUs)}
	if m.CPUs == 1 {
		words[0] = "1 CPU"
	}
	for _, w := range m.Watchdogs {
		text := "watchdog " + w.Name + " " + w.Timeout.String()
		if w.Pretimeout != 0 {
			text += ", pretimeout " + w.Pretimeout.String()
		}
		words = append(words, text)
	}
	if len(m.Watchdogs) == 0 {
		words = append(words, "no watchdog")
	}
	for _, one := range []struct {
		has  bool
		name string
	}{{m.CrashKernel, "crash kernel"}, {m.Ramoops, "pstore"}} {
		if one.has {
			words = append(words, one.name)
		} else {
			words = append(words, "no "+one.name)
		}
	}
	return strings.Join(words, ", ")
}

// isSet is what is set, in a line.
func (m *machine) isSet() string {
	if words := m.words(); len(words) > 0 {
		return strings.Join(words, " ")
	}
	return "nothing: all is as the kernel has it"
}

// words are what is set, each as name=value.
func (m *machine) words() []string {
	values := make(map[string]string)
	var order []string
	for _, s := range slices.Concat(m.Settings, m.ByInit) {
		name := s.Name
		if simkernel.HasSysctl("kernel." + name) {
			name = "kernel." + name
		}
		if _, ok := values[name]; !ok {
			order = append(order, name)
		}
		values[name] = s.Value
	}
	var words []string
	for _, name := range order {
		word := name
		if values[name] != "" {
			word += "=" + values[name]
		}
		words = append(words, word)
	}
	return words
}
