package qemu

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"
)

// A Monitor is QEMU's control connection. It speaks QMP: JSON values, one for each command,
// answer and event [QEMU documentation, "QEMU Machine Protocol Specification"].
type Monitor struct {
	conn net.Conn

	mu      sync.Mutex // guards what follows
	next    int        // the number of the next command
	answers map[int]chan answer
	events  []Event
	taken   int // events[:taken] have been handed out by Await
	changed chan struct{}
	ended   bool
}

// An Event is something QEMU tells unasked, by QEMU's name: "SHUTDOWN", "RESET", "GUEST_PANICKED".
type Event struct {
	Name string
	Data map[string]any
	At   time.Time // when QEMU says it happened
}

// A MonitorError is a command that QEMU refused.
type MonitorError struct {
	Command string
	Class   string `json:"class"`
	Desc    string `json:"desc"`
}

func (e *MonitorError) Error() string {
	return fmt.Sprintf("qmp %s: %s: %s", e.Command, e.Class, e.Desc)
}

type answer struct {
	value json.RawMessage
	err   *MonitorError
}

// errMonitorEnded is what a command gets when QEMU has gone.
var errMonitorEnded = errors.New("the machine ended")

func newMonitor(conn net.Conn) *Monitor {
	m := &Monitor{conn: conn, answers: map[int]chan answer{}, changed: make(chan struct{})}
	go m.receive()
	return m
}

// receive hands answers to who waits for them and keeps events, until the connection ends.
func (m *Monitor) receive() {
	decoder := json.NewDecoder(m.conn)
	for {
		var msg struct {
			ID        *int            `json:"id"`
			Return    json.RawMessage `json:"return"`
			Error     *MonitorError   `json:"error"`
			Event     string          `json:"event"`
			Data      map[string]any  `json:"data"`
			Timestamp struct {
				Seconds      int64 `json:"seconds"`
				Microseconds int64 `json:"microseconds"`
			} `json:"timestamp"`
		}
		err := decoder.Decode(&msg)
		m.mu.Lock()
		switch {
		case err != nil:
			m.ended = true
			for _, waiting := range m.answers {
				close(waiting)
			}
			m.answers = map[int]chan answer{}
		case msg.Event != "":
			at := time.Unix(msg.Timestamp.Seconds, msg.Timestamp.Microseconds*1000)
			m.events = append(m.events, Event{msg.Event, msg.Data, at})
		case msg.ID != nil && m.answers[*msg.ID] != nil:
			m.answers[*msg.ID] <- answer{msg.Return, msg.Error}
			delete(m.answers, *msg.ID)
		}
		close(m.changed)
		m.changed = make(chan struct{})
		m.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// Execute gives a command and waits for its answer. Arguments may be nil.
func (m *Monitor) Execute(command string, arguments any) (json.RawMessage, error) {
	m.mu.Lock()
	if m.ended {
		m.mu.Unlock()
		return nil, fmt.Errorf("qmp %s: %w", command, errMonitorEnded)
	}
	m.next++
	id, reply := m.next, make(chan answer, 1)
	m.answers[id] = reply
	m.mu.Unlock()

	request := map[string]any{"execute": command, "id": id}
	if arguments != nil {
		request["arguments"] = arguments
	}
	text, err := json.Marshal(request)
	if err != nil {
		return nil, fmt.Errorf("qmp %s: %w", command, err)
	}
	if _, err := m.conn.Write(text); err != nil {
		return nil, fmt.Errorf("qmp %s: %w", command, err)
	}
	a, ok := <-reply
	switch {
	case !ok:
		return nil, fmt.Errorf("qmp %s: %w", command, errMonitorEnded)
	case a.err != nil:
		a.err.Command = command
		return nil, a.err
	}
	return a.value, nil
}

// Await waits for the next event of that name. Events before it are passed over for good.
func (m *Monitor) Await(name string, within time.Duration) (Event, error) {
	deadline := time.After(within)
	for {
		m.mu.Lock()
		if i := slices.IndexFunc(m.events[m.taken:], func(e Event) bool {
			return e.Name == name
		}); i >= 0 {
			e := m.events[m.taken+i]
			m.taken += i + 1
			m.mu.Unlock()
			return e, nil
		}
		ended, changed := m.ended, m.changed
		m.mu.Unlock()
		if ended {
			return Event{}, fmt.Errorf("qmp event %s: %w", name, errMonitorEnded)
		}
		select {
		case <-changed:
		case <-deadline:
			return Event{}, fmt.Errorf("qmp event %s: not within %v", name, within)
		}
	}
}

// Events are all events so far.
func (m *Monitor) Events() []Event {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.events)
}
