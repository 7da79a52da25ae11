// Bench compares what PID 1 costs: Rebound, BusyBox's init, sysvinit, and the least that C
// and Go can do, each on the same kernel in QEMU, whose clock counts instructions.
//
//	bench [-init FILE] [flags]
//
// Everyone does the same: one sysinit action, services that obey TERM, then a request to
// reboot. What is measured is said by Figures; the columns are
//
//	floor     runs the action and calls reboot(2): no services, so nothing has to end
//	C loop    does the whole work and nothing besides
//	Go loop   the same in Go
//
// The table is printed, and with every single boot it is written as JSON. The exit status is
// 0 if all could be measured, whatever the figures are; -strict makes it 1 if one of Rebound's
// is over its limit.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"strconv"
	"strings"
	"syscall"
)

// options are the flags.
type options struct {
	init, kernel, busybox, packages, qemu string
	ldflags                               string
	services, only                        string
	runs, jobs                            int
	work, out                             string
	strict                                bool
}

func main() {
	var o options
	flag.StringVar(&o.init, "init", "", "Rebound's init; without it that column is left out")
	flag.StringVar(&o.kernel, "kernel", "build/kernels/amd64/vmlinuz", "kernel to boot")
	flag.StringVar(&o.busybox, "busybox", "build/busybox/amd64", "static BusyBox")
	flag.StringVar(&o.packages, "packages", "build/packages/amd64",
		"`directory` of Debian packages, unpacked, for sysvinit")
	flag.StringVar(&o.qemu, "qemu", "qemu-system-x86_64", "QEMU")
	flag.StringVar(&o.ldflags, "ldflags", "-s -w -X runtime.godebugDefault="+
		"disablethp=1,containermaxprocs=0,updatemaxprocs=0", "how init was linked, for the Go loop")
	flag.StringVar(&o.services, "services", "4,100,1000", "numbers of services, rising")
	flag.StringVar(&o.only, "only", "", "contenders to measure, by name; all if empty")
	flag.IntVar(&o.runs, "runs", 3, "boots of each kind; the median counts")
	flag.IntVar(&o.jobs, "j", runtime.NumCPU(), "boots at the same time, which changes no figure")
	flag.StringVar(&o.work, "work", "build/bench", "`directory` for programs, images and consoles")
	flag.StringVar(&o.out, "out", "build/bench.json", "where the JSON goes; nowhere if empty")
	flag.BoolVar(&o.strict, "strict", false, "exit 1 if a figure is over its limit")
	flag.Parse()
	if flag.NArg() > 0 {
		fmt.Fprintf(os.Stderr, "bench: unexpected argument %q\n", flag.Arg(0))
		os.Exit(2)
	}

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	tooMuch, err := run(ctx, o, os.Stdout)
	if err != nil {
		fmt.Fprintf(os.Stderr, "bench: %v\n", err)
		os.Exit(1)
	}
	if tooMuch && o.strict {
		os.Exit(1)
	}
}

// run measures and reports. It says whether a figure is over its limit, and fails if there is
// one that it could not measure.
func run(ctx context.Context, o options, w io.Writer) (tooMuch bool, err error) {
	services, err := parseServices(o.services)
	if err != nil {
		return false, err
	}
	if o.runs < 1 || o.jobs < 1 {
		return false, fmt.Errorf("-runs %d -j %d: expected at least 1", o.runs, o.jobs)
	}
	if err := os.MkdirAll(o.work, 0o755); err != nil {
		return false, err
	}
	contenders, err := chooseContenders(o)
	if err != nil {
		return false, err
	}
	if o.init == "" {
		fmt.Fprintln(w, "bench: no -init, so the column of Rebound is left out")
	}
	programs, err := buildPrograms(ctx, o, contenders)
	if err != nil {
		return false, err
	}
	results, jobs, err := plan(o, contenders, programs, services)
	if err != nil {
		return false, err
	}
	failed := measure(ctx, o, jobs, w)

	table := rows(results, services)
	spreads := []Spread{
		widest(results, "first action", func(f Figures) float64 { return f.Action }),
		widest(results, "all services up", func(f Figures) float64 { return f.Services }),
		widest(results, "way down", func(f Figures) float64 { return f.Down }),
		widest(results, "PSS", func(f Figures) float64 { return f.PSS }),
	}
	fmt.Fprintln(w)
	printTable(w, results, table)
	if o.runs > 1 {
		fmt.Fprintf(w, "\nMedians of %d boots; how far these lie apart at most:\n", o.runs)
		for _, s := range spreads {
			fmt.Fprintf(w, "  %-16s %4.1f %%  %s with %d services\n",
				s.Figure, s.Percent, s.Contender, s.Services)
		}
	}
	for _, row := range table {
		if row.Verdict != over {
			continue
		}
		tooMuch = true
		fmt.Fprintf(w, "OVER THE LIMIT: %s with %d services: %s, limit %s\n",
			strings.TrimSpace(row.Figure), row.Services, row.cell(rebound),
			number(*row.Limit, row.decimals))
	}
	if failed == nil && o.out != "" {
		failed = writeJSON(o, results, table, spreads)
	}
	return tooMuch, failed
}

// parseServices takes numbers with commas between them, each greater than the one before.
func parseServices(text string) ([]int, error) {
	var services []int
	for word := range strings.SplitSeq(text, ",") {
		n, err := strconv.Atoi(word)
		if err != nil || n < 1 || n > maxServices ||
			len(services) > 0 && n <= services[len(services)-1] {
			return nil, fmt.Errorf("-services %q: expected rising numbers from 1 to %d", text, maxServices)
		}
		services = append(services, n)
	}
	return services, nil
}

// writeJSON writes everything that was measured, and on what.
func writeJSON(o options, results []Result, table []Row, spreads []Spread) error {
	report := struct {
		Machine []string `json:"machine"`
		Results []Result `json:"results"`
		Table   []Row    `json:"table"`
		Spreads []Spread `json:"spreads"`
	}{append([]string{o.qemu}, machine(o.kernel, "IMAGE")...), results, table, spreads}
	text, err := json.MarshalIndent(report, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(o.out, append(text, '\n'), 0o644)
}
