/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The programs of probes whose parts and options are more than a line: opencl/probe.h runs them on
 * a device, the compile gates compile them for devices that are not here.
 */
#ifndef CLA_PROBES_H
#define CLA_PROBES_H

#include "kernel.h"

/* A kernel of two arguments, in (float[4]) and out (uint[4096]), zeros; one work-group of items. */
typedef struct cla_probe {
    const char *name; /* of the entry point */
    const cla_blob *parts[CLA_MAX_PARTS];
    const char *options;
    float in[4];
    size_t items;
    size_t others; /* further work-groups of as many */
    bool marked;   /* it has marked instructions, see opencl/two_step.h */
} cla_probe;

/* The probe of cl/tile.clh for a matrix engine and T_F16 or T_BF16. */
void cla_tile_probe(cla_tile tile, clattn_dtype type, char options[64], cla_probe *out);

/* The probe of cl/wgmma.clh; it answers how many work-items have the right products, all of: */
enum { CLA_WGMMA_PROBE_ITEMS = 256 };
void cla_wgmma_probe(cla_probe *out);

#endif
