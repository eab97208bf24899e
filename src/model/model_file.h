/* SPDX-License-Identifier: Apache-2.0 */
/* Files of a model folder: mapped, or read as text or JSON. */
#ifndef CLM_MODEL_FILE_H
#define CLM_MODEL_FILE_H

#include <jansson.h>

#include "fault.h"

/* "DIR/NAME", to be freed; NULL without memory. */
char *clm_path(const char *dir, const char *name);

/* Is there such a file in the folder? */
bool clm_has_file(const char *dir, const char *name);

/* Maps a regular file that is not empty; unmapped by clm_unmap(). */
bool clm_map(const char *path, const void **bytes, size_t *size, clm_fault *f);
void clm_unmap(const void *bytes, size_t size);

/* A JSON file whose root is an object; keys must not repeat. */
bool clm_read_json(const char *dir, const char *name, json_t **out, clm_fault *f);

/* The same for bytes; what: named in the sentence. */
bool clm_parse_json(const char *what, const void *bytes, size_t size, json_t **out, clm_fault *f);

#endif
