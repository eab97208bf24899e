/* SPDX-License-Identifier: Apache-2.0 */
/* Whole writes. */
#ifndef CLA_IO_H
#define CLA_IO_H

#include <stdbool.h>
#include <stddef.h>

/* To a file, or to a socket whose other end may be dead: that is an error, not a signal. */
bool cla_write_all(int fd, const void *data, size_t size);

#endif
