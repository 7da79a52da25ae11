package differential

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rebound-init/rebound/test/pidns"
)

// A player is one init going through one scene.
type player struct {
	*scene
	room *pidns.Room
	// seen is how much of each source's text has been awaited.
	seen map[string]int
	// records are the lines that steps add to the transcript.
	records []string
	// launched is when PID 1 was yet to be started.
	launched time.Time
	// sinceMark adds up the rest since the last mark step.
	sinceMark *pidns.Rest
}

// errNever says that something awaited did not come in time.
var errNever = errors.New("did not happen")

// errTooSlow says that the machine let init's clock run ahead of the scene.
var errTooSlow = errors.New("the machine is too slow for this case")

// deeds are the steps by verb.
var deeds = map[string]func(*player, step) error{
	"await":    (*player).await,
	"signal":   (*player).signal,
	"kill":     (*player).kill,
	"stop":     func(p *player, _ step) error { return p.room.Stop() },
	"continue": func(p *player, _ step) error { return p.room.Signal(syscall.SIGCONT) },
	"type":     (*player).typed,
	"hangup":   (*player).hangUp,
	"put":      (*player).put,
	"remove":   func(p *player, st step) error { return p.room.Remove(st.rest) },
	"touch": func(p *player, st step) error {
		return p.room.Put(pidns.File{Path: st.rest, Mode: 0o644})
	},
	"settle": (*player).settle,
	"termios": func(p *player, st step) error {
		t := p.room.Terminals[st.rest]
		if t == nil {
			return errors.New("no such terminal")
		}
		text, err := t.Settings()
		p.record("termios %s %s", st.rest, text)
		return err
	},
	"exists": func(p *player, st step) error {
		p.record("exists %s %v", st.rest, p.room.Exists(st.rest))
		return nil
	},
	"mark": func(p *player, _ step) error {
		p.unmark()
		p.sinceMark = p.room.MeasureRest()
		return nil
	},
	"span":  (*player).span,
	"hurry": (*player).hurry,
}

// unawaited are the steps that do not wait for the room to be at rest.
var unawaited = map[string]bool{"await": true, "span": true, "hurry": true}

// play starts one init in a directory below dir and takes it through the scene, again if the
// machine was too slow for it.
func play(dir string, w *pidns.Workshop, base *pidns.Base, s *scene) (lines []string, err error) {
	const tries = 10
	for n := range tries {
		room := filepath.Join(dir, strconv.Itoa(n))
		if err := os.Mkdir(room, 0o755); err != nil {
			return nil, err
		}
		lines, err = playOnce(room, w, base, s)
		if !errors.Is(err, errTooSlow) {
			break
		}
	}
	return lines, err
}

// playOnce returns the transcript of one init. Something awaited in vain is a line of it; an error
// is a mistake in the case, or errTooSlow.
func playOnce(dir string, w *pidns.Workshop, base *pidns.Base, s *scene) ([]string, error) {
	plan := s.plan
	plan.Base = base
	plan.BeforeStart = func(r *pidns.Room) error {
		for _, name := range s.disturbed {
			if err := r.Terminals[name].Disturb(); err != nil {
				return err
			}
		}
		return nil
	}
	launched := time.Now()
	room, err := w.Open(dir, &plan)
	if err != nil {
		return nil, err
	}
	defer room.Close()
	p := &player{scene: s, room: room, seen: map[string]int{}, launched: launched}
	defer p.unmark()
	for _, st := range s.steps {
		if !unawaited[st.verb] {
			if err := p.rest(); err != nil {
				return nil, fmt.Errorf("line %d: %s %s: %w", st.line, st.verb, st.rest, err)
			}
		}
		if err := deeds[st.verb](p, st); err != nil {
			if !errors.Is(err, errNever) {
				return nil, fmt.Errorf("line %d: %s %s: %w", st.line, st.verb, st.rest, err)
			}
			p.record("%s %s: %v", st.verb, st.rest, err)
			break
		}
	}
	if err := p.quiet(); err != nil {
		return nil, err
	}
	killed := !room.View().Ended
	room.End()
	return p.transcript(room.View(), killed), nil
}

// stillness is how long nothing must have been seen before a scene is taken to be over, for the
// short waits of probes.
const stillness = 150 * time.Millisecond

// quiet lets what the room has already begun come to its end.
func (p *player) quiet() error {
	for range 20 {
		n := len(p.room.View().Events)
		if !p.room.Await(stillness, func(v pidns.View) bool {
			return v.Ended || len(v.Events) > n
		}) || p.room.View().Ended {
			break
		}
	}
	return p.rest()
}

// rest waits until the room is at rest, so that the next step comes when all that follows from the
// ones before has been done, however slow the machine is.
func (p *player) rest() error {
	if !p.room.AwaitRest(pidns.Patience) {
		return errors.New("the room does not come to rest")
	}
	return nil
}

func (p *player) record(form string, args ...any) {
	p.records = append(p.records, "step "+fmt.Sprintf(form, args...))
}

// until waits for a condition as long as patience lasts.
func (p *player) until(holds func(pidns.View) bool) error {
	over := false
	p.room.Await(pidns.Patience, func(v pidns.View) bool {
		over = holds(v)
		// What has not come when PID 1 has ended will not come.
		return over || v.Ended
	})
	if !over {
		return errNever
	}
	return nil
}

// await waits for: end, start NAME [COUNT], ready NAME, note NAME TEXT, log TEXT, TERMINAL TEXT or
// gone NAME.
func (p *player) await(st step) error {
	if len(st.words) == 0 {
		return errors.New("await what?")
	}
	switch from := st.words[0]; from {
	case "end":
		return p.until(func(v pidns.View) bool { return v.Ended })
	case "start":
		name, count := st.words[1], 1
		if len(st.words) > 2 {
			count, _ = strconv.Atoi(st.words[2])
		}
		return p.until(func(v pidns.View) bool { return v.Count(name) >= count })
	case "note":
		text, err := st.quoted(2)
		if err != nil {
			return err
		}
		return p.until(func(v pidns.View) bool {
			for _, n := range v.Reports(true) {
				if n.Name == st.words[1] && n.Note+" "+n.Text == text {
					return true
				}
			}
			return false
		})
	case "ready":
		return p.until(func(v pidns.View) bool {
			for _, n := range v.Reports(true) {
				if n.Name == st.words[1] && n.Note == "ready" {
					return true
				}
			}
			return false
		})
	case "gone":
		if p.latest(st.words[1]) == 0 {
			return fmt.Errorf("no probe %q has reported", st.words[1])
		}
		return p.gone(p.latest(st.words[1]))
	default:
		text, err := st.quoted(1)
		if err != nil {
			return err
		}
		return p.until(func(v pidns.View) bool {
			all := v.Text(from)
			at := strings.Index(all[p.seen[from]:], text)
			if at < 0 {
				return false
			}
			p.seen[from] += at + len(text)
			return true
		})
	}
}

// gone waits until a process has ended and has been reaped, which is seen from outside by looking
// again and again.
func (p *player) gone(pid int) error {
	for deadline := time.Now().Add(pidns.Patience); time.Now().Before(deadline); {
		if errors.Is(unix.Kill(pid, 0), unix.ESRCH) {
			return nil
		}
		time.Sleep(10 * time.Millisecond)
	}
	return errNever
}

func (p *player) signal(st step) error {
	var sigs []syscall.Signal
	for _, word := range st.words {
		s, err := signalNumber(word)
		if err != nil {
			return err
		}
		sigs = append(sigs, s)
	}
	return p.room.Signal(sigs...)
}

// latest is the host's pid of the last probe that reported under a name.
func (p *player) latest(name string) int {
	pid := 0
	for _, rep := range p.room.View().Reports(false) {
		if rep.Name == name {
			pid = rep.HostPID
		}
	}
	return pid
}

func (p *player) kill(st step) error {
	pid := p.latest(st.words[0])
	if pid == 0 {
		return fmt.Errorf("no probe %q has reported", st.words[0])
	}
	s, err := signalNumber(st.words[1])
	if err != nil {
		return err
	}
	return unix.Kill(pid, s)
}

func (p *player) typed(st step) error {
	t := p.room.Terminals[st.words[0]]
	if t == nil {
		return errors.New("no such terminal")
	}
	text, err := st.quoted(1)
	if err != nil {
		return err
	}
	return t.Type(text)
}

func (p *player) hangUp(st step) error {
	t := p.room.Terminals[st.rest]
	if t == nil {
		return errors.New("no such terminal")
	}
	t.HangUp()
	return nil
}

func (p *player) put(st step) error {
	if len(st.words) != 2 {
		return errors.New("want: put PATH FILE")
	}
	f, ok := p.files[st.words[1]]
	if !ok {
		return fmt.Errorf("no file %q in the case", st.words[1])
	}
	f.Path = st.words[0]
	return p.room.Put(f)
}

// settle gives an init time to do what it should not do, by the clock because BusyBox's init
// sleeps, and then until it has come to rest. It ends early if PID 1 ends.
func (p *player) settle(st step) error {
	d, err := time.ParseDuration(st.rest)
	if err != nil {
		return err
	}
	p.room.Await(d, func(v pidns.View) bool { return v.Ended })
	return p.rest()
}

// span LABEL DURATION records whether the room has been at rest for less than that since the last
// mark. The durations in the cases are well away from what either init sleeps.
func (p *player) span(st step) error {
	limit, err := time.ParseDuration(st.words[len(st.words)-1])
	if err != nil {
		return err
	}
	if p.sinceMark == nil {
		return errors.New("no mark before it")
	}
	p.record("span %s: %v", st.rest, p.sinceMark.Total() < limit)
	return nil
}

// hurry DURATION has the case played again if more time has passed since the start of PID 1.
func (p *player) hurry(st step) error {
	limit, err := time.ParseDuration(st.rest)
	if err == nil && time.Since(p.launched) > limit {
		err = errTooSlow
	}
	return err
}

// unmark ends the measurement that a mark has begun.
func (p *player) unmark() {
	if p.sinceMark != nil {
		p.sinceMark.Stop()
		p.sinceMark = nil
	}
}
