/* SPDX-License-Identifier: Apache-2.0 */
/* Included by ref_row.c once for each REAL; the names of its functions are made with NAME(). */

static void NAME(norm)(const ref_row *p, const float *x, REAL *y)
{
    REAL mean = 0, variance = 0;
    for (int i = 0; i < p->M; i++)
        mean += (REAL)x[i];
    mean /= (REAL)p->M;
    for (int i = 0; i < p->M; i++)
        variance += ((REAL)x[i] - mean) * ((REAL)x[i] - mean);
    variance /= (REAL)p->M;
    for (int i = 0; i < p->M; i++) {
        y[i] = ((REAL)x[i] - mean) / SQRT(variance + (REAL)p->eps);
        if (p->weight)
            y[i] *= (REAL)p->weight[i];
        if (p->bias)
            y[i] += (REAL)p->bias[i];
    }
}

static void NAME(softmax)(const ref_row *p, const float *x, REAL *y)
{
    const REAL scale = p->scale != 0 ? (REAL)p->scale : 1;
    const bool logarithm = p->function == CLATTN_ROW_LOG_SOFTMAX;
    REAL top = -(REAL)INFINITY, sum = 0;
    for (int i = 0; i < p->M; i++)
        if (scale * (REAL)x[i] > top)
            top = scale * (REAL)x[i];
    for (int i = 0; i < p->M; i++)
        sum += x[i] == -INFINITY ? 0 : EXP(scale * (REAL)x[i] - top);
    for (int i = 0; i < p->M; i++) {
        if (sum == 0)
            y[i] = logarithm ? -(REAL)INFINITY : 0;
        else if (logarithm)
            y[i] = scale * (REAL)x[i] - top - LOG(sum);
        else
            y[i] = EXP(scale * (REAL)x[i] - top) / sum;
    }
}

static REAL NAME(activate)(clattn_row_function function, REAL x)
{
    const REAL pi = (REAL)3.14159265358979323846;
    switch (function) {
    case CLATTN_ROW_GELU:
        return x * (1 + ERF(x / SQRT(2))) / 2;
    case CLATTN_ROW_GELU_TANH:
        return x * (1 + TANH(SQRT(2 / pi) * (x + (REAL)0.044715 * x * x * x))) / 2;
    default:
        return x <= 0 ? 0 : x;
    }
}

static void NAME(rowwise)(const ref_row *p, REAL *y)
{
    for (int r = 0; r < p->rows; r++, y += p->M) {
        const float *x = p->x + (size_t)r * p->M;
        if (p->function == CLATTN_ROW_NORM)
            NAME(norm)(p, x, y);
        else if (p->function <= CLATTN_ROW_LOG_SOFTMAX)
            NAME(softmax)(p, x, y);
        else
            for (int i = 0; i < p->M; i++)
                y[i] = NAME(activate)(p->function, (REAL)x[i]);
    }
}
