package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// console is what BusyBox left on the serial line, but for most of the kernel's own records.
const console = "[    0.000000] Linux version 6.1.0-56-cloud-amd64 (gcc-12)\r\n" +
	"[    1.239615] Run /init as init process\r\n" +
	"[    1.240633] bench: action\r\n" +
	"[    1.243049] bench: all services\r\n" +
	"[   11.242409] bench: value Pss:                1464 kB\r\n" +
	"[   11.242433] bench: value Anonymous:            60 kB\r\n" +
	"[   11.242454] bench: value AnonHugePages:      2048 kB\r\n" +
	"[   11.242529] bench: value Threads:\t7\r\n" +
	"[   11.243659] bench: value Services: 4\r\n" +
	"The system is going down NOW!\r\n" +
	"Sent SIGTERM to all processes\r\n" +
	"Requesting system reboot[   12.246257] bench: request\r\n" +
	"[   14.254336] ACPI: PM: Preparing to enter system sleep state S5\r\n" +
	"[   14.254357] reboot: Restarting system\r\n" +
	"[   14.254362] reboot: machine restart\r\n"

func TestFiguresAreReadOffTheConsole(t *testing.T) {
	got, err := parseConsole(console, 4)
	if err != nil {
		t.Fatal(err)
	}
	want := Figures{
		Action: 1.018, Services: 3.434, Down: 2008.1,
		PSS: 1464, Anon: 60, Huge: 2048, Threads: 7,
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("-want +got\n%s", d)
	}
}

// A time is taken from the first record of its kind: a respawned action or a second request
// must not move it.
func TestTheFirstRecordCounts(t *testing.T) {
	again := console + "[   20.000000] bench: action\r\n[   21.000000] reboot: Restarting system\r\n"
	got, err := parseConsole(again, 4)
	if err != nil {
		t.Fatal(err)
	}
	if got.Action > 2 || got.Down > 2009 {
		t.Errorf("got action %v ms, way down %v ms, want those of the first records",
			got.Action, got.Down)
	}
}

func TestTheFloorHasNoServices(t *testing.T) {
	floor := "[    1.000000] Run /init as init process\n[    1.000500] bench: action\n" +
		"[    2.000000] bench: request\n[    2.000250] reboot: Restarting system\n"
	got, err := parseConsole(floor, 0)
	if err != nil {
		t.Fatal(err)
	}
	if got.Services != 0 || got.PSS != 0 || got.Down == 0 {
		t.Errorf("got %+v, want a way down, no services and no PSS", got)
	}
}

func TestAConsoleThatLacksSomethingIsRefused(t *testing.T) {
	without := func(text string) string {
		var kept strings.Builder
		for line := range strings.Lines(console) {
			if !strings.Contains(line, text) {
				kept.WriteString(line)
			}
		}
		return kept.String()
	}
	tests := []struct{ name, console, want string }{
		{"no boot", "", `no record "Run /init as init process"`},
		{"no action", without("bench: action"), `no record "bench: action"`},
		{"not all services", without("bench: all"), `no record "bench: all services"`},
		{"no request", without("bench: request"), `no record "bench: request"`},
		{"no reboot", without("Restarting"), `no record "reboot: Restarting system"`},
		{"no PSS", without("Pss"), `no value of "Pss"`},
		{
			"services missing", strings.Replace(console, "Services: 4", "Services: 3", 1),
			"3 services run, expected 4",
		},
		{"a value that is none", strings.Replace(console, "1464 kB", "many kB", 1), "a number"},
		{
			"the asker failed", console + "[   15.000000] bench: error: /run/initctl: No such file\n",
			"/run/initctl: No such file",
		},
		{
			"a panic", "[    1.0] x\n[    2.000000] Kernel panic - not syncing: No init found\n",
			"Kernel panic - not syncing: No init found",
		},
		{
			"time runs backwards", strings.Replace(console, "   14.254357", "   12.000000", 1),
			`"reboot: Restarting system" comes before "bench: request"`,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := parseConsole(tt.console, 4)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %+v, %v\nwant an error with %q", got, err, tt.want)
			}
		})
	}
}

// What a PID 1 prints is up to it: no text may crash the parser or give times below zero.
func FuzzParseConsole(f *testing.F) {
	f.Add(console, 4)
	f.Add("[99999999999999999999.000000] bench: action\n", 0)
	f.Fuzz(func(t *testing.T, text string, services int) {
		got, err := parseConsole(text, services)
		if err == nil && (got.Action < 0 || got.Services < 0 || got.Down < 0 || got.PSS < 0) {
			t.Errorf("got %+v from %q", got, text)
		}
	})
}
