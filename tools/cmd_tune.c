/* SPDX-License-Identifier: Apache-2.0 */
/* clattn tune: finds the fastest kernels and configurations for problems, and keeps them. */
#include <clattn/tuning.h>

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "child.h"
#include "ops.h"
#include "progress.h"
#include "report.h"

static const struct usage usage = {
    .synopsis = "tune [OP --shape SHAPE] [options]",
    .text =
        "Searches the fastest kernel and configuration for problems and stores what it finds for\n"
        "every later run. OP, SHAPE and the options of OP are those of `clattn bench`; --from\n"
        "reads one problem a line (`attention --shape 1,8,8,512,512,64 --causal`); without either\n"
        "a few common problems are tuned. Every candidate must first compute the right result.\n"
        "Candidates run in a process of their own: one that crashes or hangs is put aside. Ctrl-C\n"
        "keeps what was found, and the next run goes on from there.\n"
        "Effort: quick (32 configurations, 5 s a problem), standard (200, 30 s), patient (800,\n"
        "5 minutes), exhaustive (all of them).\n",
    .after = "examples:\n"
             "  clattn tune\n"
             "  clattn tune attention --shape 1,8,8,1024,1024,64 --causal --effort patient\n"
             "  clattn tune --from problems.txt --budget 10m --json\n",
};

static const char *const common_problems[] = {
    "attention --shape 1,8,8,512,512,64 --causal",
    "attention --shape 1,8,8,1024,1024,64",
    "decode --shape 1,32,8,1,4096,128",
    "linear-attention --shape 1,8,8,1024,1024,64 --causal",
    "project --shape 512,1024,1024",
    "project --shape 1,4096,4096",
};

enum { MAX_WORDS = 48, MAX_LINE = 1024 };

struct tune {
    struct common common;
    struct session session;
    const char *from, *effort_name, *budget_text;
    clattn_effort effort;
    double budget; /* seconds for all problems; 0: that of the effort, for each */
    double started;
    int64_t evals, seed;
    bool again, in_process;
    char worker[PATH_MAX];
    int jobs, job;
    int failed; /* exit code of the last problem that was not tuned */
    struct table table;
};

/* One problem: the operation, its state, and what bench calls an item. */
struct job {
    const struct op *op;
    void *state;
    struct texts shapes, dtypes;
    const char *kernel;
};

/* ---- options ---- */

static int read_effort(struct tune *t)
{
    static const char *const names[] = { "quick", "standard", "patient", "exhaustive" };

    t->effort = CLATTN_EFFORT_STANDARD;
    for (int i = 0; i < 4 && t->effort_name; i++)
        if (strcmp(t->effort_name, names[i]) == 0) {
            t->effort = (clattn_effort)(CLATTN_EFFORT_QUICK + i);
            return EXIT_OK;
        }
    return t->effort_name
               ? fail(EXIT_USAGE, "--effort: '%.40s' is not quick, standard, patient or exhaustive",
                      t->effort_name)
               : EXIT_OK;
}

/* "90", "90s", "10m", "2h". */
static int read_budget(struct tune *t)
{
    char *end;

    if (!t->budget_text)
        return EXIT_OK;
    t->budget = strtod(t->budget_text, &end);
    const double unit = *end == '\0' || strcmp(end, "s") == 0 ? 1
                        : strcmp(end, "m") == 0               ? 60
                        : strcmp(end, "h") == 0               ? 3600
                                                              : 0;
    t->budget *= unit;
    if (end == t->budget_text || !(t->budget > 0 && t->budget < 1e9))
        return fail(EXIT_USAGE, "--budget: '%.40s' is no time such as 90s, 10m or 2h",
                    t->budget_text);
    return EXIT_OK;
}

static int tune_specs(struct tune *t, struct option_spec *specs)
{
    const struct option_spec own[] = {
        { "effort", 0, "E", "quick, standard (default), patient or exhaustive", parse_text,
          &t->effort_name },
        { "budget", 0, "TIME", "for all problems together: 90s, 10m, 2h", parse_text,
          &t->budget_text },
        { "evals", 0, "N", "configurations to try at most, for each problem", parse_int,
          &t->evals },
        { "from", 0, "FILE", "one problem a line", parse_text, &t->from },
        { "again", 0, NULL, "also where a stored result is as good", parse_flag, &t->again },
        { "in-process", 0, NULL, "run candidates in this process", parse_flag, &t->in_process },
        OPTION_DEVICE(t->common),
        { "seed", 0, "N", "of the search and the data (default 1)", parse_int, &t->seed },
        OPTION_JSON(t->common),
        OPTION_VERBOSE(t->common),
        { 0 },
    };

    memcpy(specs, own, sizeof own);
    return (int)(sizeof own / sizeof own[0]) - 1;
}

static int job_specs(struct job *j, struct option_spec *specs)
{
    const struct option_spec own[] = {
        { "shape", 0, "SHAPE", j->op->bench->shape, parse_texts, &j->shapes },
        { "dtype", 0, "T", "storage: f32, f16 or bf16 (default f32)", parse_texts, &j->dtypes },
        { 0 },
    };
    const int n = j->op->bench->options(j->state, specs);

    memcpy(specs + n, own, sizeof own);
    return n + 2;
}

/* ---- one problem ---- */

static const char *end_text(const clattn_tune_report *r)
{
    static const char *const texts[] = { "stored before", "all tried", "budget", "stopped" };

    return texts[r->end];
}

static void print_json(const struct job *j, const char *shape, const char *dtype, const char *flags,
                       const struct tune *t, const clattn_tune_report *r)
{
    json_t *o = json_object();

    json_text(o, "op", j->op->name);
    json_text(o, "shape", shape);
    json_text(o, "flags", flags);
    json_text(o, "dtype", dtype);
    json_text(o, "device", t->session.device->name);
    json_text(o, "bucket", r->bucket);
    json_text(o, "kernel", r->kernel);
    json_text(o, "config", r->config);
    json_text(o, "default_kernel", r->default_kernel);
    json_text(o, "default_config", r->default_config);
    json_number(o, "tuned_us", r->best_us);
    json_number(o, "default_us", r->default_us);
    json_number(o, "gain", r->best_us > 0 ? r->default_us / r->best_us : 0);
    json_number(o, "legal", r->legal);
    json_number(o, "evals", r->evals);
    json_number(o, "known", r->known);
    json_number(o, "samples", r->samples);
    json_number(o, "rejected", r->rejected);
    json_number(o, "quarantined", r->quarantined);
    json_number(o, "seconds", r->seconds);
    json_text(o, "end", end_text(r));
    json_text(o, "note", r->note);
    json_print(o);
    fflush(stdout);
}

static void add_row(struct tune *t, const char *what, const char *dtype,
                    const clattn_tune_report *r)
{
    char best[MAX_CELL], gain[32] = "", tried[48];

    snprintf(best, sizeof best, "%s %.*s", r->kernel[0] ? r->kernel : "nothing works", 60,
             r->config);
    if (r->best_us > 0 && r->default_us > 0)
        snprintf(gain, sizeof gain, "%.2fx", r->default_us / r->best_us);
    snprintf(tried, sizeof tried, "%d of %d", r->evals + r->known, r->legal);
    table_row(&t->table,
              (const char *const[]){ what, dtype, r->default_us > 0 ? time_text(r->default_us) : "",
                                     r->best_us > 0 ? time_text(r->best_us) : "", gain, tried,
                                     end_text(r), best });
}

/* Time that this problem may take: an equal share of what is left. */
static double share_of_budget(const struct tune *t)
{
    if (t->budget <= 0)
        return 0;
    const double left = t->budget - (now_us() - t->started) * 1e-6;
    return left > 0 ? left / (t->jobs - t->job + 1) : 0;
}

static int search(struct tune *t, struct job *j, const char *shape, const char *dtype,
                  struct work *w)
{
    char flags[160], what[MAX_CELL];
    clattn_tune_report r;

    j->op->bench->describe(j->state, flags, sizeof flags);
    snprintf(what, sizeof what, "%s %.60s%s%.40s", j->op->name, shape, flags[0] ? " " : "", flags);
    struct progress p = { .what = what, .job = t->job, .jobs = t->jobs };
    const clattn_status status = clattn_plan_tune(
        w->plan,
        clattn_tune_params(.effort = t->effort, .max_evals = (int)t->evals,
                           .max_seconds = share_of_budget(t), .again = t->again,
                           .worker = t->in_process || !t->worker[0] ? NULL : t->worker,
                           .worker_argument = "tune-worker", .seed = (uint64_t)t->seed,
                           .progress = progress_show, .user = &p),
        &r);
    progress_wipe(&p);
    if (status != CLATTN_OK) { /* the other problems may do better */
        t->failed = fail(status == CLATTN_ERR_DEVICE ? EXIT_NO_DEVICE : EXIT_INPUT, "%s: %s", what,
                         clattn_error(t->session.ctx));
        return EXIT_OK;
    }
    if (r.note[0])
        say("%s: %s", what, r.note);
    if (t->common.json)
        print_json(j, shape, dtype, flags, t, &r);
    else
        add_row(t, what, dtype, &r);
    return EXIT_OK;
}

static bool time_is_up(const struct tune *t)
{
    return progress_interrupted() || (t->budget > 0 && (now_us() - t->started) * 1e-6 >= t->budget);
}

static int tune_job(struct tune *t, struct job *j)
{
    int code = EXIT_OK;

    if (!j->dtypes.n)
        j->dtypes = (struct texts){ 1, { "f32" } };
    t->jobs += j->shapes.n * j->dtypes.n - 1; /* the line was counted as one */
    for (int i = 0; i < j->shapes.n * j->dtypes.n && code == EXIT_OK && !time_is_up(t); i++) {
        const char *shape = j->shapes.text[i / j->dtypes.n],
                   *dtype = j->dtypes.text[i % j->dtypes.n];
        struct bench_item item = { .seed = (uint64_t)t->seed };
        struct work w = { 0 };
        t->job += i > 0;
        code = parse_dtype(&item.dtype, "dtype", dtype);
        if (code == EXIT_OK)
            code = j->op->bench->set_shape(j->state, shape);
        if (code == EXIT_OK)
            code = j->op->bench->open(j->state, &item, &w, &t->session);
        if (code == EXIT_OK)
            code = search(t, j, shape, dtype, &w);
        work_end(&w);
    }
    return code;
}

/* ---- lists of problems ---- */

static int start(struct tune *t)
{
    int code = read_effort(t);

    if (code == EXIT_OK)
        code = read_budget(t);
    if (code == EXIT_OK && (t->evals < 0 || t->evals > INT_MAX))
        code = fail(EXIT_USAGE, "--evals: %lld is not a number of configurations",
                    (long long)t->evals);
    if (code == EXIT_OK)
        code = session_open(&t->session, &t->common);
    own_path(t->worker, sizeof t->worker);
    t->started = now_us();
    t->table.columns = 8;
    if (code == EXIT_OK && !t->common.json)
        table_row(&t->table, (const char *const[]){ "problem", "dtype", "untuned", "tuned", "gain",
                                                    "tried", "end", "best" });
    progress_begin();
    return code;
}

static int finish(struct tune *t, int code)
{
    if (t->table.rows > 1)
        table_print(&t->table);
    else
        free(t->table.cells);
    session_close(&t->session);
    return code == EXIT_OK ? t->failed : code;
}

static int run_words(const struct op *op, void *state, int argc, char **argv);

static struct tune *current; /* of the lines below: op_command() hands nothing through */

static int run_line(struct tune *t, const char *line)
{
    char text[MAX_LINE], *words[MAX_WORDS + 1] = { "tune" };
    int n = 1;

    if (line[strspn(line, " \t")] == '#')
        return EXIT_OK;
    snprintf(text, sizeof text, "%s", line);
    for (char *word = strtok(text, " \t\r\n"); word; word = strtok(NULL, " \t\r\n")) {
        if (n == MAX_WORDS)
            return fail(EXIT_INPUT, "a line of the list has more than %d words", MAX_WORDS - 1);
        words[n++] = word;
    }
    if (n == 1)
        return EXIT_OK;
    t->job++;
    current = t;
    return op_command(&usage, n, words, run_words);
}

/* A line of a list: an operation with its options; they were checked by nobody yet. */
static int run_words(const struct op *op, void *state, int argc, char **argv)
{
    struct job j = { .op = op, .state = state };
    struct option_spec specs[MAX_OPTIONS + 1];
    int first, code;

    job_specs(&j, specs);
    if (!options_parse(&usage, specs, argc, argv, &first, &code))
        return code;
    if (argc != first || !j.shapes.n)
        return fail(EXIT_INPUT, "a line of the list is not `OP --shape SHAPE [options]`");
    return tune_job(current, &j);
}

static int run_file(struct tune *t)
{
    char line[MAX_LINE];
    FILE *file = fopen(t->from, "r");
    int code = EXIT_OK;

    if (!file)
        return fail(EXIT_INPUT, "%s: %s", t->from, strerror(errno));
    while (code == EXIT_OK && fgets(line, sizeof line, file)) {
        if (strlen(line) == sizeof line - 1 && !strchr(line, '\n'))
            code = fail(EXIT_INPUT, "%s: a line is longer than %d characters", t->from, MAX_LINE);
        t->jobs += line[strspn(line, " \t\r\n")] != '\0' && line[strspn(line, " \t")] != '#';
    }
    rewind(file);
    while (code == EXIT_OK && !time_is_up(t) && fgets(line, sizeof line, file))
        code = run_line(t, line);
    fclose(file);
    return code;
}

static int run_common(struct tune *t)
{
    int code = EXIT_OK;

    t->jobs = (int)(sizeof common_problems / sizeof common_problems[0]);
    for (int i = 0; i < t->jobs && code == EXIT_OK && !time_is_up(t); i++)
        code = run_line(t, common_problems[i]);
    return code;
}

static int run_list(int argc, char **argv)
{
    struct tune t = { .seed = 1 };
    struct option_spec specs[MAX_OPTIONS + 1];
    int first, code;

    tune_specs(&t, specs);
    if (!options_parse(&usage, specs, argc, argv, &first, &code))
        return code;
    if (argc != first)
        return usage_error(&usage, "the operation comes before its options");
    code = start(&t);
    if (code == EXIT_OK)
        code = t.from ? run_file(&t) : run_common(&t);
    return finish(&t, code);
}

static int run_op(const struct op *op, void *state, int argc, char **argv)
{
    struct tune t = { .seed = 1 };
    struct job j = { .op = op, .state = state };
    struct option_spec specs[MAX_OPTIONS + 1];
    int first, code;

    tune_specs(&t, specs + job_specs(&j, specs));
    if (!options_parse(&usage, specs, argc, argv, &first, &code))
        return code;
    if (argc != first || t.from)
        return usage_error(&usage, "tune takes one operation and options, or --from");
    if (!j.shapes.n)
        return usage_error(&usage, "tune needs --shape");
    for (int i = 0; i < j.shapes.n; i++)
        if ((code = op->bench->set_shape(state, j.shapes.text[i])) != EXIT_OK)
            return code;
    code = start(&t);
    t.job = t.jobs = 1;
    if (code == EXIT_OK)
        code = tune_job(&t, &j);
    return finish(&t, code);
}

static int run(int argc, char **argv)
{
    if (argc > 1 && argv[1][0] != '-')
        return op_command(&usage, argc, argv, run_op);
    return run_list(argc, argv);
}

const struct command cmd_tune = { "tune", "find and keep the fastest configurations", run };
