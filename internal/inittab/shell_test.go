package inittab

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// shells returns the shells to ask on this machine.
func shells(t *testing.T) map[string][]string {
	found := make(map[string][]string)
	for name, argv := range map[string][]string{
		"sh":      {"sh"},
		"busybox": {"busybox", "sh"},
	} {
		if path, err := exec.LookPath(argv[0]); err == nil {
			found[name] = append([]string{path}, argv[1:]...)
		}
	}
	if len(found) == 0 {
		t.Skip("needs sh or busybox in PATH")
	}
	return found
}

// Real shells decide what is a trap: a command is one if, behind exec, it does not get to
// print done.
func TestTheShellAgreesOnTraps(t *testing.T) {
	for _, c := range []struct {
		command string
		trap    bool
	}{
		{`true; echo done`, true},
		{`true && echo done`, true},
		{`false || echo done`, true},
		{`true;echo done`, true},
		{`cd / && echo done`, true},
		{`A=1 echo done`, true},
		{`exec echo done`, true},
		{`(echo done)`, true},
		{` ( echo done )`, true},
		{`{ echo done; }`, true},
		{`! echo done`, true},
		{`if true; then echo done; fi`, true},
		{`while echo done; do exit; done`, true},
		{`case x in x) echo done;; esac`, true},
		{`umask 022;`, true},
		{`. /dev/null;`, true},
		{`eval "echo done"`, true},
		{`f() { echo done; }`, true},
		{`echo done)`, true},
		{`echo 'done`, true},
		{`echo "done`, true},
		{`echo $(echo done`, true},
		{"echo `echo done", true},
		{`echo ${done`, true},
		{`echo "$(echo "done)"`, true},

		{`echo done;`, false},
		{`echo "done"`, false},
		{`echo 'a; b' done`, false},
		{`echo "a && b" done`, false},
		{`echo a\;b done`, false},
		{`echo \( done`, false},
		{`echo "it's" done`, false},
		{`echo 'a"b' done`, false},
		{`echo done | cat`, false},
		{`true | true; echo done`, false},
		{`true | true && echo done`, false},
		{`true | (true; echo done)`, false},
		{`echo done > /dev/stdout`, false},
		{`echo done 2>&1`, false},
		{`echo done <&0`, false},
		{`>/dev/null true; echo done`, true},
		{`echo $(true; echo done)`, false},
		{`echo "$(true; echo "a;b")" done`, false},
		{"echo `true; echo done`", false},
		{`echo ${X:-a;b} done`, false},
		{`echo $((1 & 2)) done`, false},
		{`env A=1 sh -c 'true; echo done'`, false},
		{`/bin/sh -c 'cd / && echo done'`, false},
		{`echo done ~ * ? [a]`, false},
		{`echo {a,b} done`, false},
		{`echo a=b done`, false},
	} {
		text, _ := execTrap(Entry{Action: Once, Command: c.command}, c.command, scan(c.command))
		if (text != "") != c.trap {
			t.Errorf("%s\n got  %q\n want trap: %v", c.command, text, c.trap)
		}
		for name, shell := range shells(t) {
			argv := slices.Concat(shell, []string{"-c", "exec " + c.command})
			// The exit status says less than what was printed: a trap may well succeed.
			out, _ := exec.Command(argv[0], argv[1:]...).Output()
			if got := strings.Contains(string(out), "done"); got == c.trap {
				t.Errorf("%s -c 'exec %s'\n got  %q\n want done in it: %v",
					name, c.command, out, !c.trap)
			}
		}
	}
}

// A background job is a trap whether it runs or not: init cannot wait for it.
func TestBackgroundJobs(t *testing.T) {
	for _, c := range []struct {
		command string
		trap    bool
	}{
		{"sleep 9 &", true},
		{"sleep 9 & echo x", true},
		{"sleep 9 > /dev/null 2>&1 &", true},
		{"a | b &", true},
		{"a | b & ", true},
		{"echo a\\&", false},
		{"echo '&'", false},
		{"a 2>&1", false},
		{"a <&3 >&4", false},
		{"a &> /dev/null", false},
		{"a >| b", false},
		{"a && b", true}, // for another reason
	} {
		text, _ := execTrap(Entry{Action: Respawn, Command: c.command}, c.command, scan(c.command))
		background := strings.Contains(text, "background")
		if (text != "") != c.trap || background != (c.trap && c.command != "a && b") {
			t.Errorf("%s\n got  %q\n want trap: %v", c.command, text, c.trap)
		}
	}
}

func FuzzScan(f *testing.F) {
	for _, s := range []string{
		"a; b", `"$(`, "'", "`\"`\"", "${}}", "a &", ">&", "&>", "\\", "((", "a)b",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		sc := scan(s)
		if !strings.HasPrefix(s[sc.at:], sc.operator) {
			t.Errorf("scan(%q) = %+v: the operator is not there", s, sc)
		}
		if sc.trailing && sc.operator == "" {
			t.Errorf("scan(%q) = %+v: a trailing & is an operator", s, sc)
		}
		// In single quotes nothing is an operator.
		if !strings.Contains(s, "'") {
			if q := scan("a '" + s + "'"); q != (script{}) {
				t.Errorf("scan of %q in quotes = %+v", s, q)
			}
		}
	})
}
