/* SPDX-License-Identifier: Apache-2.0 */
/* clattn fill: a BERT model fills the gaps of a text. */
#include <jansson.h>
#include <math.h>
#include <sample.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli.h"
#include "model_job.h"

static const struct usage usage = {
    .synopsis = "fill --model DIR --text TEXT [-k K] [options]",
    .text = "Says what may stand at each [MASK] of the text: the K likeliest tokens and their\n"
            "probabilities.\n",
    .after =
        "example:\n  clattn fill -m bert-base-uncased -t 'the capital of france is [MASK] .'\n",
};

struct fill {
    struct common common;
    const char *dir, *text;
    int64_t k;
    struct model_job job;
    clm_session *session;
    clm_ids ids;
};

static void print_guess(const struct fill *a, int at, int id, double p, json_t *list)
{
    char *label = clm_token_label(a->job.tokenizer, id);

    if (!label)
        lacks_memory();
    if (list)
        json_array_append_new(
            list, json_pack("{s:i, s:s*, s:f}", "id", id, "token", label, "probability", p));
    else
        printf("%d  %.4f  %s\n", at, p, label ? label : "?");
    free(label);
}

/* One gap: the token at this place. */
static int fill_gap(const struct fill *a, int at, float *logits, int *places)
{
    const int vocab = a->job.model->config.vocab;
    clm_fault f;

    if (!clm_logits(a->session, at, 1, logits, &f))
        return model_fail(&f);
    const int found = clm_largest(logits, vocab, (int)a->k, places);
    const double sum = clm_log_sum(logits, vocab);
    json_t *list = a->common.json ? json_array() : NULL;
    for (int i = 0; i < found; i++)
        print_guess(a, at, places[i], exp((double)logits[places[i]] - sum), list);
    if (list) {
        json_t *root = json_pack("{s:i, s:o}", "position", at, "guesses", list);
        json_dumpf(root, stdout, JSON_COMPACT);
        json_decref(root);
        putchar('\n');
    }
    return EXIT_OK;
}

static int fill_gaps(struct fill *a)
{
    const size_t vocab = (size_t)a->job.model->config.vocab;
    float *logits = malloc(vocab * sizeof *logits);
    int *places = malloc((size_t)a->k * sizeof *places), code = EXIT_OK, gaps = 0;

    if (!logits || !places)
        code = fail(EXIT_INPUT, "out of memory");
    for (int i = 0; code == EXIT_OK && i < a->ids.count; i++)
        if (a->ids.id[i] == a->job.tokenizer->mask) {
            code = fill_gap(a, i, logits, places);
            gaps++;
        }
    if (code == EXIT_OK && gaps == 0)
        code = fail(EXIT_INPUT, "the text has no [MASK]");
    free(logits);
    free(places);
    return code;
}

static int read_text(struct fill *a)
{
    clm_fault f;

    if (a->job.model->config.family != CLM_BERT || a->job.tokenizer->mask < 0)
        return fail(EXIT_INPUT, "the model does not know [MASK]: filling gaps needs a BERT");
    const int code = model_encode(&a->job, a->text, &a->ids);
    if (code != EXIT_OK)
        return code;
    if (!clm_session_open(a->job.model, 1, a->ids.count, CLATTN_F32, &a->session, &f)
        || !clm_forward(a->session, a->ids.id, a->ids.count, NULL, NULL, &f))
        return model_fail(&f);
    return EXIT_OK;
}

static int run(int argc, char **argv)
{
    struct fill a = { .k = 5 };
    const struct option_spec specs[] = {
        OPTION_MODEL(a.dir),
        { "text", 't', "TEXT", "a text with [MASK] (needed)", parse_text, &a.text },
        { "top", 'k', "K", "guesses for each gap (default 5)", parse_int, &a.k },
        OPTION_DEVICE(a.common),
        OPTION_JSON(a.common),
        OPTION_VERBOSE(a.common),
        { 0 },
    };
    int code;

    if (!options_only(&usage, specs, argc, argv, &code))
        return code;
    if (!a.dir || !a.text)
        return usage_error(&usage, "fill needs --model and --text");
    if (a.k < 1 || a.k > 1000)
        return usage_error(&usage, "-k is from 1 to 1000");
    code = model_job_open(&a.job, &a.common, a.dir);
    if (code == EXIT_OK)
        code = read_text(&a);
    if (code == EXIT_OK)
        code = fill_gaps(&a);
    clm_session_close(&a.session);
    clm_ids_free(&a.ids);
    model_job_close(&a.job);
    return code;
}

const struct command cmd_fill = { "fill", "fill the gaps of a text (BERT)", run };
