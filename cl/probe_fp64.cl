/* SPDX-License-Identifier: Apache-2.0 */
/* Double arithmetic: out[0] = 1 when it works. in: 0 = 1.5, 1 = 2^-40. Launch: one work-item. */
#pragma OPENCL EXTENSION cl_khr_fp64 : enable

__kernel void probe_fp64(__global const float *in, __global uint *out)
{
    const double sum = (double)in[0] + (double)in[1];
    out[0] = sum - 1.5 == (double)in[1] ? 1u : 0u;
}
