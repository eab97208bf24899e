/* SPDX-License-Identifier: Apache-2.0 */
/* The loop over cases, and the line that each one gets. */
#include "case_walk.h"

#include <stdio.h>
#include <string.h>

#include "cli.h"
#include "report.h"

static void print_case(const struct case_walk *walk, json_t *report)
{
    const char *kernel = json_string_value(json_object_get(report, "kernel"));

    if (walk->common.json) {
        json_print(json_incref(report));
        return;
    }
    printf("%-28s %-5s %-24s %-40.40s %s\n", json_string_value(json_object_get(report, "case")),
           clattn_dtype_name(walk->common.dtype), kernel ? kernel : "-", walk->session.device->name,
           json_string_value(json_object_get(report, "status")));
    if (walk->details)
        walk->details(report);
    fflush(stdout);
}

static int run_loaded(struct case_walk *walk, const struct golden *c, json_t *report,
                      const char **status)
{
    struct array results[CASE_MAX_TENSORS] = { 0 };
    struct run_note note = { 0 };
    int code = c->op->run(&walk->session, c, walk->common.kernel, results, &note);

    json_text(report, "kernel", note.kernel);
    json_text(report, "config", note.config);
    if (code == EXIT_OK)
        code = walk->take(walk->user, c, results, report, status);
    for (int i = 0; i < CASE_MAX_TENSORS; i++)
        array_free(&results[i]);
    return code;
}

/* Base name of a folder, for lines about cases that could not even be loaded. */
static const char *short_name(const char *folder)
{
    const char *slash = strrchr(folder, '/');

    return slash && slash[1] ? slash + 1 : folder;
}

static void print_skipped(const struct case_walk *walk, const struct golden *c)
{
    char why[128];

    snprintf(why, sizeof why, "op %s is not supported", c->op_name);
    if (walk->common.json) {
        json_t *report = json_object();
        json_text(report, "case", c->name);
        json_text(report, "op", c->op_name);
        json_text(report, "status", "skipped");
        json_text(report, "error", why);
        json_print(report);
    } else {
        printf("%-28s skipped: %s\n", c->name, why);
    }
}

static int run_case(struct case_walk *walk, const char *folder, bool skip_unknown)
{
    struct golden c;
    json_t *report = json_object();
    const char *status = "error";
    int code = case_load(&c, folder, walk->with_outputs, skip_unknown);

    json_text(report, "case", *c.name ? c.name : short_name(folder));
    json_text(report, "op", c.op_name);
    json_text(report, "dtype", clattn_dtype_name(walk->common.dtype));
    json_text(report, "device", walk->session.device->name);
    if (code == EXIT_OK && c.op) {
        c.dtype = walk->common.dtype;
        code = run_loaded(walk, &c, report, &status);
    }
    if (code > EXIT_MISMATCH)
        json_text(report, "error", fail_text());
    json_text(report, "status", status);
    if (code == EXIT_OK && !c.op)
        print_skipped(walk, &c);
    else
        print_case(walk, report);
    json_decref(report);
    case_free(&c);
    return code;
}

static int walk_list(struct case_walk *walk, const struct case_list *list)
{
    int worst = EXIT_OK;

    for (size_t i = 0; i < list->n; i++) {
        fail_subject(list->indexed ? short_name(list->folder[i]) : NULL);
        const int code = run_case(walk, list->folder[i], list->indexed);
        worst = code > worst ? code : worst;
        if (code == EXIT_NO_DEVICE)
            break; /* the device is gone for the others too */
    }
    fail_subject(NULL);
    return worst;
}

int walk_cases(struct case_walk *walk, int n, char **paths)
{
    int worst = session_open(&walk->session, &walk->common);

    if (worst != EXIT_OK)
        return worst;
    for (int i = 0; i < n && worst != EXIT_NO_DEVICE; i++) {
        struct case_list list;
        int code = case_list(&list, paths[i]);
        if (code == EXIT_OK) {
            code = walk_list(walk, &list);
            case_list_free(&list);
        }
        worst = code > worst ? code : worst;
    }
    session_close(&walk->session);
    return worst;
}
