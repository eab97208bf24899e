/* SPDX-License-Identifier: Apache-2.0 */
/* One public header by itself, with nothing included before it, as C. */
#include HEADER

int header_test_unused(void);
int header_test_unused(void)
{
    return CLATTN_VERSION_MAJOR;
}
