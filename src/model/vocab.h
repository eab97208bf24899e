/* SPDX-License-Identifier: Apache-2.0 */
/* Tokens and their numbers. A token is any bytes, zeros included. */
#ifndef CLM_VOCAB_H
#define CLM_VOCAB_H

#include "fault.h"

enum { CLM_MAX_TOKENS = 1 << 22, CLM_MAX_TOKEN_BYTES = 1 << 12 };

typedef struct clm_token {
    char *bytes; /* NULL: no token has this number */
    int length;
    bool special; /* stands for itself wherever it is found in a text, and is not read out */
} clm_token;

typedef struct clm_vocab {
    int count; /* numbers 0 .. count - 1 */
    clm_token *tokens;
    size_t room;
    size_t slots; /* of the index, a power of two; 0: not made yet */
    int32_t *index;
} clm_vocab;

/* Gives a number to a token. Refuses a number that is taken, and what is too large. */
bool clm_vocab_add(clm_vocab *v, int64_t id, const char *bytes, size_t length, clm_fault *f);

/* To be called once all tokens are there. Of equal tokens the first is found. */
bool clm_vocab_index(clm_vocab *v, clm_fault *f);

/* -1: there is no such token. */
int clm_vocab_find(const clm_vocab *v, const char *bytes, size_t length);

void clm_vocab_free(clm_vocab *v);

/* A hash of bytes (FNV-1a). */
uint64_t clm_hash(const void *bytes, size_t length);

#endif
