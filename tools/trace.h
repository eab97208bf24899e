/* SPDX-License-Identifier: Apache-2.0 */
/* What a model did when, as a Chrome trace: JSON for chrome://tracing and Perfetto. */
#ifndef TRACE_H
#define TRACE_H

#include <stdbool.h>

struct trace {
    int count, room;
    struct span *spans;
    double kernel_us; /* of operations of the device */
    bool lost;        /* out of memory: spans are missing */
};

/* An operation of the device; a clm_watch. */
void trace_operation(void *trace, const char *name, int layer, double begin_us, double end_us);

/* Something around operations: reading the prompt, a token. */
void trace_span(struct trace *t, const char *name, int number, double begin_us, double end_us);

/* Writes the file. Returns EXIT_OK or fail(). */
int trace_write(const struct trace *t, const char *device, const char *path);
void trace_free(struct trace *t);

#endif
