/* SPDX-License-Identifier: Apache-2.0 */
/* The worker process itself. */
#include <clattn/tuning.h>

#include <stdio.h>
#include <string.h>
#ifdef __linux__
#include <signal.h>
#include <sys/prctl.h>
#endif

#include "wire.h"

enum { SOCKET = 0 };

/* Of size CLA_WHY, and there as long as the context: only the log is told why there is none. */
static void keep_error(void *why, clattn_log_level level, const char *line)
{
    (void)level; /* nothing but errors passes */
    snprintf(why, CLA_WHY, "in the worker: %s", line);
}

static bool open_ctx(const cla_message_open *m, clattn_ctx **ctx, char *why)
{
    snprintf(why, CLA_WHY, "the worker cannot open device %s", m->device);
    if (clattn_ctx_create(clattn_ctx_params(.device = m->device, .num_threads = m->threads,
                                            .log = keep_error, .log_user = why),
                          ctx)
        != CLATTN_OK)
        return false;
    if (strcmp((*ctx)->dev.info.name, m->name) == 0)
        return true;
    snprintf(why, CLA_WHY, "device %s is %.100s in the worker", m->device, (*ctx)->dev.info.name);
    return false;
}

static bool open_bench(const cla_message_open *m, clattn_ctx **ctx, cla_bench *bench, char *why)
{
    const cla_op *op = cla_op_find(m->op);
    snprintf(why, CLA_WHY, "the worker does not know %.31s", m->op);
    if (!op || !op->tuning || !open_ctx(m, ctx, why))
        return false;
    if (cla_bench_make(*ctx, op, m->problem.bytes, m->seed, bench) == CLATTN_OK)
        return true;
    snprintf(why, CLA_WHY, "in the worker: %.200s", clattn_error(*ctx));
    return false;
}

static bool answer(cla_bench *bench, cla_message_try *m)
{
    cla_bench_result result = { .verdict = CLA_VERDICT_REJECTED };
    m->kernel[sizeof m->kernel - 1] = '\0';
    const cla_kernel *kernel = cla_kernel_find(m->kernel);
    int t[CLA_MAX_TUNABLES];
    for (int i = 0; i < CLA_MAX_TUNABLES; i++)
        t[i] = m->t[i];
    if (kernel)
        cla_bench_sample(bench, kernel, t, m->fresh, m->limit_us, &result);
    return cla_wire_send(SOCKET, CLA_MESSAGE_RESULT, &result, sizeof result);
}

int clattn_tune_worker(void)
{
    static cla_message_open open;
    static cla_bench bench;
    cla_message_ready ready = { .ready = 0 };
    cla_message_try m;
    clattn_ctx *ctx = NULL;
#ifdef __linux__
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* a candidate that hangs must not outlive the tuner */
#endif
    if (cla_wire_receive(SOCKET, CLA_MESSAGE_OPEN, &open, sizeof open, -1) != CLA_WIRE_OK
        || strncmp(open.build, cla_wire_build(), sizeof open.build) != 0)
        return 1;
    ready.ready = open_bench(&open, &ctx, &bench, ready.why_not);
    bool connected = cla_wire_send(SOCKET, CLA_MESSAGE_READY, &ready, sizeof ready);
    while (connected && ready.ready
           && cla_wire_receive(SOCKET, CLA_MESSAGE_TRY, &m, sizeof m, -1) == CLA_WIRE_OK)
        connected = answer(&bench, &m);
    cla_bench_free(&bench);
    clattn_ctx_destroy(&ctx);
    return ready.ready ? 0 : 1;
}
