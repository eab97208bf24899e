/* SPDX-License-Identifier: Apache-2.0 */
/* The options of softmax attention that need no file. */
#include <inttypes.h>
#include <string.h>

#include "attn_job.h"
#include "cli.h"

static int parse_causal(void *target, const char *name, const char *value)
{
    struct attn_options *o = target;
    struct suggestion near = { .word = value ? value : "" };

    if (!value || strcmp(value, "bottom-right") == 0) {
        o->causal = CLATTN_CAUSAL_BOTTOM_RIGHT;
        return EXIT_OK;
    }
    if (strcmp(value, "top-left") == 0) {
        o->causal = CLATTN_CAUSAL_TOP_LEFT;
        return EXIT_OK;
    }
    suggest(&near, "bottom-right");
    suggest(&near, "top-left");
    return fail(EXIT_USAGE, "--%s: '%s' is neither bottom-right nor top-left%s", name, value,
                did_you_mean(&near, "", ""));
}

static int parse_window(void *target, const char *name, const char *value)
{
    struct attn_options *o = target;
    int64_t sides[2];

    if (read_ints(value, 2, sides) != 2 || sides[0] < -1 || sides[1] < -1)
        return fail(EXIT_USAGE, "--%s: '%s' is not L,R, two lengths of at least -1", name, value);
    o->window = true;
    o->left = sides[0];
    o->right = sides[1];
    return EXIT_OK;
}

/* 0 means "default" to the library, which is not what someone who types 0 wants. */
static int parse_scale(void *target, const char *name, const char *value)
{
    const int code = parse_float(target, name, value);

    if (code == EXIT_OK && *(float *)target == 0)
        return fail(EXIT_USAGE, "--%s: the scale cannot be 0; leave it out for 1/sqrt(D)", name);
    return code;
}

static int parse_softcap(void *target, const char *name, const char *value)
{
    const int code = parse_float(target, name, value);

    if (code == EXIT_OK && *(float *)target < 0)
        return fail(EXIT_USAGE, "--%s: %s is negative", name, value);
    return code;
}

void attn_options_specs(struct attn_options *o, struct option_spec *specs)
{
    const struct option_spec all[ATTN_NUM_OPTIONS] = {
        { "causal", 0, "[=KIND]",
          "row i sees keys up to i + Nk - Nq (bottom-right, the default kind),\n"
          "or up to i (top-left)",
          parse_causal, o },
        { "window", 0, "L,R", "row i sees keys i + Nk - Nq - L to i + Nk - Nq + R; -1: no bound",
          parse_window, o },
        { "scale", 0, "X", "factor of the scores, default 1/sqrt(D)", parse_scale, &o->scale },
        { "softcap", 0, "X", "scores become X * tanh(score / X)", parse_softcap, &o->softcap },
    };

    memcpy(specs, all, sizeof all);
}

void attn_options_text(const struct attn_options *o, char *text, size_t size)
{
    *text = 0;
    if (o->causal == CLATTN_CAUSAL_BOTTOM_RIGHT)
        add_word(text, size, "causal");
    if (o->causal == CLATTN_CAUSAL_TOP_LEFT)
        add_word(text, size, "causal=top-left");
    if (o->window)
        add_word(text, size, "window=%" PRId64 ",%" PRId64, o->left, o->right);
    if (o->scale != 0)
        add_word(text, size, "scale=%g", (double)o->scale);
    if (o->softcap != 0)
        add_word(text, size, "softcap=%g", (double)o->softcap);
}
