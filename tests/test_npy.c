/* SPDX-License-Identifier: Apache-2.0 */
/* The parser of .npy files, on bytes: what is refused, and that nothing outside them is read. */
#include <stdlib.h>
#include <string.h>

#include "memory.h"
#include "npy.h"
#include "suite.h"

/* A file of this version with so much of a header and of data, in memory of exactly its size. */
static unsigned char *make_file(int version, const char *header, size_t length, size_t data,
                                size_t *size)
{
    const size_t prefix = version == 1 ? 10 : 12;
    unsigned char *file = memory_alloc(prefix + length + data);

    *size = prefix + length + data;
    memcpy(file, "\x93NUMPY", 6);
    file[6] = (unsigned char)version;
    file[8] = (unsigned char)length;
    file[9] = (unsigned char)(length >> 8);
    memcpy(file + prefix, header, length);
    return file;
}

static void expect_refused(const unsigned char *file, size_t size, const char *says)
{
    struct npy npy;
    char err[200] = "";

    ck_assert_msg(!npy_parse(file, size, &npy, err, sizeof err), "not refused: %s", says);
    ck_assert_msg(err[0] && strstr(err, says), "\"%s\" does not say \"%s\"", err, says);
}

/* ---- headers ---- */

#define HEADER(descr, order, shape) \
    "{'descr': " descr ", 'fortran_order': " order ", 'shape': " shape ", }"

static const struct {
    const char *header;
    size_t data;
    const char *says;
} bad_headers[] = {
    { "", 4, "not a dict" },
    { "[]", 4, "not a dict" },
    { "{'descr'}", 4, "not a dict of" },
    { "{descr: '<f4'}", 4, "not a dict of" },
    { "{'descr': '<f4' 'shape': ()}", 4, "not a dict of" },
    { "{'descr': '<f4', }", 4, "no 'fortran_order'" },
    { "{'descr': '<f4', 'descr': '<f4'}", 4, "a second key 'descr'" },
    { "{'desc': '<f4'}", 4, "an unknown key 'desc'" },
    { HEADER("'<f4'", "False", "()") " x", 4, "text behind" },
    { HEADER("[('a', '<f4')]", "False", "()"), 4, "structured" },
    { HEADER("4", "False", "()"), 4, "no readable 'descr'" },
    { HEADER("'<f4, and 31 characters are as many'", "False", "()"), 4, "no readable 'descr'" },
    { HEADER("'<f\t4'", "False", "()"), 4, "no readable 'descr'" },
    { HEADER("'<f\x7f'", "False", "()"), 4, "no readable 'descr'" },
    { HEADER("'<\\x66'", "False", "()"), 4, "no readable 'descr'" },
    { HEADER("'>f4'", "False", "()"), 4, "'>f4' is big-endian" },
    { HEADER("'!f4'", "False", "()"), 4, "'!f4' is not supported" },
    { HEADER("''", "False", "()"), 4, "'' is not supported" },
    { HEADER("'|O'", "False", "()"), 4, "Python objects" },
    { HEADER("'<f4'", "True", "()"), 4, "Fortran order" },
    { HEADER("'<f4'", "Falsy", "()"), 4, "neither True nor False" },
    { HEADER("'<f4'", "False", "1"), 4, "not a tuple" },
    { HEADER("'<f4'", "False", "(1 1)"), 4, "not a tuple" },
    { HEADER("'<f4'", "False", "(1:1)"), 4, "not a tuple" },
    { HEADER("'<f4'", "False", "(a)"), 4, "not a tuple" },
    { HEADER("'<f4'", "False", "(/)"), 4, "not a tuple" },
    { HEADER("'<f4'", "False", "(-1,)"), 4, "negative" },
    { HEADER("'<f4'", "False", "(1,1,1,1,1,1,1,1,1)"), 4, "more than 8 axes" },
    { HEADER("'<f4'", "False", "(99999999999999999999,)"), 4, "length that overflows" },
    { HEADER("'<f8'", "False", "(4611686018427387904,)"), 0, "shape overflows" },
    { HEADER("'<f8'", "False", "(1152921504606846976,)"), 0, "shape overflows" },
    { HEADER("'<f4'", "False", "(2,)"), 4, "needs 8 bytes of data, the file has 4 (truncated?)" },
    { HEADER("'<f4'", "False", "(0, 9)"), 4, "needs 0 bytes of data, the file has 4" },
};

START_TEST(refused)
{
    const char *header = bad_headers[_i].header;
    size_t size;
    unsigned char *file = make_file(1, header, strlen(header), bad_headers[_i].data, &size);

    expect_refused(file, size, bad_headers[_i].says);
    free(file);
}
END_TEST

static const struct {
    int version;
    const char *header;
    enum npy_type type;
    int rank;
    size_t count;
} good_headers[] = {
    { 1, HEADER("'<f4'", "False", "(2, 3)"), NPY_F4, 2, 6 },
    { 2, HEADER("\"|u1\"", "False", "(5,)"), NPY_U1, 1, 5 },
    { 3, HEADER("'=f8'", "False", "()"), NPY_F8, 0, 1 },
    { 1, "{\t'shape'\r:\n(0 ,\t7\r),'descr' :'<i4','fortran_order':False}\r\n\t ", NPY_I4, 2, 0 },
};

START_TEST(accepted)
{
    const char *header = good_headers[_i].header;
    const size_t item = npy_item_size(good_headers[_i].type), count = good_headers[_i].count;
    struct npy npy;
    char err[200] = "";
    size_t size;
    unsigned char *file =
        make_file(good_headers[_i].version, header, strlen(header), count * item, &size);

    ck_assert_msg(npy_parse(file, size, &npy, err, sizeof err), "%s: %s", header, err);
    ck_assert(npy.type == good_headers[_i].type && npy.rank == good_headers[_i].rank);
    ck_assert(npy.count == count && npy.item_size == item);
    ck_assert_ptr_eq(npy.data, file + size - count * item);
    free(file);
}
END_TEST

/* A header that ends anywhere, and says so. */
START_TEST(cut_headers)
{
    const char *header = HEADER("'<f4'", "False", "(12, -34)");

    for (size_t length = 0; length < strlen(header); length++) {
        size_t size;
        unsigned char *file = make_file(1, header, length, 0, &size);
        expect_refused(file, size, "");
        free(file);
    }
}
END_TEST

/* ---- what stands before the header ---- */

static const struct {
    const char *bytes;
    size_t size;
    const char *says;
} bad_starts[] = {
    { "", 0, "not a .npy file" },
    { "\x93NUMPY\x01\x00\x00", 9, "not a .npy file" },
    { "\x93NUMPX\x01\x00\x00\x00", 10, "not a .npy file" },
    { "\x93NUMPY\x00\x07\x00\x00", 10, ".npy version 0.7 is unknown" },
    { "\x93NUMPY\x04\x00\x00\x00", 10, ".npy version 4.0 is unknown" },
    { "\x93NUMPY\x02\x00\x00\x00\x00", 11, "the file ends inside its header" },
    { "\x93NUMPY\x01\x00\x02\x00{", 11, "the file ends inside its header" },
    { "\x93NUMPY\x02\x00\x00\x00\x01\x00", 12, "claims 65536 bytes" },
};

START_TEST(starts)
{
    unsigned char *file = memory_alloc(bad_starts[_i].size);

    memcpy(file, bad_starts[_i].bytes, bad_starts[_i].size);
    expect_refused(file, bad_starts[_i].size, bad_starts[_i].says);
    free(file);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("npy");
    TCase *t = tcase_create("npy");

    tcase_add_loop_test(t, refused, 0, sizeof bad_headers / sizeof bad_headers[0]);
    tcase_add_loop_test(t, accepted, 0, sizeof good_headers / sizeof good_headers[0]);
    tcase_add_test(t, cut_headers);
    tcase_add_loop_test(t, starts, 0, sizeof bad_starts / sizeof bad_starts[0]);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    suite_begin();
    return suite_run(suite());
}
