/* SPDX-License-Identifier: Apache-2.0 */
/* DPAS for the test of tile_instructions.cl, after tile_intel.clh has declared it. */
#if TILE == TILE_DPAS_8 || TILE == TILE_DPAS_16
#if TILE == TILE_DPAS_8
#define PUT_A(x, p) vstore8(as_uint8(x), 0, (__global uint *)(p))
#else
#define PUT_A(x, p) vstore8(as_ushort8(x), 0, p)
#endif

#define MATRIX_MAD(name)                                                                       \
    float8 __attribute__((overloadable, always_inline))                                        \
    name(tile_columns a, int8 b, float8 acc)                                                   \
    {                                                                                          \
        float x[8];                                                                            \
        __global share *own = OWN;                                                             \
        PUT_A(a, own->a);                                                                      \
        vstore8(as_uint8(b), 0, (__global uint *)own->b);                                      \
        vstore8(acc, 0, x);                                                                    \
        product(x);                                                                            \
        return vload8(0, x);                                                                   \
    }
MATRIX_MAD(intel_sub_group_f16_f16_matrix_mad_k16)
MATRIX_MAD(intel_sub_group_bf16_bf16_matrix_mad_k16)
#endif
