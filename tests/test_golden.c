/* SPDX-License-Identifier: Apache-2.0 */
/* The golden cases of softmax attention through the public API, in every dtype. */
#include "attention_case.h"
#include "compare.h"
#include "suite.h"

static golden_names cases;

/* Buffers for one dtype, host memory for the next: both roads see every case. */
static void check_case(const char *name, clattn_dtype in, clattn_dtype out, bool host)
{
    golden_case c;

    golden_open(&c, name);
    attn_data *data = attn_data_of_golden(&c, in, out);
    compare_label("%s, %s to %s%s", name, clattn_dtype_name(in), clattn_dtype_name(out),
                  host ? ", host" : "");
    ck_assert_msg(data || in == CLATTN_F16, "%s: not exact", compare_label_text());
    if (data) { /* else a number of the case is beyond the range of f16 */
        /* The inputs are the same in all dtypes, and so are the probabilities: once is enough. */
        data->spec.probs = data->spec.probs && in == CLATTN_F32;
        attn_check(suite_ctx(), host, data, NULL);
    }
    attn_data_free(data);
    golden_close(&c);
}

START_TEST(f32)
{
    check_case(cases.name[_i], CLATTN_F32, CLATTN_F32, _i % 2);
}
END_TEST

/* f16 and bf16. */
START_TEST(half)
{
    static const clattn_dtype types[] = { CLATTN_F16, CLATTN_BF16 };

    for (int i = 0; i < 2; i++)
        check_case(cases.name[_i], types[i], (_i / 2 + i) % 3 ? types[i] : CLATTN_F32,
                   (_i / 2 + i) % 2);
}
END_TEST

/*
 * Where each is built for, every third case in one of the two: that options do what they should has
 * been seen in f32, and every kernel meets both dtypes in other tests.
 */
START_TEST(third_in_half)
{
    const clattn_dtype in = _i % 2 ? CLATTN_BF16 : CLATTN_F16;

    check_case(cases.name[3 * _i], in, _i % 3 ? in : CLATTN_F32, _i / 2 % 2);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("golden");
    TCase *t = tcase_create("attention");

    golden_find(&cases, "attention|attention_varlen");
    tcase_add_loop_test(t, f32, 0, cases.count);
    if (suite_is_native())
        tcase_add_loop_test(t, half, 0, cases.count);
    else
        tcase_add_loop_test(t, third_in_half, 0, (cases.count + 2) / 3);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    return suite_main(suite);
}
