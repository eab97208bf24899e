/* SPDX-License-Identifier: Apache-2.0 */
/* The only place that reads the environment. All names are in the README. */
#ifndef CLA_ENV_H
#define CLA_ENV_H

typedef struct cla_env {
    const char *device;  /* CLATTN_DEVICE */
    const char *isa;     /* CLATTN_ISA */
    int num_threads;     /* CLATTN_NUM_THREADS; 0: unset or not a number from 1 to 1024 */
    const char *cache_dir;  /* CLATTN_CACHE_DIR */
    const char *cache_home; /* XDG_CACHE_HOME */
    const char *home;       /* HOME */
    const char *binaries;   /* CLATTN_BINARIES */
    const char *check;      /* CLATTN_CHECK */
} cla_env;

/* Unset and empty variables are NULL. */
cla_env cla_env_read(void);

#endif
