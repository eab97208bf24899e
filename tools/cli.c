/* SPDX-License-Identifier: Apache-2.0 */
/* Errors and suggestions of the command line. */
#include "cli.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static bool incomplete;
static const char *about;
static char last[1024];

void fail_subject(const char *subject)
{
    about = subject;
}

const char *fail_text(void)
{
    return last;
}

void lacks_memory(void)
{
    incomplete = true;
}

bool lacked_memory(void)
{
    return incomplete;
}

/* Results already printed come first, also when both streams go to one file. */
static void print(const char *text)
{
    fflush(stdout);
    if (about)
        fprintf(stderr, "clattn: %s: %s\n", about, text);
    else
        fprintf(stderr, "clattn: %s\n", text);
}

int fail(int code, const char *fmt, ...)
{
    char text[sizeof last]; /* the arguments may point into last */
    va_list args;

    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    memcpy(last, text, sizeof last);
    print(last);
    return code;
}

void say(const char *fmt, ...)
{
    char text[sizeof last];
    va_list args;

    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    print(text);
}

enum { MAX_WORD = 32 };

/* Edits between two words, a swap of neighbours being one (optimal string alignment). */
static int distance(const char *a, const char *b)
{
    const int n = (int)strlen(a), m = (int)strlen(b);
    int d[MAX_WORD + 1][MAX_WORD + 1];

    for (int i = 0; i <= n; i++)
        d[i][0] = i;
    for (int j = 0; j <= m; j++)
        d[0][j] = j;
    for (int i = 1; i <= n; i++) {
        for (int j = 1; j <= m; j++) {
            int best = d[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
            if (d[i - 1][j] + 1 < best)
                best = d[i - 1][j] + 1;
            if (d[i][j - 1] + 1 < best)
                best = d[i][j - 1] + 1;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]
                && d[i - 2][j - 2] + 1 < best)
                best = d[i - 2][j - 2] + 1;
            d[i][j] = best;
        }
    }
    return d[n][m];
}

void suggest(struct suggestion *s, const char *candidate)
{
    const size_t n = strlen(s->word), m = strlen(candidate);
    const int limit = n < 4 ? 1 : (int)n / 3; /* further away than this is another word */

    if (n > MAX_WORD || m > MAX_WORD)
        return;
    int d = distance(s->word, candidate);
    if (n >= 3 && m > n && strncmp(s->word, candidate, n) == 0)
        d = 0; /* the start of the candidate */
    if (d <= limit && (!s->best || d < s->distance)) {
        s->best = candidate;
        s->distance = d;
    }
}

const char *did_you_mean(const struct suggestion *s, const char *prefix, const char *otherwise)
{
    static char text[MAX_WORD + 40];

    if (!s->best)
        return otherwise;
    snprintf(text, sizeof text, "; did you mean %s%s?", prefix, s->best);
    return text;
}
