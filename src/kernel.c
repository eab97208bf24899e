/* SPDX-License-Identifier: Apache-2.0 */
/* What follows from a descriptor: its configurations, their legality, texts and -D strings. */
#include "kernel.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *clattn_kernel_name(int i)
{
    if (i < 0)
        return NULL;
    int named = 0;
    for (int n = 0; cla_kernels[n]; n++)
        if (cla_kernels[n]->stage < CLA_STAGE_HELPER && named++ == i)
            return cla_kernels[n]->name;
    return NULL;
}

const cla_kernel *cla_kernel_find(const char *name)
{
    for (int i = 0; cla_kernels[i]; i++)
        if (strcmp(cla_kernels[i]->name, name) == 0)
            return cla_kernels[i];
    return NULL;
}

bool cla_kernel_is_native(const cla_kernel *kernel)
{
    return kernel->native != NULL;
}

int cla_kernel_num_tunables(const cla_kernel *kernel)
{
    int n = 0;
    while (n < CLA_MAX_TUNABLES && kernel->tunables[n].name)
        n++;
    return n;
}

void cla_kernel_safe_config(const cla_kernel *kernel, int *t)
{
    for (int i = 0; i < CLA_MAX_TUNABLES; i++)
        t[i] = kernel->tunables[i].safe;
}

/* Kernels declare arrays of fixed size. */
static size_t local_room(const cla_dev *dev)
{
    return dev->declared_local > dev->info.local_bytes ? dev->declared_local
                                                       : dev->info.local_bytes;
}

static bool fits_device(const cla_kernel *kernel, const cla_dev *dev, const void *problem,
                        const int *t)
{
    const cla_geometry g = kernel->geometry(problem, t);
    size_t work_group = 1;
    for (int i = 0; i < g.dims; i++) {
        work_group *= g.local[i];
        if (g.local[i] > dev->max_items[i])
            return false;
    }
    return work_group <= dev->info.max_work_group
        && (!kernel->local_bytes || kernel->local_bytes(problem, t) <= local_room(dev));
}

int cla_priority_only(const cla_dev *dev, const void *problem)
{
    (void)dev;
    (void)problem;
    return 0;
}

int cla_priority_portable(const cla_dev *dev, const void *problem)
{
    (void)problem;
    return dev->info.type == CLATTN_DEVICE_CPU ? 10 : 50;
}

bool cla_ok_always(const cla_dev *dev, const void *problem, const int *t)
{
    (void)dev;
    (void)problem;
    (void)t;
    return true;
}

/* PoCL and its like run work-groups in a loop; every GPU can count to 65535. */
bool cla_launches(const cla_dev *dev, size_t groups_y, size_t groups_z)
{
    return dev->info.type == CLATTN_DEVICE_CPU || (groups_y <= 65535 && groups_z <= 65535);
}

cla_geometry cla_groups(size_t groups, int items)
{
    const size_t wg = (size_t)items;
    return (cla_geometry){ 1, { groups * wg, 1, 1 }, { wg, 1, 1 } };
}

cla_geometry cla_single_items(size_t x, size_t y, size_t z)
{
    return (cla_geometry){ 3, { x, y, z }, { 1, 1, 1 } };
}

bool cla_kernel_is_for(const cla_kernel *kernel, const cla_dev *dev)
{
    const bool native = dev->info.type == CLATTN_DEVICE_NATIVE;
    return cla_kernel_is_native(kernel) == native && (kernel->needs & ~dev->caps) == 0;
}

bool cla_kernel_legal(const cla_kernel *kernel, const cla_dev *dev, const void *problem,
                      const int *t)
{
    return cla_kernel_is_for(kernel, dev) && kernel->ok(dev, problem, t)
        && (cla_kernel_is_native(kernel) || fits_device(kernel, dev, problem, t));
}

static int num_choices(const cla_tunable *tunable)
{
    int n = 0;
    while (n < CLA_MAX_CHOICES && tunable->choices[n])
        n++;
    return n;
}

void cla_config_first(const cla_kernel *kernel, int *t)
{
    for (int i = 0; i < CLA_MAX_TUNABLES; i++)
        t[i] = kernel->tunables[i].choices[0];
}

bool cla_config_next(const cla_kernel *kernel, int *t)
{
    for (int i = 0; i < cla_kernel_num_tunables(kernel); i++) {
        const cla_tunable *tunable = &kernel->tunables[i];
        const int n = num_choices(tunable);
        int at = 0;
        while (at < n && tunable->choices[at] != t[i])
            at++;
        if (at + 1 < n) {
            t[i] = tunable->choices[at + 1];
            return true;
        }
        t[i] = tunable->choices[0];
    }
    return false;
}

/* Text that grows, as snprintf counts: at may pass size. */
typedef struct text {
    char *out;
    size_t size;
    int at;
} text;

static void append(text *s, const char *prefix, const char *name, int value)
{
    const size_t used = (size_t)s->at < s->size ? (size_t)s->at : s->size;
    s->at += snprintf(s->out + used, s->size - used, "%s%s=%d", prefix, name, value);
}

int cla_config_text(const cla_kernel *kernel, const int *t, char *out, size_t size)
{
    text s = { out, size, 0 };
    if (size)
        out[0] = '\0';
    for (int i = 0; i < cla_kernel_num_tunables(kernel); i++)
        append(&s, i ? " " : "", kernel->tunables[i].name, t[i]);
    return s.at;
}

static bool is_choice(const cla_tunable *tunable, long value)
{
    for (int i = 0; i < num_choices(tunable); i++)
        if (tunable->choices[i] == value)
            return true;
    return false;
}

/* Reads "NAME=value" at *at into t and steps over it; bit i of *seen is for tunable i. */
static bool parse_pair(const cla_kernel *kernel, const char **at, int *t, unsigned *seen)
{
    const size_t length = strcspn(*at, "=");
    char *end;
    if ((*at)[length] != '=')
        return false;
    const long value = strtol(*at + length + 1, &end, 10);
    if (end == *at + length + 1 || (*end && *end != ' '))
        return false;
    for (int i = 0; i < cla_kernel_num_tunables(kernel); i++) {
        const cla_tunable *tunable = &kernel->tunables[i];
        if (strlen(tunable->name) != length || strncmp(tunable->name, *at, length) != 0)
            continue;
        if (*seen & 1u << i || !is_choice(tunable, value))
            return false;
        *seen |= 1u << i;
        t[i] = (int)value;
        *at = *end ? end + 1 : end;
        return true;
    }
    return false;
}

bool cla_config_parse(const cla_kernel *kernel, const char *config, int *t)
{
    unsigned seen = 0;
    cla_kernel_safe_config(kernel, t);
    while (*config)
        if (!parse_pair(kernel, &config, t, &seen))
            return false;
    return seen == (1u << cla_kernel_num_tunables(kernel)) - 1;
}

int cla_kernel_options(const cla_kernel *kernel, const void *problem, const int *t, char *out,
                       size_t size)
{
    text s = { out, size, 0 };
    s.at = snprintf(out, size, "-cl-std=CL1.2");
    for (int i = 0; i < cla_kernel_num_tunables(kernel); i++)
        if (!kernel->tunables[i].run_time)
            append(&s, " -D", kernel->tunables[i].name, t[i]);
    for (int i = 0; i < CLA_MAX_CONSTANTS && kernel->constants[i].name; i++) {
        int32_t value;
        memcpy(&value, (const char *)problem + kernel->constants[i].offset, sizeof value);
        append(&s, " -D", kernel->constants[i].name, value);
    }
    return s.at;
}
