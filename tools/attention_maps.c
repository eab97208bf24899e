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

int attention_maps_make(struct model_job *job, const clm_ids *ids, int layer, int layers, int head,
                        int heads, struct attention_maps *out)
{
    const clm_capture capture = { .layer = layer,
                                  .num_layers = layers,
                                  .head = head,
                                  .num_heads = heads,
                                  .num_rows = ids->count,
                                  .put = put,
                                  .user = out };
    const size_t N = (size_t)ids->count;
    clm_session *s = NULL;
    clm_fault f;

    *out = (struct attention_maps){ layer, layers, head, heads, ids->count, NULL };
    out->p = calloc((size_t)layers * (size_t)heads, N * N * sizeof *out->p);
    if (!out->p)
        return fail(EXIT_INPUT, "no memory for %d maps of %d by %d weights", layers * heads,
                    ids->count, ids->count);
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
