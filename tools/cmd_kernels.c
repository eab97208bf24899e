/* SPDX-License-Identifier: Apache-2.0 */
/* clattn kernels: the names that --kernel takes. */
#include <stdio.h>

#include "cli.h"
#include "options.h"
#include "report.h"

static const struct usage usage = {
    .synopsis = "kernels [--json]",
    .text = "Lists the kernels of this build, those of the native CPU included: the names that\n"
            "--kernel takes.\n",
};

static int run(int argc, char **argv)
{
    struct common common = { 0 };
    const struct option_spec specs[] = { OPTION_JSON(common), { 0 } };
    int first, code;

    if (!options_parse(&usage, specs, argc, argv, &first, &code))
        return code;
    if (argc != first)
        return usage_error(&usage, "kernels takes no arguments");
    json_t *names = json_array();
    for (int i = 0; clattn_kernel_name(i); i++) {
        json_array_append_new(names, json_string(clattn_kernel_name(i)));
        if (!common.json)
            puts(clattn_kernel_name(i));
    }
    if (common.json)
        json_print(json_incref(names));
    json_decref(names);
    return EXIT_OK;
}

const struct command cmd_kernels = { "kernels", "list the kernels of this build", run };
