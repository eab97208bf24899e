/* SPDX-License-Identifier: Apache-2.0 */
/* The list of operations, and what those of run, verify, bench and cost share. */
#include "ops.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

extern const struct op tool_attention, tool_attention_varlen, tool_argmax, tool_decode,
    tool_linear_attention, tool_projection, tool_rope, tool_decode_layer, tool_mha_layer;

static const struct op *const ops[] = {
    &tool_attention,         &tool_attention_varlen, &tool_argmax,       &tool_decode,
    &tool_linear_attention,  &tool_projection,       &tool_rope,         &tool_decode_layer,
    &tool_mha_layer,         NULL,
};

const struct op *op_find_case(const char *name)
{
    for (int i = 0; ops[i]; i++) {
        if (ops[i]->case_name && strcmp(ops[i]->case_name, name) == 0)
            return ops[i];
    }
    return NULL;
}

int op_run_work(struct work *w, struct run_note *note)
{
    work_run(w);
    if (work_read(w) == EXIT_OK) {
        snprintf(note->kernel, sizeof note->kernel, "%s", w->info.kernel);
        snprintf(note->config, sizeof note->config, "%s", w->info.config);
    }
    return w->code;
}

void op_keep(const struct golden *c, struct array *const *all, struct array *result)
{
    for (int i = 0; c->op->outputs[i].name; i++) {
        if (c->wanted[i]) {
            result[i] = *all[i];
            *all[i] = (struct array){ 0 };
        }
    }
}

const struct op *op_find_bench(const char *name)
{
    for (int i = 0; ops[i]; i++) {
        const char *case_name = ops[i]->case_name;
        if (ops[i]->bench
            && (strcmp(ops[i]->name, name) == 0 || (case_name && strcmp(case_name, name) == 0)))
            return ops[i];
    }
    return NULL;
}

static const struct op *find_bench(const char *name)
{
    struct suggestion near = { .word = name };

    for (int i = 0; ops[i]; i++) {
        if (ops[i]->bench && strcmp(ops[i]->name, name) == 0)
            return ops[i];
        if (ops[i]->bench)
            suggest(&near, ops[i]->name);
    }
    fail(EXIT_USAGE, "unknown operation '%.60s'%s", name,
         did_you_mean(&near, "", "; the help of the command lists them"));
    return NULL;
}

int op_command(const struct usage *usage, int argc, char **argv,
               int (*run)(const struct op *op, void *state, int argc, char **argv))
{
    static const struct option_spec none[] = { { 0 } };
    int first, code;

    if (argc < 2 || argv[1][0] == '-') {
        if (!options_parse(usage, none, argc < 2 ? argc : 2, argv, &first, &code))
            return code;
        return usage_error(usage, "%s needs an operation", argv[0]);
    }
    const struct op *op = find_bench(argv[1]);
    if (!op)
        return EXIT_USAGE;
    void *state = calloc(1, op->bench->state_size);
    if (!state)
        return fail(EXIT_INPUT, "out of memory");
    code = run(op, state, argc - 1, argv + 1);
    free(state);
    return code;
}
