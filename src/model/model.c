/* SPDX-License-Identifier: Apache-2.0 */
#include "model.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model_file.h"

/* ---- one tensor ---- */

enum { MAX_NAME = 128, SQUARE = 16 };

/* The same weights are stored with and without the name of the class that holds them. */
static const clm_stored *find(const clm_model *m, const char *name)
{
    char longer[MAX_NAME + 16];
    const clm_stored *t = clm_weights_find(&m->weights, name);
    if (t)
        return t;
    snprintf(longer, sizeof longer, "%s%s", m->config.family == CLM_GPT2 ? "transformer." : "bert.",
             name);
    return clm_weights_find(&m->weights, longer);
}

static bool upload(clm_model *m, const clm_stored *t, clattn_tensor *out, clm_fault *f)
{
    clattn_buffer **buffers =
        realloc(m->buffers, ((size_t)m->num_buffers + 1) * sizeof *m->buffers);
    if (!buffers)
        return clm_out_of_memory(f);
    m->buffers = buffers;
    clattn_buffer **buffer = &m->buffers[m->num_buffers];
    if (!clm_check(f, m->ctx, clattn_buffer_create(m->ctx, t->bytes, buffer)))
        return false;
    m->num_buffers++;
    *out = clattn_tensor_of_buffer(*buffer, t->dtype, t->rank, t->shape);
    return clm_check(f, m->ctx, clattn_buffer_write(*buffer, 0, t->data, t->bytes));
}

static bool place(clm_model *m, const clm_stored *t, clattn_tensor *out, clm_fault *f)
{
    const bool native = clattn_ctx_device(m->ctx)->type == CLATTN_DEVICE_NATIVE;
    if (!native || (uintptr_t)t->data % clattn_dtype_size(t->dtype) != 0)
        return upload(m, t, out, f);
    *out = clattn_tensor_of_host(t->data, t->dtype, t->rank, t->shape);
    return true;
}

/* to[column][row] = from[row][column], by squares, so that both are gone through by cache lines. */
static inline void swap_axes(char *to, const char *from, size_t rows, size_t columns,
                             const size_t size)
{
    for (size_t row = 0; row < rows; row += SQUARE)
        for (size_t column = 0; column < columns; column += SQUARE)
            for (size_t c = column; c < columns && c < column + SQUARE; c++)
                for (size_t r = row; r < rows && r < row + SQUARE; r++)
                    memcpy(to + (c * rows + r) * size, from + (r * columns + c) * size, size);
}

/* A matrix with its axes swapped. */
static bool place_swapped(clm_model *m, const clm_stored *t, clattn_tensor *out, clm_fault *f)
{
    const size_t rows = (size_t)t->shape[0], columns = (size_t)t->shape[1];
    clm_stored swapped = *t;
    char *data = malloc(t->bytes);
    if (!data)
        return clm_out_of_memory(f);
    if (clattn_dtype_size(t->dtype) == 4)
        swap_axes(data, t->data, rows, columns, 4);
    else
        swap_axes(data, t->data, rows, columns, 2);
    swapped.shape[0] = t->shape[1];
    swapped.shape[1] = t->shape[0];
    swapped.data = data;
    const bool ok = upload(m, &swapped, out, f);
    free(data);
    return ok;
}

/* The tensor that must be there, with these lengths; NULL and the fault otherwise. */
static const clm_stored *need(clm_model *m, const char *name, int rank, int64_t rows,
                              int64_t columns, clm_fault *f)
{
    const int64_t want[2] = { rows, columns };
    const clm_stored *t = find(m, name);
    bool ok = true;
    if (!t)
        ok = clm_fail(f, "%s has no tensor %s", m->weights.name, name);
    else if (t->dtype == CLATTN_NONE)
        ok = clm_fail(f, "%s is neither F32, F16 nor BF16", name);
    else if (t->rank != rank)
        ok = clm_fail(f, "%s has %d axes, needs %d", name, t->rank, rank);
    for (int i = 0; i < rank && ok; i++)
        if (t->shape[i] != want[i])
            ok = clm_fail(f, "axis %d of %s has length %lld; config.json says %lld", i, name,
                          (long long)t->shape[i], (long long)want[i]);
    m->weight_bytes += ok ? t->bytes : 0;
    return ok ? t : NULL;
}

static bool take(clm_model *m, const char *name, int rank, int64_t rows, int64_t columns,
                 clattn_tensor *out, clm_fault *f)
{
    const clm_stored *t = need(m, name, rank, rows, columns, f);
    return t && place(m, t, out, f);
}

/* ---- pieces ---- */

static void make_name(char *out, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void make_name(char *out, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    vsnprintf(out, MAX_NAME, fmt, args);
    va_end(args);
}

static bool take_vector(clm_model *m, const char *module, const char *leaf, int64_t length,
                        clattn_tensor *out, clm_fault *f)
{
    char name[MAX_NAME];
    make_name(name, "%s.%s", module, leaf);
    return take(m, name, 1, length, 0, out, f);
}

/* Older BERT files say gamma and beta. */
static bool take_norm(clm_model *m, const char *module, clm_norm *out, clm_fault *f)
{
    char old[MAX_NAME];
    make_name(old, "%s.gamma", module);
    const bool is_old = find(m, old) != NULL;
    return take_vector(m, module, is_old ? "gamma" : "weight", m->config.M, &out->weight, f)
           && take_vector(m, module, is_old ? "beta" : "bias", m->config.M, &out->bias, f);
}

/*
 * BERT stores [out][in]; GPT-2 stores [in][out]. One row, as in decoding, is multiplied at the
 * speed of reading the weights, and these are read fastest when each output's lie together.
 */
static bool take_linear(clm_model *m, const char *module, int64_t in, int64_t out_width,
                        clm_linear *out, clm_fault *f)
{
    char name[MAX_NAME];
    const bool swapped = m->config.family == CLM_GPT2;
    make_name(name, "%s.weight", module);
    const clm_stored *w =
        need(m, name, 2, swapped ? in : out_width, swapped ? out_width : in, f);
    return w && (swapped ? place_swapped : place)(m, w, &out->w, f)
           && take_vector(m, module, "bias", out_width, &out->bias, f);
}

/* ---- GPT-2 ---- */

static bool load_gpt2_layer(clm_model *m, int i, clm_layer *layer, clm_fault *f)
{
    const int64_t M = m->config.M, inner = m->config.inner;
    clm_linear *const parts[] = { &layer->q, &layer->k, &layer->v };
    clm_linear qkv;
    char name[MAX_NAME];
    make_name(name, "h.%d.attn.c_attn", i);
    if (!take_linear(m, name, M, 3 * M, &qkv, f))
        return false;
    for (int n = 0; n < 3; n++) {
        parts[n]->w = clattn_tensor_slice(qkv.w, 0, n * M, M);
        parts[n]->bias = clattn_tensor_slice(qkv.bias, 0, n * M, M);
    }
    make_name(name, "h.%d.attn.c_proj", i);
    if (!take_linear(m, name, M, M, &layer->out, f))
        return false;
    make_name(name, "h.%d.mlp.c_fc", i);
    if (!take_linear(m, name, M, inner, &layer->up, f))
        return false;
    make_name(name, "h.%d.mlp.c_proj", i);
    if (!take_linear(m, name, inner, M, &layer->down, f))
        return false;
    for (int n = 0; n < 2; n++) {
        make_name(name, "h.%d.ln_%d", i, n + 1);
        if (!take_norm(m, name, &layer->norm[n], f))
            return false;
    }
    return true;
}

static bool load_gpt2(clm_model *m, clm_fault *f)
{
    const clm_config *c = &m->config;
    if (!take(m, "wte.weight", 2, c->vocab, c->M, &m->words, f)
        || !take(m, "wpe.weight", 2, c->positions, c->M, &m->positions, f)
        || !take_norm(m, "ln_f", &m->final_norm, f))
        return false;
    for (int i = 0; i < c->layers; i++)
        if (!load_gpt2_layer(m, i, &m->layers[i], f))
            return false;
    m->head = m->words;
    m->has_head = true;
    return !clm_weights_find(&m->weights, "lm_head.weight")
           || take(m, "lm_head.weight", 2, c->vocab, c->M, &m->head, f);
}

/* ---- BERT ---- */

static bool load_bert_layer(clm_model *m, int i, clm_layer *layer, clm_fault *f)
{
    const int64_t M = m->config.M, inner = m->config.inner;
    const struct {
        const char *name;
        int64_t in, out;
        clm_linear *to;
    } linears[] = {
        { "attention.self.query", M, M, &layer->q },
        { "attention.self.key", M, M, &layer->k },
        { "attention.self.value", M, M, &layer->v },
        { "attention.output.dense", M, M, &layer->out },
        { "intermediate.dense", M, inner, &layer->up },
        { "output.dense", inner, M, &layer->down },
    };
    char name[MAX_NAME];
    for (size_t n = 0; n < sizeof linears / sizeof linears[0]; n++) {
        make_name(name, "encoder.layer.%d.%s", i, linears[n].name);
        if (!take_linear(m, name, linears[n].in, linears[n].out, linears[n].to, f))
            return false;
    }
    make_name(name, "encoder.layer.%d.attention.output.LayerNorm", i);
    if (!take_norm(m, name, &layer->norm[0], f))
        return false;
    make_name(name, "encoder.layer.%d.output.LayerNorm", i);
    return take_norm(m, name, &layer->norm[1], f);
}

/* The masked-word head is missing in models that make sentence vectors. */
static bool load_bert_head(clm_model *m, clm_fault *f)
{
    const clm_config *c = &m->config;
    m->has_head = find(m, "cls.predictions.transform.dense.weight") != NULL;
    if (!m->has_head)
        return true;
    m->head = m->words;
    return take_linear(m, "cls.predictions.transform.dense", c->M, c->M, &m->transform, f)
           && take_norm(m, "cls.predictions.transform.LayerNorm", &m->transform_norm, f)
           && take(m, "cls.predictions.bias", 1, c->vocab, 0, &m->head_bias, f)
           && (!find(m, "cls.predictions.decoder.weight")
               || take(m, "cls.predictions.decoder.weight", 2, c->vocab, c->M, &m->head, f));
}

static bool load_bert(clm_model *m, clm_fault *f)
{
    const clm_config *c = &m->config;
    if (!take(m, "embeddings.word_embeddings.weight", 2, c->vocab, c->M, &m->words, f)
        || !take(m, "embeddings.position_embeddings.weight", 2, c->positions, c->M, &m->positions,
                 f)
        || !take(m, "embeddings.token_type_embeddings.weight", 2, c->types, c->M, &m->types, f)
        || !take_norm(m, "embeddings.LayerNorm", &m->embedding_norm, f))
        return false;
    for (int i = 0; i < c->layers; i++)
        if (!load_bert_layer(m, i, &m->layers[i], f))
            return false;
    return load_bert_head(m, f);
}

/* ---- the model ---- */

static bool load(clm_model *m, const char *dir, clm_fault *f)
{
    json_t *json;
    if (!clm_read_json(dir, "config.json", &json, f))
        return false;
    const bool ok = clm_config_parse(json, &m->config, f);
    json_decref(json);
    if (!ok)
        return false;
    if (!clm_weights_open(dir, &m->weights, f))
        return false;
    m->layers = calloc((size_t)m->config.layers, sizeof *m->layers);
    if (!m->layers)
        return clm_out_of_memory(f);
    return m->config.family == CLM_GPT2 ? load_gpt2(m, f) : load_bert(m, f);
}

bool clm_model_open(clattn_ctx *ctx, const char *dir, clm_model **out, clm_fault *f)
{
    *out = calloc(1, sizeof **out);
    if (!*out)
        return clm_out_of_memory(f);
    (*out)->ctx = ctx;
    if (load(*out, dir, f))
        return true;
    clm_model_close(out);
    return false;
}

void clm_model_close(clm_model **model)
{
    clm_model *m = *model;
    if (!m)
        return;
    for (int i = 0; i < m->num_buffers; i++)
        clattn_buffer_destroy(&m->buffers[i]);
    free(m->buffers);
    free(m->layers);
    clm_weights_close(&m->weights);
    free(m);
    *model = NULL;
}
