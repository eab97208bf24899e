/* SPDX-License-Identifier: Apache-2.0 */
/* The list of operations. */
#include "ops.h"

#include <string.h>

#include "cli.h"

extern const struct op tool_attention, tool_attention_varlen;
extern const struct op tool_argmax, tool_argmax_attention;
extern const struct op tool_linear_attention, tool_linear_case;
extern const struct op tool_project, tool_projection, tool_rope;
extern const struct op tool_decode_layer, tool_mha_layer;

const struct op *const ops[] = {
    &tool_attention,
    &tool_attention_varlen,
    &tool_argmax,
    &tool_argmax_attention,
    &tool_linear_attention,
    &tool_linear_case,
    &tool_project,
    &tool_projection,
    &tool_rope,
    &tool_decode_layer,
    &tool_mha_layer,
    NULL,
};

const struct op *op_find(const char *name)
{
    for (int i = 0; ops[i]; i++) {
        if (strcmp(ops[i]->name, name) == 0)
            return ops[i];
    }
    return NULL;
}

const struct op *op_find_bench(const char *name)
{
    struct suggestion near = { .word = name };
    const struct op *op = op_find(name);

    if (op && op->bench)
        return op;
    for (int i = 0; ops[i]; i++) {
        if (ops[i]->bench)
            suggest(&near, ops[i]->name);
    }
    fail(EXIT_USAGE, "unknown operation '%.60s'%s", name,
         did_you_mean(&near, "", "; the help of the command lists them"));
    return NULL;
}
