/* SPDX-License-Identifier: Apache-2.0 */
/* The native CPU as a device: threads and instruction set. No OpenCL here. */
#ifndef CLA_CPU_H
#define CLA_CPU_H

#include "device.h"
#include "problem.h"

typedef enum cla_isa {
    CLA_ISA_PORTABLE, /* what the compiler was told to assume */
    CLA_ISA_AVX2,     /* AVX2, FMA, F16C */
    CLA_ISA_AVX512,   /* AVX-512 F, BW, DQ, VL */
    CLA_ISA_AMX,      /* that, AVX-512 BF16 and tiles of bf16 */
    CLA_ISA_NEON,     /* every 64-bit ARM */
} cla_isa;

typedef struct cla_cpu {
    int threads;
    cla_isa isa;
    bool shared; /* nobody said how many threads: calls of several contexts share the cores */
} cla_cpu;

/* wanted threads; 0: one per core, or fewer if OpenMP was told so, shared. */
cla_cpu cla_cpu_of(int wanted, const char *isa);

/*
 * A call begins: the CPU with the threads that are its part. Where the cores are shared, that is
 * fewer when other calls are at work, and one inside a parallel region of the caller.
 */
cla_cpu cla_cpu_begin(const cla_cpu *cpu);
void cla_cpu_end(void);

/* The best instruction set of this machine, or the lower one that CLATTN_ISA ("portable", "avx2",
 * "avx512", "amx", "neon") asks for. */
cla_isa cla_cpu_isa(const char *wanted);
const char *cla_isa_name(cla_isa isa);
/* Does it have the 32 registers of 16 floats of AVX-512? */
bool cla_isa_is_wide(cla_isa isa);
int cla_cpu_cores(void);

/* Fills the device description: name, instruction set, memory. */
void cla_cpu_probe(const cla_cpu *cpu, cla_dev *dev);

/* Rates that attention can be held against, measured on all threads, about 0.3 s. False: there is
 * not enough memory to measure them. */
bool cla_cpu_peaks(const cla_cpu *cpu, double *gflops, double *gbytes_per_s);

/* The rate of products of bf16 tiles; 0: there are none. */
double cla_cpu_tile_peak(const cla_cpu *cpu);

/* One per operation: fully validated problems with views in host memory. */
clattn_status cla_cpu_attention(cla_cpu *cpu, const cla_attn *p, const int *t);
clattn_status cla_cpu_attention_wide(cla_cpu *cpu, const cla_attn *p, const int *t);
clattn_status cla_cpu_probs(cla_cpu *cpu, const cla_attn *p);
clattn_status cla_cpu_stats(cla_cpu *cpu, const cla_attn *p);
clattn_status cla_cpu_argmax(cla_cpu *cpu, const cla_attn *p);
clattn_status cla_cpu_merge(cla_cpu *cpu, const cla_merge *p);
clattn_status cla_cpu_linear(cla_cpu *cpu, const cla_linear *p, const int *t);
clattn_status cla_cpu_proj_gemm(cla_cpu *cpu, const cla_proj *p);
clattn_status cla_cpu_proj_few(cla_cpu *cpu, const cla_proj *p);
clattn_status cla_cpu_append(cla_cpu *cpu, const cla_append *p);
clattn_status cla_cpu_rope(cla_cpu *cpu, const cla_rope *p);
clattn_status cla_cpu_rowwise(cla_cpu *cpu, const cla_rowwise *p);
clattn_status cla_cpu_embedding(cla_cpu *cpu, const cla_embedding *p);

#endif
