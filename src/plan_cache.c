/* SPDX-License-Identifier: Apache-2.0 */
/* The plans behind the one-call forms: the most recently used first, a fixed number of them. */
#include <stdlib.h>
#include <string.h>

#include "plan.h"

enum { MAX_PLANS = 64 };

typedef struct entry {
    clattn_plan *plan;
    const cla_kernel *pinned;
} entry;

struct cla_plan_cache {
    int count;
    entry entries[MAX_PLANS];
};

void cla_plan_cache_free(struct cla_plan_cache **cache)
{
    if (!*cache)
        return;
    for (int i = 0; i < (*cache)->count; i++)
        clattn_plan_destroy(&(*cache)->entries[i].plan);
    free(*cache);
    *cache = NULL;
}

static void move_to_front(struct cla_plan_cache *cache, int i)
{
    const entry found = cache->entries[i];
    memmove(&cache->entries[1], &cache->entries[0], (size_t)i * sizeof found);
    cache->entries[0] = found;
}

static clattn_plan *find(struct cla_plan_cache *cache, const cla_op *op, const void *problem,
                         const cla_kernel *pinned)
{
    cla_problem key;
    cla_plan_key(op, problem, &key);
    for (int i = 0; i < cache->count; i++)
        if (cache->entries[i].pinned == pinned
            && cla_plan_has_key(cache->entries[i].plan, op, &key)) {
            move_to_front(cache, i);
            return cache->entries[0].plan;
        }
    return NULL;
}

static void insert(struct cla_plan_cache *cache, clattn_plan *plan, const cla_kernel *pinned)
{
    if (cache->count == MAX_PLANS)
        clattn_plan_destroy(&cache->entries[--cache->count].plan);
    cache->entries[cache->count++] = (entry){ plan, pinned };
    move_to_front(cache, cache->count - 1);
}

static clattn_status find_or_make(clattn_ctx *ctx, const cla_op *op, const void *problem,
                                  const cla_pin *pin, clattn_plan **out)
{
    if (!ctx->plans)
        ctx->plans = calloc(1, sizeof *ctx->plans);
    CLA_REQUIRE(ctx, ctx->plans, CLATTN_ERR_MEMORY, "%s: out of host memory", op->name);
    const cla_kernel *pinned = pin->kernel ? cla_kernel_find(pin->kernel) : NULL;
    *out = pin->kernel && !pinned ? NULL : find(ctx->plans, op, problem, pinned);
    if (*out)
        return CLATTN_OK;
    CLA_TRY(cla_plan_make(ctx, op, problem, pin, out));
    insert(ctx->plans, *out, pinned);
    return CLATTN_OK;
}

clattn_status cla_plan_call(clattn_ctx *ctx, const cla_op *op, const void *problem,
                            const cla_pin *pin)
{
    static const cla_events none = { 0 };
    clattn_plan *plan;
    CLA_TRY(find_or_make(ctx, op, problem, pin, &plan));
    /* The cache holds a reference on the context, so the context would never be freed by the
     * last handle: clattn_ctx_destroy() empties the cache first. */
    return cla_plan_execute(plan, problem, &none);
}

clattn_status cla_plan_call_growing(clattn_ctx *ctx, const cla_op *op, const void *problem,
                                    const cla_pin *pin, const cla_growth *grow)
{
    CLA_TRY(cla_grow(grow));
    const clattn_status s = cla_plan_call(ctx, op, problem, pin);
    if (s != CLATTN_OK)
        cla_ungrow(grow);
    return s;
}
