package simkernel

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// TestOOMSays is what each kernel says when it kills for want of memory, without the stack.
func TestOOMSays(t *testing.T) {
	const asks = " invoked oom-killer: gfp_mask="
	for kernel, want := range map[string][]string{
		"linux-2.6.17-i386": {
			"4 oom-killer: gfp_mask=0x280d2, order=0", "6 Mem-info:", "3 Out of memory: Killed process 3 (big).",
		},
		"linux-2.6.24-i386": {
			"4 big" + asks + "0x280d2, order=0, oomkilladj=0", "6 Mem-info:",
			"3 Out of memory: kill process 3 (big) score 0 or a child", "3 Killed process 3 (big)",
		},
		"linux-3.10-arm": {
			"4 big" + asks + "0x280da, order=0, oom_score_adj=0", "4 Mem-Info:",
			"6 [ pid ]   uid  tgid total_vm      rss nr_ptes swapents oom_score_adj name",
			"6 [    3]     0     3        0        0       0        0             0 big",
			"3 Out of memory: Kill process 3 (big) score 0 or sacrifice child", "3 Killed process 3 (big)",
		},
		"linux-4.19-x86_64": {
			"4 big" + asks + "0x6280ca(GFP_HIGHUSER_MOVABLE|__GFP_ZERO), nodemask=(null), order=0, oom_score_adj=0",
			"4 Mem-Info:", "6 Tasks state (memory values in pages):",
			"6 [  pid  ]   uid  tgid total_vm      rss pgtables_bytes swapents oom_score_adj name",
			"6 [      3]     0     3        0        0        0        0             0 big",
			"3 Out of memory: Kill process 3 (big) score 0 or sacrifice child", "3 Killed process 3 (big)",
		},
		"linux-5.10-x86_64": {
			"4 big" + asks + "0x140dca(GFP_HIGHUSER_MOVABLE|__GFP_COMP|__GFP_ZERO), order=0, oom_score_adj=0",
			"4 Mem-Info:", "6 Tasks state (memory values in pages):",
			"6 [  pid  ]   uid  tgid total_vm      rss pgtables_bytes swapents oom_score_adj name",
			"6 [      3]     0     3        0        0        0        0             0 big",
			"6 oom-kill:constraint=CONSTRAINT_NONE,nodemask=(null),cpuset=/,mems_allowed=0,global_oom," +
				"task_memcg=/,task=big,pid=3,uid=0",
			"3 Out of memory: Killed process 3 (big)",
		},
	} {
		d := crashed(t, Config{Kernel: kernel, Until: time.Minute}, starts("big", Pause{}),
			Do(func(m *Machine) { m.At(m.now+time.Second, Fail{How: OutOfMemory{Name: "big"}}) }))
		said := slices.DeleteFunc(d.said, func(s string) bool {
			return strings.Contains(s, "Comm: ") || strings.Contains(s, "Hardware name") ||
				strings.Contains(s, "race:") || strings.Contains(s, "TASK>")
		})
		wantEqual(t, kernel, said, want)
	}
}
