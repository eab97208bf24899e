/* SPDX-License-Identifier: Apache-2.0 */
/* What went wrong while tuning: the quarantine, the journal of what is being tried, the lock. */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "store_state.h"

/* ---- quarantine and journal ---- */

typedef struct bad_text {
    char config[192], source[CLA_SOURCE_TEXT];
} bad_text;

static cla_bad_row bad_row_of(const cla_store *store, const cla_kernel *kernel, const int *t,
                              const char *reason, bad_text *text)
{
    cla_config_text(kernel, t, text->config, sizeof text->config);
    cla_kernel_source_key(kernel, text->source);
    return (cla_bad_row){ store->key.device, kernel->name, text->source, text->config, reason,
                          (int64_t)time(NULL) };
}

bool cla_store_quarantine(cla_store *store, const cla_kernel *kernel, const int *t,
                          const char *reason)
{
    bad_text text;
    int n = 0;
    if (!store)
        return false;
    cla_store_add_bad(store, kernel, t);
    for (int i = 0; i < store->entries.count; i++) {
        const cla_tuned *tuned = &store->entries.at[i].tuned;
        if (!cla_store_quarantined(store, tuned->kernel, tuned->t))
            store->entries.at[n++] = store->entries.at[i];
    }
    store->entries.count = n;
    const cla_bad_row row = bad_row_of(store, kernel, t, reason, &text);
    cla_db *db = cla_store_open_to_write(store);
    if (!db || !cla_store_written(store, cla_db_begin(db)))
        return false;
    const bool ok = cla_db_put_bad(db, &row);
    return cla_store_written(store, cla_db_end(db, ok) && ok);
}

static cla_place this_place(void)
{
    cla_place place = { "", "" };
    FILE *f = fopen("/proc/sys/kernel/random/boot_id", "r");
    if (gethostname(place.host, sizeof place.host - 1))
        place.host[0] = '\0';
    if (f) {
        if (!fgets(place.boot, sizeof place.boot, f))
            place.boot[0] = '\0';
        fclose(f);
    }
    place.boot[strcspn(place.boot, "\n")] = '\0';
    return place;
}

int64_t cla_store_trying(cla_store *store, const cla_kernel *kernel, const int *t)
{
    bad_text text;
    cla_db *db = store ? cla_store_open_to_write(store) : NULL;
    if (!db)
        return 0;
    const cla_place place = this_place();
    const cla_bad_row row = bad_row_of(store, kernel, t, "", &text);
    const int64_t token = cla_db_put_trying(db, &row, &place);
    return cla_store_written(store, token != 0) ? token : 0;
}

void cla_store_tried(cla_store *store, int64_t token)
{
    cla_db *db = store && token ? cla_store_open_to_write(store) : NULL;
    if (db)
        cla_store_written(store, cla_db_remove_trying(db, token));
}

int cla_store_recover(cla_store *store)
{
    cla_db *db = store ? cla_store_open_to_write(store) : NULL;
    if (!db)
        return 0;
    const cla_place place = this_place();
    const int moved = cla_db_recover(db, store->key.device, &place);
    if (!cla_store_written(store, moved >= 0))
        return 0;
    if (moved > 0)
        cla_store_reload(store);
    return moved;
}

/* ---- one tuner per device ---- */

bool cla_store_lock(cla_store *store)
{
    char path[CLA_PATH + 48];
    if (!store || store->lock_fd >= 0)
        return true;
    store->dir_state = cla_cache_dir_find(&store->dir, true);
    if (store->dir_state != CLA_CACHE_READY)
        return true;
    snprintf(path, sizeof path, "%s/tune-%016" PRIx64 ".lock", store->dir.path,
             cla_mix_text(CLA_MIX_START, store->key.device));
    const int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return true;
    if (flock(fd, LOCK_EX | LOCK_NB)) {
        close(fd);
        return false;
    }
    store->lock_fd = fd;
    return true;
}

void cla_store_unlock(cla_store *store)
{
    if (!store || store->lock_fd < 0)
        return;
    close(store->lock_fd);
    store->lock_fd = -1;
}
