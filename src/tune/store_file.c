/* SPDX-License-Identifier: Apache-2.0 */
/* The store and its file: reading rows into memory, and writing results. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "store_state.h"

/* ---- reading ---- */

bool cla_row_read(const cla_row *row, cla_bucket *bucket, cla_tuned *tuned)
{
    const int stage = cla_stage_find(row->stage);
    memset(tuned, 0, sizeof *tuned);
    tuned->kernel = cla_kernel_find(row->kernel);
    if (stage < 0 || !tuned->kernel || (int)tuned->kernel->stage != stage
        || !cla_bucket_parse((cla_stage)stage, row->bucket, bucket)
        || !cla_config_parse(tuned->kernel, row->config, tuned->t)
        || !isfinite(row->time_us) || !(row->time_us > 0))
        return false;
    tuned->rank = row->rank > 0 ? row->rank : 0;
    tuned->time_us = row->time_us;
    tuned->spread_us = row->spread_us;
    tuned->samples = row->samples;
    tuned->effort = row->effort;
    tuned->verified = row->verified == 1;
    tuned->when = row->when;
    return true;
}

static bool is_current(const cla_store *store, const cla_row *row, const cla_kernel *kernel)
{
    char source[CLA_SOURCE_TEXT];
    cla_kernel_source_key(kernel, source);
    return strcmp(row->driver, store->key.driver) == 0 && strcmp(row->source, source) == 0;
}

static bool load_row(void *user, const cla_row *row)
{
    cla_store *store = user;
    cla_bucket bucket;
    cla_tuned tuned;
    if (!cla_row_read(row, &bucket, &tuned))
        return true;
    const cla_entry_kind kind =
        is_current(store, row, tuned.kernel) ? CLA_ENTRY_CURRENT : CLA_ENTRY_STALE;
    return cla_entries_add(&store->entries, &bucket, &tuned, kind, row->partial != 0);
}

static bool load_bad(void *user, const cla_bad_row *row)
{
    cla_store *store = user;
    const cla_kernel *kernel = cla_kernel_find(row->kernel);
    int t[CLA_MAX_TUNABLES];
    char source[CLA_SOURCE_TEXT];
    if (!kernel || !cla_config_parse(kernel, row->config, t))
        return true;
    cla_kernel_source_key(kernel, source);
    /* With new source the configuration may try again. */
    return strcmp(source, row->source) != 0 || cla_store_add_bad(store, kernel, t);
}

static void load_shipped(cla_store *store)
{
    for (const cla_seed *seed = cla_seeds; seed->kind; seed++) {
        const cla_row row = { .stage = seed->stage, .bucket = seed->bucket,
                              .kernel = seed->kernel, .config = seed->config,
                              .rank = 1, .time_us = 1 };
        cla_bucket bucket;
        cla_tuned tuned;
        if (strcmp(seed->kind, store->key.kind) == 0 && cla_row_read(&row, &bucket, &tuned))
            cla_entries_add(&store->entries, &bucket, &tuned, CLA_ENTRY_SHIPPED, false);
    }
}

/* A connection for reading, NULL: there is nothing to read. */
static cla_db *open_to_read(cla_store *store)
{
    char why_not[sizeof store->note];
    if (store->dir_state != CLA_CACHE_READY)
        return NULL;
    cla_db *db = cla_db_open(store->dir.path, false, why_not, sizeof why_not);
    if (!db && why_not[0])
        cla_store_say(store, "%s", why_not);
    return db;
}

static void say_unreadable(cla_store *store, const cla_db *db)
{
    cla_store_say(store, "cannot read all of %s/results.db: %s", store->dir.path,
                  cla_db_error(db));
}

void cla_store_load(cla_store *store)
{
    store->dir_state = cla_cache_dir_find(&store->dir, false);
    if (!cla_db_is_built_in())
        cla_store_say(store, "this build has no SQLite: tuning results are kept in memory only");
    else if (store->dir_state == CLA_CACHE_REFUSED)
        cla_store_say(store, "tuning results are kept in memory only: %s", store->dir.why_not);
    cla_db *db = open_to_read(store);
    if (db) {
        if (!cla_db_results(db, store->key.device, false, load_row, store)
            || !cla_db_quarantine(db, store->key.device, load_bad, store))
            say_unreadable(store, db);
        cla_db_close(db);
    }
    load_shipped(store);
    cla_entries_sort(&store->entries);
}

typedef struct reader {
    cla_store *store;
    const cla_bucket *bucket;
    cla_entries *out;
} reader;

static bool load_foreign_row(void *user, const cla_row *row)
{
    const reader *r = user;
    cla_bucket bucket;
    cla_tuned tuned;
    if (strcmp(row->kind, r->store->key.kind) != 0
        || strcmp(row->device, r->store->key.device) == 0 || !cla_row_read(row, &bucket, &tuned))
        return true;
    return cla_entries_add(r->out, &bucket, &tuned, CLA_ENTRY_FOREIGN, false);
}

void cla_store_load_foreign(cla_store *store, cla_entries *out)
{
    reader r = { store, NULL, out };
    cla_db *db = open_to_read(store);
    if (db && !cla_db_results(db, NULL, false, load_foreign_row, &r))
        say_unreadable(store, db);
    cla_db_close(db);
}

static bool load_trial(void *user, const cla_row *row)
{
    const reader *r = user;
    cla_bucket bucket;
    cla_tuned tuned;
    if (!cla_row_read(row, &bucket, &tuned) || cla_bucket_distance(&bucket, r->bucket) != 0
        || !is_current(r->store, row, tuned.kernel))
        return true;
    return cla_entries_add(r->out, &bucket, &tuned, CLA_ENTRY_CURRENT, row->partial != 0);
}

/* What memory holds beside the file is there because it could not be written. */
void cla_store_load_trials(cla_store *store, const cla_bucket *bucket, cla_entries *out)
{
    reader r = { store, bucket, out };
    for (int i = 0; i < store->entries.count; i++) {
        const cla_entry *e = &store->entries.at[i];
        if (e->kind == CLA_ENTRY_CURRENT && cla_bucket_distance(&e->bucket, bucket) == 0)
            cla_entries_add(out, &e->bucket, &e->tuned, e->kind, e->partial);
    }
    cla_db *db = open_to_read(store);
    if (db && !cla_db_results(db, store->key.device, true, load_trial, &r))
        say_unreadable(store, db);
    cla_db_close(db);
    cla_entries_sort(out);
}

/* ---- writing ---- */

cla_db *cla_store_open_to_write(cla_store *store)
{
    char why_not[sizeof store->note];
    if (store->db)
        return store->db;
    store->dir_state = cla_cache_dir_find(&store->dir, true);
    if (store->dir_state != CLA_CACHE_READY) {
        cla_store_say(store, "tuning results are kept in memory only: %s", store->dir.why_not);
        return NULL;
    }
    store->db = cla_db_open(store->dir.path, true, why_not, sizeof why_not);
    if (!store->db)
        cla_store_say(store, "tuning results are kept in memory only: %s", why_not);
    return store->db;
}

/* After a failure the next writing starts with a fresh connection, which looks at the file. */
bool cla_store_written(cla_store *store, bool ok)
{
    if (ok)
        return true;
    cla_store_say(store, "cannot write %s/results.db: %s", store->dir.path,
                  cla_db_error(store->db));
    cla_db_close(store->db);
    store->db = NULL;
    return false;
}

/* The texts of a row, which live as long as this does. */
typedef struct row_text {
    char bucket[CLA_BUCKET_TEXT], config[192], source[CLA_SOURCE_TEXT];
} row_text;

static cla_row row_of(const cla_store *store, const cla_bucket *bucket, const cla_tuned *tuned,
                      bool partial, row_text *text)
{
    cla_bucket_text(bucket, text->bucket, sizeof text->bucket);
    cla_config_text(tuned->kernel, tuned->t, text->config, sizeof text->config);
    cla_kernel_source_key(tuned->kernel, text->source);
    return (cla_row){
        .device = store->key.device,
        .driver = store->key.driver,
        .kind = store->key.kind,
        .stage = cla_stage_name(bucket->stage),
        .bucket = text->bucket,
        .kernel = tuned->kernel->name,
        .source = text->source,
        .config = text->config,
        .rank = tuned->rank,
        .partial = partial,
        .samples = tuned->samples,
        .effort = tuned->effort,
        .verified = tuned->verified,
        .time_us = tuned->time_us,
        .spread_us = tuned->spread_us,
        .when = tuned->when,
    };
}

static cla_tuned dated(const cla_tuned *tuned, int rank)
{
    cla_tuned copy = *tuned;
    copy.rank = rank;
    if (!copy.when)
        copy.when = (int64_t)time(NULL);
    return copy;
}

bool cla_store_add(cla_store *store, const cla_bucket *bucket, const cla_tuned *one)
{
    row_text text;
    if (!store)
        return false;
    const cla_tuned tuned = dated(one, 0);
    const cla_row row = row_of(store, bucket, &tuned, false, &text);
    cla_db *db = cla_store_open_to_write(store);
    if (db && cla_store_written(store, cla_db_put(db, &row)))
        return true;
    cla_entries_add(&store->entries, bucket, &tuned, CLA_ENTRY_CURRENT, false);
    cla_entries_sort(&store->entries);
    return false;
}

static bool write_finalists(cla_store *store, cla_db *db, const cla_bucket *bucket,
                            const cla_kernel *only, const cla_tuned *finalists, int count)
{
    row_text text;
    if (!cla_db_begin(db))
        return false;
    const cla_row like = row_of(store, bucket, &finalists[0], only != NULL, &text);
    bool ok = cla_db_demote(db, &like, only ? only->name : NULL);
    for (int i = 0; ok && i < count; i++) {
        const cla_tuned tuned = dated(&finalists[i], i + 1);
        const cla_row row = row_of(store, bucket, &tuned, only != NULL, &text);
        ok = cla_db_put(db, &row);
    }
    return cla_db_end(db, ok) && ok;
}

/* Takes the finalists of a bucket out of memory. */
static void forget(cla_store *store, const cla_bucket *bucket, const cla_kernel *only)
{
    int n = 0;
    for (int i = 0; i < store->entries.count; i++) {
        const cla_entry *e = &store->entries.at[i];
        if (e->kind != CLA_ENTRY_CURRENT || e->tuned.rank == 0
            || cla_bucket_distance(&e->bucket, bucket) != 0 || (only && e->tuned.kernel != only))
            store->entries.at[n++] = *e;
    }
    store->entries.count = n;
}

bool cla_store_record(cla_store *store, const cla_bucket *bucket, const cla_kernel *only,
                      const cla_tuned *finalists, int count)
{
    if (!store || count < 1)
        return false;
    forget(store, bucket, only);
    for (int i = 0; i < count; i++) {
        const cla_tuned tuned = dated(&finalists[i], i + 1);
        cla_entries_add(&store->entries, bucket, &tuned, CLA_ENTRY_CURRENT, only != NULL);
    }
    cla_entries_sort(&store->entries);
    cla_db *db = cla_store_open_to_write(store);
    return db
        && cla_store_written(store, write_finalists(store, db, bucket, only, finalists, count));
}
