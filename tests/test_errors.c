/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every error that clattn.h documents: the code, the values in the sentence, the outputs as they
 * were, and a context that still works afterwards.
 */
#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "attention_case.h"
#include "compare.h"
#include "suite.h"

typedef struct clattn_attention_params params;

/* ---- calls of clattn_attention with one thing wrong ---- */

static const attn_spec good_spec = { .name = "good", .B = 2, .Hq = 4, .Hk = 2, .Nq = 3, .Nk = 5,
                                     .D = 8, .Dv = 6, .lse = true, .mask = true, .bias = true,
                                     .alibi = true, .sinks = true };

static clattn_ctx *other_ctx; /* of the same device */
static clattn_buffer *other_buffer;
static _Alignas(8) unsigned char host[4096];

#define SPOIL(name, ...)              \
    static void name(params *p)       \
    {                                 \
        __VA_ARGS__;                  \
    }
static const clattn_tensor absent = { .dtype = CLATTN_NONE };

SPOIL(no_q, p->q = absent)
SPOIL(no_k, p->k = absent)
SPOIL(no_v, p->v = absent)
SPOIL(no_o, p->o = absent)
SPOIL(q_of_u8, p->q.dtype = CLATTN_U8)
SPOIL(q_of_unknown_dtype, p->q.dtype = (clattn_dtype)77)
SPOIL(k_of_other_dtype, p->k.dtype = CLATTN_F16)
SPOIL(o_of_other_dtype, p->o.dtype = CLATTN_BF16)
SPOIL(q_of_rank_3, p->q.rank = 3)
SPOIL(q_of_rank_99, p->q.rank = 99)
SPOIL(k_of_one_batch, p->k = clattn_tensor_slice(p->k, 0, 0, 1))
SPOIL(o_of_one_batch, p->o = clattn_tensor_slice(p->o, 0, 0, 1))
SPOIL(v_of_one_head, p->v = clattn_tensor_slice(p->v, 1, 0, 1))
SPOIL(o_of_three_heads, p->o = clattn_tensor_slice(p->o, 1, 0, 3))
SPOIL(v_of_four_rows, p->v = clattn_tensor_slice(p->v, 2, 0, 4))
SPOIL(o_of_two_rows, p->o = clattn_tensor_slice(p->o, 2, 0, 2))
SPOIL(k_of_seven_columns, p->k = clattn_tensor_slice(p->k, 3, 0, 7))
SPOIL(o_of_five_columns, p->o = clattn_tensor_slice(p->o, 3, 0, 5))
SPOIL(heads_not_a_multiple, p->q = clattn_tensor_slice(p->q, 1, 0, 3);
      p->o = clattn_tensor_slice(p->o, 1, 0, 3))
SPOIL(no_key_heads, p->k = clattn_tensor_slice(p->k, 1, 0, 0);
      p->v = clattn_tensor_slice(p->v, 1, 0, 0))
SPOIL(width_0, p->q = clattn_tensor_slice(p->q, 3, 0, 0); p->k = clattn_tensor_slice(p->k, 3, 0, 0))
SPOIL(value_width_0, p->v = clattn_tensor_slice(p->v, 3, 0, 0);
      p->o = clattn_tensor_slice(p->o, 3, 0, 0))
SPOIL(negative_length, p->q.shape[2] = -1)
SPOIL(length_2_to_31, p->k.shape[2] = p->v.shape[2] = (int64_t)1 << 31)
SPOIL(length_2_to_62, p->q.shape[0] = (int64_t)1 << 62)
SPOIL(negative_stride, p->v.stride[1] = -4)
SPOIL(stride_2_to_62, p->k.stride[0] = (int64_t)1 << 62)
SPOIL(strides_that_overflow, p->k.stride[0] = INT64_MAX; p->k.stride[1] = INT64_MAX)
SPOIL(offset_2_to_63, p->q.offset = INT64_MAX)
SPOIL(negative_offset, p->q.offset = -1)
SPOIL(gaps_in_the_last_axis, p->q.stride[3] = 2; p->q.shape[3] = p->k.shape[3] = 2)
SPOIL(outside_the_buffer, p->k.offset += 1 << 20)
SPOIL(output_outside_the_buffer, p->o.stride[0] = 1 << 20)
SPOIL(output_repeats, p->o.stride[1] = 0)
SPOIL(output_with_itself, p->o.stride[2] = 3)
SPOIL(o_over_q, p->o.buffer = p->q.buffer; p->o.offset = p->q.offset + 3)
SPOIL(o_over_v, p->o.buffer = p->v.buffer; p->o.offset = p->v.offset)
SPOIL(lse_over_o, p->lse.buffer = p->o.buffer; p->lse.offset = p->o.offset + 7)
SPOIL(lse_over_sinks, p->lse.buffer = p->sinks.buffer; p->lse.offset = p->sinks.offset)
SPOIL(no_memory, p->k.buffer = NULL)
SPOIL(misaligned, p->k.buffer = NULL; p->k.data = host + 1; p->k.offset = 0)
SPOIL(beyond_all_memory, p->k.buffer = NULL; p->k.data = host; p->k.offset = INT64_MAX / 4 - 4096)
SPOIL(foreign_buffer, p->v.buffer = other_buffer)
SPOIL(scale_nan, p->scale = NAN)
SPOIL(scale_inf, p->scale = INFINITY)
SPOIL(softcap_negative, p->softcap = -1.5f)
SPOIL(softcap_nan, p->softcap = NAN)
SPOIL(softcap_inf, p->softcap = INFINITY)
SPOIL(causal_7, p->causal = (clattn_causal)7)
SPOIL(left_minus_2, p->window = true; p->window_left = -2)
SPOIL(right_minus_9, p->window = true; p->window_right = -9)
SPOIL(unknown_kernel, p->kernel = "warp_drive")
SPOIL(kernel_of_merge, p->kernel = "merge")
SPOIL(kernel_elsewhere, p->kernel = suite_is_native() ? "attn_prefill_cpu" : "attn_native")
SPOIL(mask_of_f32, p->mask.dtype = CLATTN_F32)
SPOIL(mask_of_four_keys, p->mask.shape[3] = 4)
SPOIL(bias_of_i32, p->bias.dtype = CLATTN_I32)
SPOIL(bias_of_two_heads, p->bias.shape[1] = 2)
SPOIL(alibi_of_three, p->alibi.shape[0] = 3)
SPOIL(sinks_of_three, p->sinks.shape[0] = 3)
SPOIL(sinks_of_f16, p->sinks.dtype = CLATTN_F16)
SPOIL(lse_of_f16, p->lse.dtype = CLATTN_F16)
SPOIL(lse_of_two_rows, p->lse.shape[2] = 2)
SPOIL(host_workspace,
      p->workspace = clattn_tensor_of_host(host, CLATTN_U8, 1, (int64_t[]){ sizeof host }))
SPOIL(workspace_of_f32, p->workspace = clattn_tensor_of_buffer(p->mask.buffer, CLATTN_F32, 1,
                                                               (int64_t[]){ 4 }))
SPOIL(odd_workspace, p->workspace = clattn_tensor_of_buffer(p->mask.buffer, CLATTN_U8, 1,
                                                            (int64_t[]){ 64 });
      p->workspace.offset = 4)
SPOIL(workspace_over_o, p->workspace = clattn_tensor_of_buffer(p->o.buffer, CLATTN_U8, 1,
                                                               (int64_t[]){ 4608 }))
SPOIL(struct_size_0, p->struct_size = 0)
SPOIL(struct_size_garbage, p->struct_size = SIZE_MAX / 3)

static void probs_tensor(params *p, int64_t heads, int64_t rows, int64_t keys)
{
    const int64_t shape[] = { 2, heads, rows, keys };
    p->probs = clattn_tensor_of_buffer(p->mask.buffer, CLATTN_F32, 4, shape);
}
SPOIL(probs_of_four_keys, probs_tensor(p, 1, 1, 4))
SPOIL(probs_beyond_heads, probs_tensor(p, 2, 1, 5); p->probs_head = 3)
SPOIL(probs_beyond_rows, probs_tensor(p, 1, 2, 5); p->probs_row = 2)
SPOIL(probs_of_negative_head, probs_tensor(p, 1, 1, 5); p->probs_head = -1)

typedef struct refusal {
    const char *name;
    clattn_status status;
    const char *words; /* that the sentence must contain, separated by '|' */
} refusal;

#define BAD(spoil, status, words) { { #spoil, CLATTN_ERR_##status, words }, spoil }
static const struct {
    refusal as;
    void (*spoil)(params *p);
} bad_calls[] = {
    BAD(no_q, ARG, "q"),
    BAD(no_k, ARG, "k"),
    BAD(no_v, ARG, "v"),
    BAD(no_o, ARG, "o"),
    BAD(q_of_u8, ARG, "q|u8"),
    BAD(q_of_unknown_dtype, ARG, "q|77"),
    BAD(k_of_other_dtype, ARG, "k|f16|f32"),
    BAD(o_of_other_dtype, ARG, "o|bf16|f32"),
    BAD(q_of_rank_3, SHAPE, "q|3|4"),
    BAD(q_of_rank_99, SHAPE, "q|99|4"),
    BAD(k_of_one_batch, SHAPE, "k|1|2"),
    BAD(o_of_one_batch, SHAPE, "o|1|2"),
    BAD(v_of_one_head, SHAPE, "v|1|2"),
    BAD(o_of_three_heads, SHAPE, "o|3|4"),
    BAD(v_of_four_rows, SHAPE, "v|4|5"),
    BAD(o_of_two_rows, SHAPE, "o|2|3"),
    BAD(k_of_seven_columns, SHAPE, "k|7|8"),
    BAD(o_of_five_columns, SHAPE, "o|5|6"),
    BAD(heads_not_a_multiple, SHAPE, "3|2|multiple"),
    BAD(no_key_heads, SHAPE, "4|0"),
    BAD(width_0, SHAPE, "0"),
    BAD(value_width_0, SHAPE, "0"),
    BAD(negative_length, SHAPE, "q|-1"),
    BAD(length_2_to_31, SHAPE, "2147483648"),
    BAD(length_2_to_62, SHAPE, "q|4611686018427387904"),
    BAD(negative_stride, SHAPE, "v|-4"),
    BAD(stride_2_to_62, SHAPE, "k|overflow"),
    BAD(strides_that_overflow, SHAPE, "k|overflow"),
    BAD(offset_2_to_63, SHAPE, "q|overflow"),
    BAD(negative_offset, SHAPE, "q|-1"),
    BAD(gaps_in_the_last_axis, SHAPE, "q|2"),
    BAD(outside_the_buffer, SHAPE, "k|buffer"),
    BAD(output_outside_the_buffer, SHAPE, "o|buffer"),
    BAD(output_repeats, ARG, "o"),
    BAD(output_with_itself, ARG, "o"),
    BAD(o_over_q, ARG, "o|q|overlap"),
    BAD(o_over_v, ARG, "o|v|overlap"),
    BAD(lse_over_o, ARG, "o|lse|overlap"),
    BAD(lse_over_sinks, ARG, "lse|sinks|overlap"),
    BAD(no_memory, ARG, "k"),
    BAD(misaligned, ARG, "k|align"),
    BAD(beyond_all_memory, SHAPE, "k|beyond the last address"),
    BAD(foreign_buffer, ARG, "v|another context"),
    BAD(scale_nan, ARG, "scale|nan"),
    BAD(scale_inf, ARG, "scale|inf"),
    BAD(softcap_negative, ARG, "softcap|-1.5"),
    BAD(softcap_nan, ARG, "softcap|nan"),
    BAD(softcap_inf, ARG, "softcap|inf"),
    BAD(causal_7, ARG, "causal|7"),
    BAD(left_minus_2, ARG, "window_left|-2"),
    BAD(right_minus_9, ARG, "window_right|-9"),
    BAD(unknown_kernel, ARG, "warp_drive"),
    BAD(kernel_of_merge, ARG, "merge"),
    BAD(kernel_elsewhere, UNSUPPORTED, "attn_"),
    BAD(mask_of_f32, ARG, "mask|f32"),
    BAD(mask_of_four_keys, SHAPE, "mask|4|5"),
    BAD(bias_of_i32, ARG, "bias|i32"),
    BAD(bias_of_two_heads, SHAPE, "bias|2|4"),
    BAD(alibi_of_three, SHAPE, "alibi|3|4"),
    BAD(sinks_of_three, SHAPE, "sinks|3|4"),
    BAD(sinks_of_f16, ARG, "sinks|f16"),
    BAD(lse_of_f16, ARG, "lse|f16"),
    BAD(lse_of_two_rows, SHAPE, "lse|2|3"),
    BAD(probs_of_four_keys, SHAPE, "probs|4|5"),
    BAD(probs_beyond_heads, SHAPE, "probs|4"),
    BAD(probs_beyond_rows, SHAPE, "probs|3"),
    BAD(probs_of_negative_head, SHAPE, "probs|-1"),
    BAD(host_workspace, ARG, "workspace"),
    BAD(workspace_of_f32, ARG, "workspace|f32"),
    BAD(odd_workspace, ARG, "workspace|4"),
    BAD(workspace_over_o, ARG, "workspace|o|overlap"),
    BAD(struct_size_0, ARG, "struct_size|0"),
    BAD(struct_size_garbage, ARG, "struct_size"),
};
enum { NUM_BAD_CALLS = sizeof bad_calls / sizeof bad_calls[0] };

static void expect_as_made(const test_memory *m, const char *name)
{
    unsigned char *now = memory_alloc(m->size);

    OK(suite_ctx(), clattn_buffer_read(m->tensor.buffer, 0, now, m->size));
    ck_assert_msg(memcmp(now, m->bytes, m->size) == 0, "%s: %s was written", compare_label_text(),
                  name);
    free(now);
}

static void expect_untouched(attn_run *run)
{
    expect_as_made(&run->o, "o");
    if (run->data->spec.argmax)
        expect_as_made(&run->index, "index");
}

/* The one-call form and a plan refuse these params of the run's operation; its own still work. */
static void check_refused(attn_run *run, const void *bad, const refusal *as)
{
    const bool argmax = run->data->spec.argmax;
    clattn_ctx *ctx = suite_ctx();
    clattn_plan *plan;

    compare_label("%s", as->name);
    suite_expect(__FILE__, __LINE__, ctx, as->name,
                 argmax ? clattn_argmax(ctx, bad) : clattn_attention(ctx, bad), as->status);
    suite_sentence(__FILE__, __LINE__, ctx, as->words);
    suite_sentence(__FILE__, __LINE__, ctx, argmax ? "argmax" : "attention");
    suite_expect(__FILE__, __LINE__, ctx, as->name,
                 argmax ? clattn_plan_argmax(ctx, bad, &plan)
                        : clattn_plan_attention(ctx, bad, &plan), as->status);
    ck_assert_ptr_null(plan);
    expect_untouched(run);
    OK(ctx, argmax ? clattn_argmax(ctx, &run->argmax) : clattn_attention(ctx, &run->params));
    attn_run_check(run);
}

START_TEST(attention_errors)
{
    attn_data *data = attn_data_make(&good_spec, suite_seed());
    attn_run run;

    attn_run_make(&run, suite_ctx(), data);
    params p = run.params;
    bad_calls[_i].spoil(&p);
    check_refused(&run, &p, &bad_calls[_i].as);
    attn_run_free(&run);
    attn_data_free(data);
}
END_TEST

/* ---- calls of clattn_argmax with one thing wrong ---- */

typedef struct clattn_argmax_params argmax_params;

static const attn_spec good_argmax = { .name = "good argmax", .argmax = true, .B = 2, .Hq = 4,
                                       .Hk = 2, .Nq = 3, .Nk = 5, .D = 8, .Dv = 6, .mask = true };

#define SPOIL_ARGMAX(name, ...)               \
    static void name(argmax_params *p)        \
    {                                         \
        __VA_ARGS__;                          \
    }
SPOIL_ARGMAX(am_no_q, p->q = absent)
SPOIL_ARGMAX(am_no_o, p->o = absent)
SPOIL_ARGMAX(am_o_of_bf16, p->o.dtype = CLATTN_BF16)
SPOIL_ARGMAX(am_f32_o_of_f16, p->q.dtype = p->k.dtype = p->v.dtype = CLATTN_F16)
SPOIL_ARGMAX(am_k_of_f16, p->k.dtype = CLATTN_F16)
SPOIL_ARGMAX(am_three_heads, p->q = clattn_tensor_slice(p->q, 1, 0, 3);
             p->o = clattn_tensor_slice(p->o, 1, 0, 3))
SPOIL_ARGMAX(am_k_of_seven_columns, p->k = clattn_tensor_slice(p->k, 3, 0, 7))
SPOIL_ARGMAX(am_index_of_f32, p->index.dtype = CLATTN_F32)
SPOIL_ARGMAX(am_index_of_rank_4, p->index.rank = 4)
SPOIL_ARGMAX(am_index_of_two_rows, p->index.shape[2] = 2)
SPOIL_ARGMAX(am_index_repeats, p->index.stride[1] = 0)
SPOIL_ARGMAX(am_index_outside, p->index.offset += 1 << 20)
SPOIL_ARGMAX(am_index_over_o, p->index.buffer = p->o.buffer; p->index.offset = p->o.offset + 3)
SPOIL_ARGMAX(am_index_over_mask, p->index.buffer = p->mask.buffer;
             p->index.offset = p->mask.offset / 4)
SPOIL_ARGMAX(am_o_over_v, p->o.buffer = p->v.buffer; p->o.offset = p->v.offset)
SPOIL_ARGMAX(am_mask_of_f32, p->mask.dtype = CLATTN_F32)
SPOIL_ARGMAX(am_mask_of_four_keys, p->mask.shape[3] = 4)
SPOIL_ARGMAX(am_causal_7, p->causal = (clattn_causal)7)
SPOIL_ARGMAX(am_left_minus_2, p->window = true; p->window_left = -2)
SPOIL_ARGMAX(am_half_ragged, p->cu_seqlens_q = clattn_tensor_of_host(host, CLATTN_I32, 1,
                                                                     (int64_t[]){ 3 }))
SPOIL_ARGMAX(am_foreign_buffer, p->v.buffer = other_buffer)
SPOIL_ARGMAX(am_unknown_kernel, p->kernel = "argmux")
SPOIL_ARGMAX(am_kernel_of_attention, p->kernel = "attn_prefill")
SPOIL_ARGMAX(am_kernel_elsewhere, p->kernel = suite_is_native() ? "argmax_cpu" : "argmax_native")
SPOIL_ARGMAX(am_struct_size_0, p->struct_size = 0)

static const struct {
    refusal as;
    void (*spoil)(argmax_params *p);
} bad_argmax[] = {
    BAD(am_no_q, ARG, "q"),
    BAD(am_no_o, ARG, "o"),
    BAD(am_o_of_bf16, ARG, "o is bf16|f32"),
    BAD(am_f32_o_of_f16, ARG, "o is f32|v is f16|stored"),
    BAD(am_k_of_f16, ARG, "k|f16|f32"),
    BAD(am_three_heads, SHAPE, "3|2|multiple"),
    BAD(am_k_of_seven_columns, SHAPE, "k|7|8"),
    BAD(am_index_of_f32, ARG, "index|f32"),
    BAD(am_index_of_rank_4, SHAPE, "index|4|3"),
    BAD(am_index_of_two_rows, SHAPE, "index|2|3"),
    BAD(am_index_repeats, ARG, "index"),
    BAD(am_index_outside, SHAPE, "index|buffer"),
    BAD(am_index_over_o, ARG, "index|o|overlap"),
    BAD(am_index_over_mask, ARG, "index|mask|overlap"),
    BAD(am_o_over_v, ARG, "o|v|overlap"),
    BAD(am_mask_of_f32, ARG, "mask|f32"),
    BAD(am_mask_of_four_keys, SHAPE, "mask|4|5"),
    BAD(am_causal_7, ARG, "causal|7"),
    BAD(am_left_minus_2, ARG, "window_left|-2"),
    BAD(am_half_ragged, SHAPE, "q"),
    BAD(am_foreign_buffer, ARG, "v|another context"),
    BAD(am_unknown_kernel, ARG, "argmux"),
    BAD(am_kernel_of_attention, ARG, "attn_prefill"),
    BAD(am_kernel_elsewhere, UNSUPPORTED, "argmax_"),
    BAD(am_struct_size_0, ARG, "struct_size|0"),
};
enum { NUM_BAD_ARGMAX = sizeof bad_argmax / sizeof bad_argmax[0] };

START_TEST(argmax_errors)
{
    attn_data *data = attn_data_make(&good_argmax, suite_seed());
    attn_run run;

    attn_run_make(&run, suite_ctx(), data);
    argmax_params p = run.argmax;
    bad_argmax[_i].spoil(&p);
    check_refused(&run, &p, &bad_argmax[_i].as);
    attn_run_free(&run);
    attn_data_free(data);
}
END_TEST

/* A plan of argmax attention on tensors that are not its own, and where another plan belongs. */
START_TEST(argmax_plan_errors)
{
    clattn_ctx *ctx = suite_ctx();
    attn_data *data = attn_data_make(&good_argmax, suite_seed());
    attn_run run;
    clattn_plan *plan;

    compare_label("argmax plan");
    attn_run_make(&run, ctx, data);
    FAILS(ctx, ERR_ARG, "argmax|params", clattn_argmax(ctx, NULL));
    FAILS(ctx, ERR_ARG, "NULL", clattn_plan_argmax(ctx, &run.argmax, NULL));
    ck_assert_int_eq(clattn_argmax(NULL, &run.argmax), CLATTN_ERR_ARG);
    ck_assert_int_eq(clattn_plan_run_argmax(NULL, &run.argmax), CLATTN_ERR_ARG);
    OK(ctx, clattn_plan_argmax(ctx, &run.argmax, &plan));
    argmax_params p = run.argmax;
    p.index = absent;
    FAILS(ctx, ERR_SHAPE, "plan", clattn_plan_run_argmax(plan, &p));
    p = run.argmax;
    p.causal = CLATTN_CAUSAL_TOP_LEFT;
    FAILS(ctx, ERR_SHAPE, "plan", clattn_plan_run_argmax(plan, &p));
    FAILS(ctx, ERR_ARG, "attention|argmax", clattn_plan_run_attention(plan, &run.params));
    FAILS(ctx, ERR_ARG, "params", clattn_plan_run_argmax(plan, NULL));
    expect_untouched(&run);
    OK(ctx, clattn_plan_run(plan));
    attn_run_check(&run);
    clattn_plan_destroy(&plan);
    attn_run_free(&run);
    attn_data_free(data);
}
END_TEST

/* ---- ragged batches ---- */

typedef struct bad_ragged {
    refusal as;
    int32_t cu_q[4], cu_k[4];
    int entries_q, entries_k; /* 0: absent; -1: none */
    int64_t max_q, max_k;
} bad_ragged;

static const bad_ragged bad_raggeds[] = {
    { { "only q", CLATTN_ERR_ARG, "cu_seqlens_k" }, { 0, 2, 6 }, { 0 }, 3, 0, 0, 0 },
    { { "only k", CLATTN_ERR_ARG, "cu_seqlens_q" }, { 0 }, { 0, 2, 9 }, 0, 3, 0, 0 },
    { { "of two lengths", CLATTN_ERR_SHAPE, "3|4" }, { 0, 2, 6 }, { 0, 2, 8, 9 }, 3, 4, 0, 0 },
    { { "first not 0", CLATTN_ERR_ARG, "cu_seqlens_q|1" }, { 1, 2, 6 }, { 0, 2, 9 }, 3, 3, 0, 0 },
    { { "decreasing", CLATTN_ERR_ARG, "cu_seqlens_k|10|9" },
      { 0, 2, 6 }, { 0, 10, 9 }, 3, 3, 0, 0 },
    { { "last not T", CLATTN_ERR_ARG, "cu_seqlens_q|5|6" }, { 0, 2, 5 }, { 0, 2, 9 }, 3, 3, 0, 0 },
    { { "beyond T", CLATTN_ERR_ARG, "cu_seqlens_k|10|9" }, { 0, 2, 6 }, { 0, 2, 10 }, 3, 3, 0, 0 },
    { { "negative", CLATTN_ERR_ARG, "cu_seqlens_q|-2" }, { 0, -2, 6 }, { 0, 2, 9 }, 3, 3, 0, 0 },
    { { "longer than said", CLATTN_ERR_SHAPE, "4|3" }, { 0, 2, 6 }, { 0, 2, 9 }, 3, 3, 3, 0 },
    { { "negative longest", CLATTN_ERR_SHAPE, "-1" }, { 0, 2, 6 }, { 0, 2, 9 }, 3, 3, 0, -1 },
    { { "longest", CLATTN_ERR_SHAPE, "536870912" }, { 0, 2, 6 }, { 0, 2, 9 }, 3, 3, 1 << 29, 0 },
    { { "no entries", CLATTN_ERR_SHAPE, "0 entries" }, { 0 }, { 0 }, -1, -1, 0, 0 },
};
enum { NUM_BAD_RAGGEDS = sizeof bad_raggeds / sizeof bad_raggeds[0] };

static clattn_tensor host_i32(const int32_t *x, int64_t n)
{
    return n ? clattn_tensor_of_host(x, CLATTN_I32, 1, &(int64_t){ n > 0 ? n : 0 }) : absent;
}

START_TEST(ragged_errors)
{
    static const int lens_q[] = { 2, 4 }, lens_k[] = { 2, 7 };
    static const attn_spec spec = { .name = "good ragged", .B = 2, .Hq = 2, .Hk = 1, .D = 8,
                                    .Dv = 8, .lens_q = lens_q, .lens_k = lens_k, .lse = true };
    const bad_ragged *bad = &bad_raggeds[_i];
    attn_data *data = attn_data_make(&spec, suite_seed());
    attn_run run;

    attn_run_make(&run, suite_ctx(), data);
    params p = run.params;
    p.cu_seqlens_q = host_i32(bad->cu_q, bad->entries_q);
    p.cu_seqlens_k = host_i32(bad->cu_k, bad->entries_k);
    p.max_seqlen_q = bad->max_q;
    p.max_seqlen_k = bad->max_k;
    check_refused(&run, &p, &bad->as);
    attn_run_free(&run);
    attn_data_free(data);
}
END_TEST

/* In a device buffer the contents cannot be checked: they must not lead outside the tensors. */
START_TEST(hostile_device_cu_seqlens)
{
    static const int lens[] = { 2, 4 };
    static const attn_spec spec = { .name = "hostile", .B = 2, .Hq = 2, .Hk = 1, .D = 8, .Dv = 8,
                                    .lens_q = lens, .lens_k = lens, .lse = true };
    static const int32_t hostile[][3] = {
        { -5, 1000000, INT32_MIN }, { 5, 3, 1 }, { 0, INT32_MAX, 3 }, { INT32_MAX, 0, 6 },
    };
    clattn_ctx *ctx = suite_ctx();
    attn_data *data = attn_data_make(&spec, suite_seed());
    attn_run run;

    attn_run_make(&run, ctx, data);
    compare_label("hostile cu_seqlens %d", _i);
    memory_put_bytes(&run.cu_q, hostile[_i]);
    memory_put_bytes(&run.cu_k, hostile[3 - _i]);
    OK(ctx, clattn_attention(ctx, &run.params));
    memory_get(&run.o, "o", NULL);
    memory_get(&run.lse, "lse", NULL);
    attn_run_free(&run);
    attn_data_free(data);
}
END_TEST

/* ---- versions of the options struct ---- */

START_TEST(struct_versions)
{
    struct {
        params p;
        int64_t later;
    } newer = { .later = 0 };
    clattn_ctx *ctx = suite_ctx();
    attn_data *data = attn_data_make(&good_spec, suite_seed());
    attn_run run;

    compare_label("struct_size");
    attn_run_make(&run, ctx, data);
    newer.p = run.params;
    newer.p.struct_size = sizeof newer;
    OK(ctx, clattn_attention(ctx, &newer.p));
    attn_run_check(&run);
    attn_run_poison(&run);
    newer.later = 1;
    FAILS(ctx, ERR_VERSION, "struct_size", clattn_attention(ctx, &newer.p));
    expect_untouched(&run);
    newer.p.struct_size = offsetof(params, workspace); /* what was before workspace and kernel */
    newer.p.kernel = "not there yet";
    OK(ctx, clattn_attention(ctx, &newer.p));
    attn_run_check(&run);
    attn_run_free(&run);
    attn_data_free(data);
}
END_TEST

START_TEST(null_arguments)
{
    clattn_ctx *no_ctx = NULL;
    clattn_plan *plan = NULL;
    clattn_plan_info info;
    int count;
    clattn_device_info *list = NULL;

    ck_assert_int_eq(clattn_plan_run(NULL), CLATTN_ERR_ARG);
    ck_assert_int_eq(clattn_plan_describe(NULL, &info), CLATTN_ERR_ARG);
    ck_assert_int_eq(clattn_ctx_create(NULL, NULL), CLATTN_ERR_ARG);
    ck_assert_int_eq(clattn_finish(NULL), CLATTN_ERR_ARG);
    ck_assert_int_eq(clattn_device_list(NULL, &count), CLATTN_ERR_ARG);
    ck_assert_int_eq(clattn_device_list(&list, NULL), CLATTN_ERR_ARG);
    ck_assert_int_eq(clattn_measure_peaks(NULL, NULL, NULL), CLATTN_ERR_ARG);
    ck_assert_ptr_null(clattn_ctx_device(NULL));
    clattn_ctx_destroy(NULL);
    clattn_ctx_destroy(&no_ctx);
    clattn_plan_destroy(NULL);
    clattn_plan_destroy(&plan);
    clattn_buffer_destroy(NULL);
    clattn_device_list_free(NULL);
    clattn_device_list_free(&list);
}
END_TEST

/* ---- contexts, buffers, plans, merge ---- */

static char log_line[1024];

static void keep_line(void *user, clattn_log_level level, const char *line)
{
    (void)user;
    if (level == CLATTN_LOG_ERROR)
        snprintf(log_line, sizeof log_line, "%s", line);
}

static void no_context(clattn_status status, const char *word, struct clattn_ctx_params p)
{
    clattn_ctx *ctx = suite_ctx();

    log_line[0] = '\0';
    p.struct_size = sizeof p;
    p.log = keep_line;
    ck_assert_int_eq(clattn_ctx_create(&p, &ctx), status);
    ck_assert_ptr_null(ctx);
    ck_assert_msg(strstr(log_line, word) != NULL, "the log \"%s\" does not say \"%s\"", log_line,
                  word);
}

START_TEST(context_errors)
{
    typedef struct clattn_ctx_params ctx_params;

    no_context(CLATTN_ERR_DEVICE, "abacus", (ctx_params){ .device = "abacus" });
    no_context(CLATTN_ERR_DEVICE, "99999", (ctx_params){ .device = "99999" });
    no_context(CLATTN_ERR_ARG, "num_threads is -1", (ctx_params){ .num_threads = -1 });
    no_context(CLATTN_ERR_ARG, "num_threads is 1025", (ctx_params){ .num_threads = 1025 });
    no_context(CLATTN_ERR_ARG, "effort is -2", (ctx_params){ .effort = (clattn_effort)-2 });
    no_context(CLATTN_ERR_ARG, "effort is 5", (ctx_params){ .effort = (clattn_effort)5 });
    struct clattn_ctx_params p = { .struct_size = 0 };
    clattn_ctx *ctx = suite_ctx();
    ck_assert_int_eq(clattn_ctx_create(&p, &ctx), CLATTN_ERR_ARG);
    ck_assert_ptr_null(ctx);
    struct {
        struct clattn_ctx_params p;
        int64_t later;
    } newer = { { .struct_size = sizeof newer }, 1 };
    ck_assert_int_eq(clattn_ctx_create(&newer.p, &ctx), CLATTN_ERR_VERSION);
}
END_TEST

START_TEST(buffer_errors)
{
    clattn_ctx *ctx = suite_ctx();
    clattn_buffer *b = other_buffer;
    char bytes[16] = { 0 };

    FAILS(ctx, ERR_SHAPE, "0 bytes", clattn_buffer_create(ctx, 0, &b));
    ck_assert_ptr_null(b);
    FAILS(ctx, ERR_SHAPE, "18446744073709551615", clattn_buffer_create(ctx, SIZE_MAX, &b));
    FAILS(ctx, ERR_ARG, "NULL", clattn_buffer_create(ctx, 16, NULL));
    ck_assert_int_eq(clattn_buffer_create(NULL, 16, &b), CLATTN_ERR_ARG);
    OK(ctx, clattn_buffer_create(ctx, 16, &b));
    ck_assert_uint_eq(clattn_buffer_size(b), 16);
    FAILS(ctx, ERR_SHAPE, "16", clattn_buffer_write(b, 8, bytes, 9));
    FAILS(ctx, ERR_SHAPE, "2 bytes from byte 18446744073709551615|16",
          clattn_buffer_read(b, SIZE_MAX, bytes, 2));
    FAILS(ctx, ERR_ARG, "NULL", clattn_buffer_read(b, 0, NULL, 2));
    ck_assert_int_eq(clattn_buffer_read(NULL, 0, bytes, 2), CLATTN_ERR_ARG);
    ck_assert_uint_eq(clattn_buffer_size(NULL), 0);
    OK(ctx, clattn_buffer_write(b, 16, NULL, 0));
    OK(ctx, clattn_buffer_write(b, 8, bytes, 8));
    clattn_buffer_destroy(&b);
    ck_assert_ptr_null(b);
}
END_TEST

START_TEST(plan_errors)
{
    static const int64_t lse_shape[] = { 1, 1, 1, 3 }, o_shape[] = { 1, 1, 1, 3, 4 };
    clattn_ctx *ctx = suite_ctx();
    attn_data *data = attn_data_make(&good_spec, suite_seed());
    attn_run run;
    clattn_plan *plan, *merge;
    float parts[12] = { 0 }, lse[3] = { 0 }, o[12];

    compare_label("plan");
    attn_run_make(&run, ctx, data);
    OK(ctx, clattn_plan_attention(ctx, &run.params, &plan));
    params p = run.params;
    p.k = clattn_tensor_slice(p.k, 2, 0, 4);
    p.v = clattn_tensor_slice(p.v, 2, 0, 4);
    p.mask = p.bias = absent;
    FAILS(ctx, ERR_SHAPE, "plan", clattn_plan_run_attention(plan, &p));
    p = run.params;
    p.scale = 0.5f;
    FAILS(ctx, ERR_SHAPE, "plan", clattn_plan_run_attention(plan, &p));
    FAILS(ctx, ERR_ARG, "NULL", clattn_plan_attention(ctx, &run.params, NULL));
    const struct clattn_merge_params *m = clattn_merge_params(
        .o_parts = clattn_tensor_of_host(parts, CLATTN_F32, 5, o_shape),
        .lse_parts = clattn_tensor_of_host(lse, CLATTN_F32, 4, lse_shape),
        .o = clattn_tensor_of_host(o, CLATTN_F32, 4, o_shape + 1));
    OK(ctx, clattn_plan_merge(ctx, m, &merge));
    FAILS(ctx, ERR_ARG, "attention|merge", clattn_plan_run_attention(merge, &run.params));
    FAILS(ctx, ERR_ARG, "attention|merge", clattn_plan_run_merge(plan, m));
    expect_untouched(&run);
    OK(ctx, clattn_plan_run(plan));
    attn_run_check(&run);
    clattn_plan_destroy(&merge);
    clattn_plan_destroy(&plan);
    attn_run_free(&run);
    attn_data_free(data);
}
END_TEST

/* lse in the workspace needs some of it on every device. */
START_TEST(small_workspace)
{
    attn_spec spec = good_spec;
    clattn_ctx *ctx = suite_ctx();
    clattn_buffer *buffer;
    clattn_plan *plan;
    clattn_plan_info info;
    attn_run run;

    compare_label("workspace");
    spec.lse = false, spec.probs = true;
    attn_data *data = attn_data_make(&spec, suite_seed());
    attn_run_make(&run, ctx, data);
    OK(ctx, clattn_plan_attention(ctx, &run.params, &plan));
    OK(ctx, clattn_plan_describe(plan, &info));
    clattn_plan_destroy(&plan);
    ck_assert_uint_gt(info.workspace_bytes, 0);
    OK(ctx, clattn_buffer_create(ctx, info.workspace_bytes, &buffer));
    int64_t size = (int64_t)info.workspace_bytes - 1;
    params p = run.params;
    p.workspace = clattn_tensor_of_buffer(buffer, CLATTN_U8, 1, &size);
    FAILS(ctx, ERR_SHAPE, "workspace", clattn_attention(ctx, &p));
    expect_untouched(&run);
    size++;
    p.workspace = clattn_tensor_of_buffer(buffer, CLATTN_U8, 1, &size);
    OK(ctx, clattn_attention(ctx, &p));
    attn_run_check(&run);
    clattn_buffer_destroy(&buffer);
    attn_run_free(&run);
    attn_data_free(data);
}
END_TEST

START_TEST(merge_errors)
{
    static const int64_t shape[] = { 2, 1, 2, 3, 4 };
    clattn_ctx *ctx = suite_ctx();
    float parts[48] = { 0 }, lse_parts[12] = { 0 }, o[24], lse[6];
    const struct clattn_merge_params good = *clattn_merge_params(
        .o_parts = clattn_tensor_of_host(parts, CLATTN_F32, 5, shape),
        .lse_parts = clattn_tensor_of_host(lse_parts, CLATTN_F32, 4, shape),
        .o = clattn_tensor_of_host(o, CLATTN_F32, 4, shape + 1),
        .lse = clattn_tensor_of_host(lse, CLATTN_F32, 3, shape + 1));
    struct clattn_merge_params m = good;

    m.o_parts = absent;
    FAILS(ctx, ERR_ARG, "merge|o_parts", clattn_merge(ctx, &m));
    m = good, m.lse_parts.shape[0] = 3;
    FAILS(ctx, ERR_SHAPE, "lse_parts|3|2", clattn_merge(ctx, &m));
    m = good, m.o.shape[3] = 3;
    FAILS(ctx, ERR_SHAPE, "o|3|4", clattn_merge(ctx, &m));
    m = good, m.lse.shape[2] = 2;
    FAILS(ctx, ERR_SHAPE, "lse|2|3", clattn_merge(ctx, &m));
    m = good, m.o_parts.shape[4] = 0;
    FAILS(ctx, ERR_SHAPE, "Dv is 0", clattn_merge(ctx, &m));
    m = good, m.lse_parts.dtype = CLATTN_F16;
    FAILS(ctx, ERR_ARG, "lse_parts|f16", clattn_merge(ctx, &m));
    m = good, m.o.data = parts;
    FAILS(ctx, ERR_ARG, "o|o_parts|overlap", clattn_merge(ctx, &m));
    m = good, m.struct_size = 0;
    FAILS(ctx, ERR_ARG, "merge|struct_size", clattn_merge(ctx, &m));
    m = good, m.kernel = "attn_prefill";
    FAILS(ctx, ERR_ARG, "attn_prefill", clattn_merge(ctx, &m));
    OK(ctx, clattn_merge(ctx, &good));
}
END_TEST

/* ---- fork ---- */

/* What a child may not do. Returns the number of the call that went wrong. */
static int use_in_child(clattn_ctx *ctx, attn_run *run, clattn_plan *plan)
{
    clattn_buffer *b;
    char byte = 0;

    if (clattn_attention(ctx, &run->params) != CLATTN_ERR_DEVICE
        || !strstr(clattn_error(ctx), "fork"))
        return 1;
    if (clattn_plan_run(plan) != CLATTN_ERR_DEVICE)
        return 2;
    if (clattn_buffer_create(ctx, 16, &b) != CLATTN_ERR_DEVICE || b)
        return 3;
    if (clattn_buffer_read(run->o.tensor.buffer, 0, &byte, 1) != CLATTN_ERR_DEVICE)
        return 4;
    if (clattn_finish(ctx) != CLATTN_ERR_DEVICE)
        return 5;
    clattn_plan_destroy(&plan); /* must not hang */
    attn_run_free(run);
    clattn_ctx_destroy(&ctx);
    return 0;
}

START_TEST(use_after_fork)
{
    clattn_ctx *ctx;
    clattn_plan *plan;
    attn_data *data = attn_data_make(&good_spec, suite_seed());
    attn_run run;
    int status;

    ck_assert_int_eq(clattn_ctx_create(NULL, &ctx), CLATTN_OK);
    attn_run_make(&run, ctx, data);
    OK(ctx, clattn_plan_attention(ctx, &run.params, &plan));
    OK(ctx, clattn_plan_run(plan));
    const pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        alarm(20);
        _exit(use_in_child(ctx, &run, plan));
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_msg(WIFEXITED(status), "the child was killed by signal %d", WTERMSIG(status));
    ck_assert_int_eq(WEXITSTATUS(status), 0);
    compare_label("parent after the fork");
    attn_run_check(&run);
    clattn_plan_destroy(&plan);
    attn_run_free(&run);
    clattn_ctx_destroy(&ctx);
    attn_data_free(data);
}
END_TEST

/* ---- the suite ---- */

static void open_other(void)
{
    ck_assert_int_eq(clattn_ctx_create(NULL, &other_ctx), CLATTN_OK);
    OK(other_ctx, clattn_buffer_create(other_ctx, 1 << 16, &other_buffer));
}

static void close_other(void)
{
    clattn_buffer_destroy(&other_buffer);
    clattn_ctx_destroy(&other_ctx);
}

static Suite *suite(void)
{
    Suite *s = suite_create("errors");
    TCase *t = tcase_create("attention"), *rest = tcase_create("rest");

    tcase_add_unchecked_fixture(t, open_other, close_other);
    tcase_add_loop_test(t, attention_errors, 0, NUM_BAD_CALLS);
    tcase_add_loop_test(t, argmax_errors, 0, NUM_BAD_ARGMAX);
    tcase_add_test(t, argmax_plan_errors);
    tcase_add_loop_test(t, ragged_errors, 0, NUM_BAD_RAGGEDS);
    tcase_add_loop_test(t, hostile_device_cu_seqlens, 0, 4);
    tcase_add_test(t, struct_versions);
    suite_add_tcase(s, t);
    tcase_add_test(rest, null_arguments);
    tcase_add_test(rest, context_errors);
    tcase_add_test(rest, buffer_errors);
    tcase_add_test(rest, plan_errors);
    tcase_add_test(rest, small_workspace);
    tcase_add_test(rest, merge_errors);
    tcase_add_test(rest, use_after_fork);
    suite_add_tcase(s, rest);
    return s;
}

int main(void)
{
    return suite_main(suite);
}
