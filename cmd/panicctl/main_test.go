package main

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"testing"
)

// panicctl runs a command line, with nothing on its standard input.
func panicctl(t *testing.T, args ...string) (status int, out, err string) {
	t.Helper()
	return panicctlReading(t, "", args...)
}

func panicctlReading(t *testing.T, in string, args ...string) (status int, out, err string) {
	t.Helper()
	var o, e bytes.Buffer
	status = (&tool{ctx: t.Context(), in: strings.NewReader(in), out: &o, err: &e}).main(args)
	return status, o.String(), e.String()
}

// wants checks the status, and that a text has all parts.
func wants(t *testing.T, got, want int, text string, parts ...string) {
	t.Helper()
	if got != want {
		t.Errorf("status\ngot  %d\nwant %d", got, want)
	}
	for _, p := range parts {
		if !strings.Contains(text, p) {
			t.Errorf("got\n%s\nwant in it\n%s", text, p)
		}
	}
}

func TestHelpNamesEveryCommand(t *testing.T) {
	for _, word := range []string{"help", "-h", "--help"} {
		status, out, _ := panicctl(t, word)
		wants(t, status, exitOK, out, "Usage: panicctl COMMAND\n", "Exit status: 0")
		for _, c := range commands() {
			wants(t, status, exitOK, out, "\n  "+strings.TrimRight(c.name+" "+c.args, " "), c.does)
		}
	}
}

func TestEveryCommandHasHelp(t *testing.T) {
	for _, c := range commands() {
		if c.run == nil {
			continue
		}
		status, out, err := panicctl(t, c.name, "-h")
		wants(t, status, exitOK, out, "Usage: panicctl "+c.name)
		if err != "" {
			t.Errorf("%s -h said %q", c.name, err)
		}
	}
}

func TestWrongUsage(t *testing.T) {
	for want, args := range map[string][]string{
		"Usage: panicctl COMMAND\n":                                         nil,
		"panicctl: \"hlep\" is no command: did you mean \"help\"?\n":        {"hlep"},
		"panicctl: \"x\" is no command: `panicctl help` lists the commands": {"x"},
	} {
		status, out, err := panicctl(t, args...)
		wants(t, status, exitUsage, err, want)
		if out != "" {
			t.Errorf("%q: standard output\ngot  %q\nwant nothing", args, out)
		}
	}
}

func TestColoursOnlyOnATerminal(t *testing.T) {
	// The master of a pseudoterminal is a terminal, too.
	tty, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer tty.Close()
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	for _, c := range []struct {
		file *os.File
		env  map[string]string
		want bool
	}{
		{tty, map[string]string{"TERM": "xterm"}, true},
		{null, map[string]string{"TERM": "xterm"}, false},
		{tty, map[string]string{"TERM": "xterm", "NO_COLOR": "1"}, false},
		{tty, map[string]string{"TERM": "dumb"}, false},
		{tty, nil, false},
	} {
		if got := coloursOn(c.file, func(n string) string { return c.env[n] }); got != c.want {
			t.Errorf("%s, %v: got %v, want %v", c.file.Name(), c.env, got, c.want)
		}
	}
	with := &tool{colours: true}
	if got, want := with.paint(good, "x"), "\x1b[32mx\x1b[0m"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := (&tool{}).paint(good, "x"); got != "x" {
		t.Errorf("got %q without colours", got)
	}
}

func TestTableAlignsColouredFields(t *testing.T) {
	var b bytes.Buffer
	tb := &table{}
	tb.add(cell{"a", good}, cell{"µ", plain}, cell{"x", plain})
	tb.add(cell{"bbb", plain}, cell{"cc", bad}, cell{"", plain})
	(&tool{}).print(&b, tb, "  ")
	if got, want := b.String(), "  a    µ   x\n  bbb  cc\n"; got != want {
		t.Errorf("\ngot  %q\nwant %q", got, want)
	}
	b.Reset()
	(&tool{colours: true}).print(&b, tb, "")
	if got, want := b.String(), "\x1b[32ma\x1b[0m    µ   x\nbbb  \x1b[31mcc\x1b[0m\n"; got != want {
		t.Errorf("\ngot  %q\nwant %q", got, want)
	}
}

func TestOptionsStandAnywhere(t *testing.T) {
	var out, said bytes.Buffer
	tl := &tool{out: &out, err: &said}
	for _, c := range []struct {
		args, words string
		on          bool
	}{
		{"a --on b", "a b", true}, {"-on a", "a", true}, {"a -- --on", "a --on", false}, {"", "", false},
	} {
		fs := tl.flags("try", "WORD...", "Try.")
		on := fs.Bool("on", false, "on")
		words, status, done := tl.parse(fs, strings.Fields(c.args))
		if got := strings.Join(words, " "); got != c.words || *on != c.on || status != exitOK || done {
			t.Errorf("%q: got %q, %v, %d, %v", c.args, got, *on, status, done)
		}
	}
	fs := tl.flags("try", "WORD...", "Try.")
	_, status, done := tl.parse(fs, []string{"--off"})
	wants(t, status, exitUsage, said.String(),
		"panicctl: try: flag provided but not defined: -off: `panicctl try --help` lists the options\n")
	if !done || out.Len() > 0 {
		t.Errorf("done %v, said %q", done, out.String())
	}
}

func TestErrorsHaveAStatus(t *testing.T) {
	for want, errs := range map[int][]error{
		exitDenied: {os.ErrPermission, &os.PathError{Op: "open", Path: "/x", Err: syscall.ENOENT}, syscall.EROFS},
		exitAmiss:  {syscall.EIO, syscall.EINVAL},
	} {
		for _, err := range errs {
			var said bytes.Buffer
			got := (&tool{err: &said}).failsBy(err, "kernel.%s", "panic")
			wants(t, got, want, said.String(), "panicctl: kernel.panic: "+err.Error()+"\n")
		}
	}
}

func TestJSONIsForPrograms(t *testing.T) {
	var out bytes.Buffer
	status := (&tool{out: &out}).printJSON([]string{"a<b"})
	wants(t, status, exitOK, out.String(), "[\n  \"a<b\"\n]\n")
	status = (&tool{out: &out, err: &out}).printJSON(func() {})
	wants(t, status, exitAmiss, out.String(), "panicctl: json: unsupported type")
}

func TestReadsBelowARoot(t *testing.T) {
	root := t.TempDir()
	if err := os.MkdirAll(root+"/proc/sys/kernel", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(root+"/proc/sys/kernel/panic", []byte("10\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	m := running{root}
	if got, err := m.Read("proc/sys/kernel/panic"); got != "10" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	if _, err := m.Read("proc/sys/kernel/panic_on_warn"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want %v", err, fs.ErrNotExist)
	}
}
