package stage

import "github.com/rebound-init/rebound/internal/kernel"

// Order is what the agent is told to do, as a line of JSON. It answers each with a line: Done, or
// what has failed.
type Order struct {
	// Signals go to PID 1, or to the processes of a name.
	Signals []kernel.Signal `json:",omitempty"`
	Name    string          `json:",omitempty"`
	// Write is a file that gets a new text, and Remove one that is removed.
	Write  string `json:",omitempty"`
	Text   string `json:",omitempty"`
	Remove string `json:",omitempty"`
	// Poke are texts for files of the kernel's, written as they are. The answer comes before the
	// last of them: behind that there may be nobody to answer.
	Poke []Poke `json:",omitempty"`
	// Leave ends the agent.
	Leave bool `json:",omitempty"`
}

// Poke is a text for a file that is there.
type Poke struct{ File, Text string }

// Done is the agent's answer to an order that it has carried out.
const Done = "done"
