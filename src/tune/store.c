/* SPDX-License-Identifier: Apache-2.0 */
/* The store in memory: looking up results. */
#include "store.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "store_state.h"

/* ---- entries ---- */

static uint64_t hash_fixed(const cla_bucket *bucket)
{
    return cla_mix_text(cla_mix_text(CLA_MIX_START, cla_stage_name(bucket->stage)), bucket->fixed);
}

static uint64_t hash_whole(const cla_bucket *bucket)
{
    char text[CLA_BUCKET_TEXT];
    cla_bucket_text(bucket, text, sizeof text);
    return cla_mix_text(CLA_MIX_START, text);
}

/* A finalist before a mere timing, then by rank. */
static int place(const cla_tuned *tuned)
{
    return tuned->rank > 0 ? tuned->rank : CLA_MAX_ENTRIES;
}

static int compare(const void *pa, const void *pb)
{
    const cla_entry *a = pa, *b = pb;
    if (a->fixed != b->fixed)
        return a->fixed < b->fixed ? -1 : 1;
    if (a->whole != b->whole)
        return a->whole < b->whole ? -1 : 1;
    if (a->kind != b->kind)
        return a->kind < b->kind ? -1 : 1;
    if (place(&a->tuned) != place(&b->tuned))
        return place(&a->tuned) < place(&b->tuned) ? -1 : 1;
    return a->tuned.time_us < b->tuned.time_us ? -1 : a->tuned.time_us > b->tuned.time_us;
}

bool cla_entries_add(cla_entries *list, const cla_bucket *bucket, const cla_tuned *tuned,
                     cla_entry_kind kind, bool partial)
{
    if (list->count == CLA_MAX_ENTRIES)
        return false;
    if (list->count == list->room) {
        const int room = list->room ? 2 * list->room : 64;
        cla_entry *grown = realloc(list->at, (size_t)room * sizeof *grown);
        if (!grown)
            return false;
        list->at = grown;
        list->room = room;
    }
    list->at[list->count++] = (cla_entry){
        hash_fixed(bucket), hash_whole(bucket), *bucket, *tuned, kind, partial,
    };
    return true;
}

void cla_entries_sort(cla_entries *list)
{
    if (list->count > 1)
        qsort(list->at, (size_t)list->count, sizeof *list->at, compare);
}

/* The first entry of a functional part, or where it would stand. */
static int first_of(const cla_entries *list, uint64_t fixed)
{
    int low = 0, high = list->count;
    while (low < high) {
        const int middle = low + (high - low) / 2;
        if (list->at[middle].fixed < fixed)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool same_config(const cla_kernel *a, const int *ta, const cla_kernel *b, const int *tb)
{
    return a == b && memcmp(ta, tb, sizeof(int) * (size_t)cla_kernel_num_tunables(a)) == 0;
}

/* ---- the dispatcher's questions ---- */

static bool fits(const cla_entry *e, cla_source from, const cla_kernel *only)
{
    const bool wanted = only ? e->tuned.kernel == only : !e->partial;
    if (from == CLA_FROM_SHIPPED)
        return wanted && e->kind == CLA_ENTRY_SHIPPED;
    return wanted && e->kind == CLA_ENTRY_CURRENT && e->tuned.rank > 0 && e->tuned.verified;
}

/* The bucket of this functional part that is nearest; its hash, 0: none is near enough. */
static uint64_t nearest(const cla_store *store, cla_source from, const cla_bucket *bucket,
                        const cla_kernel *only, uint64_t fixed)
{
    const cla_entries *all = &store->entries;
    double best = INFINITY;
    uint64_t whole = 0;
    for (int i = first_of(all, fixed); i < all->count && all->at[i].fixed == fixed; i++) {
        const cla_entry *e = &all->at[i];
        if (e->whole == whole || !fits(e, from, only))
            continue;
        const double octaves = cla_bucket_distance(&e->bucket, bucket);
        if (octaves >= 0 && octaves <= CLA_NEAR_OCTAVES && octaves < best) {
            best = octaves;
            whole = e->whole;
        }
    }
    return whole;
}

int cla_store_find(const cla_store *store, cla_source from, const cla_bucket *bucket,
                   const cla_kernel *only, cla_tuned *out, int max)
{
    if (!store || store->entries.count == 0)
        return 0;
    const cla_entries *all = &store->entries;
    const uint64_t fixed = hash_fixed(bucket);
    const uint64_t whole = from == CLA_FROM_BUCKET ? hash_whole(bucket)
                                                   : nearest(store, from, bucket, only, fixed);
    int n = 0;
    for (int i = first_of(all, fixed); i < all->count && all->at[i].fixed == fixed && n < max; i++)
        if (all->at[i].whole == whole && fits(&all->at[i], from, only)
            && cla_bucket_distance(&all->at[i].bucket, bucket) >= 0)
            out[n++] = all->at[i].tuned;
    return n;
}

bool cla_store_quarantined(const cla_store *store, const cla_kernel *kernel, const int *t)
{
    for (int i = 0; store && i < store->num_bad; i++)
        if (same_config(store->bad[i].kernel, store->bad[i].t, kernel, t))
            return true;
    return false;
}

bool cla_store_add_bad(cla_store *store, const cla_kernel *kernel, const int *t)
{
    if (cla_store_quarantined(store, kernel, t))
        return true;
    if (store->num_bad == store->room_bad) {
        const int room = store->room_bad ? 2 * store->room_bad : 16;
        cla_bad *grown = room > CLA_MAX_ENTRIES
                           ? NULL
                           : realloc(store->bad, (size_t)room * sizeof *grown);
        if (!grown)
            return false;
        store->bad = grown;
        store->room_bad = room;
    }
    cla_bad *bad = &store->bad[store->num_bad++];
    bad->kernel = kernel;
    memcpy(bad->t, t, sizeof bad->t);
    return true;
}

/* ---- the tuner's questions ---- */

/* An entry as a start of a search for a bucket; the smaller the score the better. */
typedef struct start {
    double score;
    const cla_tuned *tuned;
} start;

static int compare_starts(const void *pa, const void *pb)
{
    const start *a = pa, *b = pb;
    return a->score < b->score ? -1 : a->score > b->score;
}

/* Nearness first; at the same one, what comes from closer by; then the rank. */
static int add_starts(const cla_entries *list, const cla_bucket *bucket, start *out)
{
    int n = 0;
    for (int i = 0; i < list->count; i++) {
        const cla_entry *e = &list->at[i];
        const double octaves = cla_bucket_distance(&e->bucket, bucket);
        if (octaves < 0 || octaves > CLA_NEAR_OCTAVES || e->tuned.rank < 1)
            continue;
        const double penalty = e->kind * 0.25 + (e->tuned.rank < 8 ? e->tuned.rank : 8) * 0.01;
        out[n++] = (start){ octaves + penalty, &e->tuned };
    }
    return n;
}

static bool has_config(const cla_tuned *list, int count, const cla_tuned *one)
{
    for (int i = 0; i < count; i++)
        if (same_config(list[i].kernel, list[i].t, one->kernel, one->t))
            return true;
    return false;
}

int cla_store_seeds(cla_store *store, const cla_bucket *bucket, cla_tuned *out, int max)
{
    cla_entries foreign = { NULL, 0, 0 };
    int n = 0;
    if (!store)
        return 0;
    cla_store_load_foreign(store, &foreign);
    const size_t most = (size_t)store->entries.count + (size_t)foreign.count;
    start *starts = malloc((most ? most : 1) * sizeof *starts);
    int count = 0;
    if (starts) {
        count = add_starts(&store->entries, bucket, starts);
        count += add_starts(&foreign, bucket, starts + count);
        qsort(starts, (size_t)count, sizeof *starts, compare_starts);
    }
    for (int i = 0; i < count && n < max; i++) {
        const cla_tuned *tuned = starts[i].tuned;
        if (cla_store_quarantined(store, tuned->kernel, tuned->t) || has_config(out, n, tuned))
            continue;
        out[n] = *tuned;
        out[n++].verified = false;
    }
    free(starts);
    free(foreign.at);
    return n;
}

int cla_store_trials(cla_store *store, const cla_bucket *bucket, cla_tuned **list)
{
    cla_entries all = { NULL, 0, 0 };
    int n = 0;
    *list = NULL;
    if (!store)
        return 0;
    cla_store_load_trials(store, bucket, &all);
    if (all.count)
        *list = malloc((size_t)all.count * sizeof **list);
    for (int i = 0; *list && i < all.count; i++)
        if (!has_config(*list, n, &all.at[i].tuned))
            (*list)[n++] = all.at[i].tuned;
    free(all.at);
    return n;
}

/* ---- the store itself ---- */

const cla_device_key *cla_store_device(const cla_store *store)
{
    return store ? &store->key : NULL;
}

const char *cla_store_note(const cla_store *store)
{
    return store ? store->note : "";
}

const char *cla_store_folder(const cla_store *store)
{
    return store ? store->dir.path : "";
}

int cla_store_count(const cla_store *store, int *quarantined)
{
    int n = 0;
    *quarantined = store ? store->num_bad : 0;
    for (int i = 0; store && i < store->entries.count; i++)
        n += store->entries.at[i].kind == CLA_ENTRY_CURRENT && store->entries.at[i].tuned.rank > 0;
    return n;
}

void cla_store_say(cla_store *store, const char *fmt, ...)
{
    va_list args;
    if (store->note[0])
        return;
    va_start(args, fmt);
    vsnprintf(store->note, sizeof store->note, fmt, args);
    va_end(args);
    cla_log(store->ctx, cla_db_is_built_in() ? CLATTN_LOG_WARN : CLATTN_LOG_INFO, "%s",
            store->note);
}

cla_store *cla_ctx_store(clattn_ctx *ctx)
{
    if (ctx->store)
        return ctx->store;
    cla_store *store = calloc(1, sizeof *store);
    if (!store)
        return NULL;
    store->ctx = ctx;
    store->lock_fd = -1;
    cla_device_key_of(&ctx->dev, &store->key);
    cla_store_load(store);
    ctx->store = store;
    return store;
}

void cla_store_reload(cla_store *store)
{
    if (!store)
        return;
    store->entries.count = 0;
    store->num_bad = 0;
    cla_store_load(store);
}

void cla_store_free(cla_store **store_ptr)
{
    cla_store *store = *store_ptr;
    if (!store)
        return;
    /* In a forked child the connection is the parent's: closing it could undo its work. */
    if (store->ctx->pid == getpid())
        cla_db_close(store->db);
    cla_store_unlock(store);
    free(store->entries.at);
    free(store->bad);
    free(store);
    *store_ptr = NULL;
}
