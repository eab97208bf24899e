/* SPDX-License-Identifier: Apache-2.0 */
#include "progress.h"

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "report.h"

enum { BAR = 20, LINE = 160 };

static volatile sig_atomic_t interrupted;

static void on_interrupt(int signal_number)
{
    (void)signal_number;
    interrupted = 1;
}

void progress_begin(void)
{
    struct sigaction action = { .sa_handler = on_interrupt, .sa_flags = (int)SA_RESETHAND };

    sigaction(SIGINT, &action, NULL);
}

bool progress_interrupted(void)
{
    return interrupted;
}

/* What is done, by time or by number, whichever is further. */
static double share(const clattn_tune_status *s)
{
    const double evals = s->max_evals ? (double)s->evals / s->max_evals : 0;
    const double time = s->max_seconds > 0 ? s->seconds / s->max_seconds : 0;

    return fmin(fmax(evals, time), 1);
}

static void left_text(const clattn_tune_status *s, double done, char *text, size_t size)
{
    const double left = done > 0.02 ? s->seconds * (1 - done) / done : 0;

    if (s->finals)
        snprintf(text, size, "finals");
    else if (left == 0)
        snprintf(text, size, "...");
    else if (left < 100)
        snprintf(text, size, "%.0f s left", ceil(left));
    else
        snprintf(text, size, "%.0f min left", ceil(left / 60));
}

bool progress_show(void *user, const clattn_tune_status *s)
{
    struct progress *p = user;
    char bar[BAR + 1], left[32], gain[32] = "", line[LINE];
    const double done = share(s);

    if (!isatty(STDERR_FILENO))
        return !interrupted;
    for (int i = 0; i < BAR; i++)
        bar[i] = i < (int)(done * BAR) ? '#' : '.';
    bar[BAR] = '\0';
    left_text(s, done, left, sizeof left);
    if (s->best_us > 0 && s->default_us > 0)
        snprintf(gain, sizeof gain, " (%.2fx)", s->default_us / s->best_us);
    snprintf(line, sizeof line, "%d/%d %s [%s] %d/%d, %s, best %s%s", p->job, p->jobs, p->what, bar,
             s->evals, s->max_evals, left, s->best_us > 0 ? time_text(s->best_us) : "-", gain);
    fprintf(stderr, "\r\033[K%.*s", 110, line);
    fflush(stderr);
    p->shown = true;
    return !interrupted;
}

void progress_wipe(struct progress *p)
{
    if (p->shown)
        fputs("\r\033[K", stderr);
    p->shown = false;
}
