/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The instructions of cl/tile_amd.clh and cl/tile_intel.clh as their manuals define them, for a
 * test that runs the fragments of these files on a CPU: which lane and which of its elements holds
 * each element of the three matrices, and what lanes exchange. Work-items meet in SCRATCH, the
 * address of memory of the test. Every lane of the work-group calls an instruction at one time.
 */
#define as_half4 as_ushort4
#define as_half8 as_ushort8
#define as_half16 as_ushort16

/* M, N, K; where A(m,k), B(k,n) and C(m,n) lie: a lane, a number of the lane. */
#if TILE == 4 /* WMMA of gfx11 */
#define LANES 32
#define M 16
#define N 16
#define A_LANE(m, k) (m)
#define A_AT(m, k) (k)
#define B_LANE(k, n) (n)
#define B_AT(k, n) (k)
#define C_LANE(m, n) ((n) + 16 * ((m) % 2))
#define C_AT(m, n) ((m) / 2)
#elif TILE == 5 /* WMMA of gfx12 */
#define LANES 32
#define M 16
#define N 16
#define A_LANE(m, k) ((m) + 16 * ((k) / 8))
#define A_AT(m, k) ((k) % 8)
#define B_LANE(k, n) ((n) + 16 * ((k) / 8))
#define B_AT(k, n) ((k) % 8)
#define C_LANE(m, n) ((n) + 16 * ((m) / 8))
#define C_AT(m, n) ((m) % 8)
#elif TILE == 6 /* MFMA */
#define LANES 64
#define M 16
#define N 16
#define A_LANE(m, k) ((m) + 16 * ((k) / 4))
#define A_AT(m, k) ((k) % 4)
#define B_LANE(k, n) ((n) + 16 * ((k) / 4))
#define B_AT(k, n) ((k) % 4)
#define C_LANE(m, n) ((n) + 16 * ((m) / 4))
#define C_AT(m, n) ((m) % 4)
#elif TILE == 7 /* DPAS, sub-groups of 8: a register of A holds two k of a row */
#define LANES 8
#define M 8
#define N 8
#define A_LANE(m, k) ((k) / 2)
#define A_AT(m, k) (2 * (m) + (k) % 2)
#define B_LANE(k, n) (n)
#define B_AT(k, n) (k)
#define C_LANE(m, n) (n)
#define C_AT(m, n) (m)
#else /* DPAS, sub-groups of 16 */
#define LANES 16
#define M 8
#define N 16
#define A_LANE(m, k) (k)
#define A_AT(m, k) (m)
#define B_LANE(k, n) (n)
#define B_AT(k, n) (k)
#define C_LANE(m, n) (n)
#define C_AT(m, n) (m)
#endif

/* A work-item's share of the scratch: A, then B. */
typedef struct share {
    ushort a[16], b[16];
    uint word;
} share;

FN __global share *share_of(int lane)
{
    return (__global share *)(ulong)SCRATCH + get_local_id(0) / LANES * LANES + lane;
}

FN float wide(ushort u)
{
    return TILE_TYPE == T_BF16 ? bf16_to_f32(u) : vload_half(0, (const half *)&u);
}

/* C += A B: this lane's share of A and B must be there. */
FN void product(float *c)
{
    const int lane = (int)get_local_id(0) % LANES;
    barrier(CLK_GLOBAL_MEM_FENCE);
    for (int m = 0; m < M; m++)
        for (int n = 0; n < N; n++)
            for (int k = 0; C_LANE(m, n) == lane && k < 16; k++)
                c[C_AT(m, n)] += wide(share_of(A_LANE(m, k))->a[A_AT(m, k)])
                               * wide(share_of(B_LANE(k, n))->b[B_AT(k, n)]);
    barrier(CLK_GLOBAL_MEM_FENCE);
}

/* What another lane of the sub-group has. */
FN uint from_lane(uint x, int lane)
{
    share_of((int)get_local_id(0) % LANES)->word = x;
    barrier(CLK_GLOBAL_MEM_FENCE);
    const uint y = share_of(lane)->word;
    barrier(CLK_GLOBAL_MEM_FENCE);
    return y;
}

#define OWN share_of((int)get_local_id(0) % LANES)
#define MULTIPLY(name, in, put, float_n, n, load, save)                                        \
    FN float_n name(in a, in b, float_n c)                                                     \
    {                                                                                          \
        float x[16];                                                                           \
        put(a, 0, OWN->a);                                                                     \
        put(b, 0, OWN->b);                                                                     \
        save(c, 0, x);                                                                         \
        product(x);                                                                            \
        return load(0, x);                                                                     \
    }
MULTIPLY(multiply4, ushort4, vstore4, float4, 4, vload4, vstore4)
MULTIPLY(multiply8, ushort8, vstore8, float8, 8, vload8, vstore8)
MULTIPLY(multiply16, ushort16, vstore16, float8, 8, vload8, vstore8)

#define __builtin_amdgcn_mfma_f32_16x16x16f16(a, b, c, x, y, z) multiply4(a, b, c)
#define __builtin_amdgcn_mfma_f32_16x16x16bf16_1k(a, b, c, x, y, z)                            \
    multiply4(as_ushort4(a), as_ushort4(b), c)
#define __builtin_amdgcn_wmma_f32_16x16x16_f16_w32(a, b, c) multiply16(a, b, c)
#define __builtin_amdgcn_wmma_f32_16x16x16_bf16_w32(a, b, c)                                   \
    multiply16(as_ushort16(a), as_ushort16(b), c)
#define __builtin_amdgcn_wmma_f32_16x16x16_f16_w32_gfx12(a, b, c) multiply8(a, b, c)
#define __builtin_amdgcn_wmma_f32_16x16x16_bf16_w32_gfx12(a, b, c)                             \
    multiply8(as_ushort8(a), as_ushort8(b), c)
#define __builtin_amdgcn_ds_bpermute(address, x)                                               \
    ((int)from_lane((uint)(x), (address) / 4 % LANES))
#define __builtin_amdgcn_permlanex16(old, x, lo, hi, fetch, bounds)                            \
    from_lane(x, (int)(get_local_id(0) % LANES) ^ 16)
