/* SPDX-License-Identifier: Apache-2.0 */
/* clattn argmax: argmax attention from .npy files to .npy files. */
#include "attn_files.h"
#include "cli.h"

static const struct usage usage = {
    .synopsis = "argmax Q.npy K.npy V.npy -o O.npy [options]",
    .text =
        "Argmax (hard) attention: each row of q takes the value of the key with the largest q.k.\n"
        "Of equal scores the lowest index wins; a NaN loses to any number; a row that sees no key\n"
        "gets 0 and the index -1. Q is [B][Hq][Nq][D], K is [B][Hk][Nk][D] and V is\n"
        "[B][Hk][Nk][Dv], float32, float16 or float64; Hq is a multiple of Hk. [H][N][D] and\n"
        "[N][D] will do; O has as many axes as Q. M is [B][Hq][Nq][Nk]: axes of length 1 repeat,\n"
        "leading axes may be missing. Prints the device, the kernel, the time of a second run,\n"
        "and how that compares with the floor that the device sets.\n",
    .after = "example:\n  clattn argmax q.npy k.npy v.npy -o o.npy --index i.npy --causal\n",
};

static int run(int argc, char **argv)
{
    struct attn_files a;
    struct file_input *in = a.files.in;
    struct file_output *out = a.files.out;
    const struct option_spec own[] = {
        { "output", 'o', "O.npy", "where the values go, float32", parse_text, &out[OUT_O].path },
        { "index", 'i', "I.npy", "write the indices of the keys [B][Hq][Nq], int32", parse_text,
          &out[OUT_INDEX].path },
        { "mask", 0, "M.npy", "bool or uint8, 1 = attend", parse_text, &in[IN_MASK].path },
        OPTIONS_OF_RUN(a.files.common),
        { 0 },
    };
    struct option_spec specs[MAX_OPTIONS + 1];

    attn_files_begin(&a, "argmax");
    a.job.argmax = true;
    attn_options_specs(&a.job.options, specs);
    options_append(specs, ATTN_NUM_VISIBILITY, own);
    return attn_files_main(&a, &usage, specs, argc, argv);
}

const struct command cmd_argmax = { "argmax", "argmax attention of .npy files", run };
