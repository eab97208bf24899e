/* SPDX-License-Identifier: Apache-2.0 */
/* See mock_defaults.h. Limits are those of the table of devices, not what the library holds. */
#include "mock_defaults.h"

#include <string.h>

#include "compare.h"
#include "suite.h"

static void check_kernel(const mock_device *d, const cla_kernel *k, const void *problem,
                         const int *t)
{
    const cla_geometry g = k->geometry(problem, t);
    const size_t room = d->declared_local ? d->declared_local : d->local_bytes;
    const size_t local = k->local_bytes ? k->local_bytes(problem, t) : 0;
    size_t items = 1;
    for (int a = 0; a < g.dims; a++) {
        ck_assert_msg(g.local[a] > 0 && g.local[a] <= d->max_items[a],
                      "%s: %s: %zu work-items in dimension %d", compare_label_text(), k->name,
                      g.local[a], a);
        ck_assert_msg(g.global[a] > 0 && g.global[a] % g.local[a] == 0,
                      "%s: %s: %zu work-items in groups of %zu", compare_label_text(), k->name,
                      g.global[a], g.local[a]);
        items *= g.local[a];
    }
    ck_assert_msg(items <= d->max_work_group, "%s: %s: %zu work-items", compare_label_text(),
                  k->name, items);
    ck_assert_msg(local <= room, "%s: %s: %zu bytes of local memory", compare_label_text(), k->name,
                  local);
}

/* A kernel and its helpers, of a problem that is bound to the configuration. */
static void check_family(const mock_device *d, const cla_dev *dev, const cla_kernel *k,
                         const void *problem, const int *t)
{
    const cla_kernel *const all[] = { k->before, k->before ? k->before->after : NULL, k, k->after };
    for (int i = 0; i < 4; i++)
        if (all[i] && all[i]->ok(dev, problem, t))
            check_kernel(d, all[i], problem, t);
}

void mock_check_launches(const mock_device *device, const clattn_plan *plan)
{
    for (int i = 0; i < plan->num_parts; i++)
        mock_check_launches(device, plan->parts[i]);
    for (int i = 0; i < plan->num_choices; i++)
        check_family(device, &plan->ctx->dev, plan->choices[i].kernel, plan->problem,
                     plan->choices[i].t);
}

/* False: the device can run it in no configuration. */
static bool check_default(const mock_device *d, const clattn_plan *plan, const cla_kernel *k)
{
    const cla_pin pin = { k->name, NULL };
    cla_problem problem;
    cla_choice choice;
    memcpy(&problem, plan->problem, plan->op->size);
    if (cla_dispatch(plan->ctx, plan->op->name, k->stage, &problem, &pin, &choice) != CLATTN_OK)
        return false;
    if (k->estimate) {
        int guess[CLA_MAX_TUNABLES];
        k->estimate(&plan->ctx->dev, &problem, guess);
        ck_assert_msg(cla_kernel_legal(k, &plan->ctx->dev, &problem, guess),
                      "%s: %s cannot run with its own guess", d->name, k->name);
    }
    if (k->bind)
        k->bind(&problem, choice.t);
    check_family(d, &plan->ctx->dev, k, &problem, choice.t);
    return true;
}

int mock_check_defaults(const mock_device *device, const clattn_plan *plan, int *served)
{
    int count = 0;
    for (int i = 0; i < plan->num_parts; i++)
        count += mock_check_defaults(device, plan->parts[i], served);
    for (int s = 0; plan->num_choices > 0 && s < plan->op->num_stages; s++) {
        const cla_op_stage *stage = &plan->op->stages[s];
        if (stage->wanted && !stage->wanted(plan->problem))
            continue;
        for (int i = 0; cla_kernels[i]; i++)
            if (cla_kernels[i]->stage == stage->stage
                && cla_kernel_is_for(cla_kernels[i], &plan->ctx->dev)
                && check_default(device, plan, cla_kernels[i])) {
                served[i]++;
                count++;
            }
    }
    return count;
}
