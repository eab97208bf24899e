/* SPDX-License-Identifier: Apache-2.0 */
#include "model_job.h"

#include <stdlib.h>

#include "cli.h"

int model_fail(const clm_fault *f)
{
    return fail(f->device ? EXIT_NO_DEVICE : EXIT_INPUT, "%s", f->text);
}

int model_job_open(struct model_job *job, const struct common *common, const char *dir)
{
    clm_fault f;

    *job = (struct model_job){ 0 };
    const int code = session_open(&job->session, common);
    if (code != EXIT_OK)
        return code;
    if (!clm_model_open(job->session.ctx, dir, &job->model, &f)
        || !clm_tokenizer_open(dir, job->model->config.family, &job->tokenizer, &f))
        return model_fail(&f);
    return EXIT_OK;
}

void model_job_close(struct model_job *job)
{
    clm_tokenizer_close(&job->tokenizer);
    clm_model_close(&job->model);
    session_close(&job->session);
}

int model_encode(const struct model_job *job, const char *text, clm_ids *ids)
{
    const int most = job->model->config.positions;
    clm_fault f;

    if (!clm_encode(job->tokenizer, text, ids, &f))
        return model_fail(&f);
    if (ids->count == 0)
        return fail(EXIT_INPUT, "the text has no tokens");
    if (ids->count > most)
        return fail(EXIT_INPUT, "the text has %d tokens, the model reads %d at most", ids->count,
                    most);
    return EXIT_OK;
}

char **model_labels(const struct model_job *job, const clm_ids *ids)
{
    char **labels = calloc((size_t)ids->count, sizeof *labels);

    for (int i = 0; labels && i < ids->count; i++) {
        labels[i] = clm_token_label(job->tokenizer, ids->id[i]);
        if (!labels[i]) {
            labels_free(labels, i);
            labels = NULL;
        }
    }
    if (!labels)
        fail(EXIT_INPUT, "out of memory");
    return labels;
}

void labels_free(char **labels, int count)
{
    for (int i = 0; labels && i < count; i++)
        free(labels[i]);
    free(labels);
}
