/* SPDX-License-Identifier: Apache-2.0 */
/* The options of linear attention that need no file, and what they cost. */
#include <inttypes.h>
#include <string.h>

#include "cli.h"
#include "linear_job.h"

static const char *const maps[] = { "identity", "relu", "elu1", "exp", "poly2" };
static const char *const forms[] = { "auto", "linear", "quadratic" };

const struct linear_options linear_defaults = { .map = CLATTN_MAP_ELU1, .c = 1 };

/* Index of a word in a list, or -1 and what is near. */
static int find_word(const char *const *words, int n, const char *text, struct suggestion *near)
{
    *near = (struct suggestion){ .word = text };
    for (int i = 0; i < n; i++) {
        if (strcmp(words[i], text) == 0)
            return i;
        suggest(near, words[i]);
    }
    return -1;
}

int linear_map_parse(int code, const char *text, clattn_feature_map *out)
{
    struct suggestion near;
    const int i = find_word(maps, 5, text, &near);

    if (i < 0)
        return fail(code,
                    "unknown feature map '%.40s', there are identity, relu, elu1, exp and poly2%s",
                    text, did_you_mean(&near, "", ""));
    *out = (clattn_feature_map)i;
    return EXIT_OK;
}

static int parse_map(void *target, const char *name, const char *value)
{
    (void)name;
    return linear_map_parse(EXIT_USAGE, value, target);
}

static int parse_form(void *target, const char *name, const char *value)
{
    struct suggestion near;
    const int i = find_word(forms, 3, value, &near);

    if (i < 0)
        return fail(EXIT_USAGE, "--%s: '%.40s' is none of auto, linear and quadratic%s", name,
                    value, did_you_mean(&near, "", ""));
    *(clattn_linear_form *)target = (clattn_linear_form)i;
    return EXIT_OK;
}

static int parse_c(void *target, const char *name, const char *value)
{
    const int code = parse_float(target, name, value);

    if (code == EXIT_OK && *(float *)target < 0)
        return fail(EXIT_USAGE, "--%s: %s is negative", name, value);
    return code;
}

static int parse_scale(void *target, const char *name, const char *value)
{
    const int code = parse_float(target, name, value);

    if (code == EXIT_OK && *(float *)target == 0)
        return fail(EXIT_USAGE, "--%s: the scale cannot be 0; leave it out for none", name);
    return code;
}

void linear_options_specs(struct linear_options *o, struct option_spec *specs)
{
    const struct option_spec all[LINEAR_NUM_OPTIONS] = {
        { "feature-map", 0, "MAP",
          "identity (also for features that are mapped already), relu, elu1\n"
          "(the default), exp, or poly2, whose similarity is (q.k + c)^2",
          parse_map, &o->map },
        { "map", 0, "MAP", "the same", parse_map, &o->map },
        { "c", 0, "X", "the constant of poly2, at least 0 (default 1)", parse_c, &o->c },
        { "scale", 0, "X", "factor of q, before it is mapped; default: none", parse_scale,
          &o->scale },
        { "causal", 0, NULL, "row i sees keys up to i, and the state", parse_flag, &o->causal },
        { "unnormalized", 0, NULL, "do not divide by the sum of similarities", parse_flag,
          &o->unnormalized },
        { "form", 0, "FORM", "auto (fewer flops), linear or quadratic", parse_form, &o->form },
    };

    memcpy(specs, all, sizeof all);
}

void linear_options_text(const struct linear_options *o, char *text, size_t size)
{
    *text = 0;
    add_word(text, size, "%s", maps[o->map]);
    if (o->map == CLATTN_MAP_POLY2 && o->c != 1)
        add_word(text, size, "c=%g", (double)o->c);
    if (o->causal)
        add_word(text, size, "causal");
    if (o->unnormalized)
        add_word(text, size, "unnormalized");
    if (o->scale != 0)
        add_word(text, size, "scale=%g", (double)o->scale);
    if (o->form)
        add_word(text, size, "form=%s", forms[o->form]);
}

int64_t linear_features(clattn_feature_map map, int64_t D)
{
    return map == CLATTN_MAP_POLY2 ? 1 + D + D * (D + 1) / 2 : D;
}

int linear_check(const struct qkv_sizes *n, const struct linear_options *o)
{
    if (o->map == CLATTN_MAP_POLY2 && n->D > 16384)
        return fail(EXIT_INPUT, "D is %" PRId64 ", poly2 takes at most 16384", n->D);
    return EXIT_OK;
}

double linear_flops(const struct qkv_sizes *n, const struct linear_options *o)
{
    const double rows = (double)n->Hq * (double)n->Nq + (double)n->Hk * (double)n->Nk;

    return 2.0 * (double)linear_features(o->map, n->D) * (double)n->Dv * (double)n->B * rows;
}

double quadratic_flops(const struct qkv_sizes *n, const struct linear_options *o)
{
    const double Nq = (double)n->Nq, pairs = o->causal ? Nq * (Nq + 1) / 2 : Nq * (double)n->Nk;

    return 2.0 * (double)(n->D + n->Dv) * (double)n->B * (double)n->Hq * pairs;
}

double linear_break_even(const struct qkv_sizes *n, const struct linear_options *o)
{
    const double F = (double)linear_features(o->map, n->D);
    const double full =
        F * (double)n->Dv * (double)(n->Hq + n->Hk) / ((double)(n->D + n->Dv) * (double)n->Hq);

    return o->causal ? 2 * full - 1 : full;
}
