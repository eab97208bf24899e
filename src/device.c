/* SPDX-License-Identifier: Apache-2.0 */
#include "device.h"

#include <stdio.h>
#include <string.h>

void cla_dev_lose_wgmma(cla_dev *dev, const char *why)
{
    char *text = dev->info.why_not;
    const size_t used = strlen(text);
    dev->caps &= ~(uint32_t)CLA_CAP_WGMMA;
    snprintf(text + used, sizeof dev->info.why_not - used,
             "%s the matrix unit of warpgroups (%s)", used ? "," : "without", why);
}
