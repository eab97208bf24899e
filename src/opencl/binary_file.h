/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files of compiled programs. A driver runs what is in them, and some abort on damage: a file is
 * handed out only when its whole content has the SHA-256 it was written with. That guards against
 * damage; against other users the folder does, which is this user's alone.
 *
 * Built without libmd, binary_file_none.c answers.
 */
#ifndef CLA_BINARY_FILE_H
#define CLA_BINARY_FILE_H

#include <stdbool.h>
#include <stddef.h>

/* False: the build has no SHA-256. */
bool cla_binary_is_built_in(void);

enum { CLA_SHA256_TEXT = 65 };
void cla_sha256_text(const void *bytes, size_t size, char out[CLA_SHA256_TEXT]);

/*
 * The key says all that the binary depends on; a file of another key is none. *bytes is malloc'ed.
 * False: there is none, or it was damaged and is gone now.
 */
bool cla_binary_read(const char *folder, const char *key, unsigned char **bytes, size_t *size);

/* Appears whole or not at all; then makes room by deleting what was not used for longest. */
bool cla_binary_write(const char *folder, const char *key, const unsigned char *bytes,
                      size_t size);

void cla_binary_remove(const char *folder, const char *key);

#endif
