package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"

	"github.com/rebound-init/rebound/internal/check"
	"github.com/rebound-init/rebound/internal/pid1"
)

const usage = `Usage: init [single | -s | 1 | RUNLEVEL]
       init --check [-inittab FILE] [-config FILE]
       init -q | --version | --help

PID 1: boots by /etc/inittab, keeps services running, takes the machine down.

  --check        print the inittab with the meaning of each entry, and every
                 mistake and trap in it and in the configuration; exit 1 if
                 something is wrong. Runs anywhere, needs no privilege.
    -inittab FILE  instead of /etc/inittab
    -config FILE   instead of /etc/rebound.conf
  -q             make the running init read its inittab again
  single, -s, 1  as PID 1: one shell on the console, no inittab
  RUNLEVEL       as PID 1: any other word, given to the commands as RUNLEVEL

See init(8), inittab(5).
`

// The exit statuses of init when it is not PID 1. BusyBox's are 0, 1 and, for -q, 255.
const (
	exitOK    = 0
	exitWrong = 1
	exitNoHUP = 255
)

// tool is init when it is not PID 1.
func tool(args []string, stdout, stderr io.Writer) int {
	if len(args) == 0 {
		fmt.Fprintln(stderr, "init: must be run as PID 1")
		return exitWrong
	}
	switch args[0] {
	case "--help", "-h":
		fmt.Fprint(stdout, usage)
		return exitOK
	case "--version":
		fmt.Fprintln(stdout, "Rebound init "+version)
		return exitOK
	case "--check", "-check":
		return runCheck(args[1:], stdout, stderr)
	case "-q":
		if err := syscall.Kill(1, syscall.SIGHUP); err != nil {
			fmt.Fprintln(stderr, "init: cannot signal PID 1:", err)
			return exitNoHUP
		}
		return exitOK
	}
	fmt.Fprintln(stderr, "init: must be run as PID 1")
	return exitWrong
}

// runCheck prints what there is to say about an inittab and a configuration.
func runCheck(args []string, stdout, stderr io.Writer) int {
	files := map[string]string{"inittab": pid1.InittabPath, "config": pid1.ConfigPath}
	for len(args) > 0 {
		word := strings.TrimLeft(args[0], "-")
		name, value, joined := strings.Cut(word, "=")
		if _, ok := files[name]; !ok || word == args[0] {
			fmt.Fprintf(stderr, "init: --check: %q is not an option: "+
				"-inittab FILE or -config FILE was expected\n", args[0])
			return exitWrong
		}
		args = args[1:]
		if !joined {
			if len(args) == 0 {
				fmt.Fprintf(stderr, "init: --check: -%s needs a file\n", name)
				return exitWrong
			}
			value, args = args[0], args[1:]
		}
		files[name] = value
		// A machine may do without the usual files. One that is named must be there.
		if _, err := os.Stat(value); err != nil {
			fmt.Fprintln(stderr, "init: --check:", err)
			return exitWrong
		}
	}
	report, ok := check.Report(read(files["inittab"]), read(files["config"]), nil)
	fmt.Fprint(stdout, report)
	if !ok {
		return exitWrong
	}
	return exitOK
}

func read(name string) check.File {
	b, err := os.ReadFile(name)
	return check.File{Name: name, Content: b, Err: err}
}
