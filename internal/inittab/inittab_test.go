package inittab

import (
	"flag"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the .want files in testdata")

// entries renders a table as lines of the file, without what the parser adds.
func entries(t Table) []string {
	var lines []string
	for _, e := range t {
		lines = append(lines, e.String())
	}
	return lines
}

// mistakes gathers what the console would say.
func mistakes(found []Diagnostic) []string {
	var lines []string
	for _, d := range found {
		if d.Severity == Mistake {
			lines = append(lines, d.ConsoleMessage())
		}
	}
	return lines
}

func diff(t *testing.T, want, got any) {
	t.Helper()
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("got (+) is not want (-):\n%s", d)
	}
}

// Each case is named by the statement about BusyBox that it is from.
func TestStatements(t *testing.T) {
	bad := func(lines ...int) (messages []string) {
		for _, n := range lines {
			messages = append(messages, "Bad inittab entry at line "+strconv.Itoa(n))
		}
		return messages
	}
	for _, c := range []struct {
		name string
		text string
		want []string // the table
		bad  []string // what the console says
	}{
		{"2.2 the command keeps its colons", "::once:a:b:c\n", []string{"::once:a:b:c"}, nil},
		{"2.2 empty fields do not merge", "::once:x\n:::once:y\n", []string{"::once:x"}, bad(2)},
		{
			"2.3 a # is a comment anywhere", "::once:echo hash#tail\n",
			[]string{"::once:echo hash"},
			nil,
		},
		{"2.3 also between quotes", "::once:echo 'q#uoted'\n", []string{"::once:echo 'q"}, nil},
		{"2.3 there is no escape", "::once:echo \\#x\n", []string{"::once:echo \\#"}, nil},
		{"2.3 also in an earlier field", "t#ty1::once:x\n::on#ce:x\n", nil, bad(1, 2)},
		{"2.4 empty lines and comments are skipped", "\n#x\n\n# y\n", nil, nil},
		{"2.4 blanks are not an empty line", "   \n\t\n  # x\n", nil, bad(1, 2, 3)},
		{
			"2.5 a backslash joins with nothing between", "::once:a\\\nb\n",
			[]string{"::once:ab"},
			nil,
		},
		{"2.5 and keeps blanks", "::once:a \\\n  b\n", []string{"::once:a   b"}, nil},
		{
			"2.5 a comment swallows the next line", "# x \\\n::once:a\n::once:b\n",
			[]string{"::once:b"},
			nil,
		},
		{"2.5 one backslash of two joins", "::once:a\\\\\nb\n", []string{"::once:a\\b"}, nil},
		{
			"2.5 the joined line may join again", "::once:a\\\\\n\n::once:b\n::once:c",
			[]string{"::once:a::once:b", "::once:c"},
			nil,
		},
		{"2.5 a backslash alone in a line", "\\\n::once:a\n", []string{"::once:a"}, nil},
		{
			"2.5 a joined comment ends the command", "::once:a\\\n#b\n::once:c\n",
			[]string{"::once:a", "::once:c"},
			nil,
		},
		{"2.5 a backslash at the end of the file", "::once:a\\", []string{"::once:a"}, nil},
		{"2.6 no newline at the end", "::once:a", []string{"::once:a"}, nil},
		{"2.6 CR stays", "::once:a\r\n\r\n", []string{"::once:a\r"}, bad(2)},
		{
			"2.6 NUL ends the line", "::once:a\x00b\n::once:c\n",
			[]string{"::once:a", "::once:c"},
			nil,
		},
		{"2.6 NUL ends joined lines too", "::once:a\x00b\\\nc\n", []string{"::once:a"}, nil},
		{"2.6 a line that begins with NUL is empty", "\x00::once:a\n", nil, nil},
		{
			"2.7 runlevels mean nothing", ":12345:once:a\n:?!:once:b\n",
			[]string{":12345:once:a", ":?!:once:b"},
			nil,
		},
		{
			"2.8 all actions", "::restart:h\n::shutdown:g\n::ctrlaltdel:f\n::askfirst:e\n" +
				"::respawn:d\n::once:c\n::wait:b\n::sysinit:a\n",
			[]string{
				"::restart:h", "::shutdown:g", "::ctrlaltdel:f", "::askfirst:e",
				"::respawn:d", "::once:c", "::wait:b", "::sysinit:a",
			},
			nil,
		},
		{
			"2.8 nothing like them", "::initdefault:a\n::SYSINIT:a\n:: sysinit:a\n::sysinit :a\n" +
				"::boot:a\n::powerfail:a\n::sysini:a\n::sysinitt:a\n::no action:a\n",
			nil, bad(1, 2, 3, 4, 5, 6, 7, 8, 9),
		},
		{"2.9 fewer than four fields", "a\na:b\na:b:once\n", nil, bad(1, 2, 3)},
		{"2.9 no command", "::once:\n::once:#a\n", nil, bad(1, 2)},
		{
			"2.9 the last physical line counts", "a\\\nb\\\nc\n::once:x\\\n y\nd\n",
			[]string{"::once:x y"},
			bad(3, 6),
		},
		{
			"2.9 parsing goes on", "x\n::once:a\ny\n::once:b\n",
			[]string{"::once:a", "::once:b"},
			bad(1, 3),
		},
		{
			"2.10 a command of blanks is accepted", "::once: \n::once:\t\n",
			[]string{"::once: ", "::once:\t"},
			nil,
		},
		{
			"2.14 a twin moves to the end", "::once:a\n::once:b\n::once:a\n",
			[]string{"::once:b", "::once:a"},
			nil,
		},
		{
			"2.14 three of them too", "::once:a\n::once:b\n::once:a\n::once:c\n::once:a\n",
			[]string{"::once:b", "::once:c", "::once:a"},
			nil,
		},
		{
			"2.15 and takes the last action", "::sysinit:/bin/date\n::shutdown:/bin/date\n",
			[]string{"::shutdown:/bin/date"},
			nil,
		},
		{
			"2.14 the device counts, not the id", "tty1::once:a\n/dev/tty1::wait:a\n",
			[]string{"/dev/tty1::wait:a"},
			nil,
		},
		{
			"2.14 a blank makes a difference", "::once:a b\n::once:a  b\n::once:a b \n",
			[]string{"::once:a b", "::once:a  b", "::once:a b "},
			nil,
		},
		{
			"2.16 another terminal is another entry", "tty1::once:a\ntty2::once:a\n",
			[]string{"tty1::once:a", "tty2::once:a"},
			nil,
		},
		{"2.18 an empty file", "", nil, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			table, found := Parse("inittab", []byte(c.text))
			diff(t, c.want, entries(table))
			diff(t, c.bad, mistakes(found))
		})
	}
}

// [BusyBox 2.11], and our difference from [BusyBox 2.12].
func TestDevices(t *testing.T) {
	long := strings.Repeat("x", 100)
	for _, c := range []struct{ id, want string }{
		{"", ""},
		{"tty1", "/dev/tty1"},
		{"/dev/tty1", "/dev/tty1"},
		{"//tty1", "/dev/tty1"},
		{"null", "/dev/null"},
		{"pts/0", "/dev/pts/0"},
		{"../etc/passwd", "/dev/../etc/passwd"},
		{"    ttyS0", "/dev/    ttyS0"},
		{"/dev/", "/dev/"},
		{"/dev//dev/tty1", "/dev/dev/tty1"},
		{"dev/tty1", "/dev/dev/tty1"},
		{long, "/dev/" + long},
	} {
		table, _ := Parse("inittab", []byte(c.id+"::once:x\n"))
		if len(table) != 1 || table[0].TTY != c.want || table[0].ID != c.id {
			t.Errorf("id %q\n got  %+v\n want device %q", c.id, table, c.want)
		}
	}
}

// Names that BusyBox cuts to the same 31 bytes are two devices to us, so that a reload cannot
// take one for the other, nor add an entry twice [BusyBox 2.17].
func TestLongDevicesStayApart(t *testing.T) {
	name := strings.Repeat("x", 30)
	table, _ := Parse("inittab", []byte(name+"1::once:a\n"+name+"2::once:a\n"))
	if len(table) != 2 || table[0].Key() == table[1].Key() {
		t.Errorf("got %v, want two entries", table)
	}
	again, _ := Parse("inittab", []byte(table[0].String()))
	if again[0].Key() != table[0].Key() {
		t.Errorf("read again, the key is %v, was %v", again[0].Key(), table[0].Key())
	}
}

// The lines of the fixture in docs/busybox.md, each with what BusyBox makes of it.
func TestFixture(t *testing.T) {
	for _, c := range []struct {
		text string
		want []string
		bad  bool
	}{
		{"# comment", nil, false},
		{"  # indented comment", nil, true},
		{"", nil, false},
		{"   ", nil, true},
		{"::sysinit:/bin/echo L5", []string{"::sysinit:/bin/echo L5"}, false},
		{"::sysinit", nil, true},
		{"foo", nil, true},
		{"::bogus:/bin/echo x", nil, true},
		{"::sysinit:", nil, true},
		{"::SYSINIT:/x", nil, true},
		{":: sysinit:/x", nil, true},
		{"::sysinit: /bin/echo x", []string{"::sysinit: /bin/echo x"}, false},
		{"::sysinit:/bin/echo a:b:c", []string{"::sysinit:/bin/echo a:b:c"}, false},
		{"::sysinit:/bin/echo hash#tail", []string{"::sysinit:/bin/echo hash"}, false},
		{"::sysinit:/bin/echo 'q#uoted'", []string{"::sysinit:/bin/echo 'q"}, false},
		{"::sysinit:#cmd", nil, true},
		{":12345:sysinit:/bin/echo ok", []string{":12345:sysinit:/bin/echo ok"}, false},
		{
			"::sysinit:/bin/echo c1 \\\n c2 \\\n c3",
			[]string{"::sysinit:/bin/echo c1  c2  c3"},
			false,
		},
		{"id:x:sysinit", nil, true},
		{"::initdefault:3", nil, true},
		{"x:y:z:w:v", nil, true},
	} {
		table, found := Parse("inittab", []byte("\n"+c.text+"\n"))
		diff(t, c.want, entries(table))
		var want []string
		if c.bad {
			want = []string{"Bad inittab entry at line 2"}
		}
		diff(t, want, mistakes(found))
	}
}

func TestEntriesKnowTheirLines(t *testing.T) {
	table, _ := Parse("inittab", []byte("#\n::once:a\n\n::once:b\\\n c\\\n d\n::once:e"))
	want := Table{
		{Action: Once, Command: "a", FirstLine: 2, Line: 2},
		{Action: Once, Command: "b c d", FirstLine: 4, Line: 6},
		{Action: Once, Command: "e", FirstLine: 7, Line: 7},
	}
	diff(t, want, table)
}

// [BusyBox 2.20]: the order matters, umount before swapoff.
func TestBuiltInTableHasNoMistakesOfItsOwn(t *testing.T) {
	text := strings.Join(entries(BuiltIn()), "\n")
	want := `::sysinit:/etc/init.d/rcS
::askfirst:-/bin/sh
tty2::askfirst:-/bin/sh
tty3::askfirst:-/bin/sh
tty4::askfirst:-/bin/sh
::ctrlaltdel:reboot
::shutdown:umount -a -r
::shutdown:swapoff -a
::restart:init`
	diff(t, want, text)
	table, found := Parse("built-in", []byte(text))
	for i := range table {
		table[i].FirstLine, table[i].Line = 0, 0
	}
	diff(t, BuiltIn(), table)
	diff(t, []Diagnostic(nil), found)
}

// [BusyBox 1.22]
func TestSingleUserTableIsOneLoginShell(t *testing.T) {
	diff(t, []string{"::respawn:-/bin/sh"}, entries(SingleUser()))
}

func TestActionsHaveTheirNames(t *testing.T) {
	var names []string
	for _, a := range Actions() {
		names = append(names, a.String())
	}
	diff(t, "write one of "+strings.Join(names, ", "), oneOfThem)
	if len(Actions()) != int(Restart) {
		t.Errorf("got %d actions, want %d", len(Actions()), Restart)
	}
	for _, a := range Actions() {
		if actionNamed(a.String()) != a {
			t.Errorf("actionNamed(%q) = %v", a, actionNamed(a.String()))
		}
	}
	for _, a := range []Action{0, Restart + 1, 255} {
		if a.String() != "no action" || actionNamed(a.String()) != 0 {
			t.Errorf("Action(%d) is %q, want no action", a, a)
		}
	}
}

// [BusyBox 3.12 to 3.15]
func TestWords(t *testing.T) {
	sh := func(name, script string) Exec {
		return Exec{Path: "/bin/sh", Argv: []string{name, "-c", script}, Shell: true}
	}
	login := func(x Exec) Exec { x.Login = true; return x }
	direct := func(path string, argv ...string) Exec { return Exec{Path: path, Argv: argv} }
	for _, c := range []struct {
		command string
		want    Exec
	}{
		{"/bin/true", direct("/bin/true", "/bin/true")},
		{"reboot", direct("reboot", "reboot")},
		{"/bin/echo a  b\tc ", direct("/bin/echo", "/bin/echo", "a", "b", "c")},
		{"a\tb", direct("a", "a", "b")},
		{"/bin/x #%+@,:./-_", direct("/bin/x", "/bin/x", "#%+@,:./-_")},
		{"/bin/x a\r", direct("/bin/x", "/bin/x", "a\r")},
		{"bin/\xff", direct("bin/\xff", "bin/\xff")},
		{"-/bin/sh", login(direct("/bin/sh", "-/bin/sh"))},
		{"--x y", login(direct("-x", "--x", "y"))},
		{" /bin/echo x", direct("", "/bin/echo", "x")},
		{"\t/bin/echo x", direct("", "/bin/echo", "x")},
		{"- /bin/echo x", login(direct("", "-", "/bin/echo", "x"))},
		{" -/bin/sh", direct("", "-/bin/sh")},
		{"-", login(direct("", "-"))},
		{"  ", Exec{Argv: []string{}}},
		{"a; b", sh("/bin/sh", "exec a; b")},
		{" a;", sh("/bin/sh", "exec  a;")},
		{"-a $B", login(sh("-/bin/sh", "exec a $B"))},
		{"--a $B", login(sh("-/bin/sh", "exec -a $B"))},
	} {
		diff(t, c.want, Words(c.command))
	}
	for _, c := range "~`!$^&*()=|\\{}[];\"'<>?" {
		if !Words("a" + string(c)).Shell {
			t.Errorf("%q does not go to the shell", c)
		}
	}
	for c := rune(1); c < 256; c++ {
		if !strings.ContainsRune("~`!$^&*()=|\\{}[];\"'<>?", c) && Words("a"+string(c)).Shell {
			t.Errorf("%q goes to the shell", c)
		}
	}
}

// Whole files, as people write them: what is in the table, and what is said about them.
func TestFiles(t *testing.T) {
	files, err := filepath.Glob("testdata/*.inittab")
	if err != nil || len(files) == 0 {
		t.Fatalf("no files in testdata: %v", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var got strings.Builder
			table, found := Parse(filepath.Base(file), text)
			for _, e := range table {
				got.WriteString(strconv.Itoa(e.Line) + " " + strconv.Quote(e.String()) + "\n")
			}
			for _, d := range found {
				got.WriteString(d.String() + "\n")
				if d.Remedy != "" {
					got.WriteString("  remedy: " + d.Remedy + "\n")
				}
			}
			golden := strings.TrimSuffix(file, ".inittab") + ".want"
			if *update {
				if err := os.WriteFile(golden, []byte(got.String()), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			diff(t, string(want), got.String())
		})
	}
}

func TestDiagnosticsComeInTheOrderOfTheirLines(t *testing.T) {
	_, found := Parse("inittab", []byte("::once:a;b\nx\n::once:c\n:3:once:a;b\ny\n::once:c\n"))
	var got []string
	for _, d := range found {
		got = append(got, d.Severity.String()+" "+strconv.Itoa(d.Line))
	}
	want := []string{
		"trap 1", "trap 1", // only a runs, and it is replaced
		"mistake 2",
		"trap 3",           // repeated
		"trap 4", "trap 4", // only a runs, and runlevels
		"mistake 5",
		"note 0", "note 0", "note 0",
	}
	diff(t, want, got)
}

// Text from the file reaches a terminal only with its control characters made visible.
func TestDiagnosticsAreSafeToPrint(t *testing.T) {
	text := "::\x1b[2J:x\n\x1b::once:a\n:\x07:once:\x1b;\x1b\n::once:\x1b#\n::once:x\r\n\x9b:\n"
	_, found := Parse("inittab", []byte(text))
	for _, d := range found {
		for _, r := range d.Text + d.Remedy {
			if r < ' ' || r == 0x7f {
				t.Errorf("control character in %q", d)
			}
		}
	}
}

// repeat makes a text of n lines.
func repeat(n int, line func(n int) string) []byte {
	var text strings.Builder
	for i := range n {
		text.WriteString(line(i))
		text.WriteByte('\n')
	}
	return []byte(text.String())
}

func TestAMillionEntries(t *testing.T) {
	const million = 1_000_000
	table, found := Parse("inittab", repeat(million, func(n int) string {
		return "::once:/bin/x " + strconv.Itoa(n)
	}))
	if len(table) != million || table[million-1].Line != million || len(found) != 3 {
		t.Errorf("got %d entries and %d diagnostics", len(table), len(found))
	}
}

// Whatever the lines are, each is accounted for, and memory is in proportion to them.
func TestNothingIsLostInALongFile(t *testing.T) {
	const lines = 100_000
	for _, c := range []struct {
		name     string
		line     func(n int) string
		entries  int
		mistakes int
		traps    int
		perLine  uint64 // bytes allocated, garbage included; about 3/4 of it in Nov. 2026
	}{
		{
			"entries", func(n int) string { return "::once:/bin/x " + strconv.Itoa(n) },
			lines, 0, 0, 300,
		},
		{
			"comments", func(int) string { return "# x: y: z: /bin/x" },
			0, 0, 1, 300,
		},
		{
			"twins, each of which is a trap too", func(int) string { return "::once:/bin/x;/bin/y" },
			1, 0, lines - 1 + lines, 2000,
		},
		{
			"mistakes", func(int) string { return "x" },
			0, lines, 1, 600,
		},
		{
			"unknown actions", func(n int) string { return "::respwan:/bin/x" + strconv.Itoa(n) },
			0, lines, 1, 1300,
		},
		{"joined lines", func(n int) string {
			if n < lines-1 {
				return `::once:x\`
			}
			return "y"
		}, 1, 0, 1, 300},
	} {
		t.Run(c.name, func(t *testing.T) {
			text := repeat(lines, c.line)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			table, found := Parse("inittab", text)
			runtime.ReadMemStats(&after)

			traps := 0
			for _, d := range found {
				if d.Severity == Trap {
					traps++
				}
			}
			if len(table) != c.entries || len(mistakes(found)) != c.mistakes || traps != c.traps {
				t.Errorf("\n got  %d entries, %d mistakes, %d traps\n want %d, %d, %d",
					len(table), len(mistakes(found)), traps, c.entries, c.mistakes, c.traps)
			}
			if used := (after.TotalAlloc - before.TotalAlloc) / lines; used > c.perLine {
				t.Errorf("got %d bytes per line, want %d at most", used, c.perLine)
			}
		})
	}
}

func BenchmarkMillionLines(b *testing.B) {
	for _, c := range []struct {
		name string
		line func(n int) string
	}{
		{"entries", func(n int) string { return "null::respawn:/sbin/service " + strconv.Itoa(n) }},
		{"contended", func(n int) string { return "tty1::respawn:/sbin/getty " + strconv.Itoa(n) }},
		{"shell", func(n int) string { return "::once:/bin/sh -c 'a; b' > /t/" + strconv.Itoa(n) }},
		{"twins", func(n int) string { return "::once:/bin/x " + strconv.Itoa(n%100) }},
		{"mistakes", func(n int) string { return "::bogus:/bin/x " + strconv.Itoa(n) }},
		{"comments", func(n int) string { return "# " + strconv.Itoa(n) }},
	} {
		text := repeat(1_000_000, c.line)
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				Parse("inittab", text)
			}
		})
	}
}
