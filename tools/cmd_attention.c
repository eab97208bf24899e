/* SPDX-License-Identifier: Apache-2.0 */
/* clattn attention: softmax attention from .npy files to .npy files. */
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
    struct attn_files a;
    struct file_input *in = a.files.in;
    struct file_output *out = a.files.out;
    const struct option_spec own[] = {
        { "output", 'o', "O.npy", "where the result goes, float32", parse_text, &out[OUT_O].path },
        { "mask", 0, "M.npy", "bool or uint8, 1 = attend", parse_text, &in[IN_MASK].path },
        { "bias", 0, "B.npy", "added to the scores", parse_text, &in[IN_BIAS].path },
        { "alibi", 0, "A.npy", "slope of each head [Hq]: slope * |i + Nk - Nq - j| is taken off",
          parse_text, &in[IN_ALIBI].path },
        { "sinks", 0, "S.npy", "a score per head [Hq] that joins the sum and has no value",
          parse_text, &in[IN_SINKS].path },
        { "lse", 0, "LSE.npy", "write the log of the sum of exponentials [B][Hq][Nq]", parse_text,
          &out[OUT_LSE].path },
        { "probs", 0, "P.npy", "write the probabilities [B][Hq][Nq][Nk]", parse_text,
          &out[OUT_PROBS].path },
        OPTIONS_OF_RUN(a.files.common),
        { 0 },
    };
    struct option_spec specs[MAX_OPTIONS + 1];

    attn_files_begin(&a, "attention");
    attn_options_specs(&a.job.options, specs);
    options_append(specs, ATTN_NUM_OPTIONS, own);
    return attn_files_main(&a, &usage, specs, argc, argv);
}

const struct command cmd_attention = { "attention", "softmax attention of .npy files", run };
