// SPDX-License-Identifier: Apache-2.0
// One public header by itself, with nothing included before it, as C++.
#include HEADER

int header_test_unused();
int header_test_unused()
{
    return CLATTN_VERSION_MAJOR;
}
