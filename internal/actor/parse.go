package actor

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/rebound-init/rebound/internal/kernel"
	"github.com/rebound-init/rebound/internal/nearest"
)

// Error is a word that cannot be understood.
type Error struct {
	// At is which word, counted from 1; one that is missing stands behind the last.
	At int
	// Word is the word, if it is there.
	Word    string
	Missing bool
	// Want is what was expected.
	Want string
}

// Error names the word and what was expected.
func (e *Error) Error() string {
	if e.Missing {
		return fmt.Sprintf("word %d is missing: want %s", e.At, e.Want)
	}
	return fmt.Sprintf("word %d, %q: want %s", e.At, e.Word, e.Want)
}

// Parse reads the words behind the program's name. The error is an *Error.
func Parse(words []string) ([]Op, error) {
	if len(words) == 0 {
		return nil, nil
	}
	p := parser{words: words}
	ops := p.steps()
	if p.err != nil {
		return nil, p.err
	}
	return ops, nil
}

// parser reads words from left to right. It stops at the first error.
type parser struct {
	words []string
	at    int  // words read
	ended bool // the last word read has ended its step
	err   *Error
}

// steps reads steps up to the end.
func (p *parser) steps() []Op {
	var ops []Op
	for {
		op := p.step()
		if p.err != nil {
			return nil
		}
		ops = append(ops, op)
		if !p.ended && p.at < len(p.words) {
			p.refuse(p.words[p.at], p.at, "a comma, and then the next step")
			return nil
		}
		if p.at == len(p.words) && !p.ended || restful(op) {
			return ops
		}
	}
}

// restful reports whether an operation has read all that follows.
func restful(op Op) bool {
	switch op.(type) {
	case Catch, Fork, Beside, Orphan, Loop:
		return true
	}
	return false
}

// more reports whether the step has another word.
func (p *parser) more() bool { return p.err == nil && !p.ended && p.at < len(p.words) }

// word reads the next word of the step, or reports what is missing.
func (p *parser) word(want string) string {
	if p.err != nil {
		return ""
	}
	if !p.more() {
		p.err = &Error{At: p.at + 1, Missing: true, Want: want}
		return ""
	}
	w, ended := strings.CutSuffix(p.words[p.at], ",")
	p.at++
	p.ended = ended
	if strings.HasSuffix(w, ",") {
		// It could not be written down again.
		p.refuse(p.words[p.at-1], p.at-1, "one comma at the end of a step")
	}
	return w
}

// refuse reports the word with an index.
func (p *parser) refuse(word string, index int, want string) {
	if p.err == nil {
		p.err = &Error{At: index + 1, Word: word, Want: want}
	}
}

// rest reads all the steps that follow this one.
func (p *parser) rest() []Op {
	if p.err == nil && p.ended {
		p.ended = false
		return p.steps()
	}
	if p.more() {
		p.refuse(p.words[p.at], p.at, "a comma, and then the next step")
	}
	return nil
}

// step reads one step.
func (p *parser) step() Op {
	p.ended = false
	const want = "a step, such as say, sleep or exit"
	switch word := p.word(want); word {
	case "as":
		return As{p.name()}
	case "say":
		return Say{p.text()}
	case "sleep":
		return Sleep{p.span()}
	case "pause":
		return Pause{}
	case "spin":
		return Spin{}
	case "hang":
		return p.hang()
	case "stop":
		return Stop{}
	case "exit":
		return Exit{p.number("an exit status", 0, maxStatus, 0)}
	case "die":
		return Die{p.signal()}
	case "ignore":
		return Ignore{p.signals()}
	case "default":
		return Default{p.signals()}
	case "block":
		return Block{p.signals()}
	case "unblock":
		return Unblock{p.signals()}
	case "catch":
		return Catch{p.handled(), p.rest()}
	case "fork":
		return Fork{p.times(1), p.rest()}
	case "beside":
		return Beside{p.times(1), p.rest()}
	case "orphan":
		return Orphan{p.times(1), p.rest()}
	case "loop":
		return Loop{p.times(0), p.rest()}
	case "exec":
		return Exec{p.argv()}
	case "start":
		return Start{p.argv()}
	case "run":
		return Run{p.argv()}
	case "wait":
		return Wait{}
	case "kill":
		return p.kill()
	case "setsid":
		return Setsid{}
	case "setpgid":
		return Setpgid{}
	case "subreaper":
		return Subreaper{}
	case "readline":
		return ReadLine{}
	case "write":
		return Write{p.file(), p.text()}
	case "append":
		return Append{p.file(), p.text()}
	case "cat":
		return Cat{p.file()}
	case "remove":
		return Remove{p.file()}
	case "env":
		return Env{p.variable()}
	case "reboot":
		return p.reboot()
	default:
		p.refuse(word, p.at-1, want+hint(word, stepWords()))
		return nil
	}
}

// stepWords are the words that a step can begin with.
func stepWords() []string {
	return []string{
		"as", "say", "sleep", "pause", "spin", "hang", "stop", "exit", "die", "ignore", "default",
		"block", "unblock", "catch", "fork", "beside", "orphan", "loop", "exec", "start", "run",
		"wait", "kill", "setsid", "setpgid", "subreaper", "readline", "write", "append", "cat",
		"remove", "env", "reboot",
	}
}

// hint says which word was probably meant.
func hint(word string, words []string) string {
	if near := nearest.Word(word, words); near != "" {
		return " (" + near + "?)"
	}
	return ""
}

func (p *parser) hang() Op {
	var h Hang
	if p.more() && strings.TrimSuffix(p.words[p.at], ",") == "killable" {
		p.word("")
		h.Killable = true
	}
	if !p.more() {
		return h
	}
	if h.For = p.span(); h.For == 0 {
		p.refuse("0s", p.at-1, "a time to hang, or nothing")
	}
	return h
}

func (p *parser) name() string {
	const want = "a name of at most 15 letters, none of them a slash"
	w := p.word(want)
	if p.more() {
		w += " " + p.text()
	}
	if p.err == nil && (w == "" || len(w) > maxName || strings.ContainsAny(w, "/\x00\n")) {
		p.refuse(w, p.at-1, want)
	}
	return w
}

func (p *parser) variable() string {
	const want = "the name of a variable"
	w := p.word(want)
	if p.err == nil && (w == "" || strings.ContainsAny(w, "=\x00")) {
		p.refuse(w, p.at-1, want)
	}
	return w
}

func (p *parser) file() string {
	const want = "the name of a file, from the root"
	w := p.word(want)
	if p.err == nil && (!strings.HasPrefix(w, "/") || strings.HasSuffix(w, "/") ||
		strings.Contains(w, "\x00")) {
		p.refuse(w, p.at-1, want)
	}
	return w
}

// text is the other words of the step, with a blank between them.
func (p *parser) text() string {
	if !p.more() {
		return ""
	}
	w := p.word("")
	if !p.more() {
		return w
	}
	words := []string{w}
	for p.more() {
		words = append(words, p.word(""))
	}
	return strings.Join(words, " ")
}

func (p *parser) argv() []string {
	const want = "the name of a program"
	argv := []string{p.word(want)}
	if argv[0] == "" {
		p.refuse("", p.at-1, want)
	}
	for p.more() {
		argv = append(argv, p.word(""))
	}
	return argv
}

func (p *parser) span() time.Duration {
	const want = "a time with a unit: 300ms, 2s, 1m30s"
	w := p.word(want)
	if p.err != nil {
		return 0
	}
	d, err := time.ParseDuration(w)
	if err != nil || d < 0 {
		p.refuse(w, p.at-1, want)
	}
	return d
}

// number reads a number if the step has another word.
func (p *parser) number(what string, low, high, otherwise int) int {
	if !p.more() {
		return otherwise
	}
	w := p.word("")
	n, err := strconv.Atoi(w)
	if err != nil || n < low || n > high {
		p.refuse(w, p.at-1, fmt.Sprintf("%s from %d to %d", what, low, high))
	}
	return n
}

func (p *parser) times(otherwise int) int {
	return p.number("a number", 1, maxTimes, otherwise)
}

func (p *parser) signal() kernel.Signal {
	const want = "a signal: a name such as TERM, or a number from 1 to 64"
	w := p.word(want)
	if p.err != nil {
		return 0
	}
	sig, ok := SignalNamed(w)
	if !ok {
		p.refuse(w, p.at-1, want+hint(w, signalNames()))
	}
	return sig
}

// handled is a signal that can be ignored, blocked and caught.
func (p *parser) handled() kernel.Signal {
	sig := p.signal()
	if p.err == nil && unstoppable(sig) {
		p.refuse(kernel.SignalName(sig), p.at-1, "a signal that can be ignored, blocked or caught")
	}
	return sig
}

func (p *parser) signals() []kernel.Signal {
	if p.more() && strings.TrimSuffix(p.words[p.at], ",") == "all" {
		p.word("")
		return all()
	}
	sigs := []kernel.Signal{p.handled()}
	for p.more() {
		sigs = append(sigs, p.handled())
	}
	return sigs
}

func (p *parser) kill() Op {
	const want = `a process number, a name, "all" or "group"`
	var k Kill
	w := p.word(want)
	if p.err != nil {
		return k
	}
	n, err := strconv.Atoi(w)
	switch {
	case w == "all":
		k.PID = -1
	case w == "group":
		k.PID = 0
	case err == nil && n >= 1 && n <= maxPID:
		k.PID = kernel.PID(n)
	case err == nil || w == "" || len(w) > maxName || strings.ContainsAny(w, "/\x00\n"):
		p.refuse(w, p.at-1, want)
	default:
		k.Name = w
	}
	k.Signal = p.signal()
	return k
}

func (p *parser) reboot() Op {
	const want = "restart, halt, poweroff, cad-on or cad-off"
	var r Reboot
	w := p.word(want)
	if p.err != nil {
		return r
	}
	switch w {
	case "restart":
		r.Cmd = kernel.Restart
		if p.more() {
			r.Cmd, r.Arg = kernel.Restart2, p.word("")
		}
	case "halt":
		r.Cmd = kernel.Halt
	case "poweroff":
		r.Cmd = kernel.PowerOff
	case "cad-on":
		r.Cmd = kernel.CadOn
	case "cad-off":
		r.Cmd = kernel.CadOff
	default:
		p.refuse(w, p.at-1, want)
	}
	return r
}
