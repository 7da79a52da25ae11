package scenario

import (
	"errors"
	"fmt"
	"path"

	"github.com/rebound-init/rebound/internal/actor"
	"github.com/rebound-init/rebound/internal/inittab"
)

// inittabPath is where the lines with actors stand.
const inittabPath = "/etc/inittab"

// checkTables looks at the actors of all sections that become the inittab, at the start or later.
func (p *parser) checkTables() {
	tables := make(map[string]bool)
	for _, f := range p.s.Files {
		if f.Path == inittabPath {
			tables[f.Text] = true
		}
	}
	for _, e := range p.s.Events {
		if w, ok := e.Do.(WriteFile); ok && w.Path == inittabPath {
			tables[w.Text] = true
		}
	}
	for _, s := range p.order {
		if tables[s.text] {
			p.checkTable(s)
		}
	}
}

// checkTable looks at the actors of an inittab. What else is wrong there may be on purpose.
func (p *parser) checkTable(s *section) {
	table, _ := inittab.Parse(s.name, []byte(s.text))
	for _, e := range table {
		if err := p.checkCommand(inittab.Words(e.Command)); err != nil {
			p.problem(s.line+e.Line, err)
		}
	}
}

func (p *parser) checkCommand(x inittab.Exec) error {
	switch {
	case x.Shell && !p.s.Machine.Shell:
		return errors.New("a shell would have to run this, and there is none: " +
			"leave characters out that mean something to it, or say `shell`")
	case x.Shell || path.Base(x.Path) != path.Base(ActorPath) || len(x.Argv) == 0:
		return nil
	}
	if _, err := actor.Parse(x.Argv[1:]); err != nil {
		return fmt.Errorf("actor: %w", err)
	}
	return nil
}
