/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Candidates in a process of their own, seen from the tuner: started with the program that the
 * caller names, killed when it does not answer, started again when it died. It is spawned, not
 * forked: a child of a process that has used OpenCL could not use it.
 */
#ifndef CLA_WORKER_H
#define CLA_WORKER_H

#include <sys/types.h>

#include "wire.h"

typedef struct cla_worker {
    const char *path, *argument;
    cla_message_open open;
    double patience; /* seconds without an answer */
    pid_t pid;       /* 0: none */
    int fd;
    int deaths; /* since it last answered */
} cla_worker;

/* How a sample ended when the worker itself did not. */
typedef enum cla_fault {
    CLA_FAULT_NONE,
    CLA_FAULT_CRASH,
    CLA_FAULT_HANG,
} cla_fault;

/* Starts the worker. False: why is one sentence. */
bool cla_worker_start(cla_worker *worker, char *why, size_t size);
void cla_worker_stop(cla_worker *worker);

/*
 * As cla_bench_sample(). After a fault the worker is started again, and the verdict is REJECTED;
 * after three deaths in a row, or when it cannot be started, STOP.
 */
cla_fault cla_worker_sample(cla_worker *worker, const cla_kernel *kernel, const int *t, bool fresh,
                            double limit_us, cla_bench_result *result);

#endif
