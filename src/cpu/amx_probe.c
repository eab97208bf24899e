/* SPDX-License-Identifier: Apache-2.0 */
/* Is there AMX, and may this process use it? */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* syscall */
#endif
#include "isa.h"

#if defined(CLA_HAVE_AMX) && defined(__linux__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
    REQUEST_PERMISSION = 0x1023, /* ARCH_REQ_XCOMP_PERM of arch_prctl(2) */
    TILE_DATA = 18,              /* state component */
    TILE_STATES = 3 << 17,       /* bits of both components in XCR0 */
    BIT_AVX512_BF16 = 1 << 5,    /* leaf 7.1, eax */
    BITS_AMX = 1 << 22 | 1 << 24, /* leaf 7.0, edx: bf16, tiles */
    PALETTE = 0x1d,              /* leaf: sizes of tiles */
};

static bool states_enabled(void)
{
    unsigned low, high;
    __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (low & TILE_STATES) == TILE_STATES;
}

bool cla_amx_present(void)
{
    unsigned a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_OSXSAVE) || !states_enabled())
        return false;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || (d & BITS_AMX) != BITS_AMX)
        return false;
    if (!__get_cpuid_count(7, 1, &a, &b, &c, &d) || !(a & BIT_AVX512_BF16))
        return false;
    /* Eight tiles of 16 rows of 64 bytes. */
    return __get_cpuid_count(PALETTE, 1, &a, &b, &c, &d) && a >> 16 >= 1024 && b >> 16 >= 8
        && (b & 0xffff) >= 64 && (c & 0xffff) >= 16;
}

bool cla_amx_permitted(void)
{
    return syscall(SYS_arch_prctl, REQUEST_PERMISSION, TILE_DATA) == 0;
}

#else

bool cla_amx_present(void)
{
    return false;
}

bool cla_amx_permitted(void)
{
    return false;
}

#endif
