/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Appends rows to a KV cache: row n of k and v becomes row starts[b] + n of sequence b. Keys are
 * turned by their position first (see rope.cl), then rows are stored as KV_TYPE:
 *
 *     i8    round(x / s), s = max |x| / 127 over the row of a head
 *     i4    round(x / s), s = max |x| / 7 over each 32 elements, two of them in a byte
 *
 * A NaN or inf makes the scale one, so that the row (i4: the group) reads back as NaN.
 *
 * Tunables    none
 * Constants   IN_TYPE, KV_TYPE, ROTARY (0 none, 1 neox, 2 gptj), PAGED
 * Launch      (32 N, Hk, 2 B), work-groups of 32: one for each row of a head, keys then values
 * Local       32 words
 * Numerics    f32; angles as in rotary.clh
 */
#define WG 32
#define GROUP 32 /* i4 elements that share a scale */
#define LEVELS (KV_TYPE == T_I8 ? 127.0f : 7.0f)
#define ROTARY_NEOX 1

/* Element d of the row at x, turned when its position is not NO_POSITION. */
#define NO_POSITION LONG_MIN
FN float element(__global const void *x, size_t at, int width, ulong ratio, long position, int d)
{
    const float z = load(IN_TYPE, x, at + d);
    if (!ROTARY || position == NO_POSITION)
        return z;
    const int half_width = width / 2;
    const int second = ROTARY == ROTARY_NEOX ? d >= half_width : d & 1;
    const int pair = ROTARY == ROTARY_NEOX ? d % half_width : d / 2;
    const int other = ROTARY == ROTARY_NEOX ? (second ? d - half_width : d + half_width) : d ^ 1;
    const float2 cs = rotary_angle(rotary_turns(ratio, pair), position);
    const float y = load(IN_TYPE, x, at + other);
    return second ? fma(y, cs.y, z * cs.x) : z * cs.x - y * cs.y;
}

/* The largest of all work-items. Bits of |x|, compared as integers: a NaN is the largest. */
FN uint largest(uint most, __local uint *shared)
{
    shared[get_local_id(0)] = most;
    barrier(CLK_LOCAL_MEM_FENCE);
    for (int i = 0; i < WG; i++)
        most = max(most, shared[i]);
    return most;
}

FN int quantise(float x, float scale)
{
    const float q = rint(x / scale);
    return fabs(q) <= LEVELS ? (int)q : 0; /* 0 / 0, and rows of NaN and inf */
}

REQD_WG(WG, 1, 1)
__kernel void kv_append(__global const void *k, __global const void *v, __global void *k_rows,
                        __global void *v_rows, __global float *k_scale, __global float *v_scale,
                        __global const int *starts, __global const int *positions,
                        __global const int *table, long k_off, long k_b, long k_h, long k_n,
                        long v_off, long v_b, long v_h, long v_n, long k_rows_off, long k_rows_b,
                        long k_rows_h, long k_rows_n, long v_rows_off, long v_rows_b, long v_rows_h,
                        long v_rows_n, long k_scale_off, long k_scale_b, long k_scale_h,
                        long k_scale_n, long v_scale_off, long v_scale_b, long v_scale_h,
                        long v_scale_n, long starts_off, long positions_off, long table_off,
                        long table_b, long ratio, int D, int Dv, int page_shift, int last_page)
{
    __local uint shared[WG];
    const int lid = (int)get_local_id(0), n = (int)get_group_id(0), h = (int)get_group_id(1);
    const int b = (int)get_group_id(2) / 2, is_v = (int)get_group_id(2) % 2;
    const int key = starts[starts_off + b] + n, width = is_v ? Dv : D;
    const long page = PAGED ? 0 : b;
    const kv_head to = {
        is_v ? v_rows : k_rows,
        is_v ? v_scale : k_scale,
        table + (PAGED ? table_off + b * table_b : 0),
        (size_t)(is_v ? v_rows_off + page * v_rows_b + h * v_rows_h
                      : k_rows_off + page * k_rows_b + h * k_rows_h),
        (size_t)(is_v ? v_scale_off + page * v_scale_b + h * v_scale_h
                      : k_scale_off + page * k_scale_b + h * k_scale_h),
        is_v ? v_rows_b : k_rows_b,
        is_v ? v_rows_n : k_rows_n,
        is_v ? v_scale_b : k_scale_b,
        is_v ? v_scale_n : k_scale_n,
        page_shift,
        last_page,
    };
    const size_t row = kv_row(&to, key), scales = kv_scales(&to, key);
    __global void *rows = is_v ? v_rows : k_rows;
    __global float *scale = is_v ? v_scale : k_scale;
    __global const void *x = is_v ? v : k;
    const size_t at = (size_t)(is_v ? v_off + b * v_b + h * v_h + n * v_n
                                    : k_off + b * k_b + h * k_h + n * k_n);
    const long position = is_v ? NO_POSITION : (long)positions[positions_off + b] + n;
#define ELEMENT(d) element(x, at, width, (ulong)ratio, position, (d))

    if (KV_TYPE == T_I8) {
        uint most = 0;
        for (int d = lid; d < width; d += WG)
            most = max(most, as_uint(fabs(ELEMENT(d))));
        const float s = as_float(largest(most, shared)) / LEVELS;
        if (lid == 0)
            scale[scales] = s;
        for (int d = lid; d < width; d += WG)
            ((__global char *)rows)[row + d] = (char)quantise(ELEMENT(d), s);
    } else if (KV_TYPE == T_I4) {
        for (int first = lid * GROUP; first < width; first += WG * GROUP) {
            const int last = min(first + GROUP, width);
            uint most = 0;
            for (int d = first; d < last; d++)
                most = max(most, as_uint(fabs(ELEMENT(d))));
            const float s = as_float(most) / LEVELS;
            scale[scales + first / GROUP] = s;
            for (int d = first; d < last; d += 2) {
                const int even = quantise(ELEMENT(d), s);
                const int odd = d + 1 < last ? quantise(ELEMENT(d + 1), s) : 0;
                ((__global uchar *)rows)[(row + d) / 2] = (uchar)((even & 15) | (odd & 15) << 4);
            }
        }
    } else {
        for (int d = lid; d < width; d += WG)
            store(KV_TYPE, rows, row + d, ELEMENT(d));
    }
}
