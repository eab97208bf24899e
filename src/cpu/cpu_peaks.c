/* SPDX-License-Identifier: Apache-2.0 */
/* What the cores can reach, measured: multiply-adds in registers, and reading from memory. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "layout.h"
#include "memory.h"
#include "peaks.h"

/* Short passes, many of them: some fall between the interruptions of a busy machine. */
enum {
    FMA_PASSES = 40,
    READ_PASSES = 48,
    WINDOW_CHUNKS = 8, /* that a thread reads in a pass */
};

#define FMA_SECONDS 2e-3 /* of a pass */
#define CHUNK ((size_t)2 << 20)

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Does so many rounds; returns how many operations that was. */
typedef double rounds_of(long rounds);

/* Operations per second of one pass on all threads. */
static double multiply_add_pass(const cla_cpu *cpu, rounds_of *run, long rounds)
{
    double operations = 0;
    const double start = seconds();
    (void)cpu; /* without OpenMP */
#pragma omp parallel num_threads(cpu->threads) reduction(+ : operations)
    operations += run(rounds);
    return operations / (seconds() - start);
}

static double measure_multiply_adds(const cla_cpu *cpu, rounds_of *run)
{
    const long trial = 20000; /* tens of microseconds */
    double shortest = FMA_SECONDS, best = 0;
    for (int i = 0; i < 5; i++) {
        const double start = seconds();
        run(trial);
        const double time = seconds() - start;
        shortest = time < shortest ? time : shortest;
    }
    const long rounds = (long)((double)trial * FMA_SECONDS / shortest);
    for (int i = 0; i < FMA_PASSES; i++) {
        const double rate = multiply_add_pass(cpu, run, rounds);
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
        sum += ops->read((const float *)(memory + i * CHUNK), CHUNK / sizeof(float));
    *keep += sum;
    return (double)(count * CHUNK) / (seconds() - start);
}

/* Bytes per second; 0: there is not enough memory to measure it. */
static double measure_read(const cla_cpu *cpu, const cla_block_ops *ops)
{
    const size_t window = WINDOW_CHUNKS * (size_t)cpu->threads;
    const size_t windows = (cla_peak_read_bytes() + window * CHUNK - 1) / (window * CHUNK);
    char *memory = cla_memory_alloc(windows * window * CHUNK);
    float keep = 0;
    double best = 0;
    if (!memory)
        return 0;
#pragma omp parallel for schedule(static) num_threads(cpu->threads)
    for (size_t i = 0; i < windows * window; i++)
        memset(memory + i * CHUNK, 0, CHUNK);
    for (size_t i = 0; i < READ_PASSES || i < windows; i++) {
        const char *from = memory + i % windows * window * CHUNK;
        const double rate = read_pass(cpu, ops, from, window, &keep);
        best = rate > best ? rate : best;
    }
    *(volatile float *)memory = keep;
    free(memory);
    return best;
}

bool cla_cpu_peaks(const cla_cpu *cpu, double *gflops, double *gbytes_per_s)
{
    const cla_block_ops *ops = cla_block_ops_of(cpu->isa);
    *gflops = measure_multiply_adds(cpu, ops->multiply_add_rate) * 1e-9;
    *gbytes_per_s = measure_read(cpu, ops) * 1e-9;
    return *gbytes_per_s > 0;
}

double cla_cpu_tile_peak(const cla_cpu *cpu)
{
    const cla_block_ops *ops = cla_block_ops_of(cpu->isa);
    rounds_of *const run = ops->wide.multiply_add_rate;
    return run ? measure_multiply_adds(cpu, run) * 1e-9 : 0;
}
