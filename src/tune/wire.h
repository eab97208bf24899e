/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the tuner and its worker process say to each other: messages of a fixed layout over a
 * socket, each with its kind, its length and a checksum. Both ends are the same build of the
 * library, which the first message proves.
 */
#ifndef CLA_WIRE_H
#define CLA_WIRE_H

#include "bench.h"

typedef enum cla_message_kind {
    CLA_MESSAGE_OPEN = 1, /* to the worker: cla_message_open */
    CLA_MESSAGE_READY,    /* from it: cla_message_ready */
    CLA_MESSAGE_TRY,      /* to it: cla_message_try */
    CLA_MESSAGE_RESULT,   /* from it: cla_bench_result */
} cla_message_kind;

typedef struct cla_message_open {
    char build[64];  /* must be cla_wire_build() */
    char device[16]; /* selector */
    char name[128];  /* of that device, to be sure that it is the same one */
    char op[32];
    int32_t threads;
    uint64_t seed;
    cla_problem problem;
} cla_message_open;

typedef struct cla_message_ready {
    int32_t ready;
    char why_not[CLA_WHY];
} cla_message_ready;

typedef struct cla_message_try {
    char kernel[64];
    int32_t t[CLA_MAX_TUNABLES];
    int32_t fresh;
    double limit_us;
} cla_message_try;

/* Version and sizes: equal only for equal builds. */
const char *cla_wire_build(void);

/* False: the other end is gone, or takes no more. */
bool cla_wire_send(int fd, cla_message_kind kind, const void *body, size_t size);

typedef enum cla_wire_status {
    CLA_WIRE_OK,
    CLA_WIRE_GONE,    /* end of file or error */
    CLA_WIRE_LATE,    /* nothing complete within the time */
    CLA_WIRE_GARBAGE, /* not a message of this kind and size */
} cla_wire_status;

/* seconds: how long to wait; negative: for ever. */
cla_wire_status cla_wire_receive(int fd, cla_message_kind kind, void *body, size_t size,
                                 double seconds);

#endif
