/* SPDX-License-Identifier: Apache-2.0 */
/* clattn doctor: what this machine has, what is wrong with it, and whether it computes rightly. */
#include <clattn/tuning.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "attn_job.h"
#include "child.h"
#include "cli.h"
#include "pass_rule.h"
#include "report.h"

static const struct usage usage = {
    .synopsis = "doctor [--json]",
    .text = "Looks at the OpenCL drivers of this machine, the devices, the caches, and runs one\n"
            "small attention on every device, compared with plain loops in double precision. Each\n"
            "device has a process of its own, which its driver may bring down.\n\n"
            "exit codes: 0 all is well, 1 a device computed something wrong, 3 a device failed or\n"
            "            cannot be used, 4 tuning results or compiled programs cannot be kept\n",
};

static const char vendors_folder[] = "/etc/OpenCL/vendors";
static const char *const variables[] = {
    "OCL_ICD_VENDORS",  "OCL_ICD_FILENAMES", "OPENCL_LAYERS",   "CLATTN_DEVICE",
    "CLATTN_CACHE_DIR", "CLATTN_BINARIES",   "CLATTN_CHECK",    "CLATTN_ISA",
    "CLATTN_NUM_THREADS", "POCL_CACHE_DIR",  "XDG_CACHE_HOME",
};

enum { NUM_VARIABLES = sizeof variables / sizeof variables[0] };

#define PATIENCE 120.0 /* seconds: a driver's first start takes long */

/* ---- drivers ---- */

/* The library that a .icd file names. */
static void read_icd(const char *folder, const char *name, char *library, size_t size)
{
    char path[1024];

    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "r");
    if (!f || !fgets(library, (int)size, f))
        snprintf(library, size, "cannot be read");
    if (f)
        fclose(f);
    library[strcspn(library, "\r\n")] = '\0';
}

static json_t *list_drivers(void)
{
    const char *folder = getenv("OCL_ICD_VENDORS");
    json_t *drivers = json_object();
    char library[256];

    folder = folder && *folder ? folder : vendors_folder;
    json_text(drivers, "folder", folder);
    json_t *files = json_object();
    DIR *dir = opendir(folder);
    for (struct dirent *e; dir && (e = readdir(dir));) {
        const size_t length = strlen(e->d_name);
        if (length < 5 || strcmp(e->d_name + length - 4, ".icd") != 0)
            continue;
        read_icd(folder, e->d_name, library, sizeof library);
        json_text(files, e->d_name, library);
    }
    if (dir)
        closedir(dir);
    json_object_set_new(drivers, "files", files);
    return drivers;
}

static json_t *list_environment(void)
{
    json_t *set = json_object();

    for (int i = 0; i < NUM_VARIABLES; i++)
        if (getenv(variables[i]))
            json_text(set, variables[i], getenv(variables[i]));
    return set;
}

/* ---- one device ---- */

/* A small attention with a part of every kernel's tile left over. */
static int make_job(struct attn_job *job, struct attn_results *got, struct attn_results *naive,
                    struct attn_results *truth)
{
    static const struct qkv_sizes sizes = { 1, 2, 1, 5, 70, 24, 24 };
    const struct attn_wanted wanted = { .lse = false };
    struct attn_results *all[] = { got, naive, truth };
    int code = qkv_random(&sizes, 1, &job->in);

    job->options.causal = CLATTN_CAUSAL_BOTTOM_RIGHT;
    for (int i = 0; i < 3 && code == EXIT_OK; i++)
        code = attn_results_new(job, &wanted, all[i]);
    if (code == EXIT_OK)
        code = naive_attention_f32(job, naive);
    return code == EXIT_OK ? naive_attention_f64(job, truth) : code;
}

static int compute(struct session *s, const struct attn_job *job, struct attn_results *got,
                   json_t *report)
{
    struct work w = { 0 };
    int code = attn_job_open(&w, s, job, CLATTN_F32, NULL, got);

    if (code == EXIT_OK) {
        json_text(report, "kernel", w.info.kernel);
        json_text(report, "config", w.info.config);
        json_text(report, "origin", w.info.origin);
        code = work_run(&w);
    }
    if (code == EXIT_OK)
        code = work_read(&w);
    work_end(&w);
    return code;
}

/* EXIT_OK, EXIT_MISMATCH or EXIT_NO_DEVICE; writes self_test and why. */
static int self_test(struct session *s, json_t *report)
{
    struct attn_job job = { 0 };
    struct attn_results got = { 0 }, naive = { 0 }, truth = { 0 };
    struct verdict verdict = { 0 };
    int code = make_job(&job, &got, &naive, &truth);

    if (code == EXIT_OK)
        code = compute(s, &job, &got, report);
    if (code == EXIT_OK) {
        verdict = pass_rule(&got.o, &truth.o, &naive.o, &truth.o, CLATTN_F32);
        json_text(report, "self_test", verdict.pass ? "ok" : "wrong");
        json_text(report, "why", verdict.why);
        code = verdict.pass ? EXIT_OK : EXIT_MISMATCH;
    } else {
        json_text(report, "self_test", "failed");
        json_text(report, "why", fail_text());
        code = EXIT_NO_DEVICE;
    }
    attn_results_free(&got);
    attn_results_free(&naive);
    attn_results_free(&truth);
    attn_job_free(&job);
    return code;
}

/* What the device's context keeps; false: something that should be kept is not. */
static bool describe_caches(struct session *s, json_t *report)
{
    clattn_cache_info cache;

    if (clattn_ctx_cache(s->ctx, &cache) != CLATTN_OK)
        return false;
    json_text(report, "results_device", cache.device);
    json_text(report, "results_driver", cache.driver);
    json_text(report, "results_kind", cache.kind);
    json_text(report, "results_folder", cache.folder);
    json_text(report, "results_note", cache.note);
    json_number(report, "results", cache.results);
    json_number(report, "quarantined", cache.quarantined);
    json_text(report, "binaries_folder", cache.binaries);
    json_text(report, "binaries_note", cache.binaries_note);
    return !*cache.note;
}

static void describe(const clattn_device_info *d, json_t *report)
{
    json_number(report, "index", d->index);
    json_text(report, "name", d->name);
    json_text(report, "platform", d->platform);
    json_text(report, "driver", d->driver);
    json_text(report, "version", d->version);
    json_text(report, "missing", d->why_not);
}

/* ---- processes of their own, as drivers may bring them down: one JSON object a line ---- */

static int list_devices(void)
{
    clattn_device_info *list;
    int count;

    if (clattn_device_list(&list, &count) != CLATTN_OK)
        return fail(EXIT_NO_DEVICE, "cannot list devices");
    for (int i = 0; i < count; i++) {
        json_t *report = json_object();
        describe(&list[i], report);
        json_object_set_new(report, "usable", json_boolean(list[i].usable));
        json_print(report);
    }
    clattn_device_list_free(&list);
    return EXIT_OK;
}

static int test_device(const char *selector)
{
    struct common common = { .device = selector };
    struct session session;
    json_t *report = json_object();
    int code = session_open(&session, &common);

    if (code == EXIT_OK) {
        describe(session.device, report);
        code = self_test(&session, report);
        if (!describe_caches(&session, report) && code == EXIT_OK)
            code = EXIT_INPUT;
        session_close(&session);
    } else {
        json_text(report, "self_test", "failed");
        json_text(report, "why", fail_text());
        code = EXIT_NO_DEVICE;
    }
    json_print(report);
    return code;
}

int doctor_worker(const char *what)
{
    return strcmp(what, "list") == 0 ? list_devices() : test_device(what);
}

/* ---- the report ---- */

static const char *text(const json_t *o, const char *key)
{
    const char *value = json_string_value(json_object_get(o, key));

    return value ? value : "";
}

static void print_pairs(const char *title, json_t *pairs)
{
    const char *key;
    json_t *value;

    printf("%s\n", title);
    if (!json_object_size(pairs))
        puts("  none");
    json_object_foreach (pairs, key, value)
        printf("  %-20s %s\n", key, json_string_value(value));
}

static void print_device(const json_t *d)
{
    printf("device %d: %s, %s\n", (int)json_integer_value(json_object_get(d, "index")),
           text(d, "name"), text(d, "platform"));
    printf("  driver     %s (%s)\n", text(d, "driver"), text(d, "version"));
    if (*text(d, "missing"))
        printf("  missing    %s\n", text(d, "missing"));
    printf("  self-test  %s%s%s", text(d, "self_test"), *text(d, "why") ? ": " : "",
           text(d, "why"));
    if (*text(d, "kernel"))
        printf(" (%s %s, %s)", text(d, "kernel"), text(d, "config"), text(d, "origin"));
    putchar('\n');
    if (!json_object_get(d, "results"))
        return;
    printf("  results    %d tuned, %d quarantined, %s%s\n",
           (int)json_integer_value(json_object_get(d, "results")),
           (int)json_integer_value(json_object_get(d, "quarantined")),
           *text(d, "results_note") ? "not kept: " : "in ",
           *text(d, "results_note") ? text(d, "results_note") : text(d, "results_folder"));
    printf("  programs   %s%s\n", *text(d, "binaries_note") ? "not kept: " : "in ",
           *text(d, "binaries_note") ? text(d, "binaries_note") : text(d, "binaries_folder"));
}

/* The worst of two exit codes: wrong results, then devices, then caches. */
static int worse(int a, int b)
{
    static const int order[] = { EXIT_MISMATCH, EXIT_NO_DEVICE, EXIT_INPUT };

    for (int i = 0; i < 3; i++)
        if (a == order[i] || b == order[i])
            return order[i];
    return EXIT_OK;
}

/* What a worker prints goes to reports. Returns its exit code; -1: how says what else. */
static int ask_worker(const char *what, json_t *reports, char *how, size_t size)
{
    struct child c;

    if (!child_start(&c, "doctor-worker", what)) {
        snprintf(how, size, "its process does not start: %s", strerror(errno));
        return -1;
    }
    for (const char *line; (line = child_line(&c, PATIENCE));)
        json_array_append_new(reports, json_loads(line, 0, NULL)); /* no JSON: a driver's words */
    return child_end(&c, how, size);
}

/* Adds the results of its test to the report of a device. */
static int examine(json_t *report)
{
    const int index = (int)json_integer_value(json_object_get(report, "index"));
    json_t *answers = json_array();
    char selector[16] = "cpu", how[128];

    if (json_is_false(json_object_get(report, "usable"))) {
        json_text(report, "self_test", "unusable");
        json_decref(answers);
        return EXIT_NO_DEVICE;
    }
    if (index > 0)
        snprintf(selector, sizeof selector, "%d", index);
    int code = ask_worker(selector, answers, how, sizeof how);
    const bool answered = code >= 0 && json_object_update(report, json_array_get(answers, 0)) == 0;
    json_decref(answers);
    if (answered)
        return code;
    json_text(report, "self_test", "failed");
    json_text(report, "why", code < 0 ? how : "it ends its process");
    return EXIT_NO_DEVICE;
}

/* When the devices cannot even be listed the native CPU, which needs no driver, is there still. */
static int examine_all(bool json, json_t *devices)
{
    char how[128];
    int code = ask_worker("list", devices, how, sizeof how);
    size_t i;
    json_t *report;

    if (code < 0)
        code = fail(EXIT_NO_DEVICE, "listing the devices fails: %s", how);
    if (!json_array_size(devices))
        json_array_append_new(devices, json_object());
    json_array_foreach (devices, i, report) {
        code = worse(code, examine(report));
        json_object_del(report, "usable");
        if (!json)
            print_device(report);
        fflush(stdout);
    }
    return code;
}

static int run(int argc, char **argv)
{
    bool json = false;
    int code;

    if (!options_only_json(&usage, argc, argv, &json, &code))
        return code;
    json_t *all = json_object(), *drivers = list_drivers(), *devices = json_array();
    json_text(all, "version", clattn_version());
    json_object_set_new(all, "drivers", drivers);
    json_object_set_new(all, "environment", list_environment());
    json_object_set_new(all, "devices", devices);
    if (!json) {
        printf("clattn %s\n", clattn_version());
        printf("OpenCL drivers in %s\n", text(drivers, "folder"));
        print_pairs("  file and library", json_object_get(drivers, "files"));
        print_pairs("environment", json_object_get(all, "environment"));
        fflush(stdout);
    }
    code = examine_all(json, devices);
    if (json)
        json_print(json_incref(all));
    json_decref(all);
    return code;
}

const struct command cmd_doctor = { "doctor", "examine drivers, devices and caches", run };
