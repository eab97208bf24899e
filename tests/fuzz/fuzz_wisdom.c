/* SPDX-License-Identifier: Apache-2.0 */
/* libFuzzer entry for tuning results in JSON: loaded, merged, taken into a store, written. */
#include <clattn/tuning.h>
#include <stdint.h>
#include <stdlib.h>

#include "cli.h"
#include "memory_file.h"
#include "wisdom.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char path[MEMORY_PATH];
    static int file = -1;
    struct wisdom wisdom = { 0 };
    clattn_results *results;

    if (file < 0)
        file = memory_file(path);
    memory_file_set(file, data, size);
    if (clattn_results_open(false, &results) != CLATTN_OK)
        abort();
    if (wisdom_load(&wisdom, path) == EXIT_OK) {
        wisdom_merge(&wisdom);
        for (size_t i = 0; i < wisdom.n; i++)
            (void)clattn_results_add(results, &wisdom.entry[i].result);
        json_decref(wisdom_json(&wisdom));
    }
    wisdom_free(&wisdom);
    clattn_results_close(&results);
    return 0;
}
