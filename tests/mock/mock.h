/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An OpenCL driver that plays devices from a table: it answers for them, keeps to their limits and
 * computes nothing. What it was asked that the device could not do it writes down.
 */
#ifndef MOCK_H
#define MOCK_H

#include <CL/cl.h>
#include <stdbool.h>
#include <stddef.h>

#include "device.h"

#define MOCK_STATE "mock_driver_state"

enum { MOCK_PLATFORMS = 2 };

typedef struct mock_device {
    const char *name, *vendor, *driver, *version, *extensions;
    int platform;
    cl_device_type type;
    cl_uint units;
    size_t max_work_group, max_items[3];
    cl_ulong local_bytes, global_bytes, max_alloc;
    cl_uint vector_floats;
    bool fp16, fp64, subgroups; /* what works, whatever the extensions say */
    cl_uint chip_major, chip_minor; /* of NVIDIA's chips: its programs are PTX; else 0 */
    cl_uint gfx_major;              /* of AMD's chips; else 0 */
    size_t sub_group;               /* work-items of the smallest, of Intel's; else 0 */
    cla_tile tile;                  /* the matrix engine that works; 0: none does */
    cl_ulong declared_local;        /* local memory in arrays of fixed size, where that is more */
    bool switched_off, no_compiler, miscomputes;
    bool odd; /* no device that is sold */
} mock_device;

extern const mock_device mock_devices[]; /* name NULL ends */

typedef struct mock_state {
    const mock_device *devices;
    bool (*is_listed)(const mock_device *device); /* NULL: all of them */
    const char *bad_source; /* programs with this text do not build; NULL: all do */
    const char *ptx_target; /* of programs of the chip; NULL: sm_90 */
    bool no_marks;          /* their marked comments are gone */
    const char *no_binary;  /* programs are not made of binaries with this text; NULL: all are */
    cl_int binary_code;     /* why not */
    const char *no_kernel;  /* kernels of this name are not made */
    size_t compiled_for;    /* work-items that kernels run with at most; 0: as the device */
    bool wrong_products;    /* probe_wgmma finds them */
    long lose_after;        /* launches until the device is gone; negative: it stays */
    long launches, live;    /* kernels launched; references to objects */
    char violation[512];    /* the first; "": none */
} mock_state;

#endif
