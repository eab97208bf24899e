/* SPDX-License-Identifier: Apache-2.0 */
/* Where to look: seeds, random points, walks to local optima, and the match of the best few. */
#include "search.h"

#include <math.h>
#include <stdlib.h>

#include "race.h"

enum {
    COLD_RANDOM = 12, /* points before the first walk, random beyond the seeds */
    KICK_STEPS = 4,   /* random steps away from the best point */
    MAX_PAIRS = 18,   /* moves of two axes tried from one point */
    MAX_MOVES = 256,
    MAX_IDLE = 24,
    MAX_TRIES = 10000, /* random points until one is taken whatever its kernel */
    MAX_FINALISTS = 16,
    SURE_ROUNDS = 5, /* of the finals before anyone leaves */
};

#define NEAR_BEST 1.12  /* a local optimum that is worth moves of two axes */
#define OUTPLAYED 1.02  /* leaves the finals */
#define FINAL_NEAR 1.03 /* gets into them, noise aside */
#define WORTHWHILE 0.98 /* what the winner must be of the default's time to replace it */
#define SQRT2 1.4142135623730951
#define EXPLORE 0.85 /* share of the time before the finals */

typedef struct search {
    const cla_space *space;
    const cla_search_options *options;
    cla_race race;
    uint64_t random;
    double start;
    int evals;
    bool finals;
} search;

cla_search_limits cla_search_limits_of(clattn_effort effort)
{
    switch (effort) {
    case CLATTN_EFFORT_QUICK:
        return (cla_search_limits){ 32, 5, 7, false };
    case CLATTN_EFFORT_STANDARD:
        return (cla_search_limits){ 200, 30, 15, false };
    case CLATTN_EFFORT_PATIENT:
        return (cla_search_limits){ 800, 300, 25, false };
    case CLATTN_EFFORT_EXHAUSTIVE:
        return (cla_search_limits){ CLA_MAX_SPACE, 1e9, 25, true };
    default:
        return (cla_search_limits){ 0, 0, 0, false };
    }
}

/* SplitMix64. */
static uint32_t random_below(search *s, uint32_t n)
{
    uint64_t x = s->random += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    x ^= x >> 31;
    return (uint32_t)((x >> 32) * n >> 32);
}

static void shuffle(search *s, uint32_t *x, uint32_t n)
{
    for (uint32_t i = n; i > 1; i--) {
        const uint32_t j = random_below(s, i), swap = x[i - 1];
        x[i - 1] = x[j];
        x[j] = swap;
    }
}

/* ---- trying points ---- */

static double elapsed(const search *s)
{
    return s->race.prober->clock(s->race.prober->user) - s->start;
}

static bool spent(const search *s)
{
    const cla_search_limits *limits = &s->options->limits;
    return s->race.stopped || s->evals >= limits->evals || s->race.num_trials >= s->race.max_trials
           || elapsed(s) > (s->finals ? 1 : EXPLORE) * limits->seconds;
}

static const cla_trial *default_trial(const search *s)
{
    const cla_trial *t =
        s->options->num_seeds ? cla_race_find(&s->race, s->options->seeds[0]) : NULL;
    return t && t->verdict == CLA_VERDICT_OK ? t : NULL;
}

static void report(const search *s)
{
    const cla_race *race = &s->race;
    if (!race->prober->progress)
        return;
    const cla_search_limits *limits = &s->options->limits;
    const cla_trial *base = default_trial(s);
    const cla_search_status status = {
        .evals = s->evals,
        .max_evals =
            limits->evals < (int)s->space->num_legal ? limits->evals : (int)s->space->num_legal,
        .num_legal = s->space->num_legal,
        .rejected = race->rejected,
        .seconds = elapsed(s),
        .max_seconds = limits->seconds,
        .best_us = race->best >= 0 ? race->trials[race->best].us : 0,
        .default_us = base ? base->us : 0,
        .finals = s->finals,
    };
    race->prober->progress(race->prober->user, &status);
}

/* The trial of a point, made now if need be; NULL: nothing more may be tried. */
static cla_trial *evaluate(search *s, uint32_t code)
{
    cla_trial *t = cla_race_find(&s->race, code);
    if (t)
        return t;
    if (spent(s))
        return NULL;
    t = cla_race_run(&s->race, code);
    s->evals += t->n > 0 || t->verdict == CLA_VERDICT_REJECTED;
    const cla_prober *prober = s->race.prober;
    const bool works = t->verdict == CLA_VERDICT_OK && t->n > 0;
    if (prober->tried && (works || t->verdict == CLA_VERDICT_REJECTED))
        prober->tried(prober->user, code, works ? t->us : 0, cla_trial_spread(t), t->n);
    report(s);
    return s->race.stopped ? NULL : t;
}

/* ---- where to start ---- */

/*
 * A random legal point. Kernels that were found slow are less likely: their times cost more, and
 * their points hardly win.
 */
static uint32_t random_legal(search *s)
{
    double weight[CLA_MAX_VARIANTS];
    const cla_race *race = &s->race;
    for (int v = 0; v < s->space->num_variants; v++)
        weight[v] = -1;
    for (int i = 0; i < race->num_trials; i++) {
        const cla_trial *t = &race->trials[i];
        const int v = cla_space_point(s->space, t->code).variant;
        if (t->verdict == CLA_VERDICT_OK)
            weight[v] = fmax(weight[v], pow(race->trials[race->best].us / t->us, 2));
    }
    for (int v = 0; v < s->space->num_variants; v++)
        if (weight[v] < 0)
            weight[v] = s->options->prior ? s->options->prior[v] : 1;
    for (int tries = 0;; tries++) {
        const uint32_t code = s->space->legal[random_below(s, s->space->num_legal)];
        const int v = cla_space_point(s->space, code).variant;
        if (random_below(s, 1u << 20) <= weight[v] * (1u << 20) || tries == MAX_TRIES)
            return code;
    }
}

/* A point a few random steps away from the best one. */
static uint32_t kicked(search *s)
{
    uint32_t code = s->race.trials[s->race.best].code, codes[MAX_MOVES];
    for (int i = 0; i < KICK_STEPS; i++) {
        const int n = cla_space_singles(s->space, code, codes, MAX_MOVES);
        if (n)
            code = codes[random_below(s, (uint32_t)n)];
    }
    return code;
}

/* The fastest trial that no moves were made from; NULL: there is none. */
static cla_trial *runner_up(search *s)
{
    cla_trial *found = NULL;
    for (int i = 0; i < s->race.num_trials; i++) {
        cla_trial *t = &s->race.trials[i];
        if (t->verdict == CLA_VERDICT_OK && !t->started && (!found || t->us < found->us))
            found = t;
    }
    return found;
}

/* ---- walks ---- */

/* The first of these points that is better than here; here if none is, NULL at the end. */
static cla_trial *first_better(search *s, cla_trial *here, const uint32_t *codes, int n)
{
    for (int i = 0; i < n; i++) {
        cla_trial *t = evaluate(s, codes[i]);
        if (!t)
            return NULL;
        if (cla_race_beats(&s->race, t, here))
            return t;
    }
    return here;
}

/* One step: the first single move that gains, else the first pair; here at a local optimum. */
static cla_trial *step(search *s, cla_trial *here)
{
    uint32_t codes[MAX_MOVES];
    int n = cla_space_singles(s->space, here->code, codes, MAX_MOVES);
    shuffle(s, codes, (uint32_t)n);
    cla_trial *next = first_better(s, here, codes, n);
    if (next != here || here->us > NEAR_BEST * s->race.trials[s->race.best].us)
        return next;
    n = cla_space_pairs(s->space, here->code, codes, MAX_PAIRS);
    return first_better(s, here, codes, n);
}

static void walk(search *s, cla_trial *here)
{
    while (here && here->verdict == CLA_VERDICT_OK && !here->started) {
        here->started = true;
        here = step(s, here);
    }
}

/* ---- the whole ---- */

static void try_seeds(search *s)
{
    const cla_search_options *o = s->options;
    const int first = o->num_seeds - o->num_late;
    for (int i = 0; i < first; i++)
        if (cla_space_legal(s->space, o->seeds[i]))
            evaluate(s, o->seeds[i]);
    for (int i = first; i < COLD_RANDOM && !spent(s); i++)
        evaluate(s, random_legal(s));
}

/* Everything that is left, in random order. False: out of memory. */
static bool try_all(search *s)
{
    const uint32_t n = s->space->num_legal;
    uint32_t *codes = malloc(((size_t)n + 1) * sizeof *codes);
    if (!codes)
        return false;
    for (uint32_t i = 0; i < n; i++)
        codes[i] = s->space->legal[i];
    shuffle(s, codes, n);
    for (uint32_t i = 0; i < n && !spent(s); i++)
        evaluate(s, codes[i]);
    free(codes);
    return true;
}

static bool complete(const search *s)
{
    return (uint32_t)s->race.num_trials >= s->space->num_legal;
}

static bool explore(search *s)
{
    try_seeds(s);
    if (s->options->limits.exhaustive)
        return try_all(s);
    walk(s, runner_up(s));
    for (int i = s->options->num_seeds - s->options->num_late; i < s->options->num_seeds; i++)
        if (cla_space_legal(s->space, s->options->seeds[i]))
            evaluate(s, s->options->seeds[i]);
    int idle = 0; /* turns in a row that found nothing new */
    for (int turn = 0; !spent(s) && !complete(s) && s->race.best >= 0 && idle < MAX_IDLE; turn++) {
        const int evals = s->evals;
        if (turn % 3 == 0)
            walk(s, runner_up(s));
        else
            walk(s, evaluate(s, turn % 3 == 1 ? random_legal(s) : kicked(s)));
        idle = s->evals == evals ? idle + 1 : 0;
    }
    /* A small space: what the walks left out. Rejected points alone leave no best to walk from. */
    return spent(s) || try_all(s);
}

/* ---- finals ---- */

static int by_time(const void *a, const void *b)
{
    const cla_trial *const *x = a, *const *y = b;
    return ((*x)->us > (*y)->us) - ((*x)->us < (*y)->us);
}

/* The trials that may be the fastest, fastest first, the default among them; returns how many. */
static int finalists(search *s, cla_trial **list)
{
    const cla_race *race = &s->race;
    const double near = FINAL_NEAR + SQRT2 * cla_race_margin(race, CLA_RACE_SAMPLES);
    int n = 0;
    for (int i = 0; i < race->num_trials; i++) {
        cla_trial *t = &race->trials[i];
        if (t->verdict == CLA_VERDICT_OK && t->us <= 2 * near * race->trials[race->best].us)
            list[n++] = t;
    }
    qsort(list, (size_t)n, sizeof *list, by_time);
    while (n > CLA_SEARCH_TOP && list[n - 1]->us > near * list[0]->us)
        n--;
    if (n > MAX_FINALISTS - 1)
        n = MAX_FINALISTS - 1;
    const cla_trial *base = default_trial(s);
    for (int i = 0; i < n; i++)
        base = list[i] == base ? NULL : base;
    if (base)
        list[n++] = cla_race_find(&s->race, base->code);
    return n;
}

/* Timed again from scratch, in turns; who is clearly behind leaves early, never the default. */
static void play(search *s, cla_trial **list, int n)
{
    const cla_trial *base = default_trial(s);
    bool out[MAX_FINALISTS] = { false };
    for (int i = 0; i < n && !s->race.stopped; i++)
        list[i]->n = 0;
    for (int round = 0; round < s->options->limits.rounds; round++) {
        double first = HUGE_VAL;
        for (int i = 0; i < n; i++)
            first = fmin(first, list[i]->us);
        for (int i = 0; i < n; i++) {
            const double late = OUTPLAYED + cla_race_margin(&s->race, round ? round : 1);
            out[i] =
                out[i] || (round >= SURE_ROUNDS && list[i] != base && list[i]->us > late * first);
            if (!out[i])
                cla_race_sample(&s->race, list[i], 0);
        }
        report(s);
        if (s->race.stopped || (round > 0 && elapsed(s) > s->options->limits.seconds))
            break;
    }
}

/* A winner that gains next to nothing over the default is no reason to change. */
static void keep_default(const cla_trial *base, cla_trial **list, int n)
{
    if (!base || n == 0 || list[0]->us < WORTHWHILE * base->us)
        return;
    for (int i = 1; i < n; i++)
        if (list[i] == base) {
            for (; i > 0; i--) {
                cla_trial *swap = list[i];
                list[i] = list[i - 1];
                list[i - 1] = swap;
            }
            return;
        }
}

static void finish(search *s, cla_trial **list, cla_search_result *result)
{
    int n = 0;
    s->finals = true;
    if (s->race.best >= 0) {
        n = finalists(s, list);
        play(s, list, n);
        qsort(list, (size_t)n, sizeof *list, by_time);
        keep_default(default_trial(s), list, n);
    }
    const cla_trial *base = default_trial(s);
    result->default_us = base ? base->us : 0;
    for (int i = 0; i < n && result->num_top < CLA_SEARCH_TOP; i++)
        if (list[i]->verdict == CLA_VERDICT_OK) {
            result->top[result->num_top].code = list[i]->code;
            result->top[result->num_top].us = list[i]->us;
            result->top[result->num_top].spread_us = cla_trial_spread(list[i]);
            result->top[result->num_top++].samples = list[i]->n;
        }
}

static cla_search_end reason(const search *s)
{
    if (s->race.stopped)
        return CLA_END_STOPPED;
    if (complete(s))
        return CLA_END_COMPLETE;
    return CLA_END_BUDGET;
}

static int room_for(const cla_space *space, const cla_search_options *o)
{
    const int64_t most = (int64_t)o->limits.evals + o->num_known;
    return most < (int64_t)space->num_legal ? (int)most : (int)space->num_legal;
}

bool cla_search(const cla_space *space, const cla_search_options *options, const cla_prober *prober,
                cla_search_result *result)
{
    search s = { .space = space, .options = options, .random = options->seed };
    *result = (cla_search_result){ .num_top = 0 };
    if (!cla_race_make(&s.race, prober, room_for(space, options)))
        return false;
    cla_trial **list = malloc(((size_t)s.race.max_trials + 1) * sizeof *list);
    s.start = prober->clock(prober->user);
    for (int i = 0; list && i < options->num_known; i++)
        if (cla_space_legal(space, options->known[i].code) && s.race.num_trials < s.race.max_trials
            && !cla_race_find(&s.race, options->known[i].code))
            cla_race_know(&s.race, &options->known[i]);
    const bool done = list && (options->limits.evals == 0 || explore(&s));
    if (done) {
        finish(&s, list, result);
        result->end = reason(&s);
        result->evals = s.evals;
        result->samples = s.race.samples;
        result->rejected = s.race.rejected;
        result->seconds = elapsed(&s);
    }
    free(list);
    cla_race_free(&s.race);
    return done;
}
