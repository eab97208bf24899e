/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sub-group reductions: out[0] = 1 when the sum over a sub-group is right. in: 0 = 1.5.
 * Launch: one work-group of 16.
 */
#pragma OPENCL EXTENSION cl_khr_subgroups : enable

REQD_WG(16, 1, 1)
__kernel void probe_subgroups(__global const float *in, __global uint *out)
{
    const float sum = sub_group_reduce_add(in[0]);
    if (get_local_id(0) == 0)
        out[0] = sum == 1.5f * (float)get_sub_group_size() ? 1u : 0u;
}
