package main

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestCompletionOfBash asks bash what it would offer.
func TestCompletionOfBash(t *testing.T) {
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("needs bash")
	}
	status, script, _ := panicctl(t, "completion", "bash")
	if status != exitOK {
		t.Fatalf("status %d", status)
	}
	dir := t.TempDir()
	put(t, dir, "policy.conf", "")
	put(t, dir, "a dir/policy.conf", "")
	put(t, dir, "completion", script+`
COMP_WORDS=("$@")
COMP_CWORD=$(($# - 1))
_panicctl
for word in "${COMPREPLY[@]}"; do printf '%s\n' "$word"; done
`)
	for _, c := range []struct {
		words     string // with | between
		want      string // all offers, or
		some, not string // one of them, and what is none
	}{
		{words: "s", want: "show"},
		{words: "", some: "check"},
		{words: "-", want: ""},
		{words: "show|kernel.panic_on_w", want: "kernel.panic_on_warn"},
		{words: "show|panic.time", want: "panic.timeout"},
		{words: "show|--dev", want: "--devices"},
		{words: "show|kernel.panic|--", some: "--changed", not: "--dry-run"},
		{words: "apply|--dry", want: "--dry-run"},
		{words: "apply|--dry-run|pol", want: "policy.conf"},
		{words: "check|p", want: "policy.conf"},
		{words: "check|--root|", want: "a dir"},
		{words: "check|--root|=|a", want: "a dir"},
		{words: "check|-root|a", want: "a dir"},
		{words: "completion|", want: "bash zsh fish"},
		{words: "explain|oops-ir", some: "oops-irq", not: "panic"},
		{words: "explain|--kernel|linux-6.1-x", want: "linux-6.1-x86_64"},
		{words: "explain|--set|kernel.panic_on_w", want: "kernel.panic_on_warn="},
		{words: "explain|--cpus|", want: ""},
		{words: "matrix|--policy|come", want: "comeback"},
		{words: "nonsense|", want: ""},
	} {
		cmd := exec.Command(bash, append([]string{"--norc", "completion", "panicctl"}, strings.Split(c.words, "|")...)...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "LC_ALL=C")
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%s: %v: %s", c.words, err, out)
		}
		got := strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
		all := strings.Join(got, " ")
		if c.some == "" && all != c.want {
			t.Errorf("%q: got %q, want %q", c.words, all, c.want)
		}
		padded := " " + all + " "
		if c.some != "" && !strings.Contains(padded, " "+c.some+" ") ||
			c.not != "" && strings.Contains(padded, " "+c.not+" ") {
			t.Errorf("%q: got %q, want %q in it, and not %q", c.words, all, c.some, c.not)
		}
	}
}

// TestCompletionNamesAll: whatever shell it is for, it knows all commands and options.
func TestCompletionNamesAll(t *testing.T) {
	for _, shell := range shells {
		status, out, _ := panicctl(t, "completion", shell)
		if status != exitOK {
			t.Errorf("%s: status %d", shell, status)
		}
		for _, c := range completions() {
			if !strings.Contains(out, c.name) {
				t.Errorf("%s: no command %s", shell, c.name)
			}
			for _, o := range c.options {
				if !strings.Contains(out, "-l "+o.name) && !strings.Contains(out, "--"+o.name) {
					t.Errorf("%s: no option %s of %s", shell, o.name, c.name)
				}
			}
		}
		// The shell itself reads it, where it is there.
		program, err := exec.LookPath(shell)
		if err != nil {
			t.Logf("not read by %s, which is not there", shell)
			continue
		}
		dir := t.TempDir()
		put(t, dir, "completion", out)
		if said, err := exec.Command(program, "-n", dir+"/completion").CombinedOutput(); err != nil {
			t.Errorf("%s: %v: %s", shell, err, said)
		}
	}
	status, _, said := panicctl(t, "completion", "tcsh")
	wants(t, status, exitUsage, said, `no completion for "tcsh": expected one of bash, zsh, fish`)
	status, _, said = panicctl(t, "completion")
	wants(t, status, exitUsage, said, "expected one of bash, zsh, fish")
}

// TestEveryOptionIsInTheManual holds panicctl(8) against the commands: each has a section, and each option
// stands there. Those of matrix that say which machine it is stand with explain's.
func TestEveryOptionIsInTheManual(t *testing.T) {
	page, err := os.ReadFile("../../docs/man/panicctl.8")
	if err != nil {
		t.Fatal(err)
	}
	sections := make(map[string]string)
	for _, section := range strings.Split(string(page), "\n.Ss ")[1:] {
		name, text, _ := strings.Cut(section, "\n")
		sections[name], _, _ = strings.Cut(text, "\n.Sh ")
	}
	options, shared := 0, sections["explain"]
	for _, c := range completions() {
		if c.name == "help" {
			continue
		}
		text, ok := sections[c.name]
		if !ok {
			t.Errorf("panicctl(8) does not tell of %s", c.name)
		}
		if c.name == "matrix" {
			text += shared
		}
		if !strings.Contains(string(page), ".Nm panicctl\n.Cm "+c.name+"\n") {
			t.Errorf("the synopsis of panicctl(8) does not tell of %s", c.name)
		}
		for _, o := range c.options {
			if o.name == "help" {
				continue
			}
			options++
			if !strings.Contains(text, "\n.It Fl "+o.name+"\n") && !strings.Contains(text, "\n.It Fl "+o.name+" ") {
				t.Errorf("panicctl(8) does not tell of -%s of %s", o.name, c.name)
			}
		}
		delete(sections, c.name)
	}
	for name := range sections {
		t.Errorf("panicctl(8) tells of %s, which is no command", name)
	}
	const least = 30
	if options < least {
		t.Errorf("options: got %d, want %d at least", options, least)
	}
}
