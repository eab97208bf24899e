/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libFuzzer entry for the small files of a model folder. The first byte says which: config.json,
 * vocab.txt, tokenizer.json, or vocab.json and merges.txt with a zero between. What follows the
 * last zero is text to be cut in tokens.
 */
#define _GNU_SOURCE /* memrchr */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "memory_file.h"
#include "model_file.h"
#include "tokenizer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const names[] = { "vocab.txt", "tokenizer.json", "vocab.json", "merges.txt" };
enum { FILES = 4 };

static int file[FILES];
static char target[FILES][MEMORY_PATH];
static const char dir[] = "fuzz-model"; /* in the folder that the fuzzer runs in */

/* Only the files that are set are there. */
static void put(int i, const void *data, size_t size)
{
    char path[64];
    snprintf(path, sizeof path, "%s/%s", dir, names[i]);
    unlink(path);
    if (!data)
        return;
    memory_file_set(file[i], data, size);
    if (symlink(target[i], path) != 0)
        abort();
}

static void begin(void)
{
    if (file[0])
        return;
    if (mkdir(dir, 0700) != 0 && errno != EEXIST)
        abort();
    for (int i = 0; i < FILES; i++)
        file[i] = memory_file(target[i]);
}

static void parse_config(const uint8_t *data, size_t size)
{
    clm_config config;
    clm_fault fault;
    json_t *json;
    if (!clm_parse_json("config.json", data, size, &json, &fault))
        return;
    (void)clm_config_parse(json, &config, &fault);
    json_decref(json);
}

static void use(clm_tokenizer *t, const char *text)
{
    clm_ids ids = { 0 };
    clm_fault fault;
    if (clm_encode(t, text, &ids, &fault)) {
        free(clm_decode(t, ids.id, ids.count));
        for (int i = 0; i < ids.count; i++)
            free(clm_token_label(t, ids.id[i]));
    }
    clm_ids_free(&ids);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    clm_tokenizer *t;
    clm_fault fault;
    if (size < 1)
        return 0;
    begin();
    const int which = data[0] % FILES;
    data++, size--;
    if (which == 0) {
        parse_config(data, size);
        return 0;
    }
    const uint8_t *zero = size ? memrchr(data, 0, size) : NULL;
    const size_t files = zero ? (size_t)(zero - data) : size;
    char *text = zero ? strndup((const char *)zero + 1, size - files - 1) : strdup("a b, C");
    const uint8_t *middle = which == 3 && files ? memchr(data, 0, files) : NULL;
    const size_t first = middle ? (size_t)(middle - data) : files;
    for (int i = 0; i < FILES; i++)
        put(i, NULL, 0);
    put(which - 1, data, first);
    if (middle)
        put(3, middle + 1, files - first - 1);
    if (text && clm_tokenizer_open(dir, which == 1 ? CLM_BERT : CLM_GPT2, &t, &fault)) {
        use(t, text);
        clm_tokenizer_close(&t);
    }
    free(text);
    return 0;
}
