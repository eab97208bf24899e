/* SPDX-License-Identifier: Apache-2.0 */
/* What the cores can reach, measured: multiply-adds in registers, and reading from memory. */
#ifndef _DEFAULT_SOURCE
#define _DEFAULT_SOURCE /* madvise */
#endif
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "layout.h"

/* Short passes, many of them: some fall between the interruptions of a busy machine. */
enum { FMA_PASSES = 40, READ_PASSES = 6 };

#define FMA_SECONDS 2e-3               /* of a pass */
#define READ_BYTES ((size_t)256 << 20) /* much larger than caches that one process can keep */
#define HUGE_PAGE ((size_t)2 << 20)

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Operations per second of one pass on all threads. */
static double multiply_add_pass(const cla_cpu *cpu, const cla_block_ops *ops, long rounds)
{
    double operations = 0;
    const double start = seconds();
    (void)cpu; /* without OpenMP */
#pragma omp parallel num_threads(cpu->threads) reduction(+ : operations)
    operations += ops->multiply_add_rate(rounds);
    return operations / (seconds() - start);
}

static double measure_multiply_adds(const cla_cpu *cpu, const cla_block_ops *ops)
{
    const long trial = 20000; /* tens of microseconds */
    double shortest = FMA_SECONDS, best = 0;
    for (int i = 0; i < 5; i++) {
        const double start = seconds();
        ops->multiply_add_rate(trial);
        const double time = seconds() - start;
        shortest = time < shortest ? time : shortest;
    }
    const long rounds = (long)((double)trial * FMA_SECONDS / shortest);
    for (int i = 0; i < FMA_PASSES; i++) {
        const double rate = multiply_add_pass(cpu, ops, rounds);
        best = rate > best ? rate : best;
    }
    return best;
}

/* Bytes per second; 0 when there is not enough memory to measure it. */
static double measure_read(const cla_cpu *cpu, const cla_block_ops *ops)
{
    const size_t bytes = READ_BYTES, chunk = HUGE_PAGE, chunks = bytes / chunk;
    char *memory = aligned_alloc(HUGE_PAGE, bytes);
    double best = 0;
    volatile float keep = 0;
    if (!memory)
        return 0;
    (void)cpu; /* without OpenMP */
#if defined(MADV_HUGEPAGE)
    madvise(memory, bytes, MADV_HUGEPAGE);
#endif
#pragma omp parallel for schedule(static) num_threads(cpu->threads)
    for (size_t i = 0; i < chunks; i++)
        memset(memory + i * chunk, 0, chunk);
    for (int pass = 0; pass < READ_PASSES; pass++) {
        float sum = 0;
        const double start = seconds();
#pragma omp parallel for schedule(static) num_threads(cpu->threads) reduction(+ : sum)
        for (size_t i = 0; i < chunks; i++)
            sum += ops->read((const float *)(memory + i * chunk), chunk / sizeof(float));
        const double rate = (double)bytes / (seconds() - start);
        best = rate > best ? rate : best;
        keep = keep + sum;
    }
    free(memory);
    return best;
}

void cla_cpu_peaks(const cla_cpu *cpu, double *gflops, double *gbytes_per_s)
{
    const cla_block_ops *ops = cla_block_ops_of(cpu->isa);
    *gflops = measure_multiply_adds(cpu, ops) * 1e-9;
    *gbytes_per_s = measure_read(cpu, ops) * 1e-9;
}
