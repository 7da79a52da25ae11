/* A service that obeys TERM by the default action. `service K last` also says that it
 * runs: every contender starts its services in the order of the table. */
#include "bench.h"

int main(int argc, char **argv)
{
	(void)argv;
	if (argc > 2)
		mark("bench: last service\n");
	for (;;)
		pause();
}
