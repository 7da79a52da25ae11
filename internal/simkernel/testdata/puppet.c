/*
 * A process that does the system calls that it is told, one line each, and answers with what they
 * return. Puppet i reads its lines from descriptor 3+2i and answers on descriptor 4+2i; it is born by
 * the line "fork" of another, the first one as PID 1 of a namespace, or as a thread of the other by
 * the line "thread".
 */
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile sig_atomic_t count;
static volatile unsigned char came[4096];

static void catch(int sig)
{
	if (count < (int)sizeof(came))
		came[count++] = sig;
}

static void action(int sig, const char *how, int flags)
{
	struct sigaction a;

	memset(&a, 0, sizeof(a));
	a.sa_flags = SA_RESTART | flags;
	a.sa_handler = !strcmp(how, "catch") ? catch : !strcmp(how, "ignore") ? SIG_IGN : SIG_DFL;
	sigaction(sig, &a, NULL);
}

static void line(int me, char *buf, int size)
{
	int n = 0;

	while (n < size - 1) {
		int r = read(3 + 2 * me, buf + n, 1);

		if (r < 0 && errno == EINTR)
			continue;
		if (r <= 0)
			_exit(99);
		if (buf[n] == '\n')
			break;
		n++;
	}
	buf[n] = 0;
}

static void answer(int me, const char *text)
{
	int n = strlen(text);

	if (write(4 + 2 * me, text, n) != n)
		_exit(98);
}

static void number(int me, long n)
{
	char buf[32];

	snprintf(buf, sizeof(buf), "%ld\n", n < 0 ? (long)-errno : n);
	answer(me, buf);
}

static void wait_for(int me, int type, int id, unsigned options)
{
	char buf[96];
	siginfo_t i;

	memset(&i, 0, sizeof(i));
	if (syscall(SYS_waitid, type, id, &i, options | WNOHANG, NULL) < 0)
		number(me, -1);
	else if (!i.si_pid)
		answer(me, "none\n");
	else {
		snprintf(buf, sizeof(buf), "%d %d %d\n", i.si_pid, i.si_code, i.si_status);
		answer(me, buf);
	}
}

static void play(int me);

static int thread(void *arg)
{
	play((long)arg);
	return 0;
}

/* It returns who goes on: a child of fork is another. */
static int obey(int me, char *text)
{
	char word[16] = "", how[16] = "";
	long a = 0, b = 0, c = 0;
	char buf[32];
	int i;
	sigset_t set, old;

	if (sscanf(text, "%15s %15s %ld %ld", word, how, &a, &b) > 1 && !strcmp(word, "action")) {
		action(a, how, b);
		answer(me, "0\n");
		return me;
	}
	sscanf(text, "%15s %ld %ld %ld", word, &a, &b, &c);
	sigemptyset(&set);
	if (!strcmp(word, "fork")) {
		long pid = syscall(SYS_clone, b | c, 0, 0, 0, 0);

		if (!pid) {
			/* PID 1 catches all, its children begin with the default. */
			for (i = 1; me == 0 && i <= 64; i++)
				if (i != 32 && i != 33)
					action(i, "default", 0);
			count = 0;
			return a;
		}
		number(me, pid);
	} else if (!strcmp(word, "thread")) {
		char *stack = malloc(65536);

		number(me, clone(thread, stack + 65536, CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND |
				 CLONE_THREAD | CLONE_SYSVSEM, (void *)a));
	} else if (!strcmp(word, "endthread"))
		syscall(SYS_exit, 0);
	else if (!strcmp(word, "exit"))
		_exit(a);
	else if (!strcmp(word, "kill"))
		number(me, kill(a, b));
	else if (!strcmp(word, "raise"))
		number(me, syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), a));
	else if (!strcmp(word, "setpgid"))
		number(me, setpgid(a, b));
	else if (!strcmp(word, "setsid"))
		number(me, setsid() < 0 ? -1 : 0);
	else if (!strcmp(word, "subreaper"))
		number(me, prctl(PR_SET_CHILD_SUBREAPER, a, 0, 0, 0));
	else if (!strcmp(word, "deathsig"))
		number(me, prctl(PR_SET_PDEATHSIG, a, 0, 0, 0));
	else if (!strcmp(word, "setuid"))
		number(me, syscall(SYS_setuid, a));
	else if (!strcmp(word, "block") || !strcmp(word, "unblock")) {
		sigaddset(&set, a);
		number(me, sigprocmask(word[0] == 'b' ? SIG_BLOCK : SIG_UNBLOCK, &set, NULL));
	} else if (!strcmp(word, "wait"))
		wait_for(me, a, b, c);
	else if (!strcmp(word, "came")) {
		sigfillset(&set);
		sigprocmask(SIG_BLOCK, &set, &old);
		for (i = 0; i < count; i++) {
			snprintf(buf, sizeof(buf), "%d ", came[i]);
			answer(me, buf);
		}
		count = 0;
		sigprocmask(SIG_SETMASK, &old, NULL);
		answer(me, "\n");
	} else
		_exit(97);
	return me;
}

static void play(int me)
{
	char buf[256];

	for (;;) {
		line(me, buf, sizeof(buf));
		me = obey(me, buf);
	}
}

int main(void)
{
	static const char usual[64]; /* a struct sigaction of zeros: SIG_DFL */
	int sig;

	for (sig = 1; sig <= 64; sig++)
		if (sig != 32 && sig != 33)
			action(sig, "catch", 0);
		else /* The C library keeps these to itself, and make starts its children with one ignored. */
			syscall(SYS_rt_sigaction, sig, usual, NULL, 8);
	if (mount("proc", "/proc", "proc", 0, NULL) < 0)
		return 96;
	answer(0, "0\n");
	play(0);
}
