// Package container plays scenarios in a container of podman: an image from scratch, made of the
// scenario's files, with our init as its entry point. It needs root and podman.
package container

import (
	"context"
	"crypto/rand"
	"errors"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"

	"github.com/rebound-init/rebound/internal/scenario"
	"github.com/rebound-init/rebound/internal/scenario/live"
)

// Name is the world's name.
const Name = "container"

// clock is how well a busy machine keeps time.
func clock() live.Clock {
	return live.Clock{Slack: 3 * time.Second, Blur: 20 * time.Millisecond}
}

// OptionsVariable is the variable of the environment that has the options of `podman run` that a
// machine needs, in place of those of defaults.
const OptionsVariable = "REBOUND_PODMAN_OPTIONS"

// entryPoint is what init is called: podman takes a /sbin/init for systemd, and mounts and stops
// things for it.
const entryPoint = "/init"

// World plays scenarios. The zero value is ready for use.
type World struct{}

var _ scenario.World = World{}

// Name returns the world's name.
func (World) Name() string { return Name }

// Play plays a scenario.
func (World) Play(
	ctx context.Context, s *scenario.Scenario, o scenario.Options,
) (*scenario.Transcript, error) {
	if err := live.Unplayable(Name, s); err != nil {
		return nil, err
	}
	if why := reason(s); why != "" {
		return nil, &scenario.Unplayable{World: Name, Why: why}
	}
	missing := func(what string) error {
		return &scenario.Unplayable{World: Name, Why: "needs " + what, Missing: true}
	}
	if os.Geteuid() != 0 {
		return nil, missing("root")
	}
	if _, err := exec.LookPath("podman"); err != nil {
		return nil, missing("podman")
	}
	programs, err := live.Find(ctx, Name, s, o, runtime.GOARCH)
	if err != nil {
		return nil, err
	}
	b := &box{
		s: s, play: live.New(s, nil), ended: make(chan struct{}), over: make(chan struct{}),
		// podman takes lower case only.
		name: "rebound-scenario-" + strings.ToLower(rand.Text()),
	}
	defer b.remove()
	err = b.build(ctx, programs)
	if err == nil {
		err = b.launch(ctx)
	}
	var cannot *podmanError
	switch {
	case errors.As(err, &cannot):
		return nil, missing("a podman that can run containers here, perhaps with options in " +
			OptionsVariable + ": " + cannot.Error())
	case err != nil:
		return nil, err
	}
	end := scenario.End{How: []scenario.How{scenario.Alive}}
	parent := ""
	if b.play.Perform(ctx, b.ended, b.do) {
		<-b.over
		end, parent = live.Seen(b.status())
		end.At = b.endedAt
	} else {
		end.At = b.play.Now()
		b.stop()
	}
	t := b.play.Transcript(Name, clock(), end)
	t.Parent = parent
	return t, errors.Join(b.readFiles(t), ctx.Err())
}

// reason says why a container cannot play a scenario, or "".
func reason(s *scenario.Scenario) string {
	m := &s.Machine
	switch {
	case m.Privilege == scenario.Own:
		return "a container is no machine of its own"
	case m.Cmdline != "":
		return "a container has the kernel command line of its machine"
	case s.FailsKernel() || m.CPUs != 0:
		return "a container has the kernel and the CPUs of its machine"
	case len(m.Watchdogs) > 0:
		return "a container has no watchdog of its own: one resets the machine"
	case m.Console != scenario.ConsoleTTY && m.Console != scenario.ConsolePipe:
		return "podman gives a container a terminal or a pipe"
	case len(m.Terminals) > 0:
		return "podman gives a container one terminal"
	}
	for _, e := range s.Events {
		switch e.Do.(type) {
		case scenario.CtrlAltDel:
			return "a container has no Ctrl-Alt-Del"
		case scenario.HangUp:
			return "podman does not hang up"
		}
	}
	return ""
}

// defaults are the options of `podman run` that do on most machines. With cgroups of both versions
// crun does not start, and runc does.
func defaults() []string {
	options := []string{
		"--network=none", "--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1000:1000",
	}
	if _, err := exec.LookPath("runc"); err == nil {
		options = append(options, "--runtime", "runc")
	}
	return options
}

// options are those of `podman run` for this machine and scenario.
func (b *box) options() []string {
	options := defaults()
	if text, ok := os.LookupEnv(OptionsVariable); ok {
		options = strings.Fields(text)
	}
	options = append(options, "--name", b.name, "--pidfile", b.pidFile(), "--pull=never",
		"--systemd=false", "--detach-keys=", "--unsetenv-all", "--log-driver=none")
	if b.s.Machine.Privilege != scenario.Unprivileged {
		options = append(options, "--cap-add", "SYS_BOOT")
	}
	if b.s.Machine.Console == scenario.ConsoleTTY {
		options = append(options, "--tty", "--interactive")
	}
	for _, v := range live.Env(b.s) {
		options = append(options, "--env", v)
	}
	return options
}

// podmanError is a podman that has not run a container.
type podmanError struct{ command, status, said string }

func (e *podmanError) Error() string {
	return "podman " + e.command + ": " + e.status + ": " + e.said
}

// podman runs podman, for something that is not the container itself.
func podman(ctx context.Context, args ...string) (string, error) {
	out, err := exec.CommandContext(ctx, "podman", args...).CombinedOutput()
	if err != nil {
		return "", &podmanError{args[0], err.Error(), strings.TrimSpace(string(out))}
	}
	return strings.TrimSpace(string(out)), nil
}
