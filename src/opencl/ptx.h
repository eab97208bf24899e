/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Text of NVIDIA's assembly language (PTX), as their driver compiles OpenCL C to it. Some chips
 * have instructions for a target whose name ends in "a", which the OpenCL compiler never names. A
 * kernel writes such instructions as comments of this form, within inline assembly,
 *
 *     CLA_PTX_OPEN wgmma.fence.sync.aligned; CLA_PTX_CLOSE
 *
 * and what the compiler has made of the kernel then becomes a program of that target.
 */
#ifndef CLA_PTX_H
#define CLA_PTX_H

#include <stdbool.h>
#include <stddef.h>

#define CLA_PTX_OPEN "/*SM90A"
#define CLA_PTX_CLOSE "SM90A*/"

/*
 * Makes instructions of the marked comments and the target sm_90 sm_90a. text has size bytes, zeros
 * at its end are none of it. *out is malloc'ed and zero-terminated, *out_size does not count the
 * zero. False: the text is not what it should be, and *why says in what, or is NULL: out of memory.
 */
bool cla_ptx_unmark(const char *text, size_t size, char **out, size_t *out_size, const char **why);

/*
 * Registers that each of so many work-items of a work-group can have. Warpgroups that take
 * registers from one another (setmaxnreg) have to start with this number.
 */
int cla_ptx_registers(size_t items);

#endif
