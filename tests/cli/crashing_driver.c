/* SPDX-License-Identifier: Apache-2.0 */
/* An OpenCL driver that brings down every process that loads it. */
#include <stdlib.h>

static void crash(void) __attribute__((constructor));

static void crash(void)
{
    abort();
}
