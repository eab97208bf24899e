/* SPDX-License-Identifier: Apache-2.0 */
/* This program once more, in a process of its own: what it prints, and how it ends. */
#ifndef CHILD_H
#define CHILD_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct child {
    pid_t pid;
    int fd;
    size_t used, taken; /* bytes of text that were read; of these, bytes that were given out */
    bool late;
    char text[1 << 15];
};

/* The path of this program, "" when it cannot be found out. */
void own_path(char *path, size_t size);

/* Starts it with two words on its command line. False: errno says why. */
bool child_start(struct child *c, const char *command, const char *argument);

/* The next line that it prints; NULL: there is none, or none within so many seconds. */
char *child_line(struct child *c, double seconds);

/* Waits for its end, or ends it if it is late. Returns its exit code; -1: how says what else. */
int child_end(struct child *c, char *how, size_t size);

#endif
