/* SPDX-License-Identifier: Apache-2.0 */
/* clattn embed: sentence vectors, the mean over what the last layer says about the tokens. */
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "model_job.h"
#include "output.h"

static const struct usage usage = {
    .synopsis = "embed --model DIR --text TEXT [--text TEXT ...] [-o V.npy] [options]",
    .text = "Makes a vector of each text: the mean over its tokens in the last layer. Prints how\n"
            "alike the texts are (the cosine of the angle between two vectors), with --json the\n"
            "vectors themselves; -o writes them [texts][width], float32.\n",
    .after = "example:\n  clattn embed -m all-MiniLM-L6-v2 -t 'a cat sleeps' -t 'the dog rests'\n",
};

struct embed {
    struct common common;
    const char *dir, *path;
    struct texts texts;
    bool normalize;
    struct model_job job;
    struct array vectors; /* [texts][M] */
    struct outputs files;
};

static void mean_of(const struct embed *a, const float *hidden, int tokens, float *out)
{
    const int M = a->job.model->config.M;
    double norm = 0;

    for (int m = 0; m < M; m++) {
        double sum = 0;
        for (int n = 0; n < tokens; n++)
            sum += (double)hidden[(size_t)n * (size_t)M + (size_t)m];
        out[m] = (float)(sum / tokens);
        norm += (sum / tokens) * (sum / tokens);
    }
    for (int m = 0; a->normalize && norm > 0 && m < M; m++)
        out[m] = (float)((double)out[m] / sqrt(norm));
}

/* The texts side by side, padded to the longest; GPT-2 has no padding and reads one at a time. */
static int read_batch(struct embed *a, const clm_ids *ids, int count, float *out)
{
    const size_t M = (size_t)a->job.model->config.M;
    int32_t lengths[MAX_TEXTS], *padded = NULL;
    clm_session *s = NULL;
    float *hidden = NULL;
    clm_fault f;
    int N = 0, code = EXIT_OK;

    for (int i = 0; i < count; i++) {
        lengths[i] = ids[i].count;
        N = ids[i].count > N ? ids[i].count : N;
    }
    padded = calloc((size_t)count * (size_t)N, sizeof *padded);
    hidden = malloc((size_t)count * (size_t)N * M * sizeof *hidden);
    for (int i = 0; padded && i < count; i++)
        memcpy(padded + (size_t)i * (size_t)N, ids[i].id, (size_t)lengths[i] * sizeof *padded);
    if (!padded || !hidden)
        code = fail(EXIT_INPUT, "out of memory");
    else if (!clm_session_open(a->job.model, count, N, CLATTN_F32, &s, &f)
             || !clm_forward(s, padded, N, count > 1 ? lengths : NULL, NULL, &f)
             || !clm_hidden(s, hidden, &f))
        code = model_fail(&f);
    for (int i = 0; code == EXIT_OK && i < count; i++)
        mean_of(a, hidden + (size_t)i * (size_t)N * M, lengths[i], out + (size_t)i * M);
    clm_session_close(&s);
    free(padded);
    free(hidden);
    return code;
}

static int embed(struct embed *a)
{
    const int64_t shape[2] = { a->texts.n, a->job.model->config.M };
    const bool together = a->job.model->config.family == CLM_BERT;
    clm_ids ids[MAX_TEXTS] = { { 0 } };
    int code = array_new(&a->vectors, CLATTN_F32, 2, shape);

    for (int i = 0; code == EXIT_OK && i < a->texts.n; i++)
        code = model_encode(&a->job, a->texts.text[i], &ids[i]);
    if (code == EXIT_OK && together)
        code = read_batch(a, ids, a->texts.n, a->vectors.data);
    for (int i = 0; code == EXIT_OK && !together && i < a->texts.n; i++)
        code = read_batch(a, &ids[i], 1, (float *)a->vectors.data + i * shape[1]);
    for (int i = 0; i < a->texts.n; i++)
        clm_ids_free(&ids[i]);
    return code;
}

static double cosine(const float *a, const float *b, int64_t M)
{
    double ab = 0, aa = 0, bb = 0;

    for (int64_t m = 0; m < M; m++) {
        ab += (double)a[m] * (double)b[m];
        aa += (double)a[m] * (double)a[m];
        bb += (double)b[m] * (double)b[m];
    }
    return aa > 0 && bb > 0 ? ab / sqrt(aa * bb) : 0;
}

static void print_json(const struct embed *a, int i, const float *vector, int64_t M)
{
    json_t *list = json_array();

    for (int64_t m = 0; m < M; m++)
        json_array_append_new(list, json_real((double)vector[m]));
    json_t *root = json_pack("{s:s, s:o}", "text", a->texts.text[i], "vector", list);
    json_dumpf(root, stdout, JSON_COMPACT | JSON_REAL_PRECISION(9));
    json_decref(root);
    putchar('\n');
}

static void print(const struct embed *a)
{
    const int64_t M = a->vectors.shape[1];
    const float *v = a->vectors.data;

    for (int i = 0; i < a->texts.n; i++) {
        if (a->common.json) {
            print_json(a, i, v + i * M, M);
            continue;
        }
        for (int j = 0; j < a->texts.n; j++)
            printf("%s%7.4f", j ? " " : "", cosine(v + i * M, v + j * M, M));
        printf("  %s\n", a->texts.text[i]);
    }
}

static int run_model(struct embed *a)
{
    int code = a->path ? outputs_add(&a->files, a->path) : EXIT_OK;

    if (code == EXIT_OK) {
        code = model_job_open(&a->job, &a->common, a->dir);
        if (code == EXIT_OK)
            code = embed(a);
        model_job_close(&a->job);
    }
    if (code == EXIT_OK && a->path) {
        const struct array *const arrays[] = { &a->vectors };
        code = outputs_write(&a->files, arrays);
    }
    if (code == EXIT_OK)
        print(a);
    outputs_free(&a->files);
    array_free(&a->vectors);
    return code;
}

static int run(int argc, char **argv)
{
    struct embed a = { 0 };
    const struct option_spec specs[] = {
        OPTION_MODEL(a.dir),
        { "text", 't', "TEXT", "a text; may be given several times (needed)", parse_texts,
          &a.texts },
        { "output", 'o', "V.npy", "write the vectors", parse_text, &a.path },
        { "normalize", 0, NULL, "make the vectors 1 long", parse_flag, &a.normalize },
        OPTION_DEVICE(a.common),
        OPTION_JSON(a.common),
        OPTION_VERBOSE(a.common),
        { 0 },
    };
    int code;

    if (!options_only(&usage, specs, argc, argv, &code))
        return code;
    if (!a.dir || a.texts.n == 0)
        return usage_error(&usage, "embed needs --model and --text");
    return run_model(&a);
}

const struct command cmd_embed = { "embed", "make vectors of texts", run };
