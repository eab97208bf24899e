/* SPDX-License-Identifier: Apache-2.0 */
#include "trace.h"

#include <jansson.h>
#include <stdlib.h>

#include "cli.h"

struct span {
    const char *name; /* a constant */
    int number;       /* layer or token, -1: none */
    bool operation;
    double begin, end;
};

static void add(struct trace *t, const struct span *span)
{
    if (t->count == t->room) {
        const int room = t->room ? 2 * t->room : 1024;
        struct span *spans = realloc(t->spans, (size_t)room * sizeof *spans);
        if (!spans) {
            t->lost = true;
            return;
        }
        t->spans = spans;
        t->room = room;
    }
    t->spans[t->count++] = *span;
}

void trace_operation(void *trace, const char *name, int layer, double begin_us, double end_us)
{
    struct trace *t = trace;

    t->kernel_us += end_us - begin_us;
    add(t, &(struct span){ name, layer, true, begin_us, end_us });
}

void trace_span(struct trace *t, const char *name, int number, double begin_us, double end_us)
{
    add(t, &(struct span){ name, number, false, begin_us, end_us });
}

static json_t *event_of(const struct span *s, double zero)
{
    json_t *event =
        json_pack("{s:s, s:s, s:s, s:i, s:i, s:f, s:f}", "name", s->name, "ph", "X", "cat",
                  s->operation ? "operation" : "step", "pid", 1, "tid", s->operation ? 2 : 1, "ts",
                  s->begin - zero, "dur", s->end - s->begin);
    if (s->number >= 0)
        json_object_set_new(event, "args",
                            json_pack("{s:i}", s->operation ? "layer" : "token", s->number));
    return event;
}

static json_t *thread_name(int tid, const char *name)
{
    return json_pack("{s:s, s:s, s:i, s:i, s:{s:s}}", "name", "thread_name", "ph", "M", "pid", 1,
                     "tid", tid, "args", "name", name);
}

int trace_write(const struct trace *t, const char *device, const char *path)
{
    json_t *events = json_array();
    double zero = t->count > 0 ? t->spans[0].begin : 0;

    for (int i = 0; i < t->count; i++)
        zero = t->spans[i].begin < zero ? t->spans[i].begin : zero;
    json_array_append_new(events, thread_name(1, "steps"));
    json_array_append_new(events, thread_name(2, device));
    for (int i = 0; i < t->count; i++)
        json_array_append_new(events, event_of(&t->spans[i], zero));
    json_t *root = json_pack("{s:o, s:s}", "traceEvents", events, "displayTimeUnit", "ms");
    const bool ok = root && !t->lost && json_dump_file(root, path, JSON_COMPACT) == 0;
    json_decref(root);
    return ok ? EXIT_OK : fail(EXIT_INPUT, "cannot write %s", path);
}

void trace_free(struct trace *t)
{
    free(t->spans);
    *t = (struct trace){ 0 };
}
