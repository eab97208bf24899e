/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel_space.h"

typedef struct rule {
    const cla_kernel *const *kernels;
    const cla_dev *dev;
    const cla_store *store;
    const void *problem;
} rule;

static void config_of(const cla_kernel *kernel, const cla_point *point, int *t)
{
    for (int i = 0; i < CLA_MAX_TUNABLES; i++)
        t[i] = kernel->tunables[i].choices[kernel->tunables[i].name ? point->at[i] : 0];
}

static bool legal(const void *user, const cla_point *point)
{
    const rule *r = user;
    const cla_kernel *kernel = r->kernels[point->variant];
    int t[CLA_MAX_TUNABLES];
    config_of(kernel, point, t);
    return cla_kernel_legal(kernel, r->dev, r->problem, t)
           && !cla_store_quarantined(r->store, kernel, t);
}

static cla_variant variant_of(const cla_kernel *kernel)
{
    cla_variant v = { .num_axes = cla_kernel_num_tunables(kernel) };
    for (int i = 0; i < v.num_axes; i++)
        while (v.counts[i] < CLA_MAX_CHOICES && kernel->tunables[i].choices[v.counts[i]])
            v.counts[i]++;
    return v;
}

bool cla_kernel_space_make(const cla_dev *dev, const cla_store *store, cla_stage stage,
                           const void *problem, cla_kernel_space *out)
{
    const bool native = dev->info.type == CLATTN_DEVICE_NATIVE;
    cla_variant variants[CLA_MAX_VARIANTS];
    const rule r = { out->kernels, dev, store, problem };
    int n = 0;
    for (int i = 0; cla_kernels[i] && n < CLA_MAX_VARIANTS; i++) {
        const cla_kernel *kernel = cla_kernels[i];
        if (kernel->stage != stage || cla_kernel_is_native(kernel) != native
            || kernel->priority(dev, problem) < 0)
            continue;
        out->kernels[n] = kernel;
        variants[n++] = variant_of(kernel);
    }
    return cla_space_make(&out->space, variants, n, legal, &r);
}

const cla_kernel *cla_kernel_space_config(const cla_kernel_space *ks, uint32_t code, int *t)
{
    const cla_point point = cla_space_point(&ks->space, code);
    config_of(ks->kernels[point.variant], &point, t);
    return ks->kernels[point.variant];
}

bool cla_kernel_space_code(const cla_kernel_space *ks, const cla_kernel *kernel, const int *t,
                           uint32_t *code)
{
    cla_point point = { .variant = 0 };
    while (point.variant < ks->space.num_variants && ks->kernels[point.variant] != kernel)
        point.variant++;
    if (point.variant == ks->space.num_variants)
        return false;
    const cla_variant *v = &ks->space.variants[point.variant];
    for (int i = 0; i < v->num_axes; i++) {
        while (point.at[i] < v->counts[i] && kernel->tunables[i].choices[point.at[i]] != t[i])
            point.at[i]++;
        if (point.at[i] == v->counts[i])
            return false;
    }
    *code = cla_space_code(&ks->space, &point);
    return cla_space_legal(&ks->space, *code);
}
