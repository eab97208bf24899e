/* SPDX-License-Identifier: Apache-2.0 */
/* libFuzzer entry for the safetensors parser: reads every byte that it says is a tensor's. */
#include <string.h>

#include "safetensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    clm_safetensors file = { 0 };
    clm_fault fault;
    if (clm_safetensors_parse("file", data, size, &file, &fault)) {
        volatile uint8_t sum = 0;
        for (size_t i = 0; i < file.count; i++) {
            const clm_stored *t = clm_safetensors_find(&file, file.tensors[i].name);
            for (size_t k = 0; t && k < t->bytes; k++)
                sum = (uint8_t)(sum + ((const uint8_t *)t->data)[k]);
        }
    }
    clm_safetensors_close(&file);
    return 0;
}
