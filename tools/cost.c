/* SPDX-License-Identifier: Apache-2.0 */
#include "cost.h"

#include <stdio.h>
#include <string.h>

#include "boards.h"

struct cost_row *cost_add(struct cost_table *t, const char *name)
{
    struct cost_row *row = &t->row[t->rows++];

    *row = (struct cost_row){ .flops = 0 };
    snprintf(row->name, sizeof row->name, "%s", name);
    return row;
}

const char *floor_bound(const struct floor_time *floor)
{
    return floor->memory_bound ? "memory" : "compute";
}

void json_floor(json_t *object, const struct floor_time *floor)
{
    json_text(object, "bound", floor_bound(floor));
    json_number(object, "floor_us", floor->us);
}

void json_peaks(json_t *object, const struct peaks *peaks, clattn_dtype dtype)
{
    json_number(object, "peak_gflops", peaks_rate(peaks, dtype));
    json_number(object, "peak_gbytes_per_s", peaks->gbytes_per_s);
}

static struct floor_time floor_of(const struct cost_row *row, const struct cost_subject *of)
{
    return peaks_floor(&of->peaks, of->dtype, row->flops, row->bytes);
}

static void add_row_json(json_t *o, const struct cost_table *t, const struct cost_row *row,
                         const struct cost_subject *of)
{
    const struct floor_time floor = floor_of(row, of);

    if (t->key)
        json_text(o, t->key, row->name);
    if (t->part_key)
        json_text(o, t->part_key, row->part);
    for (int c = 0; c < t->columns; c++)
        json_number(o, t->column[c].key, row->value[c]);
    json_number(o, "flops", row->flops);
    json_number(o, "bytes", row->bytes);
    json_number(o, "intensity", row->flops / row->bytes);
    json_floor(o, &floor);
}

/* What the row of the given shape takes at least on boards that are sold. */
static json_t *estimates_json(const struct cost_table *t, const struct cost_subject *of)
{
    const struct cost_row *row = &t->row[t->given];
    json_t *list = json_array();

    for (int i = 0; i < NUM_BOARDS; i++) {
        const struct peaks *peaks = board_peaks(&boards[i], of->dtype);
        const struct floor_time floor = peaks_floor(peaks, of->dtype, row->flops, row->bytes);
        json_t *o = json_object();
        json_text(o, "board", boards[i].name);
        json_text(o, "basis", "estimate from published peaks, not measured");
        json_text(o, "source", boards[i].source);
        json_peaks(o, peaks, of->dtype);
        json_floor(o, &floor);
        json_array_append_new(list, o);
    }
    return list;
}

static void print_json(const struct cost_table *t, const struct cost_subject *of)
{
    json_t *o = json_object(), *list = json_array();

    json_text(o, "op", of->op);
    json_text(o, "shape", of->shape);
    json_text(o, "flags", of->flags);
    json_text(o, "dtype", clattn_dtype_name(of->dtype));
    json_text(o, "device", of->device->name);
    json_peaks(o, &of->peaks, of->dtype);
    add_row_json(o, t, &t->row[t->given], of);
    for (int i = 0; i < t->facts; i++)
        json_number(o, t->fact[i].key, t->fact[i].value);
    for (int i = 0; i < t->rows; i++) {
        json_t *row = json_object();
        add_row_json(row, t, &t->row[i], of);
        json_array_append_new(list, row);
    }
    json_object_set_new(o, t->list, list);
    json_object_set_new(o, "estimates", estimates_json(t, of));
    json_print(o);
}

/* ------------------------------------------------------------------------------------------ */
/* Text                                                                                       */

static void add_head(const struct cost_table *t, struct table *text)
{
    static const char *const common[] = { "compute", "bytes", "flop/B", "bound", "floor" };
    const char *cells[MAX_COLUMNS];

    cells[text->columns++] = "";
    if (t->part_key)
        cells[text->columns++] = "";
    for (int c = 0; c < t->columns; c++) {
        if (t->column[c].title)
            cells[text->columns++] = t->column[c].title;
    }
    for (int c = 0; c < 5; c++)
        cells[text->columns++] = common[c];
    table_row(text, cells);
}

static void add_row_text(const struct cost_table *t, const struct cost_row *row,
                         const struct cost_subject *of, struct table *text)
{
    const struct floor_time floor = floor_of(row, of);
    char name[32], values[COST_MAX_COLUMNS][24], flops[32], intensity[32];
    const char *cells[MAX_COLUMNS];
    int n = 0;

    snprintf(name, sizeof name, "%s%s", row->name, row == &t->row[t->given] ? " *" : "");
    cells[n++] = name;
    if (t->part_key)
        cells[n++] = row->part;
    for (int c = 0; c < t->columns; c++) {
        if (!t->column[c].title)
            continue;
        snprintf(values[c], sizeof values[c], "%.0f", row->value[c]);
        cells[n++] = t->column[c].bytes ? bytes_text(row->value[c]) : values[c];
    }
    snprintf(flops, sizeof flops, "%.4g GFLOP", row->flops * 1e-9);
    snprintf(intensity, sizeof intensity, "%.3g", row->flops / row->bytes);
    cells[n++] = flops;
    cells[n++] = bytes_text(row->bytes);
    cells[n++] = intensity;
    cells[n++] = floor_bound(&floor);
    cells[n++] = time_text(floor.us);
    table_row(text, cells);
}

static void print_estimates(const struct cost_table *t, const struct cost_subject *of)
{
    static const char *const head[] = { "", "peak", "memory", "bound", "floor", "source" };
    const struct cost_row *row = &t->row[t->given];
    struct table text = { .columns = sizeof head / sizeof head[0] };

    printf("\nEstimates for %s * from published peaks, not measured:\n", row->name);
    table_row(&text, head);
    for (int i = 0; i < NUM_BOARDS; i++) {
        const struct peaks *peaks = board_peaks(&boards[i], of->dtype);
        const struct floor_time floor = peaks_floor(peaks, of->dtype, row->flops, row->bytes);
        char compute[32], memory[32];
        snprintf(compute, sizeof compute, "%.1f TFLOP/s", peaks->gflops * 1e-3);
        snprintf(memory, sizeof memory, "%.0f GB/s", peaks->gbytes_per_s);
        table_row(&text, (const char *[]){ boards[i].name, compute, memory, floor_bound(&floor),
                                           time_text(floor.us), boards[i].source });
    }
    table_print(&text);
}

static void print_text(const struct cost_table *t, const struct cost_subject *of)
{
    const struct peaks *peaks = &of->peaks;
    const double rate = peaks_rate(peaks, of->dtype);
    struct table text = { .columns = 0 };

    printf("%s %s %s%s%s\n", of->op, of->shape, clattn_dtype_name(of->dtype), *of->flags ? " " : "",
           of->flags);
    printf(
        "  device  %s: %.0f GFLOP/s, %.1f GB/s, so %.1f flop/B part memory from compute bound\n\n",
        of->device->name, rate, peaks->gbytes_per_s, rate / peaks->gbytes_per_s);
    add_head(t, &text);
    for (int i = 0; i < t->rows; i++)
        add_row_text(t, &t->row[i], of, &text);
    table_print(&text);
    printf("\n%s\n", t->note);
    print_estimates(t, of);
}

void cost_print(const struct cost_table *t, const struct cost_subject *of, bool json)
{
    if (json)
        print_json(t, of);
    else
        print_text(t, of);
}
