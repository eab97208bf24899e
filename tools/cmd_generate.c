/* SPDX-License-Identifier: Apache-2.0 */
/* clattn generate: a GPT-2 model goes on with a text. */
#include <jansson.h>
#include <sample.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "model_job.h"
#include "trace.h"

static const struct usage usage = {
    .synopsis = "generate --model DIR --prompt TEXT [-n N] [options]",
    .text = "Goes on with a text, token by token, until N tokens are there, the model ends the\n"
            "text or has no more positions. Without a temperature every token is the likeliest\n"
            "one. Prints prompt and continuation; with --json also each token, its probability\n"
            "and the time.\n",
    .after = "example:\n  clattn generate -m gpt2 -p 'The cat sat on' -n 20 --temperature 0.8 "
             "--top-k 40\n",
};

struct generate {
    struct common common;
    const char *dir, *prompt, *trace_path;
    int64_t n, top_k, seed;
    float temperature, top_p;
    bool keep_going;
    clattn_dtype kv;

    struct model_job job;
    clm_session *session;
    clm_ids ids; /* prompt and what was generated */
    int prompt_tokens;
    float *logits;
    double *chance; /* of each generated token */
    double prompt_us, token_us;
    struct trace trace;
};

/* The next token; false: the text ends here, or *code is an error. */
static bool next_token(struct generate *g, clm_sampling *sampling, int *code)
{
    const int vocab = g->job.model->config.vocab;
    const int end = g->job.model->config.end;
    clm_fault f;
    int id;

    if (!clm_logits(g->session, g->session->N - 1, 1, g->logits, &f)
        || !clm_sample(sampling, g->logits, vocab, &id, &f)) {
        *code = model_fail(&f);
        return false;
    }
    if (id == end && !g->keep_going)
        return false;
    if (g->common.json)
        g->chance[g->ids.count - g->prompt_tokens] =
            (double)g->logits[id] - clm_log_sum(g->logits, vocab);
    if (clm_ids_add(&g->ids, id, &f))
        return true;
    *code = model_fail(&f);
    return false;
}

static int read_on(struct generate *g, int first)
{
    clm_fault f;

    return clm_forward(g->session, g->ids.id + first, g->ids.count - first, NULL, NULL, &f)
               ? EXIT_OK
               : model_fail(&f);
}

static int generate(struct generate *g)
{
    clm_sampling sampling = { .temperature = g->temperature,
                              .top_k = (int)g->top_k,
                              .top_p = g->top_p,
                              .state = (uint64_t)g->seed };
    double begin = now_us(), end;
    int code = read_on(g, 0);

    end = now_us();
    g->prompt_us = end - begin;
    trace_span(&g->trace, "prompt", -1, begin, end);
    for (int i = 0; code == EXIT_OK && i < g->n; i++) {
        begin = end;
        if (!next_token(g, &sampling, &code))
            break;
        if (i + 1 < g->n)
            code = read_on(g, g->ids.count - 1);
        end = now_us();
        g->token_us += end - begin;
        trace_span(&g->trace, "token", i, begin, end);
    }
    return code;
}

static int print_json(const struct generate *g, const char *text)
{
    json_t *tokens = json_array();
    const int made = g->ids.count - g->prompt_tokens;

    for (int i = 0; i < made; i++) {
        const int id = g->ids.id[g->prompt_tokens + i];
        char *label = clm_token_label(g->job.tokenizer, id);
        if (!label)
            lacks_memory();
        json_array_append_new(tokens, json_pack("{s:i, s:s*, s:f}", "id", id, "token", label,
                                                "logprob", g->chance[i]));
        free(label);
    }
    json_t *root = json_pack("{s:s%, s:i, s:o, s:s, s:f, s:f, s:f}", "text", text, strlen(text),
                             "prompt_tokens", g->prompt_tokens, "tokens", tokens, "device",
                             g->job.session.device->name, "prompt_us", g->prompt_us, "token_us",
                             made > 0 ? g->token_us / made : 0.0, "weight_bytes",
                             (double)g->job.model->weight_bytes);
    if (g->trace_path)
        json_object_set_new(root, "kernel_fraction",
                            json_real(g->trace.kernel_us / (g->prompt_us + g->token_us)));
    const bool ok = root && json_dumpf(root, stdout, JSON_COMPACT) == 0;
    json_decref(root);
    putchar('\n');
    return ok ? EXIT_OK : fail(EXIT_INPUT, "the text is no JSON: it ends inside a character");
}

static int print(const struct generate *g)
{
    char *text = clm_decode(g->job.tokenizer, g->ids.id, g->ids.count);
    int code = EXIT_OK;

    if (!text)
        return fail(EXIT_INPUT, "out of memory");
    if (g->common.json)
        code = print_json(g, text);
    else
        puts(text);
    free(text);
    return code;
}

static int prepare(struct generate *g)
{
    const clm_config *c = &g->job.model->config;
    clm_fault f;

    if (c->family != CLM_GPT2)
        return fail(EXIT_INPUT, "the model is a BERT: it fills gaps (clattn fill), it does not "
                                "generate");
    int code = model_encode(&g->job, g->prompt, &g->ids);
    if (code != EXIT_OK)
        return code;
    g->prompt_tokens = g->ids.count;
    if (g->n > c->positions - g->ids.count)
        g->n = c->positions - g->ids.count;
    g->logits = malloc((size_t)c->vocab * sizeof *g->logits);
    g->chance = malloc((size_t)g->n * sizeof *g->chance + 1);
    if (!g->logits || !g->chance)
        return fail(EXIT_INPUT, "out of memory");
    if (!clm_session_open(g->job.model, 1, g->prompt_tokens + (int)g->n, g->kv, &g->session, &f))
        return model_fail(&f);
    if (g->trace_path) {
        g->session->watch = trace_operation;
        g->session->watch_user = &g->trace;
    }
    return EXIT_OK;
}

static int run_model(struct generate *g)
{
    int code = model_job_open(&g->job, &g->common, g->dir);

    if (code == EXIT_OK)
        code = prepare(g);
    if (code == EXIT_OK)
        code = generate(g);
    if (code == EXIT_OK && g->trace_path)
        code = trace_write(&g->trace, g->job.session.device->name, g->trace_path);
    if (code == EXIT_OK)
        code = print(g);
    clm_session_close(&g->session);
    clm_ids_free(&g->ids);
    free(g->logits);
    free(g->chance);
    trace_free(&g->trace);
    model_job_close(&g->job);
    return code;
}

static int run(int argc, char **argv)
{
    struct generate g = { .n = 20, .kv = CLATTN_F32 };
    const struct option_spec specs[] = {
        OPTION_MODEL(g.dir),
        { "prompt", 'p', "TEXT", "what to go on with (needed)", parse_text, &g.prompt },
        { "tokens", 'n', "N", "tokens to add at most (default 20)", parse_int, &g.n },
        { "temperature", 0, "T", "draw tokens: e^(logit / T); default 0, the likeliest",
          parse_float, &g.temperature },
        { "top-k", 0, "K", "draw from the K likeliest only", parse_int, &g.top_k },
        { "top-p", 0, "P", "draw from the likeliest that make up this share of all", parse_float,
          &g.top_p },
        { "seed", 0, "S", "of the random numbers (default 0)", parse_int, &g.seed },
        { "keep-going", 0, NULL, "do not stop where the model ends the text", parse_flag,
          &g.keep_going },
        { "kv", 0, "T", "keep keys and values as f32 (default), f16, bf16, i8 or i4", parse_storage,
          &g.kv },
        { "trace", 0, "FILE", "write what ran when, for chrome://tracing", parse_text,
          &g.trace_path },
        OPTION_DEVICE(g.common),
        OPTION_JSON(g.common),
        OPTION_VERBOSE(g.common),
        { 0 },
    };
    int code;

    if (!options_only(&usage, specs, argc, argv, &code))
        return code;
    if (!g.dir || !g.prompt)
        return usage_error(&usage, "generate needs --model and --prompt");
    if (g.n < 0 || g.top_k < 0 || g.top_k > INT32_MAX)
        return usage_error(&usage, "-n and --top-k cannot be negative");
    if (g.temperature < 0 || g.top_p < 0 || g.top_p > 1)
        return usage_error(&usage, "--temperature is at least 0, --top-p from 0 to 1");
    return run_model(&g);
}

const struct command cmd_generate = { "generate", "go on with a text (GPT-2)", run };
