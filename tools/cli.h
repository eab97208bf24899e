/* SPDX-License-Identifier: Apache-2.0 */
/* What every subcommand shares: exit codes, one sentence per error, "did you mean". */
#ifndef CLI_H
#define CLI_H

#include <stdbool.h>

#define CLI_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))

enum {
    EXIT_OK = 0,
    EXIT_MISMATCH = 1,  /* verify: a result is outside its bound */
    EXIT_USAGE = 2,     /* the command line makes no sense */
    EXIT_NO_DEVICE = 3, /* no device fits, or the device failed */
    EXIT_INPUT = 4,     /* a file or a problem is bad, or I/O failed */
};

struct command {
    const char *name;
    const char *summary;               /* one line for `clattn --help` */
    int (*run)(int argc, char **argv); /* argv[0] is the name; returns an exit code */
};

extern const struct command cmd_linear_attention;
extern const struct command cmd_doctor, cmd_tune, cmd_wisdom;

/* What doctor does in processes of its own: "list", or a device selector; returns an exit code. */
int doctor_worker(const char *what);
extern const struct command cmd_devices, cmd_kernels, cmd_attention, cmd_argmax, cmd_project,
    cmd_run, cmd_verify, cmd_bench, cmd_cost;
extern const struct command cmd_generate, cmd_fill, cmd_embed, cmd_heads, cmd_heatmap;

/* Prints "clattn: SUBJECT: sentence" on stderr and returns code. */
int fail(int code, const char *fmt, ...) CLI_PRINTF(2, 3);

/* What the next errors are about (a case); NULL: nothing in particular. Keeps the pointer. */
void fail_subject(const char *subject);

/* The sentence of the last fail(), without subject; "" before any. */
const char *fail_text(void);

/*
 * Memory ran out under something that is printed, and a part of it is missing. The program says so
 * and fails when the command ends.
 */
void lacks_memory(void);
bool lacked_memory(void);

/* Prints "clattn: sentence" on stderr, as fail() does; nothing failed. */
void say(const char *fmt, ...) CLI_PRINTF(1, 2);

/*
 * The candidate nearest to a mistyped word. Start with { .word = word }, offer every candidate;
 * best stays NULL when nothing is near.
 */
struct suggestion {
    const char *word, *best;
    int distance;
};

void suggest(struct suggestion *s, const char *candidate);

/* "; did you mean PREFIXbest?" in a static buffer; otherwise, when nothing was near. */
const char *did_you_mean(const struct suggestion *s, const char *prefix, const char *otherwise);

#endif
