package pid1

import "strings"

// path is where programs are looked for [BusyBox 1.20].
const path = "/sbin:/usr/sbin:/bin:/usr/bin"

// environ returns the environment of init's children: what init was given, with PATH, SHELL and
// USER always the same, TERM made to fit the terminal, and RUNLEVEL if there is one
// [BusyBox 1.16, 1.20]. HOME is left to the kernel, which says "/".
//
// Words for Go's runtime are left out. They come from the kernel's command line, are meant for
// init, and would slow down or break services written in Go.
func environ(given []string, isVT bool, runlevel string) []string {
	env := make([]string, 0, len(given)+5)
	term := "linux" // what it becomes on a VT if it is not set
	for _, v := range given {
		name, value, _ := strings.Cut(v, "=")
		switch name {
		case "PATH", "SHELL", "USER":
		case "GODEBUG", "GOGC", "GOMEMLIMIT", "GOMAXPROCS", "GOTRACEBACK":
		case "TERM":
			term = value
		case "RUNLEVEL":
			if runlevel == "" {
				env = append(env, v)
			}
		default:
			env = append(env, v)
		}
	}
	env = append(env, "PATH="+path, "SHELL=/bin/sh", "USER=root")
	if runlevel != "" {
		env = append(env, "RUNLEVEL="+runlevel)
	}
	return append(env, "TERM="+terminalType(term, isVT))
}

// terminalType says what TERM is on init's terminal. The kernel gives "linux" to all, which is
// wrong on a serial line. A TERM that is not set counts as that [BusyBox 1.16].
func terminalType(given string, isVT bool) string {
	if !isVT && given == "linux" {
		return "vt102"
	}
	return given
}

// lookup returns the value of the last variable with that name, and whether there is one.
func lookup(env []string, name string) (string, bool) {
	for i := len(env) - 1; i >= 0; i-- {
		if k, v, ok := strings.Cut(env[i], "="); ok && k == name {
			return v, true
		}
	}
	return "", false
}

// candidates returns the files that a program's name can mean, in order (execvp(3)), in the given
// room if there is enough of it.
func candidates(room []string, name string) []string {
	files := room[:0]
	if name == "" || strings.Contains(name, "/") {
		return append(files, name)
	}
	for dir := range strings.SplitSeq(path, ":") {
		files = append(files, dir+"/"+name)
	}
	return files
}
