/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Running a model. GPT-2 reads on where it stopped: keys and values of all tokens so far are kept.
 * BERT reads sequences side by side, from their beginning each time.
 */
#ifndef CLM_FORWARD_H
#define CLM_FORWARD_H

#include "model.h"

/*
 * Attention weights of chosen heads and rows, handed over in tiles: memory for them does not grow
 * with the square of the tokens. Only while the session has one sequence.
 */
typedef struct clm_capture {
    int layer, num_layers;
    int head, num_heads;
    int row, num_rows;  /* of the tokens that are read */
    size_t tile_floats; /* held at a time, at least one row; 0: 4 Mi */
    /* p: [num_heads][rows][keys], rows from row on; keys beyond are not visible to them. False
     * stops the pass, with a sentence in f. */
    bool (*put)(void *user, int layer, int row, int rows, int keys, const float *p, clm_fault *f);
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

    clattn_buffer *ids, *mask;
    clattn_buffer *x, *normed, *q, *o, *inner, *logits, *probs;
    clattn_buffer **k, **v; /* [B][capacity][heads][D]; BERT has one for all layers */
    clattn_tensor visible;  /* u8 [B][1][1][N], absent: all */
} clm_session;

/* *out is NULL on failure. */
bool clm_session_open(clm_model *m, int B, int capacity, clm_session **out, clm_fault *f);
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
