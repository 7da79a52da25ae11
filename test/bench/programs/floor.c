/* The floor of the kernel and of C: a PID 1 that runs the action and calls reboot(2). It
 * starts nothing else, so nobody has to end. */
#include <sys/reboot.h>
#include <sys/wait.h>
#include "bench.h"

int main(void)
{
	char *action[] = {"/bin/action", NULL};
	pid_t pid = vfork();

	if (pid == 0) {
		execv(action[0], action);
		_exit(127);
	}
	waitpid(pid, NULL, 0);
	sleep(1);
	mark("bench: request\n");
	reboot(RB_AUTOBOOT);
	return 1;
}
