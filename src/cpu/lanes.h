/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Vectors of floats as wide as the instruction set this file is compiled for: loads and stores of
 * the storage dtypes, transposition, exp2 and tanh. Vector extensions of gcc and clang do most of
 * it; intrinsics stand where those have no word for an instruction.
 *
 * Needs -ffp-contract=fast: a * b + c means a fused multiply-add where there is one. Nothing here
 * depends on subnormals being kept.
 */
#ifndef CLA_LANES_H
#define CLA_LANES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <clattn/clattn.h>

#if defined(__AVX2__) || defined(__AVX512F__)
#include <immintrin.h>
#elif defined(CLA_NEON)
#include <arm_neon.h>
#endif

#if defined(__AVX512F__)
#define LANES 16
#define REGISTERS 32 /* for vectors */
#elif defined(__AVX2__)
#define LANES 8
#define REGISTERS 16
#elif defined(CLA_NEON)
#define LANES 4
#define REGISTERS 32
#else
#define LANES 4
#define REGISTERS 16
#endif

#define FN static inline __attribute__((always_inline))
#define VECTOR(type, n) type __attribute__((vector_size(sizeof(type) * (n))))

#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 32")
#endif

typedef VECTOR(float, LANES) vf;
typedef VECTOR(int32_t, LANES) vi;
typedef VECTOR(uint32_t, LANES) vu;
typedef VECTOR(uint16_t, LANES) vh;
typedef VECTOR(int8_t, LANES) vb;
typedef VECTOR(uint8_t, LANES) vub;

/* The same at any alignment of the element, over memory of any type. */
typedef float vf_mem __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef uint16_t vh_mem __attribute__((vector_size(2 * LANES), aligned(2), may_alias));
typedef int8_t vb_mem __attribute__((vector_size(LANES), aligned(1), may_alias));
typedef uint8_t vub_mem __attribute__((vector_size(LANES), aligned(1), may_alias));

/* x - 0 is x for every x, -0 included, so that compilers reduce it to a broadcast. */
FN vf splat(float x) { return x - (vf){ 0 }; }
FN vi splat_i(int32_t x) { return x - (vi){ 0 }; }

FN vf load_f32(const float *p) { return *(const vf_mem *)p; }
FN void store_f32(float *p, vf x) { *(vf_mem *)p = x; }

/* yes where the lanes of mask are all ones, no where they are 0. */
FN vf choose(vi mask, vf yes, vf no)
{
#if defined(CLA_NEON)
    return (vf)vbslq_f32((uint32x4_t)mask, (float32x4_t)yes, (float32x4_t)no);
#else
    return (vf)((mask & (vi)yes) | (~mask & (vi)no));
#endif
}

/* a < x ? x : a, so a NaN in x is dropped and a NaN in a stays. */
FN vf max_keep(vf a, vf x)
{
#if defined(__AVX512F__)
    return (vf)_mm512_max_ps((__m512)x, (__m512)a);
#elif defined(__AVX2__)
    return (vf)_mm256_max_ps((__m256)x, (__m256)a);
#else
    return choose(a < x, x, a);
#endif
}

/* a > x ? x : a, likewise. */
FN vf min_keep(vf a, vf x)
{
#if defined(__AVX512F__)
    return (vf)_mm512_min_ps((__m512)x, (__m512)a);
#elif defined(__AVX2__)
    return (vf)_mm256_min_ps((__m256)x, (__m256)a);
#else
    return choose(a > x, x, a);
#endif
}

FN bool any_above(vf x, vf limit)
{
#if defined(__AVX512F__)
    return _mm512_cmp_ps_mask((__m512)x, (__m512)limit, _CMP_GT_OQ) != 0;
#elif defined(__AVX2__)
    return _mm256_movemask_ps(_mm256_cmp_ps((__m256)x, (__m256)limit, _CMP_GT_OQ)) != 0;
#elif defined(CLA_NEON)
    return vmaxvq_u32((uint32x4_t)(x > limit)) != 0;
#else
    const vi above = x > limit;
    int32_t any = 0;
    for (int i = 0; i < LANES; i++)
        any |= above[i];
    return any != 0;
#endif
}

/* ------------------------------------------------------------------------------------------ */
/* Shuffles                                                                                   */

#if LANES == 16
#define ZIP_LOW 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23
#define ZIP_HIGH 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31
#define EACH_TWICE 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7
#define I4_SHIFTS ((vi){ 0, 4, 0, 4, 0, 4, 0, 4, 0, 4, 0, 4, 0, 4, 0, 4 })
#elif LANES == 8
#define ZIP_LOW 0, 8, 1, 9, 2, 10, 3, 11
#define ZIP_HIGH 4, 12, 5, 13, 6, 14, 7, 15
#define EACH_TWICE 0, 0, 1, 1, 2, 2, 3, 3
#define I4_SHIFTS ((vi){ 0, 4, 0, 4, 0, 4, 0, 4 })
#else
#define ZIP_LOW 0, 4, 1, 5
#define ZIP_HIGH 2, 6, 3, 7
#define EACH_TWICE 0, 0, 1, 1
#define I4_SHIFTS ((vi){ 0, 4, 0, 4 })
#endif

#if defined(__clang__) || __GNUC__ >= 12
#define SHUFFLE(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define SHUFFLE(a, b, ...) __builtin_shuffle(a, b, (vi){ __VA_ARGS__ })
#endif

/* ------------------------------------------------------------------------------------------ */
/* Storage dtypes                                                                             */

/* Exact. Conversion of an f16 subnormal never meets an f32 one, which would be taken for 0. */
FN vf f16_lanes(vh h)
{
#if defined(__AVX512F__)
    return (vf)_mm512_cvtph_ps((__m256i)h);
#elif defined(__AVX2__)
    return (vf)_mm256_cvtph_ps((__m128i)h);
#elif defined(CLA_NEON)
    return (vf)vcvt_f32_f16((float16x4_t)h);
#else
    const vu wide = __builtin_convertvector(h, vu);
    const vu sign = (wide & 0x8000u) << 16, rest = wide & 0x7fffu;
    const vf tiny = __builtin_convertvector((vi)rest, vf) * 0x1p-24f;
    const vu top = (vu)(rest >= 0x7c00u) & (112u << 23);
    const vu normal = (rest << 13) + (112u << 23) + top;
    return (vf)((vu)choose((vi)(rest < 0x400u), tiny, (vf)normal) | sign);
#endif
}

FN vf bf16_lanes(vh h) { return (vf)(__builtin_convertvector(h, vu) << 16); }

FN vf i8_lanes(vb x)
{
#if defined(__AVX512F__)
    return (vf)_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32((__m128i)x));
#elif defined(__AVX2__)
    return (vf)_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_set_epi64x(0, (int64_t)x)));
#elif defined(CLA_NEON)
    const int16x8_t wide = vmovl_s8((int8x8_t)vdup_n_s32((int32_t)x));
    return (vf)vcvtq_f32_s32(vmovl_s16(vget_low_s16(wide)));
#else
    return __builtin_convertvector(__builtin_convertvector(x, vi), vf);
#endif
}

FN vi u8_lanes(vub x)
{
#if defined(__AVX512F__)
    return (vi)_mm512_cvtepu8_epi32((__m128i)x);
#elif defined(__AVX2__)
    return (vi)_mm256_cvtepu8_epi32(_mm_set_epi64x(0, (int64_t)x));
#elif defined(CLA_NEON)
    const uint16x8_t wide = vmovl_u8((uint8x8_t)vdup_n_s32((int32_t)x));
    return (vi)vmovl_u16(vget_low_u16(wide));
#else
    return __builtin_convertvector(x, vi);
#endif
}

FN size_t bytes_of(int type) { return type == CLATTN_F32 ? 4 : 2; }

/*
 * f(type, ...) with the dtype as a constant, so that f is compiled for each: of tensors; of what
 * has elements of whole bytes; of all that caches and weights are stored as.
 */
#define BY_FLOAT(f, type, ...)                                    \
    ((type) == CLATTN_F16    ? f(CLATTN_F16, __VA_ARGS__)         \
     : (type) == CLATTN_BF16 ? f(CLATTN_BF16, __VA_ARGS__)        \
                             : f(CLATTN_F32, __VA_ARGS__))
#define BY_BYTES(f, type, ...) \
    ((type) == CLATTN_I8 ? f(CLATTN_I8, __VA_ARGS__) : BY_FLOAT(f, type, __VA_ARGS__))
#define BY_STORED(f, type, ...) \
    ((type) == CLATTN_I4 ? f(CLATTN_I4, __VA_ARGS__) : BY_BYTES(f, type, __VA_ARGS__))

FN vf load(int type, const void *p)
{
    if (type == CLATTN_F16)
        return f16_lanes(*(const vh_mem *)p);
    if (type == CLATTN_BF16)
        return bf16_lanes(*(const vh_mem *)p);
    return load_f32(p);
}

/* The first n of LANES elements, zeros after them; reads nothing else. */
FN vf load_first(int type, const void *p, int n)
{
    unsigned char part[4 * LANES] = { 0 };
    if (n >= LANES)
        return load(type, p);
    if (n > 0)
        memcpy(part, p, (size_t)n * bytes_of(type));
    return load(type, part);
}

/* LANES values from LANES / 2 bytes, the first of each two in the low half. */
FN vf i4_lanes(const char *p)
{
#if defined(__AVX512F__)
    int64_t bytes; /* a vector put together in memory would wait for its parts */
    memcpy(&bytes, p, sizeof bytes);
    const vi pairs = (vi)_mm512_cvtepu8_epi32(_mm_cvtsi64_si128(bytes));
#elif defined(__AVX2__)
    int32_t bytes;
    memcpy(&bytes, p, sizeof bytes);
    const vi pairs = (vi)_mm256_cvtepu8_epi32(_mm_cvtsi32_si128(bytes));
#else
    vub part = { 0 };
    memcpy(&part, p, LANES / 2);
    const vi pairs = u8_lanes(part);
#endif
    const vi twice = SHUFFLE(pairs, pairs, EACH_TWICE);
    return __builtin_convertvector((((twice >> I4_SHIFTS) & 15) ^ 8) - 8, vf);
}

/* Round to nearest even; values of 65520 and more become inf, a NaN stays one. */
FN vh to_f16_lanes(vf x)
{
#if defined(__AVX512F__)
    return (vh)_mm512_cvtps_ph((__m512)x, _MM_FROUND_TO_NEAREST_INT);
#elif defined(__AVX2__)
    return (vh)_mm256_cvtps_ph((__m256)x, _MM_FROUND_TO_NEAREST_INT);
#elif defined(CLA_NEON)
    return (vh)vcvt_f16_f32((float32x4_t)x);
#else
    const vu bits = (vu)x, size = bits & 0x7fffffffu, sign = (bits >> 16) & 0x8000u;
    const vu normal = (size - (112u << 23) + 0xfffu + ((size >> 13) & 1u)) >> 13;
    /* Below 2^-14 a sum with 0.5 rounds to the steps of an f16 subnormal. */
    const vu tiny = (vu)((vf)size + 0.5f) - 0x3f000000u;
    const vu nan = 0x7e00u | ((size >> 13) & 0x3ffu);
    vf h = choose((vi)(size < 0x38800000u), (vf)tiny, (vf)normal);
    h = choose((vi)(size >= 0x477ff000u), (vf)((vu){ 0 } + 0x7c00u), h);
    h = choose((vi)(size > 0x7f800000u), (vf)nan, h);
    return __builtin_convertvector((vu)h | sign, vh);
#endif
}

FN vh to_bf16_lanes(vf x)
{
#if defined(__AVX512BF16__)
    return (vh)_mm512_cvtneps_pbh((__m512)x);
#else
    const vu bits = (vu)x;
    const vu rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
    return __builtin_convertvector((vu)choose(x == x, (vf)rounded, (vf)((bits >> 16) | 0x40u)), vh);
#endif
}

FN void store(int type, void *p, vf x)
{
    if (type == CLATTN_F16)
        *(vh_mem *)p = to_f16_lanes(x);
    else if (type == CLATTN_BF16)
        *(vh_mem *)p = to_bf16_lanes(x);
    else
        store_f32(p, x);
}

FN void store_first(int type, void *p, vf x, int n)
{
    unsigned char part[4 * LANES];
    if (n >= LANES) {
        store(type, p, x);
        return;
    }
    store(type, part, x);
    memcpy(p, part, (size_t)n * bytes_of(type));
}

/* ------------------------------------------------------------------------------------------ */
/* Transposition and reduction                                                                */

/* Each round moves the highest bit of the position of an element to the lowest place. */
FN void transpose(vf *rows)
{
    UNROLL
    for (int round = 1; round < LANES; round *= 2) {
        vf next[LANES];
        UNROLL
        for (int i = 0; i < LANES / 2; i++) {
            next[2 * i] = SHUFFLE(rows[i], rows[i + LANES / 2], ZIP_LOW);
            next[2 * i + 1] = SHUFFLE(rows[i], rows[i + LANES / 2], ZIP_HIGH);
        }
        UNROLL
        for (int i = 0; i < LANES; i++)
            rows[i] = next[i];
    }
}

/* Each round joins the lower with the upper half; in the end every lane has the whole. */
FN float max_of(vf x)
{
    UNROLL
    for (int round = 1; round < LANES; round *= 2)
        x = max_keep(SHUFFLE(x, x, ZIP_LOW), SHUFFLE(x, x, ZIP_HIGH));
    return x[0];
}

/* Lane by lane the one or the other; and what lies N lanes from there in the one and the other. */
#if LANES == 16
#define PICK_8 0, 1, 2, 3, 4, 5, 6, 7, 24, 25, 26, 27, 28, 29, 30, 31
#define SWAP_8 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23
#define PICK_4 0, 1, 2, 3, 20, 21, 22, 23, 8, 9, 10, 11, 28, 29, 30, 31
#define SWAP_4 4, 5, 6, 7, 16, 17, 18, 19, 12, 13, 14, 15, 24, 25, 26, 27
#define PICK_2 0, 1, 18, 19, 4, 5, 22, 23, 8, 9, 26, 27, 12, 13, 30, 31
#define SWAP_2 2, 3, 16, 17, 6, 7, 20, 21, 10, 11, 24, 25, 14, 15, 28, 29
#define PICK_1 0, 17, 2, 19, 4, 21, 6, 23, 8, 25, 10, 27, 12, 29, 14, 31
#define SWAP_1 1, 16, 3, 18, 5, 20, 7, 22, 9, 24, 11, 26, 13, 28, 15, 30
#elif LANES == 8
#define PICK_4 0, 1, 2, 3, 12, 13, 14, 15
#define SWAP_4 4, 5, 6, 7, 8, 9, 10, 11
#define PICK_2 0, 1, 10, 11, 4, 5, 14, 15
#define SWAP_2 2, 3, 8, 9, 6, 7, 12, 13
#define PICK_1 0, 9, 2, 11, 4, 13, 6, 15
#define SWAP_1 1, 8, 3, 10, 5, 12, 7, 14
#else
#define PICK_2 0, 1, 6, 7
#define SWAP_2 2, 3, 4, 5
#define PICK_1 0, 5, 2, 7
#define SWAP_1 1, 4, 3, 6
#endif

/* Halves 2 N vectors, and the terms in them; the lanes with bit N are those of x[i + N]. */
#define FOLD(x, N)                                                                                 \
    UNROLL                                                                                         \
    for (int i_ = 0; i_ < (N); i_++)                                                               \
        (x)[i_] = SHUFFLE((x)[i_], (x)[i_ + (N)], PICK_##N)                                        \
                + SHUFFLE((x)[i_], (x)[i_ + (N)], SWAP_##N)

/* Lane i of the result is the sum of x[i], i < LANES; x is used up. */
FN vf sum_each(vf *x)
{
#if LANES >= 16
    FOLD(x, 8);
#endif
#if LANES >= 8
    FOLD(x, 4);
#endif
    FOLD(x, 2);
    FOLD(x, 1);
    return x[0];
}

FN float sum_of(vf x)
{
    UNROLL
    for (int round = 1; round < LANES; round *= 2)
        x = SHUFFLE(x, x, ZIP_LOW) + SHUFFLE(x, x, ZIP_HIGH);
    return x[0];
}

/* ------------------------------------------------------------------------------------------ */
/* Functions                                                                                  */

/* Adding this to |x| < 2^21 rounds x to an integer and leaves it plus 127 in the low bits. */
#define ROUND_SHIFT (0x1.8p23f + 127)

/* 2^n for the n that was rounded into the low bits; n in [-127, 127], and -127 gives 0. */
FN vf power_of_two(vf shifted) { return (vf)((vi)shifted << 23); }

/* 2^f on [-0.5, 0.5]: minimax polynomial of relative error 3e-9. */
FN vf exp2_fraction(vf f)
{
    vf p = f * 1.559467782e-4f + 1.340664341e-3f;
    p = p * f + 9.617692791e-3f;
    p = p * f + 5.550310388e-2f;
    p = p * f + 2.402265221e-1f;
    p = p * f + 6.931472421e-1f;
    return p * f + 1.0f;
}

/* 2^x for x <= 127, to 1 ulp; 0 below -126.5; a NaN stays a NaN. */
FN vf exp2_lanes(vf x)
{
    /* The operand order of max_keep() lets a NaN through. */
    x = max_keep(x, splat(-127.0f));
    const vf shifted = x + ROUND_SHIFT;
    return exp2_fraction(x - (shifted - ROUND_SHIFT)) * power_of_two(shifted);
}

/*
 * tanh, to 2 ulp: x + x^3 P(x^2) below 0.6 (minimax, relative error 3e-9), 1 - 2 / (exp(2x) + 1)
 * above, where the rounding of the quotient counts little. A NaN stays a NaN.
 */
FN vf tanh_lanes(vf x)
{
    const vi sign = (vi)x & INT32_MIN;
    const vf size = (vf)((vi)x ^ sign), z = x * x;
    vf p = z * -5.895158276e-3f + 2.079597116e-2f;
    p = p * z - 5.378383026e-2f;
    p = p * z + 1.333192438e-1f;
    p = p * z - 3.333329856e-1f;
    const vf small = x + x * z * p;
    const vf bounded = choose(size > 20.0f, splat(20.0f), size); /* where the result is 1 */
    const vf large = 1.0f - 2.0f / (exp2_lanes(bounded * 2.88539008f) + 1.0f);
    return choose(size < 0.6f, small, (vf)((vi)large | sign));
}

#endif
