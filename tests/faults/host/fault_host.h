/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A library to preload that makes allocations and calls on files fail: those that clattn, the
 * program itself and the libraries that keep its data (SQLite, jansson) make. Drivers and run-time
 * libraries are not what is tested. Steered by the environment, or in the same process by what
 * dlsym(RTLD_DEFAULT, FAULT_HOST_STATE) finds:
 *
 *     FAULT_HOST_KIND    "memory" or "files"
 *     FAULT_HOST_AT      the call of this number fails, from 1; none without
 *     FAULT_HOST_STICKY  1: those after it fail too
 *     FAULT_HOST_REPORT  file for "CALLS FIRED NAME", at exit
 */
#ifndef FAULT_HOST_H
#define FAULT_HOST_H

#include <stdatomic.h>
#include <stdbool.h>

#define FAULT_HOST_STATE "fault_host_state"

typedef enum fault_kind { FAULT_NONE, FAULT_MEMORY, FAULT_FILES, FAULT_HOST_KINDS } fault_kind;

typedef struct fault_host {
    fault_kind kind;
    atomic_long at; /* 0: none */
    bool sticky;
    atomic_long calls, fired; /* of that kind */
    atomic_long live;         /* allocations that are not freed yet */
    const char *hit;          /* the first that failed */
} fault_host;

#endif
