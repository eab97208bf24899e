/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One problem of softmax or argmax attention as the tests see it:
 *
 *     attn_spec    what to compute: sizes, options, values, layout
 *     attn_data    the numbers: inputs as stored, results of the two references
 *     attn_run     tensors on a device or the host, ready to call
 *
 * The numbers are made once and serve many runs.
 */
#ifndef TEST_ATTENTION_CASE_H
#define TEST_ATTENTION_CASE_H

#include "golden.h"
#include "memory.h"
#include "ref_attention.h"
#include "stats_case.h"
#include "test_random.h"

/* Axes of a mask or a bias that have length 1, so that they repeat. */
enum { REPEAT_B = 1, REPEAT_H = 2, REPEAT_N = 4, REPEAT_K = 8 };

/* Memory of q, k, v and o; PADDED is about the other tensors too. */
typedef enum attn_layout {
    LAYOUT_DENSE,  /* [B][H][N][D] */
    LAYOUT_BNHD,   /* [B][N][H][D] */
    LAYOUT_PADDED, /* [H][B][N] rows with gaps, at an odd offset; mask and bias [B][H][Nk][Nq] */
} attn_layout;

/* Of [B][H][N][D], ragged [T][H][D]. */
test_layout attn_layout_of(attn_layout layout, bool ragged);

typedef struct attn_spec {
    const char *name;
    int B, Hq, Hk, Nq, Nk, D, Dv;
    clattn_dtype in, out; /* NONE: f32; out NONE: as in */
    test_regime regime;
    float spread; /* of the scores; 0: 1 */
    clattn_causal causal;
    bool window;
    int left, right;
    float scale, softcap;
    bool alibi, sinks;
    bool mask, bias;
    float bias_mean;
    bool bias_hides; /* bias is -inf here and there, and in every fifth row everywhere */
    int mask_repeat, bias_repeat; /* REPEAT_ bits */
    clattn_dtype bias_type;       /* NONE: f32 */
    bool lse, probs;
    bool stats; /* all of them; mean from probs_row on */
    int probs_head, probs_row, probs_heads, probs_rows; /* heads 0: all of them; rows likewise */
    const int *lens_q, *lens_k; /* [B], ragged when given; Nq and Nk are ignored */
    clattn_dtype kv; /* k and v are a cache of this dtype, of lengths lens_k; not ragged */
    int page_rows;   /* of the cache; 0: contiguous */
    bool poison_hidden;         /* NaN and inf in every k and v that no row sees */
    attn_layout layout;
    bool argmax; /* argmax attention: out, scale, softcap, alibi, sinks, bias, lse, probs are off */
} attn_spec;

typedef struct attn_data {
    attn_spec spec; /* defaults filled in */
    ref_attn ref;
    float *q, *k, *v, *bias, *alibi, *sinks;
    uint8_t *mask;
    int32_t *cu_q, *cu_k; /* of caches as well: the numbers lie packed */
    unsigned char *k_stored, *v_stored; /* of a cache: packed rows as stored */
    float *k_scale, *v_scale;
    size_t q_rows, k_rows; /* Tq and Tk, or Nq and Nk */
    size_t count_o, count_lse, count_probs;
    double *o, *lse, *probs; /* expected; probs of all heads and rows. NULL for argmax attention */
    stats_data *stats;       /* or NULL */
    double naive_o, naive_lse, naive_probs; /* errors of the naive computation in its worst order */
} attn_data;

/* Random numbers by the spec. The same seed gives the same numbers. */
attn_data *attn_data_make(const attn_spec *spec, uint64_t seed);

/*
 * Of a golden case of op attention or attention_varlen, or NULL when a number is not exact in the
 * dtype. Expected results are the files'.
 */
attn_data *attn_data_of_golden(const golden_case *c, clattn_dtype in, clattn_dtype out);
void attn_data_free(attn_data *data);

/* Fills in the naive errors against the expected results. */
void attn_data_naive(attn_data *data);

typedef struct attn_run {
    const attn_data *data;
    test_memory q, k, v, o, lse, probs, mask, bias, alibi, sinks, cu_q, cu_k, index;
    test_memory k_scale, v_scale, lengths, table; /* of a cache */
    test_memory entropy, distance, top, top_keys, keys, chosen, mean; /* stats */
    struct clattn_attention_params params;
    struct clattn_argmax_params argmax; /* the same tensors */
} attn_run;

/* Tensors in buffers of ctx, or in host memory when ctx is NULL. */
void attn_run_make(attn_run *run, clattn_ctx *ctx, const attn_data *data);
void attn_run_free(attn_run *run);

/* Makes all outputs NaN again. */
void attn_run_poison(attn_run *run);

/* lse as an attention kernel would leave it, for kernels that read it. */
void attn_run_put_lse(attn_run *run);

/*
 * Compares every output by the pass rule (see argmax_check() for argmax attention) and checks that
 * nothing else was written.
 */
void attn_run_check(attn_run *run);
void attn_run_check_probs(attn_run *run); /* probs alone */

/*
 * Argmax attention: every index must be one that ref_argmax_why_not() accepts, every row of o have
 * the bits of that row of v. Without an index, of any such row.
 */
void argmax_check(attn_run *run);

/* attn_run_make, the call, attn_run_check, attn_run_free. kernel may be NULL. */
void attn_check(clattn_ctx *ctx, bool host, const attn_data *data, const char *kernel);

/*
 * A problem without batches, heads, rows, keys or any of them, by the bits of empty: 1 B, 2 H,
 * 4 Nq, 8 Nk. Both in buffers and in host memory.
 */
void attn_check_empty(attn_spec spec, int empty);

/* The plan of the spec's operation, run on its own tensors and on others in turn. */
void attn_check_plan(const attn_spec *spec, bool host);

/* The o of a run, dense, to compare runs with each other; to be freed. */
float *attn_run_output(attn_run *run);

#endif
