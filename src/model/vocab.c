/* SPDX-License-Identifier: Apache-2.0 */
#include "vocab.h"

#include <stdlib.h>
#include <string.h>

uint64_t clm_hash(const void *bytes, size_t length)
{
    uint64_t h = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < length; i++)
        h = (h ^ ((const unsigned char *)bytes)[i]) * UINT64_C(0x100000001b3);
    return h ^ h >> 32;
}

static bool make_room(clm_vocab *v, size_t count, clm_fault *f)
{
    size_t room = v->room ? v->room : 1024;
    while (room < count)
        room *= 2;
    if (room == v->room)
        return true;
    clm_token *tokens = realloc(v->tokens, room * sizeof *tokens);
    if (!tokens)
        return clm_out_of_memory(f);
    memset(tokens + v->room, 0, (room - v->room) * sizeof *tokens);
    v->tokens = tokens;
    v->room = room;
    return true;
}

bool clm_vocab_add(clm_vocab *v, int64_t id, const char *bytes, size_t length, clm_fault *f)
{
    if (id < 0 || id >= CLM_MAX_TOKENS)
        return clm_fail(f, "token \"%.*s\" has the number %lld, must be 0 to %d",
                        length < 40 ? (int)length : 40, bytes, (long long)id, CLM_MAX_TOKENS - 1);
    if (length > CLM_MAX_TOKEN_BYTES)
        return clm_fail(f, "token %lld has %zu bytes, at most %d are possible", (long long)id,
                        length, CLM_MAX_TOKEN_BYTES);
    if (!make_room(v, (size_t)id + 1, f))
        return false;
    clm_token *token = &v->tokens[id];
    if (token->bytes)
        return clm_fail(f, "two tokens have the number %lld: \"%.40s\" and \"%.*s\"", (long long)id,
                        token->bytes, length < 40 ? (int)length : 40, bytes);
    token->bytes = malloc(length + 1);
    if (!token->bytes)
        return clm_out_of_memory(f);
    memcpy(token->bytes, bytes, length);
    token->bytes[length] = '\0';
    token->length = (int)length;
    if (id >= v->count)
        v->count = (int)id + 1;
    return true;
}

static bool is_token(const clm_token *t, const char *bytes, size_t length)
{
    return (size_t)t->length == length && memcmp(t->bytes, bytes, length) == 0;
}

/* Where a token is in the index, or the free place where it would be. */
static size_t place_of(const clm_vocab *v, const char *bytes, size_t length)
{
    size_t at = (size_t)clm_hash(bytes, length) & (v->slots - 1);
    while (v->index[at] >= 0 && !is_token(&v->tokens[v->index[at]], bytes, length))
        at = (at + 1) & (v->slots - 1);
    return at;
}

bool clm_vocab_index(clm_vocab *v, clm_fault *f)
{
    size_t slots = 16;
    while (slots < 2 * (size_t)v->count)
        slots *= 2;
    free(v->index);
    v->index = malloc(slots * sizeof *v->index);
    v->slots = v->index ? slots : 0;
    if (!v->index)
        return clm_out_of_memory(f);
    for (size_t i = 0; i < slots; i++)
        v->index[i] = -1;
    for (int id = 0; id < v->count; id++) {
        const clm_token *t = &v->tokens[id];
        if (!t->bytes)
            continue;
        const size_t at = place_of(v, t->bytes, (size_t)t->length);
        if (v->index[at] < 0)
            v->index[at] = id;
    }
    return true;
}

int clm_vocab_find(const clm_vocab *v, const char *bytes, size_t length)
{
    return v->slots ? v->index[place_of(v, bytes, length)] : -1;
}

void clm_vocab_free(clm_vocab *v)
{
    for (int i = 0; i < v->count; i++)
        free(v->tokens[i].bytes);
    free(v->tokens);
    free(v->index);
    *v = (clm_vocab){ 0 };
}
