/* SPDX-License-Identifier: Apache-2.0 */
/* What a device is asked to launch, against what it can. */
#ifndef MOCK_DEFAULTS_H
#define MOCK_DEFAULTS_H

#include "mock.h"
#include "plan.h"

/* Everything that a plan launches fits the device. */
void mock_check_launches(const mock_device *device, const clattn_plan *plan);

/*
 * So would every kernel of the registry that could do the stages of the plan, as it is run when
 * nothing is known but the device. Adds 1 to served[i] for cla_kernels[i]; returns how many.
 */
int mock_check_defaults(const mock_device *device, const clattn_plan *plan, int *served);

#endif
