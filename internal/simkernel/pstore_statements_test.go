package simkernel

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rebound-init/rebound/internal/kernel"
)

// The statements of section 8 of docs/kernel.md that are about a whole machine. Those about the bytes of
// a record are tested in package pstore, where a test names its statement as [Kernel 8.n].

// ramoopsHere is a usual way to load the module.
const ramoopsHere = "mem_address=0x1e000000 mem_size=0x100000 record_size=0x8000"

// keepsLog is a machine that does.
func keepsLog(cfg Config) Config {
	if cfg.Ramoops == "" {
		cfg.Ramoops = ramoopsHere
	}
	cfg.Dirs = append(cfg.Dirs, "/pstore", "/sys")
	if cfg.Epoch.IsZero() {
		cfg.Epoch = time.Unix(1795320000, 0).UTC()
	}
	return cfg
}

// recordNames are the names of the files at /pstore.
func recordNames(t *testing.T, m *Machine) []string {
	t.Helper()
	names, e := m.readDir(nil, "/pstore")
	if e != 0 {
		t.Error(e)
	}
	return names
}

// recordsOf are the records that a machine shows PID 1. What PID 1 does then is up to it.
func recordsOf(t *testing.T, m *Machine, then func(k kernel.Kernel)) map[string]string {
	t.Helper()
	files := make(map[string]string)
	m.Boot(func(k kernel.Kernel) int {
		if err := k.Mount(kernel.Mount{Type: "pstore", Target: "/pstore"}); err != nil {
			t.Error(err)
		}
		for _, name := range recordNames(t, m) {
			b, err := k.ReadFile("/pstore/" + name)
			if err != nil {
				t.Error(err)
			}
			files[name] = string(b)
		}
		if then != nil {
			then(k)
		}
		return 0
	})
	return files
}

// titles are the first lines of records, in the order of their names.
func titles(files map[string]string) []string {
	var names, all []string
	for name := range files {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		lines := strings.Split(files[name], "\n")
		if strings.HasPrefix(lines[0], "====") { // 3.10 leaves its header there
			lines = lines[1:]
		}
		all = append(all, lines[0])
	}
	return all
}

// leaves is what a machine that dies leaves for its next boot, by the titles.
func leaves(t *testing.T, cfg Config, how ...Action) []string {
	t.Helper()
	m, _, _ := dead(t, keepsLog(cfg), how...)
	return titles(recordsOf(t, nextBoot(t, m, PowerOn{By: ByReset}), nil))
}

var pstoreStatements = []statement{
	{"8.1 the reasons", func(t *testing.T) {
		for name, want := range map[string]string{
			"linux-6.1-x86_64": "Shutdown#1 Part1", "linux-5.10-arm64": "Shutdown#1 Part1",
		} {
			for _, cmd := range []kernel.RebootCmd{kernel.Restart, kernel.Halt} {
				m := New(keepsLog(Config{Kernel: name, Ramoops: ramoopsHere + " max_reason=5"}))
				m.Boot(func(k kernel.Kernel) int {
					if err := k.RebootSelf(cmd); err != nil {
						t.Error(err)
					}
					return 0
				})
				got := titles(recordsOf(t, nextBoot(t, m, PowerOn{By: ByReset}), nil))
				wantEqual(t, name, got, []string{want})
			}
		}
		for _, name := range Kernels() {
			want := []string{"Panic#1 Part1"}
			if strings.HasPrefix(name, "linux-2.6") {
				want = nil
			}
			wantEqual(t, name, leaves(t, Config{Kernel: name, Cmdline: "panic=0"}, panics), want)
		}
	}},
	{"8.3 a panic that restarts", func(t *testing.T) { TestTrap18(t) }},
	{"8.4 an oops, then the panic that it is", func(t *testing.T) {
		for _, name := range Kernels() {
			if strings.HasPrefix(name, "linux-2.6") {
				continue
			}
			cfg := Config{Kernel: name, Cmdline: "oops=panic panic=0"}
			wantEqual(t, name, leaves(t, cfg, inThread), []string{"Oops#1 Part1", "Panic#2 Part1"})
		}
	}},
	{"8.5 a crash kernel", func(t *testing.T) {
		for cmdline, want := range map[string][]string{
			"": nil, "crash_kexec_post_notifiers": {"Panic#1 Part1"},
		} {
			cfg := cpus("", 1)
			cfg.Cmdline = cmdline
			m, end, _ := dead(t, keepsLog(cfg), panics)
			if end.Then != Kexeced {
				t.Fatalf("got %+v", end)
			}
			wantEqual(t, cmdline, titles(recordsOf(t, nextBoot(t, m, PowerOn{}), nil)), want)
		}
	}},
	{"8.10 what the kernel says", func(t *testing.T) {
		for name, want := range map[string][]string{
			"linux-3.10-arm": {
				"ramoops: using module parameters",
				"pstore: Registered ramoops as persistent store backend",
				"ramoops: attached 0x100000@0x1e000000, ecc: 0/0",
			},
			"linux-4.19-x86_64": {
				"ramoops: using module parameters", "pstore: Using compression: deflate",
				"pstore: Registered ramoops as persistent store backend",
				"ramoops: attached 0x100000@0x1e000000, ecc: 0/0",
			},
			"linux-6.1-x86_64": {
				"ramoops: using module parameters", "pstore: Using crash dump compression: deflate",
				"pstore: Registered ramoops as persistent store backend",
				"ramoops: using 0x100000@0x1e000000, ecc: 0",
			},
		} {
			m := New(keepsLog(Config{Kernel: name}))
			m.Boot(func(kernel.Kernel) int { return 0 })
			var got []string
			for _, l := range m.Log() {
				if strings.Contains(l.Text, "pstore") || strings.Contains(l.Text, "ramoops") {
					got = append(got, l.Text)
				}
			}
			wantEqual(t, name, got, want)
		}
	}},
	{"8.21 names and what is in them", func(t *testing.T) {
		m, _, _ := dead(t, keepsLog(Config{Cmdline: "panic=0"}), panics)
		files := recordsOf(t, nextBoot(t, m, PowerOn{By: ByReset}), nil)
		text := files["dmesg-ramoops-0"]
		if len(files) != 1 || !strings.HasPrefix(text, "Panic#1 Part1\n") {
			t.Errorf("got %q", files)
		}
		if !strings.Contains(text, "\n<0>[    1.000000] Kernel panic - not syncing: x\n") {
			t.Errorf("no panic in %q", text)
		}
		if strings.Contains(text, "end Kernel panic") {
			t.Errorf("what comes after the dump is in %q", text)
		}
	}},
	{"8.22 removing erases, and nothing else can be done", func(t *testing.T) {
		m, _, _ := dead(t, keepsLog(Config{Cmdline: "panic=0"}), panics)
		second := nextBoot(t, m, PowerOn{By: ByReset})
		const record = "/pstore/dmesg-ramoops-0"
		recordsOf(t, second, func(kernel.Kernel) {
			wantErrno := func(what string, got, want kernel.Errno) {
				if got != want {
					t.Errorf("%s: got %v, want %v", what, got, want)
				}
			}
			_, e := second.create(nil, "/pstore/new", stored{kind: kindFile})
			wantErrno("a file", e, syscall.EACCES)
			_, e = second.create(nil, "/pstore/new", stored{kind: kindDir})
			wantErrno("a directory", e, kernel.EPERM)
			wantErrno("a rename", second.rename(nil, record, "/pstore/x"), kernel.EPERM)
			f, e := second.open(nil, record, syscall.O_WRONLY|syscall.O_TRUNC, 0)
			wantErrno("opening", e, 0)
			if e == 0 {
				_, e = second.write(nil, f, []byte("x"))
				wantErrno("a write", e, kernel.EINVAL)
			}
			wantErrno("removing", second.unlink(nil, record, false), 0)
			_, e = second.umount(nil, "/pstore", 0)
			wantErrno("unmounting", e, 0)
			_, e = second.mount(nil, Mount{Source: "p", Target: "/pstore", Type: "pstore"})
			wantErrno("mounting again", e, 0)
			wantEqual(t, "files then", len(recordNames(t, second)), 0)
			start, size := 4, 12
			for _, b := range second.Persistent().Memory[ramoopsMemory][start:size] {
				wantEqual(t, "a byte of the zone's header", b, 0)
			}
		})
	}},
	{"8.24 the parameters", func(t *testing.T) {
		cfg := keepsLog(Config{Cmdline: "pstore.update_ms=2000 ramoops.ecc=1"})
		for path, want := range map[string]string{
			"pstore/parameters/backend": "ramoops\n", "pstore/parameters/compress": "deflate\n",
			"pstore/parameters/update_ms": "2000\n", "pstore/parameters/kmsg_bytes": "",
			"ramoops/parameters/record_size": "32768\n", "ramoops/parameters/max_reason": "2\n",
			"ramoops/parameters/ecc": "1\n", "ramoops/parameters/mem_address": "503316480\n",
			"ramoops/parameters/console_size": "4096\n", "printk/parameters/always_kmsg_dump": "N\n",
		} {
			m := New(cfg)
			m.Boot(func(k kernel.Kernel) int {
				if err := k.Mount(kernel.Mount{Type: "sysfs", Target: "/sys"}); err != nil {
					t.Error(err)
				}
				b, err := k.ReadFile("/sys/module/" + path)
				if string(b) != want || (want == "") != errors.Is(err, kernel.ENOENT) {
					t.Errorf("%s: got %q %v, want %q", path, b, err, want)
				}
				return 0
			})
		}
	}},
	{"8.24 mounted twice", func(t *testing.T) {
		m := New(keepsLog(Config{}))
		m.Boot(func(k kernel.Kernel) int {
			for _, want := range []error{nil, syscall.EBUSY} {
				err := k.Mount(kernel.Mount{Type: "pstore", Target: "/pstore", Data: "kmsg_bytes=8000,x=y"})
				if !errors.Is(err, want) {
					t.Errorf("mount: got %v, want %v", err, want)
				}
			}
			wantEqual(t, "options", m.pstore.fs.options, ",kmsg_bytes=8000")
			return 0
		})
	}},
	{"8.24 update_ms", func(t *testing.T) {
		for cmdline, want := range map[string]int{"": 0, "pstore.update_ms=2000": 1} {
			m := New(keepsLog(Config{Cmdline: cmdline, Until: time.Minute}))
			m.At(time.Second, inThread)
			m.Boot(func(k kernel.Kernel) int {
				if err := k.Mount(kernel.Mount{Type: "pstore", Target: "/pstore"}); err != nil {
					t.Error(err)
				}
				for k.Now() < 10*time.Second {
					k.Next(10 * time.Second)
				}
				wantEqual(t, "files with "+strconv.Quote(cmdline), len(recordNames(t, m)), want)
				return 0
			})
		}
	}},
	{"8.25 what survives", func(t *testing.T) {
		kept := []string{"Panic#1 Part1"}
		hard := []Watchdog{{Driver: "i6300esb", Running: true}}
		for _, c := range []struct {
			name string
			cfg  Config
			on   PowerOn
			want []string
		}{
			{"a restart by the panic", Config{Cmdline: "panic=5"}, PowerOn{}, kept},
			{"the reset button", Config{Cmdline: "panic=0"}, PowerOn{By: ByReset}, kept},
			{"a watchdog", Config{Cmdline: "panic=0", Watchdogs: hard}, PowerOn{}, kept},
			{"the power button", Config{Cmdline: "panic=0"}, PowerOn{By: ByButton}, nil},
			{"a power cut, and noise", Config{Cmdline: "panic=0", Seed: 7}, PowerOn{By: ByCut}, nil},
			{"firmware that clears the memory", Config{
				Cmdline: "panic=5", Firmware: Firmware{ClearsMemory: true},
			}, PowerOn{}, nil},
		} {
			m, end, _ := dead(t, keepsLog(c.cfg), panics)
			if (c.name == "a watchdog") != (end.Then == ResetByWatchdog) {
				t.Errorf("%s: got %+v", c.name, end)
			}
			for range 2 { // a machine may have two next boots, which do not see each other's memory
				next := nextBoot(t, m, c.on)
				got := titles(recordsOf(t, next, func(kernel.Kernel) {
					for _, name := range recordNames(t, next) {
						next.unlink(nil, "/pstore/"+name, false)
					}
				}))
				wantEqual(t, c.name, got, c.want)
			}
		}
	}},
	{"8.26 the variables of EFI need no power", func(t *testing.T) {
		cfg := keepsLog(Config{Cmdline: "panic=0", EFIVariables: 1 << 16})
		cfg.Ramoops = ""
		m, _, _ := dead(t, cfg, panics)
		files := recordsOf(t, nextBoot(t, m, PowerOn{By: ByCut}), nil)
		if len(files) == 0 {
			t.Fatal("no files")
		}
		for name, text := range files {
			if !strings.HasPrefix(name, "dmesg-efi-1795320001") || !strings.HasPrefix(text, "Panic#1 Part") {
				t.Errorf("got %s with %.20q", name, text)
			}
		}
	}},
}

func TestPstoreStatements(t *testing.T) {
	for _, s := range pstoreStatements {
		t.Run(s.name, s.test)
	}
}

// TestEveryPstoreStatementHasATest holds docs/kernel.md against the table, and against what the tests of
// package pstore say of themselves.
func TestEveryPstoreStatementHasATest(t *testing.T) {
	page, err := os.ReadFile("../../docs/kernel.md")
	if err != nil {
		t.Fatal(err)
	}
	var there, tested []int
	number := func(text string) int {
		n, err := strconv.Atoi(text)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	for _, m := range regexp.MustCompile(`(?m)^- \*\*8\.(\d+)\*\* `).FindAllSubmatch(page, -1) {
		there = append(there, number(string(m[1])))
	}
	for _, s := range pstoreStatements {
		n, _, _ := strings.Cut(strings.TrimPrefix(s.name, "8."), " ")
		tested = append(tested, number(n))
	}
	sources, err := filepath.Glob("pstore/*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	// The last line of a test's comment ends in the numbers.
	marked := regexp.MustCompile(`(?m)^// .*\[Kernel 8\.\d+(, 8\.\d+)*\]\nfunc Test`)
	for _, source := range sources {
		text, err := os.ReadFile(source)
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range marked.FindAllString(string(text), -1) {
			for _, m := range regexp.MustCompile(`8\.(\d+)`).FindAllStringSubmatch(line, -1) {
				tested = append(tested, number(m[1]))
			}
		}
	}
	slices.Sort(tested)
	if len(there) < 26 {
		t.Errorf("%d statements, want 26: are they found?", len(there))
	}
	wantEqual(t, "statements with a test", slices.Compact(tested), there)
}
