/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tokenizers against the Hugging Face implementation, on texts made to be difficult, and there and
 * back again. "test_tokenizer FOLDER" reads golden.json of another folder.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compare.h"
#include "model_file.h"
#include "suite.h"
#include "tokenizer.h"

static clm_fault fault;
#define MUST(call) ck_assert_msg(call, "%s: %s", compare_label_text(), fault.text)

static const char *golden_dir;
static char data[4096];

/* Folder of a tokenizer, and the list of golden.json that it must agree with. */
static const struct {
    const char *folder, *list;
} kinds[] = {
    { "bpe", "bpe" },
    { "bpe-json", "bpe" },
    { "wordpiece", "wordpiece" },
    { "wordpiece-json", "wordpiece" },
    { "wordpiece-cased", "wordpiece-cased" },
};

static clm_tokenizer *open_tokenizer(const char *folder)
{
    clm_tokenizer *t;
    char path[8192];

    compare_label("%s", folder);
    snprintf(path, sizeof path, "%s/%s", data, folder);
    MUST(
        clm_tokenizer_open(path, strncmp(folder, "bpe", 3) == 0 ? CLM_GPT2 : CLM_BERT, &t, &fault));
    return t;
}

static void check_ids(const clm_ids *got, const json_t *want, size_t text)
{
    char line[2048] = "";

    for (int i = 0; i < got->count && strlen(line) < sizeof line - 16; i++)
        snprintf(line + strlen(line), 16, " %d", (int)got->id[i]);
    ck_assert_msg((size_t)got->count == json_array_size(want),
                  "%s, text %zu: %d tokens, not %zu:%s", compare_label_text(), text, got->count,
                  json_array_size(want), line);
    for (int i = 0; i < got->count; i++)
        ck_assert_msg(got->id[i] == json_integer_value(json_array_get(want, (size_t)i)),
                      "%s, text %zu: token %d differs:%s", compare_label_text(), text, i, line);
}

START_TEST(golden)
{
    clm_tokenizer *t = open_tokenizer(kinds[_i].folder);
    json_t *root, *text;
    size_t i;

    MUST(clm_read_json(golden_dir, "golden.json", &root, &fault));
    const json_t *want = json_object_get(root, kinds[_i].list);
    ck_assert_uint_gt(json_array_size(json_object_get(root, "texts")), 1);
    json_array_foreach(json_object_get(root, "texts"), i, text)
    {
        clm_ids ids = { 0 };
        MUST(clm_encode(t, json_string_value(text), &ids, &fault));
        check_ids(&ids, json_array_get(want, i), i);
        clm_ids_free(&ids);
    }
    json_decref(root);
    clm_tokenizer_close(&t);
}
END_TEST

/* Older files do not say which kind of model they hold. */
START_TEST(unnamed_model)
{
    static const char *const folders[] = { "bpe-json", "wordpiece-json" };
    const char *text = "The kernels don't fit.";
    clm_ids want = { 0 }, got = { 0 };
    clm_tokenizer *t = open_tokenizer(folders[_i]);
    char path[8192];
    json_t *root;

    MUST(clm_encode(t, text, &want, &fault));
    clm_tokenizer_close(&t);
    snprintf(path, sizeof path, "%s/%s", data, folders[_i]);
    MUST(clm_read_json(path, "tokenizer.json", &root, &fault));
    json_object_del(json_object_get(root, "model"), "type");
    snprintf(path, sizeof path, "%s/tokenizer.json", suite_dir());
    ck_assert_int_eq(json_dump_file(root, path, 0), 0);
    json_decref(root);
    MUST(clm_tokenizer_open(suite_dir(), _i ? CLM_BERT : CLM_GPT2, &t, &fault));
    MUST(clm_encode(t, text, &got, &fault));
    ck_assert_int_eq(got.count, want.count);
    ck_assert_int_eq(memcmp(got.id, want.id, (size_t)got.count * sizeof *got.id), 0);
    clm_ids_free(&got);
    clm_ids_free(&want);
    clm_tokenizer_close(&t);
}
END_TEST

/* Byte pairs lose nothing. */
START_TEST(round_trip)
{
    clm_tokenizer *t = open_tokenizer("bpe");
    json_t *root, *text;
    size_t i;

    MUST(clm_read_json(golden_dir, "golden.json", &root, &fault));
    ck_assert_uint_gt(json_array_size(json_object_get(root, "texts")), 1);
    json_array_foreach(json_object_get(root, "texts"), i, text)
    {
        clm_ids ids = { 0 };
        if (strstr(json_string_value(text), "<|endoftext|>"))
            continue; /* is not read out */
        MUST(clm_encode(t, json_string_value(text), &ids, &fault));
        char *back = clm_decode(t, ids.id, ids.count);
        ck_assert_str_eq(back, json_string_value(text));
        free(back);
        clm_ids_free(&ids);
    }
    json_decref(root);
    clm_tokenizer_close(&t);
}
END_TEST

START_TEST(reading_out)
{
    clm_tokenizer *t = open_tokenizer("wordpiece");
    clm_ids ids = { 0 };

    MUST(clm_encode(t, "The Kernels, [MASK] caf\xc3\xa9!", &ids, &fault));
    char *text = clm_decode(t, ids.id, ids.count);
    ck_assert_str_eq(text, "the kernels , cafe !");
    free(text);
    clm_ids_free(&ids);
    ck_assert(!clm_encode(t, "ok \xff", &ids, &fault));
    ck_assert_str_eq(fault.text, "the text is not UTF-8: byte 3 is 0xff");
    clm_ids_free(&ids);
    clm_tokenizer_close(&t);

    t = open_tokenizer("bpe");
    char *label = clm_token_label(t, t->byte_id[0xe6]);
    ck_assert_str_eq(label, "\\xe6");
    free(label);
    label = clm_token_label(t, t->byte_id[' ']);
    ck_assert_str_eq(label, "\xc2\xb7");
    free(label);
    label = clm_token_label(t, -5);
    ck_assert_str_eq(label, "");
    free(label);
    clm_tokenizer_close(&t);
}
END_TEST

/* A long run of one letter has as many merges as letters: it must not take their square. */
START_TEST(long_words)
{
    const size_t n = 1 << 20;
    char *text = malloc(n + 1);

    memset(text, 'e', n);
    text[n] = '\0';
    for (int i = 0; i < 2; i++) {
        clm_tokenizer *t = open_tokenizer(i ? "wordpiece" : "bpe");
        clm_ids ids = { 0 };
        MUST(clm_encode(t, text, &ids, &fault));
        ck_assert_int_ge(ids.count, 1);
        clm_ids_free(&ids);
        clm_tokenizer_close(&t);
    }
    free(text);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("tokenizer");
    TCase *t = tcase_create("tokenizer");

    tcase_add_loop_test(t, golden, 0, sizeof kinds / sizeof kinds[0]);
    tcase_add_loop_test(t, unnamed_model, 0, 2);
    tcase_add_test(t, round_trip);
    tcase_add_test(t, reading_out);
    tcase_add_test(t, long_words);
    suite_add_tcase(s, t);
    return s;
}

int main(int argc, char **argv)
{
    const char *dir = getenv("CLATTN_DATA_DIR");

    suite_begin();
    snprintf(data, sizeof data, "%s/tokenizers", dir ? dir : "tests/data");
    golden_dir = argc > 1 ? argv[1] : data;
    return suite_run(suite());
}
