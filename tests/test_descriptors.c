/* SPDX-License-Identifier: Apache-2.0 */
/* Descriptors against the sources they describe and against the compiled kernels. */
#include <clattn/opencl.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "compare.h"
#include "kernel_run.h"
#include "sample_append.h"
#include "sample_linear.h"
#include "sample_projection.h"
#include "sample_row.h"
#include "sample_tile.h"
#include "suite.h"
#include "tune/space.h"

/* ---- by themselves ---- */

static int num_choices(const cla_tunable *tunable)
{
    int n = 0;
    while (n < CLA_MAX_CHOICES && tunable->choices[n])
        n++;
    return n;
}

START_TEST(names)
{
    int listed = 0;

    for (int i = 0; cla_kernels[i]; i++) {
        const cla_kernel *k = cla_kernels[i];
        ck_assert(k->name && k->name[0] && k->revision >= 1);
        ck_assert_msg(cla_kernel_find(k->name) == k, "two kernels are called %s", k->name);
        if (k->stage < CLA_STAGE_HELPER)
            ck_assert_str_eq(clattn_kernel_name(listed++), k->name);
    }
    ck_assert_ptr_null(clattn_kernel_name(listed));
    ck_assert_ptr_null(cla_kernel_find("no such kernel"));
}
END_TEST

START_TEST(completeness)
{
    for (int i = 0; cla_kernels[i]; i++) {
        const cla_kernel *k = cla_kernels[i];
        compare_label("%s", k->name);
        if (cla_kernel_is_native(k)) {
            ck_assert_msg(!k->parts[0] && !k->args && !k->before && !k->after,
                          "%s is native and has OpenCL fields", k->name);
        } else {
            ck_assert_msg(k->parts[0] && k->geometry, "%s has no source or no geometry", k->name);
        }
        if (k->stage < CLA_STAGE_HELPER)
            ck_assert_msg(k->priority && k->ok, "%s lacks priority() or ok()", k->name);
        if (k->stage == CLA_STAGE_HELPER)
            ck_assert_msg(cla_kernel_num_tunables(k) == 0, "helper %s has tunables", k->name);
        if (k->before)
            ck_assert_int_eq(k->before->stage, CLA_STAGE_HELPER);
        if (k->after)
            ck_assert_int_eq(k->after->stage, CLA_STAGE_HELPER);
    }
}
END_TEST

START_TEST(choices)
{
    for (int i = 0; cla_kernels[i]; i++) {
        const cla_kernel *k = cla_kernels[i];
        for (int n = 0; n < cla_kernel_num_tunables(k); n++) {
            const cla_tunable *tunable = &k->tunables[n];
            bool has_safe = false;
            ck_assert_msg(num_choices(tunable) >= 1, "%s: %s has no choice", k->name,
                          tunable->name);
            for (int c = 0; c < num_choices(tunable); c++) {
                has_safe = has_safe || tunable->choices[c] == tunable->safe;
                ck_assert_msg(c == 0 || tunable->choices[c - 1] < tunable->choices[c],
                              "%s: the choices of %s do not ascend", k->name, tunable->name);
            }
            ck_assert_msg(has_safe, "%s: the safe %s is none of its choices", k->name,
                          tunable->name);
            for (int m = 0; m < n; m++)
                ck_assert_str_ne(tunable->name, k->tunables[m].name);
            for (int m = 0; m < CLA_MAX_CONSTANTS && k->constants[m].name; m++)
                ck_assert_str_ne(tunable->name, k->constants[m].name);
        }
    }
}
END_TEST

/* ---- against the source ---- */

static bool is_word(char c)
{
    return isalnum((unsigned char)c) || c == '_';
}

/* Behind the comment that starts at i, or i. */
static size_t skip_comment(const char *text, size_t size, size_t i)
{
    if (i + 2 > size || text[i] != '/' || text[i + 1] != '*')
        return i;
    for (i += 2; i + 2 < size && (text[i] != '*' || text[i + 1] != '/'); i++)
        continue;
    return i + 2;
}

static bool occurs(const cla_blob *blob, const char *word, bool in_comments)
{
    const size_t n = strlen(word);
    const char *text = (const char *)blob->data;

    for (size_t i = 0; i + n <= blob->size; i++) {
        if (!in_comments && (i = skip_comment(text, blob->size, i)) + n > blob->size)
            break;
        if (memcmp(text + i, word, n) == 0 && (i == 0 || !is_word(text[i - 1]))
            && (i + n == blob->size || !is_word(text[i + n])))
            return true;
    }
    return false;
}

static bool occurs_in_any(const cla_kernel *k, const char *word, bool in_comments)
{
    for (int i = 0; i < CLA_MAX_PARTS && k->parts[i]; i++)
        if (occurs(k->parts[i], word, in_comments))
            return true;
    return false;
}

/* A search takes all kernels of an operation at once: they must fit what it numbers. */
START_TEST(spaces)
{
    int count[CLA_STAGE_HELPER][2] = { { 0 } };
    double configs[CLA_STAGE_HELPER][2] = { { 0 } };
    for (int i = 0; cla_kernels[i]; i++) {
        const cla_kernel *k = cla_kernels[i];
        const bool native = cla_kernel_is_native(k);
        double own = 1;
        if (k->stage >= CLA_STAGE_HELPER)
            continue;
        for (int a = 0; a < cla_kernel_num_tunables(k); a++)
            own *= num_choices(&k->tunables[a]);
        configs[k->stage][native] += own;
        ck_assert_msg(++count[k->stage][native] <= CLA_MAX_VARIANTS
                          && configs[k->stage][native] <= CLA_MAX_SPACE,
                      "%s: %d kernels and %.0f configurations, at most %d and %d can be searched",
                      k->name, count[k->stage][native], configs[k->stage][native],
                      CLA_MAX_VARIANTS, CLA_MAX_SPACE);
    }
}
END_TEST

START_TEST(sources)
{
    for (int i = 0; cla_kernels[i]; i++) {
        const cla_kernel *k = cla_kernels[i];
        if (cla_kernel_is_native(k))
            continue;
        ck_assert_msg(occurs_in_any(k, k->name, false), "%s: no entry point of that name", k->name);
        for (int n = 0; n < cla_kernel_num_tunables(k); n++) {
            const cla_tunable *tunable = &k->tunables[n];
            ck_assert_msg(occurs_in_any(k, tunable->name, false) != tunable->run_time,
                          tunable->run_time ? "%s: the source uses %s, which is not compiled in"
                                            : "%s: nothing uses tunable %s, make it run_time",
                          k->name, tunable->name);
        }
        for (int n = 0; n < CLA_MAX_CONSTANTS && k->constants[n].name; n++)
            ck_assert_msg(occurs_in_any(k, k->constants[n].name, true),
                          "%s: nothing uses constant %s", k->name, k->constants[n].name);
    }
}
END_TEST

/* ---- on the smallest device ---- */

static const cla_dev smallest = {
    .info = { .type = CLATTN_DEVICE_GPU, .name = "smallest", .compute_units = 1,
              .max_work_group = CLA_MIN_WORK_GROUP, .local_bytes = CLA_MIN_LOCAL_BYTES },
    .max_items = { CLA_MIN_WORK_GROUP, CLA_MIN_WORK_GROUP, CLA_MIN_WORK_GROUP },
};

static cla_attn sample_attention(int D, int Dv)
{
    return (cla_attn){ .B = 1, .Hq = 4, .Hk = 2, .G = 2, .Nq = 40, .Nk = 500, .D = D, .Dv = Dv,
                       .Tq = 40, .Tk = 500, .in_type = CLATTN_F32,
                       .kv_type = CLATTN_F32, .out_type = CLATTN_F32,
                       .bias_type = CLATTN_F32, .left = CLA_UNBOUNDED, .right = CLA_UNBOUNDED,
                       .probs_heads = 4, .probs_rows = 40, .mean_rows = 40,
                       .scale = 1, .splits = 1,
                       .split_keys = 500 };
}

static const cla_merge sample_merge = { .P = 3, .B = 1, .H = 4, .N = 40, .Dv = 64,
                                        .in_type = CLATTN_F32, .out_type = CLATTN_F32 };

typedef union sample {
    cla_attn attention;
    cla_merge merge;
    cla_linear linear;
    cla_proj projection;
    cla_rope rope;
    cla_append append;
    cla_rowwise rowwise;
    cla_embedding embedding;
} sample;

static void make_sample(const cla_kernel *k, sample *p)
{
    const clattn_dtype type = sample_is_tiled(k) ? CLATTN_F16 : CLATTN_F32;
    switch (k->stage) {
    case CLA_STAGE_MERGE: p->merge = sample_merge; break;
    case CLA_STAGE_LINEAR:
        p->linear = sample_linear(48, 40, CLATTN_F32, true);
        if (strncmp(k->name, "linear_step", 11) == 0)
            p->linear.Nq = p->linear.Nk = 1, p->linear.ragged = 0;
        break;
    case CLA_STAGE_PROJECTION:
        p->projection = sample_projection(40, type, type, true);
        break;
    case CLA_STAGE_APPEND: p->append = sample_append(CLATTN_F32, true); break;
    case CLA_STAGE_ROPE: p->rope = sample_rope(CLATTN_F32, true); break;
    case CLA_STAGE_ROWWISE: p->rowwise = sample_rowwise(CLATTN_F32, true); break;
    case CLA_STAGE_EMBEDDING: p->embedding = sample_embedding(CLATTN_F32, true); break;
    default:
        p->attention = sample_attention(48, 40);
        p->attention.in_type = p->attention.kv_type = p->attention.out_type = type;
        break;
    }
}

static bool safe_is_legal(const cla_kernel *k, const void *problem)
{
    int t[CLA_MAX_TUNABLES];
    cla_kernel_safe_config(k, t);
    return cla_kernel_legal(k, &smallest, problem, t);
}

START_TEST(safe_configurations)
{
    sample p;

    for (int i = 0; cla_kernels[i]; i++) {
        const cla_kernel *k = cla_kernels[i];
        if (k->stage >= CLA_STAGE_HELPER || cla_kernel_is_native(k) || k->needs)
            continue;
        make_sample(k, &p);
        ck_assert_msg(safe_is_legal(k, &p),
                      "%s: the safe configuration is not legal on the smallest device", k->name);
    }
}
END_TEST

/* Every width has a kernel that runs on every device. */
START_TEST(every_width)
{
    static const int widths[][2] = { { 1, 1 }, { 3, 500 }, { 500, 3 }, { 64, 64 }, { 128, 128 },
                                     { 256, 256 }, { 576, 512 }, { 4096, 4096 } };
    static const cla_stage stages[] = { CLA_STAGE_ATTENTION, CLA_STAGE_PROBS, CLA_STAGE_STATS,
                                        CLA_STAGE_ARGMAX };

    for (size_t s = 0; s < sizeof stages / sizeof stages[0]; s++)
        for (size_t w = 0; w < sizeof widths / sizeof widths[0]; w++) {
            const cla_attn p = sample_attention(widths[w][0], widths[w][1]);
            bool any = false;
            for (int i = 0; cla_kernels[i]; i++)
                any = any || (cla_kernels[i]->stage == stages[s]
                              && cla_kernels[i]->priority(&smallest, &p) >= 0
                              && safe_is_legal(cla_kernels[i], &p));
            ck_assert_msg(any, "no kernel of stage %d for D = %d, Dv = %d", (int)stages[s],
                          widths[w][0], widths[w][1]);
        }
}
END_TEST

/* Blocks fit the registers of this machine, whatever else it has: AMX comes with AVX-512. */
START_TEST(blocks_of_this_cpu)
{
#if defined(__x86_64__)
    static const char *const prefill[] = { "attn_prefill_cpu", "argmax_prefill_cpu" };
    const bool wide = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw")
                      && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
    const cla_attn p = sample_attention(64, 64);
    for (size_t i = 0; i < sizeof prefill / sizeof prefill[0]; i++) {
        const cla_kernel *k = cla_kernel_find(prefill[i]);
        int t[CLA_MAX_TUNABLES];
        k->estimate(&smallest, &p, t);
        ck_assert_str_eq(k->tunables[0].name, "BR");
        ck_assert_int_eq(t[0], wide && p.Nq > 6 ? 12 : 6);
    }
#endif
}
END_TEST

/* ---- against the compiled kernel ---- */

static cl_device_id device_of(clattn_ctx *ctx)
{
    cl_device_id device = NULL;
    clGetCommandQueueInfo(clattn_ctx_opencl_queue(ctx), CL_QUEUE_DEVICE, sizeof device, &device,
                          NULL);
    return device;
}

static void check_compiled(clattn_ctx *ctx, const cla_kernel *k, const void *problem, const int *t)
{
    const cl_device_id device = device_of(ctx);
    cla_launch launch;
    cl_uint num_args = 0, described = 0;
    size_t group[3] = { 0 };
    cl_ulong local = 0;

    OK(ctx, cla_cl_launch_make(ctx, k, problem, t, &launch));
    clGetKernelInfo(launch.handle, CL_KERNEL_NUM_ARGS, sizeof num_args, &num_args, NULL);
    clGetKernelWorkGroupInfo(launch.handle, device, CL_KERNEL_COMPILE_WORK_GROUP_SIZE,
                             sizeof group, group, NULL);
    clGetKernelWorkGroupInfo(launch.handle, device, CL_KERNEL_LOCAL_MEM_SIZE, sizeof local, &local,
                             NULL);
    while (k->args[described].kind != CLA_ARG_END)
        described++;
    ck_assert_msg(described == num_args, "%s: %u arguments described, the kernel has %u", k->name,
                  (unsigned)described, (unsigned)num_args);
    const cla_geometry *g = &launch.geometry;
    ck_assert(g->dims >= 1 && g->dims <= 3);
    for (int i = 0; i < 3; i++) {
        const size_t size = i < g->dims ? g->local[i] : 1;
        ck_assert_msg(group[0] == 0 || group[i] == size,
                      "%s: work-group dimension %d is compiled as %zu, launched as %zu", k->name,
                      i, group[i], size);
        ck_assert_msg(i >= g->dims || (g->global[i] > 0 && g->global[i] % size == 0),
                      "%s: dimension %d has %zu work-items in groups of %zu", k->name, i,
                      g->global[i], size);
    }
    const size_t bytes = k->local_bytes ? k->local_bytes(problem, t) : 0;
    ck_assert_msg(local <= bytes, "%s: the kernel takes %llu bytes of local memory, not %zu",
                  k->name, (unsigned long long)local, bytes);
    cla_cl_launch_free(&launch);
}

static kernel_list kernels;

/* The dispatcher's choice and the safe one, with the helpers of the kernel. */
START_TEST(compiled)
{
    const cla_kernel *k = kernels.kernel[_i];
    clattn_ctx *ctx = suite_ctx();
    sample p;
    int t[CLA_MAX_TUNABLES], legal = 0;

    for (int estimate = 0; estimate < 2; estimate++) {
        make_sample(k, &p);
        cla_kernel_safe_config(k, t);
        if (estimate && k->estimate)
            k->estimate(&ctx->dev, &p, t);
        if (!cla_kernel_legal(k, &ctx->dev, &p, t))
            continue;
        if (k->bind)
            k->bind(&p, t);
        const cla_kernel *all[] = { k->before, k->before ? k->before->after : NULL, k, k->after };
        for (int i = 0; i < 4; i++)
            if (all[i])
                check_compiled(ctx, all[i], &p, t);
        legal++;
    }
    ck_assert_msg(legal > 0, "%s: nothing was compiled", k->name);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("descriptors");
    TCase *t = tcase_create("descriptors");

    kernels = kernels_of_device(ANY_STAGE);
    tcase_add_test(t, names);
    tcase_add_test(t, completeness);
    tcase_add_test(t, choices);
    tcase_add_test(t, spaces);
    tcase_add_test(t, sources);
    tcase_add_test(t, safe_configurations);
    tcase_add_test(t, every_width);
    tcase_add_test(t, blocks_of_this_cpu);
    tcase_add_loop_test(t, compiled, 0, kernels.count);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    return suite_main(suite);
}
