/* SPDX-License-Identifier: Apache-2.0 */
/* clattn kernels: the names that --kernel takes, and what can be tuned about one. */
#include <clattn/tuning.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "ops.h"
#include "report.h"

static const struct usage usage = {
    .synopsis = "kernels [NAME] [--shape SHAPE] [options]",
    .text = "Lists the kernels of this build, those of the native CPU included: the names that\n"
            "--kernel takes. With a NAME: its tunables and their values, and with a shape how\n"
            "many of the configurations are legal for it on a device.\n",
    .after = "example:\n  clattn kernels attn_native --shape 1,8,8,1024,1024,64 --device cpu\n",
};

struct request {
    struct common common;
    const char *name, *shape;
    clattn_kernel_info info;
    int legal; /* -1: not asked */
    char device[128], config[256];
};

static int list_all(bool json)
{
    json_t *names = json_array();

    for (int i = 0; clattn_kernel_name(i); i++) {
        json_array_append_new(names, json_string(clattn_kernel_name(i)));
        if (!json)
            puts(clattn_kernel_name(i));
    }
    if (json)
        json_print(json_incref(names));
    json_decref(names);
    return EXIT_OK;
}

/* Plans the shape with this kernel, on tensors that nothing is done with. */
static int plan_shape(struct request *r, struct session *s, const struct op *op, void *state)
{
    const struct bench_item item = { r->common.dtype, r->name, 1 };
    struct work w = { 0 };
    int code = op->bench->set_shape(state, r->shape);

    if (code == EXIT_OK)
        code = op->bench->open(state, &item, &w, s);
    if (code == EXIT_OK) {
        r->legal = clattn_plan_legal_configs(w.plan);
        snprintf(r->config, sizeof r->config, "%s", w.info.config);
        snprintf(r->device, sizeof r->device, "%s", s->device->name);
    }
    work_end(&w);
    return code;
}

static int count_legal(struct request *r)
{
    struct session session;
    struct option_spec specs[MAX_OPTIONS + 1];
    /* The operation of `clattn bench` whose plans start with such a kernel. */
    const struct op *op = op_find_bench(r->info.operation);

    if (!op)
        return fail(EXIT_USAGE, "no shape can be given for %s: it computes %s", r->name,
                    r->info.operation);
    void *state = calloc(1, op->bench->state_size);
    if (!state)
        return fail(EXIT_INPUT, "out of memory");
    op->bench->options(state, specs); /* their defaults */
    int code = session_open(&session, &r->common);
    if (code == EXIT_OK) {
        code = plan_shape(r, &session, op, state);
        session_close(&session);
    }
    free(state);
    return code;
}

static void print_json(const struct request *r)
{
    json_t *o = json_object(), *tunables = json_object();

    json_text(o, "kernel", r->info.name);
    json_text(o, "operation", r->info.operation);
    json_text(o, "source", r->info.source);
    json_object_set_new(o, "native", json_boolean(r->info.native));
    for (int i = 0; i < r->info.num_tunables; i++) {
        json_t *choices = json_array();
        for (int k = 0; k < r->info.tunables[i].count; k++)
            json_array_append_new(choices, json_integer(r->info.tunables[i].choices[k]));
        json_object_set_new(tunables, r->info.tunables[i].name, choices);
    }
    json_object_set_new(o, "tunables", tunables);
    json_number(o, "configs", r->info.configs);
    if (r->legal >= 0) {
        json_number(o, "legal", r->legal);
        json_text(o, "shape", r->shape);
        json_text(o, "device", r->device);
        json_text(o, "config", r->config);
    }
    json_print(o);
}

static void print_text(const struct request *r)
{
    printf("%s: %s on %s\n", r->info.name, r->info.operation,
           r->info.native ? "the native CPU" : "OpenCL devices");
    for (int i = 0; i < r->info.num_tunables; i++) {
        printf("  %-8s", r->info.tunables[i].name);
        for (int k = 0; k < r->info.tunables[i].count; k++)
            printf(" %d", r->info.tunables[i].choices[k]);
        putchar('\n');
    }
    printf("%d configurations", r->info.configs);
    if (r->legal >= 0)
        printf(", %d of them legal for %s %s on %s", r->legal, clattn_dtype_name(r->common.dtype),
               r->shape, r->device);
    putchar('\n');
    if (*r->config)
        printf("dispatched: %s\n", r->config);
}

static int run(int argc, char **argv)
{
    struct request r = { .common = { .dtype = CLATTN_F32 }, .legal = -1 };
    const struct option_spec specs[] = {
        { "shape", 0, "SHAPE", "as for `clattn bench`", parse_text, &r.shape },
        OPTION_DTYPE(r.common),
        OPTION_DEVICE(r.common),
        OPTION_JSON(r.common),
        { 0 },
    };
    int first, code;

    if (!options_parse(&usage, specs, argc, argv, &first, &code))
        return code;
    if (argc > first + 1)
        return usage_error(&usage, "kernels takes one name, not several arguments");
    if (argc == first && r.shape)
        return usage_error(&usage, "--shape needs the name of a kernel");
    if (r.common.device && !r.shape)
        return usage_error(&usage, "--device needs a kernel and its --shape");
    if (argc == first)
        return list_all(r.common.json);
    code = parse_kernel(&r.name, "kernel", argv[first]);
    if (code == EXIT_OK && clattn_kernel_describe(r.name, &r.info) != CLATTN_OK)
        code = fail(EXIT_USAGE, "there is nothing to know about %s", r.name);
    if (code == EXIT_OK && r.shape)
        code = count_legal(&r);
    if (code != EXIT_OK)
        return code;
    if (r.common.json)
        print_json(&r);
    else
        print_text(&r);
    return EXIT_OK;
}

const struct command cmd_kernels = { "kernels", "list kernels, and what can be tuned", run };
