/* SPDX-License-Identifier: Apache-2.0 */
/* clattn wisdom: what tuning has found, from machine to machine. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "options.h"
#include "report.h"
#include "wisdom.h"

static const struct usage usage = {
    .synopsis = "wisdom show|export|import|merge|seeds|clear [FILE...] [options]",
    .text = "Tuning results of this user: one best configuration, and the next best, for each\n"
            "device, driver and bucket of problems.\n\n"
            "  show               list them\n"
            "  export             print them as JSON, or write them to -o FILE\n"
            "  import FILE...     add those of JSON files; results of this machine that took as\n"
            "                     much effort stay\n"
            "  merge FILE...      join JSON files: the best search for each bucket\n"
            "  seeds [FILE...]    print them as the C table that comes with the library\n"
            "  clear              forget results and quarantine, of all devices or of --device\n",
    .after = "example:\n  clattn wisdom export -o lab.json && clattn wisdom import lab.json\n",
};

struct wisdom_args {
    const char *device, *output;
    bool json;
    char **files;
    int num_files;
};

/* ---- the store ---- */

static int open_store(clattn_results **store)
{
    if (clattn_results_open(false, store) != CLATTN_OK)
        return fail(EXIT_INPUT, "out of memory");
    if (*clattn_results_note(*store))
        say("warning: %s", clattn_results_note(*store));
    return EXIT_OK;
}

/* What is written elsewhere is all that is stored, or nothing. */
static int take_all(clattn_results *store, struct wisdom *w)
{
    if (*clattn_results_note(store))
        return fail(EXIT_INPUT, "nothing is written: stored results could not all be read");
    return wisdom_take(w, store);
}

/* The results of the files, or of the store when there are none. */
static int gather(const struct wisdom_args *a, clattn_results *store, struct wisdom *w)
{
    int code = EXIT_OK;

    if (!a->num_files)
        return wisdom_take(w, store);
    for (int i = 0; i < a->num_files && code == EXIT_OK; i++)
        code = wisdom_load(w, a->files[i]);
    if (code == EXIT_OK && w->refused)
        say("warning: %zu entries were left out; the first because %s", w->refused, w->why);
    return code;
}

/* ---- output ---- */

/* Calls print on stdout, or on a file that appears whole or not at all. */
static int write_output(const char *path, void (*print)(FILE *, const struct wisdom *),
                        const struct wisdom *w)
{
    char temp[4096];

    if (!path) {
        print(stdout, w);
        return EXIT_OK;
    }
    if ((size_t)snprintf(temp, sizeof temp, "%s.%ld.tmp", path, (long)getpid()) >= sizeof temp)
        return fail(EXIT_INPUT, "the path of %.60s... is too long", path);
    FILE *f = fopen(temp, "wb");
    if (!f)
        return fail(EXIT_INPUT, "cannot write %s: %s", path, strerror(errno));
    print(f, w);
    const bool bad = ferror(f) != 0;
    if (fclose(f) || bad || rename(temp, path)) {
        const int why = errno;
        remove(temp);
        return fail(EXIT_INPUT, "cannot write %s: %s", path, strerror(why));
    }
    return EXIT_OK;
}

static void print_json(FILE *f, const struct wisdom *w)
{
    json_t *document = wisdom_json(w);

    json_dumpf(document, f, JSON_INDENT(1) | JSON_REAL_PRECISION(9));
    fputc('\n', f);
    json_decref(document);
}

static int compare_seeds(const void *pa, const void *pb)
{
    const clattn_result *a = *(const clattn_result *const *)pa;
    const clattn_result *b = *(const clattn_result *const *)pb;
    int order = strcmp(a->kind, b->kind);

    if (!order)
        order = strcmp(a->operation, b->operation);
    if (!order)
        order = strcmp(a->bucket, b->bucket);
    if (!order)
        order = b->effort - a->effort;
    return order ? order : (a->time_us > b->time_us) - (a->time_us < b->time_us);
}

/* One line a bucket: the winner of the most thorough search on any device of the kind. */
static void print_seeds(FILE *f, const struct wisdom *w)
{
    const clattn_result **best = calloc(w->n + 1, sizeof *best), *last = NULL;
    size_t n = 0;

    fputs("/* SPDX-License-Identifier: Apache-2.0 */\n"
          "/*\n * Results that come with the library, for devices nobody has tuned yet: found on a "
          "device of the\n * same kind. Written by `clattn wisdom seeds`.\n */\n"
          "#include \"tune/store_state.h\"\n\n"
          "/* clang-format off */\nconst cla_seed cla_seeds[] = {\n",
          f);
    for (size_t i = 0; best && i < w->n; i++)
        if (w->entry[i].result.rank == 1 && w->entry[i].result.verified
            && !w->entry[i].result.one_kernel)
            best[n++] = &w->entry[i].result;
    if (n)
        qsort(best, n, sizeof *best, compare_seeds);
    for (size_t i = 0; i < n; i++) {
        const clattn_result *r = best[i];
        if (last && strcmp(last->kind, r->kind) == 0 && strcmp(last->operation, r->operation) == 0
            && strcmp(last->bucket, r->bucket) == 0)
            continue;
        fprintf(f, "    { \"%s\", \"%s\",\n      \"%s\",\n      \"%s\", \"%s\" },\n", r->kind,
                r->operation, r->bucket, r->kernel, r->config);
        last = r;
    }
    fputs("    { NULL, NULL, NULL, NULL, NULL },\n};\n", f);
    free(best);
}

/* ---- show ---- */

static void print_device(const struct wisdom *w, size_t first, size_t n)
{
    static const char *const head[] = { "operation", "bucket", "kernel", "configuration", "time",
                                        "effort", "state" };
    struct table t = { .columns = 7 };

    printf("%s%s\n  driver %s\n", first ? "\n" : "", w->entry[first].result.device,
           w->entry[first].result.driver);
    table_row(&t, head);
    for (size_t i = first; i < first + n; i++) {
        const clattn_result *r = &w->entry[i].result;
        char effort[16], state[48];
        snprintf(effort, sizeof effort, "%d", r->effort);
        snprintf(state, sizeof state, "%d%s%s", r->rank, r->verified ? "" : ", not verified",
                 r->one_kernel ? ", of one kernel" : "");
        const char *row[] = { r->operation, r->bucket,           r->kernel, r->config,
                              time_text(r->time_us), effort, state };
        table_row(&t, row);
    }
    table_print(&t);
}

static void print_table(const struct wisdom *w)
{
    for (size_t i = 0, n; i < w->n; i += n) {
        for (n = 1; i + n < w->n; n++)
            if (strcmp(w->entry[i].result.device, w->entry[i + n].result.device) != 0
                || strcmp(w->entry[i].result.driver, w->entry[i + n].result.driver) != 0)
                break;
        print_device(w, i, n);
    }
}

static int show(const struct wisdom_args *a, clattn_results *store, struct wisdom *w)
{
    const int code = gather(a, store, w);

    if (code != EXIT_OK)
        return code;
    wisdom_merge(w);
    if (a->json)
        print_json(stdout, w);
    else if (w->n)
        print_table(w);
    else
        say("no tuning results in %s",
            *clattn_results_path(store) ? clattn_results_path(store) : "memory");
    return EXIT_OK;
}

/* ---- the rest ---- */

static int export(const struct wisdom_args *a, clattn_results *store, struct wisdom *w)
{
    if (a->num_files)
        return usage_error(&usage, "wisdom export takes no files; -o FILE writes one");
    const int code = take_all(store, w);
    return code == EXIT_OK ? write_output(a->output, print_json, w) : code;
}

static int merge(const struct wisdom_args *a, clattn_results *store, struct wisdom *w)
{
    if (!a->num_files)
        return usage_error(&usage, "wisdom merge needs files");
    const int code = gather(a, store, w);
    if (code != EXIT_OK)
        return code;
    wisdom_merge(w);
    return write_output(a->output, print_json, w);
}

static int seeds(const struct wisdom_args *a, clattn_results *store, struct wisdom *w)
{
    const int code = a->num_files ? gather(a, store, w) : take_all(store, w);

    return code == EXIT_OK ? write_output(a->output, print_seeds, w) : code;
}

static int import(const struct wisdom_args *a, clattn_results *store, struct wisdom *w)
{
    char why[256] = "";
    size_t refused = 0;
    int written;

    if (!a->num_files)
        return usage_error(&usage, "wisdom import needs a file");
    const int code = gather(a, store, w);
    if (code != EXIT_OK)
        return code;
    wisdom_merge(w);
    for (size_t i = 0; i < w->n; i++) {
        const clattn_status s = clattn_results_add(store, &w->entry[i].result);
        if (s == CLATTN_ERR_MEMORY)
            return fail(EXIT_INPUT, "%s", clattn_results_note(store));
        if (s != CLATTN_OK && !refused++)
            snprintf(why, sizeof why, "%s", clattn_results_note(store));
    }
    if (refused)
        say("warning: %zu results were left out; the first because %s", refused, why);
    if (clattn_results_save(store, &written) != CLATTN_OK)
        return fail(EXIT_INPUT, "%s", clattn_results_note(store));
    printf("%d of %zu results imported into %s\n", written, w->n, clattn_results_path(store));
    return EXIT_OK;
}

/* Devices are named by a part of their text; one call each. */
static int clear(const struct wisdom_args *a, clattn_results *store, struct wisdom *w)
{
    int code = wisdom_take(w, store), devices = 0;
    const char *last = NULL;

    if (a->num_files)
        return usage_error(&usage, "wisdom clear takes no files");
    if (!a->device && clattn_results_clear(store, NULL) != CLATTN_OK)
        return fail(EXIT_INPUT, "%s", clattn_results_note(store));
    for (size_t i = 0; a->device && i < w->n && code == EXIT_OK; i++) {
        const char *device = w->entry[i].result.device;
        if (!strstr(device, a->device) || (last && strcmp(last, device) == 0))
            continue;
        last = device;
        devices++;
        if (clattn_results_clear(store, device) != CLATTN_OK)
            code = fail(EXIT_INPUT, "%s", clattn_results_note(store));
    }
    if (a->device && !devices && code == EXIT_OK)
        return fail(EXIT_INPUT, "no results of a device with '%.60s' in its name", a->device);
    return code;
}

static const struct action {
    const char *name;
    int (*run)(const struct wisdom_args *a, clattn_results *store, struct wisdom *w);
} actions[] = {
    { "show", show },   { "export", export }, { "import", import },
    { "merge", merge }, { "seeds", seeds },   { "clear", clear },
};

enum { NUM_ACTIONS = sizeof actions / sizeof actions[0] };

static const struct action *find(const char *name)
{
    struct suggestion near = { .word = name };

    for (int i = 0; i < NUM_ACTIONS; i++) {
        if (strcmp(actions[i].name, name) == 0)
            return &actions[i];
        suggest(&near, actions[i].name);
    }
    fail(EXIT_USAGE, "wisdom cannot '%.60s'%s", name,
         did_you_mean(&near, "", "; `clattn wisdom --help` lists what it can"));
    return NULL;
}

static int run(int argc, char **argv)
{
    struct wisdom_args a = { 0 };
    const struct option_spec specs[] = {
        { "output", 'o', "FILE", "write to a file instead of stdout", parse_text, &a.output },
        { "device", 0, "TEXT", "clear: a part of the device's text in `wisdom show`", parse_text,
          &a.device },
        { "json", 0, NULL, "show: print JSON", parse_flag, &a.json },
        { 0 },
    };
    struct wisdom w = { 0 };
    clattn_results *store = NULL;
    int first, code;

    if (!options_parse(&usage, specs, argc, argv, &first, &code))
        return code;
    if (first == argc)
        return usage_error(&usage, "wisdom needs something to do");
    const struct action *action = find(argv[first]);
    if (!action)
        return EXIT_USAGE;
    a.files = argv + first + 1;
    a.num_files = argc - first - 1;
    code = open_store(&store);
    if (code == EXIT_OK)
        code = action->run(&a, store, &w);
    wisdom_free(&w);
    clattn_results_close(&store);
    return code;
}

const struct command cmd_wisdom = { "wisdom", "show, export, import and clear tuning results",
                                    run };
