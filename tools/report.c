/* SPDX-License-Identifier: Apache-2.0 */
/* Formats results. */
#include "report.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

void json_number(json_t *object, const char *key, double x)
{
    json_t *value = !isfinite(x)                       ? json_null()
                    : x == rint(x) && fabs(x) < 0x1p53 ? json_integer((json_int_t)x)
                                                       : json_real(x);

    json_object_set_new(object, key, value);
}

void json_text(json_t *object, const char *key, const char *text)
{
    /* Device names come from drivers; what is not UTF-8 is not text that JSON can hold. */
    json_t *value = json_string(text);

    json_object_set_new(object, key, value ? value : json_string("?"));
}

static void print_line(const json_t *value, const char *end)
{
    json_dumpf(value, stdout, JSON_REAL_PRECISION(9) | JSON_ENCODE_ANY);
    fputs(end, stdout);
}

void json_print(json_t *value)
{
    const size_t n = json_array_size(value);

    if (json_is_array(value)) {
        puts("[");
        for (size_t i = 0; i < n; i++)
            print_line(json_array_get(value, i), i + 1 < n ? ",\n" : "\n");
        puts("]");
    } else {
        print_line(value, "\n");
    }
    fflush(stdout);
    json_decref(value);
}

static char *text_buffer(void)
{
    static char texts[8][32];
    static unsigned turn;

    return texts[turn++ % 8];
}

/* Three digits that count. */
static const char *number_text(double x, const char *unit)
{
    char *text = text_buffer();

    snprintf(text, sizeof(char[32]), "%.*f %s", x >= 100 || x == 0 ? 0 : x >= 10 ? 1 : 2, x, unit);
    return text;
}

const char *bytes_text(double bytes)
{
    static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB" };
    int i = 0;

    for (; bytes >= 1024 && i < 4; i++)
        bytes /= 1024;
    return number_text(bytes, units[i]);
}

const char *time_text(double us)
{
    return us < 1e3   ? number_text(us, "us")
           : us < 1e6 ? number_text(us / 1e3, "ms")
                      : number_text(us / 1e6, "s");
}

void table_row(struct table *t, const char *const *texts)
{
    if (t->rows == t->room) {
        const int room = t->room ? 2 * t->room : 8;
        void *cells = realloc(t->cells, (size_t)room * (size_t)t->columns * sizeof t->cells[0]);
        if (!cells) {
            lacks_memory();
            return;
        }
        t->cells = cells;
        t->room = room;
    }
    for (int c = 0; c < t->columns; c++)
        snprintf(t->cells[t->rows * t->columns + c], MAX_CELL, "%s", texts[c]);
    t->rows++;
}

void table_print(struct table *t)
{
    int width[MAX_COLUMNS] = { 0 };

    for (int i = 0; i < t->rows * t->columns; i++) {
        const int n = (int)strlen(t->cells[i]);
        if (n > width[i % t->columns])
            width[i % t->columns] = n;
    }
    for (int i = 0; i < t->rows * t->columns; i++) {
        if ((i + 1) % t->columns)
            printf("%-*s  ", width[i % t->columns], t->cells[i]);
        else
            printf("%s\n", t->cells[i]);
    }
    free(t->cells);
    *t = (struct table){ .columns = t->columns };
}
