/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What tuning results are filed under: a bucket of problems that share a configuration, and the
 * device they were timed on. Buckets never reach a kernel; they only pick its configuration.
 */
#ifndef CLA_BUCKET_H
#define CLA_BUCKET_H

#include "kernel.h"

enum { CLA_BUCKET_AXES = 4, CLA_BUCKET_FIXED = 128, CLA_BUCKET_TEXT = 192, CLA_KEY_TEXT = 320 };

/*
 * fixed must be equal for a result to apply. An axis counts by its logarithm: every axis holds the
 * upper end of its class, at least 1.
 */
typedef struct cla_bucket {
    cla_stage stage;
    char fixed[CLA_BUCKET_FIXED]; /* "f16 d128 v128 g8 causal" */
    int num_axes;
    struct {
        char name[8];
        int32_t size;
    } axis[CLA_BUCKET_AXES];
} cla_bucket;

/*
 * The bucket of a problem. For a few rows (decoding) it depends on one sequence alone, never on
 * what else is in the batch.
 */
void cla_bucket_of(const cla_dev *dev, cla_stage stage, const void *problem, cla_bucket *out);

/* "f16 d128 v128 g8 causal; nq=1 nk=4096", and back; false: the text is not that. */
void cla_bucket_text(const cla_bucket *bucket, char *out, size_t size);
bool cla_bucket_parse(cla_stage stage, const char *text, cla_bucket *out);

/* Octaves between two buckets, summed over the axes; negative: results do not carry over. */
double cla_bucket_distance(const cla_bucket *a, const cla_bucket *b);

/* "attention", "projection", ... ; and back, -1 for a name of no stage that is tuned. */
const char *cla_stage_name(cla_stage stage);
int cla_stage_find(const char *name);

/*
 * device: the same silicon gives the same text. driver: what may change under it. kind: the class
 * of devices that shipped results are for.
 */
typedef struct cla_device_key {
    char device[CLA_KEY_TEXT];
    char driver[CLA_KEY_TEXT];
    char kind[32];
} cla_device_key;

void cla_device_key_of(const cla_dev *dev, cla_device_key *out);

/* 16 hexadecimal digits that change with any source a kernel and its helpers are made of. */
enum { CLA_SOURCE_TEXT = 17 };
void cla_kernel_source_key(const cla_kernel *kernel, char out[CLA_SOURCE_TEXT]);

/* Mixes a text into a hash; start with CLA_MIX_START. */
#define CLA_MIX_START UINT64_C(0xcbf29ce484222325)
uint64_t cla_mix_text(uint64_t hash, const char *text);

#endif
