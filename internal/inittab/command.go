package inittab

import "strings"

// An Exec is how init starts a command.
type Exec struct {
	// Path is the program. Without a slash in it, it is looked up in PATH. It is empty where
	// no program can be found: starting it must fail with ENOENT.
	Path string
	// Argv is what the program gets as its arguments, its own name first. It is empty for a
	// command of blanks.
	Argv []string
	// Shell says that the program is /bin/sh, which gets the command as a line of its
	// language.
	Shell bool
	// Login says that the command has a leading dash: the program gets it in front of its
	// name, as login shells do, and init tries to give it a controlling terminal
	// [BusyBox 3.8].
	Login bool
}

// shellCharacters make init hand a command to the shell [BusyBox 3.12].
const shellCharacters = "~`!$^&*()=|\\{}[];\"'<>?"

// Words says how a command is started: by the shell if it holds a character that means
// something to the shell, else as its words, with nothing in between.
//
// The shell is told to exec the command, so that there is one process and not two. This is
// why "a; b" runs only a; [Parse] reports such commands [BusyBox 3.13].
//
// Without the shell, words are separated by blanks and tabs, and the program is what stands
// before the first of them. A command that begins with a blank therefore has no program
// [BusyBox 3.14, 3.15].
func Words(command string) Exec { return WordsIn([]string{}, command) }

// WordsIn is Words with room for the arguments, which is used if there is enough of it.
func WordsIn(room []string, command string) Exec {
	bare, login := strings.CutPrefix(command, "-")
	if needsShell(bare) {
		name := "/bin/sh"
		if login {
			name = "-/bin/sh"
		}
		return Exec{
			Path:  "/bin/sh",
			Argv:  append(room[:0], name, "-c", "exec "+bare),
			Shell: true,
			Login: login,
		}
	}
	path := bare
	if i := strings.IndexAny(bare, " \t"); i >= 0 {
		path = bare[:i]
	}
	argv := room[:0]
	for word := range strings.FieldsFuncSeq(command, blank) {
		argv = append(argv, word)
	}
	return Exec{Path: path, Argv: argv, Login: login}
}

// needsShell reports whether a command, without its leading dash, goes to the shell.
func needsShell(bare string) bool {
	return strings.ContainsAny(bare, shellCharacters)
}

// blank reports whether r separates words. A carriage return does not.
func blank(r rune) bool {
	return r == ' ' || r == '\t'
}
