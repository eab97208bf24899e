/* SPDX-License-Identifier: Apache-2.0 */
/* clattn run: golden cases in, results out as .npy files. */
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "case_walk.h"
#include "cli.h"
#include "output.h"
#include "report.h"

static const struct usage usage = {
    .synopsis = "run CASE -o DIR [options]",
    .text = "Runs a golden case (a folder with case.json and one .npy per input), or every case\n"
            "of a folder with index.json, and writes DIR/<case>/<output>.npy, float32 (indices:\n"
            "int32). What one case writes appears together or not at all.\n"
            "Prints one line per case: name, dtype, kernel, device, status.\n",
    .after = "example:\n  clattn run tests/golden/attn_causal -o /tmp/out --dtype f16\n",
};

static int write_results(struct outputs *files, const struct golden *c, const char *dir,
                         const struct array *results)
{
    const struct array *arrays[MAX_OUTPUTS];
    int code = EXIT_OK;

    for (int i = 0; c->op->outputs[i].name && code == EXIT_OK; i++) {
        char path[PATH_MAX];
        if (!c->wanted[i])
            continue;
        if (snprintf(path, sizeof path, "%s/%s.npy", dir, c->op->outputs[i].name) >= PATH_MAX)
            return fail(EXIT_INPUT, "%s: the path is too long", dir);
        arrays[files->n] = &results[i];
        code = outputs_add(files, path);
    }
    return code == EXIT_OK ? outputs_write(files, arrays) : code;
}

static int take(void *user, const struct golden *c, const struct array *results, json_t *report,
                const char **status)
{
    const char *const *out = user;
    char dir[PATH_MAX];
    struct outputs files = { 0 };
    int made;

    if (snprintf(dir, sizeof dir, "%s/%s", *out, c->name) >= PATH_MAX)
        return fail(EXIT_INPUT, "%s: the path is too long", *out);
    int code = make_dirs(dir, &made);
    if (code != EXIT_OK)
        return code;
    code = write_results(&files, c, dir, results);
    outputs_free(&files);
    if (code != EXIT_OK) {
        unmake_dirs(dir, made);
        return code;
    }
    json_text(report, "folder", dir);
    *status = "ok";
    return EXIT_OK;
}

static int run(int argc, char **argv)
{
    const char *out = NULL;
    struct case_walk walk = { .common.dtype = CLATTN_F32, .take = take, .user = &out };
    const struct option_spec specs[] = {
        { "output", 'o', "DIR", "where the results go; made if missing", parse_text, &out },
        OPTION_DEVICE(walk.common),
        OPTION_DTYPE(walk.common),
        OPTION_KERNEL(walk.common),
        OPTION_JSON(walk.common),
        OPTION_VERBOSE(walk.common),
        { 0 },
    };
    int first, code;

    if (!options_parse(&usage, specs, argc, argv, &first, &code))
        return code;
    if (argc - first != 1)
        return usage_error(&usage, "run needs one CASE");
    if (!out || !*out)
        return usage_error(&usage, "run needs -o DIR");
    return walk_cases(&walk, 1, argv + first);
}

const struct command cmd_run = { "run", "run golden cases and write the results", run };
