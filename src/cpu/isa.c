/* SPDX-License-Identifier: Apache-2.0 */
/* Which processor this is: instruction set, cores, description, and the mode of its workers. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* sched_getaffinity */
#endif
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "block.h"
#include "isa.h"
#include "memory.h"

#if defined(__x86_64__) || defined(__i386__)
#include <cpuid.h>
#endif
#if defined(__SSE__)
#include <xmmintrin.h>
#endif

extern const cla_block_ops cla_block_ops_portable, cla_block_ops_avx2, cla_block_ops_avx512,
    cla_block_ops_amx, cla_block_ops_neon;

static const char *const isa_names[] = { "portable", "avx2", "avx512", "amx", "neon" };

const char *cla_isa_name(cla_isa isa)
{
    return isa_names[isa];
}

bool cla_isa_is_wide(cla_isa isa)
{
    return isa == CLA_ISA_AVX512 || isa == CLA_ISA_AMX;
}

const cla_block_ops *cla_block_ops_of(cla_isa isa)
{
    static const cla_block_ops *const tables[] = CLA_TABLES(cla_block_ops, cla_block_ops_amx);
    return tables[isa];
}

static cla_isa best_isa(void)
{
#if defined(__x86_64__) || defined(__i386__)
    unsigned eax, ebx, ecx, edx;
    __builtin_cpu_init();
    if (!__get_cpuid(1, &eax, &ebx, &ecx, &edx) || !(ecx & bit_F16C)
        || !__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma"))
        return CLA_ISA_PORTABLE;
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw")
        && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
        return cla_amx_present() ? CLA_ISA_AMX : CLA_ISA_AVX512;
    return CLA_ISA_AVX2;
#elif defined(__aarch64__)
    return CLA_ISA_NEON;
#else
    return CLA_ISA_PORTABLE;
#endif
}

cla_isa cla_cpu_isa(const char *wanted)
{
    cla_isa isa = best_isa();
    for (int i = CLA_ISA_PORTABLE; wanted && i < (int)isa; i++)
        if (strcmp(wanted, isa_names[i]) == 0)
            isa = (cla_isa)i;
    if (isa == CLA_ISA_AMX && !cla_amx_permitted())
        isa = CLA_ISA_AVX512;
    while (!cla_block_ops_of(isa))
        isa--;
    return isa;
}

int cla_cpu_cores(void)
{
#if defined(__linux__)
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 0)
        return CPU_COUNT(&set);
#endif
    const long online = sysconf(_SC_NPROCESSORS_ONLN);
    return online > 0 ? (int)online : 1;
}

unsigned cla_drop_subnormals(void)
{
#if defined(__SSE__)
    const unsigned saved = _mm_getcsr();
    _mm_setcsr(saved | 0x8040); /* flush to zero, denormals are zero */
    return saved;
#elif defined(__aarch64__)
    uint64_t saved;
    __asm__ volatile("mrs %0, fpcr" : "=r"(saved));
    cla_keep_subnormals((unsigned)saved | 1u << 24); /* FZ, which is both */
    return (unsigned)saved; /* the upper half is 0 */
#else
    return 0;
#endif
}

void cla_keep_subnormals(unsigned saved)
{
#if defined(__SSE__)
    _mm_setcsr(saved);
#elif defined(__aarch64__)
    __asm__ volatile("msr fpcr, %0" : : "r"((uint64_t)saved));
#else
    (void)saved;
#endif
}

/* The first value of a key in /proc/cpuinfo, or what is in out already. */
static void read_cpuinfo(const char *key, char *out, size_t size)
{
    char line[256];
    FILE *f = fopen("/proc/cpuinfo", "r");
    while (f && fgets(line, sizeof line, f)) {
        const char *value = strchr(line, ':');
        if (!value || strncmp(line, key, strlen(key)) != 0)
            continue;
        value += 1 + strspn(value + 1, " \t");
        snprintf(out, size, "%.*s", (int)strcspn(value, "\n"), value);
        break;
    }
    if (f)
        fclose(f);
}

void cla_cpu_probe(const cla_cpu *cpu, cla_dev *dev)
{
    clattn_device_info *info = &dev->info;
    const long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    memset(dev, 0, sizeof *dev);
    info->type = CLATTN_DEVICE_NATIVE;
    snprintf(info->name, sizeof info->name, "CPU");
    read_cpuinfo("model name", info->name, sizeof info->name);
    read_cpuinfo("vendor_id", info->vendor, sizeof info->vendor);
    snprintf(info->platform, sizeof info->platform, "native");
    snprintf(info->driver, sizeof info->driver, "%s", cla_isa_name(cpu->isa));
    snprintf(info->version, sizeof info->version, "C11 OpenMP");
    info->compute_units = cpu->threads;
    info->max_work_group = 1;
    if (pages > 0 && page > 0)
        info->global_bytes = info->max_alloc_bytes = (size_t)pages * (size_t)page;
    info->cache_bytes = cla_memory_cache_bytes();
    info->usable = info->fp16 = info->fp64 = info->denormals = true;
    info->matrix_bf16 = cpu->isa == CLA_ISA_AMX;
    dev->caps = CLA_CAP_FP16 | CLA_CAP_FP64 | (cpu->isa == CLA_ISA_AMX ? CLA_CAP_AMX : 0);
    dev->max_items[0] = dev->max_items[1] = dev->max_items[2] = 1;
}
