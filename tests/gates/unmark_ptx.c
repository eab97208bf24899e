/* SPDX-License-Identifier: Apache-2.0 */
/* What the library makes of assembly with marked instructions, from stdin to stdout. */
#include <stdio.h>
#include <stdlib.h>

#include "opencl/ptx.h"

enum { MOST = 16 << 20 };

int main(void)
{
    char *text = malloc(MOST), *out;
    const char *why = "out of memory";
    size_t size = text ? fread(text, 1, MOST, stdin) : 0;
    if (!text || !cla_ptx_unmark(text, size, &out, &size, &why)) {
        fprintf(stderr, "unmark_ptx: %s\n", why ? why : "out of memory");
        free(text);
        return 1;
    }
    fwrite(out, 1, size, stdout);
    free(out);
    free(text);
    return fflush(stdout) != 0;
}
