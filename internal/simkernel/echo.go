package simkernel

import (
	"os"
	"strings"
)

// Echo is Say with the variables of the environment in the place of their names ($NAME or ${NAME}),
// as a shell's echo shows them.
type Echo struct{ Text string }

func (Echo) step() {}

func (s Echo) do(m *Machine, p *process) verdict {
	var env []string
	if p.cmd != nil {
		env = p.cmd.Env
	}
	text := os.Expand(s.Text, func(name string) string {
		value := ""
		for _, v := range env {
			if k, val, _ := strings.Cut(v, "="); k == name {
				value = val
			}
		}
		return value
	})
	return Say{text}.do(m, p)
}
