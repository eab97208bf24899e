/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Text to token numbers and back: WordPiece (BERT; also vocabularies of whole words) and byte-level
 * byte pair encoding (GPT-2).
 */
#ifndef CLM_TOKENIZER_H
#define CLM_TOKENIZER_H

#include "model_config.h"
#include "vocab.h"

typedef struct clm_ids {
    int count;
    size_t room;
    int32_t *id;
} clm_ids;

bool clm_ids_add(clm_ids *ids, int id, clm_fault *f);
void clm_ids_free(clm_ids *ids);

/* Two tokens that become one; the lowest rank first. */
typedef struct clm_merge {
    int32_t left, right, merged;
    int rank; /* -1: an empty place */
} clm_merge;

typedef struct clm_tokenizer {
    clm_vocab vocab;
    bool bpe;                     /* else WordPiece */
    bool lower, strip, cjk;       /* WordPiece: lower case, no accents, ideographs by themselves */
    bool prefix_space;            /* BPE: a blank goes in front of a text that has none */
    int max_chars;                /* WordPiece: of a word that is looked up */
    char *continues;              /* WordPiece: what tokens inside a word begin with */
    int unk, cls, sep, mask, pad; /* -1: there is none */
    int first, last;              /* tokens in front of a text and behind it; -1: none */

    clm_ids specials;         /* special tokens */
    bool starts_special[256]; /* could a special token start with this byte? */

    int byte_id[256];   /* BPE */
    size_t merge_slots; /* a power of two */
    clm_merge *merges;
} clm_tokenizer;

/*
 * Reads tokenizer.json, or vocab.json and merges.txt, or vocab.txt of a model folder. A vocab.txt
 * in which no token starts with ## holds whole words. *out is NULL on failure.
 */
bool clm_tokenizer_open(const char *dir, clm_family family, clm_tokenizer **out, clm_fault *f);
void clm_tokenizer_close(clm_tokenizer **t);

/* Appends the tokens of a text in UTF-8, with what the model wants in front and behind. */
bool clm_encode(const clm_tokenizer *t, const char *text, clm_ids *out, clm_fault *f);

/* The text of tokens, without special ones; NULL: out of memory. BPE may end inside a character. */
char *clm_decode(const clm_tokenizer *t, const int32_t *ids, int count);

/*
 * One token for people to read: valid UTF-8 without control characters, a middle dot for a blank
 * and \xNN for bytes that are no character of their own. To be freed; NULL: out of memory.
 */
char *clm_token_label(const clm_tokenizer *t, int id);

/* ---- inside ---- */

/* A piece of text without special tokens. */
bool clm_wordpiece(const clm_tokenizer *t, const char *text, size_t length, clm_ids *out,
                   clm_fault *f);
bool clm_bpe(const clm_tokenizer *t, const char *text, size_t length, clm_ids *out, clm_fault *f);

/* The next character of text[0 .. length - 1], which is not empty; -1: not UTF-8. */
int clm_next_char(const char *text, size_t length, int32_t *c);

/* White space, and general categories: 'L' letter, 'N' number, 'M' mark, 'P' punctuation, ... */
bool clm_is_space(int32_t c);
char clm_category(int32_t c);

/* The merge of two tokens, or NULL. */
const clm_merge *clm_find_merge(const clm_tokenizer *t, int left, int right);

/* BPE: a token as it is written in files becomes the bytes that it stands for, in place. */
size_t clm_unescape(char *bytes, size_t length);

/* Fills t->byte_id; false: the vocabulary lacks a byte. */
bool clm_index_bytes(clm_tokenizer *t, clm_fault *f);

/* Tokenizer files; they fill a zeroed tokenizer. */
bool clm_read_tokenizer(clm_tokenizer *t, const char *dir, clm_fault *f);

#endif
