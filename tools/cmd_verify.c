/* SPDX-License-Identifier: Apache-2.0 */
/* clattn verify: golden cases against their expected outputs, by the pass rule. */
#include <stdio.h>

#include "case_walk.h"
#include "cli.h"
#include "pass_rule.h"
#include "report.h"

static const struct usage usage = {
    .synopsis = "verify CASE... [options]",
    .text = "Runs golden cases (folders with case.json, or folders of cases with index.json) and\n"
            "compares every output with the case's. It passes when\n"
            "    err <= 2 * err(plain loops, same storage dtype, f32 sums) + 8 ulp\n"
            "with err the largest difference and ulp that of the output's dtype at its largest\n"
            "magnitude, and when NaN and infinities are where they should be.\n"
            "Exit code 1 if any output does not pass.\n",
    .after = "example:\n  clattn verify tests/golden --dtype bf16 --device cpu\n",
};

/* Inputs as the storage dtype holds them, and what follows from them. */
struct truth {
    struct golden rounded;
    struct array naive[CASE_MAX_TENSORS]; /* plain loops in f32, as the dtype stores the result */
    struct array exact[CASE_MAX_TENSORS]; /* plain loops in double */
    bool inputs_changed;                  /* by rounding: the case's values are not theirs */
};

static int round_inputs(const struct golden *c, struct golden *out, bool *exact)
{
    *out = (struct golden){ .op = c->op, .dtype = c->dtype, .params = c->params };
    for (int i = 0; c->op->outputs[i].name; i++)
        out->wanted[i] = c->wanted[i];
    for (int i = 0; c->op->inputs[i].name; i++) {
        const clattn_dtype dtype = c->op->inputs[i].dtype == CLATTN_NONE ? c->dtype : CLATTN_F32;
        const int code = c->input[i].dtype == CLATTN_NONE
                             ? EXIT_OK
                             : array_round(&c->input[i], dtype, &out->input[i], exact);
        if (code != EXIT_OK)
            return code;
    }
    return EXIT_OK;
}

static clattn_dtype output_dtype(const struct golden *c, int i)
{
    return c->op->outputs[i].dtype == CLATTN_NONE ? c->dtype : c->op->outputs[i].dtype;
}

/* What plain loops in f32 would store. */
static int round_outputs(const struct golden *c, struct array *a)
{
    bool exact;

    for (int i = 0; c->op->outputs[i].name; i++) {
        struct array stored;
        if (!c->wanted[i] || a[i].dtype != CLATTN_F32)
            continue;
        const int code = array_round(&a[i], output_dtype(c, i), &stored, &exact);
        array_free(&a[i]);
        a[i] = stored;
        if (code != EXIT_OK)
            return code;
    }
    return EXIT_OK;
}

static int find_truth(const struct golden *c, struct truth *t)
{
    bool exact = true;
    int code = round_inputs(c, &t->rounded, &exact);

    t->inputs_changed = !exact;
    if (code == EXIT_OK)
        code = c->op->reference(&t->rounded, false, t->naive);
    if (code == EXIT_OK)
        code = round_outputs(c, t->naive);
    if (code == EXIT_OK)
        code = c->op->reference(&t->rounded, true, t->exact);
    return code;
}

static void free_truth(struct truth *t)
{
    case_free(&t->rounded);
    for (int i = 0; i < CASE_MAX_TENSORS; i++) {
        array_free(&t->naive[i]);
        array_free(&t->exact[i]);
    }
}

static json_t *describe(const char *name, const struct verdict *v)
{
    json_t *json = json_object();

    json_text(json, "name", name);
    json_object_set_new(json, "pass", json_boolean(v->pass));
    json_number(json, "err", v->err);
    json_number(json, "bound", v->bound);
    json_number(json, "ratio", v->bound > 0 ? v->err / v->bound : v->err);
    if (*v->why)
        json_text(json, "why", v->why);
    return json;
}

static int take(void *user, const struct golden *c, const struct array *results, json_t *report,
                const char **status)
{
    struct truth t = { 0 };
    json_t *list = json_array();
    bool pass = true;
    const int code = find_truth(c, &t);

    (void)user;
    for (int i = 0; c->op->outputs[i].name && code == EXIT_OK; i++) {
        if (!c->wanted[i])
            continue;
        const struct array *want = t.inputs_changed ? &t.exact[i] : &c->output[i];
        const struct verdict v =
            pass_rule(&results[i], want, &t.naive[i], &t.exact[i], output_dtype(c, i));
        json_array_append_new(list, describe(c->op->outputs[i].name, &v));
        pass = pass && v.pass;
    }
    free_truth(&t);
    json_object_set_new(report, "outputs", list);
    if (code != EXIT_OK)
        return code;
    *status = pass ? "ok" : "MISMATCH";
    return pass ? EXIT_OK : EXIT_MISMATCH;
}

static double real(const json_t *object, const char *key)
{
    return json_number_value(json_object_get(object, key));
}

static void print_outputs(const json_t *report)
{
    const json_t *list = json_object_get(report, "outputs");

    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *v = json_array_get(list, i);
        const char *why = json_string_value(json_object_get(v, "why"));
        printf("    %-6s err %-10.3g bound %-10.3g ratio %-8.3g %s%s%s\n",
               json_string_value(json_object_get(v, "name")), real(v, "err"), real(v, "bound"),
               real(v, "ratio"), json_is_true(json_object_get(v, "pass")) ? "ok" : "MISMATCH",
               why ? ": " : "", why ? why : "");
    }
}

static int run(int argc, char **argv)
{
    struct case_walk walk = {
        .common.dtype = CLATTN_F32, .with_outputs = true, .take = take, .details = print_outputs
    };
    const struct option_spec specs[] = {
        OPTION_DEVICE(walk.common), OPTION_DTYPE(walk.common),   OPTION_KERNEL(walk.common),
        OPTION_JSON(walk.common),   OPTION_VERBOSE(walk.common), { 0 },
    };
    int first, code;

    if (!options_parse(&usage, specs, argc, argv, &first, &code))
        return code;
    if (argc == first)
        return usage_error(&usage, "verify needs at least one CASE");
    return walk_cases(&walk, argc - first, argv + first);
}

const struct command cmd_verify = { "verify", "run golden cases and check the results", run };
