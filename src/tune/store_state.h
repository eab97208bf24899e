/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of a store: store.c looks things up in it, store_file.c brings them from the file. */
#ifndef CLA_STORE_STATE_H
#define CLA_STORE_STATE_H

#include "cache_dir.h"
#include "db.h"
#include "store.h"

/* Where an entry came from, best first. */
typedef enum cla_entry_kind {
    CLA_ENTRY_CURRENT, /* this device, driver and source */
    CLA_ENTRY_STALE,   /* this device, another driver or source */
    CLA_ENTRY_SHIPPED, /* compiled in, for devices of this kind */
    CLA_ENTRY_FOREIGN, /* another device of this kind */
} cla_entry_kind;

typedef struct cla_entry {
    uint64_t fixed, whole; /* hashes of the bucket's functional part and of all of it */
    cla_bucket bucket;
    cla_tuned tuned;
    cla_entry_kind kind;
    bool partial; /* of a search over one kernel */
} cla_entry;

/* Sorted by fixed, whole, kind and rank. */
typedef struct cla_entries {
    cla_entry *at;
    int count, room;
} cla_entries;

typedef struct cla_bad {
    const cla_kernel *kernel;
    int t[CLA_MAX_TUNABLES];
} cla_bad;

struct cla_store {
    clattn_ctx *ctx;
    cla_device_key key;
    cla_entries entries;
    cla_bad *bad;
    int num_bad, room_bad;

    cla_cache_dir dir;
    cla_cache_state dir_state;
    cla_db *db;  /* open from the first writing on */
    int lock_fd; /* -1: not held */
    char note[CLA_PATH + 256];
};

/* A result compiled into the library. */
typedef struct cla_seed {
    const char *kind, *stage, *bucket, *kernel, *config;
} cla_seed;
extern const cla_seed cla_seeds[]; /* kind NULL ends */

/* Results this far from a bucket still help: the axes together, in octaves. */
#define CLA_NEAR_OCTAVES 2.0
/* A file that holds more for one device than this is damaged or hostile. */
enum { CLA_MAX_ENTRIES = 1 << 16 };

/* Keeps the first sentence and logs it. */
void cla_store_say(cla_store *store, const char *fmt, ...) CLA_PRINTF(2, 3);

/* False: out of memory or full; then the entry is left out. */
bool cla_entries_add(cla_entries *list, const cla_bucket *bucket, const cla_tuned *tuned,
                     cla_entry_kind kind, bool partial);
void cla_entries_sort(cla_entries *list);

/* A row in the words of this build; false: it names something that does not exist (any more). */
bool cla_row_read(const cla_row *row, cla_bucket *bucket, cla_tuned *tuned);

bool cla_store_add_bad(cla_store *store, const cla_kernel *kernel, const int *t);

/* Memory from the file: results and quarantine of this device, shipped results. */
void cla_store_load(cla_store *store);

/* The connection for writing; NULL: noted, and memory has to do. */
cla_db *cla_store_open_to_write(cla_store *store);

/* Passes ok on; notes a failure. */
bool cla_store_written(cla_store *store, bool ok);

/* Results of other devices of this kind, and everything timed for one bucket. */
void cla_store_load_foreign(cla_store *store, cla_entries *out);
void cla_store_load_trials(cla_store *store, const cla_bucket *bucket, cla_entries *out);

#endif
