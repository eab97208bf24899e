/* SPDX-License-Identifier: Apache-2.0 */
/* clattn devices: every device, what it can do, and why not. */
#include <stdio.h>

#include "cli.h"
#include "options.h"
#include "report.h"

static const struct usage usage = {
    .synopsis = "devices [--json]",
    .text = "Lists every device, the native CPU first. --device takes the number, or a part of\n"
            "the name or of the platform. A device that cannot be used says why.\n",
};

static const char *type_name(clattn_device_type type)
{
    switch (type) {
    case CLATTN_DEVICE_NATIVE:
        return "native";
    case CLATTN_DEVICE_CPU:
        return "cpu";
    case CLATTN_DEVICE_GPU:
        return "gpu";
    case CLATTN_DEVICE_OTHER:
        break;
    }
    return "other";
}

static json_t *describe(const clattn_device_info *d)
{
    json_t *o = json_object();

    json_number(o, "index", d->index);
    json_text(o, "type", type_name(d->type));
    json_text(o, "name", d->name);
    json_text(o, "vendor", d->vendor);
    json_text(o, "platform", d->platform);
    json_text(o, "driver", d->driver);
    json_text(o, "version", d->version);
    json_number(o, "compute_units", d->compute_units);
    json_number(o, "max_work_group", (double)d->max_work_group);
    json_number(o, "local_bytes", (double)d->local_bytes);
    json_number(o, "global_bytes", (double)d->global_bytes);
    json_number(o, "max_alloc_bytes", (double)d->max_alloc_bytes);
    json_object_set_new(o, "usable", json_boolean(d->usable));
    json_object_set_new(o, "fp16", json_boolean(d->fp16));
    json_object_set_new(o, "fp64", json_boolean(d->fp64));
    json_object_set_new(o, "subgroups", json_boolean(d->subgroups));
    json_object_set_new(o, "denormals", json_boolean(d->denormals));
    json_object_set_new(o, "matrix_f16", json_boolean(d->matrix_f16));
    json_object_set_new(o, "matrix_bf16", json_boolean(d->matrix_bf16));
    json_text(o, "why_not", d->why_not);
    return o;
}

static void add_row(struct table *t, const clattn_device_info *d)
{
    char index[16], units[16], can[64];

    snprintf(index, sizeof index, "%d", d->index);
    snprintf(units, sizeof units, "%d", d->compute_units);
    snprintf(can, sizeof can, "%s%s%s%s%s%s", d->fp16 ? "fp16 " : "", d->fp64 ? "fp64 " : "",
             d->subgroups ? "subgroups " : "", d->denormals ? "denormals " : "",
             d->matrix_f16 ? "matrix_f16 " : "", d->matrix_bf16 ? "matrix_bf16 " : "");
    if (!d->usable)
        snprintf(can, sizeof can, "not usable");
    const char *row[] = { index,
                          d->name,
                          d->platform,
                          type_name(d->type),
                          units,
                          bytes_text((double)d->global_bytes),
                          d->local_bytes ? bytes_text((double)d->local_bytes) : "-",
                          can };
    table_row(t, row);
}

static void print_table(const clattn_device_info *list, int count)
{
    static const char *const head[] = { "#",     "name",   "platform", "type",
                                        "units", "memory", "local",    "can" };
    struct table t = { .columns = 8 };

    table_row(&t, head);
    for (int i = 0; i < count; i++)
        add_row(&t, &list[i]);
    table_print(&t);
    for (int i = 0; i < count; i++) {
        if (*list[i].why_not)
            printf("device %d: %s\n", list[i].index, list[i].why_not);
    }
}

static int run(int argc, char **argv)
{
    clattn_device_info *list;
    bool json = false;
    int code, count;

    if (!options_only_json(&usage, argc, argv, &json, &code))
        return code;
    const clattn_status status = clattn_device_list(&list, &count);
    if (status != CLATTN_OK)
        return fail(EXIT_NO_DEVICE, "cannot list devices: %s", clattn_status_text(status));
    if (json) {
        json_t *all = json_array();
        for (int i = 0; i < count; i++)
            json_array_append_new(all, describe(&list[i]));
        json_print(all);
    } else {
        print_table(list, count);
    }
    clattn_device_list_free(&list);
    return EXIT_OK;
}

const struct command cmd_devices = { "devices", "list devices and what they can do", run };
