/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GPT-2's tokens: text is cut into words with the blank in front of them, every word into bytes,
 * and neighbours are merged, the pair that training found first at a time. (Sennrich and others
 * 2015; Radford and others 2019.)
 */
#include <stdlib.h>
#include <string.h>

#include "tokenizer.h"

/* ---- bytes as they are written in files ---- */

/* Every byte is written as a character that can be seen: itself, or one from 256 on. */
static bool is_visible(int byte)
{
    return (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
}

static int byte_of(int32_t c)
{
    if (c < 256)
        return c >= 0 && is_visible((int)c) ? (int)c : -1;
    for (int byte = 0, hidden = 256; byte < 256; byte++)
        if (!is_visible(byte) && hidden++ == c)
            return byte;
    return -1;
}

size_t clm_unescape(char *bytes, size_t length)
{
    size_t to = 0, from = 0;
    while (from < length) {
        int32_t c;
        const int n = clm_next_char(bytes + from, length - from, &c);
        const int byte = n > 0 ? byte_of(c) : -1;
        if (byte < 0) /* not written in this way: a special token in plain text */
            return length;
        from += (size_t)n;
        to++;
    }
    for (from = to = 0; from < length; to++) {
        int32_t c;
        from += (size_t)clm_next_char(bytes + from, length - from, &c);
        bytes[to] = (char)byte_of(c);
    }
    return to;
}

bool clm_index_bytes(clm_tokenizer *t, clm_fault *f)
{
    for (int i = 0; i < 256; i++) {
        const char byte = (char)i;
        t->byte_id[i] = clm_vocab_find(&t->vocab, &byte, 1);
        if (t->byte_id[i] < 0)
            return clm_fail(f, "the vocabulary has no token for the byte 0x%02x", (unsigned)i);
    }
    return true;
}

/* ---- merging ---- */

/* Bytes or what they have become: a linked list of tokens in an array. */
typedef struct symbol {
    int id, previous, next; /* -1: none. id -1: merged into the one before */
} symbol;

typedef struct candidate {
    const clm_merge *merge;
    int at; /* the left one */
} candidate;

typedef struct merger {
    symbol *symbols;
    candidate *heap;
    int count; /* of the heap */
} merger;

static bool before(const candidate *a, const candidate *b)
{
    return a->merge->rank != b->merge->rank ? a->merge->rank < b->merge->rank : a->at < b->at;
}

static void push(merger *m, candidate c)
{
    int i = m->count++;
    for (; i > 0 && before(&c, &m->heap[(i - 1) / 2]); i = (i - 1) / 2)
        m->heap[i] = m->heap[(i - 1) / 2];
    m->heap[i] = c;
}

static candidate pop(merger *m)
{
    const candidate top = m->heap[0], last = m->heap[--m->count];
    int i = 0;
    for (int child; (child = 2 * i + 1) < m->count; i = child) {
        if (child + 1 < m->count && before(&m->heap[child + 1], &m->heap[child]))
            child++;
        if (!before(&m->heap[child], &last))
            break;
        m->heap[i] = m->heap[child];
    }
    m->heap[i] = last;
    return top;
}

/* A symbol and the one behind it may be worth a merge. */
static void consider(const clm_tokenizer *t, merger *m, int at)
{
    if (at < 0 || m->symbols[at].next < 0)
        return;
    const clm_merge *merge =
        clm_find_merge(t, m->symbols[at].id, m->symbols[m->symbols[at].next].id);
    if (merge)
        push(m, (candidate){ merge, at });
}

static void apply(const clm_tokenizer *t, merger *m, const candidate *c)
{
    symbol *left = &m->symbols[c->at];
    /* A neighbour may have been merged since. */
    if (left->id != c->merge->left || left->next < 0
        || m->symbols[left->next].id != c->merge->right)
        return;
    symbol *right = &m->symbols[left->next];
    left->id = c->merge->merged;
    right->id = -1;
    left->next = right->next;
    if (left->next >= 0)
        m->symbols[left->next].previous = c->at;
    consider(t, m, left->previous);
    consider(t, m, c->at);
}

/* A merge takes one symbol away and brings two candidates at most. */
static bool merge_word(const clm_tokenizer *t, const char *text, size_t length, clm_ids *out,
                       clm_fault *f)
{
    const int n = (int)length;
    merger m = { .symbols = malloc(length * sizeof *m.symbols),
                 .heap = malloc(3 * length * sizeof *m.heap) };
    bool ok = m.symbols && m.heap;
    for (int i = 0; ok && i < n; i++)
        m.symbols[i] =
            (symbol){ t->byte_id[(unsigned char)text[i]], i - 1, i + 1 < n ? i + 1 : -1 };
    for (int i = 0; ok && i < n; i++)
        consider(t, &m, i);
    while (ok && m.count > 0) {
        const candidate c = pop(&m);
        apply(t, &m, &c);
    }
    if (!ok)
        clm_out_of_memory(f);
    for (int i = 0; ok && i >= 0; i = m.symbols[i].next)
        ok = clm_ids_add(out, m.symbols[i].id, f);
    free(m.symbols);
    free(m.heap);
    return ok;
}

/* ---- words ---- */

enum kind { SPACE, LETTER, NUMBER, OTHER };

static enum kind kind_of(int32_t c)
{
    const char category = clm_category(c);
    return clm_is_space(c) ? SPACE : category == 'L' ? LETTER : category == 'N' ? NUMBER : OTHER;
}

/* Bytes of the characters of one kind at the start of a text. */
static size_t run_of(const char *text, size_t length, enum kind kind)
{
    size_t at = 0;
    while (at < length) {
        int32_t c;
        const int n = clm_next_char(text + at, length - at, &c);
        if (kind_of(c) != kind)
            break;
        at += (size_t)n;
    }
    return at;
}

/* 's 't 're 've 'm 'll 'd */
static size_t contraction(const char *text, size_t length)
{
    static const char *const endings[] = { "s", "t", "re", "ve", "m", "ll", "d" };
    if (text[0] != '\'')
        return 0;
    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++) {
        const size_t n = strlen(endings[i]);
        if (length > n && memcmp(text + 1, endings[i], n) == 0)
            return n + 1;
    }
    return 0;
}

/* White space: all of it but the last character, which goes with the word behind; a blank alone in
 * front of a word was taken by first_word() already. */
static size_t spaces(const char *text, size_t length)
{
    const size_t all = run_of(text, length, SPACE);
    size_t last = all - 1;
    while ((text[last] & 0xc0) == 0x80)
        last--;
    return all == length || last == 0 ? all : last;
}

/*
 * Bytes of the first word of a text: a contraction; letters, numbers or other characters with one
 * blank in front; white space.
 */
static size_t first_word(const char *text, size_t length)
{
    const size_t short_form = contraction(text, length);
    const size_t blank = text[0] == ' ' && length > 1;
    if (short_form)
        return short_form;
    int32_t c;
    clm_next_char(text + blank, length - blank, &c);
    const enum kind kind = kind_of(c);
    if (kind != SPACE)
        return blank + run_of(text + blank, length - blank, kind);
    return spaces(text, length);
}

bool clm_bpe(const clm_tokenizer *t, const char *text, size_t length, clm_ids *out, clm_fault *f)
{
    char *longer = NULL;
    bool ok = true;
    if (length > INT32_MAX / 64)
        return clm_fail(f, "the text has %zu bytes, too many", length);
    if (t->prefix_space && text[0] != ' ') {
        longer = malloc(length + 1);
        if (!longer)
            return clm_out_of_memory(f);
        longer[0] = ' ';
        memcpy(longer + 1, text, length++);
        text = longer;
    }
    for (size_t at = 0; ok && at < length;) {
        const size_t n = first_word(text + at, length - at);
        ok = merge_word(t, text + at, n, out, f);
        at += n;
    }
    free(longer);
    return ok;
}

const clm_merge *clm_find_merge(const clm_tokenizer *t, int left, int right)
{
    const int32_t key[2] = { left, right };
    if (t->merge_slots == 0)
        return NULL;
    size_t at = (size_t)clm_hash(key, sizeof key) & (t->merge_slots - 1);
    for (; t->merges[at].rank >= 0; at = (at + 1) & (t->merge_slots - 1))
        if (t->merges[at].left == left && t->merges[at].right == right)
            return &t->merges[at];
    return NULL;
}
