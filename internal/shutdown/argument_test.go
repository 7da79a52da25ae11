package shutdown_test

import (
	"strings"
	"testing"

	"github.com/rebound-init/rebound/internal/halt/rebootparam"
	"github.com/rebound-init/rebound/internal/kernel"
	"github.com/rebound-init/rebound/internal/pid1/pid1test"
	"github.com/rebound-init/rebound/internal/simkernel"
)

// param is the file in which the reboot command leaves its argument.
const param = rebootparam.Path

// TestArgument: it goes to the kernel as that of RESTART2, if the file is to be trusted and whole;
// else that is said, and the machine reboots without.
func TestArgument(t *testing.T) {
	long := strings.Repeat("x", rebootparam.MaxLen)
	for _, c := range []struct {
		name   string
		signal kernel.Signal // SIGTERM if 0
		text   string
		file   []simkernel.Action // instead of the text
		want   string
		said   string
	}{
		{name: "absent", file: []simkernel.Action{}},
		{name: "usual", text: "recovery\n", want: "recovery"},
		{name: "with blanks", text: "two words \n", want: "two words "},
		{name: "as long as can be", text: long + "\n", want: long},
		{name: "too long", text: long + "x\n", said: " is longer than 255 bytes"},
		{name: "much too long", text: strings.Repeat("x\n", 1e6), said: " is longer than 255 bytes"},
		{name: "empty", text: "\n", said: " is empty"},
		{
			name: "not written to its end", text: "recov",
			said: " does not end with a newline: not written to its end",
		},
		{name: "of no length", text: "", said: " does not end with a newline: not written to its end"},
		{name: "two lines", text: "a\nb\n", said: " contains a control character"},
		{name: "an escape", text: "\x1b[2J\n", said: " contains a control character"},
		{
			name: "untrusted", said: ": operation not permitted",
			file: []simkernel.Action{
				simkernel.WriteFile{Path: param, Text: "evil\n"}, simkernel.Distrust{Path: param},
			},
		},
		{
			name: "a directory", said: ": is a directory",
			file: []simkernel.Action{simkernel.MakeDir{Path: param}},
		},
		{
			name: "a file in the place of the directory",
			file: []simkernel.Action{simkernel.WriteFile{Path: rebootparam.Dir, Text: "x\n"}},
		},
		{name: "not for halt", signal: kernel.SIGUSR1, text: "recovery\n"},
		{name: "not for poweroff", signal: kernel.SIGUSR2, text: "recovery\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := pid1test.New(t, pid1test.Setup{Inittab: "::respawn:actor pause\n"})
			if c.signal == 0 {
				c.signal = kernel.SIGTERM
			}
			if c.file == nil {
				c.file = []simkernel.Action{simkernel.WriteFile{Path: param, Text: c.text}}
			}
			w.At(asked, append(c.file, simkernel.Signals(c.signal))...)
			w.Boot()
			how := map[kernel.Signal]simkernel.How{
				kernel.SIGTERM: simkernel.Restarted, kernel.SIGUSR1: simkernel.Halted,
				kernel.SIGUSR2: simkernel.PoweredOff,
			}[c.signal]
			w.WantEnd(how, asked)
			if w.End.Arg != c.want {
				t.Errorf("argument: got %q, want %q", w.End.Arg, c.want)
			}
			want := kernel.Reboot{Cmd: kernel.Restart2, Arg: c.want}
			if got := w.Reboots()[0]; c.want != "" && got != want {
				t.Errorf("reboot(2): got %v, want %v", got, want)
			}
			console := w.ConsoleText()
			if c.said == "" {
				if strings.Contains(console, param) {
					t.Errorf("console: got %q, want no word of the argument", console)
				}
				return
			}
			w.WantLine("", param+c.said+": rebooting without it", 1)
		})
	}
}

// TestArgumentOfTheLastReboot: what is found at the start is from before, and is removed.
func TestArgumentOfTheLastReboot(t *testing.T) {
	w := boot(t, pid1test.Setup{
		Config:  simkernel.Config{Files: map[string]string{param: "recovery\n"}},
		Inittab: "::respawn:actor pause\n",
	}, kernel.SIGTERM)
	w.WantEnd(simkernel.Restarted, asked)
	if w.End.Arg != "" {
		t.Errorf("argument: got %q, want none", w.End.Arg)
	}
	if _, there := w.File(param); there {
		t.Error("the file was not removed")
	}
}

// TestArgumentCannotBeRemoved: the boot goes on.
func TestArgumentCannotBeRemoved(t *testing.T) {
	w := pid1test.New(t, pid1test.Setup{Inittab: "::respawn:actor say up, pause\n"})
	w.Fail("Remove", 1, kernel.EIO)
	w.Boot()
	w.WantAlive()
	w.WantLine("", "up", 1)
}
