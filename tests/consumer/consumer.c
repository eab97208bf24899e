/* SPDX-License-Identifier: Apache-2.0 */
/* A program outside the build tree, compiled with nothing but what pkg-config says. */
#include <clattn/clattn.h>
#include <math.h>

int main(void)
{
    const float q[1] = { 1 }, k[2] = { 0, 0 }, v[2] = { 3, 5 };
    float o[1] = { 0 };
    clattn_ctx *ctx;

    if (clattn_ctx_create(clattn_ctx_params(.device = "cpu"), &ctx) != CLATTN_OK)
        return 1;
    const clattn_status s = clattn_attention(ctx, clattn_attention_params(
        .q = clattn_tensor_of_host(q, CLATTN_F32, 4, (int64_t[]){ 1, 1, 1, 1 }),
        .k = clattn_tensor_of_host(k, CLATTN_F32, 4, (int64_t[]){ 1, 1, 2, 1 }),
        .v = clattn_tensor_of_host(v, CLATTN_F32, 4, (int64_t[]){ 1, 1, 2, 1 }),
        .o = clattn_tensor_of_host(o, CLATTN_F32, 4, (int64_t[]){ 1, 1, 1, 1 })));
    clattn_ctx_destroy(&ctx);
    return s != CLATTN_OK || fabsf(o[0] - 4) > 1e-5f;
}
