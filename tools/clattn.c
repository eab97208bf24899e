/* SPDX-License-Identifier: Apache-2.0 */
/* The clattn program: the table of subcommands. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <clattn/tuning.h>

#include "cli.h"

static const struct command *const commands[] = {
    &cmd_devices, &cmd_kernels, &cmd_attention, &cmd_argmax, &cmd_linear_attention,
    &cmd_project,
    &cmd_run,     &cmd_verify,  &cmd_bench,     &cmd_cost,
    &cmd_tune,    &cmd_wisdom,  &cmd_doctor,
    &cmd_heatmap, &cmd_heads,   &cmd_generate,  &cmd_fill,   &cmd_embed,
};

enum { NUM_COMMANDS = sizeof commands / sizeof commands[0] };

static int print_help(void)
{
    printf("clattn %s: attention on any OpenCL device, and on none\n\n"
           "usage: clattn COMMAND [arguments]\n\n",
           clattn_version());
    for (int i = 0; i < NUM_COMMANDS; i++)
        printf("  %-16s %s\n", commands[i]->name, commands[i]->summary);
    printf("  %-16s %s\n\n", "help", "explain a command: clattn help COMMAND");
    fputs("Results go to stdout, messages to stderr; every command takes --help, and --json for\n"
          "scripts. Tensors are .npy files.\n\n"
          "exit codes: 0 success, 1 a result is wrong (verify), 2 usage, 3 no device,\n"
          "            4 bad input or I/O error\n\n"
          "environment: CLATTN_DEVICE       device when --device is not given\n"
          "             CLATTN_CACHE_DIR    folder of tuning results and compiled programs\n"
          "             CLATTN_BINARIES     on or off: keep compiled programs\n"
          "             CLATTN_NUM_THREADS  threads of the native CPU\n"
          "             CLATTN_ISA          its instruction set: portable, avx2 or avx512\n\n"
          "examples:\n"
          "  clattn devices\n"
          "  clattn attention q.npy k.npy v.npy -o o.npy --causal\n"
          "  clattn bench attention --shape 1,8,8,1024,1024,64 --causal\n",
          stdout);
    return EXIT_OK;
}

static const struct command *find(const char *name)
{
    struct suggestion near = { .word = name };

    for (int i = 0; i < NUM_COMMANDS; i++) {
        if (strcmp(name, commands[i]->name) == 0)
            return commands[i];
        suggest(&near, commands[i]->name);
    }
    fail(EXIT_USAGE, "unknown command '%.60s'%s", name,
         did_you_mean(&near, "", "; `clattn --help` lists them"));
    return NULL;
}

static int help(int argc, char **argv)
{
    if (argc < 2)
        return print_help();
    const struct command *command = find(argv[1]);
    if (!command)
        return EXIT_USAGE;
    char name[32], option[] = "--help", *args[] = { name, option, NULL };
    snprintf(name, sizeof name, "%s", command->name);
    return command->run(2, args);
}

static int dispatch(int argc, char **argv)
{
    struct suggestion near = { .word = argc > 1 ? argv[1] : "" };

    if (argc < 2)
        return fail(EXIT_USAGE, "which command? `clattn --help` lists them");
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
        return print_help();
    if (strcmp(argv[1], "--version") == 0) {
        printf("clattn %s\n", clattn_version());
        return EXIT_OK;
    }
    if (strcmp(argv[1], "help") == 0)
        return help(argc - 1, argv + 1);
    if (argv[1][0] == '-') {
        suggest(&near, "--version");
        suggest(&near, "--help");
        return fail(EXIT_USAGE, "unknown option %.60s before a command%s", argv[1],
                    did_you_mean(&near, "", ""));
    }
    const struct command *command = find(argv[1]);
    return command ? command->run(argc - 1, argv + 1) : EXIT_USAGE;
}

/* What jansson cannot allocate is left out of what it prints. */
static void *json_memory(size_t size)
{
    void *memory = malloc(size);

    if (!memory)
        lacks_memory();
    return memory;
}

/* Neither a full disk behind stdout nor missing memory may look like a success. */
int main(int argc, char **argv)
{
    json_set_alloc_funcs(json_memory, free);
    if (argc == 2 && strcmp(argv[1], "tune-worker") == 0) /* started by `clattn tune` alone */
        return clattn_tune_worker();
    if (argc == 3 && strcmp(argv[1], "doctor-worker") == 0) /* by `clattn doctor` */
        return doctor_worker(argv[2]);
    const int code = dispatch(argc, argv);

    if ((fflush(stdout) != 0 || ferror(stdout)) && code == EXIT_OK)
        return fail(EXIT_INPUT, "cannot write to standard output");
    if (lacked_memory() && code == EXIT_OK)
        return fail(EXIT_INPUT, "out of memory: the output is not complete");
    return code;
}
