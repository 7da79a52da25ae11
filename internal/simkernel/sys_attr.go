package simkernel

import (
	"strconv"
	"strings"
	"syscall"

	"github.com/rebound-init/rebound/internal/kernel"
)

// sysAttr is a file of sysfs that is not of a device: a parameter of a module, or what stands in
// /sys/kernel.
type sysAttr struct {
	path string // below /sys
	kind attrKind
	// value is its default, knob the one of /proc/sys that is the same variable.
	value, knob string
	mode        uint16 // 0644 if 0
	// get and set are for what stands elsewhere in the model.
	get func(m *Machine) (string, kernel.Errno)
	set func(m *Machine, p *process, text string) kernel.Errno
}

// attrKind is how a parameter is read and written (kernel/params.c).
type attrKind uint8

const (
	attrInt attrKind = iota
	attrUint
	attrULong
	attrBool // Y or N
	attrText
)

// sysAttrs are all of them. A word of the command line sets a parameter of the kernel by its name,
// and another's by module.name.
var sysAttrs = [...]sysAttr{
	{path: "kernel/kexec/crash_loaded", mode: 0o444, get: (*Machine).crashLoadedInDir},
	{path: "kernel/kexec/crash_size", get: (*Machine).crashSizeInDir, set: (*Machine).setCrashSize},
	{path: "kernel/kexec/loaded", mode: 0o444, get: (*Machine).loadedInDir},
	{path: "kernel/kexec_crash_loaded", mode: 0o444, get: (*Machine).crashLoadedText},
	{path: "kernel/kexec_crash_size", get: (*Machine).crashSizeText, set: (*Machine).setCrashSize},
	{path: "kernel/kexec_loaded", mode: 0o444, get: (*Machine).loadedText},
	{path: "kernel/vmcoreinfo", mode: 0o444, get: (*Machine).vmcoreinfoText},
	{path: "module/kernel/parameters/crash_kexec_post_notifiers", kind: attrBool, value: "N"},
	{path: "module/kernel/parameters/panic", knob: "kernel/panic"},
	{path: "module/kernel/parameters/panic_on_warn", knob: "kernel/panic_on_warn"},
	{path: "module/kernel/parameters/panic_print", kind: attrULong, knob: "kernel/panic_print"},
	{path: "module/kernel/parameters/pause_on_oops", value: "0"},
	{path: "kernel/oops_count", mode: 0o444, get: (*Machine).oopsCount},
	{path: "kernel/warn_count", mode: 0o444, get: (*Machine).warnCount},
	{path: "module/printk/parameters/always_kmsg_dump", kind: attrBool, value: "N"},
	pstoreAttr("backend", 0o444),
	pstoreAttr("compress", 0o444),
	pstoreAttr("kmsg_bytes", 0o444),
	pstoreAttr("update_ms", 0o600),
	ramoopsAttr("console_size"),
	ramoopsAttr("dump_oops"),
	ramoopsAttr("ecc"),
	ramoopsAttr("ftrace_size"),
	ramoopsAttr("max_reason"),
	ramoopsAttr("mem_address"),
	ramoopsAttr("mem_size"),
	ramoopsAttr("mem_type"),
	ramoopsAttr("pmsg_size"),
	ramoopsAttr("record_size"),
	{path: "module/rcupdate/parameters/rcu_cpu_stall_suppress", value: "0"},
	{path: "module/watchdog/parameters/handle_boot_enabled", kind: attrBool, value: "Y"},
	{path: "module/watchdog/parameters/open_timeout", kind: attrUint, value: "0"},
	{path: "module/watchdog/parameters/stop_on_reboot", value: "-1", mode: 0o444},
	{path: "module/rcupdate/parameters/rcu_cpu_stall_timeout", value: "21"},
}

// moduleOfKernel is the module whose parameters need no prefix on the command line.
const moduleOfKernel = "module/kernel/parameters/"

// findAttr finds a file of sysfs.
func findAttr(path string) *sysAttr {
	for i := range sysAttrs {
		if sysAttrs[i].path == path {
			return &sysAttrs[i]
		}
	}
	return nil
}

// ownAttr is one that this kernel has, or nil.
func (m *Machine) ownAttr(path string) *sysAttr {
	if !m.kernel.knows(path) {
		return nil
	}
	return findAttr(path)
}

// attr is the text of one, without the newline.
func (m *Machine) attr(path string) (string, kernel.Errno) {
	a := m.ownAttr(path)
	switch {
	case a == nil:
		return "", kernel.ENOENT
	case a.get != nil:
		return a.get(m)
	case a.knob != "":
		return m.knobValue(findKnob(a.knob)), 0
	}
	if v, ok := m.attrs[path]; ok {
		return v, 0
	}
	return a.value, 0
}

// writeAttr writes one.
func (m *Machine) writeAttr(p *process, path, text string) kernel.Errno {
	a := m.ownAttr(path)
	switch {
	case a == nil:
		return kernel.ENOENT
	case a.set != nil:
		return a.set(m, p, text)
	}
	v, e := a.parse(strings.TrimSuffix(text, "\n"))
	if e != 0 {
		return e
	}
	if a.knob != "" {
		// The parameter's own type counts, and not the knob's range.
		m.keepKnob(a.knob, v)
		return 0
	}
	if m.attrs == nil {
		m.attrs = make(map[string]string)
	}
	m.attrs[path] = v
	return 0
}

// parse reads what is written to a parameter (kernel/params.c, param_set_int and its like).
func (a *sysAttr) parse(s string) (string, kernel.Errno) {
	switch a.kind {
	case attrBool:
		return parseBool(s)
	case attrInt:
		n, err := strconv.ParseInt(s, 0, 32)
		if err != nil {
			return "", paramErrno(err)
		}
		return strconv.FormatInt(n, 10), 0
	case attrUint, attrULong:
		bits := 32
		if a.kind == attrULong {
			bits = 64
		}
		n, err := strconv.ParseUint(s, 0, bits)
		if err != nil {
			return "", paramErrno(err)
		}
		return strconv.FormatUint(n, 10), 0
	case attrText:
	}
	return s, 0
}

func paramErrno(err error) kernel.Errno {
	if strings.Contains(err.Error(), strconv.ErrRange.Error()) {
		return syscall.ERANGE
	}
	return kernel.EINVAL
}

// parseBool is kstrtobool (lib/kstrtox.c): the first letter counts, or two after an o.
func parseBool(s string) (string, kernel.Errno) {
	if s == "" {
		return "", kernel.EINVAL
	}
	switch s[0] {
	case 'y', 'Y', 't', 'T', '1':
		return "Y", 0
	case 'n', 'N', 'f', 'F', '0':
		return "N", 0
	case 'o', 'O':
		if len(s) > 1 {
			switch s[1] {
			case 'n', 'N':
				return "Y", 0
			case 'f', 'F':
				return "N", 0
			}
		}
	}
	return "", kernel.EINVAL
}

// attrIsSet reports whether a parameter is Y, or a number other than 0.
func (m *Machine) attrIsSet(path string) bool {
	v, e := m.attr(path)
	return e == 0 && v != "N" && v != "0" && v != ""
}

// attrArgument takes a word of the command line that is a parameter of a module.
func (m *Machine) attrArgument(key, value string, given bool) {
	path := moduleOfKernel + key
	if module, name, ok := strings.Cut(key, "."); ok {
		path = "module/" + module + "/parameters/" + name
	}
	a := m.ownAttr(path)
	if a == nil || a.knob != "" {
		return // the knob's own argument
	}
	if !given && a.kind == attrBool {
		value = "Y"
	}
	m.writeAttr(nil, path, value)
}

// statAttr says what is at a path below /sys: one of these, or a directory of theirs.
func (m *Machine) statAttr(path string) (nodeKind, uint16, bool) {
	if a := findAttr(path); a != nil {
		if _, e := m.attr(path); e == kernel.ENOENT {
			return 0, 0, false
		}
		if a.mode == 0 {
			return kindFile, 0o644, true
		}
		return kindFile, a.mode, true
	}
	for i := range sysAttrs {
		if !strings.HasPrefix(sysAttrs[i].path, path+"/") {
			continue
		}
		if _, e := m.attr(sysAttrs[i].path); e != kernel.ENOENT {
			return kindDir, 0o755, true
		}
	}
	return 0, 0, false
}

// listAttrs are the names of theirs in a directory.
func (m *Machine) listAttrs(dir string) []string {
	var names []string
	for i := range sysAttrs {
		rest, ok := strings.CutPrefix(sysAttrs[i].path, dir+"/")
		if !ok {
			continue
		}
		name, _, _ := strings.Cut(rest, "/")
		if _, _, ok := m.statAttr(dir + "/" + name); ok {
			names = append(names, name)
		}
	}
	return names
}
