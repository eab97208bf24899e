/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What peers.py calls in each of the shared objects built here, one per library that is compared.
 * A contestant copies its inputs when it is opened, so that none finds the data of another in a
 * cache, and converts or rearranges them there if its users would do that once.
 */
#ifndef PEER_H
#define PEER_H

#include <stddef.h>

#define PEER_API __attribute__((visibility("default")))

/* As in clattn.h, which not every peer includes. */
enum { PEER_F32 = 1, PEER_F16 = 2, PEER_BF16 = 3 };

enum { PEER_ATTENTION, PEER_PROJECTION, PEER_LINEAR }; /* the last: attention with elu(x) + 1 */

/* All tensors are dense and of one dtype. */
typedef struct peer_problem {
    int op, dtype;
    int batch, q_heads, kv_heads, queries, keys, width; /* attention */
    int causal;                                  /* the last query sees the last key */
    int rows, outputs, inputs;                   /* projection: y = x w^T */
    /* q [batch][heads][queries][width], k and v; or x [rows][inputs], w [outputs][inputs] */
    const void *in[3];
    const char *option; /* which of the ways to do it that this peer has */
} peer_problem;

enum { PEER_TEXT = 512 };

/* The version of the library, and how it was built if that tells its speed. */
PEER_API void peer_version(char *text);

/* NULL, and text says why: this peer cannot do it, or not here. */
PEER_API void *peer_open(const peer_problem *problem, char *text);

/* Returns when the result is there; not 0: it failed. */
PEER_API int peer_run(void *contestant);

/* clattn only: without waiting; the next peer_run() of any contestant on the device does that. */
PEER_API int peer_start(void *contestant);

/* The result, dense, in the dtype of the problem. */
PEER_API void peer_read(void *contestant, void *out);

PEER_API void peer_close(void *contestant);

/* clattn only: what the device of a selector is called, and its peaks; 0 when there is none. */
PEER_API int peer_device(const char *selector, char *text, double *gflops, double *gbytes_per_s);

/* ---- for those who implement this ---- */

static inline size_t peer_dtype_size(int dtype)
{
    return dtype == PEER_F32 ? 4 : 2;
}

/* Elements of in[i], and for i = 3 of the result. */
static inline size_t peer_count(const peer_problem *p, int i)
{
    if (p->op != PEER_PROJECTION)
        return (size_t)p->batch * (size_t)(i % 3 ? p->kv_heads : p->q_heads)
             * (size_t)(i % 3 ? p->keys : p->queries) * (size_t)p->width;
    return (size_t)(i == 1 ? p->outputs : p->rows) * (size_t)(i == 3 ? p->outputs : p->inputs);
}

static inline size_t peer_bytes(const peer_problem *p, int i)
{
    return peer_count(p, i) * peer_dtype_size(p->dtype);
}

static inline int peer_inputs(const peer_problem *p)
{
    return p->op == PEER_PROJECTION ? 2 : 3;
}

#endif
