/* SPDX-License-Identifier: Apache-2.0 */
/*
 * BERT's tokens: text is cleaned and cut at white space, punctuation and ideographs, then every
 * word into the longest pieces that the vocabulary has. (Wu and others 2016; Devlin and others
 * 2018.)
 */
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "tokenizer.h"

/* The word that is being read. */
typedef struct word {
    char *bytes;
    size_t length, room;
    int chars;
} word;

static bool push(word *w, int32_t c, clm_fault *f)
{
    if (w->length + 4 > w->room) {
        const size_t room = 2 * w->room + 64;
        char *grown = realloc(w->bytes, room);
        if (!grown)
            return clm_out_of_memory(f);
        w->bytes = grown;
        w->room = room;
    }
    w->length += (size_t)utf8proc_encode_char(c, (utf8proc_uint8_t *)w->bytes + w->length);
    w->chars++;
    return true;
}

/* The longest token that the word has at this byte; *length: its bytes in the word. -1: none. */
static int longest(const clm_tokenizer *t, const word *w, size_t at, char *scratch, size_t *length)
{
    const size_t prefix = at > 0 ? strlen(t->continues) : 0;
    memcpy(scratch, t->continues, prefix);
    memcpy(scratch + prefix, w->bytes + at, w->length - at);
    for (*length = w->length - at; *length > 0; --*length) {
        /* Not inside a character. */
        if (at + *length < w->length && (w->bytes[at + *length] & 0xc0) == 0x80)
            continue;
        const int id = clm_vocab_find(&t->vocab, scratch, prefix + *length);
        if (id >= 0)
            return id;
    }
    return -1;
}

static bool cut(const clm_tokenizer *t, const word *w, char *scratch, clm_ids *out, clm_fault *f)
{
    const int before = out->count;
    size_t length;
    for (size_t at = 0; at < w->length; at += length) {
        const int id = longest(t, w, at, scratch, &length);
        if (id < 0) { /* then the whole word is unknown */
            out->count = before;
            return clm_ids_add(out, t->unk, f);
        }
        if (!clm_ids_add(out, id, f))
            return false;
    }
    return true;
}

static bool end_word(const clm_tokenizer *t, word *w, clm_ids *out, clm_fault *f)
{
    bool ok = true;
    if (w->length > 0 && w->chars > t->max_chars) {
        ok = clm_ids_add(out, t->unk, f);
    } else if (w->length > 0) {
        char *scratch = malloc(w->length + strlen(t->continues));
        ok = scratch ? cut(t, w, scratch, out, f) : clm_out_of_memory(f);
        free(scratch);
    }
    w->length = 0;
    w->chars = 0;
    return ok;
}

static bool is_ideograph(int32_t c)
{
    static const int32_t ranges[][2] = { { 0x4e00, 0x9fff },   { 0x3400, 0x4dbf },
                                         { 0x20000, 0x2a6df }, { 0x2a700, 0x2b73f },
                                         { 0x2b740, 0x2b81f }, { 0x2b820, 0x2ceaf },
                                         { 0xf900, 0xfaff },   { 0x2f800, 0x2fa1f } };
    for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++)
        if (c >= ranges[i][0] && c <= ranges[i][1])
            return true;
    return false;
}

/* All of ASCII that is neither letter, digit nor blank, and what Unicode calls punctuation. */
static bool is_punctuation(int32_t c)
{
    if (c < 128)
        return c > 32 && c < 127 && !((c | 32) >= 'a' && (c | 32) <= 'z')
               && !(c >= '0' && c <= '9');
    return clm_category(c) == 'P';
}

/* Removed: NUL, the replacement character, control and format characters. */
static bool is_dirt(int32_t c)
{
    return c == 0 || c == 0xfffd
           || (clm_category(c) == 'C' && c != '\t' && c != '\n' && c != '\r'
               && utf8proc_category(c) != UTF8PROC_CATEGORY_CN);
}

static bool add_char(const clm_tokenizer *t, word *w, int32_t c, clm_ids *out, clm_fault *f)
{
    if (t->lower)
        c = utf8proc_tolower(c);
    if (clm_is_space(c))
        return end_word(t, w, out, f);
    if (!is_punctuation(c) && !(t->cjk && is_ideograph(c)))
        return push(w, c, f);
    return end_word(t, w, out, f) && push(w, c, f) && end_word(t, w, out, f);
}

/* A character without its accents: what it decomposes to, but for the marks. */
static bool add_stripped(const clm_tokenizer *t, word *w, int32_t c, clm_ids *out, clm_fault *f)
{
    utf8proc_int32_t parts[32];
    int boundary = UTF8PROC_BOUNDCLASS_START;
    const utf8proc_ssize_t n = utf8proc_decompose_char(c, parts, 32, UTF8PROC_DECOMPOSE, &boundary);
    for (utf8proc_ssize_t i = 0; i < n && i < 32; i++)
        if (utf8proc_category(parts[i]) != UTF8PROC_CATEGORY_MN
            && !add_char(t, w, parts[i], out, f))
            return false;
    return true;
}

bool clm_wordpiece(const clm_tokenizer *t, const char *text, size_t length, clm_ids *out,
                   clm_fault *f)
{
    word w = { 0 };
    bool ok = true;
    for (size_t at = 0; ok && at < length;) {
        int32_t c;
        at += (size_t)clm_next_char(text + at, length - at, &c);
        if (!is_dirt(c))
            ok = (t->strip ? add_stripped : add_char)(t, &w, c, out, f);
    }
    ok = ok && end_word(t, &w, out, f);
    free(w.bytes);
    return ok;
}
