/* SPDX-License-Identifier: Apache-2.0 */
#include "race.h"

#include <math.h>
#include <stdlib.h>

#define FAR_BEHIND 1.25 /* given up after one sample */
#define BEHIND 1.05     /* after three, noise aside */
#define BETTER 0.995    /* what counts as faster */
#define DEVIATIONS 1.7  /* how sure is sure */
#define SQRT2 1.4142135623730951
#define SPREAD_UNSEEN 0.02

bool cla_race_make(cla_race *race, const cla_prober *prober, int max_trials)
{
    uint32_t slots = 2;
    while (slots < 2u * (uint32_t)max_trials)
        slots *= 2;
    *race = (cla_race){ .prober = prober, .max_trials = max_trials, .mask = slots - 1, .best = -1 };
    race->trials = malloc(((size_t)max_trials + 1) * sizeof *race->trials);
    race->table = calloc(slots, sizeof *race->table);
    if (race->trials && race->table)
        return true;
    cla_race_free(race);
    return false;
}

void cla_race_free(cla_race *race)
{
    free(race->trials);
    free(race->table);
    race->trials = NULL;
    race->table = NULL;
}

static uint32_t slot_of(const cla_race *race, uint32_t code)
{
    uint32_t i = (uint32_t)(code * UINT64_C(0x9e3779b97f4a7c15) >> 32) & race->mask;
    while (race->table[i] && race->trials[race->table[i] - 1].code != code)
        i = (i + 1) & race->mask;
    return i;
}

cla_trial *cla_race_find(const cla_race *race, uint32_t code)
{
    const int32_t at = race->table[slot_of(race, code)];
    return at ? &race->trials[at - 1] : NULL;
}

static cla_trial *add_trial(cla_race *race, uint32_t code)
{
    cla_trial *t = &race->trials[race->num_trials];
    t->code = code;
    t->verdict = CLA_VERDICT_OK;
    t->started = false;
    t->n = 0;
    t->us = HUGE_VAL;
    race->table[slot_of(race, code)] = ++race->num_trials;
    return t;
}

static void choose_best(cla_race *race)
{
    race->best = -1;
    for (int i = 0; i < race->num_trials; i++) {
        const cla_trial *t = &race->trials[i];
        if (t->verdict == CLA_VERDICT_OK && isfinite(t->us)
            && (race->best < 0 || t->us < race->trials[race->best].us))
            race->best = i;
    }
}

void cla_race_know(cla_race *race, const cla_known *known)
{
    cla_trial *t = add_trial(race, known->code);
    t->verdict = known->verdict;
    t->us = known->verdict == CLA_VERDICT_OK ? known->us : HUGE_VAL;
    choose_best(race);
}

/*
 * The median of few samples jumps between the two speeds of a device that changes its clock, the
 * fastest one is luck, and the slow ones were disturbed: the mean of the faster half, the fastest
 * of seven or more left out.
 */
static double typical(const cla_trial *t)
{
    const int first = t->n >= CLA_RACE_SAMPLES, n = (t->n + 1) / 2;
    double sum = 0;
    for (int i = first; i < first + n; i++)
        sum += t->sample[i];
    return sum / n;
}

double cla_trial_spread(const cla_trial *t)
{
    return t->n ? (t->sample[t->n - 1 - t->n / 4] - t->sample[t->n / 4]) / 2 : 0;
}

bool cla_race_sample(cla_race *race, cla_trial *t, double limit_us)
{
    double us = 0;
    if (race->stopped || t->n == CLA_MAX_SAMPLES)
        return false;
    const cla_verdict verdict = race->prober->sample(race->prober->user, t->code, limit_us, &us);
    race->stopped = verdict == CLA_VERDICT_STOP;
    if (race->stopped)
        return false;
    race->samples++;
    if (verdict == CLA_VERDICT_REJECTED) {
        t->verdict = verdict;
        t->us = HUGE_VAL;
        race->rejected++;
        return false;
    }
    int i = t->n++;
    for (; i > 0 && t->sample[i - 1] > us; i--)
        t->sample[i] = t->sample[i - 1];
    t->sample[i] = us;
    t->us = typical(t);
    return true;
}

double cla_race_margin(const cla_race *race, int n)
{
    const double spread = race->num_spreads ? race->spread / race->num_spreads : SPREAD_UNSEEN;
    return DEVIATIONS * spread / sqrt(n);
}

static bool is_behind(const cla_race *race, const cla_trial *t, double best_us)
{
    if (t->n == 1)
        return t->us > fmax(FAR_BEHIND, 1 + 2 * cla_race_margin(race, 1)) * best_us;
    return t->n == 3 && t->us > (BEHIND + cla_race_margin(race, 3)) * best_us;
}

cla_trial *cla_race_run(cla_race *race, uint32_t code)
{
    cla_trial *t = add_trial(race, code);
    const int best = race->best;
    const double best_us = best >= 0 ? race->trials[best].us : HUGE_VAL;
    while (t->n < CLA_RACE_SAMPLES
           && cla_race_sample(race, t, best >= 0 ? FAR_BEHIND * best_us : 0))
        if (is_behind(race, t, best_us))
            break;
    /* So that the best one's time is not that of a quiet moment. */
    if (best >= 0 && t->n >= 3 && race->trials[best].n < CLA_RACE_MORE)
        cla_race_sample(race, &race->trials[best], 0);
    if (t->n == CLA_RACE_SAMPLES) { /* the middle five of seven span two deviations */
        race->spread += (t->sample[5] - t->sample[1]) / t->us / 2;
        race->num_spreads++;
        if (best >= 0)
            cla_race_beats(race, t, &race->trials[best]);
    }
    choose_best(race);
    return t;
}

bool cla_race_beats(cla_race *race, cla_trial *t, cla_trial *other)
{
    if (t->verdict != CLA_VERDICT_OK || other->verdict != CLA_VERDICT_OK || t->n == 0)
        return false;
    while (t->n < CLA_RACE_SAMPLES && t->us < (1 + cla_race_margin(race, t->n)) * other->us)
        if (!cla_race_sample(race, t, 0))
            return false;
    while (t->n < CLA_RACE_MORE
           && fabs(t->us / other->us - 1) < SQRT2 * cla_race_margin(race, t->n))
        if (!cla_race_sample(race, t, 0)
            || (other->n < CLA_RACE_MORE && !cla_race_sample(race, other, 0)))
            return false;
    return t->us < BETTER * other->us;
}
