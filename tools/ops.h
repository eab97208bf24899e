/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The operations of run, verify, bench and cost. A new one is a file with a struct op, and a line
 * in ops.c.
 */
#ifndef OPS_H
#define OPS_H

#include "case.h"
#include "options.h"
#include "session.h"

/* What a run used. */
struct run_note {
    char kernel[64];
    char config[128];
};

/* Extras of bench and cost; state is an op's own struct of state_size bytes, zeroed. */
struct bench_op {
    const char *shape; /* "B,Hq,Hk,Nq,Nk,D[,Dv]" */
    size_t state_size;

    /* Appends options to specs, at most room; returns how many. */
    int (*options)(void *state, struct option_spec *specs);
    int (*set_shape)(void *state, const char *text);
    /* "causal window=16,0": the flags that are set, for reports. */
    void (*describe)(const void *state, char *text, size_t size);

    /* Random tensors on the device and a plan on them. */
    int (*open)(struct session *s, const void *state, clattn_dtype dtype, const char *kernel,
                uint64_t seed, void **item);
    clattn_plan *(*plan)(void *item);
    double (*output_bytes)(const void *item);
    void (*close)(void **item);

    /* Prints the whole answer of `clattn cost`. */
    int (*cost)(struct session *s, const void *state, const struct common *common);
};

struct op {
    const char *name;
    const struct case_tensor *inputs, *outputs;

    /*
     * Runs a case through the public API. Fills result[i] (f32 or i32) for each wanted output i;
     * the caller frees them, also after a failure.
     */
    int (*run)(struct session *s, const struct golden *c, const char *kernel, struct array *result,
               struct run_note *note);
    /* Plain loops over the inputs as they are: f32 sums, or double ones as the truth. */
    int (*reference)(const struct golden *c, bool in_double, struct array *result);

    const struct bench_op *bench; /* NULL: not in bench and cost */
};

/* NULL-terminated. */
extern const struct op *const ops[];

const struct op *op_find(const char *name);

/* An op that bench knows; else fail(EXIT_USAGE) with a suggestion and NULL. */
const struct op *op_find_bench(const char *name);

#endif
