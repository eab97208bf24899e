/* SPDX-License-Identifier: Apache-2.0 */
#include "worker.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MAX_DEATHS = 3 };

#define START_SECONDS 60.0 /* at most: a driver's first start, and probing */
#define START_ANSWERS 20   /* and no longer than so many answers */
#define LEAVE_SECONDS 2.0  /* to end by itself */

extern char **environ;

/*
 * A process group of its own, so that a Ctrl-C at the terminal reaches the tuner and not the
 * candidate, which would look like a crash. Drivers that print get /dev/null.
 */
static int spawn(cla_worker *w, int socket)
{
    char *argv[] = { (char *)w->path, (char *)w->argument, NULL };
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    int e = posix_spawn_file_actions_init(&files);
    if (e != 0)
        return e;
    e = posix_spawnattr_init(&attributes);
    if (e == 0) {
        posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
        posix_spawn_file_actions_adddup2(&files, socket, 0);
        posix_spawn_file_actions_addopen(&files, 1, "/dev/null", O_WRONLY, 0);
        e = posix_spawn(&w->pid, w->path, &files, &attributes, argv, environ);
        posix_spawnattr_destroy(&attributes);
    }
    posix_spawn_file_actions_destroy(&files);
    return e;
}

/* Waits a little for the process to end, then ends it. */
static void reap(cla_worker *w, double seconds)
{
    const double deadline = cla_seconds() + seconds;
    const struct timespec nap = { 0, 5000000 };
    while (waitpid(w->pid, NULL, WNOHANG) == 0) {
        if (cla_seconds() > deadline) {
            kill(w->pid, SIGKILL);
            while (waitpid(w->pid, NULL, 0) < 0 && errno == EINTR)
                continue;
            break;
        }
        nanosleep(&nap, NULL);
    }
    w->pid = 0;
}

void cla_worker_stop(cla_worker *w)
{
    if (!w->pid)
        return;
    close(w->fd);
    reap(w, LEAVE_SECONDS);
}

static void discard(cla_worker *w)
{
    close(w->fd);
    reap(w, 0);
}

static bool greet(cla_worker *w, char *why, size_t size)
{
    static const char *const faults[] = {
        [CLA_WIRE_GONE] = "ended before it was ready; is it a worker of this version?",
        [CLA_WIRE_LATE] = "was not ready in time",
        [CLA_WIRE_GARBAGE] = "is no worker of this version",
    };
    cla_message_ready ready;
    cla_wire_status s = CLA_WIRE_GONE;
    if (cla_wire_send(w->fd, CLA_MESSAGE_OPEN, &w->open, sizeof w->open))
        s = cla_wire_receive(w->fd, CLA_MESSAGE_READY, &ready, sizeof ready,
                             fmin(START_SECONDS, START_ANSWERS * w->patience));
    if (s != CLA_WIRE_OK) {
        snprintf(why, size, "%.150s %s", w->path, faults[s]);
        return false;
    }
    ready.why_not[sizeof ready.why_not - 1] = '\0';
    if (!ready.ready)
        snprintf(why, size, "%s", ready.why_not);
    return ready.ready;
}

bool cla_worker_start(cla_worker *w, char *why, size_t size)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0) {
        snprintf(why, size, "no socket for a worker: %s", strerror(errno));
        return false;
    }
    fcntl(pair[0], F_SETFD, FD_CLOEXEC);
    fcntl(pair[1], F_SETFD, FD_CLOEXEC);
    const int e = spawn(w, pair[1]);
    close(pair[1]);
    w->fd = pair[0];
    if (e != 0) {
        close(w->fd);
        w->pid = 0;
        snprintf(why, size, "%.150s does not start: %s", w->path, strerror(e));
        return false;
    }
    if (greet(w, why, size))
        return true;
    cla_worker_stop(w);
    return false;
}

static cla_wire_status ask(cla_worker *w, const cla_message_try *message, cla_bench_result *result)
{
    if (!cla_wire_send(w->fd, CLA_MESSAGE_TRY, message, sizeof *message))
        return CLA_WIRE_GONE;
    return cla_wire_receive(w->fd, CLA_MESSAGE_RESULT, result, sizeof *result, w->patience);
}

static cla_fault died(cla_worker *w, cla_wire_status status, cla_bench_result *result)
{
    const bool late = status == CLA_WIRE_LATE;
    *result = (cla_bench_result){ .verdict = CLA_VERDICT_REJECTED };
    snprintf(result->why, sizeof result->why, "%s",
             late ? "it did not come to an end" : "it brought down its process");
    discard(w);
    if (++w->deaths >= MAX_DEATHS || !cla_worker_start(w, result->why, sizeof result->why))
        result->verdict = CLA_VERDICT_STOP;
    return late ? CLA_FAULT_HANG : CLA_FAULT_CRASH;
}

cla_fault cla_worker_sample(cla_worker *w, const cla_kernel *kernel, const int *t, bool fresh,
                            double limit_us, cla_bench_result *result)
{
    cla_message_try message = { .fresh = fresh, .limit_us = limit_us };
    snprintf(message.kernel, sizeof message.kernel, "%s", kernel->name);
    for (int i = 0; i < CLA_MAX_TUNABLES; i++)
        message.t[i] = t[i];
    const cla_wire_status status = ask(w, &message, result);
    if (status != CLA_WIRE_OK)
        return died(w, status, result);
    result->why[sizeof result->why - 1] = '\0';
    w->deaths = 0;
    return CLA_FAULT_NONE;
}
