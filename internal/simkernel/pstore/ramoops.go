package pstore

import (
	"errors"
	"fmt"
	"math/bits"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Params are the parameters of the module ramoops. Sizes are in bytes.
type Params struct {
	MemAddress  uint64
	MemSize     int
	RecordSize  int
	ConsoleSize int
	FtraceSize  int
	PmsgSize    int
	// ECC is how many bytes of parity each block of 128 has; 1 means 16.
	ECC int
	// MaxReason is the highest reason that is kept; negative leaves it to DumpOops, and if that is
	// negative too it is Oops. Kernels before 5.8 know DumpOops alone.
	MaxReason int
	DumpOops  int
	// MemType is how the memory is mapped, which nobody sees.
	MemType int
}

// DefaultParams are those of the module that is loaded with none: it does nothing then, because
// MemSize is 0.
func DefaultParams() Params {
	const page = 4096
	return Params{
		RecordSize: page, ConsoleSize: page, FtraceSize: page, PmsgSize: page,
		MaxReason: -1, DumpOops: -1,
	}
}

// Set takes one parameter by its name, as on the command line of the kernel behind "ramoops.".
func (p *Params) Set(name, value string) error {
	n, err := strconv.ParseUint(value, 0, 64)
	if signed, e := strconv.ParseInt(value, 0, 32); err != nil && e == nil {
		n, err = uint64(signed), nil
	}
	if err != nil {
		return fmt.Errorf("pstore: ramoops.%s=%s: %w", name, value, syscall.EINVAL)
	}
	switch name {
	case "mem_address":
		p.MemAddress = n
	case "mem_size":
		p.MemSize = int(n)
	case "record_size":
		p.RecordSize = int(n)
	case "console_size":
		p.ConsoleSize = int(n)
	case "ftrace_size":
		p.FtraceSize = int(n)
	case "pmsg_size":
		p.PmsgSize = int(n)
	case "ecc":
		p.ECC = int(n)
	case "max_reason":
		p.MaxReason = int(n)
	case "dump_oops":
		p.DumpOops = int(n)
	case "mem_type":
		p.MemType = int(n)
	default:
		return fmt.Errorf("pstore: ramoops.%s: %w", name, syscall.ENOENT)
	}
	return nil
}

// Get is one parameter as /sys/module/ramoops/parameters shows it.
func (p *Params) Get(name string) (string, bool) {
	switch name {
	case "mem_address":
		return strconv.FormatUint(p.MemAddress, 10), true
	case "mem_size":
		return strconv.Itoa(p.MemSize), true
	case "record_size":
		return strconv.Itoa(p.RecordSize), true
	case "console_size":
		return strconv.Itoa(p.ConsoleSize), true
	case "ftrace_size":
		return strconv.Itoa(p.FtraceSize), true
	case "pmsg_size":
		return strconv.Itoa(p.PmsgSize), true
	case "ecc":
		return strconv.Itoa(p.ECC), true
	case "max_reason":
		return strconv.Itoa(p.MaxReason), true
	case "dump_oops":
		return strconv.Itoa(p.DumpOops), true
	case "mem_type":
		return strconv.Itoa(p.MemType), true
	}
	return "", false
}

// highest is the highest reason that is kept.
func (p *Params) highest() Reason {
	switch {
	case p.MaxReason >= 0:
		return Reason(p.MaxReason)
	case p.DumpOops == 0:
		return Panic
	}
	return Oops
}

func powerOfTwo(n int) int {
	if n <= 0 {
		return 0
	}
	return 1 << (bits.Len(uint(n)) - 1)
}

// Ramoops keeps records in memory that outlives a reset.
type Ramoops struct {
	rules  Rules
	params Params
	dumps  []*zone
	next   int // the zone that the next dump is written to, from 0 at each boot
	// These three may be absent.
	console, pmsg *zone
	ftrace        []*zone
}

// A LayoutError says which zones do not fit into the memory.
type LayoutError struct {
	Zone string
	Err  error
}

func (e *LayoutError) Error() string { return "pstore: the zones of " + e.Zone + ": " + e.Err.Error() }

func (e *LayoutError) Unwrap() error { return e.Err }

// LoadRamoops is the module being loaded: it takes over what stands in the memory, which is
// Params.MemSize bytes, and registers. CPUs is how many the machine may have. The driver does nothing,
// and there is no error, if MemSize is 0. The parameters become those that are in force.
func (s *Store) LoadRamoops(mem []byte, p *Params, cpus int, now time.Time) ([]Line, error) {
	if p.MemSize == 0 {
		return nil, nil
	}
	lines := []Line{{kernInfo, "ramoops: using module parameters"}}
	r, told, err := attach(s.rules, mem, *p, cpus)
	lines = append(lines, told...)
	if err != nil {
		return append(lines, s.rules.probeFailed(err)), err
	}
	told, err = s.Register(r, now)
	lines = append(lines, told...)
	if err != nil {
		lines = append(lines, Line{kernErr, "ramoops: registering with pstore failed"})
		return append(lines, s.rules.probeFailed(registerErrno(err))), err
	}
	ecc := p.ECC
	*p = r.params
	p.ECC = ecc // this one stays as it was given
	if s.rules.reasonsByDumper {
		p.MaxReason = int(p.highest())
	}
	if s.rules.attached {
		block := 0
		return append(lines, Line{kernInfo, fmt.Sprintf("ramoops: attached 0x%x@0x%x, ecc: %d/%d",
			r.params.MemSize, r.params.MemAddress, r.params.ECC, block)}), nil
	}
	return append(lines, Line{kernInfo, fmt.Sprintf("ramoops: using 0x%x@0x%x, ecc: %d",
		r.params.MemSize, r.params.MemAddress, r.params.ECC)}), nil
}

func registerErrno(err error) error {
	if errors.Is(err, ErrOther) {
		return syscall.EPERM
	}
	return syscall.EBUSY
}

// probeFailed is what the driver core says of a driver that has refused its device.
func (r Rules) probeFailed(err error) Line {
	var errno syscall.Errno
	errors.As(err, &errno)
	if r.Major*1000+r.Minor >= 6008 {
		return Line{kernErr, fmt.Sprintf("ramoops ramoops: probe with driver ramoops failed with error %d",
			-int(errno))}
	}
	return Line{kernWarn, fmt.Sprintf("ramoops: probe of ramoops failed with error %d", -int(errno))}
}

// attach lays the zones out (fs/pstore/ram.c, ramoops_probe).
func attach(rules Rules, mem []byte, p Params, cpus int) (*Ramoops, []Line, error) {
	if p.ECC == 1 {
		p.ECC = 16
	}
	if rules.bare {
		p.MemSize = powerOfTwo(p.MemSize)
	}
	if p.MemSize <= 0 || p.RecordSize == 0 && p.ConsoleSize == 0 && p.FtraceSize == 0 && p.PmsgSize == 0 {
		return nil, []Line{{
			kernErr,
			"ramoops: The memory size and the record/console size must be non-zero",
		}}, syscall.EINVAL
	}
	for _, size := range []*int{&p.RecordSize, &p.ConsoleSize, &p.FtraceSize, &p.PmsgSize} {
		*size = powerOfTwo(*size)
	}
	if len(mem) < p.MemSize {
		return nil, nil, &LayoutError{"memory", syscall.ENOMEM}
	}
	r := &Ramoops{rules: rules, params: p}
	l := layout{rules: rules, params: p, mem: mem[:p.MemSize]}
	dumpMem := p.MemSize - p.ConsoleSize - p.FtraceSize - p.PmsgSize
	count := 0
	if p.RecordSize > 0 && dumpMem != 0 {
		if count = dumpMem / p.RecordSize; dumpMem < 0 {
			count = 1 // a size that has wrapped around: there is no room for it
		}
		if count == 0 {
			return nil, []Line{{kernErr, fmt.Sprintf("ramoops ramoops: dmesg record count == 0 (%d / %d)",
				dumpMem, p.RecordSize)}}, &LayoutError{"dmesg", syscall.ENOMEM}
		}
	}
	if rules.bare {
		dumpMem = count * p.RecordSize
	}
	r.dumps = l.zones("dmesg", dumpMem, count, 0, false)
	r.console = first(l.zones("console", p.ConsoleSize, 1, 0, true))
	pmsg := func() { r.pmsg = first(l.zones("pmsg", p.PmsgSize, 1, 0, true)) }
	if rules.pmsgFirst {
		pmsg()
	}
	perCPU := max(cpus, 1)
	if rules.bare {
		perCPU = 1
	}
	r.ftrace = l.zones("ftrace", p.FtraceSize, perCPU, rules.code(), rules.bare)
	if !rules.pmsgFirst {
		pmsg()
	}
	if l.err != nil {
		return nil, l.lines, l.err
	}
	return r, l.lines, nil
}

func first(zones []*zone) *zone {
	if len(zones) == 0 {
		return nil
	}
	return zones[0]
}

// layout cuts memory into zones from its beginning. The first error stays.
type layout struct {
	rules  Rules
	params Params
	mem    []byte
	at     int
	lines  []Line
	err    error
}

func (l *layout) zones(name string, size, count int, mark uint32, once bool) []*zone {
	if l.err != nil || size == 0 || count == 0 {
		return nil
	}
	address := l.params.MemAddress + uint64(l.at)
	if size < 0 || l.at+size > len(l.mem) {
		l.fail(name, Line{kernErr, fmt.Sprintf(
			"ramoops ramoops: no room for %s mem region (0x%x@0x%x) in (0x%x@0x%x)", name,
			uint64(size), address, len(l.mem), l.params.MemAddress)}, syscall.ENOMEM)
		return nil
	}
	each := size / count
	if !l.rules.bare && (name == "dmesg" || name == "ftrace") {
		each &^= 1
	}
	var zones []*zone
	for i := range count {
		label := name
		if count > 1 {
			label = fmt.Sprintf("%s(%d/%d)", name, i, count-1)
		}
		// A zone need not be a power of two, nor begin where a page does.
		z, told, err := newZone(l.mem[l.at:][:each:each], mark, l.params.ECC, once)
		l.lines = append(l.lines, told...)
		if err != nil {
			l.lines = append(l.lines, Line{kernWarn, "ramoops: ECC failed ramoops:" + label})
			l.fail(name, Line{kernErr, fmt.Sprintf(
				"ramoops ramoops: failed to request %s mem region (0x%x@0x%x): %d", name, each,
				l.params.MemAddress+uint64(l.at), -int(syscall.EINVAL))}, syscall.EINVAL)
			return nil
		}
		zones = append(zones, z)
		l.at += each
	}
	return zones
}

func (l *layout) fail(name string, line Line, err error) {
	l.lines, l.err = append(l.lines, line), &LayoutError{name, err}
}

// Name is the backend's, as in the names of files.
func (r *Ramoops) Name() string { return "ramoops" }

// BufSize is the room of a zone for dumps, behind its header and without its parity.
func (r *Ramoops) BufSize() int {
	if r.rules.bare {
		return r.params.RecordSize
	}
	if len(r.dumps) == 0 {
		return 0
	}
	return len(r.dumps[0].data)
}

// MaxReason is that of the parameters. Kernels before 5.8 did not tell it to the front end.
func (r *Ramoops) MaxReason() Reason {
	if !r.rules.reasonsByDumper {
		return Undefined
	}
	return r.params.highest()
}

// Write keeps a record (ramoops_pstore_write). Of a dump it keeps the first part only.
func (r *Ramoops) Write(record Record) error {
	switch record.Type {
	case TypeConsole:
		return writeRing(r.console, record.Data)
	case TypePmsg:
		return writeRing(r.pmsg, record.Data)
	case TypeDmesg:
	case TypeFtrace:
		return syscall.EINVAL
	}
	if !r.rules.reasonsByDumper {
		keep := record.Reason == Panic || record.Reason == Oops && r.params.DumpOops != 0
		if !keep {
			return syscall.EINVAL
		}
	}
	if record.Part != 1 || len(r.dumps) == 0 {
		return syscall.ENOSPC
	}
	z := r.dumps[r.next]
	if !r.rules.bare {
		z.zap()
	}
	header := r.header(record)
	z.write(header)
	z.write(record.Data[:max(0, min(len(record.Data), len(z.data)-len(header)))])
	r.next = (r.next + 1) % len(r.dumps)
	return nil
}

func writeRing(z *zone, data []byte) error {
	if z == nil {
		return syscall.ENOMEM
	}
	z.write(data)
	return nil
}

const mark = "===="

func (r *Ramoops) header(record Record) []byte {
	sec, usec := record.Time.Unix(), record.Time.Nanosecond()/1000
	if r.rules.bare {
		return fmt.Appendf(nil, "%s%d.%d\n", mark, sec, usec)
	}
	letter := 'D'
	if record.Compressed {
		letter = 'C'
	}
	return fmt.Appendf(nil, "%s%d.%06d-%c\n", mark, sec, usec, letter)
}

// parseHeader reads a dump's header as ramoops_read_kmsg_hdr does, and returns its length, or 0. The
// kernel's sscanf passes over white space for the newline: any amount, also none.
func parseHeader(data string) (at time.Time, compressed bool, length int) {
	rest, ok := strings.CutPrefix(data, mark)
	if !ok {
		return time.Time{}, false, 0
	}
	sec, rest, ok := number(rest, true)
	if !ok || !strings.HasPrefix(rest, ".") {
		return time.Time{}, false, 0
	}
	usec, rest, ok := number(rest[1:], false)
	if !ok {
		return time.Time{}, false, 0
	}
	if len(rest) >= 2 && rest[0] == '-' {
		compressed, rest = rest[1] == 'C', rest[2:]
	}
	rest = skipSpace(rest)
	return time.Unix(sec, usec*1000).UTC(), compressed, len(data) - len(rest)
}

// skipSpace passes over what the kernel takes for white space; 0xa0 is.
func skipSpace(s string) string {
	i := 0
	for i < len(s) && (s[i] == ' ' || s[i] >= '\t' && s[i] <= '\r' || s[i] == 0xa0) {
		i++
	}
	return s[i:]
}

// number reads digits, behind white space and perhaps a minus.
func number(s string, signed bool) (int64, string, bool) {
	s = skipSpace(s)
	n := 0
	if signed && strings.HasPrefix(s, "-") {
		n++
	}
	digits := n
	for n < len(s) && s[n] >= '0' && s[n] <= '9' {
		n++
	}
	v, err := strconv.ParseInt(s[:n], 10, 64)
	// Beyond an int64 the kernel's number wraps around, and the time is nonsense either way.
	return v, s[n:], n > digits && (err == nil || errors.Is(err, strconv.ErrRange))
}

// Records reads the zones (ramoops_pstore_read): dumps, console, messages of programs. A dump
// without a header is erased. What ftrace has left is not read.
func (r *Ramoops) Records() []Record {
	var all []Record
	single := func(t Type, z *zone) bool {
		if z == nil || len(z.old) == 0 {
			return false
		}
		all = append(all, Record{Type: t, Data: z.old, Notice: z.notice()})
		return true
	}
	rings := []func() bool{
		func() bool { return single(TypeConsole, r.console) },
		func() bool { return single(TypePmsg, r.pmsg) },
	}
	ring := func() bool {
		for len(rings) > 0 {
			read := rings[0]
			rings = rings[1:]
			if read() {
				return true
			}
		}
		return false
	}
	for i, z := range r.dumps {
		z.saveOld()
		switch {
		case len(z.old) > 0 && r.rules.bare:
			all = append(all, Record{Type: TypeDmesg, ID: uint64(i), Data: z.old, Notice: z.notice()})
		case len(z.old) > 0:
			at, compressed, n := parseHeader(string(z.old))
			if n == 0 {
				z.old = nil
				z.zap()
				continue
			}
			all = append(all, Record{
				Type: TypeDmesg, ID: uint64(i), Time: at, Compressed: compressed,
				Data: z.old[n:], Notice: z.notice(),
			})
		case r.rules.bare && !ring():
			// The old driver takes an empty zone for the end, unless another ring is at hand.
			return all
		}
	}
	for ring() {
	}
	return all
}

// Erase empties a record's zone.
func (r *Ramoops) Erase(record Record) error {
	var z *zone
	switch record.Type {
	case TypeDmesg:
		if record.ID >= uint64(len(r.dumps)) {
			return syscall.EINVAL
		}
		z = r.dumps[record.ID]
	case TypeConsole:
		z = r.console
	case TypePmsg:
		z = r.pmsg
	case TypeFtrace:
	}
	if z == nil {
		return syscall.EINVAL
	}
	z.old = nil
	z.zap()
	return nil
}
