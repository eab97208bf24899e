/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The computation itself, included by ref_projection.c once for double and once for float. The
 * includer defines REAL, NAME(x), and POW, COS, SIN for that type.
 */

/* Turns the heads of one row. */
static void NAME(turn)(const ref_proj *p, int row, REAL *y)
{
    const int half = p->K / 2;

    for (int c = 0; c < p->out; c += p->K)
        for (int i = 0; i < half; i++) {
            const REAL rate = POW((REAL)p->base, -2 * (REAL)i / (REAL)p->K);
            const REAL angle = (REAL)p->positions[row] * rate;
            REAL *u = &y[c + (p->rotary == CLATTN_ROTARY_NEOX ? i : 2 * i)];
            REAL *v = &y[c + (p->rotary == CLATTN_ROTARY_NEOX ? i + half : 2 * i + 1)];
            const REAL turned = *u * COS(angle) - *v * SIN(angle);
            *v = *u * SIN(angle) + *v * COS(angle);
            *u = turned;
        }
}

static void NAME(projection)(const ref_proj *p, REAL *y)
{
    for (int r = 0; r < p->rows; r++, y += p->out) {
        for (int c = 0; c < p->out; c++) {
            REAL sum = 0;
            for (int m = 0; m < p->M; m++)
                sum += (REAL)p->x[(size_t)r * p->M + m] * (REAL)p->w[(size_t)c * p->M + m];
            y[c] = sum + (p->bias ? (REAL)p->bias[c] : 0);
        }
        if (p->rotary != CLATTN_ROTARY_NONE)
            NAME(turn)(p, r, y);
        for (int c = 0; c < p->out && p->residual; c++)
            y[c] += (REAL)p->residual[(size_t)r * p->out + c];
    }
}

static void NAME(rope)(const ref_proj *p, REAL *y)
{
    for (int r = 0; r < p->rows; r++, y += p->out) {
        for (int c = 0; c < p->out; c++)
            y[c] = (REAL)p->x[(size_t)r * p->out + c];
        NAME(turn)(p, r, y);
    }
}
