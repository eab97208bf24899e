/* SPDX-License-Identifier: Apache-2.0 */
#include "weights.h"

#include <stdlib.h>
#include <string.h>

#include "model_file.h"

static const char WHOLE[] = "model.safetensors", INDEX[] = "model.safetensors.index.json";

enum { MAX_FILES = 1024 };

static bool open_file(const char *dir, const char *name, clm_weights *w, clm_fault *f)
{
    char *path = clm_path(dir, name);
    if (!path)
        return clm_out_of_memory(f);
    const bool ok = clm_safetensors_open(path, &w->files[w->num_files], f);
    w->num_files += ok;
    free(path);
    return ok;
}

/* ---- one file ---- */

static bool open_whole(const char *dir, clm_weights *w, clm_fault *f)
{
    w->name = WHOLE;
    w->files = calloc(1, sizeof *w->files);
    if (!w->files)
        return clm_out_of_memory(f);
    if (!open_file(dir, WHOLE, w, f))
        return false;
    w->count = w->files->count;
    w->tensors = malloc((w->count + 1) * sizeof *w->tensors);
    if (!w->tensors)
        return clm_out_of_memory(f);
    for (size_t i = 0; i < w->count; i++)
        w->tensors[i] = &w->files->tensors[i];
    return true;
}

/* ---- several ---- */

/* A plain name, so that an index leads nowhere else. */
static bool is_plain(const char *name)
{
    const size_t length = strlen(name), end = strlen(".safetensors");
    return length > end && length < 256 && !strchr(name, '/') && name[0] != '.'
           && strcmp(name + length - end, ".safetensors") == 0;
}

/* Opens the file of that name unless it is open; *number: which one of the files it is. */
static bool open_part(const char *dir, const char *name, json_t *numbers, size_t *number,
                      clm_weights *w, clm_fault *f)
{
    const json_t *known = json_object_get(numbers, name);
    if (known) {
        *number = (size_t)json_integer_value(known);
        return true;
    }
    if (!is_plain(name))
        return clm_fail(f, "%s: \"%.80s\" is no name of a safetensors file", INDEX, name);
    if (w->num_files == MAX_FILES)
        return clm_fail(f, "%s names more than %d files", INDEX, MAX_FILES);
    *number = w->num_files;
    if (json_object_set_new(numbers, name, json_integer((json_int_t)*number)) != 0)
        return clm_out_of_memory(f);
    return open_file(dir, name, w, f);
}

static bool add_tensor(const char *dir, const char *name, const json_t *file, json_t *numbers,
                       clm_weights *w, clm_fault *f)
{
    const char *file_name = json_string_value(file);
    size_t number = 0;
    if (!file_name)
        return clm_fail(f, "%s: tensor %.80s has no file name", INDEX, name);
    if (!open_part(dir, file_name, numbers, &number, w, f))
        return false;
    const clm_stored *t = clm_safetensors_find(&w->files[number], name);
    if (!t)
        return clm_fail(f, "%s: tensor %.80s is not in %.80s", INDEX, name, file_name);
    w->tensors[w->count++] = t;
    return true;
}

static int by_name(const void *a, const void *b)
{
    return strcmp((*(const clm_stored *const *)a)->name, (*(const clm_stored *const *)b)->name);
}

/* map: tensor to file. numbers: file to its place among the open ones. */
static bool add_tensors(const char *dir, json_t *map, json_t *numbers, clm_weights *w,
                        clm_fault *f)
{
    const char *name;
    json_t *file;
    w->tensors = malloc((json_object_size(map) + 1) * sizeof *w->tensors);
    w->files = calloc(MAX_FILES, sizeof *w->files);
    if (!w->tensors || !w->files || !numbers)
        return clm_out_of_memory(f);
    json_object_foreach(map, name, file)
        if (!add_tensor(dir, name, file, numbers, w, f))
            return false;
    qsort(w->tensors, w->count, sizeof *w->tensors, by_name);
    return true;
}

static bool open_parts(const char *dir, clm_weights *w, clm_fault *f)
{
    json_t *index;
    w->name = INDEX;
    if (!clm_read_json(dir, INDEX, &index, f))
        return false;
    json_t *map = json_object_get(index, "weight_map"), *numbers = json_object();
    const bool ok = json_is_object(map) ? add_tensors(dir, map, numbers, w, f)
                                        : clm_fail(f, "%s has no weight_map", INDEX);
    json_decref(numbers);
    json_decref(index);
    return ok;
}

bool clm_weights_open(const char *dir, clm_weights *out, clm_fault *f)
{
    *out = (clm_weights){ 0 };
    const bool parts = !clm_has_file(dir, WHOLE) && clm_has_file(dir, INDEX);
    return parts ? open_parts(dir, out, f) : open_whole(dir, out, f);
}

void clm_weights_close(clm_weights *w)
{
    for (size_t i = 0; i < w->num_files; i++)
        clm_safetensors_close(&w->files[i]);
    free(w->files);
    free(w->tensors);
    *w = (clm_weights){ 0 };
}

static int is_name(const void *name, const void *tensor)
{
    return strcmp(name, (*(const clm_stored *const *)tensor)->name);
}

const clm_stored *clm_weights_find(const clm_weights *w, const char *name)
{
    const clm_stored *const *found =
        w->count ? bsearch(name, w->tensors, w->count, sizeof *w->tensors, is_name) : NULL;
    return found ? *found : NULL;
}
