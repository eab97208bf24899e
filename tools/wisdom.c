/* SPDX-License-Identifier: Apache-2.0 */
/*
 * {"clattn_wisdom": 1, "version": "0.1.0", "results": [{"device": ..., "config": ...}, ...]}
 * Nothing in a file is trusted; the library looks at every value once more before it keeps it.
 */
#include "wisdom.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "report.h"

enum { FORMAT = 1, MAX_RESULTS = 1 << 16 };
#define MAX_FILE_BYTES ((size_t)64 << 20)

static bool append(struct wisdom *w, const clattn_result *result, int file)
{
    if (w->n == MAX_RESULTS)
        return false;
    if (w->n == w->room) {
        const size_t room = w->room ? 2 * w->room : 256;
        struct wisdom_entry *grown = realloc(w->entry, room * sizeof *grown);
        if (!grown)
            return false;
        w->entry = grown;
        w->room = room;
    }
    w->entry[w->n++] = (struct wisdom_entry){ *result, file };
    return true;
}

static int too_much(void)
{
    return fail(EXIT_INPUT, "more than %d results, or out of memory", MAX_RESULTS);
}

/* ---- reading ---- */

/* An integer from 0 to max, or a negative number. */
static json_int_t whole(const json_t *o, const char *key, json_int_t max)
{
    const json_t *value = json_object_get(o, key);
    const json_int_t n = json_integer_value(value);

    return json_is_integer(value) && n >= 0 && n <= max ? n : -1;
}

/* What is wrong with an entry; NULL: nothing that shows here. */
static const char *read_entry(const json_t *o, clattn_result *r)
{
    const json_int_t rank = whole(o, "rank", 1000), samples = whole(o, "samples", INT32_MAX),
                     effort = whole(o, "effort", 1000), when = whole(o, "when", INT64_MAX);
    const json_t *time = json_object_get(o, "time_us"), *spread = json_object_get(o, "spread_us");

    *r = (clattn_result){
        .device = json_string_value(json_object_get(o, "device")),
        .driver = json_string_value(json_object_get(o, "driver")),
        .kind = json_string_value(json_object_get(o, "kind")),
        .operation = json_string_value(json_object_get(o, "operation")),
        .bucket = json_string_value(json_object_get(o, "bucket")),
        .kernel = json_string_value(json_object_get(o, "kernel")),
        .source = json_string_value(json_object_get(o, "source")),
        .config = json_string_value(json_object_get(o, "config")),
        .rank = (int)rank,
        .samples = (int)samples,
        .effort = (int)effort,
        .when = when,
        .time_us = json_number_value(time),
        .spread_us = json_number_value(spread),
        .verified = json_is_true(json_object_get(o, "verified")),
        .one_kernel = json_is_true(json_object_get(o, "one_kernel")),
    };
    if (!json_is_object(o))
        return "it is no object";
    if (!r->device || !r->driver || !r->kind || !r->operation || !r->bucket || !r->kernel
        || !r->source || !r->config)
        return "one of device, driver, kind, operation, bucket, kernel, source and config is no "
               "text";
    if (rank < 0 || samples < 0 || effort < 0 || when < 0 || !json_is_number(time)
        || !json_is_number(spread))
        return "one of rank, samples, effort, when, time_us and spread_us is no number that makes "
               "sense";
    return NULL;
}

/* The document of a file; NULL: fail() was called. */
static json_t *load(const char *path)
{
    json_error_t error;
    FILE *f = fopen(path, "rb");

    if (!f) {
        fail(EXIT_INPUT, "cannot read %s: %s", path, strerror(errno));
        return NULL;
    }
    const bool sized = fseek(f, 0, SEEK_END) == 0;
    const long size = sized ? ftell(f) : -1;
    if (size < 0 || (size_t)size > MAX_FILE_BYTES || fseek(f, 0, SEEK_SET)) {
        fail(EXIT_INPUT, "%s is no regular file of at most %zu MB", path, MAX_FILE_BYTES >> 20);
        fclose(f);
        return NULL;
    }
    json_t *document = json_loadf(f, JSON_REJECT_DUPLICATES, &error);
    fclose(f);
    if (!document)
        fail(EXIT_INPUT, "%s: line %d: %s", path, error.line, error.text);
    return document;
}

int wisdom_load(struct wisdom *w, const char *path)
{
    if (w->files == MAX_WISDOM_FILES)
        return fail(EXIT_USAGE, "more than %d files", MAX_WISDOM_FILES);
    json_t *document = load(path);
    if (!document)
        return EXIT_INPUT;
    w->document[w->files++] = document;
    const json_t *results = json_object_get(document, "results");
    const json_t *format = json_object_get(document, "clattn_wisdom");
    if (!json_is_integer(format) || !json_is_array(results))
        return fail(EXIT_INPUT, "%s is no file of tuning results", path);
    if (json_integer_value(format) != FORMAT)
        return fail(EXIT_INPUT, "%s is of format %lld, this clattn knows format %d", path,
                    (long long)json_integer_value(format), FORMAT);
    for (size_t i = 0; i < json_array_size(results); i++) {
        clattn_result r;
        const char *why = read_entry(json_array_get(results, i), &r);
        if (why) {
            w->refused++;
            w->why = w->why ? w->why : why;
        } else if (!append(w, &r, w->files - 1)) {
            return too_much();
        }
    }
    return EXIT_OK;
}

int wisdom_take(struct wisdom *w, const clattn_results *store)
{
    const clattn_result *r;

    for (int i = 0; (r = clattn_results_get(store, i)); i++)
        if (!append(w, r, -1))
            return too_much();
    return EXIT_OK;
}

/* ---- merging ---- */

static int compare_search(const clattn_result *a, const clattn_result *b)
{
    int order = strcmp(a->device, b->device);

    if (!order)
        order = strcmp(a->driver, b->driver);
    if (!order)
        order = strcmp(a->operation, b->operation);
    return order ? order : strcmp(a->bucket, b->bucket);
}

static int compare(const void *pa, const void *pb)
{
    const struct wisdom_entry *a = pa, *b = pb;
    const int order = compare_search(&a->result, &b->result);

    if (order)
        return order;
    return a->file != b->file ? a->file - b->file : a->result.rank - b->result.rank;
}

/* Is the search that starts with a better than that with b? */
static bool better(const clattn_result *a, const clattn_result *b)
{
    return a->effort != b->effort ? a->effort > b->effort : a->time_us < b->time_us;
}

/* The file of the best search among the entries of one bucket. */
static int best_file(const struct wisdom_entry *entry, size_t n)
{
    size_t best = 0;

    for (size_t i = 1; i < n; i++)
        if (entry[i].file != entry[i - 1].file && better(&entry[i].result, &entry[best].result))
            best = i;
    return entry[best].file;
}

void wisdom_merge(struct wisdom *w)
{
    size_t kept = 0;

    if (w->n)
        qsort(w->entry, w->n, sizeof *w->entry, compare);
    for (size_t i = 0, n; i < w->n; i += n) {
        for (n = 1; i + n < w->n; n++)
            if (compare_search(&w->entry[i].result, &w->entry[i + n].result) != 0)
                break;
        const int file = best_file(w->entry + i, n);
        for (size_t k = i; k < i + n; k++)
            if (w->entry[k].file == file)
                w->entry[kept++] = w->entry[k];
    }
    w->n = kept;
}

/* ---- writing ---- */

static json_t *entry_json(const clattn_result *r)
{
    json_t *o = json_object();

    json_text(o, "device", r->device);
    json_text(o, "driver", r->driver);
    json_text(o, "kind", r->kind);
    json_text(o, "operation", r->operation);
    json_text(o, "bucket", r->bucket);
    json_text(o, "kernel", r->kernel);
    json_text(o, "source", r->source);
    json_text(o, "config", r->config);
    json_number(o, "rank", r->rank);
    json_object_set_new(o, "one_kernel", json_boolean(r->one_kernel));
    json_object_set_new(o, "verified", json_boolean(r->verified));
    json_number(o, "time_us", r->time_us);
    json_number(o, "spread_us", r->spread_us);
    json_number(o, "samples", r->samples);
    json_number(o, "effort", r->effort);
    json_object_set_new(o, "when", json_integer(r->when));
    return o;
}

json_t *wisdom_json(const struct wisdom *w)
{
    json_t *document = json_object(), *results = json_array();

    json_number(document, "clattn_wisdom", FORMAT);
    json_text(document, "version", clattn_version());
    for (size_t i = 0; i < w->n; i++)
        json_array_append_new(results, entry_json(&w->entry[i].result));
    json_object_set_new(document, "results", results);
    return document;
}

void wisdom_free(struct wisdom *w)
{
    for (int i = 0; i < w->files; i++)
        json_decref(w->document[i]);
    free(w->entry);
    *w = (struct wisdom){ 0 };
}
