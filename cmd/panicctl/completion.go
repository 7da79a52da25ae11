package main

import (
	"flag"
	"fmt"
	"io"
	"strings"

	"github.com/rebound-init/rebound/internal/crash"
	"github.com/rebound-init/rebound/internal/knob"
	"github.com/rebound-init/rebound/internal/simkernel"
)

const completionDoes = `Print the completion of panicctl's words for a shell: bash, zsh or fish. To have it now:
  source <(panicctl completion bash)
and for all users as /usr/share/bash-completion/completions/panicctl, as _panicctl in a directory of zsh's
fpath, or as /usr/share/fish/vendor_completions.d/panicctl.fish.`

// shells are those that have a completion.
var shells = []string{"bash", "zsh", "fish"}

func (t *tool) completion(args []string) int {
	fs := t.flags("completion", "SHELL", completionDoes)
	words, status, done := t.parse(fs, args)
	switch {
	case done:
		return status
	case len(words) != 1:
		return t.wrong("completion: expected one of %s", strings.Join(shells, ", "))
	}
	all := completions()
	switch words[0] {
	case "bash":
		fmt.Fprint(t.out, bashCompletion(all))
	case "zsh":
		fmt.Fprint(t.out, zshCompletion(all))
	case "fish":
		fmt.Fprint(t.out, fishCompletion(all))
	default:
		return t.wrong("completion: no completion for %q: expected one of %s", words[0], strings.Join(shells, ", "))
	}
	return exitOK
}

// completes is what can stand behind a command.
type completes struct {
	name, does string
	// words are what its arguments can be, and files says that they are files.
	words   []string
	files   bool
	options []option
}

// option is an option, with what its value can be. One without a value says so by its kind.
type option struct {
	name, does string
	kind       valueKind
	words      []string
}

// valueKind is what the value of an option is.
type valueKind uint8

const (
	noValue valueKind = iota
	anyValue
	fileValue
	directoryValue
	wordValue // one of its words
)

// completions are all commands with what can stand behind them. The commands themselves say which options
// they have, so that none can be forgotten here.
func completions() []completes {
	var all []completes
	for _, c := range commands() {
		one := completes{name: c.name, does: c.does}
		switch {
		case strings.Contains(c.args, "NAME"):
			one.words = knob.Names()
		case strings.Contains(c.args, "FAILURE"):
			for _, f := range crash.Failures() {
				one.words = append(one.words, f.Name)
			}
		case strings.Contains(c.args, "SHELL"):
			one.words = shells
		case strings.Contains(c.args, "FILE"):
			one.files = true
		}
		if c.run != nil {
			probe := &tool{out: io.Discard, err: io.Discard}
			c.run(probe, []string{"-h"})
			if probe.defined != nil {
				probe.defined.VisitAll(func(f *flag.Flag) { one.options = append(one.options, optionOf(f)) })
			}
		}
		one.options = append(one.options, option{name: "help", does: "tell of the command and its options"})
		all = append(all, one)
	}
	return all
}

// optionOf is an option of a flag set.
func optionOf(f *flag.Flag) option {
	value, does := flag.UnquoteUsage(f)
	does, _, _ = strings.Cut(strings.ReplaceAll(does, "\n", " "), ";")
	o := option{name: f.Name, does: does, kind: anyValue}
	if b, ok := f.Value.(interface{ IsBoolFlag() bool }); ok && b.IsBoolFlag() {
		o.kind = noValue
		return o
	}
	switch {
	case value == "directory":
		o.kind = directoryValue
	case value == "file":
		o.kind = fileValue
	case value == "profile":
		o.kind, o.words = wordValue, simkernel.Kernels()
	case f.Name == "policy":
		o.kind, o.words = wordValue, knob.Presets()
	case f.Name == "set":
		o.kind = wordValue
		for _, name := range crash.Settings() {
			o.words = append(o.words, name+"=")
		}
	case f.Name == "watchdog":
		o.kind = wordValue
		for _, name := range simkernel.WatchdogDrivers() {
			o.words = append(o.words, name+",")
		}
	}
	return o
}

// quoted is a text in single quotes, for a shell.
func quoted(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// bashCompletion is the completion for bash, which needs nothing of the package bash-completion.
func bashCompletion(all []completes) string {
	var b, args, values strings.Builder
	var names []string
	for _, c := range all {
		names = append(names, c.name)
		var options []string
		for _, o := range c.options {
			options = append(options, "--"+o.name)
		}
		fmt.Fprintf(&args, "    %s) options=%s words=%s files=%t ;;\n", c.name,
			quoted(strings.Join(options, " ")), quoted(strings.Join(c.words, " ")), c.files)
		for _, o := range c.options {
			switch o.kind {
			case noValue:
			case anyValue:
				fmt.Fprintf(&values, "    %s:%s) return ;;\n", c.name, o.name)
			case fileValue:
				fmt.Fprintf(&values, "    %s:%s) _panicctl_files -f; return ;;\n", c.name, o.name)
			case directoryValue:
				fmt.Fprintf(&values, "    %s:%s) _panicctl_files -d; return ;;\n", c.name, o.name)
			case wordValue:
				fmt.Fprintf(&values, "    %s:%s) _panicctl_words %s; return ;;\n", c.name, o.name,
					quoted(strings.Join(o.words, " ")))
			}
		}
	}
	fmt.Fprintf(&b, `# Completion of panicctl for bash. Written by: panicctl completion bash

_panicctl_words() {
  mapfile -t COMPREPLY < <(compgen -W "$1" -- "$current")
  # A word that goes on has no blank behind it.
  case ${COMPREPLY-} in *[=,]) compopt -o nospace 2>/dev/null ;; esac
}

_panicctl_files() {
  mapfile -t COMPREPLY < <(compgen "$1" -- "$current")
  compopt -o filenames 2>/dev/null
}

_panicctl() {
  local current=${COMP_WORDS[COMP_CWORD]} command='' before='' i options words files
  COMPREPLY=()
  for ((i = 1; i < COMP_CWORD; i++)); do
    case ${COMP_WORDS[i]} in -*) ;; *) command=${COMP_WORDS[i]}; break ;; esac
  done
  if [[ -z $command ]]; then
    _panicctl_words %s
    return
  fi
  # bash cuts words at = where an option's value stands behind one.
  before=${COMP_WORDS[COMP_CWORD-1]}
  if [[ $current == = ]]; then current=''
  elif [[ $before == = ]]; then before=${COMP_WORDS[COMP_CWORD-2]}
  fi
  while [[ $before == -* ]]; do before=${before#-}; done
  case $command:$before in
%s  esac
  case $command in
%s    *) return ;;
  esac
  if [[ $current == -* ]]; then _panicctl_words "$options"
  elif [[ $files == true ]]; then _panicctl_files -f
  else _panicctl_words "$words"
  fi
}

complete -F _panicctl panicctl
`, quoted(strings.Join(names, " ")), values.String(), args.String())
	return b.String()
}

// zshCompletion is the completion for zsh.
func zshCompletion(all []completes) string {
	// In a text of _arguments and _describe these end something.
	plain := func(s string) string {
		return strings.NewReplacer("[", "(", "]", ")", ":", ",", "'", "", "`", "").Replace(s)
	}
	var b strings.Builder
	b.WriteString("#compdef panicctl\n# Completion of panicctl for zsh. Written by: panicctl completion zsh\n\n" +
		"_panicctl() {\n  local -a commands\n  commands=(\n")
	for _, c := range all {
		fmt.Fprintf(&b, "    '%s:%s'\n", c.name, plain(c.does))
	}
	b.WriteString("  )\n  if (( CURRENT == 2 )); then\n    _describe command commands\n    return\n  fi\n" +
		"  local command=$words[2]\n  shift words\n  (( CURRENT-- ))\n  case $command in\n")
	for _, c := range all {
		fmt.Fprintf(&b, "    %s)\n      _arguments", c.name)
		for _, o := range c.options {
			fmt.Fprintf(&b, " \\\n        '--%s[%s]%s'", o.name, plain(o.does), zshValue(o))
		}
		switch {
		case c.files:
			b.WriteString(" \\\n        '*:file:_files'")
		case len(c.words) > 0:
			fmt.Fprintf(&b, " \\\n        '*:word:(%s)'", strings.Join(c.words, " "))
		}
		b.WriteString(" ;;\n")
	}
	b.WriteString("  esac\n}\n\n" +
		"if [[ $zsh_eval_context[-1] == loadautofunc ]]; then\n  _panicctl \"$@\"\nelse\n" +
		"  compdef _panicctl panicctl\nfi\n")
	return b.String()
}

// zshValue is what _arguments wants to know of an option's value.
func zshValue(o option) string {
	switch o.kind {
	case noValue:
		return ""
	case fileValue:
		return ":file:_files"
	case directoryValue:
		return ":directory:_files -/"
	case wordValue:
		return ":" + o.name + ":(" + strings.Join(o.words, " ") + ")"
	case anyValue:
	}
	return ":" + o.name + ":"
}

// fishCompletion is the completion for fish.
func fishCompletion(all []completes) string {
	var b strings.Builder
	b.WriteString("# Completion of panicctl for fish. Written by: panicctl completion fish\n\ncomplete -c panicctl -f\n")
	for _, c := range all {
		fmt.Fprintf(&b, "complete -c panicctl -n __fish_use_subcommand -a %s -d %s\n", c.name, fishQuoted(c.does))
	}
	for _, c := range all {
		seen := "-n " + fishQuoted("__fish_seen_subcommand_from "+c.name)
		if c.files {
			fmt.Fprintf(&b, "complete -c panicctl %s -F\n", seen)
		}
		if len(c.words) > 0 {
			fmt.Fprintf(&b, "complete -c panicctl %s -a %s\n", seen, fishQuoted(strings.Join(c.words, " ")))
		}
		for _, o := range c.options {
			value := ""
			switch o.kind {
			case noValue:
			case anyValue:
				value = " -x"
			case fileValue:
				value = " -r -F"
			case directoryValue:
				value = " -x -a '(__fish_complete_directories)'"
			case wordValue:
				value = " -x -a " + fishQuoted(strings.Join(o.words, " "))
			}
			fmt.Fprintf(&b, "complete -c panicctl %s -l %s%s -d %s\n", seen, o.name, value, fishQuoted(o.does))
		}
	}
	return b.String()
}

// fishQuoted is a text in single quotes, in which fish takes a backslash for what it is.
func fishQuoted(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, "'", `\'`).Replace(s) + "'"
}
