/* SPDX-License-Identifier: Apache-2.0 */
#include "files.h"

#include "cli.h"
#include "measure.h"

/* Everything that can be refused without reading a tensor comes first. */
static int announce(const struct file_job *f, struct outputs *files)
{
    int code = EXIT_OK;

    for (const struct file_output *out = f->out; out->array && code == EXIT_OK; out++)
        code = out->path ? outputs_add(files, out->path) : EXIT_OK;
    for (const struct file_input *in = f->in; in->array && code == EXIT_OK; in++)
        code = in->path ? outputs_keep(files, in->path) : EXIT_OK;
    return code;
}

static int load(const struct file_job *f)
{
    int code = EXIT_OK;

    for (const struct file_input *in = f->in; in->array && code == EXIT_OK; in++) {
        if (!in->path)
            continue;
        code = array_load(in->array, in->path, in->dtype);
        if (code == EXIT_OK)
            array_raise(in->array, in->rank);
    }
    return code;
}

/* The first run may still have compiled or touched memory for the first time. */
static int run_twice(struct work *w, struct performance *p)
{
    work_run(w);
    const double start = now_us();
    const int code = work_run(w);
    const double us = now_us() - start;

    p->timing = (struct timing){ us, us, 1, 1 };
    return code == EXIT_OK ? measure_peaks(w->session, 1, w, &p->timing, &p->peaks) : code;
}

static int write_outputs(const struct file_job *f, struct outputs *files)
{
    const struct array *arrays[MAX_OUTPUTS];
    int n = 0;

    for (const struct file_output *out = f->out; out->array; out++) {
        if (!out->path)
            continue;
        array_lower(out->array, f->lacking);
        arrays[n++] = out->array;
    }
    return outputs_write(files, arrays);
}

static int compute(struct file_job *f, struct session *s, struct outputs *files)
{
    struct work w = { 0 };
    struct performance p = { .op = f->op, .shape = f->shape, .flags = f->flags, .work = &w };
    int code = f->open(f, &w, s);

    if (code == EXIT_OK)
        code = run_twice(&w, &p);
    if (code == EXIT_OK)
        code = work_read(&w);
    if (code == EXIT_OK)
        code = write_outputs(f, files);
    if (code == EXIT_OK)
        performance_print(&p, f->common.json);
    work_end(&w);
    return code;
}

static int run(struct file_job *f)
{
    struct outputs files = { 0 };
    struct session session;
    int code = announce(f, &files);

    if (code == EXIT_OK)
        code = load(f);
    if (code == EXIT_OK)
        code = f->prepare(f);
    if (code == EXIT_OK)
        code = session_open(&session, &f->common);
    if (code == EXIT_OK) {
        code = compute(f, &session, &files);
        session_close(&session);
    }
    outputs_free(&files);
    return code;
}

int files_main(struct file_job *f, const struct usage *usage, const struct option_spec *specs,
               int argc, char **argv)
{
    int first, code;

    if (!options_parse(usage, specs, argc, argv, &first, &code))
        return code;
    if (argc - first != f->arguments)
        return usage_error(usage, "%s needs %s", f->op, f->needs);
    if (!f->out[0].path)
        return usage_error(usage, "%s needs -o %s", f->op, f->makes);
    for (int i = 0; i < f->arguments; i++)
        f->in[i].path = argv[first + i];
    return run(f);
}
