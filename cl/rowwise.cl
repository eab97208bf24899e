/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One function of each row of M numbers:
 *
 *     norm         (x - mean) / sqrt(variance + eps) * weight + bias
 *     softmax      e^(scale x - top) / sum e^(scale x - top),  top the largest of scale x
 *     log-softmax  scale x - top - log(sum e^(scale x - top))
 *     GELU with erf or tanh, relu: element by element
 *
 * Tunables    WG work-items, a power of two
 * Constants   FUNCTION, IN_TYPE, OUT_TYPE, WEIGHT_TYPE, BIAS_TYPE, HAS_WEIGHT, HAS_BIAS
 * Launch      (WG times blocks of columns, N, B), groups of WG; norm and softmax have one block
 * Local       WG floats
 * Numerics    the variance is a second pass over x - mean; tanh(u) = 2 / (1 + e^(-2u)) - 1, so that
 *             its GELU is x / (1 + e^(-2u)): no difference of near numbers
 */
#define F_NORM 1
#define F_SOFTMAX 2
#define F_LOG_SOFTMAX 3
#define F_GELU 4
#define F_GELU_TANH 5
#define F_RELU 6
#define REDUCES (FUNCTION <= F_LOG_SOFTMAX)
#define SPAN (16 * WG) /* columns of a block, where every element is by itself */

/* The sum, or the maximum, over the group; every work-item gets it. */
FN float over_group(float x, bool maximum, __local float *part)
{
    const int lid = (int)get_local_id(0);
    part[lid] = x;
    barrier(CLK_LOCAL_MEM_FENCE);
    for (int step = WG / 2; step > 0; step /= 2) {
        if (lid < step)
            part[lid] = maximum ? fmax(part[lid], part[lid + step]) : part[lid] + part[lid + step];
        barrier(CLK_LOCAL_MEM_FENCE);
    }
    x = part[0];
    barrier(CLK_LOCAL_MEM_FENCE);
    return x;
}

FN float activate(float x)
{
    if (FUNCTION == F_GELU)
        return 0.5f * x * (1.0f + erf(x * 0.70710678118654752f));
    if (FUNCTION == F_GELU_TANH)
        return x / (1.0f + exp(-1.59576912160573071f * fma(0.044715f * x * x, x, x)));
    return x > 0.0f || isnan(x) ? x : 0.0f;
}

/* What a number adds to the sum of the row; -inf may be all that there is. */
FN float term(float x, float center)
{
    const float d = x - center;
    if (FUNCTION == F_NORM)
        return d * d;
    return x == -INFINITY ? 0.0f : exp(d);
}

/* factor is NaN when the row has a NaN. */
FN float finish(float x, float center, float factor)
{
    if (FUNCTION == F_NORM)
        return (x - center) * factor;
    if (FUNCTION == F_SOFTMAX)
        return (x == -INFINITY ? 0.0f : exp(x - center)) * factor;
    return x == -INFINITY && !isnan(factor) ? x : x - center - factor;
}

REQD_WG(WG, 1, 1)
__kernel void rowwise(__global const void *x, __global const void *weight,
                      __global const void *bias, __global void *y, long x_off, long x_b, long x_n,
                      long weight_off, long bias_off, long y_off, long y_b, long y_n, int M,
                      float eps, float scale)
{
    __local float part[WG];
    const int lid = (int)get_local_id(0), n = (int)get_global_id(1), b = (int)get_global_id(2);
    const int first = REDUCES ? 0 : (int)get_group_id(0) * SPAN;
    const int end = REDUCES ? M : min(M, first + SPAN);
    const size_t from = (size_t)(x_off + b * x_b + n * x_n);
    const size_t to = (size_t)(y_off + b * y_b + n * y_n);
    if (!REDUCES) {
        for (int i = first + lid; i < end; i += WG)
            store(OUT_TYPE, y, to + i, activate(load(IN_TYPE, x, from + i)));
        return;
    }
    const float c = FUNCTION == F_NORM ? 1.0f : scale;
    float center = FUNCTION == F_NORM ? 0.0f : -INFINITY, nan = 0.0f, sum = 0.0f;
    for (int i = lid; i < M; i += WG) {
        const float v = c * load(IN_TYPE, x, from + i);
        center = FUNCTION == F_NORM ? center + v : fmax(center, v);
        nan = isnan(v) ? v : nan; /* fmax() loses it */
    }
    center = over_group(center, FUNCTION != F_NORM, part);
    if (FUNCTION == F_NORM)
        center /= (float)M;
    for (int i = lid; i < M; i += WG)
        sum += term(c * load(IN_TYPE, x, from + i), center);
    sum = over_group(sum + nan, false, part);
    const float factor = FUNCTION == F_NORM      ? 1.0f / sqrt(sum / (float)M + eps)
                         : FUNCTION == F_SOFTMAX ? (sum > 0.0f ? 1.0f / sum : sum)
                                                 : log(sum);
    for (int i = lid; i < M; i += WG) {
        float v = finish(c * load(IN_TYPE, x, from + i), center, factor);
        if (HAS_WEIGHT)
            v *= load(WEIGHT_TYPE, weight, (size_t)weight_off + i);
        if (HAS_BIAS)
            v += load(BIAS_TYPE, bias, (size_t)bias_off + i);
        store(OUT_TYPE, y, to + i, v);
    }
}
