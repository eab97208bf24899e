/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libFuzzer entry for the command line of the clattn program: each line is an argument. There is no
 * device, so nothing is computed: what is looked at is how arguments are taken, and what is said
 * about them. Files are those of the folder that the fuzzer starts in.
 */
#include <clattn/clattn.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "child.h"
#include "cli.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int clattn_main(int argc, char **argv); /* of the program, renamed by the compiler's options */

enum { MOST_ARGUMENTS = 40 };

/* In place of the library's. */
clattn_status clattn_ctx_create(const struct clattn_ctx_params *params, clattn_ctx **ctx)
{
    (void)params;
    *ctx = NULL;
    return CLATTN_ERR_DEVICE;
}

/* In place of those of tools/child.c: nothing is started. */
void own_path(char *path, size_t size)
{
    if (size > 0)
        path[0] = '\0';
}

bool child_start(struct child *c, const char *command, const char *argument)
{
    (void)c, (void)command, (void)argument;
    return false;
}

char *child_line(struct child *c, double seconds)
{
    (void)c, (void)seconds;
    return NULL;
}

int child_end(struct child *c, char *how, size_t size)
{
    (void)c, (void)how, (void)size;
    return -1;
}

/* Other folders than the fuzzer's own are none of its business. */
static bool leads_away(const char *argument)
{
    return argument[0] == '/' || strstr(argument, "=/") || strstr(argument, "..");
}

/* Cuts text into lines. Returns how many there are, behind the name of the program. */
static int arguments(char *text, char *argv[MOST_ARGUMENTS + 1])
{
    static char name[] = "clattn";
    int argc = 0;

    argv[argc++] = name;
    for (char *next; text && argc < MOST_ARGUMENTS; text = next) {
        next = strchr(text, '\n');
        if (next)
            *next++ = '\0';
        if (!leads_away(text))
            argv[argc++] = text;
    }
    argv[argc] = NULL;
    return argc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *argv[MOST_ARGUMENTS + 1], *text = malloc(size + 1);

    if (!text)
        abort();
    memcpy(text, data, size);
    text[size] = '\0';
    const int argc = arguments(text, argv);
    ((char *)fail_text())[0] = '\0'; /* what was said about the last ones */
    const int code = argc == 2 && strstr(argv[1], "-worker") ? 0 : clattn_main(argc, argv);
    if (code < EXIT_OK || code > EXIT_INPUT || (code != EXIT_OK && !fail_text()[0]))
        abort();
    free(text);
    return 0;
}
