/* SPDX-License-Identifier: Apache-2.0 */
/* What the subcommands for whole models share: an open model with its tokenizer on a device. */
#ifndef MODEL_JOB_H
#define MODEL_JOB_H

#include <forward.h>
#include <tokenizer.h>

#include "session.h"

struct model_job {
    struct session session;
    clm_model *model;
    clm_tokenizer *tokenizer;
};

#define OPTION_MODEL(target)                                                                    \
    {                                                                                           \
        "model", 'm', "DIR",                                                                    \
            "folder with config.json, model.safetensors and a vocabulary (needed)", parse_text, \
            &(target)                                                                           \
    }

/* Prints the sentence; returns the exit code that fits. */
int model_fail(const clm_fault *f);

/* Opens the device and the model on it. Returns EXIT_OK; else the reason is on stderr. Close it in
 * any case. */
int model_job_open(struct model_job *job, const struct common *common, const char *dir);
void model_job_close(struct model_job *job);

/* The tokens of a text: at least one, and not more than the model has positions. */
int model_encode(const struct model_job *job, const char *text, clm_ids *ids);

/* Labels of tokens, to be freed with labels_free(); NULL: fail() was called. */
char **model_labels(const struct model_job *job, const clm_ids *ids);
void labels_free(char **labels, int count);

#endif
