/* SPDX-License-Identifier: Apache-2.0 */
/* The subcommands for whole models, in a build that cannot read them. */
#include "cli.h"

static int run(int argc, char **argv)
{
    (void)argc;
    return fail(EXIT_INPUT,
                "%s: this build cannot read models: jansson or utf8proc was not there "
                "when it was made",
                argv[0]);
}

const struct command cmd_heatmap = { "heatmap", "show attention (not in this build)", run };
const struct command cmd_heads = { "heads", "rank heads (not in this build)", run };
const struct command cmd_generate = { "generate", "go on with a text (not in this build)", run };
const struct command cmd_fill = { "fill", "fill the gaps of a text (not in this build)", run };
const struct command cmd_embed = { "embed", "make vectors of texts (not in this build)", run };
