/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A trained transformer of the GPT-2 or BERT kind, from a folder in the Hugging Face format: its
 * weights on a device. Running it is forward.h's business.
 */
#ifndef CLM_MODEL_H
#define CLM_MODEL_H

#include "model_config.h"
#include "weights.h"

typedef struct clm_linear {
    clattn_tensor w, bias; /* [out][in], [out] */
} clm_linear;

typedef struct clm_norm {
    clattn_tensor weight, bias; /* [M] */
} clm_norm;

/* norm[0] belongs to attention, norm[1] to the feed-forward part: GPT-2 normalizes what goes in,
 * BERT what comes out. */
typedef struct clm_layer {
    clm_linear q, k, v, out;
    clm_linear up, down;
    clm_norm norm[2];
} clm_layer;

typedef struct clm_model {
    clattn_ctx *ctx; /* borrowed */
    clm_config config;
    clm_weights weights;
    int num_buffers;
    clattn_buffer **buffers; /* weights that are not read where the file is mapped */
    size_t weight_bytes;     /* of everything that a forward pass reads, as stored */

    clattn_tensor words, positions, types; /* [rows][M] */
    clm_norm embedding_norm;               /* BERT */
    clm_layer *layers;
    clm_norm final_norm;  /* GPT-2 */
    bool has_head;        /* logits can be computed */
    clm_linear transform; /* BERT's head: dense, activation, norm, then words */
    clm_norm transform_norm;
    clattn_tensor head, head_bias; /* [vocab][M], [vocab] or absent */
} clm_model;

/*
 * Reads config.json and the weights, which keep their type. On the native CPU they stay where the
 * file is mapped, unless GPT-2 has them the wrong way round; any other device gets a copy.
 * *out is NULL on failure; the context must outlive the model.
 */
bool clm_model_open(clattn_ctx *ctx, const char *dir, clm_model **out, clm_fault *f);

/* Takes NULL, nulls the pointer. */
void clm_model_close(clm_model **model);

#endif
