package main

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// Figures are what one boot of a contender showed on its console: times in ms of the guest,
// sizes in kB.
type Figures struct {
	Action   float64 `json:"first_action_ms"`           // "Run /init" to the first action running
	Services float64 `json:"all_services_ms,omitempty"` // "Run /init" to all services running
	Down     float64 `json:"way_down_ms"`               // the request to "reboot: Restarting system"
	PSS      float64 `json:"pss_kb,omitempty"`          // of PID 1 at rest, as are the rest
	Anon     float64 `json:"anonymous_kb"`
	Huge     float64 `json:"huge_pages_kb"`
	Threads  float64 `json:"threads,omitempty"`
}

// Records of the kernel log that the figures come from. "bench:" is how the guest programs
// begin theirs.
const (
	recordRun     = "Run /init as init process"
	recordAction  = "bench: action"
	recordAll     = "bench: all services"
	recordRequest = "bench: request"
	recordRestart = "reboot: Restarting system"
	prefixValue   = "bench: value "
	prefixError   = "bench: error: "
)

// record matches a record of the kernel log on the console. It need not begin a line: what a
// PID 1 prints may lack its newline.
var record = regexp.MustCompile(`\[ *(\d+)\.(\d{6})\] (.*)$`)

// parseConsole finds the figures of one boot. A boot without services has no values of PID 1
// either, because there is nobody who could look.
func parseConsole(console string, services int) (Figures, error) {
	at := map[string]int64{}       // µs since the kernel began, by the text of the record
	values := map[string]float64{} // by name
	for line := range strings.Lines(console) {
		m := record.FindStringSubmatch(strings.TrimRight(line, "\r\n"))
		if m == nil {
			continue
		}
		text := m[3]
		if why, ok := strings.CutPrefix(text, prefixError); ok {
			return Figures{}, errors.New(why)
		}
		if strings.HasPrefix(text, "Kernel panic") {
			return Figures{}, errors.New(text)
		}
		if value, ok := strings.CutPrefix(text, prefixValue); ok {
			if err := parseValue(value, values); err != nil {
				return Figures{}, err
			}
			continue
		}
		if _, ok := at[text]; ok {
			continue
		}
		us, err := strconv.ParseInt(m[1]+m[2], 10, 64)
		if err != nil {
			return Figures{}, fmt.Errorf("time of %q: %w", text, err)
		}
		at[text] = us
	}

	// The ms from one record to another, and a value, and the first of them that is not there.
	var missing error
	between := func(from, to string) float64 {
		for _, text := range []string{from, to} {
			if _, ok := at[text]; !ok && missing == nil {
				missing = fmt.Errorf("the console has no record %q", text)
			}
		}
		if at[to] < at[from] && missing == nil {
			missing = fmt.Errorf("%q comes before %q", to, from)
		}
		return float64(at[to]-at[from]) / 1000
	}
	value := func(name string) float64 {
		if _, ok := values[name]; !ok && missing == nil {
			missing = fmt.Errorf("the console has no value of %q", name)
		}
		return values[name]
	}
	f := Figures{
		Action: between(recordRun, recordAction),
		Down:   between(recordRequest, recordRestart),
	}
	if services > 0 {
		f.Services = between(recordRun, recordAll)
		f.PSS = value("Pss")
		f.Anon = value("Anonymous")
		f.Huge = value("AnonHugePages")
		f.Threads = value("Threads")
		if n := value("Services"); missing == nil && int(n) != services {
			return Figures{}, fmt.Errorf("%v services run, expected %d", n, services)
		}
	}
	if missing != nil {
		return Figures{}, missing
	}
	return f, nil
}

// parseValue takes a line in the form of /proc/PID/status: a name, a colon, blanks, a number
// and perhaps its unit, which is always kB.
func parseValue(line string, values map[string]float64) error {
	name, text, ok := strings.Cut(line, ":")
	n, err := strconv.ParseUint(strings.TrimSuffix(strings.TrimSpace(text), " kB"), 10, 31)
	if !ok || err != nil {
		return fmt.Errorf("value %q: expected a name, a colon and a number", line)
	}
	values[name] = float64(n)
	return nil
}
