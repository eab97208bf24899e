/* SPDX-License-Identifier: Apache-2.0 */
/* clattn bench: how fast an operation is, held against what the device can do. */
#include "cli.h"
#include "measure.h"
#include "ops.h"

static const struct usage usage = {
    .synopsis = "bench OP --shape SHAPE [options]",
    .text =
        "Times an operation on random tensors. OP is attention, argmax, decode or\n"
        "linear-attention, SHAPE is B,Hq,Hk,Nq,Nk,D[,Dv]; or OP is project, SHAPE is rows,out,in.\n"
        "Reports the median and minimum wall-clock time of a run, the rates, and the floor: the\n"
        "time that the flops or the bytes alone would take at the multiply-add rate and the read\n"
        "bandwidth that are measured in the same run, or given. --shape, --dtype and --kernel may\n"
        "be repeated: all combinations of one shape are timed in turns, so that they can be\n"
        "compared on a busy machine; so is, with --untuned, what would run without results of\n"
        "tuning, stored or shipped. What is bound by memory takes turns on copies of its\n"
        "tensors, enough to overflow the caches: `rotated` says how many.\n"
        "`clattn bench OP --help` lists the options of OP.\n",
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
    double seconds;
    bool compare;
    struct session session, untuned; /* untuned: with compare */
    struct peaks peaks;
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

/* Every combination of dtype and kernel; to compare, the one without tuning comes first. */
static int open_works(struct bench *b, struct work *works, int *count)
{
    const int first = b->compare ? 1 : 0, kernels = b->kernels.n ? b->kernels.n : 1;
    const int n = first + b->dtypes.n * kernels;

    if (n > MAX_ITEMS)
        return fail(EXIT_USAGE, "%d combinations of --dtype and --kernel, at most %d can be timed",
                    n, MAX_ITEMS);
    for (int i = 0; i < n; i++) {
        const int k = i < first ? 0 : i - first;
        struct bench_item item = { .kernel = b->kernels.n ? b->kernels.text[k % kernels] : NULL,
                                   .seed = (uint64_t)b->seed };
        parse_dtype(&item.dtype, "dtype", b->dtypes.text[k / kernels]);
        works[i] = (struct work){ 0 };
        *count = i + 1;
        const int code = b->op->bench->open(b->state, &item, &works[i],
                                            i < first ? &b->untuned : &b->session);
        if (code != EXIT_OK)
            return code;
    }
    return EXIT_OK;
}

/*
 * What is bound by memory must not be timed in a cache, nor what is near it: the peaks may yet come
 * out otherwise. All copies together may take a quarter of memory.
 */
static int rotate(struct bench *b, struct work *works, int n)
{
    const double room = (double)b->session.device->global_bytes / 4 / n;
    int code = EXIT_OK;

    for (int i = 0; i < n && code == EXIT_OK; i++) {
        const clattn_plan_info *info = &works[i].info;
        if (peaks_floor(&b->peaks, works[i].dtype, info->flops, 2 * info->bytes).memory_bound)
            code = work_rotate(&works[i], room);
    }
    return code;
}

static int time_works(struct bench *b, struct work *works, int n, struct timing *timing)
{
    int code = session_peaks(&b->session, &b->peaks);

    if (code == EXIT_OK)
        code = rotate(b, works, n);
    if (code == EXIT_OK)
        code = measure_works(n, works, b->seconds, timing);
    return code == EXIT_OK ? measure_peaks(&b->session, n, works, timing, &b->peaks) : code;
}

static void print_works(struct bench *b, const char *shape, const struct work *works, int n,
                        const struct timing *timing)
{
    char flags[160];

    b->op->bench->describe(b->state, flags, sizeof flags);
    for (int i = 0; i < n; i++) {
        const struct performance p = { b->op->name, shape, flags, &works[i], timing[i], b->peaks,
                                       b->compare && i > 0 };
        performance_print(&p, b->common.json);
    }
}

static int bench_shape(struct bench *b, const char *shape)
{
    struct work works[MAX_ITEMS];
    struct timing timing[MAX_ITEMS];
    int n = 0, code = b->op->bench->set_shape(b->state, shape);

    if (code == EXIT_OK)
        code = open_works(b, works, &n);
    if (code == EXIT_OK)
        code = time_works(b, works, n, timing);
    if (code == EXIT_OK)
        print_works(b, shape, works, n, timing);
    for (int i = 0; i < n; i++)
        work_end(&works[i]);
    return code;
}

static int open_sessions(struct bench *b)
{
    struct common untuned = b->common;
    const int code = session_open(&b->session, &b->common);

    untuned.effort = CLATTN_EFFORT_OFF;
    return code == EXIT_OK && b->compare ? session_open(&b->untuned, &untuned) : code;
}

/* Every shape is checked before the first is timed. */
static int bench_all(struct bench *b)
{
    int code = EXIT_OK;

    if (!b->shapes.n)
        return usage_error(&usage, "bench needs --shape");
    if (!b->dtypes.n)
        b->dtypes = (struct texts){ 1, { "f32" } };
    if (b->compare && (b->dtypes.n > 1 || b->kernels.n > 1))
        return usage_error(&usage, "--untuned compares one dtype and one kernel at a time");
    for (int i = 0; i < b->shapes.n && code == EXIT_OK; i++)
        code = b->op->bench->set_shape(b->state, b->shapes.text[i]);
    if (code == EXIT_OK)
        code = open_sessions(b);
    for (int i = 0; i < b->shapes.n && code == EXIT_OK; i++)
        code = bench_shape(b, b->shapes.text[i]);
    session_close(&b->untuned);
    session_close(&b->session);
    return code;
}

static int run_op(const struct op *op, void *state, int argc, char **argv)
{
    struct bench b = { .op = op, .state = state, .seed = 1, .seconds = 0.5 };
    const struct option_spec own[] = {
        { "shape", 0, "SHAPE", op->bench->shape, parse_texts, &b.shapes },
        { "dtype", 0, "T", "storage: f32, f16 or bf16 (default f32)", parse_dtypes, &b.dtypes },
        { "kernel", 0, "NAME", "a name of `clattn kernels`; default: the dispatcher's choice",
          parse_kernels, &b.kernels },
        { "untuned", 0, NULL, "time the choice without results of tuning too, in turns",
          parse_flag, &b.compare },
        OPTION_DEVICE(b.common),
        { "seconds", 0, "S", "how long each is timed at least (default 0.5)", parse_seconds,
          &b.seconds },
        OPTION_PEAKS(b.common),
        { "seed", 0, "N", "of the random tensors (default 1)", parse_int, &b.seed },
        OPTION_JSON(b.common),
        OPTION_VERBOSE(b.common),
        { 0 },
    };
    struct option_spec specs[MAX_OPTIONS + 1];
    int first, code;

    options_append(specs, op->bench->options(state, specs), own);
    if (!options_parse(&usage, specs, argc, argv, &first, &code))
        return code;
    if (argc != first)
        return usage_error(&usage, "bench takes one operation and options");
    return bench_all(&b);
}

static int run(int argc, char **argv)
{
    return op_command(&usage, argc, argv, run_op);
}

const struct command cmd_bench = { "bench", "time an operation and compare with the floor", run };
