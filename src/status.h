/* SPDX-License-Identifier: Apache-2.0 */
/* Error codes, the sentence that goes with them, and the three macros that may hide a return. */
#ifndef CLA_STATUS_H
#define CLA_STATUS_H

#include <clattn/clattn.h>

#define CLA_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))

/* Stores the sentence on the context (NULL: nowhere), logs it, returns the code. */
clattn_status cla_fail(clattn_ctx *ctx, clattn_status code, const char *fmt, ...) CLA_PRINTF(3, 4);

/* Only while the function owns nothing. */
#define CLA_TRY(expr)                        \
    do {                                     \
        const clattn_status s_ = (expr);     \
        if (s_ != CLATTN_OK)                 \
            return s_;                       \
    } while (0)
#define CLA_REQUIRE(ctx, cond, code, ...)                \
    do {                                                 \
        if (!(cond))                                     \
            return cla_fail((ctx), (code), __VA_ARGS__); \
    } while (0)

#endif
