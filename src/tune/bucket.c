/* SPDX-License-Identifier: Apache-2.0 */
/* Buckets as texts, and how far they are from each other. */
#include "bucket.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const stage_names[] = {
    [CLA_STAGE_ATTENTION] = "attention",   [CLA_STAGE_PROBS] = "probs",
    [CLA_STAGE_STATS] = "stats",
    [CLA_STAGE_MERGE] = "merge",           [CLA_STAGE_ARGMAX] = "argmax",
    [CLA_STAGE_PROJECTION] = "projection", [CLA_STAGE_ROPE] = "rope",
    [CLA_STAGE_LINEAR] = "linear-attention", [CLA_STAGE_APPEND] = "append",
    [CLA_STAGE_ROWWISE] = "rowwise",       [CLA_STAGE_EMBEDDING] = "embedding",
};

enum { NUM_STAGES = sizeof stage_names / sizeof stage_names[0] };

const char *cla_stage_name(cla_stage stage)
{
    return (int)stage < NUM_STAGES && stage_names[stage] ? stage_names[stage] : "none";
}

int cla_stage_find(const char *name)
{
    for (int i = 0; i < NUM_STAGES; i++)
        if (stage_names[i] && strcmp(stage_names[i], name) == 0)
            return i;
    return -1;
}

void cla_bucket_text(const cla_bucket *bucket, char *out, size_t size)
{
    size_t used = (size_t)snprintf(out, size, "%s;", bucket->fixed);
    for (int i = 0; i < bucket->num_axes && used < size; i++)
        used += (size_t)snprintf(out + used, size - used, " %s=%d", bucket->axis[i].name,
                                 (int)bucket->axis[i].size);
}

/* " NAME=size" at *text; steps over it. */
static bool parse_axis(const char **text, cla_bucket *out)
{
    char *end;
    if (out->num_axes == CLA_BUCKET_AXES || *(*text)++ != ' ')
        return false;
    const size_t length = strspn(*text, "abcdefghijklmnopqrstuvwxyz");
    const char *digits = *text + length + 1;
    if (length == 0 || length >= sizeof out->axis[0].name || (*text)[length] != '='
        || *digits < '1' || *digits > '9')
        return false;
    const long size = strtol(digits, &end, 10);
    if (size > CLA_MAX_LENGTH)
        return false;
    memcpy(out->axis[out->num_axes].name, *text, length);
    out->axis[out->num_axes++].size = (int32_t)size;
    *text = end;
    return true;
}

bool cla_bucket_parse(cla_stage stage, const char *text, cla_bucket *out)
{
    const size_t length = strcspn(text, ";");
    memset(out, 0, sizeof *out);
    out->stage = stage;
    if (text[length] != ';' || length >= sizeof out->fixed)
        return false;
    for (size_t i = 0; i < length; i++)
        if (text[i] < ' ' || text[i] > '~')
            return false;
    memcpy(out->fixed, text, length);
    text += length + 1;
    while (*text)
        if (!parse_axis(&text, out))
            return false;
    return true;
}

/* The first axis counts twice: it is the one that makes kernels change places. */
double cla_bucket_distance(const cla_bucket *a, const cla_bucket *b)
{
    double sum = 0;
    if (a->stage != b->stage || a->num_axes != b->num_axes || strcmp(a->fixed, b->fixed) != 0)
        return -1;
    for (int i = 0; i < a->num_axes; i++) {
        if (strcmp(a->axis[i].name, b->axis[i].name) != 0)
            return -1;
        const double octaves = log2((double)a->axis[i].size) - log2((double)b->axis[i].size);
        sum += (i == 0 ? 2 : 1) * fabs(octaves);
    }
    return sum;
}
