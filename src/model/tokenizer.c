/* SPDX-License-Identifier: Apache-2.0 */
#include "tokenizer.h"

#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "model_file.h"

/* ---- numbers ---- */

bool clm_ids_add(clm_ids *ids, int id, clm_fault *f)
{
    if ((size_t)ids->count == ids->room) {
        const size_t room = ids->room ? 2 * ids->room : 64;
        int32_t *grown = room <= INT32_MAX / 4 ? realloc(ids->id, room * sizeof *grown) : NULL;
        if (!grown)
            return clm_out_of_memory(f);
        ids->id = grown;
        ids->room = room;
    }
    ids->id[ids->count++] = id;
    return true;
}

void clm_ids_free(clm_ids *ids)
{
    free(ids->id);
    *ids = (clm_ids){ 0 };
}

/* ---- characters ---- */

int clm_next_char(const char *text, size_t length, int32_t *c)
{
    utf8proc_int32_t code;
    const utf8proc_ssize_t n = utf8proc_iterate((const utf8proc_uint8_t *)text,
                                                length < 4 ? (utf8proc_ssize_t)length : 4, &code);
    *c = code;
    return n > 0 ? (int)n : -1;
}

bool clm_is_space(int32_t c)
{
    return (c >= 9 && c <= 13) || c == 0x85 || clm_category(c) == 'Z';
}

char clm_category(int32_t c)
{
    return utf8proc_category_string(c)[0];
}

static bool check_utf8(const char *text, clm_fault *f)
{
    const size_t length = strlen(text);
    int32_t c;
    for (size_t at = 0, n; at < length; at += n) {
        const int bytes = clm_next_char(text + at, length - at, &c);
        if (bytes < 0)
            return clm_fail(f, "the text is not UTF-8: byte %zu is 0x%02x", at,
                            (unsigned)(unsigned char)text[at]);
        n = (size_t)bytes;
    }
    return true;
}

/* ---- open and close ---- */

static void find_specials(clm_tokenizer *t)
{
    const struct {
        const char *text;
        int *id;
    } known[] = { { "[UNK]", &t->unk },
                  { "[CLS]", &t->cls },
                  { "[SEP]", &t->sep },
                  { "[PAD]", &t->pad },
                  { "[MASK]", &t->mask } };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        *known[i].id = clm_vocab_find(&t->vocab, known[i].text, strlen(known[i].text));
        if (*known[i].id >= 0)
            t->vocab.tokens[*known[i].id].special = true;
    }
    const int end = clm_vocab_find(&t->vocab, "<|endoftext|>", 13);
    if (end >= 0)
        t->vocab.tokens[end].special = true;
}

static bool list_specials(clm_tokenizer *t, clm_fault *f)
{
    for (int i = 0; i < t->vocab.count; i++) {
        const clm_token *token = &t->vocab.tokens[i];
        if (!token->special || token->length == 0)
            continue;
        t->starts_special[(unsigned char)token->bytes[0]] = true;
        if (!clm_ids_add(&t->specials, i, f))
            return false;
    }
    return true;
}

static bool prepare(clm_tokenizer *t, clm_family family, clm_fault *f)
{
    if (!clm_vocab_index(&t->vocab, f))
        return false;
    find_specials(t);
    if (!list_specials(t, f))
        return false;
    t->first = t->last = -1;
    if (t->bpe)
        return clm_index_bytes(t, f);
    if (t->unk < 0)
        return clm_fail(f, "the vocabulary has no [UNK]");
    if (t->sep < 0 || (family == CLM_BERT && t->cls < 0))
        return clm_fail(f, "the vocabulary has no [%s]", t->sep < 0 ? "SEP" : "CLS");
    t->first = family == CLM_BERT ? t->cls : t->sep;
    t->last = family == CLM_BERT ? t->sep : -1;
    return true;
}

bool clm_tokenizer_open(const char *dir, clm_family family, clm_tokenizer **out, clm_fault *f)
{
    *out = calloc(1, sizeof **out);
    if (!*out)
        return clm_out_of_memory(f);
    if (clm_read_tokenizer(*out, dir, f) && prepare(*out, family, f))
        return true;
    clm_tokenizer_close(out);
    return false;
}

void clm_tokenizer_close(clm_tokenizer **t)
{
    if (!*t)
        return;
    clm_vocab_free(&(*t)->vocab);
    free((*t)->continues);
    free((*t)->merges);
    clm_ids_free(&(*t)->specials);
    free(*t);
    *t = NULL;
}

/* ---- text to tokens ---- */

/* The longest special token that a text starts with, -1: none. */
static int special_at(const clm_tokenizer *t, const char *text)
{
    int best = -1;
    for (int i = 0; i < t->specials.count; i++) {
        const int id = t->specials.id[i];
        const clm_token *token = &t->vocab.tokens[id];
        if (strncmp(text, token->bytes, (size_t)token->length) == 0
            && (best < 0 || token->length > t->vocab.tokens[best].length))
            best = id;
    }
    return best;
}

/* Where the next special token starts, or the end; *id: which. */
static size_t find_special(const clm_tokenizer *t, const char *text, int *id)
{
    size_t at = 0;
    for (*id = -1; text[at]; at++)
        if (t->starts_special[(unsigned char)text[at]] && (*id = special_at(t, text + at)) >= 0)
            break;
    return at;
}

static bool encode_plain(const clm_tokenizer *t, const char *text, size_t length, clm_ids *out,
                         clm_fault *f)
{
    return length == 0 || (t->bpe ? clm_bpe : clm_wordpiece)(t, text, length, out, f);
}

bool clm_encode(const clm_tokenizer *t, const char *text, clm_ids *out, clm_fault *f)
{
    int special;
    if (!check_utf8(text, f) || (t->first >= 0 && !clm_ids_add(out, t->first, f)))
        return false;
    do {
        const size_t plain = find_special(t, text, &special);
        if (!encode_plain(t, text, plain, out, f)
            || (special >= 0 && !clm_ids_add(out, special, f)))
            return false;
        text += plain + (special >= 0 ? (size_t)t->vocab.tokens[special].length : 0);
    } while (special >= 0);
    return t->last < 0 || clm_ids_add(out, t->last, f);
}

/* ---- tokens to text ---- */

static const clm_token *token_of(const clm_tokenizer *t, int id)
{
    static const clm_token none = { .bytes = (char *)"", .length = 0 };
    return id >= 0 && id < t->vocab.count && t->vocab.tokens[id].bytes ? &t->vocab.tokens[id]
                                                                       : &none;
}

static bool continues(const clm_tokenizer *t, const clm_token *token)
{
    return !t->bpe && strncmp(token->bytes, t->continues, strlen(t->continues)) == 0;
}

char *clm_decode(const clm_tokenizer *t, const int32_t *ids, int count)
{
    size_t size = 1, at = 0;
    for (int i = 0; i < count; i++)
        size += (size_t)token_of(t, ids[i])->length + 1;
    char *text = malloc(size);
    for (int i = 0; text && i < count; i++) {
        const clm_token *token = token_of(t, ids[i]);
        const size_t skip = continues(t, token) ? strlen(t->continues) : 0;
        if (token->special)
            continue;
        if (!t->bpe && at > 0 && skip == 0)
            text[at++] = ' ';
        memcpy(text + at, token->bytes + skip, (size_t)token->length - skip);
        at += (size_t)token->length - skip;
    }
    if (text)
        text[at] = '\0';
    return text;
}

static size_t put_hex(char *out, unsigned char byte)
{
    static const char digits[] = "0123456789abcdef";
    out[0] = '\\';
    out[1] = 'x';
    out[2] = digits[byte >> 4];
    out[3] = digits[byte & 15];
    return 4;
}

char *clm_token_label(const clm_tokenizer *t, int id)
{
    const clm_token *token = token_of(t, id);
    char *label = malloc(4 * (size_t)token->length + 1);
    size_t at = 0;
    for (int i = 0, n; label && i < token->length; i += n) {
        int32_t c;
        n = clm_next_char(token->bytes + i, (size_t)(token->length - i), &c);
        if (n > 0 && c == ' ') {
            memcpy(label + at, "\xc2\xb7", 2);
            at += 2;
        } else if (n > 0 && clm_category(c) != 'C' && c != 0x2028 && c != 0x2029) {
            memcpy(label + at, token->bytes + i, (size_t)n);
            at += (size_t)n;
        } else {
            n = 1;
            at += put_hex(label + at, (unsigned char)token->bytes[i]);
        }
    }
    if (label)
        label[at] = '\0';
    return label;
}
