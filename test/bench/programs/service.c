/* A service that obeys TERM by the default action: `service K N` is the K-th of N. Each adds
 * a byte to a file, and whose byte is the N-th says that all of them run. The last one
 * started may not do, since it need not be the last one to run. */
#include <stdlib.h>
#include "bench.h"

int main(int argc, char **argv)
{
	int fd = open("/run/services", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

	if (argc == 3 && write(fd, "", 1) == 1 && lseek(fd, 0, SEEK_CUR) == atoi(argv[2]))
		mark("bench: all services\n");
	close(fd);
	for (;;)
		pause();
}
