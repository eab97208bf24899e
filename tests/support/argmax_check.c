/* SPDX-License-Identifier: Apache-2.0 */
/* Results of argmax attention against the reference: the index of each row, and the bits of o. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "attention_case.h"
#include "compare.h"
#include "ref_argmax.h"
#include "storage.h"

/* Results and values as they are stored, dense. */
typedef struct argmax_results {
    const ref_attn *ref;
    int32_t *index; /* NULL: not asked for */
    unsigned char *o, *v;
    size_t row_bytes;
} argmax_results;

/* Row o of the results, a row of v or zeros? */
static bool holds(const argmax_results *r, size_t o_row, int b, int h, int index)
{
    const unsigned char *o = r->o + o_row * r->row_bytes;

    if (index >= 0)
        return memcmp(o, r->v + ref_k_row(r->ref, b, h, index) * r->row_bytes, r->row_bytes) == 0;
    for (size_t i = 0; i < r->row_bytes; i++)
        if (o[i] != 0)
            return false;
    return true;
}

/* Some key that the row may choose and whose value it holds. */
static bool holds_any(const argmax_results *r, size_t o_row, int b, int h, int i)
{
    for (int j = -1; j < ref_seq_of(r->ref, b).nk; j++)
        if (holds(r, o_row, b, h, j) && !ref_argmax_why_not(r->ref, b, h, i, j))
            return true;
    return false;
}

static void check_row(const argmax_results *r, int b, int h, int i)
{
    const size_t o_row = ref_q_row(r->ref, b, h, i);

    if (!r->index) {
        ck_assert_msg(holds_any(r, o_row, b, h, i), "%s: o of [%d][%d][%d] is no best value",
                      compare_label_text(), b, h, i);
        return;
    }
    const int index = r->index[ref_lse_row(r->ref, b, h, i)];
    const char *why = ref_argmax_why_not(r->ref, b, h, i, index);
    ck_assert_msg(!why, "%s: index of [%d][%d][%d] is %d: %s", compare_label_text(), b, h, i,
                  index, why);
    ck_assert_msg(holds(r, o_row, b, h, index), "%s: o of [%d][%d][%d] is not v of key %d",
                  compare_label_text(), b, h, i, index);
}

void argmax_check(attn_run *run)
{
    const attn_data *d = run->data;
    const ref_attn *ref = &d->ref;
    const size_t size = clattn_dtype_size(d->spec.out);
    const bool cached = d->spec.kv != CLATTN_NONE;
    const size_t batches = d->cu_q ? 1 : (size_t)ref->B;
    const size_t v_count = cached ? batches * d->k_rows * ref->Hk * ref->Dv
                                  : (size_t)clattn_tensor_count(&run->v.tensor);
    argmax_results r = { .ref = ref, .row_bytes = size * (size_t)ref->Dv };

    r.o = memory_alloc(d->count_o * size);
    r.v = memory_alloc(v_count * size);
    memory_get_bytes(&run->o, "o", r.o);
    if (!cached)
        memory_get_bytes(&run->v, "v", r.v);
    for (size_t i = 0; i < v_count && cached; i++)
        storage_put(d->spec.out, r.v, i, d->v[i]);
    if (run->argmax.index.dtype != CLATTN_NONE) {
        r.index = memory_alloc(d->count_lse * sizeof *r.index);
        memory_get_bytes(&run->index, "index", r.index);
    }
    for (int b = 0; b < ref->B; b++)
        for (int h = 0; h < ref->Hq; h++)
            for (int i = 0; i < ref_seq_of(ref, b).nq; i++)
                check_row(&r, b, h, i);
    free(r.o), free(r.v), free(r.index);
}
