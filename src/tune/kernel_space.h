/* SPDX-License-Identifier: Apache-2.0 */
/* The space of a stage: its kernels and the configurations that are legal for a problem. */
#ifndef CLA_KERNEL_SPACE_H
#define CLA_KERNEL_SPACE_H

#include "space.h"
#include "store.h"

typedef struct cla_kernel_space {
    cla_space space;
    const cla_kernel *kernels[CLA_MAX_VARIANTS];
} cla_kernel_space;

/*
 * Kernels that are only for callers who name them are left out, and so is what is quarantined.
 * False: out of memory. Free with cla_space_free().
 */
bool cla_kernel_space_make(const cla_dev *dev, const cla_store *store, cla_stage stage,
                           const void *problem, cla_kernel_space *out);

/* From a code to a configuration, and back; false: it is not in the space. */
const cla_kernel *cla_kernel_space_config(const cla_kernel_space *ks, uint32_t code, int *t);
bool cla_kernel_space_code(const cla_kernel_space *ks, const cla_kernel *kernel, const int *t,
                           uint32_t *code);

#endif
