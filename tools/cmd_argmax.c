/* SPDX-License-Identifier: Apache-2.0 */
/* clattn argmax: argmax attention from .npy files to .npy files. */
#include <string.h>

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
    struct attn_files a = { .common.dtype = CLATTN_F32, .job.argmax = true };
    const struct option_spec own[] = {
        { "output", 'o', "O.npy", "where the values go, float32", parse_text, &a.o },
        { "index", 'i', "I.npy", "write the indices of the keys [B][Hq][Nq], int32", parse_text,
          &a.index },
        { "mask", 0, "M.npy", "bool or uint8, 1 = attend", parse_text, &a.mask },
        OPTION_DTYPE(a.common),
        OPTION_DEVICE(a.common),
        OPTION_KERNEL(a.common),
        OPTION_JSON(a.common),
        OPTION_VERBOSE(a.common),
        { 0 },
    };
    struct option_spec specs[MAX_OPTIONS + 1];
    int first, code;

    attn_options_specs(&a.job.options, specs);
    memcpy(specs + ATTN_NUM_VISIBILITY, own, sizeof own);
    if (!options_parse(&usage, specs, argc, argv, &first, &code))
        return code;
    if (argc - first != 3)
        return usage_error(&usage, "argmax needs Q.npy, K.npy and V.npy");
    if (!a.o)
        return usage_error(&usage, "argmax needs -o O.npy");
    a.q = argv[first];
    a.k = argv[first + 1];
    a.v = argv[first + 2];
    return attn_files_run(&a);
}

const struct command cmd_argmax = { "argmax", "argmax attention of .npy files", run };
