/* The sysinit action: the first thing it does is to say that it runs. */
#include "bench.h"

int main(void)
{
	mark("bench: action\n");
	return 0;
}
