/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One plain struct per operation: what is left of a call once it has been validated. Used by op_*,
 * kernels/, cpu/ and the tests. Structs are zeroed before they are filled, so that they can be
 * compared and hashed as bytes.
 */
#ifndef CLA_PROBLEM_H
#define CLA_PROBLEM_H

#include <clattn/clattn.h>
#include <clattn/layers.h>

/* A validated tensor. Absent: dtype is CLATTN_NONE. Strides of axes of length 1 are 0. */
typedef struct cla_view {
    clattn_buffer *buffer;            /* device memory, or NULL */
    void *host;                       /* host memory; native kernels read it by CLA_AT */
    int64_t offset;                   /* elements */
    int64_t span;                     /* elements from offset to one past the last; 0: empty */
    int64_t shape[CLATTN_MAX_RANK];
    int64_t stride[CLATTN_MAX_RANK];  /* elements */
    int32_t dtype;                    /* clattn_dtype */
    int32_t in_work;                  /* nonzero: lives in the workspace, placed by the plan */
} cla_view;

/* Element 0...0 of a view in host memory. */
#define CLA_AT(type, view) ((type *)(view).host + (view).offset)

/* A window side without a bound. Sizes stay below it, so that i + shift + bound fits an int. */
#define CLA_UNBOUNDED (1 << 29)
#define CLA_MAX_LENGTH ((1 << 29) - 1)

/*
 * Softmax and argmax attention. Axes of the views: q, k, v, o [B][H][N][D]: stride[0] = batch,
 * [1] = head, [2] = row. lse [B][Hq][Nq]; mask, bias [B][Hq][Nq][Nk]; probs
 * [B][probs_heads][probs_rows][Nk].
 * Ragged: stride[0] of q, k, v, o, lse is 0 and row r of sequence b is packed row cu[b] + r.
 */
typedef struct cla_attn {
    int32_t B, Hq, Hk, G, Nq, Nk, D, Dv; /* ragged: Nq and Nk are the longest sequences */
    int32_t Tq, Tk;                      /* packed rows when ragged, else Nq and Nk */
    int32_t in_type;                     /* clattn_dtype of q */
    int32_t kv_type;                     /* clattn_dtype of k and v */
    int32_t out_type;                    /* clattn_dtype of o */
    int32_t bias_type;                   /* clattn_dtype of bias; CLATTN_F32 without one */
    int32_t has_mask, has_bias, has_alibi, has_sinks, has_softcap, has_lse, has_probs, ragged;
    int32_t has_index;
    int32_t has_lengths;                 /* keys of each sequence: Nk at most, Tk rows are there */
    int32_t paged;                       /* k, v and scales: stride[0] is that of pages */
    int32_t page_shift, last_page;       /* log2 of the rows of a page; the highest page number */
    int32_t causal;                      /* clattn_causal */
    int32_t left, right;                 /* window, CLA_UNBOUNDED when open */
    int32_t probs_head, probs_row, probs_heads, probs_rows;
    int32_t has_stats;                   /* at least one of those that follow */
    int32_t has_entropy, has_distance, has_mean;
    int32_t tops, picks;                 /* weights of a row in top and in chosen; 0: none */
    int32_t mean_row, mean_rows;
    float scale, softcap;

    cla_view q, k, v, o, lse, probs, mask, bias, alibi, sinks, cu_q, cu_k;
    cla_view lengths, table;             /* i32 [B], [B][pages of a sequence] */
    cla_view k_scale, v_scale;           /* f32, axes as k and v: [..][Hk][rows], i4: [..][D/32] */
    cla_view index;                      /* argmax attention: i32 [B][Hq][Nq] */
    cla_view entropy, distance;          /* axes as lse */
    cla_view top, top_keys, chosen;      /* the same, and [3] = weight */
    cla_view keys;                       /* i32: stride[0] = batch, [1] = row */
    cla_view mean;                       /* stride[0] = batch, [1] = row */
    cla_view work;                       /* f32 workspace, see bind() in kernel.h */
    cla_view marks;                      /* see cla_op.marks; bind() says how many */

    /* Set by bind() from a configuration. Offsets count floats in work. */
    int32_t splits;                      /* parts the keys are split into; 1: not split */
    int32_t split_keys;                  /* keys of one part */
    int64_t work_k, work_v;              /* packed keys and values */
    int64_t work_o, work_lse;            /* partial results [splits][B][Hq][Nq], o times [Dv] */
    int64_t work_rows;                   /* [B][Hq][Nq] pairs: highest score, 1 / sum of weights */
    int32_t tile[4];                     /* WG, BR, BC, DC that attn_mean is built with */
    int32_t unit_tile[3];                /* UNIT, BC, COPY that attn_wgmma_maps is built with */
} cla_attn;

/* Merge of P partial results: rows of all batches and heads. */
typedef struct cla_merge {
    int32_t P, B, H, N, Dv;
    int32_t in_type, out_type, has_lse;
    cla_view o_parts, lse_parts; /* stride[0] = part, [1] = batch, [2] = head, [3] = row */
    cla_view o, lse;             /* stride[0] = batch, [1] = head, [2] = row */
    cla_view work;
} cla_merge;

/* Measuring what a device can reach, see cl/peak_fma.cl and cl/peak_read.cl. */
typedef struct cla_peak {
    int32_t items, count; /* work-items, a multiple of 64; rounds of each */
    float a, b;
    int64_t first, step;  /* float4 */
    cla_view out, in;
} cla_peak;
/* Bits of cla_proj_part.flags, as in cl/proj.clh; a part has at most one kind of rotary. */
enum {
    CLA_PROJ_BIAS = 1,
    CLA_PROJ_RESIDUAL = 2,
    CLA_PROJ_NEOX = 4,
    CLA_PROJ_GPTJ = 8,
    CLA_PROJ_ROTARY = CLA_PROJ_NEOX | CLA_PROJ_GPTJ,
    CLA_PROJ_CACHE = 16,
};

/* How the weights lie: which axis is contiguous in all parts. As in cl/proj.clh. */
enum { CLA_W_FREE = 0, CLA_W_ALONG_M = 1, CLA_W_ALONG_K = 2 };

/* Axes: w [H][K][M] (i4: pairs along M), scale [H][K] or [H][K][M/32], bias [H][K],
 * y and residual [B][N][H][K]; y of a part with CLA_PROJ_CACHE [pages][page rows][H][K]. An absent
 * part has K = 0. */
typedef struct cla_proj_part {
    int32_t H, K, out;      /* out = H * K columns */
    int32_t flags;          /* CLA_PROJ_ bits */
    int64_t ratio;          /* cla_rotary_ratio() */
    cla_view w, scale, bias, residual, y;
} cla_proj_part;

typedef struct cla_proj {
    int32_t B, N, M, rows;  /* rows = B * N */
    int32_t parts;
    int32_t in_type, out_type;  /* clattn_dtype of x and y */
    int32_t w_type, scale_type, bias_type, residual_type; /* CLATTN_F32 without one */
    int32_t has_bias, has_residual, has_rotary, has_starts, has_cache; /* in some part */
    int32_t w_along;        /* CLA_W_ */
    int64_t start;
    int32_t page_shift, last_page; /* of a cache, as in cla_attn */
    cla_view x, starts;     /* x: stride[0] = batch, [1] = row */
    cla_view cached, table; /* i32 [B]: rows each sequence of the cache has; as in cla_attn */
    cla_proj_part part[CLATTN_MAX_PARTS];
    cla_view work;

    /* Set by bind() from a configuration. Offsets count floats in work. */
    int64_t work_w, work_x; /* packed weights and rows */
    int64_t work_sums;      /* sums of parts of M, see SUMS_AT in cl/proj.clh */
    int32_t splits, split_m; /* parts that M is split into, 1: not split; columns of one */
} cla_proj;

/* Rotary embedding. Axes of x and y: stride[0] = batch, [1] = row, [2] = head. */
typedef struct cla_rope {
    int32_t B, N, H, D;
    int32_t in_type, out_type, neox, has_starts;
    int64_t start;
    int64_t ratio;          /* cla_rotary_ratio() */
    cla_view x, y, starts;
    cla_view work;
} cla_rope;

/* One function of each row. Axes of x and y: stride[0] = batch, [1] = row. */
typedef struct cla_rowwise {
    int32_t B, N, M;
    int32_t function;                 /* clattn_row_function */
    int32_t in_type, out_type;
    int32_t weight_type, bias_type;   /* CLATTN_F32 without one */
    int32_t has_weight, has_bias;
    float eps, scale;
    cla_view x, weight, bias, y;
    cla_view work;
} cla_rowwise;

/* Does the function look at a whole row, not at one element? */
static inline bool cla_rowwise_reduces(const cla_rowwise *p)
{
    return p->function <= CLATTN_ROW_LOG_SOFTMAX;
}

/* Rows of tables, added. Axes of y: stride[0] = batch, [1] = row. */
typedef struct cla_embedding {
    int32_t B, N, M, V, P, T;         /* P, T: 0 without positions, types */
    int32_t in_type, out_type, has_positions, has_types, has_type_ids, has_starts;
    int64_t start;
    cla_view ids, table, positions, type_ids, types, starts, y;
    cla_view work;
} cla_embedding;

/*
 * Rows into a KV cache. Axes of k and v as in cla_attn; those of what is written: stride[0] = page,
 * or sequence when not paged, [1] = head, [2] = row.
 */
typedef struct cla_append {
    int32_t B, N, Hk, D, Dv;
    int32_t in_type, kv_type;
    int32_t rotary;         /* clattn_rotary of k */
    int32_t paged, page_shift, last_page;
    int64_t ratio;          /* cla_rotary_ratio() */
    cla_view k, v, k_rows, v_rows, k_scale, v_scale;
    cla_view starts;        /* i32 [B]: the row that row 0 becomes */
    cla_view positions;     /* i32 [B]: its position */
    cla_view table;         /* i32 [B][pages of a sequence] */
    cla_view work;
    int64_t work_rows;      /* set by bind(): floats in work, scratch of the native CPU */
} cla_append;

/*
 * Linear attention. Axes of q, k, v, o as in cla_attn; states [B][Hk][F][Dv] and [B][Hk][F].
 * Segments are parts of the keys of a sequence: seg_keys of them, the last one fewer.
 */
typedef struct cla_linear {
    int32_t B, Hq, Hk, G, Nq, Nk, D, Dv, F; /* ragged: Nq and Nk are the longest sequences */
    int32_t Tq, Tk;                         /* packed rows when ragged, else Nq and Nk */
    int32_t in_type;                        /* clattn_dtype of q, k, v */
    int32_t out_type;                       /* clattn_dtype of o */
    int32_t map;                            /* clattn_feature_map */
    int32_t quadratic, causal, normalized, ragged, has_in, has_out;
    float scale;                            /* of q; 1 when not given */
    float c;                                /* poly2 */

    cla_view q, k, v, o, in_kv, in_z, out_kv, out_z, cu_q, cu_k;
    cla_view work;                          /* f32 workspace, see bind() in kernel.h */

    /* Set by bind() from a configuration. */
    int32_t segs, seg_keys;                 /* segments of the longest sequence, at least 1 */
    int32_t states;                         /* 0: no state is read or written */
    int32_t passes;                         /* linear_pass runs over the states */
    int32_t tile[3];                        /* sizes that the helper of a kernel is built with */
    int64_t work_state;                     /* floats: [B][Hk][segs] states, see cl/linear.clh */
} cla_linear;

#endif
