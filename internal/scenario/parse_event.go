package scenario

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/rebound-init/rebound/internal/actor"
	"github.com/rebound-init/rebound/internal/kernel"
)

// at TIME DEED.
func (p *parser) at(ts *tokens) error {
	d, err := ts.span()
	if err != nil {
		return err
	}
	return p.event(ts, Event{At: d})
}

// when "LINE" [after TIME] DEED.
func (p *parser) when(ts *tokens) error {
	line, err := ts.text("a line of the console")
	if err != nil {
		return err
	}
	if line == "" || strings.ContainsAny(line, "\r\n") {
		return fmt.Errorf("%q: expected a line that is not empty, without \\n and \\r", line)
	}
	e := Event{When: line}
	if ts.is("after") {
		if e.After, err = ts.span(); err != nil {
			return err
		}
	}
	return p.event(ts, e)
}

func (p *parser) event(ts *tokens, e Event) error {
	word, err := ts.word("what happens: " + list(keys(deeds())))
	if err != nil {
		return err
	}
	read := deeds()[word]
	if read == nil {
		return unknown("thing that can happen", word, keys(deeds()))
	}
	e.Line = p.line
	if e.Do, err = read(p, ts); err != nil {
		return err
	}
	p.s.Events = append(p.s.Events, e)
	return nil
}

// deeds are the words for what can happen.
func deeds() map[string]func(*parser, *tokens) (Deed, error) {
	return map[string]func(*parser, *tokens) (Deed, error){
		"signal": (*parser).signal,
		"kill":   (*parser).kill,
		"type":   (*parser).typed,
		"write":  (*parser).write,
		"remove": (*parser).remove,
		"hangup": func(_ *parser, ts *tokens) (Deed, error) {
			tty, err := optionalTTY(ts)
			return HangUp{tty}, err
		},
		"stop": func(_ *parser, ts *tokens) (Deed, error) {
			tty, err := optionalTTY(ts)
			return StopOutput{tty}, err
		},
		"start": func(_ *parser, ts *tokens) (Deed, error) {
			tty, err := optionalTTY(ts)
			return StartOutput{tty}, err
		},
		"press": func(_ *parser, ts *tokens) (Deed, error) {
			_, err := oneOf(ts, "key that can be pressed", []string{"ctrl-alt-del"})
			return CtrlAltDel{}, err
		},
		"thaw": func(_ *parser, ts *tokens) (Deed, error) {
			name, err := ts.word("the name of a process")
			return Thaw{name}, err
		},
		"kernel": func(_ *parser, ts *tokens) (Deed, error) {
			i, err := oneOf(ts, "way for the kernel to fail", KernelFailures())
			if err != nil {
				return nil, err
			}
			return KernelFails{KernelFailures()[i]}, nil
		},
		"cpu": (*parser).stuck,
		"watchdog": func(_ *parser, ts *tokens) (Deed, error) {
			_, err := oneOf(ts, "thing that a watchdog does", []string{"fires"})
			return WatchdogFires{}, err
		},
	}
}

// cpu N stuck [with irqs off].
func (p *parser) stuck(ts *tokens) (Deed, error) {
	n, err := ts.number("the number of a CPU, counted from 0", maxCPUs-1)
	if err != nil {
		return nil, err
	}
	d := CPUStuck{CPU: n}
	if _, err := oneOf(ts, "thing that happens to a CPU", []string{"stuck"}); err != nil {
		return nil, err
	}
	for _, word := range []string{"with", "irqs", "off"} {
		if word == "with" && !ts.more() {
			return d, nil
		}
		if _, err := oneOf(ts, "word behind stuck", []string{word}); err != nil {
			return nil, err
		}
	}
	d.IRQsOff = true
	return d, nil
}

// optionalTTY takes the name of a terminal, if there is one; the console else.
func optionalTTY(ts *tokens) (string, error) {
	if !ts.more() {
		return "", nil
	}
	w, err := ts.word("the name of a terminal")
	if w == consoleSection {
		w = ""
	}
	return strings.TrimPrefix(w, "/dev/"), err
}

// signal NAME... [twice].
func (p *parser) signal(ts *tokens) (Deed, error) {
	var d Signal
	for ts.more() && !ts.is("twice") {
		sig, err := signal(ts)
		if err != nil {
			return nil, err
		}
		d.Signals = append(d.Signals, sig)
		if len(ts.all) == 1 && ts.all[0].text == "twice" {
			d.Signals = append(d.Signals, d.Signals...)
		}
	}
	if len(d.Signals) == 0 {
		return nil, errors.New("the line ends: expected a signal such as TERM")
	}
	return d, nil
}

// kill NAME SIGNAL.
func (p *parser) kill(ts *tokens) (Deed, error) {
	name, err := ts.word("the name of a process")
	if err != nil {
		return nil, err
	}
	sig, err := signal(ts)
	return Kill{name, sig}, err
}

// firstRealtime is SIGRTMIN as C programs see it (signal(7)).
const firstRealtime = 34

// signal takes a signal by name, with or without SIG, or by number.
func signal(ts *tokens) (kernel.Signal, error) {
	w, err := ts.word("a signal such as TERM")
	if err != nil {
		return 0, err
	}
	name := strings.TrimPrefix(w, "SIG")
	if sig, ok := actor.SignalNamed(name); ok {
		return sig, nil
	}
	if _, err := strconv.Atoi(name); err == nil {
		return 0, fmt.Errorf("%s is no signal: they go from 1 to %d", w, actor.LastSignal)
	}
	if n, ok := strings.CutPrefix(name, "RTMIN+"); ok {
		const most = 30
		if n, err := strconv.Atoi(n); err == nil && n >= 0 && n <= most {
			return kernel.Signal(firstRealtime + n), nil
		}
		return 0, fmt.Errorf("%s is no signal: expected RTMIN+0 to RTMIN+%d", w, most)
	}
	var names []string
	for n := kernel.Signal(1); n < 32; n++ {
		names = append(names, kernel.SignalName(n))
	}
	return 0, unknown("signal", w, names)
}

// type [TERMINAL] "TEXT".
func (p *parser) typed(ts *tokens) (Deed, error) {
	var d Type
	var err error
	if ts.more() && !ts.all[0].quoted {
		if d.TTY, err = optionalTTY(ts); err != nil {
			return nil, err
		}
	}
	d.Text, err = ts.text("what is typed")
	return d, err
}

// write PATH "TEXT"|<<SECTION.
func (p *parser) write(ts *tokens) (Deed, error) {
	name, err := ts.word("a path")
	if err != nil {
		return nil, err
	}
	text, err := p.textOrSection(ts)
	return WriteFile{absolute(name), text}, err
}

func (p *parser) remove(ts *tokens) (Deed, error) {
	name, err := ts.word("a path")
	return RemoveFile{absolute(name)}, err
}

// ParseSignal reads a signal as scenarios name it: TERM, SIGTERM, RTMIN+3, or its number.
func ParseSignal(word string) (kernel.Signal, error) {
	return signal(&tokens{all: []token{{text: word}}})
}
