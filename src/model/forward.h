/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Running a model. GPT-2 reads on where it stopped: keys and values of all tokens so far are kept.
 * BERT reads sequences side by side, from their beginning each time.
 */
#ifndef CLM_FORWARD_H
#define CLM_FORWARD_H

#include "model.h"

/* What the weights of a layer come to, see clattn_attention_stats. */
typedef struct clm_stats {
    const float *entropy, *distance; /* [heads][rows] */
    const float *top;                /* [heads][rows][tops] */
    const int32_t *top_keys;
    const float *chosen;             /* [heads][rows][picks] */
} clm_stats;

/*
 * What attention does in chosen layers. Memory does not grow with the square of the tokens. Only
 * while the session has one sequence.
 */
typedef struct clm_capture {
    int layer, num_layers;

    /* Weights of heads and rows, handed over in tiles. Rows count from the first token of the
     * pass, keys from the first of all. */
    int head, num_heads; /* ignored for a mean */
    int row, num_rows;
    size_t tile_floats;  /* held at a time, at least one row; 0: 4 Mi */
    bool mean;           /* over all heads, as if that were one head */
    /* p: [num_heads][rows][keys], rows from row on; keys beyond are not visible to them. False
     * stops the pass, with a sentence in f. NULL: no weights are wanted. */
    bool (*put)(void *user, int layer, int row, int rows, int keys, const float *p, clm_fault *f);

    /* Sums of all heads and all rows; NULL: none are wanted. */
    int tops, picks;     /* the largest weights of a row, and those of chosen keys */
    const int32_t *keys; /* [rows][picks] */
    bool (*put_stats)(void *user, int layer, const clm_stats *stats, clm_fault *f);

    void *user;
} clm_capture;

/* Told after every operation, with the device idle: a pass that is watched is slower. */
typedef void (*clm_watch)(void *user, const char *name, int layer, double begin_us, double end_us);

typedef struct clm_session {
    clm_model *m;    /* borrowed */
    int B, capacity; /* sequences, and the tokens of each */
    int length;      /* GPT-2: tokens read so far */
    int N;           /* tokens of the last pass */
    clm_watch watch; /* may be NULL */
    void *watch_user;

    clattn_dtype kv_dtype;
    clattn_kv **kv;        /* of each layer; BERT has one for all */
    clattn_buffer *k, *v;  /* rows on the way into a cache of another dtype; else NULL */
    clattn_buffer *ids, *mask, *x, *normed, *q, *o, *inner, *logits;
    clattn_buffer *weights, *stats; /* of a capture */
    clattn_tensor visible; /* u8 [B][1][1][N], absent: all */
} clm_session;

/* kv_dtype: of the cache, as in clattn_kv_params. *out is NULL on failure. */
bool clm_session_open(clm_model *m, int B, int capacity, clattn_dtype kv_dtype, clm_session **out,
                      clm_fault *f);
void clm_session_close(clm_session **session);

/*
 * Reads N tokens of each sequence, ids [B][N]. lengths: BERT's tokens of each sequence, the rest is
 * padding; NULL: no padding. capture may be NULL.
 */
bool clm_forward(clm_session *s, const int32_t *ids, int N, const int32_t *lengths,
                 const clm_capture *capture, clm_fault *f);

/* Logits of rows [row, row + rows) of the last pass (all sequences in turn): [rows][vocab]. */
bool clm_logits(clm_session *s, int row, int rows, float *out, clm_fault *f);

/* What the last layer says about every token of the last pass: [B][N][M]. */
bool clm_hidden(clm_session *s, float *out, clm_fault *f);

/* GPT-2: forgets all tokens from this one on. */
void clm_rewind(clm_session *s, int length);

#endif
