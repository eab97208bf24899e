/* SPDX-License-Identifier: Apache-2.0 */
/* The stored results as the public header shows them: reading, taking in, deleting. */
#include <clattn/tuning.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store_state.h"

/* A result that owns its texts, in one allocation behind it. */
typedef struct item {
    clattn_result result;
    uint64_t group; /* hash of what a search is about: device, driver, operation, bucket */
    bool added;
} item;

struct clattn_results {
    cla_cache_dir dir;
    char path[CLA_PATH + 32];
    char note[CLA_PATH + 512];
    item **items;
    int count, room;
    bool out_of_memory; /* then items are missing */
};

enum { MAX_ITEMS = 1 << 20 };

static void say(clattn_results *r, const char *fmt, ...) CLA_PRINTF(2, 3);

static void say(clattn_results *r, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    vsnprintf(r->note, sizeof r->note, fmt, args);
    va_end(args);
}

/* ---- the list ---- */

enum { NUM_TEXTS = 8 };

static const char **texts_of(clattn_result *x, const char **text[NUM_TEXTS])
{
    text[0] = &x->device;
    text[1] = &x->driver;
    text[2] = &x->kind;
    text[3] = &x->operation;
    text[4] = &x->bucket;
    text[5] = &x->kernel;
    text[6] = &x->source;
    text[7] = &x->config;
    return text[0];
}

static item *copy_item(const clattn_result *from, bool added)
{
    const char **text[NUM_TEXTS];
    clattn_result x = *from;
    size_t size = sizeof(item);
    texts_of(&x, text);
    for (int i = 0; i < NUM_TEXTS; i++)
        size += strlen(*text[i]) + 1;
    item *copy = malloc(size);
    if (!copy)
        return NULL;
    char *at = (char *)(copy + 1);
    copy->result = x;
    copy->added = added;
    texts_of(&copy->result, text);
    for (int i = 0; i < NUM_TEXTS; i++) {
        const size_t length = strlen(*text[i]) + 1;
        memcpy(at, *text[i], length);
        *text[i] = at;
        at += length;
    }
    copy->group = cla_mix_text(CLA_MIX_START, x.device);
    copy->group = cla_mix_text(copy->group, x.driver);
    copy->group = cla_mix_text(copy->group, x.operation);
    copy->group = cla_mix_text(copy->group, x.bucket);
    return copy;
}

static bool append(clattn_results *r, const clattn_result *x, bool added)
{
    if (r->count == MAX_ITEMS)
        return false;
    if (r->count == r->room) {
        const int room = r->room ? 2 * r->room : 256;
        item **grown = realloc(r->items, (size_t)room * sizeof *grown);
        if (!grown) {
            r->out_of_memory = true;
            return false;
        }
        r->items = grown;
        r->room = room;
    }
    r->items[r->count] = copy_item(x, added);
    r->out_of_memory = !r->items[r->count];
    return !r->out_of_memory && ++r->count;
}

static bool read_row(void *user, const cla_row *row)
{
    const clattn_result x = {
        .device = row->device,
        .driver = row->driver,
        .kind = row->kind,
        .operation = row->stage,
        .bucket = row->bucket,
        .kernel = row->kernel,
        .source = row->source,
        .config = row->config,
        .rank = row->rank,
        .one_kernel = row->partial != 0,
        .verified = row->verified == 1,
        .time_us = row->time_us,
        .spread_us = row->spread_us,
        .samples = row->samples,
        .effort = row->effort,
        .when = row->when,
    };
    return append(user, &x, false);
}

clattn_status clattn_results_open(bool trials, clattn_results **out)
{
    if (!out)
        return CLATTN_ERR_ARG;
    clattn_results *r = calloc(1, sizeof *r);
    *out = r;
    if (!r)
        return CLATTN_ERR_MEMORY;
    const cla_cache_state state = cla_cache_dir_find(&r->dir, false);
    if (r->dir.path[0])
        snprintf(r->path, sizeof r->path, "%s/results.db", r->dir.path);
    if (state == CLA_CACHE_REFUSED)
        say(r, "%s", r->dir.why_not);
    if (state != CLA_CACHE_READY)
        return CLATTN_OK;
    cla_db *db = cla_db_open(r->dir.path, false, r->note, sizeof r->note);
    if (db && !cla_db_results(db, NULL, trials, read_row, r))
        say(r, "cannot read all of %s: %s", r->path, cla_db_error(db));
    cla_db_close(db);
    if (!r->out_of_memory)
        return CLATTN_OK;
    clattn_results_close(out);
    return CLATTN_ERR_MEMORY;
}

void clattn_results_close(clattn_results **results)
{
    if (!results || !*results)
        return;
    for (int i = 0; i < (*results)->count; i++)
        free((*results)->items[i]);
    free((*results)->items);
    free(*results);
    *results = NULL;
}

const char *clattn_results_path(const clattn_results *r)
{
    return r ? r->path : "";
}

const char *clattn_results_note(const clattn_results *r)
{
    return r ? r->note : "";
}

const clattn_result *clattn_results_get(const clattn_results *r, int i)
{
    return r && i >= 0 && i < r->count ? &r->items[i]->result : NULL;
}

/* ---- taking in ---- */

static cla_row row_of(const clattn_result *x)
{
    return (cla_row){
        .device = x->device,
        .driver = x->driver,
        .kind = x->kind,
        .stage = x->operation,
        .bucket = x->bucket,
        .kernel = x->kernel,
        .source = x->source,
        .config = x->config,
        .rank = x->rank,
        .partial = x->one_kernel,
        .samples = x->samples,
        .effort = x->effort,
        .verified = x->verified,
        .time_us = x->time_us,
        .spread_us = x->spread_us,
        .when = x->when,
    };
}

/* Shorter than a key may be, and printable ASCII. */
static bool is_key(const char *text, size_t room)
{
    const size_t length = strlen(text);
    for (size_t i = 0; i < length; i++)
        if (text[i] < ' ' || text[i] > '~')
            return false;
    return length > 0 && length < room;
}

static bool is_source(const char *text)
{
    return strlen(text) == CLA_SOURCE_TEXT - 1 && strspn(text, "0123456789abcdef") == strlen(text);
}

/* Why a result cannot be taken; NULL: it can. */
static const char *refusal(const clattn_result *x)
{
    const char **text[NUM_TEXTS];
    clattn_result copy = *x;
    cla_bucket bucket;
    cla_tuned tuned;
    const cla_row row = row_of(x);
    texts_of(&copy, text);
    for (int i = 0; i < NUM_TEXTS; i++)
        if (!*text[i])
            return "a text is missing";
    if (!is_key(x->device, CLA_KEY_TEXT) || !is_key(x->driver, CLA_KEY_TEXT)
        || !is_key(x->kind, sizeof(((cla_device_key *)0)->kind)))
        return "device, driver or kind is empty, too long or not plain ASCII";
    if (!is_source(x->source))
        return "source is not 16 hexadecimal digits";
    if (!(x->time_us > 0) || !isfinite(x->time_us) || !isfinite(x->spread_us) || x->spread_us < 0
        || x->rank < 0 || x->rank > 1000 || x->samples < 0 || x->effort < 0)
        return "a number is out of range";
    if (!cla_row_read(&row, &bucket, &tuned))
        return "it names no kernel, bucket or configuration of this version";
    return NULL;
}

clattn_status clattn_results_add(clattn_results *r, const clattn_result *x)
{
    if (!r || !x)
        return CLATTN_ERR_ARG;
    const char *why = refusal(x);
    if (why) {
        say(r, "%s", why);
        return CLATTN_ERR_ARG;
    }
    if (append(r, x, true))
        return CLATTN_OK;
    say(r, "out of host memory, or more than %d results", MAX_ITEMS);
    return CLATTN_ERR_MEMORY;
}

/* ---- writing ---- */

static bool same_search(const item *a, const item *b)
{
    const clattn_result *x = &a->result, *y = &b->result;
    return a->group == b->group && strcmp(x->device, y->device) == 0
        && strcmp(x->driver, y->driver) == 0 && strcmp(x->operation, y->operation) == 0
        && strcmp(x->bucket, y->bucket) == 0;
}

/* Is there a finalist of the same search that took as much trouble, with the same sources? */
static bool stands_already(const clattn_results *r, const item *it)
{
    for (int i = 0; i < r->count; i++) {
        const item *other = r->items[i];
        if (!other->added && other->result.rank > 0
            && other->result.effort >= it->result.effort && same_search(other, it)
            && strcmp(other->result.source, it->result.source) == 0)
            return true;
    }
    return false;
}

static bool first_of_search(const clattn_results *r, int i)
{
    for (int k = 0; k < i; k++)
        if (r->items[k]->added && same_search(r->items[k], r->items[i]))
            return false;
    return true;
}

static bool write_added(clattn_results *r, cla_db *db, int *written)
{
    for (int i = 0; i < r->count; i++) {
        const item *it = r->items[i];
        const cla_row row = row_of(&it->result);
        if (!it->added || (it->result.rank > 0 && stands_already(r, it)))
            continue;
        if (it->result.rank > 0 && first_of_search(r, i) && !cla_db_demote(db, &row, NULL))
            return false;
        if (!cla_db_put(db, &row))
            return false;
        (*written)++;
    }
    return true;
}

static cla_db *open_to_write(clattn_results *r)
{
    if (cla_cache_dir_find(&r->dir, true) != CLA_CACHE_READY) {
        say(r, "%s", r->dir.why_not);
        return NULL;
    }
    return cla_db_open(r->dir.path, true, r->note, sizeof r->note);
}

static clattn_status finish(clattn_results *r, cla_db *db, bool ok)
{
    ok = cla_db_end(db, ok) && ok;
    if (!ok)
        say(r, "cannot write %s: %s", r->path, cla_db_error(db));
    cla_db_close(db);
    return ok ? CLATTN_OK : CLATTN_ERR_UNSUPPORTED;
}

clattn_status clattn_results_save(clattn_results *r, int *written)
{
    int count = 0;
    if (written)
        *written = 0;
    if (!r)
        return CLATTN_ERR_ARG;
    cla_db *db = open_to_write(r);
    if (!db)
        return CLATTN_ERR_UNSUPPORTED;
    const clattn_status s = finish(r, db, cla_db_begin(db) && write_added(r, db, &count));
    if (s == CLATTN_OK && written)
        *written = count;
    return s;
}

clattn_status clattn_results_clear(clattn_results *r, const char *device)
{
    if (!r)
        return CLATTN_ERR_ARG;
    cla_db *db = open_to_write(r);
    if (!db)
        return CLATTN_ERR_UNSUPPORTED;
    return finish(r, db, cla_db_begin(db) && cla_db_clear(db, device));
}
