/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE /* secure_getenv: a set-user-ID program must not be steered from outside */
#include "env.h"

#include <stdlib.h>

static const char *text(const char *name)
{
    const char *value = secure_getenv(name);
    return value && value[0] ? value : NULL;
}

cla_env cla_env_read(void)
{
    cla_env env = {
        .device = text("CLATTN_DEVICE"),
        .isa = text("CLATTN_ISA"),
        .cache_dir = text("CLATTN_CACHE_DIR"),
        .cache_home = text("XDG_CACHE_HOME"),
        .home = text("HOME"),
        .binaries = text("CLATTN_BINARIES"),
        .check = text("CLATTN_CHECK"),
    };
    const char *threads = text("CLATTN_NUM_THREADS");
    if (threads) {
        char *end;
        const long n = strtol(threads, &end, 10);
        if (*end == '\0' && n >= 1 && n <= 1024)
            env.num_threads = (int)n;
    }
    return env;
}
