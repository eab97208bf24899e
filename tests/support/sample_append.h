/* SPDX-License-Identifier: Apache-2.0 */
/* A problem for kernels that append to a KV cache, without memory behind it. */
#ifndef SAMPLE_APPEND_H
#define SAMPLE_APPEND_H

#include "problem.h"

/* extras: turned keys, quantised into pages. */
static inline cla_append sample_append(clattn_dtype type, bool extras)
{
    return (cla_append){ .B = 2, .N = 3, .Hk = 4, .D = 48, .Dv = 40, .in_type = type,
                         .kv_type = extras ? CLATTN_I4 : type,
                         .rotary = extras ? CLATTN_ROTARY_NEOX : CLATTN_ROTARY_NONE,
                         .paged = extras, .page_shift = 4, .last_page = 9 };
}

#endif
