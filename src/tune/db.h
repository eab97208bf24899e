/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file of tuning results, as texts: what a row means is known in store.c. An SQLite database
 * with a rollback journal, so that it works on network file systems too. Built without SQLite,
 * db_none.c answers.
 */
#ifndef CLA_DB_H
#define CLA_DB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct cla_db cla_db;

typedef struct cla_row {
    const char *device, *driver, *kind, *stage, *bucket, *kernel, *source, *config;
    int rank, partial, samples, effort, verified;
    double time_us, spread_us;
    int64_t when;
} cla_row;

typedef struct cla_bad_row {
    const char *device, *kernel, *source, *config, *reason;
    int64_t when;
} cla_bad_row;

/* Texts live during the call; false stops the walk. */
typedef bool (*cla_row_fn)(void *user, const cla_row *row);
typedef bool (*cla_bad_row_fn)(void *user, const cla_bad_row *row);

/* False: the build has no SQLite. */
bool cla_db_is_built_in(void);

/*
 * Opens results.db in a folder that has been checked. write: makes it, and puts a damaged one
 * aside. NULL: why_not says why, or is "" when there is no file yet.
 */
cla_db *cla_db_open(const char *folder, bool write, char *why_not, size_t size);
void cla_db_close(cla_db *db);

/* The sentence of the last failure. */
const char *cla_db_error(const cla_db *db);

/*
 * Results of a device, NULL: of all; with its rank 0 ones only when trials. Ordered by device,
 * operation, bucket and rank.
 */
bool cla_db_results(cla_db *db, const char *device, bool trials, cla_row_fn fn, void *user);
bool cla_db_quarantine(cla_db *db, const char *device, cla_bad_row_fn fn, void *user);

/* Between begin and end nothing is visible to others, and all of it or nothing stays. */
bool cla_db_begin(cla_db *db);
bool cla_db_end(cla_db *db, bool commit);

bool cla_db_put(cla_db *db, const cla_row *row);
/* What were finalists of this bucket are timings from now on; kernel NULL: of all kernels. */
bool cla_db_demote(cla_db *db, const cla_row *like, const char *kernel);
/* Drops results, quarantine and journal of a device, NULL: of all; empty texts fit everything. */
bool cla_db_clear(cla_db *db, const char *device);

/* Quarantines, and drops the results of the same configuration. */
bool cla_db_put_bad(cla_db *db, const cla_bad_row *row);

/* Where a process runs: the name of the machine, and which of its starts this is. */
typedef struct cla_place {
    char host[72], boot[40];
} cla_place;

/*
 * The journal of what is being tried; reason is not used. Returns a token, 0: failed. Removing it
 * clears the configuration of earlier suspicion, too.
 */
int64_t cla_db_put_trying(cla_db *db, const cla_bad_row *row, const cla_place *place);
bool cla_db_remove_trying(cla_db *db, int64_t token);
/*
 * Moves what was being tried here when the machine died into the quarantine, and what was when a
 * process died for the second time; the rest is suspect. Returns how many moved, -1: failed.
 */
int cla_db_recover(cla_db *db, const char *device, const cla_place *place);

#endif
