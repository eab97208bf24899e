/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a device's tuning has found: kept in memory by each context, and in one file for all
 * processes of a user. Read once; the file is not touched again until something is recorded.
 *
 * No function here fails an operation. A missing, damaged, read-only, full or foreign file is
 * noted once in the context's log, and the context goes on with what it has in memory. Every
 * function takes a NULL store and then finds and keeps nothing.
 */
#ifndef CLA_STORE_H
#define CLA_STORE_H

#include "bucket.h"
#include "context.h"

typedef struct cla_store cla_store;

/* One configuration of one kernel, as timed for one bucket on one device. */
typedef struct cla_tuned {
    const cla_kernel *kernel;
    int t[CLA_MAX_TUNABLES];
    int rank;         /* 1: the best of its bucket, 2: the next; 0: timed, but no finalist */
    double time_us;   /* median; positive */
    double spread_us; /* median absolute deviation; 0: unknown */
    int samples;      /* behind the median */
    int effort;       /* the search's level, see clattn_effort; an equal or higher one stands */
    bool verified;    /* passed the correctness check with this driver and this source */
    int64_t when;     /* seconds since 1970; 0 on recording: now */
} cla_tuned;

/* The store of a context, loaded on first need; NULL only when memory is short. */
cla_store *cla_ctx_store(clattn_ctx *ctx);
void cla_store_free(cla_store **store);

/* Reads the file again, after another process has tuned. */
void cla_store_reload(cla_store *store);

const cla_device_key *cla_store_device(const cla_store *store);

/* The folder of the caches, "" for none; what is wrong with it, one sentence, "" for nothing. */
const char *cla_store_folder(const cla_store *store);
const char *cla_store_note(const cla_store *store);
/* How many finalists for this driver and source, and quarantined configurations, are known. */
int cla_store_count(const cla_store *store, int *quarantined);

/* ---- for the dispatcher: memory only, no file, no lock ---- */

/*
 * Verified finalists for this driver and this source, best first; returns how many (at most max).
 * near: those of the nearest bucket within two octaves, when the bucket itself has none. shipped:
 * those compiled into the library for devices of this kind, of the nearest bucket.
 * only: those of one kernel; NULL: of searches over all kernels.
 */
typedef enum cla_source { CLA_FROM_BUCKET, CLA_FROM_NEAR, CLA_FROM_SHIPPED } cla_source;
int cla_store_find(const cla_store *store, cla_source from, const cla_bucket *bucket,
                   const cla_kernel *only, cla_tuned *out, int max);

/* Has it crashed, hung or miscomputed on this device, with this source of the kernel? */
bool cla_store_quarantined(const cla_store *store, const cla_kernel *kernel, const int *t);

/* ---- for the tuner ---- */

/*
 * Where a search may start: results of this device under another driver or source, of nearby
 * buckets, shipped ones, and those of other devices of the kind; none quarantined, none twice,
 * verified is false. None of them may be used without a correctness check.
 */
int cla_store_seeds(cla_store *store, const cla_bucket *bucket, cla_tuned *out, int max);

/*
 * Everything timed before for this bucket with this driver and this source, finalists included: a
 * search that was broken off goes on from here. *list is to be freed; returns its length.
 */
int cla_store_trials(cla_store *store, const cla_bucket *bucket, cla_tuned **list);

/*
 * Writing: each call is one transaction, on disk when it returns true; false: in memory only, and
 * noted. add keeps one timing (rank 0). record replaces the finalists of the bucket by these, best
 * first with rank 1; only: just those of one kernel, NULL: all.
 */
bool cla_store_add(cla_store *store, const cla_bucket *bucket, const cla_tuned *one);
bool cla_store_record(cla_store *store, const cla_bucket *bucket, const cla_kernel *only,
                      const cla_tuned *finalists, int count);

/* reason: "crash", "hang", "wrong", "machine", or a sentence. Also drops every result of it. */
bool cla_store_quarantine(cla_store *store, const cla_kernel *kernel, const int *t,
                          const char *reason);

/*
 * Written and synced before a candidate runs for the first time, so that the next start knows what
 * was running when a process or the machine died. Returns a token, 0 when it cannot be kept.
 */
int64_t cla_store_trying(cla_store *store, const cla_kernel *kernel, const int *t);
void cla_store_tried(cla_store *store, int64_t token);

/*
 * Quarantines what was being tried when this machine died. A process that died, and not its worker,
 * may have been killed for other reasons: what was being tried then is quarantined when that
 * happens to it a second time. Returns how many were. Call it with the lock held: then no living
 * process tries anything on this device.
 */
int cla_store_recover(cla_store *store);

/*
 * At most one tuner per device: true while this store holds it; false: another process does.
 * Without a cache directory always true. Given back by unlock, free, and the end of the process.
 */
bool cla_store_lock(cla_store *store);
void cla_store_unlock(cla_store *store);

#endif
