/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The descriptor: all that is known about one kernel. The -D string, argument setting, the search
 * space, cache keys, the registry test, the benchmark and the listing all come from it.
 *
 * One kernel = cl/NAME.cl + src/kernels/NAME.c + one line in the list of cl/meson.build. A native
 * kernel has a function in src/cpu in place of the .cl.
 */
#ifndef CLA_KERNEL_H
#define CLA_KERNEL_H

#include <stddef.h>

#include "device.h"
#include "problem.h"

/* An embedded source file. */
typedef struct cla_blob {
    const char *path; /* "cl/attn_prefill.cl", for build logs */
    const unsigned char *data;
    size_t size;
    const char *digest; /* 16 hexadecimal digits of its SHA-256 */
} cla_blob;

/* The same for the sources of all native kernels together. */
extern const char cla_native_digest[];

/* What a kernel computes; an operation is one stage or more, see cla_op in plan.h. */
typedef enum cla_stage {
    CLA_STAGE_ATTENTION,  /* problem: cla_attn */
    CLA_STAGE_PROBS,      /* problem: cla_attn; reads lse */
    CLA_STAGE_STATS,      /* problem: cla_attn */
    CLA_STAGE_MERGE,      /* problem: cla_merge */
    CLA_STAGE_ARGMAX,     /* problem: cla_attn */
    CLA_STAGE_PROJECTION, /* problem: cla_proj */
    CLA_STAGE_ROPE,       /* problem: cla_rope */
    CLA_STAGE_ROWWISE,    /* problem: cla_rowwise */
    CLA_STAGE_EMBEDDING,  /* problem: cla_embedding */
    CLA_STAGE_LINEAR,     /* problem: cla_linear */
    CLA_STAGE_APPEND,     /* problem: cla_append */
    CLA_STAGE_HELPER,     /* only as .before or .after of another kernel */
    CLA_STAGE_PROBE,      /* capability probes and peak measurement, run by hand */
} cla_stage;

enum {
    CLA_MAX_TUNABLES = 8,
    CLA_MAX_CHOICES = 12,
    CLA_MAX_CONSTANTS = 24,
    CLA_MAX_ARGS = 136,
    CLA_MAX_PARTS = 12,
};

/* A compile-time parameter, -DNAME=value, unless it is run_time. Unused choices are 0. */
typedef struct cla_tunable {
    const char *name;
    int choices[CLA_MAX_CHOICES]; /* legal values, ascending */
    int safe;                     /* the value of the configuration that is legal everywhere */
    bool run_time; /* bind() and geometry() alone read it: all values share a program */
} cla_tunable;

/* A problem field that is compiled in: -DNAME=value, an int32_t at this offset of the problem. */
typedef struct cla_constant {
    const char *name;
    size_t offset;
} cla_constant;

typedef enum cla_arg_kind {
    CLA_ARG_END = 0,
    CLA_ARG_VIEW, /* a cla_view: its memory object; an absent view passes some valid object */
    CLA_ARG_I32,
    CLA_ARG_I64,
    CLA_ARG_F32,
} cla_arg_kind;

typedef struct cla_arg {
    cla_arg_kind kind;
    size_t offset; /* of the field in the problem */
} cla_arg;

/* Work-items; global is a multiple of local. Dimensions beyond dims are 1. */
typedef struct cla_geometry {
    int dims;
    size_t global[3], local[3];
} cla_geometry;

typedef struct cla_work {
    double flops, bytes;
} cla_work;

struct cla_cpu;

typedef struct cla_kernel {
    const char *name; /* also the entry point and the key of tuning results */
    int revision;     /* bump when the meaning of a tunable changes */
    cla_stage stage;
    uint32_t needs;   /* CLA_CAP_ bits */

    const cla_blob *parts[CLA_MAX_PARTS]; /* sources in order, NULL ends; native: none */
    cla_tunable tunables[CLA_MAX_TUNABLES];
    cla_constant constants[CLA_MAX_CONSTANTS];
    const cla_arg *args;                  /* in kernel order, CLA_ARG_END ends */

    /* Rank among the kernels of a stage on this device for this problem; the highest is tried
     * first, a negative one only when pinned. */
    int (*priority)(const cla_dev *dev, const void *problem);
    /* Hard limits only: would this configuration run and be right? t is indexed like tunables. */
    bool (*ok)(const cla_dev *dev, const void *problem, const int *t);
    /* A good guess for this device and problem, need not be ok; NULL: the safe values. */
    void (*estimate)(const cla_dev *dev, const void *problem, int *t);
    /* Writes the derived fields of the problem (splits, work_*); returns workspace bytes. */
    size_t (*bind)(void *problem, const int *t);
    cla_geometry (*geometry)(const void *problem, const int *t);
    /* Bytes of __local memory at most; NULL: none. */
    size_t (*local_bytes)(const void *problem, const int *t);

    /* Kernels that run before and after on the same problem, with no tunables of their own; each
     * is skipped when its ok() says no. The one before may have a .after of its own. */
    const struct cla_kernel *before, *after;

    /* Native kernels: the work itself. The workspace is problem->work.host, 64-byte aligned. */
    clattn_status (*native)(struct cla_cpu *cpu, const void *problem, const int *t);
} cla_kernel;

/* Every kernel of the list, in list order, NULL at the end. */
extern const cla_kernel *const cla_kernels[];

const cla_kernel *cla_kernel_find(const char *name);
bool cla_kernel_is_native(const cla_kernel *kernel);
int cla_kernel_num_tunables(const cla_kernel *kernel);
void cla_kernel_safe_config(const cla_kernel *kernel, int *t);

/*
 * For descriptors: the priority of the only kernel of a stage on its device (0), and of a portable
 * one on a GPU (50) or a CPU (10); an ok() without limits of its own.
 */
int cla_priority_only(const cla_dev *dev, const void *problem);
int cla_priority_portable(const cla_dev *dev, const void *problem);
bool cla_ok_always(const cla_dev *dev, const void *problem, const int *t);

/*
 * Limits for ok(): work-groups of one dimension that the strictest device launches; bytes of local
 * memory that OpenCL 1.2 promises; bytes of private memory of a work-item, on the stack of a driver
 * thread, of 2 MB at least.
 */
#define CLA_MAX_GROUPS 0x7fffffffu
#define CLA_MAX_LOCAL ((size_t)32 << 10)
#define CLA_MAX_PRIVATE ((size_t)512 << 10)

/* Does the device launch so many work-groups of the second and third dimension? */
bool cla_launches(const cla_dev *dev, size_t groups_y, size_t groups_z);

/* Work-groups of so many work-items in one dimension; work-groups of one in three. */
cla_geometry cla_groups(size_t groups, int items);
cla_geometry cla_single_items(size_t x, size_t y, size_t z);

static inline size_t cla_ceil_div(size_t a, size_t b)
{
    return (a + b - 1) / b;
}

/* Could it run on this device at all: native or not, capabilities? */
bool cla_kernel_is_for(const cla_kernel *kernel, const cla_dev *dev);

/* Device, capabilities, ok(), work-group and local memory limits together. */
bool cla_kernel_legal(const cla_kernel *kernel, const cla_dev *dev, const void *problem,
                      const int *t);

/*
 * Walks every combination of choices: start with cla_config_first(), then cla_config_next() until
 * it returns false. Legality is the caller's question.
 */
void cla_config_first(const cla_kernel *kernel, int *t);
bool cla_config_next(const cla_kernel *kernel, int *t);

/* "BR=8 BK=64"; returns the length it needs, like snprintf. */
int cla_config_text(const cla_kernel *kernel, const int *t, char *out, size_t size);

/* Reads such a text, tunables in any order; false unless each has one of its choices, once. */
bool cla_config_parse(const cla_kernel *kernel, const char *text, int *t);

/* "-cl-std=CL1.2 -DBR=8 -DHEAD_DIM=64"; from integers only. Like snprintf. */
int cla_kernel_options(const cla_kernel *kernel, const void *problem, const int *t, char *out,
                       size_t size);

#endif
