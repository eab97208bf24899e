/* SPDX-License-Identifier: Apache-2.0 */
/* The device list and the choice among it. */
#include "select.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "env.h"

/* Letter case ignored. */
static bool contains(const char *text, const char *part)
{
    const size_t n = strlen(part);
    for (; strlen(text) >= n; text++) {
        size_t i = 0;
        while (i < n && tolower((unsigned char)text[i]) == tolower((unsigned char)part[i]))
            i++;
        if (i == n)
            return true;
    }
    return false;
}

/* The native CPU is index 0 of every list. */
static cla_cl_device native_device(void)
{
    cla_cl_device d = { NULL, NULL, { .caps = 0 } };
    const cla_env env = cla_env_read();
    const cla_cpu cpu = cla_cpu_of(env.num_threads, env.isa);
    cla_cpu_probe(&cpu, &d.dev);
    return d;
}

/* All devices, the native CPU first. */
static clattn_status list_all(clattn_ctx *ctx, bool probe, cla_cl_devices *all)
{
    CLA_TRY(cla_cl_list(ctx, probe, all));
    cla_cl_device *grown = realloc(all->list, ((size_t)all->count + 1) * sizeof *grown);
    if (!grown) {
        cla_cl_devices_free(all);
        return cla_fail(ctx, CLATTN_ERR_MEMORY, "out of host memory for the device list");
    }
    memmove(grown + 1, grown, (size_t)all->count * sizeof *grown);
    grown[0] = native_device();
    all->list = grown;
    all->count++;
    for (int i = 0; i < all->count; i++)
        grown[i].dev.info.index = i;
    return CLATTN_OK;
}

/* A GPU, else the native CPU: OpenCL on a CPU is there for testing, and slower. */
static int best(const cla_cl_device *all, int count)
{
    for (int i = 0; i < count; i++)
        if (all[i].dev.info.type == CLATTN_DEVICE_GPU)
            return i;
    return 0;
}

static int by_number(const char *selector, int count)
{
    char *end;
    const long i = strtol(selector, &end, 10);
    return *end == '\0' && i >= 0 && i < count ? (int)i : -1;
}

static int find(const cla_cl_device *all, int count, const char *selector)
{
    if (!selector)
        return best(all, count);
    if (strcmp(selector, "cpu") == 0)
        return 0;
    if (strcmp(selector, "opencl") == 0)
        return count > 1 ? 1 : -1;
    if (isdigit((unsigned char)selector[0]) && strspn(selector, "0123456789") == strlen(selector))
        return by_number(selector, count);
    for (int i = 0; i < count; i++)
        if (contains(all[i].dev.info.name, selector)
            || contains(all[i].dev.info.platform, selector))
            return i;
    return -1;
}

static clattn_status no_such_device(clattn_ctx *ctx, const cla_cl_devices *all,
                                    const char *selector)
{
    char names[512] = "", trouble[sizeof all->trouble + 4] = "";
    for (int i = 0; i < all->count; i++) {
        const size_t used = strlen(names);
        snprintf(names + used, sizeof names - used, "%s%d %s", i ? ", " : "", i,
                 all->list[i].dev.info.name);
    }
    if (all->trouble[0])
        snprintf(trouble, sizeof trouble, " (%s)", all->trouble);
    if (strcmp(selector, "opencl") == 0)
        return cla_fail(ctx, CLATTN_ERR_DEVICE, "there is no OpenCL device%s; there is: %s",
                        trouble, names);
    return cla_fail(ctx, CLATTN_ERR_DEVICE, "no device fits \"%.64s\"%s; there is: %s", selector,
                    trouble, names);
}

clattn_status cla_select_device(clattn_ctx *ctx, const char *selector, cla_cl_device *out)
{
    if (selector && strcmp(selector, "cpu") == 0) { /* no OpenCL driver is touched */
        *out = native_device();
        return CLATTN_OK;
    }
    cla_cl_devices all;
    CLA_TRY(list_all(ctx, false, &all));
    const int i = find(all.list, all.count, selector);
    clattn_status s = CLATTN_OK;
    if (i >= 0)
        *out = all.list[i];
    else
        s = no_such_device(ctx, &all, selector);
    cla_cl_devices_free(&all);
    return s;
}

clattn_status clattn_device_list(clattn_device_info **list, int *count)
{
    if (list)
        *list = NULL;
    if (!list || !count)
        return CLATTN_ERR_ARG;
    *count = 0;
    cla_cl_devices all;
    CLA_TRY(list_all(NULL, true, &all));
    const int n = all.count;
    clattn_device_info *infos = malloc((size_t)n * sizeof *infos);
    for (int i = 0; infos && i < n; i++)
        infos[i] = all.list[i].dev.info;
    cla_cl_devices_free(&all);
    if (!infos)
        return CLATTN_ERR_MEMORY;
    *list = infos;
    *count = n;
    return CLATTN_OK;
}

void clattn_device_list_free(clattn_device_info **list)
{
    if (!list)
        return;
    free(*list);
    *list = NULL;
}
