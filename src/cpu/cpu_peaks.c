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
enum {
    FMA_PASSES = 40,
    READ_SWEEPS = 6,
    MIN_WINDOW = 8, /* chunks of a huge page for each thread */
};

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

/* Bytes per second of reading count chunks on all threads; *keep: so that it is not left out. */
static double read_pass(const cla_cpu *cpu, const cla_block_ops *ops, const char *memory,
                        size_t count, float *keep)
{
    float sum = 0;
    const double start = seconds();
    (void)cpu; /* without OpenMP */
#pragma omp parallel for schedule(static) num_threads(cpu->threads) reduction(+ : sum)
    for (size_t i = 0; i < count; i++)
        sum += ops->read((const float *)(memory + i * HUGE_PAGE), HUGE_PAGE / sizeof(float));
    *keep += sum;
    return (double)(count * HUGE_PAGE) / (seconds() - start);
}

/* Bytes per second; 0 when there is not enough memory to measure it. */
static double measure_read(const cla_cpu *cpu, const cla_block_ops *ops)
{
    const size_t chunks = READ_BYTES / HUGE_PAGE;
    char *memory = aligned_alloc(HUGE_PAGE, READ_BYTES);
    size_t window = chunks; /* of a pass: as short as leaves every thread enough to do */
    float keep = 0;
    double best = 0;
    if (!memory)
        return 0;
#if defined(MADV_HUGEPAGE)
    madvise(memory, READ_BYTES, MADV_HUGEPAGE);
#endif
#pragma omp parallel for schedule(static) num_threads(cpu->threads)
    for (size_t i = 0; i < chunks; i++)
        memset(memory + i * HUGE_PAGE, 0, HUGE_PAGE);
    while (window / 2 >= MIN_WINDOW * (size_t)cpu->threads)
        window /= 2;
    for (size_t i = 0; i < READ_SWEEPS * chunks; i += window) {
        const double rate = read_pass(cpu, ops, memory + i % chunks * HUGE_PAGE, window, &keep);
        best = rate > best ? rate : best;
    }
    *(volatile float *)memory = keep;
    free(memory);
    return best;
}

void cla_cpu_peaks(const cla_cpu *cpu, double *gflops, double *gbytes_per_s)
{
    const cla_block_ops *ops = cla_block_ops_of(cpu->isa);
    *gflops = measure_multiply_adds(cpu, ops) * 1e-9;
    *gbytes_per_s = measure_read(cpu, ops) * 1e-9;
}
