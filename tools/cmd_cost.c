/* SPDX-License-Identifier: Apache-2.0 */
/* clattn cost: what an operation must cost on a device, without running it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "ops.h"

static const struct usage usage = {
    .synopsis = "cost OP --shape SHAPE [options]",
    .text =
        "Counts the useful flops and the least bytes of an operation, and says what bounds it on\n"
        "the device, whose multiply-add rate and read bandwidth are measured. OP is attention or\n"
        "argmax, SHAPE is B,Hq,Hk,Nq,Nk,D[,Dv]: it is shown with as many key/value heads as query\n"
        "heads (MHA), with groups (GQA) and with one (MQA). OP linear-attention is shown in its\n"
        "linear and its quadratic form, with the length at which they break even. Nothing of the\n"
        "shape's size is allocated.\n"
        "`clattn cost OP --help` lists the options of OP.\n",
    .after = "example:\n  clattn cost attention --shape 1,32,8,1,8192,128 --dtype f16\n",
};

struct cost {
    const struct op *op;
    void *state;
    struct common common;
    const char *shape;
};

static int run_op(struct cost *c, int argc, char **argv)
{
    const struct option_spec own[] = {
        { "shape", 0, "SHAPE", c->op->bench->shape, parse_text, &c->shape },
        OPTION_DTYPE(c->common),
        OPTION_DEVICE(c->common),
        OPTION_JSON(c->common),
        OPTION_VERBOSE(c->common),
        { 0 },
    };
    struct option_spec specs[MAX_OPTIONS + 1];
    struct session session;
    int first, code;
    const int n = c->op->bench->options(c->state, specs);

    memcpy(specs + n, own, sizeof own);
    if (!options_parse(&usage, specs, argc, argv, &first, &code))
        return code;
    if (argc != first)
        return usage_error(&usage, "cost takes one operation and options");
    if (!c->shape)
        return usage_error(&usage, "cost needs --shape");
    code = c->op->bench->set_shape(c->state, c->shape);
    if (code == EXIT_OK)
        code = session_open(&session, &c->common);
    if (code != EXIT_OK)
        return code;
    code = c->op->bench->cost(&session, c->state, &c->common);
    session_close(&session);
    return code;
}

static int run(int argc, char **argv)
{
    static const struct option_spec none[] = { { 0 } };
    struct cost c = { .common.dtype = CLATTN_F32 };
    int first, code;

    if (argc < 2 || argv[1][0] == '-') {
        if (!options_parse(&usage, none, argc < 2 ? argc : 2, argv, &first, &code))
            return code;
        return usage_error(&usage, "cost needs an operation");
    }
    c.op = op_find_bench(argv[1]);
    if (!c.op)
        return EXIT_USAGE;
    c.state = calloc(1, c.op->bench->state_size);
    if (!c.state)
        return fail(EXIT_INPUT, "out of memory");
    code = run_op(&c, argc - 1, argv + 1);
    free(c.state);
    return code;
}

const struct command cmd_cost = { "cost", "count flops and bytes, and what bounds them", run };
