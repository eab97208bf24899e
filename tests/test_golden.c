/* SPDX-License-Identifier: Apache-2.0 */
/* The golden cases of softmax attention through the public API, in every dtype. */
#include <stdlib.h>
#include <string.h>

#include "attention_case.h"
#include "compare.h"
#include "suite.h"

static char **names; /* of the cases of this operation */
static int num_names;

static bool is_attention(const char *name)
{
    golden_case c;
    golden_open(&c, name);
    const char *op = golden_op(&c);
    const bool yes = strcmp(op, "attention") == 0 || strcmp(op, "attention_varlen") == 0;
    golden_close(&c);
    return yes;
}

static void find_cases(void)
{
    names = golden_list();
    for (int i = 0; names[i]; i++) {
        if (is_attention(names[i]))
            names[num_names++] = names[i];
        else
            free(names[i]);
    }
    names[num_names] = NULL;
}

/* Buffers for one dtype, host memory for the next: both roads see every case. */
static void check_case(const char *name, clattn_dtype in, clattn_dtype out, bool host)
{
    golden_case c;

    golden_open(&c, name);
    attn_data *data = attn_data_of_golden(&c, in, out);
    compare_label("%s, %s to %s%s", name, clattn_dtype_name(in), clattn_dtype_name(out),
                  host ? ", host" : "");
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
    check_case(names[_i], CLATTN_F32, CLATTN_F32, _i % 2);
}
END_TEST

START_TEST(f16)
{
    check_case(names[_i], CLATTN_F16, _i % 3 ? CLATTN_F16 : CLATTN_F32, _i % 2 == 0);
}
END_TEST

START_TEST(bf16)
{
    check_case(names[_i], CLATTN_BF16, _i % 3 != 1 ? CLATTN_BF16 : CLATTN_F32, _i % 2);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("golden");
    TCase *t = tcase_create("attention");

    tcase_add_loop_test(t, f32, 0, num_names);
    tcase_add_loop_test(t, f16, 0, num_names);
    tcase_add_loop_test(t, bf16, 0, num_names);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    suite_begin();
    suite_need_device();
    find_cases();
    const int result = suite_run(suite());
    golden_list_free(names);
    return result;
}
