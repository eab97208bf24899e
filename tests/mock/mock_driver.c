/* SPDX-License-Identifier: Apache-2.0 */
/* See mock.h. Memory is real, so that copies work; kernels are looked at and not run. */
#include "mock.h"

#include <CL/cl_icd.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))

EXPORT mock_state mock_driver_state = { .devices = mock_devices, .lose_after = -1 };
static mock_state *const state = &mock_driver_state;
static const cl_icd_dispatch entry_points;

enum { MAX_DEVICES = 64 };

/* Every OpenCL object starts with the table that the loader calls through. */
#define OBJECT const cl_icd_dispatch *dispatch
struct _cl_platform_id {
    OBJECT;
    int number;
};
struct _cl_device_id {
    OBJECT;
    const mock_device *is;
};
struct _cl_context {
    OBJECT;
    long refs;
    cl_device_id device;
    cl_ulong allocated;
};
struct _cl_command_queue {
    OBJECT;
    long refs;
    cl_context context;
    cl_command_queue_properties properties;
};
struct _cl_mem {
    OBJECT;
    long refs;
    cl_context context;
    size_t size;
    unsigned char *bytes;
};
struct _cl_program {
    OBJECT;
    long refs;
    cl_context context;
    char *source;
    bool from_binary;
};
struct _cl_kernel {
    OBJECT;
    long refs;
    cl_program program;
    char name[64];
    cl_mem second; /* argument 1: what the probes write to */
};
struct _cl_event {
    OBJECT;
    long refs;
    cl_context context;
};

static struct _cl_platform_id platforms[MOCK_PLATFORMS];
static struct _cl_device_id devices[MAX_DEVICES];

/* Something that no caller may ask of this device. */
static cl_int refuse(cl_int code, const char *what, const mock_device *device, size_t a, size_t b)
{
    if (!state->violation[0])
        snprintf(state->violation, sizeof state->violation, "%s on %.100s: %zu and %zu", what,
                 device->name, a, b);
    return code;
}

static bool is_lost(void)
{
    return state->lose_after >= 0 && state->launches >= state->lose_after;
}

static void *new_object(size_t size, cl_int *e)
{
    void *object = calloc(1, size);
    if (object) {
        *(const cl_icd_dispatch **)object = &entry_points;
        state->live++;
    }
    if (e)
        *e = object ? CL_SUCCESS : CL_OUT_OF_HOST_MEMORY;
    return object;
}

/* ---- answers ---- */

static cl_int answer(const void *value, size_t size, size_t room, void *out, size_t *full)
{
    if (full)
        *full = size;
    if (out && room < size)
        return CL_INVALID_VALUE;
    if (out)
        memcpy(out, value, size);
    return CL_SUCCESS;
}

static cl_int answer_text(const char *text, size_t room, void *out, size_t *full)
{
    return answer(text, strlen(text) + 1, room, out, full);
}

#define ANSWER(type, value) answer(&(type){ value }, sizeof(type), room, out, full)
#define ANSWER_TEXT(text) answer_text((text), room, out, full)

static cl_int CL_API_CALL get_platform_info(cl_platform_id platform, cl_platform_info what,
                                            size_t room, void *out, size_t *full)
{
    static const char *const names[MOCK_PLATFORMS] = { "First Mock", "Second Mock" };
    switch (what) {
    case CL_PLATFORM_NAME: return ANSWER_TEXT(names[platform->number]);
    case CL_PLATFORM_VERSION: return ANSWER_TEXT("OpenCL 1.2 mock");
    case CL_PLATFORM_VENDOR: return ANSWER_TEXT("mock");
    case CL_PLATFORM_PROFILE: return ANSWER_TEXT("FULL_PROFILE");
    case CL_PLATFORM_EXTENSIONS: return ANSWER_TEXT("cl_khr_icd");
    case 0x0920: return ANSWER_TEXT("MOCK"); /* CL_PLATFORM_ICD_SUFFIX_KHR */
    default: return CL_INVALID_VALUE;
    }
}

static cl_int CL_API_CALL get_device_info(cl_device_id device, cl_device_info what, size_t room,
                                          void *out, size_t *full)
{
    const mock_device *d = device->is;
    switch (what) {
    case CL_DEVICE_NAME: return ANSWER_TEXT(d->name);
    case CL_DEVICE_VENDOR: return ANSWER_TEXT(d->vendor);
    case CL_DRIVER_VERSION: return ANSWER_TEXT(d->driver);
    case CL_DEVICE_VERSION: return ANSWER_TEXT(d->version);
    case CL_DEVICE_EXTENSIONS: return ANSWER_TEXT(d->extensions);
    case CL_DEVICE_PLATFORM: return ANSWER(cl_platform_id, &platforms[d->platform]);
    case CL_DEVICE_TYPE: return ANSWER(cl_device_type, d->type);
    case CL_DEVICE_MAX_COMPUTE_UNITS: return ANSWER(cl_uint, d->units);
    case CL_DEVICE_MAX_WORK_GROUP_SIZE: return ANSWER(size_t, d->max_work_group);
    case CL_DEVICE_MAX_WORK_ITEM_DIMENSIONS: return ANSWER(cl_uint, 3);
    case CL_DEVICE_MAX_WORK_ITEM_SIZES:
        return answer(d->max_items, sizeof d->max_items, room, out, full);
    case CL_DEVICE_NATIVE_VECTOR_WIDTH_FLOAT: return ANSWER(cl_uint, d->vector_floats);
    case CL_DEVICE_LOCAL_MEM_SIZE: return ANSWER(cl_ulong, d->local_bytes);
    case CL_DEVICE_GLOBAL_MEM_SIZE: return ANSWER(cl_ulong, d->global_bytes);
    case CL_DEVICE_MAX_MEM_ALLOC_SIZE: return ANSWER(cl_ulong, d->max_alloc);
    case CL_DEVICE_AVAILABLE: return ANSWER(cl_bool, !d->switched_off);
    case CL_DEVICE_COMPILER_AVAILABLE: return ANSWER(cl_bool, !d->no_compiler);
    case 0x4000: /* CL_DEVICE_COMPUTE_CAPABILITY_MAJOR_NV */
        return d->chip_major ? ANSWER(cl_uint, d->chip_major) : CL_INVALID_VALUE;
    case 0x4001: /* CL_DEVICE_COMPUTE_CAPABILITY_MINOR_NV */
        return d->chip_major ? ANSWER(cl_uint, d->chip_minor) : CL_INVALID_VALUE;
    case 0x404a: /* CL_DEVICE_GFXIP_MAJOR_AMD */
        return d->gfx_major ? ANSWER(cl_uint, d->gfx_major) : CL_INVALID_VALUE;
    case 0x4108: /* CL_DEVICE_SUB_GROUP_SIZES_INTEL */
        return d->sub_group ? answer((size_t[]){ d->sub_group, 2 * d->sub_group },
                                     2 * sizeof(size_t), room, out, full)
                            : CL_INVALID_VALUE;
    default: return CL_INVALID_VALUE;
    }
}

static cl_int CL_API_CALL get_queue_info(cl_command_queue queue, cl_command_queue_info what,
                                         size_t room, void *out, size_t *full)
{
    switch (what) {
    case CL_QUEUE_CONTEXT: return ANSWER(cl_context, queue->context);
    case CL_QUEUE_DEVICE: return ANSWER(cl_device_id, queue->context->device);
    case CL_QUEUE_PROPERTIES: return ANSWER(cl_command_queue_properties, queue->properties);
    default: return CL_INVALID_VALUE;
    }
}

static cl_int CL_API_CALL get_build_info(cl_program program, cl_device_id device,
                                         cl_program_build_info what, size_t room, void *out,
                                         size_t *full)
{
    (void)program, (void)device;
    return what == CL_PROGRAM_BUILD_LOG ? ANSWER_TEXT("mock.cl:7: error: not today")
                                        : CL_INVALID_VALUE;
}

/* What the compiler of a chip makes of source: its instructions, and the names of its kernels. */
static size_t compile(const char *source, char *out, size_t room)
{
    static const char kernel[] = "__kernel void ";
    size_t size = (size_t)snprintf(out, room, ".version 8.3\n.target %s, texmode_independent\n",
                                   state->ptx_target ? state->ptx_target : "sm_90");
    if (!state->no_marks && strstr(source, "UNIT_WARPGROUP"))
        size += (size_t)snprintf(out + size, room - size, "/*SM90A wgmma; SM90A*/\n");
    for (const char *at = source; (at = strstr(at, kernel)) != NULL; at++) {
        const char *name = at + sizeof kernel - 1;
        size += (size_t)snprintf(out + size, room - size, "void %.*s(\n",
                                 (int)strcspn(name, "("), name);
    }
    return size + 3; /* and a few zeros */
}

/* The binary of a program is its source, or what was compiled from it. */
static cl_int CL_API_CALL get_program_info(cl_program program, cl_program_info what, size_t room,
                                           void *out, size_t *full)
{
    enum { ROOM = 4096 };
    char compiled[ROOM] = "";
    unsigned char **binaries = out;
    const bool is_text = program->context->device->is->chip_major && !program->from_binary;
    const char *binary = is_text ? compiled : program->source;
    const size_t size =
        is_text ? compile(program->source, compiled, ROOM) : strlen(program->source) + 1;
    switch (what) {
    case CL_PROGRAM_NUM_DEVICES: return ANSWER(cl_uint, 1);
    case CL_PROGRAM_DEVICES: return ANSWER(cl_device_id, program->context->device);
    case CL_PROGRAM_BINARY_SIZES: return ANSWER(size_t, size);
    case CL_PROGRAM_BINARIES:
        if (out && room < sizeof *binaries)
            return CL_INVALID_VALUE;
        if (out && binaries[0])
            memcpy(binaries[0], binary, size);
        return CL_SUCCESS;
    default: return CL_INVALID_VALUE;
    }
}

/* ---- platforms and devices ---- */

static cl_int CL_API_CALL get_platforms(cl_uint room, cl_platform_id *list, cl_uint *count)
{
    for (cl_uint i = 0; i < MOCK_PLATFORMS; i++) {
        platforms[i] = (struct _cl_platform_id){ &entry_points, (int)i };
        if (list && i < room)
            list[i] = &platforms[i];
    }
    if (count)
        *count = MOCK_PLATFORMS;
    return CL_SUCCESS;
}

static cl_int CL_API_CALL get_devices(cl_platform_id platform, cl_device_type type, cl_uint room,
                                      cl_device_id *list, cl_uint *count)
{
    cl_uint n = 0;
    for (int i = 0; i < MAX_DEVICES && mock_devices[i].name; i++) {
        const mock_device *d = &mock_devices[i];
        if (d->platform != platform->number || !(d->type & type)
            || (state->is_listed && !state->is_listed(d)))
            continue;
        devices[i] = (struct _cl_device_id){ &entry_points, d };
        if (list && n < room)
            list[n] = &devices[i];
        n++;
    }
    if (count)
        *count = n;
    return n > 0 ? CL_SUCCESS : CL_DEVICE_NOT_FOUND;
}

/* ---- objects ---- */

#define REFERENCES(name, type, release_parts)               \
    static cl_int CL_API_CALL retain_##name(type object)    \
    {                                                       \
        object->refs++;                                     \
        state->live++;                                      \
        return CL_SUCCESS;                                  \
    }                                                       \
    static cl_int CL_API_CALL release_##name(type object)   \
    {                                                       \
        state->live--;                                      \
        if (object->refs-- > 0)                             \
            return CL_SUCCESS;                              \
        release_parts;                                      \
        free(object);                                       \
        return CL_SUCCESS;                                  \
    }

static cl_context CL_API_CALL create_context(const cl_context_properties *properties, cl_uint n,
                                             const cl_device_id *list,
                                             void(CL_CALLBACK *notify)(const char *, const void *,
                                                                       size_t, void *),
                                             void *user, cl_int *e)
{
    (void)properties, (void)notify, (void)user;
    if (n != 1 || list[0]->is->switched_off) {
        *e = CL_DEVICE_NOT_AVAILABLE;
        return NULL;
    }
    cl_context context = new_object(sizeof *context, e);
    if (context)
        context->device = list[0];
    return context;
}
REFERENCES(context, cl_context, (void)0)

static cl_command_queue CL_API_CALL create_queue(cl_context context, cl_device_id device,
                                                 cl_command_queue_properties properties, cl_int *e)
{
    (void)device;
    cl_command_queue queue = new_object(sizeof *queue, e);
    if (queue) {
        queue->context = context;
        queue->properties = properties;
    }
    return queue;
}
REFERENCES(queue, cl_command_queue, (void)0)

static cl_mem CL_API_CALL create_buffer(cl_context context, cl_mem_flags flags, size_t size,
                                        void *host, cl_int *e)
{
    const mock_device *d = context->device->is;
    if (size == 0 || size > d->max_alloc) {
        *e = refuse(CL_INVALID_BUFFER_SIZE, "a buffer", d, size, (size_t)d->max_alloc);
        return NULL;
    }
    unsigned char *bytes =
        size <= d->global_bytes - context->allocated ? calloc(1, size) : NULL;
    cl_mem mem = bytes ? new_object(sizeof *mem, e) : NULL;
    if (!mem) {
        free(bytes);
        *e = CL_MEM_OBJECT_ALLOCATION_FAILURE;
        return NULL;
    }
    *mem = (struct _cl_mem){ &entry_points, 0, context, size, bytes };
    context->allocated += size;
    if (flags & CL_MEM_COPY_HOST_PTR)
        memcpy(bytes, host, size);
    return mem;
}
REFERENCES(mem, cl_mem, (object->context->allocated -= object->size, free(object->bytes)))

static cl_program CL_API_CALL create_program(cl_context context, cl_uint n, const char **text,
                                             const size_t *sizes, cl_int *e)
{
    char *source = n == 1 ? calloc(1, sizes[0] + 1) : NULL;
    cl_program program = source ? new_object(sizeof *program, e) : NULL;
    if (!program) {
        free(source);
        *e = CL_OUT_OF_HOST_MEMORY;
        return NULL;
    }
    memcpy(source, text[0], sizes[0]);
    program->context = context;
    program->source = source;
    return program;
}
REFERENCES(program, cl_program, free(object->source))

static cl_program CL_API_CALL create_from_binary(cl_context context, cl_uint n,
                                                 const cl_device_id *list, const size_t *sizes,
                                                 const unsigned char **binaries, cl_int *each,
                                                 cl_int *e)
{
    const char *text = (const char *)binaries[0];
    (void)list;
    if (each)
        *each = CL_SUCCESS;
    cl_program program = create_program(context, n, &text, sizes, e);
    if (program && state->no_binary && strstr(program->source, state->no_binary)) {
        release_program(program);
        *e = state->binary_code;
        return NULL;
    }
    if (program)
        program->from_binary = true;
    return program;
}

/* The chip's assembler takes what is for it, and needs to be told of registers. */
static bool assembles(const struct _cl_program *program, const char *options)
{
    const char *text = program->source;
    const bool marked = strstr(text, "wgmma;") != NULL;
    return !strstr(text, "SM90A") && strstr(text, marked ? ".target sm_90a," : ".target sm_90,")
        && (!marked || strstr(options, "-cl-nv-maxrregcount="));
}

/* Instructions of another engine are none that a compiler knows. */
static bool has_engine(const mock_device *d, const char *options)
{
    char engine[32];
    snprintf(engine, sizeof engine, "-DTILE=%d ", (int)d->tile);
    return strstr(options, engine) != NULL;
}

/* The probes of what a device cannot do do not build, as with real ones. */
static cl_int CL_API_CALL build(cl_program program, cl_uint n, const cl_device_id *list,
                                const char *options,
                                void(CL_CALLBACK *notify)(cl_program, void *), void *user)
{
    const mock_device *d = program->context->device->is;
    (void)n, (void)list, (void)notify, (void)user;
    const bool bad = (program->from_binary && d->chip_major && !assembles(program, options))
                  || (state->bad_source && strstr(program->source, state->bad_source))
                  || (strstr(program->source, "void probe_fp16(") && !d->fp16)
                  || (strstr(program->source, "void probe_fp64(") && !d->fp64)
                  || (strstr(program->source, "void probe_subgroups(") && !d->subgroups)
                  || (strstr(program->source, "void probe_tile(") && !has_engine(d, options));
    return bad ? CL_BUILD_PROGRAM_FAILURE : CL_SUCCESS;
}

static cl_kernel CL_API_CALL create_kernel(cl_program program, const char *name, cl_int *e)
{
    char definition[80];
    snprintf(definition, sizeof definition, "void %s(", name);
    if (!strstr(program->source, definition)
        || (state->no_kernel && strcmp(name, state->no_kernel) == 0)) {
        *e = CL_INVALID_KERNEL_NAME;
        return NULL;
    }
    cl_kernel kernel = new_object(sizeof *kernel, e);
    if (kernel) {
        kernel->program = program;
        snprintf(kernel->name, sizeof kernel->name, "%s", name);
    }
    return kernel;
}
REFERENCES(kernel, cl_kernel, (void)0)

/* One is enough to show that there are some. */
static cl_int CL_API_CALL create_kernels(cl_program program, cl_uint n, cl_kernel *kernels,
                                         cl_uint *count)
{
    cl_kernel kernel = n > 0 ? new_object(sizeof *kernel, NULL) : NULL;
    if (!kernel)
        return CL_OUT_OF_HOST_MEMORY;
    kernel->program = program;
    kernels[0] = kernel;
    *count = 1;
    return CL_SUCCESS;
}
REFERENCES(event, cl_event, (void)0)

/* ---- work ---- */

static cl_int leave_event(cl_command_queue queue, cl_event *event)
{
    cl_int e = CL_SUCCESS;
    if (event) {
        *event = new_object(sizeof **event, &e);
        if (*event)
            (*event)->context = queue->context;
    }
    return e;
}

static cl_int CL_API_CALL set_arg(cl_kernel kernel, cl_uint index, size_t size, const void *value)
{
    if (index == 1 && size == sizeof(cl_mem))
        memcpy(&kernel->second, value, size);
    return CL_SUCCESS;
}

static cl_int CL_API_CALL get_work_group(cl_kernel kernel, cl_device_id device,
                                         cl_kernel_work_group_info what, size_t room, void *out,
                                         size_t *full)
{
    (void)kernel;
    if (what != CL_KERNEL_WORK_GROUP_SIZE)
        return CL_INVALID_VALUE;
    return ANSWER(size_t, state->compiled_for ? state->compiled_for : device->is->max_work_group);
}

/* The answers that the probes wait for. */
static cl_uint good_word(const char *probe)
{
    if (strcmp(probe, "probe_wgmma") == 0)
        return state->wrong_products ? 255 : 256;
    return strcmp(probe, "probe_base") == 0 ? 0xff : 1;
}

static void play(cl_kernel kernel)
{
    const cl_uint good = good_word(kernel->name);
    const cl_uint word = kernel->program->context->device->is->miscomputes ? 0 : good;
    if (strncmp(kernel->name, "probe_", 6) == 0)
        memcpy(kernel->second->bytes, &word, sizeof word);
}

static cl_int CL_API_CALL enqueue_kernel(cl_command_queue queue, cl_kernel kernel, cl_uint dims,
                                         const size_t *offset, const size_t *global,
                                         const size_t *local, cl_uint n, const cl_event *events,
                                         cl_event *event)
{
    const mock_device *d = queue->context->device->is;
    size_t items = 1;
    (void)offset, (void)n, (void)events;
    for (cl_uint i = 0; i < dims; i++) {
        if (local[i] == 0 || global[i] == 0 || global[i] % local[i])
            return refuse(CL_INVALID_WORK_GROUP_SIZE, kernel->name, d, global[i], local[i]);
        if (local[i] > d->max_items[i])
            return refuse(CL_INVALID_WORK_ITEM_SIZE, kernel->name, d, local[i], d->max_items[i]);
        items *= local[i];
    }
    if (items > d->max_work_group)
        return refuse(CL_INVALID_WORK_GROUP_SIZE, kernel->name, d, items, d->max_work_group);
    if (is_lost())
        return CL_OUT_OF_RESOURCES;
    state->launches++;
    play(kernel);
    return leave_event(queue, event);
}

static cl_int check_range(const struct _cl_mem *mem, size_t offset, size_t size)
{
    if (is_lost())
        return CL_OUT_OF_RESOURCES;
    return offset <= mem->size && size <= mem->size - offset
             ? CL_SUCCESS
             : refuse(CL_INVALID_VALUE, "a range", mem->context->device->is, offset, size);
}

static cl_int CL_API_CALL enqueue_read(cl_command_queue queue, cl_mem mem, cl_bool wait,
                                       size_t offset, size_t size, void *to, cl_uint n,
                                       const cl_event *events, cl_event *event)
{
    const cl_int e = check_range(mem, offset, size);
    (void)wait, (void)n, (void)events;
    if (e == CL_SUCCESS)
        memcpy(to, mem->bytes + offset, size);
    return e == CL_SUCCESS ? leave_event(queue, event) : e;
}

static cl_int CL_API_CALL enqueue_write(cl_command_queue queue, cl_mem mem, cl_bool wait,
                                        size_t offset, size_t size, const void *from, cl_uint n,
                                        const cl_event *events, cl_event *event)
{
    const cl_int e = check_range(mem, offset, size);
    (void)wait, (void)n, (void)events;
    if (e == CL_SUCCESS)
        memcpy(mem->bytes + offset, from, size);
    return e == CL_SUCCESS ? leave_event(queue, event) : e;
}

static cl_int CL_API_CALL enqueue_copy(cl_command_queue queue, cl_mem from, cl_mem to,
                                       size_t from_offset, size_t to_offset, size_t size,
                                       cl_uint n, const cl_event *events, cl_event *event)
{
    cl_int e = check_range(from, from_offset, size);
    (void)n, (void)events;
    if (e == CL_SUCCESS)
        e = check_range(to, to_offset, size);
    if (e == CL_SUCCESS)
        memmove(to->bytes + to_offset, from->bytes + from_offset, size);
    return e == CL_SUCCESS ? leave_event(queue, event) : e;
}

static cl_int CL_API_CALL finish(cl_command_queue queue)
{
    (void)queue;
    return is_lost() ? CL_OUT_OF_RESOURCES : CL_SUCCESS;
}

static cl_int CL_API_CALL wait_for_events(cl_uint n, const cl_event *events)
{
    (void)n, (void)events;
    return is_lost() ? CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST : CL_SUCCESS;
}

static cl_int CL_API_CALL set_callback(cl_event event, cl_int type,
                                       void(CL_CALLBACK *notify)(cl_event, cl_int, void *),
                                       void *user)
{
    notify(event, type, user);
    return CL_SUCCESS;
}

/* ---- the driver ---- */

static const cl_icd_dispatch entry_points = {
    .clGetPlatformIDs = get_platforms,
    .clGetPlatformInfo = get_platform_info,
    .clGetDeviceIDs = get_devices,
    .clGetDeviceInfo = get_device_info,
    .clCreateContext = create_context,
    .clRetainContext = retain_context,
    .clReleaseContext = release_context,
    .clCreateCommandQueue = create_queue,
    .clRetainCommandQueue = retain_queue,
    .clReleaseCommandQueue = release_queue,
    .clGetCommandQueueInfo = get_queue_info,
    .clCreateBuffer = create_buffer,
    .clRetainMemObject = retain_mem,
    .clReleaseMemObject = release_mem,
    .clCreateProgramWithSource = create_program,
    .clRetainProgram = retain_program,
    .clReleaseProgram = release_program,
    .clCreateProgramWithBinary = create_from_binary,
    .clGetProgramInfo = get_program_info,
    .clBuildProgram = build,
    .clGetProgramBuildInfo = get_build_info,
    .clCreateKernel = create_kernel,
    .clCreateKernelsInProgram = create_kernels,
    .clRetainKernel = retain_kernel,
    .clReleaseKernel = release_kernel,
    .clGetKernelWorkGroupInfo = get_work_group,
    .clSetKernelArg = set_arg,
    .clRetainEvent = retain_event,
    .clReleaseEvent = release_event,
    .clWaitForEvents = wait_for_events,
    .clSetEventCallback = set_callback,
    .clEnqueueNDRangeKernel = enqueue_kernel,
    .clEnqueueReadBuffer = enqueue_read,
    .clEnqueueWriteBuffer = enqueue_write,
    .clEnqueueCopyBuffer = enqueue_copy,
    .clFinish = finish,
};

EXPORT cl_int CL_API_CALL clIcdGetPlatformIDsKHR(cl_uint n, cl_platform_id *list, cl_uint *count);
EXPORT cl_int CL_API_CALL clIcdGetPlatformIDsKHR(cl_uint n, cl_platform_id *list, cl_uint *count)
{
    return get_platforms(n, list, count);
}

/* What the loader looks for before it knows the table. */
EXPORT void *CL_API_CALL clGetExtensionFunctionAddress(const char *name)
{
    static const struct {
        const char *name;
        void (*function)(void);
    } known[] = {
        { "clIcdGetPlatformIDsKHR", (void (*)(void))clIcdGetPlatformIDsKHR },
        { "clGetPlatformInfo", (void (*)(void))get_platform_info },
    };
    void *address = NULL;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strcmp(known[i].name, name) == 0)
            memcpy(&address, &known[i].function, sizeof address);
    return address;
}
