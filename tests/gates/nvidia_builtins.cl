/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What NVIDIA's driver would link to a kernel, so that ptxas can finish one that clang compiled and
 * tell its registers: included before the kernels by the compile gates. Numbers are of no concern.
 */
#define OVER __attribute__((overloadable, always_inline))

#define BY_DIMENSION(name, sreg)                                                               \
    OVER size_t name(uint d)                                                                   \
    {                                                                                          \
        return d == 0 ? __nvvm_read_ptx_sreg_##sreg##_x()                                      \
             : d == 1 ? __nvvm_read_ptx_sreg_##sreg##_y() : __nvvm_read_ptx_sreg_##sreg##_z(); \
    }
BY_DIMENSION(get_local_id, tid)
BY_DIMENSION(get_group_id, ctaid)
BY_DIMENSION(get_local_size, ntid)
BY_DIMENSION(get_num_groups, nctaid)
OVER size_t get_global_id(uint d) { return get_group_id(d) * get_local_size(d) + get_local_id(d); }
OVER size_t get_global_size(uint d) { return get_num_groups(d) * get_local_size(d); }

OVER void barrier(cl_mem_fence_flags flags) { __asm volatile("bar.sync 0;" ::: "memory"); }
OVER void mem_fence(cl_mem_fence_flags flags) { __asm volatile("membar.gl;" ::: "memory"); }

#define ONE(name, code)                                                                        \
    OVER float name(float x)                                                                   \
    {                                                                                          \
        float y;                                                                               \
        __asm(code " %0, %1;" : "=f"(y) : "f"(x));                                             \
        return y;                                                                              \
    }
ONE(exp2, "ex2.approx.f32")
ONE(native_exp2, "ex2.approx.ftz.f32")
ONE(log2, "lg2.approx.f32")
ONE(fabs, "abs.f32")
ONE(sqrt, "sqrt.rn.f32")
ONE(floor, "cvt.rmi.f32.f32")
ONE(sin, "sin.approx.f32")
ONE(cos, "cos.approx.f32")
OVER float exp(float x) { return exp2(x * 1.442695f); }
OVER float log(float x) { return log2(x) * 0.6931472f; }
OVER float tanh(float x) { return 1.0f - 2.0f / (exp(2.0f * x) + 1.0f); }
OVER float rsqrt(float x) { return 1.0f / sqrt(x); }
OVER int isnan(float x) { return x != x; }

/* By halves down to one float; a name that is defined here has no other forms left. */
#define HALVED(name, type, parameters, lo, hi)                                                 \
    OVER type name parameters { return (type)(name lo, name hi); }
#define VECTORS(name, parameters2, parameters4, parameters8, parameters16, lo, hi)             \
    HALVED(name, float2, parameters2, lo, hi)                                                  \
    HALVED(name, float4, parameters4, lo, hi)                                                  \
    HALVED(name, float8, parameters8, lo, hi)                                                  \
    HALVED(name, float16, parameters16, lo, hi)
#define VECTORS1(name)                                                                         \
    VECTORS(name, (float2 a), (float4 a), (float8 a), (float16 a), (a.lo), (a.hi))
#define VECTORS2(name)                                                                         \
    VECTORS(name, (float2 a, float2 b), (float4 a, float4 b), (float8 a, float8 b),            \
            (float16 a, float16 b), (a.lo, b.lo), (a.hi, b.hi))
#define VECTORS3(name)                                                                         \
    VECTORS(name, (float2 a, float2 b, float2 c), (float4 a, float4 b, float4 c),              \
            (float8 a, float8 b, float8 c), (float16 a, float16 b, float16 c),                 \
            (a.lo, b.lo, c.lo), (a.hi, b.hi, c.hi))
VECTORS1(exp2)
VECTORS1(exp)
VECTORS1(fabs)
OVER float fma(float a, float b, float c) { return __builtin_fmaf(a, b, c); }
OVER float fmax(float a, float b) { return __builtin_fmaxf(a, b); }
OVER float fmin(float a, float b) { return __builtin_fminf(a, b); }
VECTORS3(fma)
VECTORS2(fmax)
VECTORS2(fmin)
#define INTEGERS(type)                                                                         \
    OVER type max(type a, type b) { return a > b ? a : b; }                                    \
    OVER type min(type a, type b) { return a < b ? a : b; }                                    \
    OVER type clamp(type x, type a, type b) { return min(max(x, a), b); }
INTEGERS(int)
INTEGERS(uint)
INTEGERS(long)
INTEGERS(ulong)
OVER uint abs(int x) { return (uint)(x < 0 ? -x : x); }

OVER int atomic_or(volatile __local int *p, int x)
{
    return __sync_fetch_and_or((volatile int *)(size_t)p, x);
}

/* Halves, whatever the address space. */
#define HALVES(SPACE)                                                                          \
    OVER float vload_half(size_t i, const SPACE half *p)                                       \
    {                                                                                          \
        float y;                                                                               \
        __asm("cvt.f32.f16 %0, %1;" : "=f"(y) : "h"(((const SPACE ushort *)p)[i]));            \
        return y;                                                                              \
    }                                                                                          \
    OVER void vstore_half_rte(float x, size_t i, SPACE half *p)                                \
    {                                                                                          \
        ushort y;                                                                              \
        __asm("cvt.rn.f16.f32 %0, %1;" : "=h"(y) : "f"(x));                                    \
        ((SPACE ushort *)p)[i] = y;                                                            \
    }
HALVES(__global)
HALVES(__local)
HALVES(__private)

OVER ulong mul_hi(ulong a, ulong b)
{
    ulong x;
    __asm("mul.hi.u64 %0, %1, %2;" : "=l"(x) : "l"(a), "l"(b));
    return x;
}

OVER float cospi(float x) { return cos(x * 3.1415927f); }
OVER float sinpi(float x) { return sin(x * 3.1415927f); }

OVER uint atomic_inc(volatile __global uint *p)
{
    return __sync_fetch_and_add((volatile uint *)(size_t)p, 1u);
}
