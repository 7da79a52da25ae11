package actor

import (
	"strconv"

	"github.com/rebound-init/rebound/internal/kernel"
)

// Words is what Parse reads the operations from. They are not always the words that it was given:
// a number that was left out is there.
func Words(ops []Op) []string {
	var words []string
	for i, op := range ops {
		if i > 0 {
			end(words)
		}
		words = append(words, wordsOf(op)...)
		if rest := Rest([]Op{op}); len(rest) > 0 {
			end(words)
			words = append(words, Words(rest)...)
		}
	}
	return words
}

// end ends a step.
func end(words []string) { words[len(words)-1] += "," }

// wordsOf are the words of one operation without its rest.
func wordsOf(op Op) []string {
	switch op := op.(type) {
	case As:
		return []string{"as", op.Name}
	case Say:
		return []string{"say", op.Text}
	case Sleep:
		return []string{"sleep", op.For.String()}
	case Pause:
		return []string{"pause"}
	case Spin:
		return []string{"spin"}
	case Hang:
		return hangWords(op)
	case Stop:
		return []string{"stop"}
	case Exit:
		return []string{"exit", strconv.Itoa(op.Status)}
	case Die:
		return []string{"die", kernel.SignalName(op.Signal)}
	case Ignore:
		return signalWords("ignore", op.Signals)
	case Default:
		return signalWords("default", op.Signals)
	case Block:
		return signalWords("block", op.Signals)
	case Unblock:
		return signalWords("unblock", op.Signals)
	case Catch:
		return []string{"catch", kernel.SignalName(op.Signal)}
	case Fork:
		return []string{"fork", strconv.Itoa(op.N)}
	case Beside:
		return []string{"beside", strconv.Itoa(op.N)}
	case Orphan:
		return []string{"orphan", strconv.Itoa(op.N)}
	case Loop:
		if op.N == 0 {
			return []string{"loop"}
		}
		return []string{"loop", strconv.Itoa(op.N)}
	case Exec:
		return append([]string{"exec"}, op.Argv...)
	case Start:
		return append([]string{"start"}, op.Argv...)
	case Run:
		return append([]string{"run"}, op.Argv...)
	case Wait:
		return []string{"wait"}
	case Kill:
		return []string{"kill", target(op), kernel.SignalName(op.Signal)}
	case Setsid:
		return []string{"setsid"}
	case Setpgid:
		return []string{"setpgid"}
	case Subreaper:
		return []string{"subreaper"}
	case ReadLine:
		return []string{"readline"}
	case Write:
		return textWords("write", op.Path, op.Text)
	case Append:
		return textWords("append", op.Path, op.Text)
	case Cat:
		return []string{"cat", op.Path}
	case Remove:
		return []string{"remove", op.Path}
	case Env:
		return []string{"env", op.Name}
	case Reboot:
		return rebootWords(op)
	}
	return nil
}

func hangWords(h Hang) []string {
	words := []string{"hang"}
	if h.Killable {
		words = append(words, "killable")
	}
	if h.For != 0 {
		words = append(words, h.For.String())
	}
	return words
}

func signalWords(word string, sigs []kernel.Signal) []string {
	words := []string{word}
	for _, sig := range sigs {
		words = append(words, kernel.SignalName(sig))
	}
	return words
}

func textWords(word, path, text string) []string {
	if text == "" {
		return []string{word, path}
	}
	return []string{word, path, text}
}

func target(k Kill) string {
	switch {
	case k.Name != "":
		return k.Name
	case k.PID == -1:
		return "all"
	case k.PID == 0:
		return "group"
	}
	return strconv.Itoa(int(k.PID))
}

func rebootWords(r Reboot) []string {
	switch r.Cmd {
	case kernel.Restart:
		return []string{"reboot", "restart"}
	case kernel.Restart2:
		return []string{"reboot", "restart", r.Arg}
	case kernel.Halt:
		return []string{"reboot", "halt"}
	case kernel.PowerOff:
		return []string{"reboot", "poweroff"}
	case kernel.CadOn:
		return []string{"reboot", "cad-on"}
	case kernel.CadOff:
	}
	return []string{"reboot", "cad-off"}
}
