package pstore

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// machine is memory that outlives kernels, and the kernel that has it at the moment.
type machine struct {
	t      testing.TB
	rules  Rules
	mem    []byte
	params Params
	set    Settings
	*Store
}

func newMachine(t testing.TB, r Rules, p Params) *machine {
	m := &machine{t: t, rules: r, mem: make([]byte, p.MemSize), params: p, set: Defaults()}
	m.reset()
	return m
}

// reset is a warm one.
func (m *machine) reset() []Line {
	m.t.Helper()
	m.Store = New(m.rules, m.set)
	p := m.params
	lines, err := m.LoadRamoops(m.mem, &p, 1, booted())
	if err != nil {
		m.t.Fatal(err, lines)
	}
	return append(lines, m.Mount(booted())...)
}

func (m *machine) names() []string {
	var names []string
	for _, f := range m.Files() {
		names = append(names, f.Name)
	}
	return names
}

// log is n lines of a log that ends with the given one.
func log(n int, last string) []string {
	var lines []string
	for i := range n - 1 {
		lines = append(lines, fmt.Sprintf("<6>[%5d.%06d] line %d of the log\n", i/100, i*7919%1000000, i))
	}
	return append(lines, "<0>[  123.456789] "+last+"\n")
}

func text(lines []Line) []string {
	var all []string
	for _, l := range lines {
		all = append(all, l.Text)
	}
	return all
}

// TestLayout: where the zones begin. The first row is where a kernel of 6.1 put them. [Kernel 8.12]
func TestLayout(t *testing.T) {
	for _, c := range []struct {
		name         string
		major, minor int
		cpus         int
		params       Params
		dumps        []int
		others       []int // console, pmsg, ftrace...
	}{
		{
			"odd zones are shortened by a byte", 6, 1, 1, params(0x10000, 0x4000),
			[]int{0, 0x4554, 0x8aa8},
			[]int{0xcffc, 0xeffc, 0xdffc},
		},
		{
			"6.12 has pmsg before ftrace", 6, 12, 1, params(0x10000, 0x4000),
			[]int{0, 0x4554, 0x8aa8},
			[]int{0xcffc, 0xdffc, 0xeffc},
		},
		{
			"one of ftrace for each CPU", 6, 1, 2, params(0x8000, 0x4000),
			[]int{0},
			[]int{0x5000, 0x7000, 0x6000, 0x6800},
		},
		{
			"sizes are rounded down", 6, 1, 1, params(0x10000, 0x7fff),
			[]int{0, 0x4554, 0x8aa8},
			[]int{0xcffc, 0xeffc, 0xdffc},
		},
		{
			"3.10 leaves the rest unused", 3, 10, 1, params(0x10000, 0x4000),
			[]int{0, 0x4000, 0x8000},
			[]int{0xc000, 0xe000, 0xd000},
		},
		{
			"3.10 rounds the memory too", 3, 10, 1, params(0x1ffff, 0x8000),
			[]int{0},
			[]int{0x8000, 0xa000, 0x9000},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			mem := make([]byte, 0x20000)
			r, lines, err := attach(rules(t, c.major, c.minor), mem, c.params, c.cpus)
			if err != nil {
				t.Fatal(err, lines)
			}
			at := func(zones ...*zone) (all []int) {
				for _, z := range zones {
					clear(mem)
					z.mem[0] = 1
					all = append(all, bytes.IndexByte(mem, 1))
				}
				return all
			}
			dumps := at(r.dumps...)
			others := at(append([]*zone{r.console, r.pmsg}, r.ftrace...)...)
			if !slices.Equal(dumps, c.dumps) || !slices.Equal(others, c.others) {
				t.Errorf("\ngot  %#x, %#x\nwant %#x, %#x", dumps, others, c.dumps, c.others)
			}
		})
	}
}

// TestRefusedLayouts: what the driver says of parameters that cannot be. [Kernel 8.20]
func TestRefusedLayouts(t *testing.T) {
	ecc := bare(params(0x1000, 0x1000))
	ecc.ECC = 120
	for _, c := range []struct {
		name   string
		minor  int
		params Params
		want   []string
		errno  syscall.Errno
	}{
		{"nothing to keep", 1, bare(Params{MemSize: 0x1000, MaxReason: -1}), []string{
			"ramoops: using module parameters",
			"ramoops: The memory size and the record/console size must be non-zero",
			"ramoops: probe of ramoops failed with error -22",
		}, syscall.EINVAL},
		{"no room for one record", 1, params(0x4000, 0x2000), []string{
			"ramoops: using module parameters",
			"ramoops ramoops: dmesg record count == 0 (4096 / 8192)",
			"ramoops: probe of ramoops failed with error -12",
		}, syscall.ENOMEM},
		{"less than the other zones", 1, params(0x2000, 0x1000), []string{
			"ramoops: using module parameters",
			"ramoops ramoops: no room for dmesg mem region (0xfffffffffffff000@0x8000000)" +
				" in (0x2000@0x8000000)",
			"ramoops: probe of ramoops failed with error -12",
		}, syscall.ENOMEM},
		{"6.12 has another last line", 12, params(0x4000, 0x2000), []string{
			"ramoops: using module parameters",
			"ramoops ramoops: dmesg record count == 0 (4096 / 8192)",
			"ramoops ramoops: probe with driver ramoops failed with error -12",
		}, syscall.ENOMEM},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := New(rules(t, 6, c.minor), Defaults())
			lines, err := s.LoadRamoops(make([]byte, 0x10000), &c.params, 1, booted())
			if !errors.Is(err, c.errno) || !slices.Equal(text(lines), c.want) {
				t.Errorf("\ngot  %v %q\nwant %v %q", err, text(lines), c.errno, c.want)
			}
		})
	}
	if _, err := New(rules(t, 6, 1), Defaults()).LoadRamoops(make([]byte, 0x1000), &ecc, 1, booted()); err != nil {
		t.Errorf("120 bytes of parity: got %v, want none", err)
	}
}

// TestRecordsRotate: the third dump of two zones takes the first's place, and a boot starts with the
// first again, whatever stands there. [Kernel 8.16]
func TestRecordsRotate(t *testing.T) {
	m := newMachine(t, rules(t, 6, 1), bare(params(0x4000, 0x2000)))
	for i, last := range []string{"one", "two", "three"} {
		m.Dump(Oops, false, booted().Add(time.Duration(i)*time.Second), log(30, last))
	}
	m.reset()
	want := []string{"Oops#3 Part1", "Oops#2 Part1"}
	var got []string
	for _, f := range m.Files() {
		head, _, _ := strings.Cut(string(f.Data), "\n")
		got = append(got, head)
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if err := m.Unlink("dmesg-ramoops-1"); err != nil {
		t.Fatal(err)
	}
	m.Dump(Panic, false, booted(), log(30, "four"))
	m.reset()
	if got := m.names(); !slices.Equal(got, []string{"dmesg-ramoops-0"}) {
		t.Errorf("files: got %q, want the first alone: it was overwritten though the second was free", got)
	}
	if !strings.HasPrefix(string(m.Files()[0].Data), "Panic#1 Part1\n") {
		t.Errorf("got %.20q, want the panic of the second boot", m.Files()[0].Data)
	}
}

// TestOnlyTheNewestPart: of a log that is longer than the buffer the newest whole lines are kept.
// [Kernel 8.7, 8.9]
func TestOnlyTheNewestPart(t *testing.T) {
	for _, c := range []struct {
		major, minor int
		compress     string
		most         int // bytes of the file
		words        string
		told         []string
	}{
		{6, 1, "deflate", (8192 - 12) * 100 / 45, "Shutdown", nil},
		{6, 1, "none", 8192 - 12, "Shutdown", nil},
		// The second part is refused, and 6.12 says so.
		{6, 12, "deflate", (8192 - 12) * 100 / 60, "Shutdown", []string{
			"pstore: backend (ramoops) writing error (-28)",
		}},
		{6, 12, "none", 8192 - 12, "Shutdown", []string{"pstore: backend (ramoops) writing error (-28)"}},
	} {
		t.Run(fmt.Sprintf("%d.%d %s", c.major, c.minor, c.compress), func(t *testing.T) {
			p := bare(params(0x4000, 0x2000))
			p.MaxReason = 4
			m := newMachine(t, rules(t, c.major, c.minor), p)
			m.set.Compress = c.compress
			m.reset()
			lines := log(2000, "the last")
			told := m.Dump(Shutdown, false, booted(), lines)
			if !slices.Equal(text(told), c.told) {
				t.Errorf("lines: got %q, want %q", text(told), c.told)
			}
			if told := m.Dump(Shutdown, false, booted(), lines); len(told) != 0 {
				t.Errorf("lines of the second dump: got %q, want none", text(told))
			}
			m.reset()
			data := string(m.Files()[0].Data)
			whole := c.words + "#1 Part1\n" + strings.Join(lines[len(lines)-strings.Count(data, "\n")+1:], "")
			const line = 50
			if data != whole || len(data) > c.most || len(data) < c.most-line {
				t.Errorf("got %d bytes, want at most %d, header and whole lines:\n%.100q\n%.100q", len(data),
					c.most, data, whole)
			}
		})
	}
}

// TestUncompressible: a log that does not become shorter is cut, by the oldest before 6.6 and by the
// newest since. [Kernel 8.8]
func TestUncompressible(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var lines []string
	for range 100 {
		noise := make([]byte, 99)
		for i := range noise {
			noise[i] = byte(0x80 + r.IntN(0x80))
		}
		lines = append(lines, string(noise)+"\n")
	}
	for _, c := range []struct {
		minor int
		told  []string
	}{
		{1, []string{"pstore: crypto_comp_compress failed, ret = -22!"}},
		{12, nil},
	} {
		m := newMachine(t, rules(t, 6, c.minor), bare(params(0x2000, 0x1000)))
		const size = 4096 - 12
		// All of a dump that is longer than the limit is in its first part.
		m.KmsgBytes = 100
		if told := text(m.Dump(Panic, false, booted(), lines)); !slices.Equal(told, c.told) {
			t.Errorf("6.%d: lines: got %q, want %q", c.minor, told, c.told)
		}
		m.reset()
		all := strings.Join(lines, "")
		data, header := string(m.Files()[0].Data), len("====1795321000.000000-D\n")
		if len(data) != size-header {
			t.Errorf("6.%d: got %d bytes, want %d", c.minor, len(data), size-header)
		}
		body, ok := strings.CutPrefix(data, "Panic#1 Part1\n")
		if !ok || !strings.Contains(all, body) {
			t.Errorf("6.%d: got %.30q, want a header and a piece of the log", c.minor, data)
		}
	}
}

// TestReasons: who keeps what. [Kernel 8.2]
func TestReasons(t *testing.T) {
	only := func(n int) func(*Params) { return func(p *Params) { p.MaxReason = n } }
	oops := func(n int) func(*Params) { return func(p *Params) { p.DumpOops = n } }
	for _, c := range []struct {
		major, minor int
		set          func(*Params)
		always       bool
		want         []Reason
	}{
		{6, 1, nil, false, []Reason{Panic, Oops}},
		{6, 1, nil, true, []Reason{Panic, Oops}},
		{6, 1, only(1), false, []Reason{Panic}},
		{6, 1, only(3), false, []Reason{Panic, Oops, Emergency}},
		{6, 1, only(5), false, []Reason{Panic, Oops, Emergency, Shutdown}},
		// 0 is no reason at all: printk.always_kmsg_dump decides.
		{6, 1, only(0), false, []Reason{Panic, Oops}},
		{6, 1, only(0), true, []Reason{Panic, Oops, Emergency, Shutdown}},
		{6, 1, oops(0), false, []Reason{Panic}},
		{6, 1, oops(1), true, []Reason{Panic, Oops}},
		{4, 19, nil, false, []Reason{Panic, Oops}},
		{4, 19, nil, true, []Reason{Panic, Oops}},
		{4, 19, oops(0), true, []Reason{Panic}},
		{3, 10, nil, true, []Reason{Panic, Oops}},
		{3, 10, oops(0), false, []Reason{Panic}},
	} {
		p := bare(params(0x10000, 0x1000))
		if c.set != nil {
			c.set(&p)
		}
		var got []Reason
		for why := Panic; why <= Shutdown; why++ {
			m := newMachine(t, rules(t, c.major, c.minor), p)
			m.Dump(why, c.always, booted(), log(30, "x"))
			m.reset()
			if len(m.Files()) > 0 {
				got = append(got, why)
			}
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%d.%d %+v always=%v: got %v, want %v", c.major, c.minor, p, c.always, got, c.want)
		}
	}
}

// TestWords: the names of reasons in a record's header. [Kernel 8.6]
func TestWords(t *testing.T) {
	for _, c := range []struct {
		major, minor int
		want         string
	}{
		{6, 1, "Unknown Panic Oops Emergency Shutdown Unknown Unknown"},
		{4, 19, "Unknown Panic Oops Emergency Restart Halt Poweroff"},
	} {
		var got []string
		for why := Undefined; why <= PowerOff; why++ {
			got = append(got, rules(t, c.major, c.minor).Word(why))
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%d.%d: got %q, want %q", c.major, c.minor, got, c.want)
		}
	}
	if _, ok := For(2, 6, 24); ok {
		t.Error("2.6.24: there are rules, want none")
	}
}

// TestOldDriver: 3.10 does not compress, leaves its header in the file, adds to what stands in a zone,
// and reads no record behind an empty one. [Kernel 8.19]
func TestOldDriver(t *testing.T) {
	m := newMachine(t, rules(t, 3, 10), bare(params(0x4000, 0x1000)))
	lines := m.reset()
	want := []string{
		"ramoops: using module parameters", "pstore: Registered ramoops as persistent store backend",
		"ramoops: attached 0x4000@0x8000000, ecc: 0/0",
	}
	if !slices.Equal(text(lines), want) {
		t.Errorf("lines: got %q, want %q", text(lines), want)
	}
	m.Dump(Panic, false, booted().Add(123*time.Microsecond), []string{"<0>[    1.0] first\n"})
	m.reset()
	m.Dump(Panic, false, booted(), []string{"<0>[    2.0] second\n"})
	m.Dump(Oops, false, booted(), []string{"<0>[    3.0] third\n"})
	m.reset()
	const both = "====1795321000.123\nPanic#1 Part1\n<0>[    1.0] first\n" +
		"====1795321000.0\nPanic#1 Part1\n<0>[    2.0] second\n"
	if got := string(m.Files()[0].Data); got != both {
		t.Errorf("got  %q\nwant %q", got, both)
	}
	if err := m.Unlink("dmesg-ramoops-0"); err != nil {
		t.Fatal(err)
	}
	m.reset()
	if got := m.names(); len(got) != 0 {
		t.Errorf("files behind an empty zone: got %q, want none", got)
	}
}

// TestNoiseIsNothing: memory that has lost its power comes up with noise, which is not evidence.
// [Kernel 8.13]
func TestNoiseIsNothing(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for _, ecc := range []int{0, 16} {
		p := params(0x10000, 0x2000)
		p.ECC = ecc
		m := newMachine(t, rules(t, 6, 1), p)
		m.Dump(Panic, false, booted(), log(30, "x"))
		for i := range m.mem {
			m.mem[i] = byte(r.Uint32())
		}
		m.reset()
		if got := m.names(); len(got) != 0 {
			t.Errorf("ecc %d: got %q, want none", ecc, got)
		}
		m.Dump(Panic, false, booted(), log(30, "y"))
		m.reset()
		if got := m.names(); !slices.Equal(got, []string{"dmesg-ramoops-0"}) {
			t.Errorf("ecc %d: after a panic: got %q, want one file", ecc, got)
		}
	}
}

// TestHeaderMakesNoSense: a zone whose ring cannot be is emptied, and so is a dump without its header.
// [Kernel 8.13]
func TestHeaderMakesNoSense(t *testing.T) {
	for _, c := range []struct {
		name  string
		spoil func([]byte)
		line  string
	}{
		{
			"too long", func(mem []byte) { mem[10] = 1 },
			"ramoops: found existing invalid buffer, size 65735, start 199",
		},
		{
			"start behind the end", func(mem []byte) { mem[5] = 1 },
			"ramoops: found existing invalid buffer, size 199, start 455",
		},
		{"no header", func(mem []byte) { mem[zoneHeader] = '#' }, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := newMachine(t, rules(t, 3, 12), bare(params(0x2000, 0x1000)))
			m.set.Compress = "none"
			m.reset()
			m.Dump(Panic, false, booted(), log(4, "the last of them, which is the end"))
			c.spoil(m.mem)
			lines := text(m.reset())
			if c.line != "" && !slices.Contains(lines, c.line) {
				t.Errorf("got %q, want %q in it", lines, c.line)
			}
			if len(m.Files()) != 0 || !bytes.Equal(m.mem[4:12], make([]byte, 8)) {
				t.Errorf("got %q and header %x, want an empty zone", m.names(), m.mem[4:12])
			}
		})
	}
}

// TestHeaders: what passes for the header of a dump. [Kernel 8.14]
func TestHeaders(t *testing.T) {
	at := time.Unix(12, 345678000).UTC()
	for _, c := range []struct {
		text       string
		length     int
		compressed bool
		at         time.Time
	}{
		{"====12.345678-C\nx", 16, true, at},
		{"====12.345678-D\nx", 16, false, at},
		{"====12.345678-Q\nx", 16, false, at},
		{"====12.345678\nx", 14, false, at},
		{"==== 12.345678-C\n \t\r\n\xa0x", 22, true, at},
		{"====12.345678-Cx", 15, true, at},
		{"====-12.345678-C\n", 17, true, time.Unix(-12, 345678000).UTC()},
		{"====12.-C\n", 0, false, time.Time{}},
		{"====.12-C\n", 0, false, time.Time{}},
		{"===12.345678-C\n", 0, false, time.Time{}},
		{"", 0, false, time.Time{}},
	} {
		got, compressed, n := parseHeader(c.text)
		if n != c.length || compressed != c.compressed || !got.Equal(c.at) {
			t.Errorf("%q: got %v %v %d, want %v %v %d", c.text, got, compressed, n, c.at, c.compressed, c.length)
		}
	}
}

// TestThisBootDoesNotShow: an oops is not in the mounted file system until it is mounted again, or
// brought up to date, and not even then if another file has its place. [Kernel 8.23]
func TestThisBootDoesNotShow(t *testing.T) {
	m := newMachine(t, rules(t, 6, 1), bare(params(0x4000, 0x2000)))
	m.Dump(Oops, false, booted(), log(30, "one"))
	if got := m.names(); len(got) != 0 {
		t.Errorf("after an oops: got %q, want none", got)
	}
	if !m.Fresh() {
		t.Error("nothing is waiting to be shown, want the oops")
	}
	m.Update(booted())
	if got := m.names(); !slices.Equal(got, []string{"dmesg-ramoops-0"}) {
		t.Errorf("after an update: got %q, want the oops", got)
	}
	m.reset()
	m.Dump(Oops, false, booted(), log(30, "two"))
	m.Update(booted())
	if got := string(m.Files()[0].Data); !strings.Contains(got, "one") {
		t.Errorf("got %q, want what was there at the boot", got)
	}
	m.Unmount()
	m.Mount(booted())
	if got := string(m.Files()[0].Data); !strings.Contains(got, "two") {
		t.Errorf("mounted again: got %q, want what has taken its place", got)
	}
	m.Unmount()
	m.Dump(Panic, false, booted(), log(30, "three"))
	if m.Fresh() {
		t.Error("a panic is waiting to be shown")
	}
}

// TestOneBackend: the second is refused, and so is the first if another was asked for.
// [Kernel 8.11]
func TestOneBackend(t *testing.T) {
	for _, c := range []struct {
		minor         int
		loaded, other string
	}{
		{
			1, "pstore: backend 'efi' already loaded: ignoring 'ramoops'",
			"pstore: ignoring unexpected backend 'ramoops'",
		},
		{
			12, "pstore: backend 'efi_pstore' already in use: ignoring 'ramoops'",
			"pstore: backend 'erst' already in use: ignoring 'ramoops'",
		},
	} {
		r, p := rules(t, 6, c.minor), params(0x10000, 0)
		s := New(r, Defaults())
		if _, err := s.Register(NewEFI(r, map[string][]byte{}, 1<<16), booted()); err != nil {
			t.Fatal(err)
		}
		s.Backend = map[bool]string{true: "", false: s.Backend}[c.minor == 1]
		lines, err := s.LoadRamoops(make([]byte, 0x10000), &p, 1, booted())
		if !errors.Is(err, ErrLoaded) || lines[1].Text != c.loaded {
			t.Errorf("6.%d: got %v %q, want %q", c.minor, err, text(lines), c.loaded)
		}
		set := Defaults()
		set.Backend = "erst"
		lines, err = New(r, set).LoadRamoops(make([]byte, 0x10000), &p, 1, booted())
		if err == nil || lines[1].Text != c.other {
			t.Errorf("6.%d: got %v %q, want %q", c.minor, err, text(lines), c.other)
		}
	}
}

// TestRings: the zones for the console and for messages of programs show what the last boot wrote,
// and are empty for the next. [Kernel 8.18]
func TestRings(t *testing.T) {
	m := newMachine(t, rules(t, 6, 1), params(0x8000, 0x1000))
	for i := range 1000 {
		if err := m.backend.Write(Record{Type: TypeConsole, Data: fmt.Appendf(nil, "line %d\n", i)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := m.backend.Write(Record{Type: TypePmsg, Data: []byte("hello")}); err != nil {
		t.Fatal(err)
	}
	m.reset()
	if got := m.names(); !slices.Equal(got, []string{"console-ramoops-0", "pmsg-ramoops-0"}) {
		t.Fatalf("got %q", got)
	}
	ring := string(m.Files()[0].Data)
	if len(ring) != 4096-zoneHeader || !strings.HasSuffix(ring, "line 998\nline 999\n") {
		t.Errorf("got %d bytes that end in %.30q", len(ring), ring[len(ring)-30:])
	}
	m.reset()
	if got := m.names(); len(got) != 0 {
		t.Errorf("a boot later: got %q, want none", got)
	}
}

// TestEFI: all parts of a dump are kept, as far as there is room, and need no power. [Kernel 8.26]
func TestEFI(t *testing.T) {
	r := rules(t, 6, 1)
	vars := map[string][]byte{"Boot0000": {1}}
	s := New(r, Defaults())
	if _, err := s.Register(NewEFI(r, vars, 1<<16), booted()); err != nil {
		t.Fatal(err)
	}
	lines := log(2000, "the last")
	s.Dump(Panic, false, booted(), lines)
	if _, ok := vars["dump-type0-1-1-1795321000-C"]; !ok {
		t.Errorf("variables: got %v", vars)
	}
	n := len(vars) - 1
	if n < 10 {
		t.Errorf("parts: got %d, want those of more than 10240 bytes", n)
	}
	next := New(r, Defaults())
	if _, err := next.Register(NewEFI(r, vars, 1<<16), booted()); err != nil {
		t.Fatal(err)
	}
	next.Mount(booted())
	if got := next.Files(); len(got) != n {
		t.Fatalf("files: got %d, want %d", len(got), n)
	}
	var kept []string
	for part := 1; part <= n; part++ {
		name := fmt.Sprintf("dmesg-efi-%d", (uint64(1795321000)*100+uint64(part))*1000+1)
		for _, f := range next.Files() {
			if f.Name == name {
				_, body, _ := strings.Cut(string(f.Data), "\n")
				kept = append([]string{body}, kept...)
			}
		}
	}
	if all := strings.Join(lines, ""); !strings.HasSuffix(all, strings.Join(kept, "")) || len(kept) != n {
		t.Errorf("%d parts do not make up the end of the log", len(kept))
	}
	for _, f := range slices.Clone(next.Files()) {
		if err := next.Unlink(f.Name); err != nil {
			t.Error(err)
		}
	}
	if len(vars) != 1 {
		t.Errorf("variables: got %d, want the one that is not pstore's", len(vars))
	}
	full := New(rules(t, 6, 12), Defaults())
	if _, err := full.Register(NewEFI(rules(t, 6, 12), vars, 2048), booted()); err != nil {
		t.Fatal(err)
	}
	told := text(full.Dump(Panic, false, booted(), lines))
	if !slices.Equal(told, []string{"pstore: backend (efi_pstore) writing error (-28)"}) {
		t.Errorf("a firmware that is full: got %q", told)
	}
}

// TestParameters: as they stand on the command line.
func TestParameters(t *testing.T) {
	p := DefaultParams()
	for _, a := range []string{
		"mem_address=0x1e000000", "mem_size=0x100000", "record_size=0x8000", "console_size=0",
		"ftrace_size=0", "pmsg_size=8192", "ecc=1", "max_reason=-1", "dump_oops=0", "mem_type=1",
	} {
		name, value, _ := strings.Cut(a, "=")
		if err := p.Set(name, value); err != nil {
			t.Error(err)
		}
	}
	want := Params{
		MemAddress: 0x1e000000, MemSize: 0x100000, RecordSize: 0x8000, PmsgSize: 8192, ECC: 1,
		MaxReason: -1, MemType: 1,
	}
	if p != want {
		t.Errorf("got %+v, want %+v", p, want)
	}
	if err := p.Set("mem_size", "1M"); !errors.Is(err, syscall.EINVAL) {
		t.Errorf("mem_size=1M: got %v, want EINVAL", err)
	}
	if err := p.Set("memsize", "1"); !errors.Is(err, syscall.ENOENT) {
		t.Errorf("memsize=1: got %v, want ENOENT", err)
	}
}

// TestParity: as many wrong bytes as half the parity are corrected, wherever they are.
// [Kernel 8.17]
func TestParity(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for _, roots := range []int{2, 8, 16, 32} {
		c := newReedSolomon(roots)
		for range 200 {
			data := make([]byte, 1+r.IntN(128))
			for i := range data {
				data[i] = byte(r.Uint32())
			}
			parity := make([]byte, roots)
			c.encode(data, parity)
			spoiled, spoiledParity := slices.Clone(data), slices.Clone(parity)
			n := r.IntN(min(roots/2, len(data)) + 1)
			for _, at := range r.Perm(len(data) + roots)[:n] {
				by := byte(1 + r.IntN(255))
				if at < len(data) {
					spoiled[at] ^= by
				} else {
					spoiledParity[at-len(data)] ^= by
				}
			}
			got, ok := c.decode(spoiled, spoiledParity)
			if !ok || got != n || !bytes.Equal(spoiled, data) {
				t.Fatalf("%d roots, %d bytes, %d wrong: got %d %v", roots, len(data), n, got, ok)
			}
		}
	}
}

// FuzzMemory: whatever stands in memory, the driver takes it over without a crash, and what it writes
// then is read at the next boot.
func FuzzMemory(f *testing.F) {
	for _, name := range []string{"s1", "s2"} {
		f.Add(recorded(f, name)[:0x2000], uint8(0), uint8(1), false)
	}
	m := newMachine(f, rules(f, 6, 1), bare(params(0x2000, 0x1000)))
	m.Dump(Panic, false, booted(), log(20, "x"))
	f.Add(m.mem, uint8(1), uint8(2), true)
	f.Fuzz(func(t *testing.T, mem []byte, ecc, version uint8, zones bool) {
		v := [][2]int{{3, 10}, {4, 19}, {6, 1}, {6, 12}}[version%4]
		p := params(0x8000, 0x1000)
		if !zones {
			p = bare(p)
		}
		p.ECC = int(ecc % 65)
		m := newMachine(t, rules(t, v[0], v[1]), p)
		copy(m.mem, mem)
		m.reset()
		for _, f := range m.Files() {
			if len(f.Data) > 3*0x1000+100 {
				t.Errorf("%s: %d bytes of a zone of 4096", f.Name, len(f.Data))
			}
		}
		for len(m.Files()) > 0 {
			if err := m.Unlink(m.Files()[0].Name); err != nil {
				t.Fatal(err)
			}
		}
		m.reset()
		if got := m.names(); v != [2]int{3, 10} && len(got) != 0 {
			t.Errorf("after erasing them: got %q, want none", got)
		}
		m.Dump(Panic, false, booted(), log(50, "the end"))
		m.reset()
		if n := len(m.Files()); n == 0 || !strings.Contains(string(m.Files()[0].Data), "the end") {
			t.Errorf("got %q, want the panic", m.names())
		}
	})
}
