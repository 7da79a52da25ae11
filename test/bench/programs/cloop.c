/* The floor of the work: the least that any PID 1 has to do. It runs the action, starts
 * the asker and as many services as its table says, waits for TERM, ends them all, waits
 * for the last and reboots. It reports nothing and brings nothing back. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/reboot.h>
#include <sys/wait.h>
#include "bench.h"

static pid_t start(char *const argv[])
{
	pid_t pid = vfork();

	if (pid == 0) {
		execv(argv[0], argv);
		_exit(127);
	}
	return pid;
}

int main(void)
{
	char *action[] = {"/bin/action", NULL};
	char *ask[] = {"/bin/ask", "term", NULL};
	char number[12] = "", total[12] = "";
	char *service[] = {"/bin/service", number, total, NULL};
	int services, sig, fd;
	sigset_t term;

	waitpid(start(action), NULL, 0);
	fd = open("/etc/inittab", O_RDONLY | O_CLOEXEC);
	read(fd, total, sizeof total - 1);
	close(fd);
	services = atoi(total);

	start(ask);
	for (int i = 1; i <= services; i++) {
		snprintf(number, sizeof number, "%d", i);
		start(service);
	}
	/* Blocked only now, so that the services do not inherit it. The asker sleeps long
	 * enough. */
	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	sigprocmask(SIG_BLOCK, &term, NULL);
	sigwait(&term, &sig);
	kill(-1, SIGTERM);
	while (wait(NULL) > 0)
		;
	sync();
	reboot(RB_AUTOBOOT);
	return 1;
}
