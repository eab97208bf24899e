/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The operations of run, verify, bench and cost. A new one is a file with a struct op, and a line
 * in ops.c.
 */
#ifndef OPS_H
#define OPS_H

#include "case.h"
#include "cost.h"
#include "options.h"
#include "work.h"

/* What a run used. */
struct run_note {
    char kernel[64];
    char config[128];
};

/* Runs a planned work of a case, reads its results and notes what it used. */
int op_run_work(struct work *w, struct run_note *note);

/*
 * The results of a case move to result, those that it wants: all[i] is output i of the op.
 */
void op_keep(const struct golden *c, struct array *const *all, struct array *result);

struct bench_item {
    clattn_dtype dtype;
    const char *kernel; /* NULL: the dispatcher's choice */
    uint64_t seed;
};

/* Extras of bench and cost; state is an op's own struct of state_size bytes, zeroed. */
struct bench_op {
    const char *shape; /* "B,Hq,Hk,Nq,Nk,D[,Dv]" */
    size_t state_size;

    /* Sets what is not zero by default, writes options to specs; returns how many. */
    int (*options)(void *state, struct option_spec *specs);
    int (*set_shape)(void *state, const char *text);
    /* "causal window=16,0": the flags that are set, for reports. */
    void (*describe)(const void *state, char *text, size_t size);

    /* Random tensors on the device and a plan on them. */
    int (*open)(const void *state, const struct bench_item *item, struct work *w,
                struct session *s);

    /* Counts. */
    void (*cost)(const void *state, clattn_dtype dtype, struct cost_table *t);
};

struct op {
    const char *name;      /* of the subcommand, in bench and cost; NULL: only in cases */
    const char *case_name; /* in golden cases; NULL: only in bench and cost */
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

/* The op of a golden case; NULL when it is not supported. */
const struct op *op_find_case(const char *name);

/* The op of bench of this name, or NULL; a projection is called `project` there. */
const struct op *op_find_bench(const char *name);

/*
 * A subcommand whose first argument is an op of bench: finds it and calls run with a zeroed state
 * of it and argv[0] its name. Returns an exit code.
 */
int op_command(const struct usage *usage, int argc, char **argv,
               int (*run)(const struct op *op, void *state, int argc, char **argv));

#endif
