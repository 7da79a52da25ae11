/* Looks at PID 1 once the machine is at rest, says what it saw, then asks for a reboot in
 * the contender's own way: `ask term` by SIGTERM, `ask initctl` by sysvinit's fifo. */
#define _GNU_SOURCE
#include <ctype.h>
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include "bench.h"

/* How long after its start the machine is taken to be at rest, in seconds. It is guest
 * time, of which an idle guest has as much as it likes. */
#define REST 10

/* What sysvinit's init reads from its fifo: 384 bytes [initctl(5), initreq.h]. */
struct initctl {
	int magic, cmd, runlevel, sleeptime;
	char data[368];
};

static void die(const char *what)
{
	char line[200];

	snprintf(line, sizeof line, "bench: error: %s: %m\n", what);
	mark(line);
	exit(1);
}

/* open_proc returns a proc file system that is mounted nowhere, so that the contender
 * finds nothing to unmount on its way down. */
static int open_proc(void)
{
	int fs = fsopen("proc", FSOPEN_CLOEXEC), proc;

	if (fs < 0 || fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		die("fsopen proc");
	proc = fsmount(fs, FSMOUNT_CLOEXEC, 0);
	if (proc < 0)
		die("fsmount proc");
	close(fs);
	return proc;
}

/* copy repeats the lines of a file of proc that begin with one of the words. */
static void copy(int proc, const char *file, const char *const words[])
{
	char line[256], out[300];
	int fd = openat(proc, file, O_RDONLY | O_CLOEXEC);
	FILE *f = fd < 0 ? NULL : fdopen(fd, "r");

	if (!f)
		die(file);
	while (fgets(line, sizeof line, f))
		for (int i = 0; words[i]; i++)
			if (!strncmp(line, words[i], strlen(words[i]))) {
				snprintf(out, sizeof out, "bench: value %s", line);
				mark(out);
			}
	fclose(f);
}

/* count says how many services there are. */
static void count(int proc)
{
	DIR *d = fdopendir(openat(proc, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	struct dirent *e;
	char line[64];
	int n = 0;

	if (!d)
		die("opendir proc");
	while ((e = readdir(d))) {
		char path[300], name[32] = "";
		int fd;

		if (!isdigit((unsigned char)e->d_name[0]))
			continue;
		snprintf(path, sizeof path, "%s/comm", e->d_name);
		fd = openat(proc, path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			continue;
		read(fd, name, sizeof name - 1);
		close(fd);
		n += !strcmp(name, "service\n");
	}
	closedir(d);
	snprintf(line, sizeof line, "bench: value Services: %d\n", n);
	mark(line);
}

int main(int argc, char **argv)
{
	static const char *const memory[] = {"Pss:", "Anonymous:", "AnonHugePages:", NULL};
	static const char *const status[] = {"Threads:", NULL};
	struct initctl to_6 = {.magic = 0x03091969, .cmd = 1, .runlevel = '6', .sleeptime = 3};
	int proc, fifo = -1;

	if (argc == 2 && !strcmp(argv[1], "initctl")) {
		sleep(1);
		fifo = open("/run/initctl", O_WRONLY | O_CLOEXEC);
		if (fifo < 0)
			die("/run/initctl");
	} else if (argc != 2 || strcmp(argv[1], "term")) {
		die("usage: ask term|initctl");
	}
	sleep(REST);
	proc = open_proc();
	copy(proc, "1/smaps_rollup", memory);
	copy(proc, "1/status", status);
	count(proc);
	close(proc);
	/* The look has woken nobody, but has left pages and caches behind. */
	sleep(1);
	mark("bench: request\n");
	if (fifo >= 0)
		write(fifo, &to_6, sizeof to_6);
	else
		kill(1, SIGTERM);
	return 0;
}
