/* SPDX-License-Identifier: Apache-2.0 */
#include "wire.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "io.h"

typedef struct header {
    uint32_t magic, kind, size, check;
} header;

#define MAGIC 0x434c4154u /* "CLAT" */

const char *cla_wire_build(void)
{
    static char text[64];
    size_t sizes = 0;
    for (int i = 0; cla_ops[i]; i++)
        sizes = 31 * sizes + cla_ops[i]->size;
    snprintf(text, sizeof text, "clattn %s %zx", clattn_version(), sizes);
    return text;
}

/* FNV-1a. */
static uint32_t checksum(const void *body, size_t size)
{
    const unsigned char *bytes = body;
    uint32_t x = 2166136261u;
    for (size_t i = 0; i < size; i++)
        x = (x ^ bytes[i]) * 16777619u;
    return x;
}

bool cla_wire_send(int fd, cla_message_kind kind, const void *body, size_t size)
{
    const header h = { MAGIC, (uint32_t)kind, (uint32_t)size, checksum(body, size) };
    return cla_write_all(fd, &h, sizeof h) && cla_write_all(fd, body, size);
}

static cla_wire_status get(int fd, void *data, size_t size, double deadline)
{
    char *at = data;
    while (size > 0) {
        struct pollfd p = { fd, POLLIN, 0 };
        const double left = deadline - cla_seconds();
        const int ms = deadline < 0 ? -1 : left <= 0 ? 0 : (int)(left * 1000) + 1;
        const int ready = poll(&p, 1, ms);
        if (ready < 0 && errno == EINTR)
            continue;
        if (ready == 0)
            return CLA_WIRE_LATE;
        const ssize_t n = ready < 0 ? -1 : read(fd, at, size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return CLA_WIRE_GONE;
        at += n;
        size -= (size_t)n;
    }
    return CLA_WIRE_OK;
}

cla_wire_status cla_wire_receive(int fd, cla_message_kind kind, void *body, size_t size,
                                 double seconds)
{
    const double deadline = seconds < 0 ? -1 : cla_seconds() + seconds;
    header h;
    cla_wire_status s = get(fd, &h, sizeof h, deadline);
    if (s != CLA_WIRE_OK)
        return s;
    if (h.magic != MAGIC || h.kind != (uint32_t)kind || h.size != size)
        return CLA_WIRE_GARBAGE;
    s = get(fd, body, size, deadline);
    if (s == CLA_WIRE_OK && h.check != checksum(body, size))
        s = CLA_WIRE_GARBAGE;
    return s;
}
