/* SPDX-License-Identifier: Apache-2.0 */
/* Marked instructions in the assembly that a driver hands out: text in, text out. */
#include <stdlib.h>
#include <string.h>

#include "opencl/ptx.h"
#include "suite.h"

#define HEAD ".version 8.3\n.target sm_90, texmode_independent\n.address_size 64\n"
#define HEAD_A ".version 8.3\n.target sm_90a, texmode_independent\n.address_size 64\n"

typedef struct text_case {
    const char *in, *out; /* out NULL: refused */
    const char *why;      /* part of the reason */
} text_case;

static const text_case texts[] = {
    { HEAD "/*SM90A wgmma.x; SM90A*/\n", HEAD_A " wgmma.x; \n", NULL },
    { HEAD "/*SM90A a; SM90A*/b;/*SM90A c; SM90A*/", HEAD_A " a; b; c; ", NULL },
    { ".target sm_90\n/*SM90A a; SM90A*/", ".target sm_90a\n a; ", NULL },
    { ".target\tsm_90a\n/*SM90A a; SM90A*/", ".target\tsm_90a\n a; ", NULL },
    /* Comments stay, whatever is in them. */
    { "// .target sm_80 /*SM90A\n" HEAD "/* .target sm_70 */ /*SM90Aa;SM90A*/",
      "// .target sm_80 /*SM90A\n" HEAD_A "/* .target sm_70 */ a;", NULL },
    { HEAD "/*SM90A a; // b\nc; SM90A*/ // end", HEAD_A " a; // b\nc;  // end", NULL },
    { HEAD ".targeted x\n/*SM90Aa;SM90A*/", HEAD_A ".targeted x\na;", NULL },
    { "", NULL, "no .target" },
    { HEAD "add.s32 a, b, c;\n", NULL, "is marked" },
    { "/*SM90A a; SM90A*/", NULL, "no .target" },
    { ".target sm_80\n/*SM90A a; SM90A*/", NULL, "is not sm_90" },
    { ".target sm_900\n/*SM90A a; SM90A*/", NULL, "is not sm_90" },
    { ".target sm_90b\n/*SM90A a; SM90A*/", NULL, "is not sm_90" },
    { ".target", NULL, "is not sm_90" },
    { HEAD HEAD "/*SM90A a; SM90A*/", NULL, "more than one .target" },
    { HEAD "/*SM90A a;", NULL, "marked comment does not end" },
    { HEAD "/*SM90A a; */", NULL, "a comment ends that" },
    { HEAD "a; SM90A*/", NULL, "ends that has not" },
    { HEAD "/*SM90A a; /*SM90A b; SM90A*/ SM90A*/", NULL, "within another" },
    { HEAD "/*SM90A a; SM90A*/ /* b", NULL, "a comment does not end" },
    { HEAD "/*SM90A a; SM90A*/ /", HEAD_A " a;  /", NULL },
    { HEAD "/*SM90A a; SM90A*/ /*", NULL, "a comment does not end" },
};

START_TEST(unmark)
{
    const text_case *c = &texts[_i];
    const char *why;
    char *out;
    size_t size = 0;
    const bool good = cla_ptx_unmark(c->in, strlen(c->in), &out, &size, &why);

    ck_assert_msg(good == (c->out != NULL), "\"%s\": %s", c->in, why ? why : "taken");
    if (good) {
        ck_assert_str_eq(out, c->out);
        ck_assert_uint_eq(size, strlen(c->out));
        ck_assert_ptr_null(why);
    } else {
        ck_assert_ptr_null(out);
        ck_assert_msg(why && strstr(why, c->why), "\"%s\" does not say \"%s\"", why, c->why);
    }
    free(out);
}
END_TEST

/* Drivers hand out zeros behind the text; within it there are none. */
START_TEST(zeros)
{
    static const char padded[] = HEAD "/*SM90A a; SM90A*/\0\0\0";
    static const char holed[] = HEAD "/*SM90A a;\0 SM90A*/";
    static const char nothing[4] = "";
    const char *why;
    char *out;
    size_t size;

    ck_assert(cla_ptx_unmark(padded, sizeof padded, &out, &size, &why));
    ck_assert_str_eq(out, HEAD_A " a; ");
    ck_assert_uint_eq(size, strlen(out));
    free(out);
    ck_assert(!cla_ptx_unmark(holed, sizeof holed, &out, &size, &why));
    ck_assert_msg(strstr(why, "zeros"), "%s", why);
    ck_assert(!cla_ptx_unmark(nothing, sizeof nothing, &out, &size, &why));
    ck_assert(!cla_ptx_unmark("\177ELF\2\1\1\0\0\3", 10, &out, &size, &why));
}
END_TEST

/* No beginning of a good text is read past its end, or gives more than one. */
START_TEST(beginnings)
{
    static const char text[] = HEAD "/*SM90A a; SM90A*/ // b\n/* c */";
    const size_t full = strlen(text), last_mark = strlen(HEAD "/*SM90A a; SM90A*/");

    for (size_t n = 0; n <= full; n++) {
        const char *why;
        char *out, *copy = malloc(n + 1);
        size_t size;
        ck_assert_ptr_nonnull(copy);
        memcpy(copy + 1, text, n); /* so that a tool that looks sees a byte too much */
        const bool good = cla_ptx_unmark(copy + 1, n, &out, &size, &why);
        ck_assert_msg(!good || n >= last_mark, "%zu bytes: taken", n);
        free(out);
        free(copy);
    }
}
END_TEST

START_TEST(registers)
{
    ck_assert_int_eq(cla_ptx_registers(384), 168);
    ck_assert_int_eq(cla_ptx_registers(512), 128);
    ck_assert_int_eq(cla_ptx_registers(1), 255);
    ck_assert_int_eq(cla_ptx_registers(1024), 64);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("ptx");
    TCase *t = tcase_create("ptx");

    tcase_add_loop_test(t, unmark, 0, (int)(sizeof texts / sizeof texts[0]));
    tcase_add_test(t, zeros);
    tcase_add_test(t, beginnings);
    tcase_add_test(t, registers);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    suite_begin();
    return suite_run(suite());
}
