package pid1

import (
	"github.com/rebound-init/rebound/internal/kernel"
	"github.com/rebound-init/rebound/internal/knob"
	"github.com/rebound-init/rebound/internal/panicwatch"
)

// applyPolicy makes the settings of the kernel that the configuration asks for. Without any it does
// nothing. cameBack says that the panic timeout has been set before the configuration was read.
func (in *Init) applyPolicy(boot []byte, cameBack bool) {
	plan := in.set.Panic.Plan
	if !plan.Asks() {
		return
	}
	name := "panic policy " + plan.Preset.String()
	if !in.at.Own {
		in.warn(name + ": in a container the kernel is the host's: nothing is set")
		return
	}
	const timeout = "panic.timeout"
	if plan.Preset == knob.Kernel && cameBack && plan.Asked(timeout) == "" {
		plan.Ask(timeout, "never")
	}
	in.policy = panicwatch.Apply(in.k, plan, boot)
	for i := range in.policy {
		o := &in.policy[i]
		switch {
		case o.Worth():
			in.warn(o.String())
		case o.Result == panicwatch.Lacking, o.Word != "":
			in.note(kernel.Info, o.String())
		}
	}
	in.note(kernel.Info, name)
}

// checkPolicy says which of the policy's settings somebody has changed. They are left as they are:
// whoever did so may have had a reason.
func (in *Init) checkPolicy() {
	for i := range in.policy {
		if o := &in.policy[i]; o.Check(in.k) {
			in.note(kernel.Warning, o.String())
		}
	}
}
