/* SPDX-License-Identifier: Apache-2.0 */
#include "boards.h"

/* Multiply-adds count twice; f16 on the matrix engine, with sums in f32, without sparsity. */
const struct board boards[NUM_BOARDS] = {
    { "Intel Arc A770 16GB",
      "Intel: 512 vector and matrix engines, 16 and 128 operations a clock at 2.1 GHz, 560 GB/s",
      { 17203, 560 },
      { 137626, 560 } },
    { "AMD Radeon RX 7900 XTX",
      "AMD, product page: 61.4 TFLOPS single precision, 122.8 half precision, 960 GB/s",
      { 61400, 960 },
      { 122800, 960 } },
    { "AMD Instinct MI300X",
      "AMD, data sheet: 163.4 TFLOPS FP32 vector, 1307.4 FP16 matrix, 5.3 TB/s",
      { 163400, 5300 },
      { 1307400, 5300 } },
};

const struct peaks *board_peaks(const struct board *board, clattn_dtype dtype)
{
    return dtype == CLATTN_F32 ? &board->f32 : &board->f16;
}
