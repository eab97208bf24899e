/* SPDX-License-Identifier: Apache-2.0 */
/* How many threads a call on the native CPU may use beside what else the process does. */
#include "cpu.h"

#include <stdatomic.h>

#if defined(_OPENMP)
#include <omp.h>
#endif

static _Atomic int calls; /* at work in this process */

static int default_threads(void)
{
    const int cores = cla_cpu_cores();
#if defined(_OPENMP)
    const int told = omp_get_max_threads(); /* OMP_NUM_THREADS, omp_set_num_threads() */
    return told < cores ? told : cores;
#else
    return cores;
#endif
}

static bool inside_parallel_region(void)
{
#if defined(_OPENMP)
    return omp_in_parallel();
#else
    return false;
#endif
}

cla_cpu cla_cpu_of(int wanted, const char *isa)
{
    return (cla_cpu){ .threads = wanted ? wanted : default_threads(),
                      .isa = cla_cpu_isa(isa),
                      .shared = !wanted };
}

cla_cpu cla_cpu_begin(const cla_cpu *cpu)
{
    const int at_work = atomic_fetch_add(&calls, 1) + 1;
    cla_cpu part = *cpu;
    if (cpu->shared)
        part.threads = inside_parallel_region() || cpu->threads < at_work ? 1
                                                                          : cpu->threads / at_work;
    return part;
}

void cla_cpu_end(void)
{
    atomic_fetch_sub(&calls, 1);
}
