/* SPDX-License-Identifier: Apache-2.0 */
/* clattn bench: how fast an operation is, held against what the device can do. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "measure.h"
#include "ops.h"

static const struct usage usage = {
    .synopsis = "bench OP --shape SHAPE [options]",
    .text =
        "Times an operation on random tensors. OP is attention, argmax or linear-attention,\n"
        "SHAPE is B,Hq,Hk,Nq,Nk,D[,Dv].\n"
        "Reports the median and minimum wall-clock time of a run, the rates, and the floor: the\n"
        "time that the flops or the bytes alone would take at the multiply-add rate and the read\n"
        "bandwidth that are measured in the same run. --shape, --dtype and --kernel may be\n"
        "repeated: all combinations of one shape are timed in turns, so that they can be\n"
        "compared on a busy machine. `clattn bench OP --help` lists the options of OP.\n",
    .after = "example:\n"
             "  clattn bench attention --shape 1,8,8,1024,1024,64 --causal --dtype f16 --json\n",
};

enum { MAX_ITEMS = 3 * MAX_TEXTS };

struct bench {
    const struct op *op;
    void *state;
    struct common common;
    struct texts shapes, dtypes, kernels;
    int64_t seed;
    struct session session;
    struct peaks peaks;
};

/* One combination of a shape. */
struct item {
    clattn_dtype dtype;
    const char *kernel;
    void *item;
};

static int parse_dtypes(void *target, const char *name, const char *value)
{
    clattn_dtype dtype;
    const int code = parse_dtype(&dtype, name, value);

    return code == EXIT_OK ? parse_texts(target, name, value) : code;
}

static int parse_kernels(void *target, const char *name, const char *value)
{
    const char *kernel;
    const int code = parse_kernel(&kernel, name, value);

    return code == EXIT_OK ? parse_texts(target, name, value) : code;
}

static int open_items(struct bench *b, struct item *items, int *count)
{
    const int kernels = b->kernels.n ? b->kernels.n : 1;

    if (b->dtypes.n * kernels > MAX_ITEMS)
        return fail(EXIT_USAGE, "%d combinations of --dtype and --kernel, at most %d can be timed",
                    b->dtypes.n * kernels, MAX_ITEMS);
    for (int i = 0; i < b->dtypes.n * kernels; i++) {
        struct item *it = &items[(*count)++];
        it->item = NULL;
        it->kernel = b->kernels.n ? b->kernels.text[i % kernels] : NULL;
        parse_dtype(&it->dtype, "dtype", b->dtypes.text[i / kernels]);
        const int code = b->op->bench->open(&b->session, b->state, it->dtype, it->kernel,
                                            (uint64_t)b->seed, &it->item);
        if (code != EXIT_OK)
            return code;
    }
    return EXIT_OK;
}

static int time_items(struct bench *b, const struct item *items, int n, struct timing *timing)
{
    clattn_plan *plans[MAX_ITEMS];
    int code = session_peaks(&b->session, &b->peaks);

    for (int i = 0; i < n; i++)
        plans[i] = b->op->bench->plan(items[i].item);
    if (code == EXIT_OK)
        code = measure_plans(&b->session, n, plans, timing);
    return code == EXIT_OK ? session_peaks(&b->session, &b->peaks) : code;
}

static int print_items(struct bench *b, const char *shape, const struct item *items, int n,
                       const struct timing *timing)
{
    char flags[160];

    b->op->bench->describe(b->state, flags, sizeof flags);
    for (int i = 0; i < n; i++) {
        struct performance p = {
            .op = b->op->name,
            .shape = shape,
            .flags = flags,
            .dtype = items[i].dtype,
            .device = b->session.device->name,
            .timing = timing[i],
            .peaks = b->peaks,
            .output_bytes = b->op->bench->output_bytes(items[i].item),
        };
        clattn_plan *plan = b->op->bench->plan(items[i].item);
        const clattn_status status = clattn_plan_describe(plan, &p.info);
        if (status != CLATTN_OK)
            return session_fail(&b->session, status);
        performance_print(&p, b->common.json);
    }
    return EXIT_OK;
}

static int bench_shape(struct bench *b, const char *shape)
{
    struct item items[MAX_ITEMS];
    struct timing timing[MAX_ITEMS];
    int n = 0, code = b->op->bench->set_shape(b->state, shape);

    if (code == EXIT_OK)
        code = open_items(b, items, &n);
    if (code == EXIT_OK)
        code = time_items(b, items, n, timing);
    if (code == EXIT_OK)
        code = print_items(b, shape, items, n, timing);
    for (int i = 0; i < n; i++)
        b->op->bench->close(&items[i].item);
    return code;
}

/* Every shape is checked before the first is timed. */
static int bench_all(struct bench *b)
{
    int code = EXIT_OK;

    if (!b->shapes.n)
        return usage_error(&usage, "bench needs --shape");
    if (!b->dtypes.n)
        b->dtypes = (struct texts){ 1, { "f32" } };
    for (int i = 0; i < b->shapes.n && code == EXIT_OK; i++)
        code = b->op->bench->set_shape(b->state, b->shapes.text[i]);
    if (code == EXIT_OK)
        code = session_open(&b->session, &b->common);
    for (int i = 0; i < b->shapes.n && code == EXIT_OK; i++)
        code = bench_shape(b, b->shapes.text[i]);
    session_close(&b->session);
    return code;
}

/* Parses the options of the op and bench's own; argv[0] is the op. */
static int run_op(struct bench *b, int argc, char **argv)
{
    const struct option_spec own[] = {
        { "shape", 0, "SHAPE", b->op->bench->shape, parse_texts, &b->shapes },
        { "dtype", 0, "T", "storage: f32, f16 or bf16 (default f32)", parse_dtypes, &b->dtypes },
        { "kernel", 0, "NAME", "a name of `clattn kernels`; default: the dispatcher's choice",
          parse_kernels, &b->kernels },
        OPTION_DEVICE(b->common),
        { "seed", 0, "N", "of the random tensors (default 1)", parse_int, &b->seed },
        OPTION_JSON(b->common),
        OPTION_VERBOSE(b->common),
        { 0 },
    };
    struct option_spec specs[MAX_OPTIONS + 1];
    int first, code;
    const int n = b->op->bench->options(b->state, specs);

    memcpy(specs + n, own, sizeof own);
    if (!options_parse(&usage, specs, argc, argv, &first, &code))
        return code;
    if (argc != first)
        return usage_error(&usage, "bench takes one operation and options");
    return bench_all(b);
}

static int run(int argc, char **argv)
{
    static const struct option_spec none[] = { { 0 } };
    struct bench b = { .seed = 1 };
    int first, code;

    if (argc < 2 || argv[1][0] == '-') {
        if (!options_parse(&usage, none, argc < 2 ? argc : 2, argv, &first, &code))
            return code;
        return usage_error(&usage, "bench needs an operation");
    }
    b.op = op_find_bench(argv[1]);
    if (!b.op)
        return EXIT_USAGE;
    b.state = calloc(1, b.op->bench->state_size);
    if (!b.state)
        return fail(EXIT_INPUT, "out of memory");
    code = run_op(&b, argc - 1, argv + 1);
    free(b.state);
    return code;
}

const struct command cmd_bench = { "bench", "time an operation and compare with the floor", run };
