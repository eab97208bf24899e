/* SPDX-License-Identifier: Apache-2.0 */
#include "child.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "session.h"

extern char **environ;

void own_path(char *path, size_t size)
{
    const ssize_t n = readlink("/proc/self/exe", path, size - 1);

    path[n > 0 ? n : 0] = '\0';
}

bool child_start(struct child *c, const char *command, const char *argument)
{
    char path[PATH_MAX], *argv[] = { path, (char *)command, (char *)argument, NULL };
    posix_spawn_file_actions_t files;
    int ends[2];

    own_path(path, sizeof path);
    c->used = c->taken = 0;
    c->late = false;
    if (pipe(ends))
        return false;
    fcntl(ends[0], F_SETFD, FD_CLOEXEC);
    fcntl(ends[1], F_SETFD, FD_CLOEXEC);
    int e = posix_spawn_file_actions_init(&files);
    if (e == 0) {
        posix_spawn_file_actions_adddup2(&files, ends[1], STDOUT_FILENO);
        e = posix_spawn(&c->pid, path, &files, NULL, argv, environ);
        posix_spawn_file_actions_destroy(&files);
    }
    close(ends[1]);
    c->fd = ends[0];
    if (e != 0)
        close(c->fd);
    errno = e;
    return e == 0;
}

/* More text; false: there is none, no room for it, or not in time. */
static bool read_more(struct child *c, double deadline)
{
    for (;;) {
        struct pollfd p = { c->fd, POLLIN, 0 };
        const double left = (deadline - now_us()) / 1000;
        const int ready = poll(&p, 1, left > 0 ? (int)left + 1 : 0);
        const ssize_t n =
            ready > 0 ? read(c->fd, c->text + c->used, sizeof c->text - 1 - c->used) : -1;
        if (n > 0)
            c->used += (size_t)n;
        if (n >= 0 || (ready == 0 && left <= 0)) {
            c->late = n < 0;
            return n > 0;
        }
        if (ready < 0 && errno != EINTR)
            return false;
    }
}

char *child_line(struct child *c, double seconds)
{
    const double deadline = now_us() + seconds * 1e6;

    for (;;) {
        c->text[c->used] = '\0';
        char *line = c->text + c->taken, *end = strchr(line, '\n');
        if (end) {
            *end = '\0';
            c->taken = (size_t)(end + 1 - c->text);
            return line;
        }
        c->used -= c->taken;
        memmove(c->text, line, c->used);
        c->taken = 0;
        if (!read_more(c, deadline))
            return NULL;
    }
}

int child_end(struct child *c, char *how, size_t size)
{
    int status = 0;

    close(c->fd);
    if (c->late)
        kill(c->pid, SIGKILL);
    while (waitpid(c->pid, &status, 0) < 0 && errno == EINTR)
        continue;
    how[0] = '\0';
    if (c->late)
        snprintf(how, size, "it does not come to an end");
    else if (WIFSIGNALED(status))
        snprintf(how, size, "it brings down its process: %s", strsignal(WTERMSIG(status)));
    else
        return WEXITSTATUS(status);
    return -1;
}
