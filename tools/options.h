/* SPDX-License-Identifier: Apache-2.0 */
/* Options of a subcommand: a table that is parsed with getopt_long() and printed as help. */
#ifndef OPTIONS_H
#define OPTIONS_H

#include <clattn/clattn.h>

#include "cli.h"

enum { MAX_OPTIONS = 32, MAX_TEXTS = 16 };

/* Stores a value; value is NULL for a flag. Returns EXIT_OK, or fail(EXIT_USAGE, ...). */
typedef int (*option_parser)(void *target, const char *name, const char *value);

struct option_spec {
    const char *name;  /* without the dashes */
    char letter;       /* 0: no short form */
    const char *value; /* placeholder for help; NULL: a flag; "[...": may be left out, as --x=V */
    const char *help;
    option_parser parse;
    void *target;
};

struct usage {
    const char *synopsis; /* "attention Q.npy K.npy V.npy -o O.npy [options]" */
    const char *text;     /* what it does, whole lines */
    const char *after;    /* printed behind the options: examples; may be NULL */
};

/* Repeatable option. */
struct texts {
    int n;
    const char *text[MAX_TEXTS];
};

int parse_flag(void *target, const char *name, const char *value);   /* bool */
int parse_text(void *target, const char *name, const char *value);   /* const char * */
int parse_texts(void *target, const char *name, const char *value);  /* struct texts */
int parse_int(void *target, const char *name, const char *value);    /* int64_t */
int parse_float(void *target, const char *name, const char *value);  /* float, finite */
int parse_dtype(void *target, const char *name, const char *value);  /* clattn_dtype */
int parse_storage(void *target, const char *name, const char *value); /* that of a cache */
int parse_kernel(void *target, const char *name, const char *value); /* const char *, registered */
int parse_peaks(void *target, const char *name, const char *value);  /* struct peaks */
int parse_seconds(void *target, const char *name, const char *value); /* double, above 0 */

/* Reads up to max integers separated by commas; returns how many, -1 if the text is not that. */
int read_ints(const char *text, int max, int64_t *out);

/*
 * Reads least to most sizes of a --shape; returns how many, or -1 after fail(EXIT_USAGE). grammar:
 * "rows,out,in".
 */
int parse_sizes(const char *text, const char *grammar, int least, int most, int64_t *out);

/* Appends a word to a text of words, which begins as "". */
void add_word(char *text, size_t size, const char *fmt, ...) CLI_PRINTF(3, 4);

/* What a device can reach: f32 multiply-adds, reading from memory, and products of bf16. */
struct peaks {
    double gflops, gbytes_per_s;
    double bf16_gflops; /* 0: those of f32 */
};

/* What most subcommands take. */
struct common {
    const char *device, *kernel;
    clattn_dtype dtype;
    struct peaks peaks;   /* zeros: to be measured */
    clattn_effort effort; /* of the context */
    bool json, verbose;
};

#define OPTION_DEVICE(c)                                                         \
    {                                                                            \
        "device", 0, "S",                                                        \
            "cpu (native), opencl (the first), an index, or a part of a name;\n" \
            "default: $CLATTN_DEVICE, else the best device",                     \
            parse_text, &(c).device                                              \
    }
#define OPTION_DTYPE(c)                                                                       \
    {                                                                                         \
        "dtype", 0, "T", "storage type: f32, f16 or bf16 (default f32); sums are f32 always", \
            parse_dtype, &(c).dtype                                                           \
    }
#define OPTION_KERNEL(c)                                                                     \
    {                                                                                        \
        "kernel", 0, "NAME", "a name of `clattn kernels`; default: the dispatcher's choice", \
            parse_kernel, &(c).kernel                                                        \
    }
#define OPTION_PEAKS(c)                                                              \
    {                                                                                \
        "peaks", 0, "GFLOPS,GB",                                                     \
            "what the device can reach, GFLOP/s and GB/s of reading, for the floor;\n" \
            "default: measured, in about 0.3 s",                                     \
            parse_peaks, &(c).peaks                                                  \
    }
#define OPTION_JSON(c)                                       \
    {                                                        \
        "json", 0, NULL, "print JSON", parse_flag, &(c).json \
    }
#define OPTION_VERBOSE(c)                                                                     \
    {                                                                                         \
        "verbose", 'v', NULL, "say on stderr what the library does", parse_flag, &(c).verbose \
    }

/* The options of every subcommand that runs an operation. */
#define OPTIONS_OF_RUN(c) \
    OPTION_DTYPE(c), OPTION_DEVICE(c), OPTION_KERNEL(c), OPTION_PEAKS(c), OPTION_JSON(c), \
        OPTION_VERBOSE(c)

/* Puts a table behind the n options of specs. */
void options_append(struct option_spec *specs, int n, const struct option_spec *more);

/*
 * Parses argv. The positional arguments end up in argv[*first] .. argv[argc - 1].
 * Returns true to go on; false to leave with *code: an error was printed, or the help was.
 */
bool options_parse(const struct usage *usage, const struct option_spec *specs, int argc,
                   char **argv, int *first, int *code);

/* The same for a command that has no positional arguments. */
bool options_only(const struct usage *usage, const struct option_spec *specs, int argc, char **argv,
                  int *code);

/* The same for a command that takes --json and nothing else. */
bool options_only_json(const struct usage *usage, int argc, char **argv, bool *json, int *code);

/* One line: what is wrong, and how to get help. Returns EXIT_USAGE. */
int usage_error(const struct usage *usage, const char *fmt, ...) CLI_PRINTF(2, 3);

#endif
