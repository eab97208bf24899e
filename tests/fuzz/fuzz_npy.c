/* SPDX-License-Identifier: Apache-2.0 */
/* libFuzzer entry for the .npy parser: reads every byte that the parser says is data. */
#include <stdlib.h>

#include "npy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct npy npy;
    char err[160];

    if (npy_parse(data, size, &npy, err, sizeof err)) {
        volatile uint8_t sum = 0;
        for (size_t i = 0; i < npy.count * npy.item_size; i++)
            sum = (uint8_t)(sum + ((const uint8_t *)npy.data)[i]);
        if (npy.data_offset + npy.count * npy.item_size != size)
            abort();
    }
    return 0;
}
