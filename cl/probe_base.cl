/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Does this device compute what attention needs? Sets one bit of out[0] for each thing that is
 * right. Values come from memory, so that the compiler cannot fold the answers.
 *
 * in: 0 = 1.5, 1 = -inf, 2 = NaN, 3 = 1e-40 (subnormal)
 * bits: 0 f16 storage, 1 bf16 storage, 2 local memory and barrier, 3 -inf compares, 4 NaN is seen,
 *       5 exp(-inf) is 0, 6 subnormals are kept, 7 the last work-group sees what all others wrote
 * Launch: GROUPS work-groups of 16.
 * out: zeros; word 0 the bits, then 7 of scratch, a mark, and words of the work-groups
 */
#define ITEMS 16
#define GROUPS 32

/*
 * Each work-group looks at what others have not written yet, so that a cache has it, and the last
 * at what all have written.
 */
FN uint hand_over(__global uint *words, __global int *mark, __local int *last, int group, int i)
{
    uint wrong = 0;
    for (int g = 0; g < GROUPS; g++) {
        const uint early = words[g * ITEMS + i];
        wrong += early != 0 && early != (uint)(g * ITEMS + i + 1);
    }
    words[group * ITEMS + i] = (uint)(group * ITEMS + i + 1);
    if (!comes_last(mark, GROUPS, last))
        return 0;
    for (int g = 0; g < GROUPS; g++)
        wrong += words[g * ITEMS + (i + g) % ITEMS] != (uint)(g * ITEMS + (i + g) % ITEMS + 1);
    return wrong == 0;
}

REQD_WG(ITEMS, 1, 1)
__kernel void probe_base(__global const float *in, __global uint *out)
{
    __local float tile[ITEMS];
    __local int last, good;
    const int i = (int)get_local_id(0), group = (int)get_group_id(0);
    tile[i] = in[0] * (float)i;
    barrier(CLK_LOCAL_MEM_FENCE);
    const float mirrored = tile[ITEMS - 1 - i];
    barrier(CLK_LOCAL_MEM_FENCE);
    tile[i] = mirrored;
    barrier(CLK_LOCAL_MEM_FENCE);

    if (i == 0)
        good = 0;
    if (HANDOVER) {
        const uint handed = hand_over(out + 9, (__global int *)(out + 8), &last, group, i);
        atomic_add(&good, (int)handed);
        barrier(CLK_LOCAL_MEM_FENCE);
        if (i == 0 && good == ITEMS)
            atomic_or(out, 128u);
    }

    if (i == 0 && group == 0) {
        const float x = in[0], inf = in[1], nan_in = in[2], tiny = in[3];
        __global ushort *scratch = (__global ushort *)(out + 1);
        uint bits = 0;
        store(T_F16, scratch, 0, -x);
        store(T_BF16, scratch, 1, -x);
        bits |= load(T_F16, scratch, 0) == -1.5f ? 1u : 0u;
        bits |= load(T_BF16, scratch, 1) == -1.5f ? 2u : 0u;
        bits |= tile[0] == 22.5f && tile[ITEMS - 1] == 0.0f ? 4u : 0u;
        bits |= inf == -INFINITY && x > inf ? 8u : 0u;
        bits |= isnan(nan_in) && nan_in != nan_in && !isnan(x) ? 16u : 0u;
        bits |= exp(inf) == 0.0f && exp2(inf - x) == 0.0f ? 32u : 0u;
        bits |= tiny * 0.5f > 0.0f ? 64u : 0u;
        atomic_or(out, bits);
    }
}
