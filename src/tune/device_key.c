/* SPDX-License-Identifier: Apache-2.0 */
/* What a device, its driver and the sources of a kernel are called in results. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "bucket.h"

/* Drivers send what they like; keys are printable ASCII, so that every file can hold them. */
static void make_plain(char *text)
{
    for (; *text; text++)
        if (*text < ' ' || *text > '~')
            *text = '?';
}

static void native_key(const cla_dev *dev, cla_device_key *out)
{
    const clattn_device_info *info = &dev->info;
    snprintf(out->device, sizeof out->device, "native | %s | %s | %d threads", info->name,
             info->driver, info->compute_units);
    snprintf(out->driver, sizeof out->driver, "compiler %s", __VERSION__);
    snprintf(out->kind, sizeof out->kind, "native %.20s", info->driver);
}

static void opencl_key(const cla_dev *dev, cla_device_key *out)
{
    const clattn_device_info *info = &dev->info;
    snprintf(out->device, sizeof out->device, "%s | %s | %s | %d units, %zu local, %zu items",
             info->platform, info->vendor, info->name, info->compute_units, info->local_bytes,
             info->max_work_group);
    snprintf(out->driver, sizeof out->driver, "%s | %s | %s", info->driver, info->version,
             dev->platform_version);
    if (info->type == CLATTN_DEVICE_CPU)
        snprintf(out->kind, sizeof out->kind, "cpu vector%d", dev->vector_floats);
    else
        snprintf(out->kind, sizeof out->kind, "%s",
                 info->type == CLATTN_DEVICE_GPU ? "gpu" : "other");
}

void cla_device_key_of(const cla_dev *dev, cla_device_key *out)
{
    if (dev->info.type == CLATTN_DEVICE_NATIVE)
        native_key(dev, out);
    else
        opencl_key(dev, out);
    make_plain(out->device);
    make_plain(out->driver);
    make_plain(out->kind);
}

/* FNV-1a: it tells texts apart, and guards against nobody. */
uint64_t cla_mix_text(uint64_t hash, const char *text)
{
    for (; *text; text++)
        hash = (hash ^ (unsigned char)*text) * UINT64_C(0x100000001b3);
    return hash;
}

static uint64_t mix_kernel(uint64_t hash, const cla_kernel *kernel)
{
    for (int i = 0; kernel && i < CLA_MAX_PARTS && kernel->parts[i]; i++)
        hash = cla_mix_text(hash, kernel->parts[i]->digest);
    return hash;
}

void cla_kernel_source_key(const cla_kernel *kernel, char out[CLA_SOURCE_TEXT])
{
    uint64_t hash = CLA_MIX_START;
    if (cla_kernel_is_native(kernel)) {
        hash = cla_mix_text(hash, cla_native_digest);
    } else {
        hash = mix_kernel(hash, kernel);
        hash = mix_kernel(hash, kernel->before);
        hash = mix_kernel(hash, kernel->before ? kernel->before->after : NULL);
        hash = mix_kernel(hash, kernel->after);
    }
    snprintf(out, CLA_SOURCE_TEXT, "%016" PRIx64, hash);
}
