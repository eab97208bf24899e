/* SPDX-License-Identifier: Apache-2.0 */
/*
 * OpenBLAS: its products as projections, and attention put together from them: heads go to threads,
 * each takes a block of queries at a time, multiplies, exponentiates, multiplies again. Compiled
 * with -ffast-math, which gives it an expf() in vectors.
 */
#include <cblas.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "peer.h"

enum { BLOCK = 128 }; /* queries whose scores are made at once */

typedef struct contestant {
    peer_problem p;
    float *memory[4]; /* inputs, and the result last */
} contestant;

void peer_version(char *text)
{
    snprintf(text, PEER_TEXT, "%s, %s, %d threads", openblas_get_config(), openblas_get_corename(),
             openblas_get_num_threads());
}

void *peer_open(const peer_problem *p, char *text)
{
    if (p->dtype != PEER_F32) {
        snprintf(text, PEER_TEXT, "f32 only");
        return NULL;
    }
    contestant *c = calloc(1, sizeof *c);
    if (!c)
        return NULL;
    c->p = *p;
    for (int i = 0; i < 4; i++) {
        if (i >= peer_inputs(p) && i < 3)
            continue;
        c->memory[i] = aligned_alloc(64, (peer_bytes(p, i) + 63) / 64 * 64);
        if (!c->memory[i]) {
            snprintf(text, PEER_TEXT, "out of memory");
            peer_close(c);
            return NULL;
        }
        if (i < 3)
            memcpy(c->memory[i], p->in[i], peer_bytes(p, i));
    }
    return c;
}

/* Scores of one query, of which the first `seen` count, to probabilities. */
static void softmax(float *x, int seen, int n)
{
    float top = -FLT_MAX, sum = 0;
    for (int j = 0; j < seen; j++)
        top = x[j] > top ? x[j] : top;
    for (int j = 0; j < seen; j++) {
        x[j] = expf(x[j] - top);
        sum += x[j];
    }
    for (int j = 0; j < seen; j++)
        x[j] /= sum;
    for (int j = seen; j < n; j++)
        x[j] = 0;
}

static void attend(const contestant *c, int head, int first, float *scores)
{
    const peer_problem *p = &c->p;
    const int rows = p->queries - first < BLOCK ? p->queries - first : BLOCK;
    const int hidden = p->causal ? p->queries - first - rows : 0, n = p->keys - hidden;
    const size_t kv = (size_t)(head / (p->q_heads / p->kv_heads)) * p->keys * p->width;
    const size_t at = ((size_t)head * p->queries + first) * p->width;
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, rows, n, p->width,
                1 / sqrtf((float)p->width), c->memory[0] + at, p->width, c->memory[1] + kv,
                p->width, 0, scores, n);
    for (int r = 0; r < rows; r++)
        softmax(scores + (size_t)r * n, p->causal ? n - rows + r + 1 : n, n);
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, rows, p->width, n, 1, scores, n,
                c->memory[2] + kv, p->width, 0, c->memory[3] + at, p->width);
}

static int attention(const contestant *c)
{
    const peer_problem *p = &c->p;
    const int threads = openblas_get_num_threads();
    const int blocks = (p->queries + BLOCK - 1) / BLOCK;
    int failed = 0;
    openblas_set_num_threads(1);
#pragma omp parallel num_threads(threads) reduction(| : failed)
    {
        float *scores = malloc((size_t)BLOCK * p->keys * sizeof *scores);
        failed = !scores;
#pragma omp for schedule(dynamic)
        for (int i = 0; i < p->q_heads * blocks; i++)
            if (scores)
                attend(c, i / blocks, i % blocks * BLOCK, scores);
        free(scores);
    }
    openblas_set_num_threads(threads);
    return failed;
}

static int projection(const contestant *c)
{
    const peer_problem *p = &c->p;
    if (p->rows == 1)
        cblas_sgemv(CblasRowMajor, CblasNoTrans, p->outputs, p->inputs, 1, c->memory[1], p->inputs,
                    c->memory[0], 1, 0, c->memory[3], 1);
    else
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, p->rows, p->outputs, p->inputs, 1,
                    c->memory[0], p->inputs, c->memory[1], p->inputs, 0, c->memory[3], p->outputs);
    return 0;
}

int peer_run(void *contestant_)
{
    const contestant *c = contestant_;
    return c->p.op == PEER_ATTENTION ? attention(c) : projection(c);
}

void peer_read(void *contestant_, void *out)
{
    const contestant *c = contestant_;
    memcpy(out, c->memory[3], peer_bytes(&c->p, 3));
}

void peer_close(void *contestant_)
{
    contestant *c = contestant_;
    for (int i = 0; i < 4; i++)
        free(c->memory[i]);
    free(c);
}
