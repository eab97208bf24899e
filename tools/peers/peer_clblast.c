/* SPDX-License-Identifier: Apache-2.0 */
/* CLBlast on the first OpenCL device, with the parameters that it ships for it: projections. */
#include <clblast_c.h>
#include <stdio.h>
#include <stdlib.h>

#include "peer.h"

typedef struct contestant {
    peer_problem p;
    cl_mem memory[3]; /* x, w, y */
} contestant;

/* CLBlast compiles its kernels for each context: there is one, for the life of the process. */
static cl_context context;
static cl_command_queue queue;

void peer_version(char *text)
{
    snprintf(text, PEER_TEXT, "%s", CLBLAST_VERSION);
}

static cl_int open_device(void)
{
    cl_platform_id platform;
    cl_device_id device;
    cl_int e = clGetPlatformIDs(1, &platform, NULL);
    if (e == CL_SUCCESS)
        e = clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, 1, &device, NULL);
    if (e == CL_SUCCESS && !context)
        context = clCreateContext(NULL, 1, &device, NULL, NULL, &e);
    if (e == CL_SUCCESS && !queue)
        queue = clCreateCommandQueue(context, device, 0, &e);
    return e;
}

static cl_int prepare(contestant *c)
{
    const float zero = 0;
    cl_int e = open_device();
    for (int i = 0; i < 3 && e == CL_SUCCESS; i++) {
        const size_t bytes = peer_bytes(&c->p, i < 2 ? i : 3);
        c->memory[i] = clCreateBuffer(context, CL_MEM_READ_WRITE, bytes, NULL, &e);
        if (e == CL_SUCCESS && i < 2)
            e = clEnqueueWriteBuffer(queue, c->memory[i], CL_TRUE, 0, bytes, c->p.in[i], 0, NULL,
                                     NULL);
        else if (e == CL_SUCCESS) /* its sgemv reads y even if beta is 0 */
            e = clEnqueueFillBuffer(queue, c->memory[i], &zero, sizeof zero, 0, bytes, 0, NULL,
                                    NULL);
    }
    return e;
}

void *peer_open(const peer_problem *p, char *text)
{
    if (p->op != PEER_PROJECTION || p->dtype != PEER_F32) {
        snprintf(text, PEER_TEXT, "projections in f32 only");
        return NULL;
    }
    contestant *c = calloc(1, sizeof *c);
    if (!c)
        return NULL;
    c->p = *p;
    const cl_int e = prepare(c);
    if (e == CL_SUCCESS)
        return c;
    snprintf(text, PEER_TEXT, "OpenCL error %d", (int)e);
    peer_close(c);
    return NULL;
}

int peer_run(void *contestant_)
{
    contestant *c = contestant_;
    const size_t rows = (size_t)c->p.rows, out = (size_t)c->p.outputs, in = (size_t)c->p.inputs;
    const CLBlastStatusCode s =
        rows == 1 ? CLBlastSgemv(CLBlastLayoutRowMajor, CLBlastTransposeNo, out, in, 1,
                                 c->memory[1], 0, in, c->memory[0], 0, 1, 0, c->memory[2], 0, 1,
                                 &queue, NULL)
                  : CLBlastSgemm(CLBlastLayoutRowMajor, CLBlastTransposeNo, CLBlastTransposeYes,
                                 rows, out, in, 1, c->memory[0], 0, in, c->memory[1], 0, in, 0,
                                 c->memory[2], 0, out, &queue, NULL);
    return s != CLBlastSuccess || clFinish(queue) != CL_SUCCESS;
}

void peer_read(void *contestant_, void *out)
{
    const contestant *c = contestant_;
    clEnqueueReadBuffer(queue, c->memory[2], CL_TRUE, 0, peer_bytes(&c->p, 3), out, 0, NULL,
                        NULL);
}

void peer_close(void *contestant_)
{
    contestant *c = contestant_;
    for (int i = 0; i < 3; i++)
        if (c->memory[i])
            clReleaseMemObject(c->memory[i]);
    free(c);
}
