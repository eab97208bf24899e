/* SPDX-License-Identifier: Apache-2.0 */
#include "space.h"

#include <stdlib.h>
#include <string.h>

/* Codes of all combinations; 0: none, or too many. */
static uint32_t count_codes(cla_space *space)
{
    uint64_t total = 0;
    for (int v = 0; v < space->num_variants; v++) {
        cla_variant *variant = &space->variants[v];
        uint64_t combinations = 1;
        for (int a = 0; a < variant->num_axes && combinations <= CLA_MAX_SPACE; a++)
            combinations *= (uint64_t)variant->counts[a];
        variant->first = (uint32_t)total;
        total += combinations;
        if (total > CLA_MAX_SPACE)
            return 0;
    }
    return (uint32_t)total;
}

bool cla_space_make(cla_space *space, const cla_variant *variants, int num_variants,
                    cla_space_rule legal, const void *user)
{
    *space = (cla_space){ .num_variants = num_variants };
    memcpy(space->variants, variants, (size_t)num_variants * sizeof *variants);
    space->num_codes = count_codes(space);
    if (space->num_codes == 0)
        return num_variants == 0;
    space->bits = calloc((size_t)space->num_codes / 8 + 1, 1);
    space->legal = malloc((size_t)space->num_codes * sizeof *space->legal);
    if (!space->bits || !space->legal) {
        cla_space_free(space);
        return false;
    }
    for (uint32_t code = 0; code < space->num_codes; code++) {
        const cla_point point = cla_space_point(space, code);
        if (legal(user, &point)) {
            space->bits[code / 8] |= (uint8_t)(1u << code % 8);
            space->legal[space->num_legal++] = code;
        }
    }
    return true;
}

void cla_space_free(cla_space *space)
{
    free(space->bits);
    free(space->legal);
    *space = (cla_space){ .bits = NULL };
}

uint32_t cla_space_code(const cla_space *space, const cla_point *point)
{
    const cla_variant *variant = &space->variants[point->variant];
    uint32_t code = 0;
    for (int a = variant->num_axes - 1; a >= 0; a--)
        code = code * (uint32_t)variant->counts[a] + (uint32_t)point->at[a];
    return variant->first + code;
}

cla_point cla_space_point(const cla_space *space, uint32_t code)
{
    cla_point point = { space->num_variants - 1, { 0 } };
    while (code < space->variants[point.variant].first)
        point.variant--;
    const cla_variant *variant = &space->variants[point.variant];
    uint32_t rest = code - variant->first;
    for (int a = 0; a < variant->num_axes; a++) {
        point.at[a] = (int)(rest % (uint32_t)variant->counts[a]);
        rest /= (uint32_t)variant->counts[a];
    }
    return point;
}

bool cla_space_legal(const cla_space *space, uint32_t code)
{
    return code < space->num_codes && (space->bits[code / 8] >> code % 8 & 1) != 0;
}

/* The code of the point with one axis moved by step; illegal ones and steps outside give false. */
static bool moved(const cla_space *space, const cla_point *point, int axis, int step,
                  cla_point *out)
{
    *out = *point;
    out->at[axis] += step;
    return out->at[axis] >= 0 && out->at[axis] < space->variants[point->variant].counts[axis];
}

int cla_space_singles(const cla_space *space, uint32_t code, uint32_t *out, int max)
{
    const cla_point point = cla_space_point(space, code);
    const cla_variant *variant = &space->variants[point.variant];
    int n = 0, longest = 0;
    for (int a = 0; a < variant->num_axes; a++)
        longest = variant->counts[a] > longest ? variant->counts[a] : longest;
    for (int distance = 1; distance < longest; distance++)
        for (int a = 0; a < variant->num_axes; a++)
            for (int sign = -1; sign <= 1; sign += 2) {
                cla_point next;
                if (n < max && moved(space, &point, a, sign * distance, &next)
                    && cla_space_legal(space, cla_space_code(space, &next)))
                    out[n++] = cla_space_code(space, &next);
            }
    return n;
}

static bool legal_point(const cla_space *space, const cla_point *point)
{
    return cla_space_legal(space, cla_space_code(space, point));
}

/* Appends the legal moves of two axes; those of which a half is illegal, or the others. */
static int add_pairs(const cla_space *space, const cla_point *point, int a, int b, bool coupled,
                     uint32_t *out, int n, int max)
{
    for (int signs = 0; signs < 4; signs++) {
        cla_point first, second, both;
        const int up = signs & 1 ? 1 : -1, side = signs & 2 ? 1 : -1;
        if (!moved(space, point, a, up, &first) || !moved(space, point, b, side, &second)
            || !moved(space, &first, b, side, &both) || !legal_point(space, &both))
            continue;
        if ((legal_point(space, &first) && legal_point(space, &second)) != coupled && n < max)
            out[n++] = cla_space_code(space, &both);
    }
    return n;
}

int cla_space_pairs(const cla_space *space, uint32_t code, uint32_t *out, int max)
{
    const cla_point point = cla_space_point(space, code);
    const int axes = space->variants[point.variant].num_axes;
    int n = 0;
    for (int coupled = 1; coupled >= 0; coupled--)
        for (int a = 0; a < axes; a++)
            for (int b = a + 1; b < axes; b++)
                n = add_pairs(space, &point, a, b, coupled != 0, out, n, max);
    return n;
}
