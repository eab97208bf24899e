/* SPDX-License-Identifier: Apache-2.0 */
/* Built without SQLite: nothing is kept between runs. */
#include <stdio.h>

#include "db.h"

bool cla_db_is_built_in(void)
{
    return false;
}

cla_db *cla_db_open(const char *folder, bool write, char *why_not, size_t size)
{
    (void)folder, (void)write;
    snprintf(why_not, size, "this build has no SQLite: tuning results are kept in memory only");
    return NULL;
}

void cla_db_close(cla_db *db)
{
    (void)db;
}

const char *cla_db_error(const cla_db *db)
{
    (void)db;
    return "";
}

bool cla_db_results(cla_db *db, const char *device, bool trials, cla_row_fn fn, void *user)
{
    (void)db, (void)device, (void)trials, (void)fn, (void)user;
    return false;
}

bool cla_db_quarantine(cla_db *db, const char *device, cla_bad_row_fn fn, void *user)
{
    (void)db, (void)device, (void)fn, (void)user;
    return false;
}

bool cla_db_begin(cla_db *db)
{
    (void)db;
    return false;
}

bool cla_db_end(cla_db *db, bool commit)
{
    (void)db, (void)commit;
    return false;
}

bool cla_db_put(cla_db *db, const cla_row *row)
{
    (void)db, (void)row;
    return false;
}

bool cla_db_demote(cla_db *db, const cla_row *like, const char *kernel)
{
    (void)db, (void)like, (void)kernel;
    return false;
}

bool cla_db_clear(cla_db *db, const char *device)
{
    (void)db, (void)device;
    return false;
}

bool cla_db_put_bad(cla_db *db, const cla_bad_row *row)
{
    (void)db, (void)row;
    return false;
}

int64_t cla_db_put_trying(cla_db *db, const cla_bad_row *row, const cla_place *place)
{
    (void)db, (void)row, (void)place;
    return 0;
}

bool cla_db_remove_trying(cla_db *db, int64_t token)
{
    (void)db, (void)token;
    return false;
}

int cla_db_recover(cla_db *db, const char *device, const cla_place *place)
{
    (void)db, (void)device, (void)place;
    return -1;
}
