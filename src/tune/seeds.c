/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Results that come with the library, for devices nobody has tuned yet: found on a device of the
 * same kind. Written by `clattn wisdom seeds`.
 */
#include "tune/store_state.h"

/* clang-format off */
const cla_seed cla_seeds[] = {
    { NULL, NULL, NULL, NULL, NULL },
};
