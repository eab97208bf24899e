/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Before attn_prefill_wgmma: the maps that its tensor copies of keys and values go by, and whether
 * they can, which takes addresses that are multiples of 16 bytes.
 *
 * Constants   see attn.clh, wgmma.clh; BOX keys of a tile
 * Launch      one work-item
 */
__kernel void attn_wgmma_maps(ATTN_ARGS)
{
    const ulong maps = MAPS_AT(work + work_k);
    const int batches = k_b > 0 ? B : 1, v_batches = v_b > 0 ? B : 1;
    const int heads = k_h > 0 ? Hk : 1, v_heads = v_h > 0 ? Hk : 1;
    const int k_size[4] = { HEAD_DIM, Tk, heads, batches };
    const int v_size[4] = { VALUE_DIM, Tk, v_heads, v_batches };
    const long k_stride[4] = { 1, k_n, k_h, k_b }, v_stride[4] = { 1, v_n, v_h, v_b };
    const ulong addresses = (ulong)((__global const ushort *)k + k_off)
                          | (ulong)((__global const ushort *)v + v_off);
    map_make(maps, k, k_off, k_size, k_stride, BOX);
    map_make(maps + MAP_BYTES, v, v_off, v_size, v_stride, BOX);
    MAPS_WORK(maps) = addresses % 16 == 0;
}
