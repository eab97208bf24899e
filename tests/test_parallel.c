/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Contexts of several threads at the same time: every thread opens one, runs every operation and
 * closes it again. What they computed is compared afterwards. For ThreadSanitizer too.
 */
#include <pthread.h>

#include "fault_operations.h"
#include "suite.h"

enum { THREADS = 4, OPERATIONS = 16, ROUNDS = 3 };

typedef struct worker {
    fault_case c[OPERATIONS];
    clattn_status status;
    int failed; /* the operation that did */
} worker;

static void *work(void *user)
{
    worker *w = user;
    for (int round = 0; round < ROUNDS && w->status == CLATTN_OK; round++) {
        clattn_ctx *ctx;
        w->status = clattn_ctx_create(clattn_ctx_params(.device = "cpu"), &ctx);
        for (int i = 0; w->status == CLATTN_OK && fault_operations[i].name; i++) {
            w->status = fault_operations[i].call(ctx, w->c[i].params);
            w->failed = i;
        }
        clattn_ctx_destroy(&ctx);
    }
    return NULL;
}

START_TEST(contexts)
{
    static worker workers[THREADS];
    pthread_t threads[THREADS];
    for (int t = 0; t < THREADS; t++)
        for (int i = 0; fault_operations[i].name; i++) {
            ck_assert_int_lt(i, OPERATIONS);
            fault_operations[i].make(&workers[t].c[i], NULL, fault_operations[i].spec);
        }
    for (int t = 0; t < THREADS; t++)
        ck_assert_int_eq(pthread_create(&threads[t], NULL, work, &workers[t]), 0);
    for (int t = 0; t < THREADS; t++)
        ck_assert_int_eq(pthread_join(threads[t], NULL), 0);
    for (int t = 0; t < THREADS; t++)
        for (int i = 0; fault_operations[i].name; i++) {
            const fault_operation *op = &fault_operations[i];
            ck_assert_msg(workers[t].status == CLATTN_OK, "%s: %s",
                          fault_operations[workers[t].failed].name,
                          clattn_status_name(workers[t].status));
            op->check(&workers[t].c[i]);
            op->free(&workers[t].c[i]);
        }
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("parallel");
    TCase *t = tcase_create("parallel");

    tcase_add_test(t, contexts);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    suite_begin();
    return suite_run(suite());
}
