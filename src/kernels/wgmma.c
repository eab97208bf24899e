/* SPDX-License-Identifier: Apache-2.0 */
#include "wgmma.h"

bool cla_wgmma_is_whole(const cla_view *view, int64_t width)
{
    enum { CHUNK = 8 }; /* elements of 16 bytes */
    for (int i = 0; i < 3; i++)
        if (view->stride[i] < 0 || view->stride[i] % CHUNK != 0)
            return false;
    return width % CHUNK == 0;
}
