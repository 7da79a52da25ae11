/*
 * probe is the program that a test's inittab starts. It first reports everything a process
 * inherits (arguments, open files, session, terminal, environment, signals, limits ...) as one
 * JSON datagram to /run/report, then does as its words say.
 *
 *	probe NAME [VERB [WORD...]]...
 *
 * A probe started under another name (as /bin/sh, say) reports too; its NAME is then its argv[0],
 * and it ends if it has got words, else stays until it is killed. It is C, static and without stdio
 * buffers, so that a Go runtime's handlers, threads and limits do not hide what was inherited.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static char out[60000];
static size_t used;
static int comma;

static void put(const char *form, ...)
{
	va_list ap;
	int n;

	va_start(ap, form);
	n = vsnprintf(out + used, sizeof out - used, form, ap);
	va_end(ap);
	if (n > 0 && used + n < sizeof out)
		used += n;
}

/* text writes a JSON string; bytes outside ASCII are given as code points, as if Latin-1. */
static void text(const char *s)
{
	put("\"");
	for (; *s; s++) {
		unsigned char c = *s;

		if (c == '"' || c == '\\')
			put("\\%c", c);
		else if (c < 32 || c > 126)
			put("\\u%04x", c);
		else
			put("%c", c);
	}
	put("\"");
}

static void key(const char *k)
{
	put("%s\"%s\":", comma ? "," : "", k);
	comma = 1;
}

static void list(const char *k, char **words)
{
	key(k);
	put("[");
	for (char **w = words; *w; w++) {
		if (w != words)
			put(",");
		text(*w);
	}
	put("]");
}

static void number(const char *k, long v)
{
	key(k);
	put("%ld", v);
}

static void string(const char *k, const char *v)
{
	key(k);
	text(v);
}

/* field copies the value of a "Name:\tvalue" line of /proc/self/status. */
static void field(const char *status, const char *name, const char *k)
{
	char label[32], value[128];
	const char *at;

	snprintf(label, sizeof label, "\n%s:\t", name);
	at = strstr(status, label);
	if (!at)
		return;
	at += strlen(label);
	snprintf(value, sizeof value, "%.*s", (int)strcspn(at, "\n"), at);
	string(k, value);
}

static int slurp(const char *path, char *buf, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	int n;

	buf[0] = 0;
	if (fd < 0)
		return -1;
	n = read(fd, buf, size - 1);
	close(fd);
	if (n < 0)
		n = 0;
	buf[n] = 0;
	return n;
}

/* files reports every open descriptor below 1024 by what it is, not by a path. */
static void files(void)
{
	int first = 1;

	key("fds");
	put("[");
	for (int fd = 0; fd < 1024; fd++) {
		struct stat st;
		int flags = fcntl(fd, F_GETFL);

		if (flags < 0 || fstat(fd, &st) < 0)
			continue;
		put("%s{\"fd\":%d,\"type\":%u,\"major\":%u,\"minor\":%u,\"flags\":%d,\"cloexec\":%d}",
		    first ? "" : ",", fd, (unsigned)(st.st_mode & S_IFMT), major(st.st_rdev),
		    minor(st.st_rdev), flags, fcntl(fd, F_GETFD) & FD_CLOEXEC);
		first = 0;
	}
	put("]");
}

static void limits(void)
{
	key("limits");
	put("[");
	for (int r = 0; r < RLIM_NLIMITS; r++) {
		struct rlimit l;

		getrlimit(r, &l);
		put("%s[%lld,%lld]", r ? "," : "", (long long)l.rlim_cur, (long long)l.rlim_max);
	}
	put("]");
}

static void terminal(void)
{
	int tty = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);

	number("devtty", tty >= 0);
	if (tty >= 0)
		close(tty);
	number("foreground", tcgetpgrp(0) == getpgrp());
}

static void begin(const char *name)
{
	used = 0;
	comma = 0;
	put("{");
	string("name", name);
}

/* send delivers the datagram. The tests read all the time, so that it blocks only briefly. */
static void send_report(void)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX, .sun_path = "/run/report" };
	sigset_t all, before;
	int s;

	put("}");
	/* A handler that starts something must not hand the socket on. */
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &before);
	s = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (s < 0 || sendto(s, out, used, 0, (void *)&to, sizeof to) < 0)
		_exit(112);
	close(s);
	sigprocmask(SIG_SETMASK, &before, NULL);
}

static void note(const char *name, const char *k, const char *v)
{
	begin(name);
	string("note", k);
	string("text", v);
	send_report();
}

/*
 * report gathers without opening anything before files() has looked, so that the list of
 * descriptors is the inherited one.
 */
static void report(const char *name, char **argv)
{
	static char status[4096], stat_line[1024];
	char cwd[512];
	long tty = 0;
	char *at;

	begin(name);
	files();
	list("argv", argv);
	list("env", environ);
	number("pid", getpid());
	number("ppid", getppid());
	number("sid", getsid(0));
	number("pgid", getpgrp());
	string("cwd", getcwd(cwd, sizeof cwd) ? cwd : "?");
	mode_t mask = umask(0);
	umask(mask);
	number("umask", mask);
	number("nice", getpriority(PRIO_PROCESS, 0));
	limits();
	if (slurp("/proc/self/status", status, sizeof status) > 0) {
		field(status, "SigBlk", "blocked");
		field(status, "SigIgn", "ignored");
		field(status, "SigCgt", "caught");
		field(status, "SigPnd", "pending");
		field(status, "ShdPnd", "shared_pending");
		field(status, "Uid", "uid");
		field(status, "Gid", "gid");
		field(status, "Groups", "groups");
		field(status, "CapEff", "capabilities");
		field(status, "NoNewPrivs", "no_new_privs");
		field(status, "Seccomp", "seccomp");
	}
	if (slurp("/proc/self/oom_score_adj", stat_line, sizeof stat_line) > 0)
		number("oom", atol(stat_line));
	/* The fields after the command name: state, ppid, pgrp, session, tty_nr (proc(5)). */
	if (slurp("/proc/self/stat", stat_line, sizeof stat_line) > 0 &&
	    (at = strrchr(stat_line, ')')))
		sscanf(at + 1, " %*c %*d %*d %*d %ld", &tty);
	number("tty_major", (tty >> 8) & 0xfff);
	number("tty_minor", (tty & 0xff) | ((tty >> 12) & 0xfff00));
	terminal();
	send_report();
}

static void doze(double seconds)
{
	struct timespec t;

	t.tv_sec = (time_t)seconds;
	t.tv_nsec = (long)((seconds - (double)t.tv_sec) * 1e9);
	while (nanosleep(&t, &t) < 0 && errno == EINTR)
		;
}

static void stay(void)
{
	for (;;)
		pause();
}

/* init_sleeps is true if all threads of process 1 do, or if that cannot be seen. */
static int init_sleeps(void)
{
	char path[300], line[1024];
	struct dirent *e;
	int sleeps = 1;
	DIR *d = opendir("/proc/1/task");

	while (d && (e = readdir(d))) {
		char *at;

		snprintf(path, sizeof path, "/proc/1/task/%s/stat", e->d_name);
		if (e->d_name[0] == '.' || slurp(path, line, sizeof line) <= 0)
			continue;
		at = strrchr(line, ')');
		if (at && at[2] != 'S')
			sleeps = 0;
	}
	if (d)
		closedir(d);
	return sleeps;
}

static char *last_words[65];

static void speak_and_go(int sig)
{
	const char *w = last_words[sig];

	/* So that whoever sent the signal to all can say first that it did. */
	doze(0.1);
	for (int still = 0; still < 2; still = init_sleeps() ? still + 1 : 0)
		doze(0.001);
	if (write(1, w, strlen(w)) < 0 || write(1, "\n", 1) < 0)
		_exit(1);
	_exit(0);
}

static const char *heir;

/* leave_heir is what a process does that starts another one while it is told to end. */
static void leave_heir(int sig)
{
	char *none[] = { NULL };
	pid_t parent = getpid();

	if (fork() == 0) {
		signal(sig, SIG_IGN);
		while (getppid() == parent)
			doze(0.001);
		report(heir, none);
		stay();
	}
	_exit(0);
}

/*
 * orphans leaves n processes without a parent. They wait until their parent is gone, so that it
 * is init that has to reap them: by reading from a pipe that only the parent could write to, for
 * hundreds that look again and again would leave it no time to end.
 */
static void orphans(int n, double life)
{
	pid_t middle = fork();

	if (middle == 0) {
		int line[2];
		char c;

		if (pipe(line) < 0)
			_exit(116);
		for (int i = 0; i < n; i++) {
			if (fork() == 0) {
				close(line[1]);
				while (read(line[0], &c, 1) < 0 && errno == EINTR)
					;
				while (getppid() != 1)
					doze(0.001);
				doze(life);
				_exit(0);
			}
		}
		_exit(0);
	}
	waitpid(middle, NULL, 0);
}

static int zombies(void)
{
	char path[300], line[1024];
	struct dirent *e;
	int n = 0;
	DIR *d = opendir("/proc");

	while (d && (e = readdir(d))) {
		char *at;

		snprintf(path, sizeof path, "/proc/%s/stat", e->d_name);
		if (e->d_name[0] < '0' || e->d_name[0] > '9' || slurp(path, line, sizeof line) <= 0)
			continue;
		at = strrchr(line, ')');
		if (at && at[2] == 'Z')
			n++;
	}
	if (d)
		closedir(d);
	return n;
}

/* reaped notes it when no zombie is left, and else waits for that as long as it is let live. */
static void reaped(const char *name)
{
	while (zombies() > 0)
		doze(0.02);
	note(name, "reaped", "all");
}

static void read_line(const char *name)
{
	char line[512];
	size_t n = 0;
	char c;
	ssize_t got;

	while ((got = read(0, &c, 1)) == 1 && c != '\n')
		if (n < sizeof line - 1)
			line[n++] = c;
	line[n] = 0;
	note(name, got == 1 ? "line" : got == 0 ? "eof after" : "error after", line);
}

/*
 * await returns when PATH is there, which is in the root directory. It sleeps until something
 * happens there, so that a test can see that nothing else does.
 */
static void await(const char *path)
{
	char events[4096];
	int watch = inotify_init1(IN_CLOEXEC);

	if (inotify_add_watch(watch, "/", IN_CREATE | IN_MOVED_TO) < 0)
		_exit(115);
	while (access(path, F_OK) < 0)
		if (read(watch, events, sizeof events) < 0 && errno != EINTR)
			_exit(115);
	close(watch);
}

/* first is true for the first n callers that name FILE, each counted by one byte in it. */
static int first(const char *file, int n)
{
	struct stat st;
	int fd = open(file, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0 || write(fd, ".", 1) != 1 || fstat(fd, &st) < 0)
		_exit(113);
	close(fd);
	return st.st_size <= n;
}

/* file notes what a file holds, with NULs shown as '|', or why it cannot be read. */
static void file(const char *name, const char *path)
{
	char buf[512];
	int n = slurp(path, buf, sizeof buf);

	for (int i = 0; i < n; i++)
		if (buf[i] == 0)
			buf[i] = '|';
	note(name, path, n < 0 ? strerror(errno) : buf);
}

int main(int argc, char **argv)
{
	const char *base = strrchr(argv[0], '/') ? strrchr(argv[0], '/') + 1 : argv[0];
	int mine = !strcmp(base, "probe") || !strcmp(base, "-probe");
	const char *name = mine && argc > 1 ? argv[1] : argv[0];
	char **a = argv + 2;

	report(name, argv);
	if (!mine && argc > 1)
		return 0;
	if (argc < 2)
		stay();
	while (*a) {
		char *verb = *a++;

		if (!strcmp(verb, "words")) {
			/* What follows is there to be seen in argv. */
			return 0;
		} else if (!strcmp(verb, "exit")) {
			_exit(atoi(a[0]));
		} else if (!strcmp(verb, "stay")) {
			stay();
		} else if (!strcmp(verb, "say")) {
			dprintf(1, "%s\n", a[0]);
			a += 1;
		} else if (!strcmp(verb, "sleep")) {
			doze(atof(a[0]));
			a += 1;
		} else if (!strcmp(verb, "ignore")) {
			signal(atoi(a[0]), SIG_IGN);
			a += 1;
		} else if (!strcmp(verb, "trap")) {
			last_words[atoi(a[0])] = a[1];
			signal(atoi(a[0]), speak_and_go);
			a += 2;
		} else if (!strcmp(verb, "heir")) {
			heir = a[1];
			signal(atoi(a[0]), leave_heir);
			a += 2;
		} else if (!strcmp(verb, "note")) {
			note(name, "note", a[0]);
			a += 1;
		} else if (!strcmp(verb, "ready")) {
			note(name, "ready", "");
		} else if (!strcmp(verb, "stop")) {
			raise(SIGSTOP);
		} else if (!strcmp(verb, "signal")) {
			if (kill(atoi(a[0]), atoi(a[1])) < 0)
				note(name, "signal", strerror(errno));
			a += 2;
		} else if (!strcmp(verb, "orphans")) {
			orphans(atoi(a[0]), atof(a[1]));
			a += 2;
		} else if (!strcmp(verb, "daemon")) {
			/* The rest of the words belong to the child; the parent ends at once. */
			pid_t parent = getpid();

			if (fork() != 0)
				_exit(0);
			while (getppid() == parent)
				doze(0.001);
			setsid();
			name = a[0];
			report(name, argv);
			a += 1;
		} else if (!strcmp(verb, "reaped")) {
			reaped(name);
		} else if (!strcmp(verb, "parent")) {
			kill(getppid(), atoi(a[0]));
			a += 1;
		} else if (!strcmp(verb, "line")) {
			read_line(name);
		} else if (!strcmp(verb, "file")) {
			file(name, a[0]);
			a += 1;
		} else if (!strcmp(verb, "await")) {
			await(a[0]);
			a += 1;
		} else if (!strcmp(verb, "touch")) {
			close(open(a[0], O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
			a += 1;
		} else if (!strcmp(verb, "first")) {
			/* The first N runs go on to the next words, later ones stay. */
			if (!first(a[0], atoi(a[1])))
				stay();
			a += 2;
		} else {
			note(name, "unknown verb", verb);
			_exit(114);
		}
	}
	return 0;
}
