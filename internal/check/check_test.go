package check

import (
	"errors"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
)

var update = flag.Bool("update", false, "write the want sections in testdata")

const (
	inittabName = "/etc/inittab"
	configName  = "/etc/rebound.conf"
)

// missing is what os.ReadFile says about a file that is not there.
func missing(name string) File {
	return File{Name: name, Err: &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}}
}

// Each archive in testdata holds an inittab, a rebound.conf and a cmdline, or some of them, and
// the report about them. Its comment says in the first word whether all is well: ok or wrong.
func TestReports(t *testing.T) {
	archives, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(archives) == 0 {
		t.Fatalf("no archives in testdata: %v", err)
	}
	for _, name := range archives {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			a, err := txtar.ParseFile(name)
			if err != nil {
				t.Fatal(err)
			}
			table, settings := missing(inittabName), missing(configName)
			var commandLine []byte
			var want string
			for _, f := range a.Files {
				switch f.Name {
				case "inittab":
					table = File{Name: inittabName, Content: f.Data}
				case "rebound.conf":
					settings = File{Name: configName, Content: f.Data}
				case "cmdline":
					commandLine = f.Data
				case "want":
					want = string(f.Data)
				default:
					t.Fatalf("%s: no use for a file named %s", name, f.Name)
				}
			}
			got, ok := Report(table, settings, commandLine)
			if word, _, _ := strings.Cut(string(a.Comment), " "); (word == "ok") != ok {
				t.Errorf("ok is %v, the archive says %s", ok, word)
			}
			if *update {
				if f := &a.Files[len(a.Files)-1]; f.Name == "want" {
					f.Data = []byte(got)
				}
				if err := os.WriteFile(name, txtar.Format(a), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("got (+) is not want (-):\n%s", d)
			}
		})
	}
}

func TestFilesThatCannotBeRead(t *testing.T) {
	good := File{Name: inittabName, Content: []byte("::respawn:/bin/x\n")}
	failed := func(name, op string, err error) File {
		return File{Name: name, Err: &fs.PathError{Op: op, Path: name, Err: err}}
	}
	for _, c := range []struct {
		name            string
		table, settings File
		ok              bool
		want            []string
	}{
		{"neither is there", missing(inittabName), missing(configName), true, []string{
			"/etc/inittab does not exist: init uses its built-in table.\n",
			"askfirst", "Nothing is wrong.\n", "/etc/rebound.conf does not exist.\n",
		}},
		{
			"the inittab may not be opened",
			failed(inittabName, "open", fs.ErrPermission), missing(configName), false,
			[]string{
				"/etc/inittab cannot be opened: init uses its built-in table.\n", "askfirst",
				"/etc/inittab: mistake: permission denied: init uses its built-in table\n",
				"1 mistake, no traps.\n",
			},
		},
		{
			"the inittab is a directory",
			failed(inittabName, "read", errors.New("is a directory")), missing(configName), false,
			[]string{
				"/etc/inittab cannot be read: init finds no entries in it.\n",
				"/etc/inittab: mistake: is a directory: init finds no entries in it\n",
			},
		},
		{
			"an error of another kind",
			File{Name: inittabName, Err: errors.New("too large")},
			missing(configName), false,
			[]string{"/etc/inittab: mistake: too large: init uses its built-in table\n"},
		},
		{
			"the configuration may not be opened",
			good, failed(configName, "open", fs.ErrPermission), false,
			[]string{
				"/etc/rebound.conf: mistake: permission denied: init uses the defaults\n",
				"All settings are the defaults.\n",
			},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, ok := Report(c.table, c.settings, nil)
			if ok != c.ok {
				t.Errorf("ok is %v", ok)
			}
			for _, part := range c.want {
				if !strings.Contains(got, part) {
					t.Errorf("got\n%s\nwant in it: %q", got, part)
				}
			}
		})
	}
}

func FuzzReport(f *testing.F) {
	f.Add([]byte("::sysinit:/bin/x\n\x1b[2J::bogus:\x1b\n"), []byte("mounts=auto\nx=\x00"),
		[]byte("rebound.x"))
	f.Fuzz(func(t *testing.T, table, settings, commandLine []byte) {
		got, ok := Report(File{Name: "t", Content: table}, File{Name: "s", Content: settings},
			commandLine)
		if !strings.HasSuffix(got, ".\n") {
			t.Errorf("no verdict in %q", got)
		}
		// Nothing from the files reaches the terminal as a command to it.
		control := func(r rune) bool { return r < ' ' && r != '\n' || r == 0x7f }
		if strings.ContainsFunc(got, control) {
			t.Errorf("control characters in %q", got)
		}
		wrong := strings.Contains(got, ": mistake: ") || strings.Contains(got, ": trap: ")
		if !ok && !wrong {
			t.Errorf("not ok, but nothing is wrong in %q", got)
		}
	})
}
