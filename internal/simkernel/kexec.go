package simkernel

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/rebound-init/rebound/internal/kernel"
	"github.com/rebound-init/rebound/internal/simkernel/kexec"
)

// KexecConfig is what a machine has for other kernels to be started. How much memory is kept for
// the one that a crash starts is crashkernel='s to say, on the command line.
type KexecConfig struct {
	// RAM is the machine's memory, in bytes: 512 MiB if zero.
	RAM uint64
	// Crash, if set, has been loaded for a crash before PID 1 runs, as a service of a real
	// system does. If the command line has no crashkernel= the usual one is added to it.
	Crash *NewKernel
	// MachType is what ARM's boot loader calls the board: an Integrator if zero.
	MachType uint32
	// EL2 says that arm64 was started at EL2.
	EL2 bool
	// Lockdown is a kernel that is locked down for integrity.
	Lockdown bool
}

// NewKernel is a kernel to be started by another.
type NewKernel struct {
	// Kernel is its version, one of Kernels: this one's if empty.
	Kernel  string
	Cmdline string
}

// KexecLoad calls kexec_load(2) or, ByFile, kexec_file_load(2). A process whose call fails exits with
// the errno.
type KexecLoad struct {
	New NewKernel
	// Flags are further flags.
	Flags  uint32
	ByFile bool
	// Segments are kexec_load's. Without them they are those that kexec(8) would make.
	Segments []kexec.Segment
	Entry    uint64
	// Crash and Unload are the flags for what is loaded when the kernel crashes, and for
	// unloading: kexec_load has no segments then.
	Crash, Unload bool
	// Takes is how long it takes. Until then nobody else can load, and no crash be dumped.
	Takes time.Duration
}

func (KexecLoad) step() {}

func (s KexecLoad) do(m *Machine, p *process) verdict {
	k, f := m.kexec(), &p.frame
	if s.Takes > 0 && !f.begun && k.TryLock() {
		f.begun, f.until = true, m.later(s.Takes)
	}
	if f.begun {
		if m.now < f.until {
			m.sleepUntil(p, f.until, Uninterruptible)
			return again
		}
		k.Unlock()
	}
	if e := m.kexecLoad(p.capable(CapSysBoot), s); e != 0 {
		m.exit(p, kernel.WaitStatus(e)<<8)
		return gone
	}
	return done
}

// kexecProfile is how a kernel starts others.
type kexecProfile struct {
	arch  kexec.Arch
	rules kexec.Rules
	// shutdown is machine_crash_shutdown, from top to bottom, and stop how it stops the other
	// CPUs.
	shutdown []crashStep
	stop     crashStop
	// once says that nmi_shootdown_cpus warns if it is called again. Before it just did so.
	once bool
	// onceLine is the line of that warning in Debian's kernel, as its table of bugs has it. Of the
	// versions for which it is 0 it is not known, and the line of the log says 0; they are not
	// among the kernels that the model is compared with.
	onceLine int
	// registers says that the handler of its NMI must be registered, which can fail: then nobody is
	// stopped. Debian's 6.1 has a place of its own for it.
	registers bool
	// owns says that crash_kexec() is for the CPU only that gets panic_cpu (4.5).
	owns bool
	// post says that crash_kexec_post_notifiers keeps an oops from starting a kernel (3.16).
	post bool
	// marks says that a stack dump tells that an image is loaded.
	marks bool
	// exact says that the line about crashkernel= has addresses, and finds that a place is
	// looked for if none is given.
	exact, finds bool
	// files is what /sys/kernel has of it.
	files kexecFiles
}

// kexecFiles are the files of /sys/kernel that a version has: each what the one before has, too.
type kexecFiles uint8

const (
	kexecNoFiles   kexecFiles = iota
	kexecLoaded               // kexec_loaded, kexec_crash_loaded and vmcoreinfo
	kexecCrashSize            // kexec_crash_size
	kexecDirectory            // /sys/kernel/kexec, with the old names kept
)

// kernelsToStart is what a machine has of kexec.
type kernelsToStart struct {
	state *kexec.State
	// loaded says what the images are, by kind.
	loaded [2]*NewKernel
	cpu    kexec.CPU
	steps  []kexec.Step
	vmcore *kexec.Vmcore
	// said is what is to be said of crashkernel=.
	said []LogLine
	// crashed says that the image that is being started is the crash image.
	crashed bool
	// regs are the registers of the CPU that starts it.
	regs kexec.Regs
}

// handedOver is what a kernel finds that another one has started.
type handedOver struct {
	memory *kexec.Memory
	// usable is where it may take memory from: the reserved region after a crash.
	usable     kexec.Region
	elfcorehdr uint64
	crashed    bool
}

// Where the model's machines have their memory, and their kernels.
const (
	defaultRAM   = memTotal
	armBase      = 0x60000000
	arm64Base    = 0x40000000
	pcLowEnd     = 0x9fc00
	pcReserved   = 128 << 10 // of firmware, at the end of memory
	pcKernel     = 0x1000000
	pcKernelSize = 0x342f000
	crashAlign   = 16 << 20
	integrator   = 21
)

// ramOf is the memory of a machine.
func (m *Machine) ramOf() []kexec.Region {
	size := m.cfg.Kexec.RAM
	if size == 0 {
		size = defaultRAM
	}
	switch m.kernel.arch {
	case archX86, archMIPS:
		const mib = 1 << 20
		size = max(size, 2*mib)
		return []kexec.Region{
			{Start: 0, Size: pcLowEnd}, {Start: mib, Size: size - mib - pcReserved},
		}
	case archARM:
		return []kexec.Region{{Start: armBase, Size: size}}
	case archARM64:
	}
	return []kexec.Region{{Start: arm64Base, Size: size}}
}

// kernelAt is where a kernel stands in memory that begins somewhere.
func (m *Machine) kernelAt(base uint64) kexec.Region {
	switch m.kernel.arch {
	case archX86:
		return kexec.Region{Start: base + pcKernel, Size: pcKernelSize}
	case archARM, archMIPS:
		return kexec.Region{Start: base + 0x8000, Size: 8 << 20}
	case archARM64:
	}
	return kexec.Region{Start: base + 0x200000, Size: 32 << 20}
}

// setUpKexec reserves memory, and loads what is to be there from the start.
func (m *Machine) setUpKexec() {
	if m.cfg.Namespace {
		return
	}
	if m.from != nil && m.from.elfcorehdr != 0 {
		m.openVmcore()
	}
	c := m.cfg.Kexec.Crash
	if c == nil && m.cfg.Reboot.Image == NoImage && !strings.Contains(m.cfg.Cmdline, "crashkernel=") {
		return // until somebody asks
	}
	k := m.kexec()
	out := m.in("reserve_crashkernel")
	for _, l := range m.kexecs.said {
		m.printk(l.Level, l.Text)
	}
	out()
	if c != nil {
		m.kexecLoad(true, KexecLoad{
			New: *c, Crash: true, ByFile: m.kernel.kexecs.rules.FileFlags != 0,
		})
	}
	switch m.cfg.Reboot.Image {
	case NoImage:
	case ImageLoaded:
		m.kexecLoad(true, KexecLoad{New: NewKernel{Cmdline: m.cfg.Cmdline}})
	case ImageLocked:
		k.TryLock()
	}
}

// kexec is what the kernel keeps of it. It is made when somebody asks first.
func (m *Machine) kexec() *kexec.State {
	if m.kexecs.state != nil {
		return m.kexecs.state
	}
	p := &m.kernel.kexecs
	c := kexec.Config{
		Arch: p.arch, Rules: p.rules, CPUs: m.possibleCPUs(), Lockdown: m.cfg.Kexec.Lockdown,
		MachType: m.cfg.Kexec.MachType, EL2: m.cfg.Kexec.EL2,
		Info: kexec.DefaultInfo(m.kernel.release, m.buildID(), 0),
	}
	if c.MachType == 0 {
		c.MachType = integrator
	}
	if m.from != nil {
		c.Memory, c.Usable = m.from.memory, m.from.usable
	} else {
		c.Memory = kexec.NewMemory(m.ramOf()...)
	}
	ram := c.Memory.RAM()
	base := ram[0].Start
	if c.Usable.Size > 0 {
		base = c.Usable.Start - pcKernel
	}
	c.Kernel = m.kernelAt(base)
	c.Crash = m.reserve(c.Memory, c.Kernel, c.Usable)
	m.kexecs.state = kexec.New(c)
	return m.kexecs.state
}

// buildID is the kernel's.
func (m *Machine) buildID() string { return strings.Repeat("5eed", 10) }

// reserve is crashkernel=: a size, and perhaps where. Where the command line does not say, later
// kernels look from the top of memory down.
func (m *Machine) reserve(mem *kexec.Memory, kern, usable kexec.Region) kexec.Region {
	p := &m.kernel.kexecs
	size, at, ok := m.crashkernel()
	if !ok || size == 0 || p.arch == kexec.MIPS || usable.Size > 0 {
		return kexec.Region{}
	}
	r := kexec.Region{Start: at, Size: size}
	if at == 0 && p.finds {
		r = kexec.Region{}
		for _, ram := range mem.RAM() {
			if ram.Size < size {
				continue
			}
			start := (ram.End() - size) / crashAlign * crashAlign
			if start >= ram.Start && start >= kern.End() {
				r = kexec.Region{Start: start, Size: size}
			}
		}
		if r.Size == 0 {
			m.kexecs.say(kernel.Info, "crashkernel reservation failed - No suitable area found.")
			return r
		}
	}
	if !mem.Has(r.Start, r.Size) || r.Start < kern.End() && kern.Start < r.End() {
		m.kexecs.say(kernel.Warning, fmt.Sprintf(
			"crashkernel reservation failed - memory is in use (0x%x)", r.Start))
		return kexec.Region{}
	}
	m.kexecs.say(kernel.Info, kexec.ReservedLine(r, mem.Size(), p.exact))
	return r
}

// say keeps a line until there is a console.
func (s *kernelsToStart) say(level kernel.Level, text string) {
	s.said = append(s.said, LogLine{Level: level, Text: text})
}

// crashkernel is what the command line says of it. The last one counts.
func (m *Machine) crashkernel() (size, at uint64, ok bool) {
	for word := range strings.FieldsSeq(m.cfg.Cmdline) {
		if text, given := strings.CutPrefix(word, "crashkernel="); given {
			first, second, _ := strings.Cut(text, "@")
			size, ok = kexec.Memparse(first)
			at, _ = kexec.Memparse(second)
		}
	}
	return size, at, ok
}

// usualCrashkernel is what is added for a crash kernel that has none.
func (p *profile) usualCrashkernel() string {
	switch {
	case p.kexecs.finds:
		return "crashkernel=192M"
	case p.arch == archARM:
		return "crashkernel=64M@0x64000000"
	}
	return "crashkernel=64M@128M"
}

// kexecLoad loads an image, or unloads one.
func (m *Machine) kexecLoad(privileged bool, s KexecLoad) kernel.Errno {
	k := m.kexec()
	kind := kexec.NormalImage
	if s.Crash {
		kind = kexec.CrashImage
		if s.ByFile {
			s.Flags |= kexec.FileOnCrash
		} else {
			s.Flags |= kexec.OnCrash
		}
	}
	old := k.Image(kind)
	var e syscall.Errno
	switch {
	case s.ByFile && s.Unload:
		e = k.LoadFile(privileged, kexec.File{}, s.Flags|kexec.FileUnload)
	case s.ByFile:
		e = k.LoadFile(privileged, m.kernelFile(s.New), s.Flags)
	case s.Unload:
		e = k.Load(privileged, s.Entry, nil, s.Flags)
	case s.Segments != nil:
		e = k.Load(privileged, s.Entry, s.Segments, s.Flags)
	default:
		e = m.loadAsKexecTools(privileged, s, kind)
	}
	im := k.Image(kind)
	switch {
	case im == nil:
		m.kexecs.loaded[kind] = nil
	case im != old:
		if im.Cmdline == "" {
			im.Cmdline = s.New.Cmdline
		}
		m.kexecs.loaded[kind] = &s.New
	}
	return e
}

// kernelFile is what kexec_file_load reads.
func (m *Machine) kernelFile(n NewKernel) kexec.File {
	f := kexec.File{Cmdline: n.Cmdline}
	if m.kernel.kexecs.arch == kexec.ARM64 {
		f.Kernel = kexec.ARM64Image(n.Kernel, 32<<20)
	} else {
		f.Kernel = kexec.BzImage(n.Kernel, pcKernelSize)
	}
	return f
}

// loadAsKexecTools calls kexec_load with what kexec(8) makes of a kernel: the kernel, for ARM where it
// expects itself, its parameters, and for a crash the description of memory, of which it tells on the
// command line. On arm64 it does so in the device tree.
func (m *Machine) loadAsKexecTools(privileged bool, s KexecLoad, kind kexec.Kind) syscall.Errno {
	k := m.kexec()
	const page = kexec.PageSize
	base := k.Crash().Start
	if kind == kexec.NormalImage {
		ram := k.Memory().RAM()
		base = ram[len(ram)-1].Start + 64<<20
	}
	cmdline := s.New.Cmdline
	segments := []kexec.Segment{{
		Buf: []byte("kernel " + s.New.Kernel), Mem: base + 0x8000, MemSize: page,
	}}
	entry := base + 0x8000
	if m.kernel.arch == archARM {
		segments = append(segments, kexec.Segment{
			Buf: []byte("ATAGs"), Mem: base + 0x1000, MemSize: page,
		})
	}
	var header uint64
	if kind == kexec.CrashImage {
		b := k.Elfcorehdr()
		header = base + 1<<20
		segments = append(segments, kexec.Segment{Buf: b, Mem: header, MemSize: uint64(len(b))})
		if m.kernel.arch != archARM64 {
			cmdline = strings.TrimSpace(cmdline + " elfcorehdr=" +
				strconv.FormatUint(header>>10, 10) + "K")
		}
	}
	e := k.Load(privileged, entry, segments, s.Flags)
	if im := k.Image(kind); e == 0 && im != nil {
		im.Elfcorehdr, im.Cmdline = header, cmdline
	}
	return e
}

// Kexec is what the kernel keeps of loaded images, to look at.
func (m *Machine) Kexec() *kexec.State { return m.kexec() }

// Handover is how the CPU was handed over to another kernel, if it was: its state, and the functions
// of the kernel on the way.
func (m *Machine) Handover() (kexec.CPU, []kexec.Step) { return m.kexecs.cpu, m.kexecs.steps }

// maxListWords bounds the page list of the model's images, which are small.
const maxListWords = 1 << 20

// machineKexec jumps to an image (machine_kexec). If it comes back the kernel has refused.
func (m *Machine) machineKexec(im *kexec.Image, online int) {
	defer m.in("machine_kexec")()
	k := m.kexec()
	m.kexecs.cpu = k.Running()
	steps, err := k.Handover(im, &m.kexecs.cpu, online, maxListWords)
	m.kexecs.steps = steps
	for _, s := range steps {
		m.trace("machine_kexec", s.Func)
		if s.Says != "" {
			m.printk(kernel.Level(s.Level), s.Says)
		}
	}
	if err == nil {
		_, err = k.Purgatory(im)
	}
	switch {
	case err == nil:
		m.finish(End{How: Kexeced, Text: m.reboot.words.Text})
	case errors.Is(err, kexec.ErrStillOnline):
	default:
		// With the old kernel's memory gone nobody is left to say so.
		m.hang()
	}
}

// nextKernel is the configuration with which an image runs, and what it finds.
func (m *Machine) nextKernel(cfg Config) (Config, *handedOver) {
	k := m.kexec()
	kind := m.kexecs.kind()
	cfg.Reboot.Image, cfg.Kexec.Crash = NoImage, nil
	from := &handedOver{memory: k.Memory(), crashed: kind == kexec.CrashImage}
	im, n := k.Image(kind), m.kexecs.loaded[kind]
	if im == nil || n == nil {
		return cfg, from
	}
	cfg.Cmdline = im.Cmdline
	if n.Kernel != "" {
		cfg.Kernel = n.Kernel
	}
	if from.crashed {
		from.usable = k.Crash()
		from.elfcorehdr = im.Elfcorehdr
		if at, ok := kexec.ElfcorehdrArg(im.Cmdline); ok {
			from.elfcorehdr = at
		}
	}
	return cfg, from
}

// kind is which of the images is running now.
func (s *kernelsToStart) kind() kexec.Kind {
	if s.crashed {
		return kexec.CrashImage
	}
	return kexec.NormalImage
}

// openVmcore makes /proc/vmcore (fs/proc/vmcore.c, vmcore_init).
func (m *Machine) openVmcore() {
	defer m.in("vmcore_init")()
	v, err := kexec.OpenVmcore(m.from.memory, m.kernel.kexecs.arch, m.from.elfcorehdr)
	if err != nil {
		if bad, ok := errors.AsType[*kexec.BadCore](err); ok {
			m.printk(kernel.Warning, bad.Line)
		}
		m.printk(kernel.Warning, "Kdump: vmcore not initialized")
		return
	}
	for _, w := range v.Warnings {
		m.printk(kernel.Warning, w)
	}
	m.kexecs.vmcore = v
}

// Vmcore is /proc/vmcore, or nil. What a process of the model reads of it are but its headers and
// notes: all of it is as long as the memory.
func (m *Machine) Vmcore() *kexec.Vmcore { return m.kexecs.vmcore }

// memory is how much the kernel has, in bytes.
func (m *Machine) memory() int64 {
	if m.from != nil && m.from.usable.Size > 0 {
		return int64(m.from.usable.Size)
	}
	size := int64(m.cfg.Kexec.RAM)
	if size == 0 {
		size = defaultRAM
	}
	if k := m.kexecs.state; k != nil {
		size -= int64(k.Crash().Size)
	}
	return size
}

// limitCPUs is nr_cpus= on the command line: how many there can be at most.
func limitCPUs(cmdline string, n int) int {
	for word := range strings.FieldsSeq(cmdline) {
		if text, ok := strings.CutPrefix(word, "nr_cpus="); ok {
			if limit, err := strconv.Atoi(text); err == nil && limit > 0 {
				n = min(n, limit)
			}
		}
	}
	return n
}

// procVmcore is its name in proc.
const procVmcore = "vmcore"

// vmcoreHead is what a process reads of it.
func (m *Machine) vmcoreHead() string {
	b := make([]byte, m.kexecs.vmcore.HeadSize())
	n, _ := m.kexecs.vmcore.ReadAt(b, 0)
	return string(b[:n])
}

// kdumpLoaded is what a stack dump says of it (lib/dump_stack.c, dump_stack_print_info).
func (m *Machine) kdumpLoaded() string {
	if m.kernel.kexecs.marks && m.isLoaded(kexec.CrashImage) {
		return "Kdump: loaded "
	}
	return ""
}

// isLoaded reports whether there is an image of a kind.
func (m *Machine) isLoaded(kind kexec.Kind) bool {
	k := m.kexecs.state
	return k != nil && k.Image(kind) != nil
}

// kexecFile is the text of a file of /sys/kernel that a version has from some set of them on.
func (m *Machine) kexecFile(from kexecFiles, text string) (string, kernel.Errno) {
	if m.kernel.kexecs.files < from {
		return "", kernel.ENOENT
	}
	return text, 0
}

func (m *Machine) loadedText() (string, kernel.Errno) {
	return m.kexecFile(kexecLoaded, strconv.Itoa(digit(m.isLoaded(kexec.NormalImage))))
}

func (m *Machine) crashLoadedText() (string, kernel.Errno) {
	return m.kexecFile(kexecLoaded, strconv.Itoa(digit(m.isLoaded(kexec.CrashImage))))
}

func (m *Machine) vmcoreinfoText() (string, kernel.Errno) {
	return m.kexecFile(kexecLoaded, strings.TrimSuffix(m.kexec().Vmcoreinfo(), "\n"))
}

func (m *Machine) crashSizeText() (string, kernel.Errno) {
	n, e := m.kexec().CrashSize()
	if m.kernel.kexecs.files < kexecCrashSize {
		return "", kernel.ENOENT
	}
	return strconv.FormatUint(n, 10), e
}

// The same in the directory of later versions.

func (m *Machine) loadedInDir() (string, kernel.Errno) {
	return m.kexecFile(kexecDirectory, strconv.Itoa(digit(m.isLoaded(kexec.NormalImage))))
}

func (m *Machine) crashLoadedInDir() (string, kernel.Errno) {
	return m.kexecFile(kexecDirectory, strconv.Itoa(digit(m.isLoaded(kexec.CrashImage))))
}

func (m *Machine) crashSizeInDir() (string, kernel.Errno) {
	if m.kernel.kexecs.files < kexecDirectory {
		return "", kernel.ENOENT
	}
	return m.crashSizeText()
}

// setCrashSize shrinks the region (kernel/ksysfs.c, kexec_crash_size_store).
func (m *Machine) setCrashSize(_ *process, text string) kernel.Errno {
	n, err := strconv.ParseUint(strings.TrimSuffix(text, "\n"), 0, 64)
	if err != nil {
		return kernel.EINVAL
	}
	return m.kexec().Shrink(n)
}

// kexecLoadDisabled is a knob that is 1 for ever once it is.
func (m *Machine) kexecLoadDisabled() string {
	return strconv.Itoa(digit(m.kexecs.state != nil && m.kexecs.state.Disabled()))
}

func (m *Machine) setKexecLoadDisabled(string) { m.kexec().SetDisabled(1) }

// limitsKexec says that there are the limits (6.3).
func (m *Machine) limitsKexec() bool { return m.kernel.kexecs.rules.Limits }

func (m *Machine) loadLimit(kind kexec.Kind) string { return strconv.Itoa(m.kexec().Limit(kind)) }

// setLoadLimit writes a limit (kernel/kexec_core.c, kexec_limit_handler).
func (m *Machine) setLoadLimit(kind kexec.Kind, value string) kernel.Errno {
	n, err := strconv.Atoi(value)
	if err != nil {
		return kernel.EINVAL
	}
	return m.kexec().SetLimit(kind, n)
}
