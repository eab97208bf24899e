/* SPDX-License-Identifier: Apache-2.0 */
/* Reads golden case folders; everything in them is checked against what the operation knows. */
#include "case.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli.h"
#include "ops.h"

static int load_json(const char *path, json_t **out)
{
    json_error_t error;
    struct stat st;

    *out = NULL;
    if (stat(path, &st) != 0)
        return fail(EXIT_INPUT, "cannot open %s: %s", path, strerror(errno));
    if (!S_ISREG(st.st_mode))
        return fail(EXIT_INPUT, "%s is not a regular file", path);
    *out = json_load_file(path, JSON_REJECT_DUPLICATES, &error);
    return *out ? EXIT_OK : fail(EXIT_INPUT, "%s:%d: %s", path, error.line, error.text);
}

static int load_case_json(const char *folder, json_t **out)
{
    char path[PATH_MAX];

    if (snprintf(path, sizeof path, "%s/case.json", folder) >= PATH_MAX)
        return fail(EXIT_INPUT, "%s: the path is too long", folder);
    const int code = load_json(path, out);
    if (code != EXIT_OK)
        return code;
    if (json_is_string(json_object_get(*out, "op")))
        return EXIT_OK;
    json_decref(*out);
    *out = NULL;
    return fail(EXIT_INPUT, "%s has no \"op\"", path);
}

static int find_tensor(const struct case_tensor *list, const char *name)
{
    for (int i = 0; name && list[i].name; i++) {
        if (strcmp(list[i].name, name) == 0)
            return i;
    }
    return -1;
}

/* The shape that case.json gives, if any, must be the file's. */
static int check_shape(const struct golden *c, const char *name, const struct array *a)
{
    const json_t *file = json_object_get(json_object_get(c->json, "files"), name);
    const json_t *shape = json_object_get(file, "shape");
    bool same = json_array_size(shape) == (size_t)a->rank;

    if (!shape)
        return EXIT_OK;
    for (int i = 0; i < a->rank && same; i++)
        same = json_integer_value(json_array_get(shape, (size_t)i)) == a->shape[i];
    return same ? EXIT_OK
                : fail(EXIT_INPUT, "%s.npy is %s, case.json says otherwise", name,
                       shape_text(a->rank, a->shape));
}

static int load_tensor(const struct golden *c, const char *folder, const struct case_tensor *t,
                       struct array *out)
{
    char path[PATH_MAX];
    const clattn_dtype dtype = t->dtype == CLATTN_NONE ? CLATTN_F32 : t->dtype;

    if (snprintf(path, sizeof path, "%s/%s.npy", folder, t->name) >= PATH_MAX)
        return fail(EXIT_INPUT, "%s: the path is too long", folder);
    const int code = array_load(out, path, dtype);
    return code == EXIT_OK ? check_shape(c, t->name, out) : code;
}

static int load_inputs(struct golden *c, const char *folder)
{
    const json_t *names = json_object_get(c->json, "inputs");
    const struct case_tensor *known = c->op->inputs;

    for (size_t i = 0; i < json_array_size(names); i++) {
        const char *name = json_string_value(json_array_get(names, i));
        const int at = find_tensor(known, name);
        if (at < 0)
            return fail(EXIT_INPUT, "op %s has no input '%s'", c->op->case_name, name ? name : "?");
        if (c->input[at].dtype != CLATTN_NONE)
            return fail(EXIT_INPUT, "input '%s' is named twice", name);
        const int code = load_tensor(c, folder, &known[at], &c->input[at]);
        if (code != EXIT_OK)
            return code;
    }
    for (int i = 0; known[i].name; i++) {
        if (known[i].required && c->input[i].dtype == CLATTN_NONE)
            return fail(EXIT_INPUT, "op %s needs the input '%s'", c->op->case_name, known[i].name);
    }
    return EXIT_OK;
}

static int load_outputs(struct golden *c, const char *folder, bool with_values)
{
    const json_t *names = json_object_get(c->json, "outputs");
    const struct case_tensor *known = c->op->outputs;

    if (json_array_size(names) == 0)
        return fail(EXIT_INPUT, "case.json names no outputs");
    for (size_t i = 0; i < json_array_size(names); i++) {
        const char *name = json_string_value(json_array_get(names, i));
        const int at = find_tensor(known, name);
        if (at < 0)
            return fail(EXIT_INPUT, "op %s has no output '%s'", c->op->case_name,
                        name ? name : "?");
        if (c->wanted[at])
            return fail(EXIT_INPUT, "output '%s' is named twice", name);
        c->wanted[at] = true;
        const int code = with_values ? load_tensor(c, folder, &known[at], &c->output[at]) : EXIT_OK;
        if (code != EXIT_OK)
            return code;
    }
    return EXIT_OK;
}

/* The last component of the folder's real path: "." and "x/" have names too. */
static int folder_name(const char *folder, char out[CASE_NAME])
{
    char *real = realpath(folder, NULL);

    if (!real)
        return fail(EXIT_INPUT, "cannot open %s: %s", folder, strerror(errno));
    const int n = snprintf(out, CASE_NAME, "%s", strrchr(real, '/') + 1);
    free(real);
    if (n == 0 || n >= CASE_NAME)
        return fail(EXIT_INPUT, "the name of %s has %d characters, need 1 to %d", folder, n,
                    CASE_NAME - 1);
    return EXIT_OK;
}

int case_load(struct golden *c, const char *folder, bool with_outputs, bool skip_unknown)
{
    *c = (struct golden){ .dtype = CLATTN_F32 };
    int code = folder_name(folder, c->name);

    if (code == EXIT_OK)
        code = load_case_json(folder, &c->json);
    if (code == EXIT_OK) {
        snprintf(c->op_name, sizeof c->op_name, "%s",
                 json_string_value(json_object_get(c->json, "op")));
        c->params = json_object_get(c->json, "params");
        c->op = op_find_case(c->op_name);
    }
    if (code == EXIT_OK && !c->op && !skip_unknown)
        code = fail(EXIT_INPUT, "op %s is not supported", c->op_name);
    if (code == EXIT_OK && c->op)
        code = load_inputs(c, folder);
    if (code == EXIT_OK && c->op)
        code = load_outputs(c, folder, with_outputs);
    if (code != EXIT_OK)
        case_free(c);
    return code;
}

void case_free(struct golden *c)
{
    for (int i = 0; i < CASE_MAX_TENSORS; i++) {
        array_free(&c->input[i]);
        array_free(&c->output[i]);
    }
    json_decref(c->json);
    c->json = c->params = NULL;
}

/* ------------------------------------------------------------------------------------------ */
/* Lists                                                                                      */

static bool exists(const char *folder, const char *name)
{
    char path[PATH_MAX];
    struct stat st;

    return snprintf(path, sizeof path, "%s/%s", folder, name) < PATH_MAX && stat(path, &st) == 0;
}

static int add_folder(struct case_list *list, const char *dir, const char *name)
{
    const size_t size = strlen(dir) + strlen(name) + 2;
    char *folder = malloc(size);

    if (!folder)
        return fail(EXIT_INPUT, "out of memory");
    snprintf(folder, size, "%s%s%s", dir, *name ? "/" : "", name);
    list->folder[list->n++] = folder;
    return EXIT_OK;
}

static int read_index(struct case_list *list, const char *path, const json_t *index)
{
    list->folder = calloc(json_array_size(index) + 1, sizeof list->folder[0]);
    if (!list->folder)
        return fail(EXIT_INPUT, "out of memory");
    for (size_t i = 0; i < json_array_size(index); i++) {
        const char *name = json_string_value(json_array_get(index, i));
        if (!name || !*name || *name == '.' || strchr(name, '/'))
            return fail(EXIT_INPUT, "%s/index.json: entry %zu is not the name of a folder", path,
                        i);
        const int code = add_folder(list, path, name);
        if (code != EXIT_OK)
            return code;
    }
    return EXIT_OK;
}

int case_list(struct case_list *list, const char *path)
{
    char index_path[PATH_MAX];
    json_t *index;
    int code;

    *list = (struct case_list){ 0 };
    if (!exists(path, "index.json") || exists(path, "case.json")) {
        list->folder = calloc(1, sizeof list->folder[0]);
        return list->folder ? add_folder(list, path, "") : fail(EXIT_INPUT, "out of memory");
    }
    list->indexed = true;
    snprintf(index_path, sizeof index_path, "%s/index.json", path);
    code = load_json(index_path, &index);
    if (code == EXIT_OK && !json_is_array(index))
        code = fail(EXIT_INPUT, "%s is not an array of folder names", index_path);
    if (code == EXIT_OK)
        code = read_index(list, path, index);
    json_decref(index);
    if (code != EXIT_OK)
        case_list_free(list);
    return code;
}

void case_list_free(struct case_list *list)
{
    for (size_t i = 0; i < list->n; i++)
        free(list->folder[i]);
    free(list->folder);
    *list = (struct case_list){ 0 };
}
