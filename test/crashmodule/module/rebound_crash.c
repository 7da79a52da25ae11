// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * Makes the kernel that it is loaded into fail, one way or another, to see what it says.
 *
 * A word written to /proc/rebound-crash is a way to fail; ways[] below lists them. Where it says
 * "on the last CPU", a kernel thread of that CPU fails, and whoever wrote goes on. With the number
 * of a CPU behind the word that is so for each of them.
 */
#include <linux/cpumask.h>
#include <linux/delay.h>
#include <linux/gfp.h>
#include <linux/hrtimer.h>
#include <linux/kernel.h>
#include <linux/kmsg_dump.h>
#include <linux/kthread.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/notifier.h>
#include <linux/panic_notifier.h>
#include <linux/pid_namespace.h>
#include <linux/proc_fs.h>
#include <linux/rcupdate.h>
#include <linux/reboot.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/sched/task_stack.h>
#include <linux/string.h>
#include <linux/timer.h>
#include <linux/tracepoint.h>
#include <linux/uaccess.h>
#include <linux/version.h>

MODULE_DESCRIPTION("Ways for a kernel to fail");
MODULE_LICENSE("Dual MIT/GPL");

/*
 * None of these may be inlined: then the function named in a report is the same for all compilers.
 * They fail by hand-written addresses that the compiler must take as they come.
 */
static noinline void null_write(void)
{
	*(volatile int *)0x10 = 1;
}

static noinline void null_read(void)
{
	(void)*(volatile int *)0x10;
}

static noinline void null_jump(void)
{
	void (*nowhere)(void) = NULL;

	OPTIMIZER_HIDE_VAR(nowhere);
	nowhere();
}

/* An address of the kernel's half where nothing is mapped. */
static noinline void wild_write(void)
{
	*(volatile int *)(~0UL << 40 | 0xdead000UL) = 1;
}

static noinline void wild_read(void)
{
	(void)*(volatile int *)(~0UL << 40 | 0xdead000UL);
}

/* The kernel's own text is mapped, but not to be written to. */
static noinline void text_write(void)
{
	*(volatile int *)((unsigned long)_printk & ~3UL) = 1;
}

static noinline void undefined(void)
{
#if defined(CONFIG_X86)
	asm volatile("ud2");
#elif defined(CONFIG_ARM64)
	asm volatile(".inst 0");
#endif
}

static noinline void bug(void)
{
	BUG();
}

static noinline void warn(void)
{
	WARN(1, "something is odd\n");
}

static noinline void bare_warn(void)
{
	WARN_ON(1);
}

static noinline void do_panic(void)
{
	panic("a driver has called panic()");
}

static noinline void panic_newline(void)
{
	panic("a driver has called panic()\n");
}

static noinline void irqs_off_oops(void)
{
	local_irq_disable();
	null_write();
}

static noinline void atomic_oops(void)
{
	preempt_disable();
	null_write();
}

/* As of one who holds a spinlock. */
static noinline void locked_oops(void)
{
	preempt_disable();
	local_irq_disable();
	null_write();
}

/* The kernel mends the count of those who do this: there is nothing to enable afterwards. */
static noinline void atomic_schedule(void)
{
	preempt_disable();
	schedule();
}

static void timer_oops_fn(struct timer_list *unused)
{
	null_write();
}

static void timer_bug_fn(struct timer_list *unused)
{
	bug();
}

static void timer_panic_fn(struct timer_list *unused)
{
	do_panic();
}

static enum hrtimer_restart irq_oops_fn(struct hrtimer *unused)
{
	null_write();
	return HRTIMER_NORESTART;
}

/* Unlike a timer of the other kind, it is run by the handler of the interrupt itself. */
static void irq_oops(void)
{
	static struct hrtimer t;

	hrtimer_init(&t, CLOCK_MONOTONIC, HRTIMER_MODE_REL_HARD);
	t.function = irq_oops_fn;
	hrtimer_start(&t, ms_to_ktime(100), HRTIMER_MODE_REL_HARD);
}

static struct timer_list timer;

static void start_timer(void (*fn)(struct timer_list *))
{
	timer_setup(&timer, fn, 0);
	mod_timer(&timer, jiffies + HZ / 10);
}

static void timer_oops(void)
{
	start_timer(timer_oops_fn);
}

static void timer_bug(void)
{
	start_timer(timer_bug_fn);
}

static void timer_panic(void)
{
	start_timer(timer_panic_fn);
}

static noinline int overflow(int depth)
{
	volatile char frame[512];

	memset((char *)frame, depth, sizeof(frame));
	return overflow(depth + 1) + frame[depth % 512];
}

static void stack_overflow(void)
{
	pr_info("rebound-crash: %d\n", overflow(0));
}

static void stack_end(void)
{
	*end_of_stack(current) = 0;
	schedule();
}

void __stack_chk_fail(void);

static noinline void stack_canary(void)
{
	__stack_chk_fail();
}

static void d_state(void)
{
	for (;;) {
		set_current_state(TASK_UNINTERRUPTIBLE);
		schedule();
	}
}

/* Who is killed for it gives back what it has. */
static void oom(void)
{
	struct page *page, *next;
	LIST_HEAD(taken);

	while (!fatal_signal_pending(current)) {
		page = alloc_page(GFP_KERNEL);
		if (page)
			list_add(&page->lru, &taken);
	}
	list_for_each_entry_safe(page, next, &taken, lru)
		__free_page(page);
}

/* What a kernel thread of the last CPU does. */
static noinline int spin_preempt_off(void *unused)
{
	preempt_disable();
	for (;;)
		barrier();
	return 0;
}

static noinline int spin_irqs_off(void *unused)
{
	local_irq_disable();
	for (;;)
		barrier();
	return 0;
}

static int thread_oops(void *unused)
{
	null_write();
	return 0;
}

static bool first_panics;

/* It panics second: not before the other CPU owns the panic. */
static int second_panic(void *unused)
{
	local_irq_disable();
	while (!smp_load_acquire(&first_panics))
		barrier();
	mdelay(5);
	panic("another driver has, too");
	return 0;
}

static void on_last_cpu(int (*fn)(void *))
{
	unsigned int cpu = cpumask_last(cpu_online_mask);
	struct task_struct *t = kthread_create(fn, NULL, "rebound-crash");

	if (IS_ERR(t))
		return;
	kthread_bind(t, cpu);
	wake_up_process(t);
}

static void soft_lockup(void)
{
	on_last_cpu(spin_preempt_off);
}

static void hard_lockup(void)
{
	on_last_cpu(spin_irqs_off);
}

static void kthread_oops(void)
{
	on_last_cpu(thread_oops);
}

static void double_panic(void)
{
	on_last_cpu(second_panic);
	msleep(200);
	preempt_disable();
	smp_store_release(&first_panics, true);
	panic("a driver has called panic()");
}

/* One CPU, this one, never comes back. */
static void self_lockup(void)
{
	spin_preempt_off(NULL);
}

static void self_irqs_off(void)
{
	spin_irqs_off(NULL);
}

/* The callback of a notifier of panic that panics itself, once, and before the kernel's own. */
static int panic_again(struct notifier_block *nb, unsigned long action, void *data)
{
	static bool done;

	if (!done) {
		done = true;
		panic("another driver has, too");
	}
	return NOTIFY_DONE;
}

static struct notifier_block again = { .notifier_call = panic_again, .priority = 10 };

static void notifier_panic(void)
{
	atomic_notifier_chain_register(&panic_notifier_list, &again);
	do_panic();
}

/*
 * A tracepoint lets a function be called by a task that would not call it: by the idle task when it
 * has nothing to do, by PID 1 in a system call. Most of them are not exported, and are found by name.
 */
struct wanted {
	const char *name;
	struct tracepoint *found;
};

static void compare_name(struct tracepoint *tp, void *data)
{
	struct wanted *w = data;

	if (strcmp(tp->name, w->name) == 0)
		w->found = tp;
}

static int at_tracepoint(const char *name, void *probe)
{
	struct wanted w = { .name = name };

	for_each_kernel_tracepoint(compare_name, &w);
	return w.found ? tracepoint_probe_register(w.found, probe, NULL) : -ENOENT;
}

static void idle_probe(void *unused, unsigned int state, unsigned int cpu)
{
	if (is_idle_task(current))
		null_write();
}

static void idle_oops(void)
{
	if (at_tracepoint("cpu_idle", idle_probe))
		pr_err("rebound-crash: no tracepoint of the idle task\n");
}

static void init_probe(void *unused, struct pt_regs *regs, long nr)
{
	if (current->pid == 1)
		null_write();
}

/* The signal is one that means nothing to it, but that it comes back from by a system call. */
static void init_oops(void)
{
	if (at_tracepoint("sys_enter", init_probe))
		pr_err("rebound-crash: no tracepoint of system calls\n");
	else
		send_sig(SIGCHLD, init_pid_ns.child_reaper, 0);
}

/* Reporters: who else was told, with what, and in which state. */
static int told_panic(struct notifier_block *nb, unsigned long action, void *data)
{
	pr_emerg("rebound-crash: panic notifier, action %lu, interrupts %s, %u CPUs online: %s\n",
		 action, irqs_disabled() ? "off" : "on", num_online_cpus(), (char *)data);
	return NOTIFY_DONE;
}

static int told_reboot(struct notifier_block *nb, unsigned long action, void *data)
{
	pr_emerg("rebound-crash: reboot notifier, action %lu, state %d\n", action, system_state);
	return NOTIFY_DONE;
}

static struct notifier_block of_panic = { .notifier_call = told_panic };
static struct notifier_block of_reboot = { .notifier_call = told_reboot };

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 11, 0)
static void told_dump(struct kmsg_dumper *d, struct kmsg_dump_detail *detail)
{
	pr_emerg("rebound-crash: kmsg_dump, reason %d\n", detail->reason);
}
#else
static void told_dump(struct kmsg_dumper *d, enum kmsg_dump_reason reason)
{
	pr_emerg("rebound-crash: kmsg_dump, reason %d\n", reason);
}
#endif

static struct kmsg_dumper of_dump = { .dump = told_dump, .max_reason = KMSG_DUMP_MAX };

static void observe(void)
{
	atomic_notifier_chain_register(&panic_notifier_list, &of_panic);
	register_reboot_notifier(&of_reboot);
	kmsg_dump_register(&of_dump);
}

static const struct {
	const char *name;
	void (*go)(void);
} ways[] = {
	{ "observe", observe },
	{ "null-write", null_write },
	{ "null-read", null_read },
	{ "null-jump", null_jump },
	{ "wild-write", wild_write },
	{ "wild-read", wild_read },
	{ "text-write", text_write },
	{ "undefined", undefined },
	{ "bug", bug },
	{ "warn", warn },
	{ "bare-warn", bare_warn },
	{ "panic", do_panic },
	{ "panic-newline", panic_newline },
	{ "irqs-off-oops", irqs_off_oops },
	{ "locked-oops", locked_oops },
	{ "irq-oops", irq_oops },
	{ "atomic-oops", atomic_oops },
	{ "atomic-schedule", atomic_schedule },
	{ "timer-oops", timer_oops },
	{ "timer-bug", timer_bug },
	{ "timer-panic", timer_panic },
	{ "stack-overflow", stack_overflow },
	{ "stack-end", stack_end },
	{ "stack-canary", stack_canary },
	{ "d-state", d_state },
	{ "oom", oom },
	{ "soft-lockup", soft_lockup },	/* on the last CPU */
	{ "hard-lockup", hard_lockup },	/* on the last CPU */
	{ "kthread-oops", kthread_oops },	/* on the last CPU */
	{ "self-lockup", self_lockup },
	{ "self-irqs-off", self_irqs_off },
	{ "double-panic", double_panic },
	{ "notifier-panic", notifier_panic },
	{ "emergency-restart", emergency_restart },
	{ "idle-oops", idle_oops },	/* whichever CPU is idle next */
	{ "init-oops", init_oops },	/* PID 1 does */
};

static int thread(void *way)
{
	ways[(unsigned long)way].go();
	return 0;
}

/* What it is called is what reports call it. */
static int on_cpu(unsigned long way, unsigned int cpu)
{
	struct task_struct *t;

	if (cpu >= nr_cpu_ids || !cpu_online(cpu))
		return -ENXIO;
	t = kthread_create(thread, (void *)way, "crash");
	if (IS_ERR(t))
		return PTR_ERR(t);
	kthread_bind(t, cpu);
	wake_up_process(t);
	return 0;
}

static ssize_t fail(struct file *f, const char __user *from, size_t n, loff_t *pos)
{
	char text[32] = "", *number = text, *name;
	unsigned int cpu;
	unsigned long i;
	int err;

	if (n >= sizeof(text) || copy_from_user(text, from, n))
		return -EINVAL;
	strim(text);
	name = strsep(&number, " ");
	for (i = 0; i < ARRAY_SIZE(ways); i++) {
		if (strcmp(name, ways[i].name) != 0)
			continue;
		if (!number) {
			ways[i].go();
			return n;
		}
		err = kstrtouint(number, 10, &cpu);
		if (!err)
			err = on_cpu(i, cpu);
		return err ? err : n;
	}
	return -ENOENT;
}

static const struct proc_ops ops = { .proc_write = fail };

static int __init rebound_crash_init(void)
{
	return proc_create("rebound-crash", 0200, NULL, &ops) ? 0 : -ENOMEM;
}

/* There is no way out: a kernel that has failed is not to be trusted with that. */
module_init(rebound_crash_init);
