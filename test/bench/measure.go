package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// A job is one boot to be made.
type job struct {
	result   *Result // where its figures go
	image    string
	services int // that the contender starts: none in the case of the floor
	column   int // the number of services that it stands for in the table
	run      int // from 1
}

func (j job) String() string {
	return fmt.Sprintf("%-8s %4d services, boot %d", j.result.Name, j.column, j.run)
}

// plan writes the images and lists the boots to be made with them. The results are still
// without figures, but for the sizes.
func plan(o options, contenders []contender, programs map[string]string, services []int) (
	results []Result, jobs []job, err error,
) {
	results = make([]Result, len(contenders))
	for i, c := range contenders {
		executable, libraries, err := c.size()
		if err != nil {
			return nil, nil, err
		}
		results[i] = Result{c.name, executable, libraries, map[int][]Figures{}}
		for _, n := range services {
			starts := n
			if c.table == nil {
				starts = 0
			}
			name := strings.ReplaceAll(strings.ToLower(c.name), " ", "")
			img := filepath.Join(o.work, fmt.Sprintf("%s-%d.cpio", name, n))
			if err := c.writeImage(img, programs, n); err != nil {
				return nil, nil, err
			}
			for run := 1; run <= o.runs; run++ {
				jobs = append(jobs, job{&results[i], img, starts, n, run})
			}
			if starts == 0 {
				break // More of what it does not start would be the same again.
			}
		}
	}
	return results, jobs, nil
}

// measure does the jobs, so many at a time as asked. The error joins those of the boots that
// failed, which leave no figures.
func measure(ctx context.Context, o options, jobs []job, w io.Writer) error {
	queue := make(chan job)
	go func() {
		defer close(queue)
		for _, j := range jobs {
			queue <- j
		}
	}()
	var (
		workers sync.WaitGroup
		mu      sync.Mutex // guards what follows, and the results
		done    int
		failed  []error
	)
	for range o.jobs {
		workers.Go(func() {
			for j := range queue {
				began := time.Now()
				f, err := bootOnce(ctx, o, j)
				mu.Lock()
				done++
				fmt.Fprintf(w, "[%2d/%d] %v: ", done, len(jobs), j)
				if err != nil {
					failed = append(failed, fmt.Errorf("%v: %w", j, err))
					fmt.Fprintln(w, err)
				} else {
					j.result.Boots[j.column] = append(j.result.Boots[j.column], f)
					fmt.Fprintf(w, "action %.2f ms, down %.2f ms, PSS %.0f kB (%.0f s)\n",
						f.Action, f.Down, f.PSS, time.Since(began).Seconds())
				}
				mu.Unlock()
			}
		})
	}
	workers.Wait()
	return errors.Join(failed...)
}

// bootOnce does a job, keeps the console beside the image and reads the figures off it.
func bootOnce(ctx context.Context, o options, j job) (Figures, error) {
	console, err := boot(ctx, o.qemu, o.kernel, j.image)
	log := fmt.Sprintf("%s-%d.log", strings.TrimSuffix(j.image, ".cpio"), j.run)
	if werr := os.WriteFile(log, []byte(console), 0o644); err == nil {
		err = werr
	}
	var f Figures
	if err == nil {
		f, err = parseConsole(console, j.services)
	}
	if err != nil {
		return Figures{}, fmt.Errorf("%w (console: %s)", err, log)
	}
	return f, nil
}
