/* SPDX-License-Identifier: Apache-2.0 */
/* The files that a tokenizer is read from. */
#include <stdlib.h>
#include <string.h>

#include "model_file.h"
#include "tokenizer.h"

/* ---- pieces ---- */

/* A token as a file writes it. */
static bool add_token(clm_tokenizer *t, int64_t id, const char *text, clm_fault *f)
{
    size_t length = strlen(text);
    if (length > CLM_MAX_TOKEN_BYTES)
        return clm_fail(f, "token %lld has %zu bytes, at most %d are possible", (long long)id,
                        length, CLM_MAX_TOKEN_BYTES);
    char *bytes = strdup(text);
    if (!bytes)
        return clm_out_of_memory(f);
    if (t->bpe)
        length = clm_unescape(bytes, length);
    const bool ok = clm_vocab_add(&t->vocab, id, bytes, length, f);
    free(bytes);
    return ok;
}

/* { "token": number, ... } */
static bool add_vocab(clm_tokenizer *t, const char *what, json_t *vocab, clm_fault *f)
{
    const char *text;
    json_t *id;
    if (!json_is_object(vocab))
        return clm_fail(f, "%s has no vocabulary", what);
    json_object_foreach (vocab, text, id) {
        if (!json_is_integer(id))
            return clm_fail(f, "%s: token \"%.40s\" has no whole number", what, text);
        if (!add_token(t, json_integer_value(id), text, f))
            return false;
    }
    return clm_vocab_index(&t->vocab, f);
}

static bool make_merges(clm_tokenizer *t, size_t count, clm_fault *f)
{
    size_t slots = 16;
    while (slots < 2 * count)
        slots *= 2;
    t->merges = malloc(slots * sizeof *t->merges);
    if (!t->merges)
        return clm_out_of_memory(f);
    for (size_t i = 0; i < slots; i++)
        t->merges[i].rank = -1;
    t->merge_slots = slots;
    return true;
}

/* The number of a token that is written like this, and its bytes in out. */
static int written(const clm_tokenizer *t, const char *text, size_t length, char *out, size_t *size)
{
    memcpy(out, text, length);
    *size = clm_unescape(out, length);
    return clm_vocab_find(&t->vocab, out, *size);
}

static bool add_merge(clm_tokenizer *t, int rank, const char *left, size_t left_length,
                      const char *right, size_t right_length, clm_fault *f)
{
    char both[2 * CLM_MAX_TOKEN_BYTES];
    size_t a, b;
    if (left_length > CLM_MAX_TOKEN_BYTES || right_length > CLM_MAX_TOKEN_BYTES)
        return clm_fail(f, "merge %d is longer than a token can be", rank);
    const int first = written(t, left, left_length, both, &a);
    const int second = written(t, right, right_length, both + a, &b);
    const int merged = clm_vocab_find(&t->vocab, both, a + b);
    if (first < 0 || second < 0 || merged < 0)
        return clm_fail(f,
                        "merge %d, of \"%.*s\" and \"%.*s\", needs a token that the vocabulary "
                        "lacks",
                        rank, left_length < 40 ? (int)left_length : 40, left,
                        right_length < 40 ? (int)right_length : 40, right);
    if (clm_find_merge(t, first, second))
        return true; /* the first one counts */
    const int32_t key[2] = { first, second };
    size_t at = (size_t)clm_hash(key, sizeof key) & (t->merge_slots - 1);
    while (t->merges[at].rank >= 0)
        at = (at + 1) & (t->merge_slots - 1);
    t->merges[at] = (clm_merge){ first, second, merged, rank };
    return true;
}

/* "left right" */
static bool add_merge_line(clm_tokenizer *t, int rank, const char *line, size_t length,
                           clm_fault *f)
{
    const char *blank = memchr(line, ' ', length);
    if (!blank || blank == line || blank + 1 == line + length)
        return clm_fail(f, "merge %d, \"%.*s\", is no pair of tokens", rank,
                        length < 80 ? (int)length : 80, line);
    const size_t left = (size_t)(blank - line);
    return add_merge(t, rank, line, left, blank + 1, length - left - 1, f);
}

/* ---- lines ---- */

typedef bool (*line_reader)(clm_tokenizer *t, int number, const char *line, size_t length,
                            clm_fault *f);

/* Lines of a file, without their ends. The number counts from 0. */
static bool read_lines(clm_tokenizer *t, const char *dir, const char *name, line_reader read,
                       clm_fault *f)
{
    const void *bytes;
    size_t size;
    char *path = clm_path(dir, name);
    if (!path)
        return clm_out_of_memory(f);
    bool ok = clm_map(path, &bytes, &size, f);
    const char *at = bytes, *end = ok ? at + size : at;
    for (int number = 0; ok && at < end; number++) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        const size_t length = (size_t)((newline ? newline : end) - at);
        const size_t used = length > 0 && at[length - 1] == '\r' ? length - 1 : length;
        ok = number < CLM_MAX_TOKENS
                 ? read(t, number, at, used, f)
                 : clm_fail(f, "%s has more than %d lines", path, CLM_MAX_TOKENS);
        at += length + 1;
    }
    clm_unmap(bytes, size);
    free(path);
    return ok;
}

static bool read_word(clm_tokenizer *t, int number, const char *line, size_t length, clm_fault *f)
{
    return clm_vocab_add(&t->vocab, number, line, length, f);
}

static bool count_line(clm_tokenizer *t, int number, const char *line, size_t length, clm_fault *f)
{
    (void)line, (void)length, (void)f;
    t->merge_slots = (size_t)number + 1; /* lines, until there is a table */
    return true;
}

static bool read_merge(clm_tokenizer *t, int number, const char *line, size_t length, clm_fault *f)
{
    if (length == 0 || (length >= 8 && memcmp(line, "#version", 8) == 0))
        return true;
    return add_merge_line(t, number, line, length, f);
}

/* ---- vocab.txt ---- */

static bool has_upper(const clm_vocab *v)
{
    for (int i = 0; i < v->count; i++)
        for (const char *c = v->tokens[i].bytes; c && *c && *c != '['; c++)
            if (*c >= 'A' && *c <= 'Z')
                return true;
    return false;
}

static bool has_pieces(const clm_vocab *v)
{
    for (int i = 0; i < v->count; i++)
        if (v->tokens[i].bytes && strncmp(v->tokens[i].bytes, "##", 2) == 0)
            return true;
    return false;
}

/* tokenizer_config.json may say it; else a vocabulary without capitals is for lower case. */
static bool read_case(clm_tokenizer *t, const char *dir, clm_fault *f)
{
    json_t *json = NULL;
    t->lower = has_pieces(&t->vocab) && !has_upper(&t->vocab);
    if (clm_has_file(dir, "tokenizer_config.json")) {
        if (!clm_read_json(dir, "tokenizer_config.json", &json, f))
            return false;
        const json_t *lower = json_object_get(json, "do_lower_case");
        if (json_is_boolean(lower))
            t->lower = json_is_true(lower);
        json_decref(json);
    }
    t->strip = t->lower;
    return true;
}

static bool read_vocab_txt(clm_tokenizer *t, const char *dir, clm_fault *f)
{
    t->cjk = true;
    t->max_chars = 100;
    t->continues = strdup("##");
    if (!t->continues)
        return clm_out_of_memory(f);
    return read_lines(t, dir, "vocab.txt", read_word, f) && read_case(t, dir, f);
}

/* ---- vocab.json and merges.txt ---- */

static bool read_vocab_json(clm_tokenizer *t, const char *dir, clm_fault *f)
{
    json_t *vocab;
    t->bpe = true;
    if (!clm_read_json(dir, "vocab.json", &vocab, f))
        return false;
    const bool ok = add_vocab(t, "vocab.json", vocab, f);
    json_decref(vocab);
    if (!ok || !read_lines(t, dir, "merges.txt", count_line, f))
        return false;
    return make_merges(t, t->merge_slots, f) && read_lines(t, dir, "merges.txt", read_merge, f);
}

/* ---- tokenizer.json ---- */

static bool flag(const json_t *object, const char *key, bool absent)
{
    const json_t *value = json_object_get(object, key);
    return json_is_boolean(value) ? json_is_true(value) : absent;
}

static const char *type_of(const json_t *object)
{
    const char *type = json_string_value(json_object_get(object, "type"));
    return type ? type : "none";
}

static bool read_wordpiece(clm_tokenizer *t, const json_t *root, const json_t *model, clm_fault *f)
{
    const json_t *normalizer = json_object_get(root, "normalizer");
    const char *words = type_of(json_object_get(root, "pre_tokenizer"));
    const char *prefix = json_string_value(json_object_get(model, "continuing_subword_prefix"));
    const json_t *most = json_object_get(model, "max_input_chars_per_word");
    if (strcmp(words, "BertPreTokenizer") != 0)
        return clm_fail(f, "tokenizer.json: pre_tokenizer is %.40s; BertPreTokenizer is possible",
                        words);
    if (json_is_object(normalizer) && strcmp(type_of(normalizer), "BertNormalizer") != 0)
        return clm_fail(f, "tokenizer.json: normalizer is %.40s; BertNormalizer is possible",
                        type_of(normalizer));
    t->lower = flag(normalizer, "lowercase", json_is_object(normalizer));
    t->strip = flag(normalizer, "strip_accents", t->lower);
    t->cjk = flag(normalizer, "handle_chinese_chars", json_is_object(normalizer));
    t->max_chars = 100;
    if (json_is_integer(most) && json_integer_value(most) >= 1 && json_integer_value(most) <= 1000)
        t->max_chars = (int)json_integer_value(most);
    t->continues = strdup(prefix ? prefix : "##");
    return t->continues ? true : clm_out_of_memory(f);
}

static bool read_byte_level(clm_tokenizer *t, const json_t *root, clm_fault *f)
{
    const json_t *words = json_object_get(root, "pre_tokenizer");
    if (strcmp(type_of(words), "ByteLevel") != 0)
        return clm_fail(f, "tokenizer.json: pre_tokenizer is %.40s; ByteLevel is possible",
                        type_of(words));
    if (json_is_object(json_object_get(root, "normalizer")))
        return clm_fail(f, "tokenizer.json: a normalizer in front of byte pairs is not possible");
    t->prefix_space = flag(words, "add_prefix_space", false);
    return true;
}

static bool read_merges(clm_tokenizer *t, const json_t *merges, clm_fault *f)
{
    size_t i;
    json_t *merge;
    if (!json_is_array(merges))
        return clm_fail(f, "tokenizer.json has no merges");
    if (!make_merges(t, json_array_size(merges), f))
        return false;
    json_array_foreach(merges, i, merge)
    {
        const json_t *left = json_array_get(merge, 0), *right = json_array_get(merge, 1);
        bool ok;
        if (json_is_string(merge))
            ok = add_merge_line(t, (int)i, json_string_value(merge), json_string_length(merge), f);
        else if (json_is_string(left) && json_is_string(right))
            ok = add_merge(t, (int)i, json_string_value(left), json_string_length(left),
                           json_string_value(right), json_string_length(right), f);
        else
            ok = clm_fail(f, "tokenizer.json: merge %zu is no pair of tokens", i);
        if (!ok)
            return false;
    }
    return true;
}

/* Tokens beside the vocabulary, or marks on those in it. */
static bool read_added(clm_tokenizer *t, const json_t *added, clm_fault *f)
{
    size_t i;
    json_t *entry;
    json_array_foreach(added, i, entry)
    {
        const json_t *id = json_object_get(entry, "id");
        const char *text = json_string_value(json_object_get(entry, "content"));
        if (!json_is_integer(id) || !text)
            return clm_fail(f, "tokenizer.json: added token %zu has no id or no content", i);
        const json_int_t n = json_integer_value(id);
        const bool there = n >= 0 && n < t->vocab.count && t->vocab.tokens[n].bytes;
        if (!there && !clm_vocab_add(&t->vocab, n, text, strlen(text), f))
            return false;
        t->vocab.tokens[n].special = flag(entry, "special", false);
    }
    return true;
}

/* Older files do not name the type: only byte pairs have merges. */
static const char *model_type(const json_t *model)
{
    if (json_object_get(model, "type") || !json_object_get(model, "vocab"))
        return type_of(model);
    return json_object_get(model, "merges") ? "BPE" : "WordPiece";
}

static bool read_parts(clm_tokenizer *t, const json_t *root, clm_fault *f)
{
    const json_t *model = json_object_get(root, "model");
    const char *type = model_type(model);
    t->bpe = strcmp(type, "BPE") == 0;
    if (!t->bpe && strcmp(type, "WordPiece") != 0)
        return clm_fail(f, "tokenizer.json: the model is %.40s; WordPiece and BPE are possible",
                        type);
    if (!(t->bpe ? read_byte_level(t, root, f) : read_wordpiece(t, root, model, f))
        || !add_vocab(t, "tokenizer.json", json_object_get(model, "vocab"), f))
        return false;
    return (!t->bpe || read_merges(t, json_object_get(model, "merges"), f))
           && read_added(t, json_object_get(root, "added_tokens"), f);
}

static bool read_tokenizer_json(clm_tokenizer *t, const char *dir, clm_fault *f)
{
    json_t *root;
    if (!clm_read_json(dir, "tokenizer.json", &root, f))
        return false;
    const bool ok = read_parts(t, root, f);
    json_decref(root);
    return ok;
}

bool clm_read_tokenizer(clm_tokenizer *t, const char *dir, clm_fault *f)
{
    if (clm_has_file(dir, "tokenizer.json"))
        return read_tokenizer_json(t, dir, f);
    if (clm_has_file(dir, "vocab.json"))
        return read_vocab_json(t, dir, f);
    if (clm_has_file(dir, "vocab.txt"))
        return read_vocab_txt(t, dir, f);
    return clm_fail(f, "%s has no vocabulary: no tokenizer.json, vocab.json or vocab.txt", dir);
}
