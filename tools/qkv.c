/* SPDX-License-Identifier: Apache-2.0 */
#include "qkv.h"

#include <inttypes.h>
#include <stdio.h>

#include "cli.h"
#include "options.h"

static const float UNIT = 1.7320508f; /* uniform in -UNIT to UNIT has variance 1 */

int qkv_parse(const char *text, struct qkv_sizes *n)
{
    int64_t x[7];
    const int count = parse_sizes(text, QKV_SHAPE, 6, 7, x);

    if (count < 0)
        return EXIT_USAGE;
    *n = (struct qkv_sizes){ x[0], x[1], x[2], x[3], x[4], x[5], count == 7 ? x[6] : x[5] };
    if (n->D < 1 || n->Dv < 1)
        return fail(EXIT_INPUT, "D is %" PRId64 " and Dv is %" PRId64 ", both must be at least 1",
                    n->D, n->Dv);
    if (n->Hq > 0 && (n->Hk < 1 || n->Hq % n->Hk != 0))
        return fail(EXIT_INPUT,
                    "q has %" PRId64 " heads, k has %" PRId64 "; Hq must be a multiple of Hk",
                    n->Hq, n->Hk);
    return EXIT_OK;
}

void qkv_text(const struct qkv_sizes *n, char *text, size_t size)
{
    snprintf(text, size,
             "%" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId64,
             n->B, n->Hq, n->Hk, n->Nq, n->Nk, n->D, n->Dv);
}

int qkv_measure(struct qkv *x)
{
    const struct array *all[] = { &x->q, &x->k, &x->v };
    const int rank = x->ragged ? 3 : 4, rows = x->ragged ? 0 : 2;

    for (int i = 0; i < 3; i++) {
        if (all[i]->rank != rank)
            return fail(EXIT_INPUT, "%c is %s, need %s", "qkv"[i],
                        shape_text(all[i]->rank, all[i]->shape),
                        x -> ragged ? "[T][H][D]" : "[B][H][N][D]");
    }
    x->n = (struct qkv_sizes){
        .B = x->ragged ? (int64_t)x->cu_q.count - 1 : x->q.shape[0],
        .Hq = x->q.shape[1],
        .Hk = x->k.shape[1],
        .Nq = x->q.shape[rows],
        .Nk = x->k.shape[rows],
        .D = x->q.shape[rank - 1],
        .Dv = x->v.shape[rank - 1],
    };
    return EXIT_OK;
}

int qkv_random(const struct qkv_sizes *n, uint64_t seed, struct qkv *x)
{
    const int64_t q[] = { n->B, n->Hq, n->Nq, n->D }, k[] = { n->B, n->Hk, n->Nk, n->D };
    const int64_t v[] = { n->B, n->Hk, n->Nk, n->Dv };
    int code;

    x->n = *n;
    if ((code = array_new_random(&x->q, CLATTN_F32, 4, q, UNIT, seed + 1)) != EXIT_OK
        || (code = array_new_random(&x->k, CLATTN_F32, 4, k, UNIT, seed + 2)) != EXIT_OK)
        return code;
    return array_new_random(&x->v, CLATTN_F32, 4, v, UNIT, seed + 3);
}

int qkv_result(const struct qkv *x, struct array *o)
{
    const struct qkv_sizes *n = &x->n;
    const int64_t dense[] = { n->B, n->Hq, n->Nq, n->Dv }, packed[] = { n->Nq, n->Hq, n->Dv };

    return x->ragged ? array_new(o, CLATTN_F32, 3, packed) : array_new(o, CLATTN_F32, 4, dense);
}

void qkv_free(struct qkv *x)
{
    struct array *all[] = { &x->q, &x->k, &x->v, &x->cu_q, &x->cu_k };

    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        array_free(all[i]);
}

/* The lengths stay on the host: there the library checks what stands in them. */
void qkv_input(const struct qkv *x, struct work *w, struct qkv_views views)
{
    work_input(w, "q", &x->q, w->dtype, views.q);
    work_input(w, "k", &x->k, w->dtype, views.k);
    work_input(w, "v", &x->v, w->dtype, views.v);
    if (x->ragged) {
        *views.cu_q = clattn_tensor_of_host(x->cu_q.data, CLATTN_I32, x->cu_q.rank, x->cu_q.shape);
        *views.cu_k = clattn_tensor_of_host(x->cu_k.data, CLATTN_I32, x->cu_k.rank, x->cu_k.shape);
    }
}

int qkv_raise(struct qkv *x, const char *const paths[3], int *lacking)
{
    struct array *all[] = { &x->q, &x->k, &x->v };
    const int rank = x->q.rank;

    for (int i = 0; i < 3; i++) {
        if (all[i]->rank < 2 || all[i]->rank > 4 || all[i]->rank != rank)
            return fail(EXIT_INPUT,
                        "%s is %s, %s is %s: need [B][H][N][D], [H][N][D] or [N][D] for all three",
                        paths[0], shape_text(rank, x->q.shape), paths[i],
                        shape_text(all[i]->rank, all[i]->shape));
        if (i > 0)
            array_raise(all[i], 4);
    }
    array_raise(&x->q, 4);
    *lacking = 4 - rank;
    return EXIT_OK;
}

double qkv_bytes(const struct qkv_sizes *n, clattn_dtype dtype)
{
    const double rows = (double)n->Hq * (double)n->Nq, keys = (double)n->Hk * (double)n->Nk;

    return (double)clattn_dtype_size(dtype) * (double)n->B * (double)(n->D + n->Dv) * (rows + keys);
}
