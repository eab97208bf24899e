/* SPDX-License-Identifier: Apache-2.0 */
/* Data on stdout: JSON, aligned tables, numbers for people. */
#ifndef REPORT_H
#define REPORT_H

#include <jansson.h>
#include <stddef.h>

/* Adds a number: an integer if it is one, null if JSON cannot say it (NaN, infinity). */
void json_number(json_t *object, const char *key, double x);
void json_text(json_t *object, const char *key, const char *text);

/* Prints on one line (an array: one element a line) and frees. */
void json_print(json_t *value);

/* "12.3 KiB", "812 us", "1.23 ms"; each in one of eight static buffers. */
const char *bytes_text(double bytes);
const char *time_text(double us);

/* Rows of left-aligned cells, in columns as wide as their widest cell; the last is not padded. */
enum { MAX_COLUMNS = 12, MAX_CELL = 128 };
struct table {
    int columns, rows, room;
    char (*cells)[MAX_CELL]; /* row after row */
};

/* Adds one row of columns texts. When memory is short the row is left out. */
void table_row(struct table *t, const char *const *texts);

/* Prints and frees. */
void table_print(struct table *t);

#endif
