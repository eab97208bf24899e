/* SPDX-License-Identifier: Apache-2.0 */
/* Tables of functions that are compiled once per instruction set. */
#ifndef CLA_ISA_H
#define CLA_ISA_H

#include "cpu.h"

#if defined(CLA_HAVE_AVX2)
#define CLA_IF_AVX2(table) table
#else
#define CLA_IF_AVX2(table) NULL
#endif
#if defined(CLA_HAVE_AVX512)
#define CLA_IF_AVX512(table) table
#else
#define CLA_IF_AVX512(table) NULL
#endif

#if defined(CLA_HAVE_NEON)
#define CLA_IF_NEON(table) table
#else
#define CLA_IF_NEON(table) NULL
#endif
#if defined(CLA_HAVE_AMX)
#define CLA_IF_AMX(table) table
#else
#define CLA_IF_AMX(table) NULL
#endif

/* An array by cla_isa, amx the table for AMX; NULL where it was not compiled in. */
#define CLA_TABLES(family, amx)                                                           \
    {                                                                                     \
        &family##_portable, CLA_IF_AVX2(&family##_avx2), CLA_IF_AVX512(&family##_avx512), \
            CLA_IF_AMX(&(amx)), CLA_IF_NEON(&family##_neon)                               \
    }

/*
 * AMX: what the processor has and this library was compiled for; the leave of the operating system
 * to use tile registers, which holds for all threads of the process.
 */
bool cla_amx_present(void);
bool cla_amx_permitted(void);

#endif
