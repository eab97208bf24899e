/* SPDX-License-Identifier: Apache-2.0 */
/* clattn cost: what an operation must cost on a device, without running it. */
#include "cli.h"
#include "ops.h"

static const struct usage usage = {
    .synopsis = "cost OP --shape SHAPE [options]",
    .text =
        "Counts the useful flops and the least bytes of an operation, and says what bounds it on\n"
        "the device, whose multiply-add rate and read bandwidth are measured or given. OP is\n"
        "attention, argmax or decode, SHAPE is B,Hq,Hk,Nq,Nk,D[,Dv]: it is shown with as many\n"
        "key/value heads as query heads (MHA), with groups (GQA) and with one (MQA); decode also\n"
        "with the projections of its layer. OP linear-attention is shown in its linear and its\n"
        "quadratic form, with the length at which they break even. OP project, SHAPE is\n"
        "rows,out,in, is shown for other numbers of rows. Nothing of the shape's size is\n"
        "allocated. Below, what the shape as given takes at least on a few boards: estimates from\n"
        "their makers' figures.\n"
        "`clattn cost OP --help` lists the options of OP.\n",
    .after = "example:\n  clattn cost attention --shape 1,32,8,1,8192,128 --dtype f16\n",
};

static int print_cost(const struct op *op, void *state, const char *shape,
                      const struct common *common)
{
    char flags[160];
    struct session session;
    struct cost_table table = { .rows = 0 };
    struct cost_subject of = {
        .op = op->name, .shape = shape, .flags = flags, .dtype = common->dtype
    };
    int code = op->bench->set_shape(state, shape);

    if (code == EXIT_OK)
        code = session_open(&session, common);
    if (code != EXIT_OK)
        return code;
    of.device = session.device;
    code = session_peaks(&session, &of.peaks);
    if (code == EXIT_OK)
        code = session_peaks(&session, &of.peaks); /* the better of two: something may have run */
    if (code == EXIT_OK) {
        op->bench->describe(state, flags, sizeof flags);
        op->bench->cost(state, common->dtype, &table);
        cost_print(&table, &of, common->json);
    }
    session_close(&session);
    return code;
}

static int run_op(const struct op *op, void *state, int argc, char **argv)
{
    struct common common = { .dtype = CLATTN_F32 };
    const char *shape = NULL;
    const struct option_spec own[] = {
        { "shape", 0, "SHAPE", op->bench->shape, parse_text, &shape },
        OPTION_DTYPE(common),
        OPTION_DEVICE(common),
        OPTION_PEAKS(common),
        OPTION_JSON(common),
        OPTION_VERBOSE(common),
        { 0 },
    };
    struct option_spec specs[MAX_OPTIONS + 1];
    int first, code;

    options_append(specs, op->bench->options(state, specs), own);
    if (!options_parse(&usage, specs, argc, argv, &first, &code))
        return code;
    if (argc != first)
        return usage_error(&usage, "cost takes one operation and options");
    if (!shape)
        return usage_error(&usage, "cost needs --shape");
    return print_cost(op, state, shape, &common);
}

static int run(int argc, char **argv)
{
    return op_command(&usage, argc, argv, run_op);
}

const struct command cmd_cost = { "cost", "count flops and bytes, and what bounds them", run };
