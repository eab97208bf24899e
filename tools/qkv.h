/* SPDX-License-Identifier: Apache-2.0 */
/* q, k and v of the command line: their sizes, as numbers, as text and as they stand in files. */
#ifndef QKV_H
#define QKV_H

#include "work.h"

#define QKV_SHAPE "B,Hq,Hk,Nq,Nk,D[,Dv]"

struct qkv_sizes {
    int64_t B, Hq, Hk, Nq, Nk, D, Dv;
};

struct qkv {
    bool ragged;        /* q, k, v are [T][H][D] */
    struct qkv_sizes n; /* ragged: Nq and Nk are the packed rows */
    struct array q, k, v, cu_q, cu_k;
};

/* Reads --shape. EXIT_OK, or fail(). */
int qkv_parse(const char *text, struct qkv_sizes *n);

/* "1,8,8,64,64,32,32". */
void qkv_text(const struct qkv_sizes *n, char *text, size_t size);

/* Sets n from the shapes of q, k and v; the library checks that they fit together. */
int qkv_measure(struct qkv *x);

/* Random f32 tensors of sizes n, of variance 1, so that scores spread as in trained models. */
int qkv_random(const struct qkv_sizes *n, uint64_t seed, struct qkv *x);

/* A zeroed o that fits q, k and v: of rank 4, ragged 3. */
int qkv_result(const struct qkv *x, struct array *o);

/* Takes zeroed and freed ones. */
void qkv_free(struct qkv *x);

/* Members of a work's params, which different operations call the same. */
struct qkv_views {
    clattn_tensor *q, *k, *v, *cu_q, *cu_k;
};
#define QKV_VIEWS(p) \
    ((struct qkv_views){ &(p)->q, &(p)->k, &(p)->v, &(p)->cu_seqlens_q, &(p)->cu_seqlens_k })

void qkv_input(const struct qkv *x, struct work *w, struct qkv_views views);

/*
 * Files may leave out the axes of batch and head. Adds them to q, k and v; *lacking: how many they
 * were, the same for all three. paths: for messages.
 */
int qkv_raise(struct qkv *x, const char *const paths[3], int *lacking);

/* Bytes of q, k, v and o, each moved once. */
double qkv_bytes(const struct qkv_sizes *n, clattn_dtype dtype);

#endif
