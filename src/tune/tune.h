/* SPDX-License-Identifier: Apache-2.0 */
/* Tuning as the library itself calls it; for the public form see clattn/tuning.h. */
#ifndef CLA_TUNE_H
#define CLA_TUNE_H

#include <clattn/tuning.h>

#include "plan.h"

/* clattn_plan_tune() for a problem; params are complete and legal, report is filled. */
clattn_status cla_tune(clattn_ctx *ctx, const cla_op *op, const void *problem,
                       const struct clattn_tune_params *params, clattn_tune_report *report);

#endif
