/* SPDX-License-Identifier: Apache-2.0 */
/* clattn attention: softmax attention from .npy files to .npy files. */
#include <string.h>

#include "attn_files.h"
#include "cli.h"

static const struct usage usage = {
    .synopsis = "attention Q.npy K.npy V.npy -o O.npy [options]",
    .text =
        "Softmax attention: o = softmax(scale * q k^T) v, for each batch and head.\n"
        "Q is [B][Hq][Nq][D], K is [B][Hk][Nk][D] and V is [B][Hk][Nk][Dv], float32, float16\n"
        "or float64; Hq is a multiple of Hk. [H][N][D] and [N][D] will do; O has as many axes\n"
        "as Q and is float32. M and B are [B][Hq][Nq][Nk]: axes of length 1 repeat, leading axes\n"
        "may be missing. Prints the device, the kernel, the time of a second run, and how that\n"
        "compares with the floor that the device sets.\n",
    .after = "example:\n  clattn attention q.npy k.npy v.npy -o o.npy --causal --dtype f16\n",
};

static int run(int argc, char **argv)
{
    struct attn_files a = { .common.dtype = CLATTN_F32 };
    const struct option_spec own[] = {
        { "output", 'o', "O.npy", "where the result goes, float32", parse_text, &a.o },
        { "mask", 0, "M.npy", "bool or uint8, 1 = attend", parse_text, &a.mask },
        { "bias", 0, "B.npy", "added to the scores", parse_text, &a.bias },
        { "alibi", 0, "A.npy", "slope of each head [Hq]: slope * |i + Nk - Nq - j| is taken off",
          parse_text, &a.alibi },
        { "sinks", 0, "S.npy", "a score per head [Hq] that joins the sum and has no value",
          parse_text, &a.sinks },
        { "lse", 0, "LSE.npy", "write the log of the sum of exponentials [B][Hq][Nq]", parse_text,
          &a.lse },
        { "probs", 0, "P.npy", "write the probabilities [B][Hq][Nq][Nk]", parse_text, &a.probs },
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
    memcpy(specs + ATTN_NUM_OPTIONS, own, sizeof own);
    if (!options_parse(&usage, specs, argc, argv, &first, &code))
        return code;
    if (argc - first != 3)
        return usage_error(&usage, "attention needs Q.npy, K.npy and V.npy");
    if (!a.o)
        return usage_error(&usage, "attention needs -o O.npy");
    a.q = argv[first];
    a.k = argv[first + 1];
    a.v = argv[first + 2];
    return attn_files_run(&a);
}

const struct command cmd_attention = { "attention", "softmax attention of .npy files", run };
