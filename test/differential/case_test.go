package differential

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/rogpeppe/go-internal/txtar"
	"golang.org/x/sys/unix"

	"github.com/rebound-init/rebound/test/pidns"
)

// A scene is one case: the world an init is started in, what is done to it, and how the two inits
// may differ. The format is described in doc.go.
type scene struct {
	name       string
	title      string
	statements []string
	differs    []string
	difference string
	plan       pidns.Plan
	disturbed  []string
	steps      []step
	files      map[string]pidns.File
}

// A step is one thing done to, or awaited from, a running init.
type step struct {
	line  int
	verb  string
	words []string
	// rest is all after the verb, unquoted if it was a Go string.
	rest string
}

// settings are the header words that describe the world; all other words are steps.
var settings = map[string]func(*scene, []string) error{
	"statement": func(s *scene, words []string) error {
		s.statements = append(s.statements, words...)
		return nil
	},
	"differs": func(s *scene, words []string) error {
		s.differs = append(s.differs, words...)
		return nil
	},
	"console": func(s *scene, words []string) error {
		s.plan.Console = pidns.Console(strings.Join(words, " "))
		return nil
	},
	"argv": func(s *scene, words []string) error {
		s.plan.Argv = words
		return nil
	},
	"env": func(s *scene, words []string) error {
		s.plan.Env = append(s.plan.Env, words...)
		return nil
	},
	"noenv": func(s *scene, _ []string) error {
		s.plan.Env = nil
		return nil
	},
	"terminal": func(s *scene, words []string) error {
		s.plan.Terminals = append(s.plan.Terminals, words...)
		return nil
	},
	"disturb": func(s *scene, words []string) error {
		s.disturbed = append(s.disturbed, words...)
		return nil
	},
	"nonodes": func(s *scene, _ []string) error {
		s.plan.Bare = true
		return nil
	},
	"replace": func(s *scene, words []string) error {
		s.plan.Replace = append(s.plan.Replace, words...)
		return nil
	},
	"link": func(s *scene, words []string) error {
		if len(words) != 2 {
			return errors.New("want: link PATH TARGET")
		}
		s.plan.Links[words[0]] = words[1]
		return nil
	},
	"dir": func(s *scene, words []string) error {
		return s.special(os.ModeDir|0o755, words)
	},
	"socket": func(s *scene, words []string) error {
		return s.special(os.ModeSocket|0o666, words)
	},
	"noproc": func(s *scene, _ []string) error {
		s.plan.NoProc = true
		return nil
	},
	"nosyslog": func(s *scene, _ []string) error {
		s.plan.NoSyslog = true
		return nil
	},
	"stage": func(s *scene, words []string) error {
		s.plan.Stage = append(s.plan.Stage, words...)
		return nil
	},
}

func (s *scene) special(mode os.FileMode, paths []string) error {
	for _, path := range paths {
		s.plan.Files = append(s.plan.Files, pidns.File{Path: path, Mode: mode})
	}
	return nil
}

// differenceFile is the part of a case that holds the difference between the transcripts.
const differenceFile = "difference"

// loadScene reads one case.
func loadScene(path string) (*scene, error) {
	archive, err := txtar.ParseFile(path)
	if err != nil {
		return nil, err
	}
	s := &scene{
		name:  strings.TrimSuffix(filepath.Base(path), ".txtar"),
		files: map[string]pidns.File{},
		plan: pidns.Plan{
			Argv:    []string{"init"},
			Env:     []string{"HOME=/", "TERM=linux"},
			Console: pidns.ConsolePTY,
			Links:   map[string]string{},
			// What the kernel gives its first process: init/init_task.c, INIT_RLIMITS.
			Stage: []string{
				"umask", "022", "limit", strconv.Itoa(unix.RLIMIT_NOFILE), "1024", "4096",
				"limit", strconv.Itoa(unix.RLIMIT_CORE), "0", "unlimited",
			},
		},
	}
	for i, line := range strings.Split(string(archive.Comment), "\n") {
		if err := s.header(i+1, line); err != nil {
			return nil, fmt.Errorf("%s:%d: %w", path, i+1, err)
		}
	}
	for _, f := range archive.Files {
		if f.Name == differenceFile {
			s.difference = string(f.Data)
			continue
		}
		if err := s.archived(f); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
	}
	if s.title == "" || len(s.statements) == 0 {
		return nil, fmt.Errorf("%s: a case needs a comment and a statement", path)
	}
	return s, nil
}

// escapes makes the text of a raw file the inside of a Go string.
var escapes = strings.NewReplacer(`"`, `\"`, "\n", `\n`)

// archived takes a file of the archive. Names may carry marks after a blank: "x" makes the file
// executable, "raw" reads it as a Go string in which other bytes than text can be written,
// "noeol" drops the last newline, and "later" keeps it out of the room until a put.
func (s *scene) archived(f txtar.File) error {
	words := strings.Fields(f.Name)
	name, data, mode, later := words[0], f.Data, os.FileMode(0o644), false
	for _, mark := range words[1:] {
		switch mark {
		case "x":
			mode = 0o755
		case "raw":
			text, err := strconv.Unquote(`"` + escapes.Replace(string(data)) + `"`)
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			data = []byte(text)
		case "noeol":
			data = []byte(strings.TrimSuffix(string(data), "\n"))
		case "later":
			later = true
		default:
			return fmt.Errorf("%s: unknown mark %q", name, mark)
		}
	}
	s.files[name] = pidns.File{Path: name, Mode: mode, Data: data}
	if !later {
		s.plan.Files = append(s.plan.Files, s.files[name])
	}
	return nil
}

func (s *scene) header(number int, line string) error {
	line = strings.TrimSpace(line)
	if line == "" {
		return nil
	}
	if text, ok := strings.CutPrefix(line, "#"); ok {
		if s.title == "" {
			s.title = strings.TrimSpace(text)
		}
		return nil
	}
	verb, rest, _ := strings.Cut(line, " ")
	rest = strings.TrimSpace(rest)
	if set, ok := settings[verb]; ok {
		return set(s, strings.Fields(rest))
	}
	if _, ok := deeds[verb]; !ok {
		return fmt.Errorf("unknown word %q", verb)
	}
	st := step{line: number, verb: verb, words: strings.Fields(rest), rest: rest}
	s.steps = append(s.steps, st)
	return nil
}

// quoted is the text of a step after its first n words, unquoted if it is a Go string.
func (st step) quoted(n int) (string, error) {
	rest := st.rest
	for range n {
		_, rest, _ = strings.Cut(rest, " ")
		rest = strings.TrimSpace(rest)
	}
	if strings.HasPrefix(rest, `"`) {
		return strconv.Unquote(rest)
	}
	return rest, nil
}

// signalNumber reads a signal by name or number; names of real-time signals are RTMIN+n.
func signalNumber(word string) (syscall.Signal, error) {
	if n, err := strconv.Atoi(word); err == nil {
		return syscall.Signal(n), nil
	}
	if n, ok := strings.CutPrefix(word, "RTMIN+"); ok {
		k, err := strconv.Atoi(n)
		// 34 is SIGRTMIN as C programs see it: glibc keeps the first two (signal(7)).
		return syscall.Signal(34 + k), err
	}
	if n := unix.SignalNum("SIG" + word); n != 0 {
		return n, nil
	}
	return 0, fmt.Errorf("no such signal: %q", word)
}
