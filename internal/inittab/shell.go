package inittab

import "strings"

// A script is what a look at a shell command line tells, without running it.
type script struct {
	operator string // the first operator outside quotes: ; & && || | ( ) or ""
	at       int    // where it stands
	trailing bool   // the line ends in an & that sends the last command to the background
	unclosed string // the outermost quote or substitution that is never closed, or ""
}

// scan looks for operators that the shell would see: not those between quotes, behind a
// backslash or inside a substitution. It knows the POSIX shell's quoting [sh(1p)] and nothing
// of here-documents, which need a second line.
func scan(s string) script {
	var (
		sc   script
		open []byte // what we are inside of, outermost first: " ` ( for $( and { for ${
	)
	inside := func(c byte) bool { return len(open) > 0 && open[len(open)-1] == c }
	leave := func() { open = open[:len(open)-1] }

	for i := 0; i < len(s); i++ {
		c := s[i]
		next := byte(0)
		if i+1 < len(s) {
			next = s[i+1]
		}
		switch {
		case c == '\\':
			i++
		case c == '\'' && !inside('"'):
			end := strings.IndexByte(s[i+1:], '\'')
			if end < 0 {
				sc.unclosed = "'"
				return sc
			}
			i += end + 1
		case c == '$' && (next == '(' || next == '{'):
			open = append(open, next)
			i++
		case (c == '"' || c == '`') && inside(c), c == ')' && inside('('), c == '}' && inside('{'):
			leave()
		case c == '"' || c == '`', c == '(' && inside('('):
			open = append(open, c)
		case len(open) > 0:
			// An operator in here is none of the command's own.
		case strings.IndexByte(";&|()", c) >= 0:
			width := 1
			if c == next && (c == '&' || c == '|') {
				width = 2
			}
			if redirects(s, i) {
				continue
			}
			if sc.operator == "" {
				sc.operator, sc.at = s[i:i+width], i
			}
			sc.trailing = c == '&' && width == 1 && strings.Trim(s[i+1:], " \t") == ""
			i += width - 1
		}
	}
	if len(open) > 0 {
		switch open[0] {
		case '(', '{':
			sc.unclosed = "$" + string(open[:1])
		default:
			sc.unclosed = string(open[:1])
		}
	}
	return sc
}

// redirects reports whether the & or | at s[i] is part of a redirection: >& <& &> >|. The
// third is no POSIX, but BusyBox's shell has it.
func redirects(s string, i int) bool {
	behind := i > 0 && (s[i-1] == '>' || s[i-1] == '<' && s[i] == '&')
	before := s[i] == '&' && i+1 < len(s) && s[i+1] == '>'
	return behind && (s[i] == '&' || s[i] == '|') || before
}

// firstWord returns the word that the command begins with: what exec takes for the program.
func firstWord(command string) string {
	command = strings.TrimLeft(command, " \t")
	if strings.HasPrefix(command, "(") {
		return "("
	}
	if i := strings.IndexAny(command, " \t;&|<>()"); i >= 0 {
		command = command[:i]
	}
	return command
}

// isKeyword reports whether a word means something to the shell only where a command may
// begin, which it cannot behind exec.
func isKeyword(word string) bool {
	switch word {
	case "(", "{", "!", "if", "for", "while", "until", "case", "function", "select":
		return true
	}
	return false
}

// isBuiltin reports whether a word names a command that exists only inside the shell. Those
// that are programs as well (echo, test, kill, true ...) are not in the list.
func isBuiltin(word string) bool {
	switch word {
	case ".", ":", "alias", "bg", "break", "cd", "command", "continue", "eval", "exec", "exit",
		"export", "fg", "getopts", "hash", "jobs", "let", "local", "read", "readonly", "return",
		"set", "shift", "source", "times", "trap", "type", "ulimit", "umask", "unalias", "unset",
		"wait":
		return true
	}
	return false
}

// isAssignment reports whether a word has the form NAME=value.
func isAssignment(word string) bool {
	name, _, ok := strings.Cut(word, "=")
	if !ok || name == "" || name[0] >= '0' && name[0] <= '9' {
		return false
	}
	for i := range len(name) {
		c := name[i]
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_'
		if !letter && (c < '0' || c > '9') {
			return false
		}
	}
	return true
}
