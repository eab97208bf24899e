/* SPDX-License-Identifier: Apache-2.0 */
#include "boards.h"

/* Multiply-adds count twice; f16 on the matrix engine, with sums in f32, without sparsity. */
const struct board boards[NUM_BOARDS] = {
    { "Intel Arc A770 16GB",
      "Intel: 512 vector and matrix engines, 16 and 128 operations a clock at 2.1 GHz, 560 GB/s",
      { .gflops = 17203, .gbytes_per_s = 560 },
      { .gflops = 137626, .gbytes_per_s = 560 } },
    { "AMD Radeon RX 7900 XTX",
      "AMD, product page: 61.4 TFLOPS single precision, 122.8 half precision, 960 GB/s",
      { .gflops = 61400, .gbytes_per_s = 960 },
      { .gflops = 122800, .gbytes_per_s = 960 } },
    { "AMD Instinct MI300X",
      "AMD, data sheet: 163.4 TFLOPS FP32 vector, 1307.4 FP16 matrix, 5.3 TB/s",
      { .gflops = 163400, .gbytes_per_s = 5300 },
      { .gflops = 1307400, .gbytes_per_s = 5300 } },
};

const struct peaks *board_peaks(const struct board *board, clattn_dtype dtype)
{
    return dtype == CLATTN_F32 ? &board->f32 : &board->f16;
}
