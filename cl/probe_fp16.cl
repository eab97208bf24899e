/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Half arithmetic: out[0] = 1 when it works. Some drivers do it without naming the extension.
 * in: 0 = 1.5, 1 = 0.25. Launch: one work-item.
 */
#pragma OPENCL EXTENSION cl_khr_fp16 : enable

__kernel void probe_fp16(__global const float *in, __global uint *out)
{
    const half4 x = (half4)((half)in[0]), y = (half4)((half)in[1]);
    const half4 sum = x * y + x;
    out[0] = (float)sum.w == 1.875f ? 1u : 0u;
}
