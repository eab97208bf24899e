/* SPDX-License-Identifier: Apache-2.0 */
/* Opening a device for a subcommand. */
#include "session.h"

#include <time.h>

#include "cli.h"

/* Until there is a context the log is the only place where the reason can be heard. */
static void hear(void *user, clattn_log_level level, const char *line)
{
    const struct session *s = user;

    if (level > CLATTN_LOG_ERROR)
        say("%s%s", level == CLATTN_LOG_WARN ? "warning: " : "", line);
    else if (!s->quiet_errors)
        fail(EXIT_NO_DEVICE, "%s", line);
}

static int exit_code(clattn_status status)
{
    return status == CLATTN_ERR_DEVICE  ? EXIT_NO_DEVICE
           : status == CLATTN_ERR_CHECK ? EXIT_MISMATCH
                                        : EXIT_INPUT;
}

int session_open(struct session *s, const struct common *common)
{
    *s = (struct session){ .given = common->peaks };
    const clattn_status status = clattn_ctx_create(
        clattn_ctx_params(.device = common->device, .log = hear, .log_user = s,
                          .log_level = common->verbose ? CLATTN_LOG_DEBUG : CLATTN_LOG_WARN,
                          .effort = common->effort),
        &s->ctx);
    if (status != CLATTN_OK)
        return *fail_text() ? exit_code(status)
                            : fail(exit_code(status), "no device: %s", clattn_status_text(status));
    s->quiet_errors = true;
    s->device = clattn_ctx_device(s->ctx);
    return EXIT_OK;
}

void session_close(struct session *s)
{
    clattn_ctx_destroy(&s->ctx);
    s->device = NULL;
}

int session_fail(const struct session *s, clattn_status status)
{
    const char *text = clattn_error(s->ctx);

    return fail(exit_code(status), "%s", *text ? text : clattn_status_text(status));
}

int session_peaks(struct session *s, struct peaks *best)
{
    struct peaks p = s->given;
    const clattn_status status =
        p.gflops > 0 ? CLATTN_OK : clattn_measure_peaks(s->ctx, &p.gflops, &p.gbytes_per_s);

    if (status != CLATTN_OK)
        return session_fail(s, status);
    if (s->given.gflops == 0 && s->device->matrix_bf16
        && clattn_measure_matrix_peak(s->ctx, &p.bf16_gflops) == CLATTN_OK
        && p.bf16_gflops > best->bf16_gflops)
        best->bf16_gflops = p.bf16_gflops;
    if (p.gflops > best->gflops)
        best->gflops = p.gflops;
    if (p.gbytes_per_s > best->gbytes_per_s)
        best->gbytes_per_s = p.gbytes_per_s;
    return EXIT_OK;
}

double peaks_rate(const struct peaks *peaks, clattn_dtype dtype)
{
    return dtype == CLATTN_BF16 && peaks->bf16_gflops > 0 ? peaks->bf16_gflops : peaks->gflops;
}

struct floor_time peaks_floor(const struct peaks *peaks, clattn_dtype dtype, double flops,
                              double bytes)
{
    const double compute = flops / peaks_rate(peaks, dtype) * 1e-3;
    const double memory = bytes / peaks->gbytes_per_s * 1e-3;

    return compute >= memory ? (struct floor_time){ compute, false }
                             : (struct floor_time){ memory, true };
}

double now_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec * 1e-3;
}
