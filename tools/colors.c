/* SPDX-License-Identifier: Apache-2.0 */
#include "colors.h"

#include <math.h>
#include <stdbool.h>

#define PI 3.14159265358979323846

/* Oklab to linear sRGB; false: no screen can show it. */
static bool to_linear(double L, double a, double b, double rgb[3])
{
    const double l = pow(L + 0.3963377774 * a + 0.2158037573 * b, 3);
    const double m = pow(L - 0.1055613458 * a - 0.0638541728 * b, 3);
    const double s = pow(L - 0.0894841775 * a - 1.2914855480 * b, 3);

    rgb[0] = 4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s;
    rgb[1] = -1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s;
    rgb[2] = -0.0041960863 * l - 0.7034186147 * m + 1.7076147010 * s;
    for (int i = 0; i < 3; i++)
        if (rgb[i] < 0 || rgb[i] > 1)
            return false;
    return true;
}

static double gamma_of(double x)
{
    return x <= 0.0031308 ? 12.92 * x : 1.055 * pow(x, 1 / 2.4) - 0.055;
}

/* As colourful as a screen can be at this lightness and hue, up to a limit. */
static void color_of(double t, unsigned char out[3])
{
    const double L = 0.17 + 0.78 * t, hue = (300 - 195 * t) * PI / 180;
    double rgb[3], chroma = 0.14;

    while (!to_linear(L, chroma * cos(hue), chroma * sin(hue), rgb) && chroma > 0)
        chroma -= 0.002;
    for (int i = 0; i < 3; i++)
        out[i] = (unsigned char)lround(255 * gamma_of(rgb[i] < 0 ? 0 : rgb[i] > 1 ? 1 : rgb[i]));
}

void colors_make(unsigned char out[NUM_COLORS][3])
{
    for (int i = 0; i < NUM_COLORS; i++)
        color_of(i / (NUM_COLORS - 1.0), out[i]);
}
