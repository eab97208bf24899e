/* SPDX-License-Identifier: Apache-2.0 */
/* Built without libmd: no compiled program is kept. */
#include "binary_file.h"

bool cla_binary_is_built_in(void)
{
    return false;
}

void cla_sha256_text(const void *bytes, size_t size, char out[CLA_SHA256_TEXT])
{
    (void)bytes, (void)size;
    out[0] = '\0';
}

bool cla_binary_read(const char *folder, const char *key, unsigned char **bytes, size_t *size)
{
    (void)folder, (void)key, (void)bytes, (void)size;
    return false;
}

bool cla_binary_write(const char *folder, const char *key, const unsigned char *bytes,
                      size_t size)
{
    (void)folder, (void)key, (void)bytes, (void)size;
    return false;
}

void cla_binary_remove(const char *folder, const char *key)
{
    (void)folder, (void)key;
}
