/*
 * stage prepares the world in which an init is started as PID 1, then becomes that init.
 *
 * It is the first process of a fresh PID and mount namespace. Its arguments are verbs, each with
 * a fixed number of words, carried out in order; the last is "exec PATH ARGV0 ARGV...". It is
 * written in C because a Go runtime would leave its own marks (threads, limits, dispositions) on
 * what PID 1 inherits, and that inheritance is what the tests are about.
 *
 * Any failure is written to fd 3 as it was at the start, and ends the process with status 111.
 * That the exec has succeeded shows there as end of file.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static int trouble = 2;

static void fail(const char *verb, const char *word)
{
	dprintf(trouble, "stage: %s %s: %s\n", verb, word, strerror(errno));
	_exit(111);
}

static void need(int ok, const char *verb, const char *word)
{
	if (!ok)
		fail(verb, word);
}

/* root makes DIR the root of this mount namespace and forgets the old one. */
static void root(const char *dir)
{
	need(chdir(dir) == 0, "chdir", dir);
	need(syscall(SYS_pivot_root, ".", ".") == 0, "pivot_root", dir);
	need(umount2(".", MNT_DETACH) == 0, "umount old root of", dir);
	need(chdir("/") == 0, "chdir", "/");
}

/* attach puts a detached mount, made by the test with fsmount(2), at PATH. */
static void attach(int fd, const char *path)
{
	need(syscall(SYS_move_mount, fd, "", AT_FDCWD, path, MOVE_MOUNT_F_EMPTY_PATH) == 0,
	     "attach", path);
}

/*
 * calm undoes what the test process may have left behind: ignored signals and a mask. Without the C
 * library, which keeps two signals to itself, and make starts its children with those ignored.
 */
static void calm(void)
{
	static const char usual[64]; /* a struct sigaction of zeros: SIG_DFL */
	sigset_t none;
	int s;

	for (s = 1; s < 65; s++)
		syscall(SYS_rt_sigaction, s, usual, NULL, 8);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static void block(int sig)
{
	sigset_t one;

	sigemptyset(&one);
	sigaddset(&one, sig);
	sigprocmask(SIG_BLOCK, &one, NULL);
}

static void limit(int what, const char *soft, const char *hard)
{
	struct rlimit l;

	l.rlim_cur = strcmp(soft, "unlimited") ? strtoull(soft, NULL, 10) : RLIM_INFINITY;
	l.rlim_max = strcmp(hard, "unlimited") ? strtoull(hard, NULL, 10) : RLIM_INFINITY;
	need(setrlimit(what, &l) == 0, "limit", soft);
}

static void put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	need(fd >= 0, "open", path);
	need(write(fd, text, strlen(text)) == (ssize_t)strlen(text), "write", path);
	close(fd);
}

static void openat_fd(int fd, const char *path)
{
	int got = open(path, O_RDWR | O_NOCTTY);

	need(got >= 0, "open", path);
	if (got != fd) {
		need(dup2(got, fd) == fd, "open", path);
		close(got);
	}
}

int main(int argc, char **argv)
{
	char **a = argv + 1;

	trouble = fcntl(3, F_DUPFD_CLOEXEC, 500);
	calm();
	need(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0, "make private", "/");
	while (*a) {
		char *verb = *a++;

		if (!strcmp(verb, "bind")) {
			need(mount(a[0], a[1], NULL, MS_BIND | MS_REC, NULL) == 0, verb, a[1]);
			a += 2;
		} else if (!strcmp(verb, "attach")) {
			attach(atoi(a[0]), a[1]);
			a += 2;
		} else if (!strcmp(verb, "forget")) {
			/* Also descriptors that the test process has itself inherited. */
			syscall(SYS_close_range, 3, trouble - 1, 0);
			syscall(SYS_close_range, trouble + 1, ~0U, 0);
		} else if (!strcmp(verb, "proc")) {
			need(mount("proc", a[0], "proc", 0, NULL) == 0, verb, a[0]);
			a += 1;
		} else if (!strcmp(verb, "root")) {
			root(a[0]);
			a += 1;
		} else if (!strcmp(verb, "chdir")) {
			need(chdir(a[0]) == 0, verb, a[0]);
			a += 1;
		} else if (!strcmp(verb, "open")) {
			openat_fd(atoi(a[0]), a[1]);
			a += 2;
		} else if (!strcmp(verb, "dup")) {
			need(dup2(atoi(a[0]), atoi(a[1])) >= 0, verb, a[1]);
			a += 2;
		} else if (!strcmp(verb, "close")) {
			close(atoi(a[0]));
			a += 1;
		} else if (!strcmp(verb, "ignore")) {
			need(signal(atoi(a[0]), SIG_IGN) != SIG_ERR, verb, a[0]);
			a += 1;
		} else if (!strcmp(verb, "block")) {
			block(atoi(a[0]));
			a += 1;
		} else if (!strcmp(verb, "write")) {
			put(a[0], a[1]);
			a += 2;
		} else if (!strcmp(verb, "umask")) {
			umask(strtol(a[0], NULL, 8));
			a += 1;
		} else if (!strcmp(verb, "nice")) {
			need(setpriority(PRIO_PROCESS, 0, atoi(a[0])) == 0, verb, a[0]);
			a += 1;
		} else if (!strcmp(verb, "limit")) {
			limit(atoi(a[0]), a[1], a[2]);
			a += 3;
		} else if (!strcmp(verb, "dropcap")) {
			need(prctl(PR_CAPBSET_DROP, atoi(a[0])) == 0, verb, a[0]);
			a += 1;
		} else if (!strcmp(verb, "setsid")) {
			need(setsid() >= 0, verb, "");
		} else if (!strcmp(verb, "ctty")) {
			need(ioctl(atoi(a[0]), TIOCSCTTY, 0) == 0, verb, a[0]);
			a += 1;
		} else if (!strcmp(verb, "exec")) {
			execv(a[0], a + 1);
			fail(verb, a[0]);
		} else {
			errno = EINVAL;
			fail("unknown verb", verb);
		}
	}
	errno = EINVAL;
	fail("no exec", "");
	return argc;
}
