/* SPDX-License-Identifier: Apache-2.0 */
/* Tuning results in SQLite. Every value is bound, none is ever put into a statement. */
#include "db.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "cache_dir.h"

enum {
    APPLICATION_ID = 0x434c5454, /* "CLTT" */
    SCHEMA_VERSION = 1,
    WRITE_POLLS = 10000,   /* of a millisecond: other writers need some milliseconds each */
    READ_POLLS = 3000,     /* an operation waits for this: rather no results than a long wait */
    MAX_TEXT = 1 << 16,    /* bytes of a value; a longer one is damage */
    MAX_SENTENCE = CLA_PATH + 256,
};

struct cla_db {
    sqlite3 *sql;
    bool damaged;
    char error[MAX_SENTENCE];
};

static const char schema[] =
    "CREATE TABLE result(device TEXT NOT NULL, driver TEXT NOT NULL, kind TEXT NOT NULL,"
    " stage TEXT NOT NULL, bucket TEXT NOT NULL, kernel TEXT NOT NULL, source TEXT NOT NULL,"
    " config TEXT NOT NULL, rank INTEGER NOT NULL, partial INTEGER NOT NULL,"
    " time_us REAL NOT NULL, spread_us REAL NOT NULL, samples INTEGER NOT NULL,"
    " effort INTEGER NOT NULL, verified INTEGER NOT NULL, at INTEGER NOT NULL,"
    " PRIMARY KEY(device, stage, bucket, kernel, config, driver, source)) WITHOUT ROWID;"
    "CREATE INDEX finalist ON result(device) WHERE rank>0;"
    "CREATE TABLE quarantine(device TEXT NOT NULL, kernel TEXT NOT NULL, source TEXT NOT NULL,"
    " config TEXT NOT NULL, reason TEXT NOT NULL, at INTEGER NOT NULL,"
    " PRIMARY KEY(device, kernel, source, config)) WITHOUT ROWID;"
    "CREATE TABLE trying(token INTEGER PRIMARY KEY, device TEXT NOT NULL, kernel TEXT NOT NULL,"
    " source TEXT NOT NULL, config TEXT NOT NULL, host TEXT NOT NULL, boot TEXT NOT NULL,"
    " at INTEGER NOT NULL);";

bool cla_db_is_built_in(void)
{
    return true;
}

const char *cla_db_error(const cla_db *db)
{
    return db->error;
}

static bool failed(cla_db *db)
{
    const int e = sqlite3_errcode(db->sql) & 0xff;
    db->damaged = e == SQLITE_CORRUPT || e == SQLITE_NOTADB;
    snprintf(db->error, sizeof db->error, "%s", sqlite3_errmsg(db->sql));
    return false;
}

/* ---- statements ---- */

/* types: s text, i int, l int64, d double. NULL: failed. */
static sqlite3_stmt *prepare_v(cla_db *db, const char *text, const char *types, va_list args)
{
    sqlite3_stmt *s = NULL;
    if (sqlite3_prepare_v2(db->sql, text, -1, &s, NULL) != SQLITE_OK) {
        failed(db);
        return NULL;
    }
    for (int i = 1; *types; types++, i++)
        switch (*types) {
        case 's': sqlite3_bind_text(s, i, va_arg(args, const char *), -1, SQLITE_STATIC); break;
        case 'i': sqlite3_bind_int(s, i, va_arg(args, int)); break;
        case 'l': sqlite3_bind_int64(s, i, va_arg(args, int64_t)); break;
        default: sqlite3_bind_double(s, i, va_arg(args, double)); break;
        }
    return s;
}

static sqlite3_stmt *prepare(cla_db *db, const char *text, const char *types, ...)
{
    va_list args;
    va_start(args, types);
    sqlite3_stmt *s = prepare_v(db, text, types, args);
    va_end(args);
    return s;
}

static bool run(cla_db *db, const char *text, const char *types, ...)
{
    va_list args;
    va_start(args, types);
    sqlite3_stmt *s = prepare_v(db, text, types, args);
    va_end(args);
    if (!s)
        return false;
    const int e = sqlite3_step(s);
    const bool ok = e == SQLITE_DONE || e == SQLITE_ROW || failed(db);
    sqlite3_finalize(s);
    return ok;
}

static bool read_int(cla_db *db, const char *text, int *value)
{
    sqlite3_stmt *s = prepare(db, text, "");
    const bool ok = s && (sqlite3_step(s) == SQLITE_ROW || failed(db));
    if (ok)
        *value = sqlite3_column_int(s, 0);
    sqlite3_finalize(s);
    return ok;
}

/* NULL columns, which the schema forbids, are damage: read as "". Or memory ran out: tell_row(). */
static const char *column(sqlite3_stmt *s, int i)
{
    const char *text = (const char *)sqlite3_column_text(s, i);
    return text ? text : "";
}

/* ---- opening ---- */

/*
 * Somebody else has the file. SQLite's own waiting grows to 0.1 s a step, and so sleeps through the
 * gaps that a busy writer leaves.
 */
static int wait_a_little(void *most, int polls)
{
    const struct timespec pause = { 0, 1000000 };
    nanosleep(&pause, NULL);
    return polls < *(const int *)most;
}

static void harden(sqlite3 *sql, bool write)
{
    static const int most[] = { READ_POLLS, WRITE_POLLS };
    int is;
    sqlite3_busy_handler(sql, wait_a_little, (void *)&most[write]);
    sqlite3_limit(sql, SQLITE_LIMIT_LENGTH, MAX_TEXT);
    sqlite3_db_config(sql, SQLITE_DBCONFIG_DEFENSIVE, 1, &is);
    sqlite3_db_config(sql, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, &is);
    /* Fewer waits for the disk while the file is locked; what a power cut may do is handled. */
    sqlite3_exec(sql, "PRAGMA synchronous=NORMAL; PRAGMA journal_mode=TRUNCATE", NULL, NULL, NULL);
}

/* No table and nobody's mark. */
static bool read_empty(cla_db *db, bool *empty)
{
    int tables = 0, id = 0;
    const bool ok = read_int(db, "SELECT count(*) FROM sqlite_master", &tables)
                 && read_int(db, "PRAGMA application_id", &id);
    *empty = tables == 0 && id == 0;
    return ok;
}

static bool create_schema(cla_db *db)
{
    bool empty = false;
    char ids[96];
    snprintf(ids, sizeof ids, "PRAGMA application_id=%d; PRAGMA user_version=%d;", APPLICATION_ID,
             SCHEMA_VERSION);
    /* Another process may have been first. */
    if (!run(db, "BEGIN IMMEDIATE", ""))
        return false;
    bool ok = read_empty(db, &empty);
    if (ok && empty)
        ok = (sqlite3_exec(db->sql, schema, NULL, NULL, NULL) == SQLITE_OK
              && sqlite3_exec(db->sql, ids, NULL, NULL, NULL) == SQLITE_OK)
          || failed(db);
    return cla_db_end(db, ok) && ok;
}

/* Looks at every page. */
static bool is_sound(cla_db *db)
{
    sqlite3_stmt *s = prepare(db, "PRAGMA quick_check(1)", "");
    const bool read = s && (sqlite3_step(s) == SQLITE_ROW || failed(db));
    const bool sound = read && strcmp(column(s, 0), "ok") == 0;
    if (read && !sound) {
        snprintf(db->error, sizeof db->error, "%.200s", column(s, 0));
        db->damaged = true;
    }
    sqlite3_finalize(s);
    return sound;
}

/* Is it a results file of this version? An empty one becomes one when write. */
static bool check_file(cla_db *db, const char *path, bool write)
{
    int id = 0, version = 0;
    bool empty = false;
    if (!read_empty(db, &empty) || (empty && write && !create_schema(db)))
        return false;
    if (empty && !write)
        return false; /* another process is about to fill it */
    if (!read_int(db, "PRAGMA application_id", &id)
        || !read_int(db, "PRAGMA user_version", &version))
        return false;
    if (id == APPLICATION_ID && version == SCHEMA_VERSION)
        return !write || is_sound(db);
    snprintf(db->error, sizeof db->error,
             id == APPLICATION_ID ? "%s was written by a newer clattn (version %d of its tables)"
                                  : "%s is no file of tuning results",
             path, version);
    return false;
}

/* NULL: error says why, *damaged whether the file can be thrown away. */
static cla_db *open_file(const char *path, bool write, char *error, bool *damaged)
{
    cla_db *db = calloc(1, sizeof *db);
    *damaged = false;
    if (!db) {
        snprintf(error, MAX_SENTENCE, "out of host memory");
        return NULL;
    }
    /* A journal that a killed process left behind can be played back only with the right to write;
     * without that right the file may still be readable. */
    int e = sqlite3_open_v2(path, &db->sql,
                            SQLITE_OPEN_READWRITE | (write ? SQLITE_OPEN_CREATE : 0), NULL);
    if (e == SQLITE_CANTOPEN && !write) {
        sqlite3_close(db->sql);
        e = sqlite3_open_v2(path, &db->sql, SQLITE_OPEN_READONLY, NULL);
    }
    if (e == SQLITE_OK) {
        harden(db->sql, write);
        if (check_file(db, path, write))
            return db;
        *damaged = db->damaged;
    } else if (db->sql) {
        failed(db);
    } else {
        snprintf(db->error, sizeof db->error, "%s", sqlite3_errstr(e));
    }
    snprintf(error, MAX_SENTENCE, "%s", db->error);
    cla_db_close(db);
    return NULL;
}

/*
 * Moves a damaged file aside, one process at a time: it looks again while it holds the lock, for
 * another one may have put a good file there meanwhile.
 */
static void set_aside(const char *folder, const char *path)
{
    char lock[CLA_PATH + 32], bad[CLA_PATH + 32], journal[CLA_PATH + 64], error[MAX_SENTENCE];
    bool damaged;
    snprintf(journal, sizeof journal, "%s-journal", path);
    snprintf(lock, sizeof lock, "%s/repair.lock", folder);
    snprintf(bad, sizeof bad, "%s/results.db.damaged", folder);
    const int fd = open(lock, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return;
    if (flock(fd, LOCK_EX) == 0) {
        cla_db *db = open_file(path, true, error, &damaged);
        if (!db && damaged) {
            unlink(journal); /* it must never be played back into the next file */
            rename(path, bad);
        }
        cla_db_close(db);
    }
    close(fd);
}

cla_db *cla_db_open(const char *folder, bool write, char *why_not, size_t size)
{
    char path[CLA_PATH + 32], error[MAX_SENTENCE] = "";
    bool damaged = false;
    snprintf(path, sizeof path, "%s/results.db", folder);
    why_not[0] = '\0';
    const cla_cache_state state = cla_cache_file_check(path, why_not, size);
    if (state == CLA_CACHE_REFUSED || (state == CLA_CACHE_MISSING && !write))
        return NULL;
    cla_db *db = open_file(path, write, error, &damaged);
    if (!db && damaged && write) {
        set_aside(folder, path);
        db = open_file(path, write, error, &damaged);
    }
    if (!db && error[0])
        snprintf(why_not, size, "cannot use %s: %s", path, error);
    return db;
}

void cla_db_close(cla_db *db)
{
    if (!db)
        return;
    sqlite3_close(db->sql);
    free(db);
}

/* ---- reading ---- */

static bool lacks_memory(cla_db *db)
{
    return (sqlite3_errcode(db->sql) & 0xff) == SQLITE_NOMEM;
}

/* Who is told of the rows of a statement. */
typedef struct listener {
    cla_row_fn row;
    cla_bad_row_fn bad_row;
    void *user;
} listener;

/* Not of a row that memory was lacking for. */
static bool tell_row(cla_db *db, const listener *to, sqlite3_stmt *s)
{
    const cla_row row = {
        .device = column(s, 0),
        .driver = column(s, 1),
        .kind = column(s, 2),
        .stage = column(s, 3),
        .bucket = column(s, 4),
        .kernel = column(s, 5),
        .source = column(s, 6),
        .config = column(s, 7),
        .rank = sqlite3_column_int(s, 8),
        .partial = sqlite3_column_int(s, 9),
        .time_us = sqlite3_column_double(s, 10),
        .spread_us = sqlite3_column_double(s, 11),
        .samples = sqlite3_column_int(s, 12),
        .effort = sqlite3_column_int(s, 13),
        .verified = sqlite3_column_int(s, 14),
        .when = sqlite3_column_int64(s, 15),
    };
    return !lacks_memory(db) && to->row(to->user, &row);
}

static bool tell_bad_row(cla_db *db, const listener *to, sqlite3_stmt *s)
{
    const cla_bad_row row = {
        .device = column(s, 0),
        .kernel = column(s, 1),
        .source = column(s, 2),
        .config = column(s, 3),
        .reason = column(s, 4),
        .when = sqlite3_column_int64(s, 5),
    };
    return !lacks_memory(db) && to->bad_row(to->user, &row);
}

/* The statement's only parameter is a device, "" for all. */
static bool walk(cla_db *db, const char *text, const char *device, const listener *to)
{
    sqlite3_stmt *s = prepare(db, text, "s", device ? device : "");
    int e = SQLITE_ERROR;
    bool go_on = s != NULL;
    while (go_on && (e = sqlite3_step(s)) == SQLITE_ROW)
        go_on = to->row ? tell_row(db, to, s) : tell_bad_row(db, to, s);
    const bool ok = s && ((!go_on && !lacks_memory(db)) || e == SQLITE_DONE || failed(db));
    sqlite3_finalize(s);
    return ok;
}

bool cla_db_results(cla_db *db, const char *device, bool trials, cla_row_fn fn, void *user)
{
    const listener to = { fn, NULL, user };
    char text[512];
    snprintf(text, sizeof text,
             "SELECT device, driver, kind, stage, bucket, kernel, source, config, rank, partial,"
             " time_us, spread_us, samples, effort, verified, at FROM result WHERE %s AND %s"
             " ORDER BY device, stage, bucket, rank, time_us",
             device ? "device=?" : "?=''", trials ? "1" : "rank>0");
    return walk(db, text, device, &to);
}

bool cla_db_quarantine(cla_db *db, const char *device, cla_bad_row_fn fn, void *user)
{
    const listener to = { NULL, fn, user };
    return walk(db,
                "SELECT device, kernel, source, config, reason, at FROM quarantine"
                " WHERE ?1='' OR device=?1",
                device, &to);
}

/* ---- writing ---- */

bool cla_db_begin(cla_db *db)
{
    return run(db, "BEGIN IMMEDIATE", "");
}

bool cla_db_end(cla_db *db, bool commit)
{
    if (commit && run(db, "COMMIT", ""))
        return true;
    /* The sentence of what failed is worth more than that of the rollback. */
    sqlite3_exec(db->sql, "ROLLBACK", NULL, NULL, NULL);
    return false;
}

bool cla_db_put(cla_db *db, const cla_row *r)
{
    return run(db,
               "INSERT OR REPLACE INTO result(device, driver, kind, stage, bucket, kernel, source,"
               " config, rank, partial, time_us, spread_us, samples, effort, verified, at)"
               " VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
               "ssssssssiiddiiil", r->device, r->driver, r->kind, r->stage, r->bucket, r->kernel,
               r->source, r->config, r->rank, r->partial, r->time_us, r->spread_us, r->samples,
               r->effort, r->verified, r->when);
}

bool cla_db_demote(cla_db *db, const cla_row *like, const char *kernel)
{
    return run(db,
               "UPDATE result SET rank=0, partial=0 WHERE device=? AND driver=? AND stage=?"
               " AND bucket=? AND rank>0 AND (?5='' OR kernel=?5)",
               "sssss", like->device, like->driver, like->stage, like->bucket,
               kernel ? kernel : "");
}

bool cla_db_clear(cla_db *db, const char *device)
{
    const char *which = device ? device : "";
    return run(db, "DELETE FROM result WHERE ?1='' OR device=?1", "s", which)
        && run(db, "DELETE FROM trying WHERE ?1='' OR device=?1", "s", which)
        && run(db, "DELETE FROM quarantine WHERE ?1='' OR device=?1", "s", which);
}

bool cla_db_put_bad(cla_db *db, const cla_bad_row *r)
{
    return run(db,
               "INSERT OR REPLACE INTO quarantine(device, kernel, source, config, reason, at)"
               " VALUES(?,?,?,?,?,?)",
               "sssssl", r->device, r->kernel, r->source, r->config, r->reason, r->when)
        && run(db, "DELETE FROM result WHERE device=? AND kernel=? AND source=? AND config=?",
               "ssss", r->device, r->kernel, r->source, r->config);
}

/* ---- the journal ---- */

int64_t cla_db_put_trying(cla_db *db, const cla_bad_row *r, const cla_place *place)
{
    /* This row must be there after the machine has died. */
    const bool ok = run(db, "PRAGMA synchronous=FULL", "")
                 && run(db,
                        "INSERT INTO trying(device, kernel, source, config, host, boot, at)"
                        " VALUES(?,?,?,?,?,?,?)",
                        "ssssssl", r->device, r->kernel, r->source, r->config, place->host,
                        place->boot, r->when);
    const int64_t token = ok ? sqlite3_last_insert_rowid(db->sql) : 0;
    return run(db, "PRAGMA synchronous=NORMAL", "") ? token : 0;
}

/* It lives: what was held against it before is forgotten. */
bool cla_db_remove_trying(cla_db *db, int64_t token)
{
    return run(db,
               "DELETE FROM trying WHERE (device, host, kernel, source, config)"
               " = (SELECT device, host, kernel, source, config FROM trying WHERE token=?)",
               "l", token);
}

/* In place of the boot: it was under way when a process died before. */
static const char suspect[] = "suspect";

/* Where a boot is not known, "", nothing tells that it was the machine that died. */
static bool move_to_quarantine(cla_db *db, const char *device, const cla_place *place, int *moved)
{
    const bool ok =
        run(db,
            "INSERT OR REPLACE INTO quarantine(device, kernel, source, config, reason, at)"
            " SELECT device, kernel, source, config,"
            " CASE WHEN boot IN (?3, '') OR ?3='' THEN 'crash' ELSE 'machine' END, at FROM trying t"
            " WHERE device=?1 AND host=?2 AND boot<>?4"
            " AND ((boot NOT IN (?3, '') AND ?3<>'') OR EXISTS"
            " (SELECT 1 FROM trying s WHERE s.device=t.device AND s.host=t.host AND s.boot=?4"
            " AND s.kernel=t.kernel AND s.source=t.source AND s.config=t.config))",
            "ssss", device, place->host, place->boot, suspect);
    *moved = ok ? sqlite3_changes(db->sql) : 0;
    return ok;
}

/* Results and journal of what is in the quarantine. */
static bool drop_quarantined(cla_db *db, const char *device)
{
    static const char *const texts[] = {
        "DELETE FROM result WHERE device=?1 AND EXISTS (SELECT 1 FROM quarantine q WHERE"
        " q.device=?1 AND q.kernel=result.kernel AND q.source=result.source"
        " AND q.config=result.config)",
        "DELETE FROM trying WHERE device=?1 AND EXISTS (SELECT 1 FROM quarantine q WHERE"
        " q.device=?1 AND q.kernel=trying.kernel AND q.source=trying.source"
        " AND q.config=trying.config)",
    };
    return run(db, texts[0], "s", device) && run(db, texts[1], "s", device);
}

int cla_db_recover(cla_db *db, const char *device, const cla_place *place)
{
    int moved = 0;
    if (!cla_db_begin(db))
        return -1;
    const bool ok = move_to_quarantine(db, device, place, &moved)
                 && (moved == 0 || drop_quarantined(db, device))
                 && run(db, "UPDATE trying SET boot=?3 WHERE device=?1 AND host=?2", "sss", device,
                        place->host, suspect);
    return cla_db_end(db, ok) && ok ? moved : -1;
}
