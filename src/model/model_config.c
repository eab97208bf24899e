/* SPDX-License-Identifier: Apache-2.0 */
#include "model_config.h"

#include <string.h>

enum { MAX_WIDTH = 1 << 20, MAX_LAYERS = 1024, MAX_ROWS = 1 << 24 };

/* A whole number from 1 to max. */
static bool read_size(const json_t *json, const char *key, int max, int *out, clm_fault *f)
{
    const json_t *value = json_object_get(json, key);
    if (!json_is_integer(value))
        return clm_fail(f, "config.json: %s is %s", key, value ? "not a whole number" : "missing");
    const json_int_t n = json_integer_value(value);
    if (n < 1 || n > max)
        return clm_fail(f, "config.json: %s is %lld, must be 1 to %d", key, (long long)n, max);
    *out = (int)n;
    return true;
}

static bool is_set(const json_t *json, const char *key)
{
    const json_t *value = json_object_get(json, key);
    return value && json_typeof(value) != JSON_NULL;
}

static bool read_eps(const json_t *json, const char *key, double absent, float *out, clm_fault *f)
{
    json_t *value = json_object_get(json, key);
    double eps = absent;
    if ((value && json_unpack(value, "F", &eps) != 0) || eps < 0 || eps > 1)
        return clm_fail(f, "config.json: %s must be a number from 0 to 1", key);
    *out = (float)eps;
    return true;
}

static bool read_activation(const json_t *json, const char *key, const char *absent,
                            clattn_row_function *out, clm_fault *f)
{
    static const struct {
        const char *name;
        clattn_row_function function;
    } known[] = {
        { "gelu", CLATTN_ROW_GELU },          { "gelu_python", CLATTN_ROW_GELU },
        { "gelu_new", CLATTN_ROW_GELU_TANH }, { "gelu_pytorch_tanh", CLATTN_ROW_GELU_TANH },
        { "relu", CLATTN_ROW_RELU },
    };
    const char *name = is_set(json, key) ? json_string_value(json_object_get(json, key)) : absent;
    for (size_t i = 0; name && i < sizeof known / sizeof known[0]; i++)
        if (strcmp(name, known[i].name) == 0) {
            *out = known[i].function;
            return true;
        }
    return clm_fail(f, "config.json: %s is %.40s; gelu, gelu_new and relu are possible", key,
                    name ? name : "no text");
}

/* An option that changes the result and cannot be done. */
static bool refuse(const json_t *json, const char *key, clm_fault *f)
{
    if (json_is_true(json_object_get(json, key)))
        return clm_fail(f, "config.json: %s is true, which clattn cannot run", key);
    return true;
}

static bool parse_gpt2(const json_t *json, clm_config *c, clm_fault *f)
{
    c->family = CLM_GPT2;
    if (!read_size(json, "n_embd", MAX_WIDTH, &c->M, f)
        || !read_size(json, "n_head", MAX_WIDTH, &c->heads, f)
        || !read_size(json, "n_layer", MAX_LAYERS, &c->layers, f)
        || !read_size(json, is_set(json, "n_positions") ? "n_positions" : "n_ctx", MAX_ROWS,
                      &c->positions, f))
        return false;
    c->inner = 4 * c->M;
    if (is_set(json, "n_inner") && !read_size(json, "n_inner", MAX_WIDTH, &c->inner, f))
        return false;
    c->unscaled = json_is_false(json_object_get(json, "scale_attn_weights"));
    c->scale_by_layer = json_is_true(json_object_get(json, "scale_attn_by_inverse_layer_idx"));
    return read_eps(json, "layer_norm_epsilon", 1e-5, &c->eps, f)
           && read_activation(json, "activation_function", "gelu_new", &c->activation, f)
           && refuse(json, "add_cross_attention", f);
}

static bool parse_bert(const json_t *json, clm_config *c, clm_fault *f)
{
    const char *positions = json_string_value(json_object_get(json, "position_embedding_type"));
    c->family = CLM_BERT;
    if (!read_size(json, "hidden_size", MAX_WIDTH, &c->M, f)
        || !read_size(json, "num_attention_heads", MAX_WIDTH, &c->heads, f)
        || !read_size(json, "num_hidden_layers", MAX_LAYERS, &c->layers, f)
        || !read_size(json, "intermediate_size", MAX_WIDTH, &c->inner, f)
        || !read_size(json, "max_position_embeddings", MAX_ROWS, &c->positions, f)
        || !read_size(json, "type_vocab_size", MAX_WIDTH, &c->types, f))
        return false;
    if (positions && strcmp(positions, "absolute") != 0)
        return clm_fail(f,
                        "config.json: position_embedding_type is %.40s; only absolute is "
                        "possible",
                        positions);
    return read_eps(json, "layer_norm_eps", 1e-12, &c->eps, f)
           && read_activation(json, "hidden_act", "gelu", &c->activation, f)
           && refuse(json, "is_decoder", f) && refuse(json, "add_cross_attention", f);
}

/* Of several tokens that end a text the first counts. */
static int read_end(const json_t *json)
{
    const json_t *end = json_object_get(json, "eos_token_id");
    if (json_is_array(end))
        end = json_array_get(end, 0);
    const json_int_t id = json_is_integer(end) ? json_integer_value(end) : -1;
    return id >= 0 && id <= MAX_ROWS ? (int)id : -1;
}

bool clm_config_parse(const json_t *json, clm_config *out, clm_fault *f)
{
    const char *type = json_string_value(json_object_get(json, "model_type"));
    *out = (clm_config){ 0 };
    if (!type)
        return clm_fail(f, "config.json has no model_type");
    bool ok;
    if (strcmp(type, "gpt2") == 0)
        ok = parse_gpt2(json, out, f);
    else if (strcmp(type, "bert") == 0)
        ok = parse_bert(json, out, f);
    else
        return clm_fail(f, "config.json: model_type is %.40s; gpt2 and bert are possible", type);
    if (!ok || !read_size(json, "vocab_size", MAX_ROWS, &out->vocab, f))
        return false;
    if (out->M % out->heads != 0)
        return clm_fail(f, "config.json: rows of %d cannot be divided into %d heads", out->M,
                        out->heads);
    out->end = read_end(json);
    return true;
}
