/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"

#include <stdio.h>
#include <string.h>

#include "op_tuning.h"

/* ---- what was written ---- */

static bool is_poison(const cla_subject_part *part, const unsigned char *element, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (element[i] != part->poison)
            return false;
    return true;
}

/* Elements of a view that were not written; elements grows by all of them. */
static size_t count_poison(const cla_subject_part *part, const cla_view *view, size_t *elements)
{
    const size_t size = clattn_dtype_size((clattn_dtype)view->dtype);
    int64_t at[CLATTN_MAX_RANK] = { 0 }, shape[CLATTN_MAX_RANK];
    size_t poisoned = 0;
    for (int a = 0; a < CLATTN_MAX_RANK; a++)
        shape[a] = view->stride[a] > 0 ? view->shape[a] : 1;
    for (int axis = 0; axis >= 0;) {
        int64_t i = view->offset;
        for (int a = 0; a < CLATTN_MAX_RANK; a++)
            i += at[a] * view->stride[a];
        poisoned += is_poison(part, part->host + (size_t)i * size, size);
        ++*elements;
        for (axis = CLATTN_MAX_RANK - 1; axis >= 0 && ++at[axis] == shape[axis]; axis--)
            at[axis] = 0;
    }
    return poisoned;
}

/* Was all of an output written that is to be written, and no byte of the rest? */
static bool written_right(const cla_subject *s, const cla_problem *host,
                          const cla_subject_part *part, char *why, size_t size)
{
    const cla_view *view = (const cla_view *)(host->bytes + part->slot->offset);
    const size_t width = clattn_dtype_size((clattn_dtype)view->dtype), all = part->bytes / width;
    size_t elements = 0, missing = 0, clean = 0;
    cla_view piece;
    if (!s->op->tuning->piece)
        missing = count_poison(part, view, &elements);
    else
        for (int64_t i = 0; s->op->tuning->piece(host->bytes, view, i, &piece); i++)
            missing += count_poison(part, &piece, &elements);
    if (missing > 0) {
        snprintf(why, size, "%zu of %zu elements of %s were not written", missing, elements,
                 part->slot->name);
        return false;
    }
    for (size_t i = 0; i < all; i++)
        clean += is_poison(part, part->host + i * width, width);
    if (clean == all - elements)
        return true;
    snprintf(why, size, "%zu elements beside those of %s were overwritten", all - elements - clean,
             part->slot->name);
    return false;
}

/* ---- one problem ---- */

static cla_check_result failed(const cla_subject *s, char *why, size_t size)
{
    snprintf(why, size, "%s", clattn_error(s->ctx));
    return CLA_CHECK_FAILED;
}

/* On poisoned outputs. Right: it ran, and wrote nothing behind its workspace. */
static cla_check_result run_clean(cla_subject *s, clattn_plan *plan, const void *shape, bool again,
                                  char *why, size_t size)
{
    bool kept;
    if (cla_subject_poison(s, plan) != CLATTN_OK || cla_subject_run(s, plan, shape, 0) != CLATTN_OK
        || cla_subject_read(s, plan, again, &kept) != CLATTN_OK)
        return failed(s, why, size);
    if (!kept)
        snprintf(why, size, "memory behind the workspace of %zu bytes was overwritten",
                 plan->workspace_bytes);
    return kept ? CLA_CHECK_RIGHT : CLA_CHECK_WRONG;
}

static cla_check_result same_twice(const cla_subject *s, char *why, size_t size)
{
    for (int i = 0; i < s->num_parts; i++) {
        const cla_subject_part *part = &s->parts[i];
        if (part->slot->written && memcmp(part->host, part->again, part->bytes) != 0) {
            snprintf(why, size, "two runs gave different bits in %s", part->slot->name);
            return CLA_CHECK_WRONG;
        }
    }
    return CLA_CHECK_RIGHT;
}

/* Rows of ragged outputs that belong to no sequence do not exist here: sequences fill the rows. */
static cla_check_result right_on(cla_subject *s, clattn_plan *plan, const void *shape,
                                 uint64_t seed, char *why, size_t size)
{
    cla_problem host;
    bool blind = false;
    const cla_check_result first = run_clean(s, plan, shape, false, why, size);
    if (first != CLA_CHECK_RIGHT)
        return first;
    cla_subject_on_host(s, shape, &host);
    for (int i = 0; i < s->num_parts; i++)
        if (s->parts[i].slot->written && !written_right(s, &host, &s->parts[i], why, size))
            return CLA_CHECK_WRONG;
    const cla_judge judge = { .seed = seed, .why = why, .size = size, .blind = &blind };
    if (!s->op->tuning->holds(host.bytes, &judge))
        return blind ? CLA_CHECK_FAILED : CLA_CHECK_WRONG;
    const cla_check_result again = run_clean(s, plan, shape, true, why, size);
    return again == CLA_CHECK_RIGHT ? same_twice(s, why, size) : again;
}

/* A corner that the kernel cannot do is no fault: its limits are about sizes. */
static cla_check_result right_in_corner(cla_subject *s, const cla_choice *choice, uint64_t seed,
                                        char *why, size_t size)
{
    cla_problem corner;
    clattn_plan *plan;
    const cla_pin pin = { choice->kernel->name, choice->t };
    if (!s->op->tuning->corner)
        return CLA_CHECK_RIGHT;
    memcpy(corner.bytes, s->problem.bytes, s->op->size);
    if (!s->op->tuning->corner(corner.bytes)
        || !cla_kernel_legal(choice->kernel, &s->ctx->dev, corner.bytes, choice->t))
        return CLA_CHECK_RIGHT;
    if (cla_plan_make(s->ctx, s->op, corner.bytes, &pin, &plan) != CLATTN_OK)
        return failed(s, why, size);
    const cla_check_result result = right_on(s, plan, corner.bytes, seed, why, size);
    clattn_plan_destroy(&plan);
    return result;
}

cla_check_result cla_check(cla_subject *s, clattn_plan *plan, uint64_t seed, char *why, size_t size)
{
    const cla_check_result corner = right_in_corner(s, &plan->choices[0], seed, why, size);
    return corner == CLA_CHECK_RIGHT ? right_on(s, plan, s->problem.bytes, seed, why, size)
                                     : corner;
}
