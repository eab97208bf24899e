/* SPDX-License-Identifier: Apache-2.0 */
#include "sample.h"

#include <math.h>
#include <stdlib.h>

/* SplitMix64 (Steele and others 2014), as a number from 0 to 1, 1 excluded. */
static double random_number(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    z ^= z >> 31;
    return (double)(z >> 11) * 0x1p-53;
}

double clm_log_sum(const float *x, int count)
{
    double top = -INFINITY, sum = 0;
    for (int i = 0; i < count; i++)
        top = (double)x[i] > top ? (double)x[i] : top;
    for (int i = 0; i < count; i++)
        sum += x[i] == -INFINITY ? 0 : exp((double)x[i] - top);
    return top + log(sum);
}

int clm_largest(const float *x, int count, int n, int *places)
{
    int found = 0;
    for (int i = 0; i < count; i++) {
        int at = found;
        if (isnan(x[i]) || (found == n && !(x[i] > x[places[n - 1]])))
            continue;
        if (found == n)
            at--;
        else
            found++;
        for (; at > 0 && x[i] > x[places[at - 1]]; at--)
            places[at] = places[at - 1];
        places[at] = i;
    }
    return found;
}

typedef struct option {
    double weight;
    int id;
} option;

static int heavier(const void *a, const void *b)
{
    const option *x = a, *y = b;
    if (x->weight != y->weight)
        return x->weight > y->weight ? -1 : 1;
    return x->id - y->id;
}

/* e^-30 of the likeliest: so many tokens together would still be nothing. */
#define NEGLIGIBLE 1e-13

static int draw(clm_sampling *s, const float *logits, int count, double top, option *options)
{
    int n = 0;
    double total = 0, kept = 0;
    for (int i = 0; i < count; i++) {
        const double weight = exp(((double)logits[i] - top) / (double)s->temperature);
        if (weight > NEGLIGIBLE)
            options[n++] = (option){ weight, i };
    }
    const bool some = s->top_p > 0 && s->top_p < 1, few = s->top_k > 0 && s->top_k < n;
    if (some || few) /* else their order does not matter */
        qsort(options, (size_t)n, sizeof *options, heavier);
    if (few)
        n = s->top_k;
    for (int i = 0; i < n; i++)
        total += options[i].weight;
    for (int i = 0; some && i < n; i++) {
        kept += options[i].weight;
        if (kept >= (double)s->top_p * total)
            n = i + 1;
    }
    double left = random_number(&s->state) * (some ? kept : total);
    int i = 0;
    while (i + 1 < n && left >= options[i].weight)
        left -= options[i++].weight;
    return options[i].id;
}

bool clm_sample(clm_sampling *s, const float *logits, int count, int *id, clm_fault *f)
{
    for (int i = 0; i < count; i++)
        if (isnan(logits[i]) || logits[i] == INFINITY)
            return clm_fail(f, "the logit of token %d is %g", i, (double)logits[i]);
    if (clm_largest(logits, count, 1, id) == 0 || logits[*id] == -INFINITY)
        return clm_fail(f, "no token has a logit");
    if (s->temperature <= 0)
        return true;
    option *options = malloc((size_t)count * sizeof *options);
    if (!options)
        return clm_out_of_memory(f);
    *id = draw(s, logits, count, (double)logits[*id], options);
    free(options);
    return true;
}
