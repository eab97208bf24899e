/* SPDX-License-Identifier: Apache-2.0 */
#include "attention_maps.h"

#include <stdlib.h>
#include <string.h>

#include "cli.h"

static bool put(void *user, int layer, int row, int rows, int keys, const float *p, clm_fault *f)
{
    struct attention_maps *m = user;
    const size_t N = (size_t)m->N, first = (size_t)(layer - m->layer) * (size_t)m->heads;

    (void)f;
    for (size_t h = 0; h < (size_t)m->heads; h++)
        for (size_t r = 0; r < (size_t)rows; r++)
            memcpy(m->p + ((first + h) * N + (size_t)row + r) * N,
                   p + (h * (size_t)rows + r) * (size_t)keys, (size_t)keys * sizeof *p);
    return true;
}

int attention_maps_make(struct model_job *job, const clm_ids *ids, struct attention_maps *maps)
{
    const clm_capture capture = { .layer = maps->layer,
                                  .num_layers = maps->layers,
                                  .head = maps->head,
                                  .num_heads = maps->heads,
                                  .num_rows = ids->count,
                                  .mean = maps->mean,
                                  .put = put,
                                  .user = maps };
    const size_t N = (size_t)ids->count;
    clm_session *s = NULL;
    clm_fault f;

    maps->N = ids->count;
    maps->p = calloc((size_t)maps->layers * (size_t)maps->heads, N * N * sizeof *maps->p);
    if (!maps->p)
        return fail(EXIT_INPUT, "no memory for %d maps of %d by %d weights",
                    maps->layers * maps->heads, ids->count, ids->count);
    const bool ok = clm_session_open(job->model, 1, ids->count, CLATTN_F32, &s, &f)
                    && clm_forward(s, ids->id, ids->count, NULL, &capture, &f);
    clm_session_close(&s);
    return ok ? EXIT_OK : model_fail(&f);
}

void attention_maps_free(struct attention_maps *maps)
{
    free(maps->p);
    *maps = (struct attention_maps){ 0 };
}
