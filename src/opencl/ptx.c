/* SPDX-License-Identifier: Apache-2.0 */
#include "ptx.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* A text that is read, and the one that is written: longer by the letter of the target at most. */
typedef struct rewrite {
    const char *at, *end;
    char *to;
    int marks, targets;
    bool marked; /* within a marked comment */
} rewrite;

static const char target[] = ".target", from_chip[] = "sm_90", to_chip[] = "sm_90a";

static bool starts(const rewrite *r, const char *word)
{
    const size_t n = strlen(word);
    return (size_t)(r->end - r->at) >= n && memcmp(r->at, word, n) == 0;
}

static void copy(rewrite *r, size_t n)
{
    memcpy(r->to, r->at, n);
    r->to += n;
    r->at += n;
}

static bool ends_word(const rewrite *r, size_t n)
{
    const char *next = r->at + n;
    return next == r->end || !(isalnum((unsigned char)*next) || *next == '_');
}

/* Up to the end of the line, or behind the end of a comment of any length. */
static bool copy_comment(rewrite *r)
{
    const bool whole_line = r->at[1] == '/';
    const char *close = whole_line ? "\n" : "*/";
    copy(r, 2);
    while (r->at < r->end && !starts(r, close))
        copy(r, 1);
    if (r->at == r->end)
        return whole_line;
    copy(r, strlen(close));
    return true;
}

/* ".target sm_90, ...": the chip gets its letter, unless it has it. */
static const char *copy_target(rewrite *r)
{
    if (r->targets++)
        return "it has more than one .target";
    copy(r, sizeof target - 1);
    while (r->at < r->end && (*r->at == ' ' || *r->at == '\t'))
        copy(r, 1);
    const bool has_letter = starts(r, to_chip) && ends_word(r, sizeof to_chip - 1);
    if (!has_letter && !(starts(r, from_chip) && ends_word(r, sizeof from_chip - 1)))
        return "its .target is not sm_90";
    copy(r, sizeof from_chip - 1);
    if (!has_letter)
        *r->to++ = 'a';
    return NULL;
}

/* One token, comment or mark. NULL: it is as it should be. */
static const char *step(rewrite *r)
{
    if (starts(r, CLA_PTX_OPEN)) {
        if (r->marked)
            return "a marked comment starts within another";
        r->at += sizeof CLA_PTX_OPEN - 1;
        r->marked = true;
        r->marks++;
    } else if (starts(r, CLA_PTX_CLOSE)) {
        if (!r->marked)
            return "a marked comment ends that has not started";
        r->at += sizeof CLA_PTX_CLOSE - 1;
        r->marked = false;
    } else if (starts(r, "*/")) {
        return "a comment ends that has not started";
    } else if (starts(r, "//") || starts(r, "/*")) {
        if (!copy_comment(r))
            return "a comment does not end";
    } else if (starts(r, target) && ends_word(r, sizeof target - 1)) {
        return copy_target(r);
    } else if (*r->at == '\0') {
        return "it has zeros in it: it is no text";
    } else {
        copy(r, 1);
    }
    return NULL;
}

static const char *rewrite_all(rewrite *r)
{
    const char *why = NULL;
    while (!why && r->at < r->end)
        why = step(r);
    if (why)
        return why;
    if (r->marked)
        return "a marked comment does not end";
    if (r->targets == 0)
        return "it has no .target";
    return r->marks == 0 ? "no instruction in it is marked" : NULL;
}

bool cla_ptx_unmark(const char *text, size_t size, char **out, size_t *out_size, const char **why)
{
    *out = NULL;
    *why = NULL;
    while (size > 0 && text[size - 1] == '\0')
        size--;
    char *copied = malloc(size + 2); /* one more letter, and the zero */
    if (!copied)
        return false;
    rewrite r = { .at = text, .end = text + size, .to = copied };
    *why = rewrite_all(&r);
    if (*why) {
        free(copied);
        return false;
    }
    *r.to = '\0';
    *out = copied;
    *out_size = (size_t)(r.to - copied);
    return true;
}

int cla_ptx_registers(size_t items)
{
    enum { OF_A_CORE = 65536, MOST = 255, STEP = 8 };
    const size_t each = OF_A_CORE / items / STEP * STEP;
    return each < MOST ? (int)each : MOST;
}
