/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files of models that nobody has to trust: what is refused, and that damage of any kind ends in a
 * sentence or in numbers, never outside the bytes. Also: choosing tokens from logits.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compare.h"
#include "memory.h"
#include "model_config.h"
#include "model_file.h"
#include "safetensors.h"
#include "sample.h"
#include "suite.h"
#include "test_random.h"
#include "tokenizer.h"

static clm_fault fault;

/* ---- safetensors ---- */

/* A file with this header and so many bytes of data, in memory of exactly its size. */
static unsigned char *make_file(const char *header, size_t data, size_t *size)
{
    const size_t length = strlen(header);
    unsigned char *file = malloc(8 + length + data);

    *size = 8 + length + data;
    for (int i = 0; i < 8; i++)
        file[i] = (unsigned char)((uint64_t)length >> (8 * i));
    memcpy(file + 8, header, length);
    memset(file + 8 + length, 1, data);
    return file;
}

#define T(name, dtype, shape, a, b) \
    "\"" name "\":{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":[" #a "," #b "]}"

static const struct {
    const char *header;
    size_t data;
    const char *says;
} bad_files[] = {
    { "", 0, "line" },
    { "{", 0, "line" },
    { "[]", 0, "not a JSON object" },
    { "{\"a\":1}", 0, "a has no dtype" },
    { "{\"a\":{}}", 0, "a has no dtype" },
    { "{\"a\":{\"dtype\":\"F32\"}}", 0, "a has no shape" },
    { "{\"a\":{\"dtype\":\"F32\",\"shape\":4}}", 4, "a has no shape" },
    { "{\"a\":{\"dtype\":\"F32\",\"shape\":[1]}}", 4, "no pair of data_offsets" },
    { "{" T("a", "F32", "[1]", 0.5, 4) "}", 4, "no pair of data_offsets" },
    { "{" T("a", "F32", "[1]", 0, true) "}", 4, "no pair of data_offsets" },
    { "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4,4]}}", 4, "no pair of" },
    { "{" T("a", "F33", "[1]", 0, 4) "}", 4, "unknown dtype F33" },
    { "{" T("a", "F32", "[-1]", 0, 4) "}", 4, "axis 0" },
    { "{" T("a", "F32", "[1.5]", 0, 4) "}", 4, "axis 0" },
    { "{" T("a", "F32", "[1,1,1,1,1,1]", 0, 4) "}", 4, "6 axes" },
    { "{" T("a", "F32", "[4611686018427387904,4]", 0, 0) "}", 0, "axis 0" },
    { "{" T("a", "F32", "[4294967296,4294967296]", 0, 0) "}", 0, "axis 1" },
    { "{" T("a", "F32", "[9223372036854775808]", 0, 4) "}", 4, "line" },
    { "{" T("a", "F32", "[2]", 0, 4) "}", 4, "has 4 bytes, its shape needs 8" },
    { "{" T("a", "F32", "[1]", 0, 8) "}", 8, "has 8 bytes, its shape needs 4" },
    { "{" T("a", "F32", "[1]", 4, 8) "}", 4, "lies at 4 to 8 of 4" },
    { "{" T("a", "F32", "[1]", 8, 4) "}", 8, "lies at 8 to 4" },
    { "{" T("a", "F32", "[1]", -4, 0) "}", 4, "lies at -4" },
    { "{" T("a", "F32", "[1]", 0, 4) "}", 8, "end at byte 4 of 8" },
    { "{" T("a", "F32", "[1]", 4, 8) "}", 8, "starts at byte 4, not at 0" },
    { "{" T("a", "F32", "[1]", 0, 4) "," T("b", "F32", "[1]", 0, 4) "}", 4, "starts at byte 0" },
    { "{" T("a", "F32", "[1]", 0, 4) "," T("a", "F32", "[1]", 4, 8) "}", 8, "duplicate" },
};

START_TEST(bad_safetensors)
{
    clm_safetensors s;
    size_t size;

    unsigned char *file = make_file(bad_files[_i].header, bad_files[_i].data, &size);
    ck_assert_msg(!clm_safetensors_parse("file", file, size, &s, &fault), "%s",
                  bad_files[_i].header);
    ck_assert_msg(strstr(fault.text, bad_files[_i].says), "%s: %s", bad_files[_i].header,
                  fault.text);
    free(file);
}
END_TEST

static const char good_header[] =
    "{\"__metadata__\":{\"format\":\"pt\"}," T("b.weight", "F16", "[2,3]", 4, 16) "," T(
        "a", "BF16", "[2]", 0, 4) "," T("none", "F32", "[0,7]", 16,
                                        16) "," T("scalar", "F32", "[]", 16,
                                                  20) "," T("mask", "BOOL", "[3]", 20, 23) "}";

START_TEST(good_safetensors)
{
    clm_safetensors s;
    size_t size;
    unsigned char *file = make_file(good_header, 23, &size);

    ck_assert_msg(clm_safetensors_parse("file", file, size, &s, &fault), "%s", fault.text);
    ck_assert_uint_eq(s.count, 5);
    const clm_stored *b = clm_safetensors_find(&s, "b.weight");
    ck_assert(b && b->dtype == CLATTN_F16 && b->rank == 2 && b->shape[1] == 3);
    ck_assert_ptr_eq(b->data, file + size - 23 + 4);
    ck_assert(clm_safetensors_find(&s, "scalar")->rank == 0);
    ck_assert(clm_safetensors_find(&s, "mask")->dtype == CLATTN_NONE);
    ck_assert_ptr_null(clm_safetensors_find(&s, "c"));
    clm_safetensors_close(&s);
    free(file);
}
END_TEST

/* What cannot be a header, and a header without a tensor. */
START_TEST(odd_safetensors)
{
    const size_t header = (size_t)101 << 20;
    unsigned char *file = calloc(1, 8 + header); /* pages that nobody touches */
    clm_safetensors s;

    ck_assert_ptr_nonnull(file);
    ck_assert(!clm_safetensors_parse("file", file, 7, &s, &fault));
    ck_assert_ptr_nonnull(strstr(fault.text, "7 bytes: no safetensors"));
    file[3] = 6, file[2] = 0x50; /* 101 MiB */
    ck_assert(!clm_safetensors_parse("file", file, 8 + header, &s, &fault));
    ck_assert_ptr_nonnull(strstr(fault.text, "said to have 105906176 bytes"));
    ck_assert(!clm_safetensors_parse("file", file, 4096, &s, &fault));
    ck_assert_ptr_nonnull(strstr(fault.text, "the file has 4096"));
    file[3] = 0, file[2] = 0;
    memcpy(file, "\2\0\0\0\0\0\0\0{}", 10);
    ck_assert_msg(clm_safetensors_parse("file", file, 10, &s, &fault), "%s", fault.text);
    ck_assert_ptr_null(clm_safetensors_find(&s, "a"));
    clm_safetensors_close(&s);
    free(file);
}
END_TEST

/* Sums all bytes that the tensors claim: a sanitizer sees what lies outside. */
static unsigned touch(const clm_safetensors *s)
{
    unsigned sum = 0;

    for (size_t i = 0; i < s->count; i++)
        for (size_t n = 0; n < s->tensors[i].bytes; n++)
            sum += ((const unsigned char *)s->tensors[i].data)[n];
    return sum;
}

/* Bytes changed at random, and files cut anywhere. */
START_TEST(damaged_safetensors)
{
    test_rng rng = { suite_seed() };
    size_t size;
    unsigned char *file = make_file(good_header, 23, &size), *copy = malloc(size);
    int parsed = 0;

    for (int i = 0; i < 20000; i++) {
        static const char likely[] = "0123456789-.eE[]{}\",: F";
        clm_safetensors s;
        memcpy(copy, file, size);
        for (int n = rng_below(&rng, 3); n >= 0; n--)
            copy[rng_below(&rng, (int)size)] =
                (unsigned char)(rng_below(&rng, 3) ? likely[rng_below(&rng, 23)]
                                                   : rng_below(&rng, 256));
        const size_t length = rng_below(&rng, 4) ? size : (size_t)rng_below(&rng, (int)size);
        unsigned char *exact = malloc(length ? length : 1);
        memcpy(exact, copy, length);
        if (clm_safetensors_parse("file", exact, length, &s, &fault)) {
            ck_assert_uint_gt(touch(&s) + 1, 0);
            parsed++;
        } else {
            ck_assert_str_ne(fault.text, "");
        }
        clm_safetensors_close(&s);
        free(exact);
    }
    printf("# %d of 20000 damaged files could still be read\n", parsed);
    free(copy), free(file);
}
END_TEST

/* ---- config.json ---- */

static const char gpt2[] = "{\"model_type\":\"gpt2\",\"n_embd\":96,\"n_head\":4,\"n_layer\":3,"
                           "\"n_positions\":64,\"vocab_size\":99}";
static const char bert[] = "{\"model_type\":\"bert\",\"hidden_size\":96,\"num_hidden_layers\":3,"
                           "\"num_attention_heads\":4,\"intermediate_size\":200,"
                           "\"max_position_embeddings\":64,\"type_vocab_size\":2,"
                           "\"vocab_size\":99}";

/* base without a key (NULL: with all), then changed by patch. */
static bool parse_config(const char *base, const char *without, const char *patch, clm_config *out)
{
    json_t *json = json_loads(base, 0, NULL), *changes = json_loads(patch, 0, NULL);

    ck_assert_msg(json && changes, "%s", patch);
    ck_assert_int_eq(without ? json_object_del(json, without) : 0, 0);
    ck_assert_int_eq(json_object_update(json, changes), 0);
    const bool ok = clm_config_parse(json, out, &fault);
    json_decref(json);
    json_decref(changes);
    return ok;
}

static const struct {
    const char *base, *without, *patch, *says;
} bad_configs[] = {
    { gpt2, "model_type", "{}", "no model_type" },
    { gpt2, NULL, "{\"model_type\":7}", "no model_type" },
    { gpt2, NULL, "{\"model_type\":\"llama\"}", "model_type is llama" },
    { gpt2, "n_embd", "{}", "n_embd is missing" },
    { gpt2, NULL, "{\"n_embd\":1.5}", "n_embd is not a whole number" },
    { gpt2, NULL, "{\"n_embd\":0}", "n_embd is 0" },
    { gpt2, NULL, "{\"n_embd\":1048577}", "n_embd is 1048577" },
    { gpt2, "n_head", "{}", "n_head is missing" },
    { gpt2, NULL, "{\"n_head\":5}", "96 cannot be divided into 5 heads" },
    { gpt2, NULL, "{\"n_layer\":1025}", "n_layer is 1025" },
    { gpt2, "n_positions", "{}", "n_ctx is missing" },
    { gpt2, NULL, "{\"n_positions\":-1}", "n_positions is -1" },
    { gpt2, NULL, "{\"n_inner\":0}", "n_inner is 0" },
    { gpt2, NULL, "{\"layer_norm_epsilon\":\"0\"}", "layer_norm_epsilon must be" },
    { gpt2, NULL, "{\"layer_norm_epsilon\":-1e-5}", "layer_norm_epsilon must be" },
    { gpt2, NULL, "{\"layer_norm_epsilon\":2}", "layer_norm_epsilon must be" },
    { gpt2, NULL, "{\"activation_function\":\"swish\"}", "activation_function is swish" },
    { gpt2, NULL, "{\"activation_function\":1}", "activation_function is no text" },
    { gpt2, NULL, "{\"add_cross_attention\":true}", "add_cross_attention is true" },
    { gpt2, "vocab_size", "{}", "vocab_size is missing" },
    { bert, "hidden_size", "{}", "hidden_size is missing" },
    { bert, "num_attention_heads", "{}", "num_attention_heads is missing" },
    { bert, "num_hidden_layers", "{}", "num_hidden_layers is missing" },
    { bert, "intermediate_size", "{}", "intermediate_size is missing" },
    { bert, "max_position_embeddings", "{}", "max_position_embeddings is missing" },
    { bert, "type_vocab_size", "{}", "type_vocab_size is missing" },
    { bert, NULL, "{\"position_embedding_type\":\"relative_key\"}", "relative_key; only absolute" },
    { bert, NULL, "{\"layer_norm_eps\":null}", "layer_norm_eps must be" },
    { bert, NULL, "{\"hidden_act\":\"tanh\"}", "hidden_act is tanh" },
    { bert, NULL, "{\"is_decoder\":true}", "is_decoder is true" },
    { bert, NULL, "{\"add_cross_attention\":true}", "add_cross_attention is true" },
};

START_TEST(bad_config)
{
    const char *says = bad_configs[_i].says;
    clm_config config;

    ck_assert_msg(!parse_config(bad_configs[_i].base, bad_configs[_i].without,
                                bad_configs[_i].patch, &config),
                  "not refused: %s", says);
    ck_assert_msg(strstr(fault.text, says), "\"%s\" does not say \"%s\"", fault.text, says);
}
END_TEST

/* What may be left out, and what stands for it. */
static const struct {
    const char *base, *without, *patch;
    int inner, positions, end;
    clattn_row_function activation;
    double eps;
    bool unscaled, scale_by_layer;
} good_configs[] = {
    { gpt2, NULL, "{}", 384, 64, -1, CLATTN_ROW_GELU_TANH, 1e-5, false, false },
    { gpt2, "n_positions", "{\"n_ctx\":32,\"n_inner\":null,\"activation_function\":null}", 384, 32,
      -1, CLATTN_ROW_GELU_TANH, 1e-5, false, false },
    { gpt2, NULL, "{\"n_inner\":77,\"layer_norm_epsilon\":0,\"activation_function\":\"relu\"}", 77,
      64, -1, CLATTN_ROW_RELU, 0, false, false },
    { gpt2, NULL, "{\"scale_attn_weights\":false,\"scale_attn_by_inverse_layer_idx\":true}", 384,
      64, -1, CLATTN_ROW_GELU_TANH, 1e-5, true, true },
    { gpt2, NULL,
      "{\"scale_attn_weights\":true,\"scale_attn_by_inverse_layer_idx\":false,"
      "\"add_cross_attention\":false,\"eos_token_id\":7}",
      384, 64, 7, CLATTN_ROW_GELU_TANH, 1e-5, false, false },
    { gpt2, NULL, "{\"eos_token_id\":[5,6]}", 384, 64, 5, CLATTN_ROW_GELU_TANH, 1e-5, false,
      false },
    { gpt2, NULL, "{\"eos_token_id\":[]}", 384, 64, -1, CLATTN_ROW_GELU_TANH, 1e-5, false, false },
    { gpt2, NULL, "{\"eos_token_id\":\"x\"}", 384, 64, -1, CLATTN_ROW_GELU_TANH, 1e-5, false,
      false },
    { gpt2, NULL, "{\"eos_token_id\":16777217}", 384, 64, -1, CLATTN_ROW_GELU_TANH, 1e-5, false,
      false },
    { bert, NULL, "{}", 200, 64, -1, CLATTN_ROW_GELU, 1e-12, false, false },
    { bert, NULL, "{\"position_embedding_type\":\"absolute\",\"layer_norm_eps\":0.5}", 200, 64, -1,
      CLATTN_ROW_GELU, 0.5, false, false },
};

START_TEST(good_config)
{
    clm_config c;

    ck_assert_msg(
        parse_config(good_configs[_i].base, good_configs[_i].without, good_configs[_i].patch, &c),
        "%s: %s", good_configs[_i].patch, fault.text);
    ck_assert(c.M == 96 && c.heads == 4 && c.layers == 3 && c.vocab == 99);
    ck_assert(c.inner == good_configs[_i].inner && c.positions == good_configs[_i].positions);
    ck_assert(c.end == good_configs[_i].end && c.activation == good_configs[_i].activation);
    ck_assert_float_eq(c.eps, (float)good_configs[_i].eps);
    ck_assert(c.unscaled == good_configs[_i].unscaled);
    ck_assert(c.scale_by_layer == good_configs[_i].scale_by_layer);
    ck_assert(c.family == (good_configs[_i].base == bert ? CLM_BERT : CLM_GPT2));
    ck_assert_int_eq(c.types, good_configs[_i].base == bert ? 2 : 0);
}
END_TEST

/* ---- tokenizers ---- */

static void write_file(const char *folder, const char *name, const char *text)
{
    char *path = clm_path(folder, name);
    FILE *f = fopen(path, "wb");

    ck_assert_ptr_nonnull(f);
    fputs(text, f);
    fclose(f);
    free(path);
}

#define WP "{\"model\":{\"type\":\"WordPiece\",\"vocab\":"
#define WP_END "},\"pre_tokenizer\":{\"type\":\"BertPreTokenizer\"}}"

static const struct {
    const char *name, *text, *more, *says; /* more: merges.txt */
} bad_vocabularies[] = {
    { "tokenizer.json", "{}", NULL, "the model is none" },
    { "tokenizer.json", "{\"model\":{\"type\":\"Unigram\"}}", NULL, "the model is Unigram" },
    { "tokenizer.json", "{\"model\":{\"type\":\"BPE\"}}", NULL, "pre_tokenizer is none" },
    { "tokenizer.json", WP "[]" WP_END, NULL, "has no vocabulary" },
    { "tokenizer.json", WP "{\"a\":-1}" WP_END, NULL, "number -1" },
    { "tokenizer.json", WP "{\"a\":99999999999}" WP_END, NULL, "number 99999999999" },
    { "tokenizer.json", WP "{\"a\":0,\"b\":0}" WP_END, NULL, "two tokens have the number 0" },
    { "tokenizer.json", WP "{\"a\":\"b\"}" WP_END, NULL, "no whole number" },
    { "tokenizer.json", WP "{\"a\":0}" WP_END, NULL, "no [UNK]" },
    { "tokenizer.json", WP "{\"[UNK]\":4000000}" WP_END, NULL, "no [SEP]" },
    { "tokenizer.json",
      "{\"added_tokens\":[{\"id\":1}],\"model\":{\"type\":\"WordPiece\",\"vocab\":{\"a\":0}" WP_END,
      NULL, "added token 0" },
    { "vocab.json", "{\"a\":0}", "", "merges.txt" },
    { "vocab.json", "{\"a\":0}", "x", "no pair of tokens" },
    { "vocab.json", "{\"a\":0}", "a b\n", "the vocabulary lacks" },
    { "vocab.json", "{\"a\":0,\"aa\":1}", "a a\n", "no token for the byte 0x00" },
    { "vocab.json", "[1]", "a a\n", "not a JSON object" },
    { "vocab.txt", "a\nb\n", NULL, "no [UNK]" },
    { "vocab.txt", "[UNK]\n[SEP]\n", NULL, "no [CLS]" },
};

START_TEST(bad_tokenizers)
{
    char folder[8192];
    clm_tokenizer *t;

    snprintf(folder, sizeof folder, "%s/%d", suite_dir(), _i);
    char *command = malloc(strlen(folder) + 16);
    sprintf(command, "mkdir '%s'", folder);
    ck_assert_int_eq(system(command), 0);
    free(command);
    write_file(folder, bad_vocabularies[_i].name, bad_vocabularies[_i].text);
    if (bad_vocabularies[_i].more)
        write_file(folder, "merges.txt", bad_vocabularies[_i].more);
    ck_assert(!clm_tokenizer_open(folder, CLM_BERT, &t, &fault));
    ck_assert_ptr_null(t);
    ck_assert_msg(strstr(fault.text, bad_vocabularies[_i].says), "%s: %s",
                  bad_vocabularies[_i].text, fault.text);
}
END_TEST

/* Text of random bytes, valid or not, through a tokenizer of each kind. */
START_TEST(any_text)
{
    static const char *const folders[] = { "bpe", "wordpiece", "wordpiece-cased" };
    const char *data = getenv("CLATTN_DATA_DIR");
    test_rng rng = { suite_seed() };
    clm_tokenizer *t;
    char path[8192], text[65];
    int read = 0;

    snprintf(path, sizeof path, "%s/tokenizers/%s", data ? data : "tests/data", folders[_i]);
    ck_assert_msg(clm_tokenizer_open(path, _i ? CLM_BERT : CLM_GPT2, &t, &fault), "%s", fault.text);
    for (int n = 0; n < 20000; n++) {
        clm_ids ids = { 0 };
        const int length = rng_below(&rng, 64);
        for (int i = 0; i < length; i++) {
            const int high = rng_below(&rng, 8) == 0 ? 128 + rng_below(&rng, 128) : 0;
            text[i] = (char)(high ? high : 1 + rng_below(&rng, 127));
        }
        text[length] = '\0';
        if (clm_encode(t, text, &ids, &fault)) {
            char *back = clm_decode(t, ids.id, ids.count);
            ck_assert(back && (_i || strcmp(back, text) == 0));
            free(back);
            read++;
        }
        clm_ids_free(&ids);
    }
    ck_assert_int_gt(read, 20);
    clm_tokenizer_close(&t);
}
END_TEST

/* ---- choosing ---- */

START_TEST(largest)
{
    const float x[] = { 1, NAN, 5, -INFINITY, 5, 2, NAN, 3 };
    int places[8];

    ck_assert_int_eq(clm_largest(x, 8, 3, places), 3);
    ck_assert(places[0] == 2 && places[1] == 4 && places[2] == 7);
    ck_assert_int_eq(clm_largest(x, 8, 8, places), 6);
    ck_assert(places[5] == 3);
    ck_assert_int_eq(clm_largest(x, 0, 3, places), 0);
    const float y[] = { 1000, 1000, -INFINITY };
    ck_assert_double_le(fabs(clm_log_sum(y, 3) - (1000 + log(2))), 1e-9);
}
END_TEST

static void count_draws(clm_sampling s, const float *logits, int n, int *counts)
{
    memset(counts, 0, (size_t)n * sizeof *counts);
    for (int i = 0; i < 20000; i++) {
        int id;
        ck_assert_msg(clm_sample(&s, logits, n, &id, &fault), "%s", fault.text);
        ck_assert(id >= 0 && id < n);
        counts[id]++;
    }
}

/* Shares of 20000 draws: 4 deviations are 0.014 at most. */
START_TEST(shares)
{
    const float logits[] = { logf(1), logf(4), logf(3), -INFINITY, logf(2) };
    int counts[5];

    count_draws((clm_sampling){ .temperature = 1, .state = 1 }, logits, 5, counts);
    for (int i = 0; i < 5; i++)
        ck_assert_double_le(fabs(counts[i] / 20000.0 - exp((double)logits[i]) / 10), 0.014);
    count_draws((clm_sampling){ .temperature = 0.5f, .state = 2 }, logits, 5, counts);
    ck_assert_double_le(fabs(counts[1] / 20000.0 - 16.0 / 30), 0.015);
    count_draws((clm_sampling){ .temperature = 1, .top_k = 2, .state = 3 }, logits, 5, counts);
    ck_assert(counts[0] == 0 && counts[4] == 0);
    ck_assert_double_le(fabs(counts[1] / 20000.0 - 4.0 / 7), 0.015);
    count_draws((clm_sampling){ .temperature = 1, .top_p = 0.65f, .state = 4 }, logits, 5, counts);
    ck_assert(counts[0] == 0 && counts[4] == 0 && counts[2] > 0);
    count_draws((clm_sampling){ .temperature = 1, .top_p = 0.3f, .state = 5 }, logits, 5, counts);
    ck_assert_int_eq(counts[1], 20000);
    count_draws((clm_sampling){ 0 }, logits, 5, counts);
    ck_assert_int_eq(counts[1], 20000);
}
END_TEST

START_TEST(no_numbers)
{
    const float nan[] = { 1, NAN }, inf[] = { 1, INFINITY }, none[] = { -INFINITY, -INFINITY };
    clm_sampling s = { .temperature = 1 };
    int id;

    ck_assert(!clm_sample(&s, nan, 2, &id, &fault));
    ck_assert_ptr_nonnull(strstr(fault.text, "token 1"));
    ck_assert(!clm_sample(&s, inf, 2, &id, &fault));
    ck_assert(!clm_sample(&s, none, 2, &id, &fault));
    ck_assert(!clm_sample(&s, none, 0, &id, &fault));
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("model_files");
    TCase *t = tcase_create("safetensors");

    tcase_add_loop_test(t, bad_safetensors, 0, sizeof bad_files / sizeof bad_files[0]);
    tcase_add_test(t, good_safetensors);
    tcase_add_test(t, odd_safetensors);
    tcase_add_test(t, damaged_safetensors);
    suite_add_tcase(s, t);
    t = tcase_create("config");
    tcase_add_loop_test(t, bad_config, 0, sizeof bad_configs / sizeof bad_configs[0]);
    tcase_add_loop_test(t, good_config, 0, sizeof good_configs / sizeof good_configs[0]);
    suite_add_tcase(s, t);
    t = tcase_create("tokenizers");
    tcase_add_loop_test(t, bad_tokenizers, 0, sizeof bad_vocabularies / sizeof bad_vocabularies[0]);
    tcase_add_loop_test(t, any_text, 0, 3);
    suite_add_tcase(s, t);
    t = tcase_create("sampling");
    tcase_add_test(t, largest);
    tcase_add_test(t, shares);
    tcase_add_test(t, no_numbers);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    suite_begin();
    return suite_run(suite());
}
