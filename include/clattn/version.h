/* SPDX-License-Identifier: Apache-2.0 */
/** @file Version of the headers; clattn_version() tells the version of the library. */
#ifndef CLATTN_VERSION_H
#define CLATTN_VERSION_H

#define CLATTN_VERSION_MAJOR 0
#define CLATTN_VERSION_MINOR 1
#define CLATTN_VERSION_PATCH 0
#define CLATTN_VERSION_STRING "0.1.0"

#endif
