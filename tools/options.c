/* SPDX-License-Identifier: Apache-2.0 */
/* Parses and documents the options of a subcommand. A table ends with a NULL name. */
#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

enum { MAX_SIZE = (1 << 29) - 1 };  /* longest axis of the library */
enum { HELP = 1000, FIRST = 1001 }; /* getopt values of --help and of spec i: FIRST + i */

int parse_flag(void *target, const char *name, const char *value)
{
    (void)name, (void)value;
    *(bool *)target = true;
    return EXIT_OK;
}

int parse_text(void *target, const char *name, const char *value)
{
    (void)name;
    *(const char **)target = value;
    return EXIT_OK;
}

int parse_texts(void *target, const char *name, const char *value)
{
    struct texts *texts = target;

    if (texts->n == MAX_TEXTS)
        return fail(EXIT_USAGE, "--%s is given more than %d times", name, MAX_TEXTS);
    texts->text[texts->n++] = value;
    return EXIT_OK;
}

int read_ints(const char *text, int max, int64_t *out)
{
    for (int n = 0; n < max; n++) {
        char *end;
        errno = 0;
        const long long value = strtoll(text, &end, 10);
        if (end == text || errno || !strchr("+-0123456789", *text))
            return -1;
        out[n] = value;
        if (!*end)
            return n + 1;
        if (*end != ',')
            return -1;
        text = end + 1;
    }
    return -1;
}

int parse_sizes(const char *text, const char *grammar, int least, int most, int64_t *out)
{
    const int count = read_ints(text, most, out);

    if (count < least) {
        fail(EXIT_USAGE, "--shape: '%s' is not %s", text, grammar);
        return -1;
    }
    for (int i = 0; i < count; i++) {
        if (out[i] < 0 || out[i] > MAX_SIZE) {
            fail(EXIT_USAGE, "--shape: %" PRId64 " is not between 0 and %d", out[i], MAX_SIZE);
            return -1;
        }
    }
    return count;
}

void add_word(char *text, size_t size, const char *fmt, ...)
{
    const size_t n = strlen(text), gap = n > 0;
    va_list args;

    if (n + gap + 1 >= size)
        return;
    va_start(args, fmt);
    vsnprintf(text + n + gap, size - n - gap, fmt, args);
    va_end(args);
    if (gap && text[n + gap])
        text[n] = ' ';
}

int parse_int(void *target, const char *name, const char *value)
{
    if (read_ints(value, 1, target) != 1)
        return fail(EXIT_USAGE, "--%s: '%s' is not an integer", name, value);
    return EXIT_OK;
}

int parse_float(void *target, const char *name, const char *value)
{
    char *end;
    const float x = strtof(value, &end);

    if (end == value || *end || !isfinite(x))
        return fail(EXIT_USAGE, "--%s: '%s' is not a finite number", name, value);
    *(float *)target = x;
    return EXIT_OK;
}

/* A positive number at *at, which steps behind it; 0 when there is none. */
static double read_positive(const char **at)
{
    char *end;
    const double x = strtod(*at, &end);

    *at = end;
    return isfinite(x) && x > 0 ? x : 0;
}

int parse_seconds(void *target, const char *name, const char *value)
{
    const char *at = value;
    const double x = read_positive(&at);

    if (!x || *at)
        return fail(EXIT_USAGE, "--%s: '%s' is not a positive number", name, value);
    *(double *)target = x;
    return EXIT_OK;
}

int parse_peaks(void *target, const char *name, const char *value)
{
    const char *at = value;
    struct peaks p = { .gflops = read_positive(&at) };

    if (*at++ == ',')
        p.gbytes_per_s = read_positive(&at);
    if (!p.gflops || !p.gbytes_per_s || *at)
        return fail(EXIT_USAGE, "--%s: '%s' is not two positive numbers, GFLOP/s,GB/s", name,
                    value);
    *(struct peaks *)target = p;
    return EXIT_OK;
}

/* One of the first count types; there: which ones these are. */
static int choose_dtype(clattn_dtype *target, int count, const char *there, const char *name,
                        const char *value)
{
    static const clattn_dtype known[] = { CLATTN_F32, CLATTN_F16, CLATTN_BF16, CLATTN_I8,
                                          CLATTN_I4 };
    struct suggestion near = { .word = value };

    for (int i = 0; i < count; i++) {
        if (strcmp(value, clattn_dtype_name(known[i])) == 0) {
            *target = known[i];
            return EXIT_OK;
        }
        suggest(&near, clattn_dtype_name(known[i]));
    }
    return fail(EXIT_USAGE, "--%s: unknown dtype '%s', there are %s%s", name, value, there,
                did_you_mean(&near, "", ""));
}

int parse_dtype(void *target, const char *name, const char *value)
{
    return choose_dtype(target, 3, "f32, f16 and bf16", name, value);
}

int parse_storage(void *target, const char *name, const char *value)
{
    return choose_dtype(target, 5, "f32, f16, bf16, i8 and i4", name, value);
}

int parse_kernel(void *target, const char *name, const char *value)
{
    struct suggestion near = { .word = value };

    for (int i = 0; clattn_kernel_name(i); i++) {
        if (strcmp(value, clattn_kernel_name(i)) == 0)
            return parse_text(target, name, value);
        suggest(&near, clattn_kernel_name(i));
    }
    return fail(EXIT_USAGE, "--%s: unknown kernel '%s'%s", name, value,
                did_you_mean(&near, "", "; `clattn kernels` lists them"));
}

void options_append(struct option_spec *specs, int n, const struct option_spec *more)
{
    for (; more->name; more++)
        specs[n++] = *more;
    specs[n] = *more;
}

/* ------------------------------------------------------------------------------------------ */
/* Help                                                                                       */

static void print_option(const struct option_spec *spec)
{
    char head[64], letter[8] = "    ";
    const char *value = spec->value ? spec->value : "";

    if (spec->letter)
        snprintf(letter, sizeof letter, "-%c, ", spec->letter);
    snprintf(head, sizeof head, "%s--%s%s%s", letter, spec->name,
             *value && *value != '[' ? " " : "", value);
    for (const char *line = spec->help, *end; line; line = end ? end + 1 : NULL) {
        end = strchr(line, '\n');
        printf("  %-24s %.*s\n", line == spec->help ? head : "",
               end ? (int)(end - line) : (int)strlen(line), line);
    }
}

static void print_help(const struct usage *usage, const struct option_spec *specs)
{
    static const struct option_spec help = { "help", 'h', NULL, "print this text", NULL, NULL };

    printf("usage: clattn %s\n\n%s\noptions:\n", usage->synopsis, usage->text);
    for (const struct option_spec *s = specs; s->name; s++)
        print_option(s);
    print_option(&help);
    if (usage->after)
        printf("\n%s", usage->after);
}

/* The command's words of a synopsis: up to the first argument or option. */
static int words(const char *synopsis)
{
    int n = 0, end = 0;

    while (synopsis[n] && strchr("abcdefghijklmnopqrstuvwxyz- ", synopsis[n])
           && strncmp(synopsis + n, " --", 3) != 0) {
        n++;
        if (synopsis[n] == ' ' || !synopsis[n])
            end = n;
    }
    return end;
}

int usage_error(const struct usage *usage, const char *fmt, ...)
{
    char what[256];
    va_list args;

    va_start(args, fmt);
    vsnprintf(what, sizeof what, fmt, args);
    va_end(args);
    return fail(EXIT_USAGE, "%s; see `clattn %.*s --help`", what, words(usage->synopsis),
                usage->synopsis);
}

/* ------------------------------------------------------------------------------------------ */
/* Parsing                                                                                    */

static void fill_tables(const struct option_spec *specs, struct option *longs, char *shorts)
{
    int n = 0;

    *shorts++ = ':';
    *shorts++ = 'h';
    for (; specs[n].name; n++) {
        const char *value = specs[n].value;
        const int kind = !value          ? no_argument
                         : *value == '[' ? optional_argument
                                         : required_argument;
        longs[n] = (struct option){ specs[n].name, kind, NULL, FIRST + n };
        if (specs[n].letter) {
            *shorts++ = specs[n].letter;
            if (value)
                *shorts++ = ':';
        }
    }
    longs[n++] = (struct option){ "help", no_argument, NULL, HELP };
    longs[n] = (struct option){ 0 };
    *shorts = 0;
}

/* Says why getopt_long() refused a word. */
static int refuse(const struct option *longs, int why, int value, const char *word)
{
    char name[64];
    struct suggestion near = { .word = name };

    if (value >= HELP) {
        const struct option *known = longs;
        while (known->val != value)
            known++;
        return fail(EXIT_USAGE, why == ':' ? "--%s needs a value" : "--%s takes no value",
                    known->name);
    }
    if (value)
        return fail(EXIT_USAGE, why == ':' ? "-%c needs a value" : "unknown option -%c", value);
    snprintf(name, sizeof name, "%.*s", (int)strcspn(word + 2, "="), word + 2);
    for (; longs->name; longs++) {
        if (*name && strncmp(longs->name, name, strlen(name)) == 0)
            return fail(EXIT_USAGE, "--%s is ambiguous: --%s is not the only one that begins so",
                        name, longs->name);
        suggest(&near, longs->name);
    }
    return fail(EXIT_USAGE, "unknown option --%s%s", name, did_you_mean(&near, "--", ""));
}

static const struct option_spec *find(const struct option_spec *specs, int value)
{
    if (value >= FIRST)
        return &specs[value - FIRST];
    while (specs->letter != value)
        specs++;
    return specs;
}

bool options_parse(const struct usage *usage, const struct option_spec *specs, int argc,
                   char **argv, int *first, int *code)
{
    struct option longs[MAX_OPTIONS + 2];
    char shorts[2 * MAX_OPTIONS + 3];
    int value;

    fill_tables(specs, longs, shorts);
    opterr = 0;
    optind = 0; /* from the start, also when it has parsed another line before */
    while ((value = getopt_long(argc, argv, shorts, longs, NULL)) != -1) {
        if (value == 'h' || value == HELP) {
            print_help(usage, specs);
            *code = EXIT_OK;
            return false;
        }
        if (value == '?' || value == ':') {
            *code = refuse(longs, value, optopt, argv[optind - 1]);
            return false;
        }
        const struct option_spec *spec = find(specs, value);
        *code = spec->parse(spec->target, spec->name, optarg);
        if (*code != EXIT_OK)
            return false;
    }
    *first = optind;
    return true;
}

bool options_only(const struct usage *usage, const struct option_spec *specs, int argc, char **argv,
                  int *code)
{
    int first;

    if (!options_parse(usage, specs, argc, argv, &first, code))
        return false;
    if (argc == first)
        return true;
    *code = usage_error(usage, "it takes no arguments, options only");
    return false;
}

bool options_only_json(const struct usage *usage, int argc, char **argv, bool *json, int *code)
{
    const struct option_spec specs[] = {
        { "json", 0, NULL, "print JSON", parse_flag, json },
        { 0 },
    };

    return options_only(usage, specs, argc, argv, code);
}
