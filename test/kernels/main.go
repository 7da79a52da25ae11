// Kernels makes Debian's kernels fail in QEMU in every way of a table, has the model fail the same
// way, and compares.
//
//	kernels [--policies] [--run REGEXP] [--record DIR] [--recorded DIR] [--table FILE] [--jobs N]
//
// With --policies our PID 1 sets each of the presets of panic.policy before, and what panicctl matrix
// has predicted is compared with what happens.
// With --recorded it takes the consoles that were kept instead of playing. It ends with status 1 if they differ anywhere. `make agree-kernels` brings what it needs.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"sync"
	"time"

	"github.com/spf13/pflag"

	"github.com/rebound-init/rebound/test/qemu"
)

func main() {
	flags := pflag.NewFlagSet("kernels", pflag.ContinueOnError)
	run := flags.String("run", "", "play only what matches this regular expression: KERNEL/CELL")
	record := flags.String("record", "", "keep the real consoles below this directory")
	recorded := flags.String("recorded", "", "take consoles that were kept below this directory")
	table := flags.String("table", "", "write the table into this file")
	policies := flags.Bool("policies", false, "play each failure with each preset of panic.policy")
	jobs := flags.Int("jobs", 2, "how many machines at a time")
	err := flags.Parse(os.Args[1:])
	if errors.Is(err, pflag.ErrHelp) {
		return
	}
	var chosen *regexp.Regexp
	if err == nil {
		chosen, err = regexp.Compile(*run)
	}
	build := ""
	if err == nil {
		build, err = filepath.Abs(qemu.BuildDir())
	}
	switch {
	case err != nil:
	case *policies:
		a := policyAgreement{
			guests: guests{build}, chosen: chosen, record: *record, recorded: *recorded, out: os.Stdout,
		}
		err = a.make(context.Background(), *table)
	default:
		a := agreement{
			guests: guests{build}, chosen: chosen, record: *record, jobs: *jobs, out: os.Stdout,
			recorded: *recorded,
		}
		err = a.make(context.Background(), *table)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "kernels: %v\n", err)
		os.Exit(1)
	}
}

// A job is a cell to be played on a kernel.
type job struct {
	kernel Kernel
	cell   Cell
}

// An agreement plays cells, and compares.
type agreement struct {
	guests guests
	chosen *regexp.Regexp
	jobs   int
	out    io.Writer
	// record and recorded are directories, or empty.
	record, recorded string

	mu      sync.Mutex // guards what follows, and out
	results []Result
}

// errDiffer says that not all is the same.
var errDiffer = errors.New("the model and the kernels differ")

// make plays all cells that were chosen.
func (a *agreement) make(ctx context.Context, file string) error {
	total := 0
	for _, k := range kernels() {
		var mine []job
		for _, c := range cellsOf(k) {
			if a.chosen.MatchString(k.Name + "/" + c.Name) {
				mine = append(mine, job{k, c})
			}
		}
		if len(mine) == 0 {
			continue
		}
		total += len(mine)
		if a.recorded != "" {
			a.read(mine)
			continue
		}
		if err := a.prepare(ctx, k, mine); err != nil {
			return err
		}
		a.play(mine)
	}
	unplayed, bad := 0, 0
	for _, r := range a.results {
		switch {
		case r.Unplayed != "":
			unplayed++
		case r.word() != "same":
			bad++
		}
	}
	fmt.Fprintf(a.out, "%d cells: %d same, %d not in the model, %d not the same\n",
		total, total-unplayed-bad, unplayed, bad)
	if file != "" {
		if err := writeHalf(file, firstHalf, table(a.results)); err != nil {
			return err
		}
	}
	if bad > 0 {
		return errDiffer
	}
	return nil
}

// prepare builds what the guests of a kernel need, and boots its machines.
func (a *agreement) prepare(ctx context.Context, k Kernel, jobs []job) error {
	fmt.Fprintf(a.out, "%s: building the crash module\n", k.Name)
	if err := a.guests.prepare(ctx, k); err != nil {
		return err
	}
	booted := map[int]bool{}
	for _, j := range jobs {
		cpus := max(j.cell.CPUs, 1)
		if j.cell.Boot != "" || booted[cpus] {
			continue
		}
		booted[cpus] = true
		fmt.Fprintf(a.out, "%s: booting with %d CPUs\n", k.Name, cpus)
		if err := a.guests.boot(k, cpus); err != nil {
			return fmt.Errorf("%s: %w", k.Name, err)
		}
	}
	return nil
}

// play plays jobs, some at a time.
func (a *agreement) play(jobs []job) {
	queue := make(chan job)
	var wg sync.WaitGroup
	for range a.jobs {
		wg.Go(func() {
			for j := range queue {
				a.one(j)
			}
		})
	}
	for _, j := range jobs {
		queue <- j
	}
	close(queue)
	wg.Wait()
}

// read takes the consoles of jobs that were kept.
func (a *agreement) read(jobs []job) {
	for _, j := range jobs {
		rec, err := load(a.recorded, j.kernel, j.cell)
		if err != nil {
			a.results = append(a.results, Result{Kernel: j.kernel, Cell: j.cell, Failed: err})
			continue
		}
		a.results = append(a.results, compared(j.kernel, j.cell, rec))
	}
}

// one plays a cell on a kernel and on the model.
func (a *agreement) one(j job) {
	begun := time.Now()
	rec, err := a.guests.play(j.kernel, j.cell)
	r := Result{Kernel: j.kernel, Cell: j.cell, Failed: err}
	if err == nil {
		r = compared(j.kernel, j.cell, rec)
		if a.record != "" {
			r.Failed = rec.save(a.record, j.kernel, j.cell)
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.results = append(a.results, r)
	fmt.Fprintf(a.out, "%-60s %s: %s (%v)\n", j.kernel.Name+"/"+j.cell.Name, r.word(), r.Real.Ended,
		time.Since(begun).Round(time.Second))
	for _, why := range []string{r.Unplayed, r.Difference} {
		if why != "" {
			fmt.Fprintf(a.out, "    %s\n", why)
		}
	}
	if err != nil {
		fmt.Fprintf(a.out, "    %v\n", err)
	}
}

// compared plays a cell on the model, and compares it with a recording. If it is the other of two that
// a cell may be, all of it must be.
func compared(k Kernel, c Cell, rec Recording) Result {
	r := Result{Kernel: k, Cell: c, Real: rec.outcome()}
	for _, failure := range []string{c.Failure, c.Or} {
		if failure == "" {
			continue
		}
		c.Failure = failure
		model, err := playModel(k, c)
		if err != nil {
			r.Unplayed = err.Error()
			return r
		}
		difference := differs(r.Real.without(c.Chance), model.without(c.Chance))
		if difference == "" {
			r.Difference = ""
			return r
		}
		if r.Difference != "" {
			r.Difference += "; as " + failure + ", "
		}
		r.Difference += difference
	}
	return r
}
