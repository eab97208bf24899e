/* SPDX-License-Identifier: Apache-2.0 */
/* What the measurements of native and OpenCL peaks share. */
#ifndef CLA_PEAKS_H
#define CLA_PEAKS_H

#include <stddef.h>

/* Bytes that are read in turn, so that the caches of the host have nothing of them left. */
size_t cla_peak_read_bytes(void);

#endif
