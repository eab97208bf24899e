/* SPDX-License-Identifier: Apache-2.0 */
/* An open device, and how its errors become sentences and exit codes. */
#ifndef SESSION_H
#define SESSION_H

#include "options.h"

struct session {
    clattn_ctx *ctx;
    const clattn_device_info *device;
    struct peaks given; /* zeros: none */
    bool quiet_errors;  /* errors are printed by session_fail(), not by the log */
};

/* Opens common->device. Returns EXIT_OK; else the reason is on stderr. */
int session_open(struct session *s, const struct common *common);
void session_close(struct session *s);

/* Prints the sentence of the call that returned status; returns the exit code that fits. */
int session_fail(const struct session *s, clattn_status status);

/* What the device can reach, as given or measured; a second call keeps the larger numbers. */
int session_peaks(struct session *s, struct peaks *best);

/* The least time a problem can take on such a device. */
struct floor_time {
    double us;
    bool memory_bound; /* else by compute */
};
struct floor_time peaks_floor(const struct peaks *peaks, clattn_dtype dtype, double flops,
                              double bytes);

/* GFLOP/s of multiply-adds of this dtype. */
double peaks_rate(const struct peaks *peaks, clattn_dtype dtype);

/* Monotonic clock. */
double now_us(void);

#endif
