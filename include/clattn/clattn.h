/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file clattn: attention on any OpenCL device, and on none.
 *
 * Letters, the same everywhere: upper case is a size, lower case an index.
 *
 *     B batch   Hq query heads   Hk key/value heads   G = Hq / Hk
 *     Nq query rows   Nk key rows   D width of q and k   Dv width of v
 *     T packed rows of a ragged batch
 *
 * How the calls fit together
 *
 *     clattn_ctx      one device and its queue               clattn_ctx_create()
 *     clattn_buffer   device memory                          clattn_buffer_create()
 *     clattn_tensor   a view of a buffer or of host memory   clattn_tensor_of_buffer(), _of_host()
 *     clattn_plan     one problem, compiled and ready        clattn_plan_attention(), _run()
 *     clattn_attention() and its sisters: plan (cached in the context) and run in one call
 *
 * Options are structs whose first field is struct_size and whose zero fields mean "default".
 * In C write clattn_attention_params(.q = q, .k = k, ...); in C++ zero the struct, set
 * struct_size to its sizeof, then the fields.
 *
 * Errors     Every call that can fail returns a clattn_status. clattn_error(ctx) is one
 *            sentence with the values in it. After an error nothing was queued, nothing was
 *            written, and the context can be used again. The library never aborts, exits or
 *            prints.
 * Threads    One thread at a time per context and the objects made from it; contexts are
 *            independent of each other. Those on the native CPU for which nobody said how many
 *            threads they have (num_threads, CLATTN_NUM_THREADS) share the cores that OpenMP may
 *            use: each call takes its part of them while others are at work, and one inside a
 *            parallel region. Floating-point modes are as before when a call returns.
 * Checks     With CLATTN_CHECK=sample in the environment of clattn_ctx_create() a row, chosen at
 *            random, of some results is computed again on the CPU in double: of the first run of
 *            each plan, so of every call that needs a new one, and later of as many as 4 % of the
 *            time is enough for, waiting for the device aside. A row that is not within the error
 *            that f32 sums can have gives CLATTN_ERR_CHECK and a sentence with the operation, the
 *            row, what was there, what is right and that bound; the outputs are written then, and
 *            are not to be used. What f32 overflows in, and rows with NaN
 *            in them, are not judged. A run that is looked at waits for the device, and needs host
 *            memory for a copy of what lies on it; the enqueue forms, which never wait, are not
 *            looked at. Unset or off: nothing is checked, at no cost.
 * Processes  A context must not cross fork(): every call on it in the child fails with
 *            CLATTN_ERR_DEVICE.
 */
#ifndef CLATTN_CLATTN_H
#define CLATTN_CLATTN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "version.h"

#if defined(CLATTN_STATIC) || !defined(__GNUC__)
#define CLATTN_API
#else
#define CLATTN_API __attribute__((visibility("default")))
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ------------------------------------------------------------------------------------------ */
/* Status                                                                                     */

/** What went wrong, by what the caller can do about it. X(name, text). */
#define CLATTN_STATUS_LIST(X)                                                             \
    X(OK, "success")                                                                      \
    X(ERR_ARG, "an argument has no legal value (NULL, NaN, unknown dtype or name)")       \
    X(ERR_SHAPE, "shapes, strides or sizes do not fit together")                          \
    X(ERR_UNSUPPORTED, "legal, but this device or this build cannot do it")               \
    X(ERR_MEMORY, "out of host or device memory")                                         \
    X(ERR_DEVICE, "no such device, or the device or its driver failed")                   \
    X(ERR_BUILD, "a kernel did not build")                                                \
    X(ERR_VERSION, "the options struct is newer than the library")                        \
    X(ERR_CHECK, "a result was computed again, and was wrong")

typedef enum clattn_status {
#define CLATTN_STATUS_ENUM_(name, text) CLATTN_##name,
    CLATTN_STATUS_LIST(CLATTN_STATUS_ENUM_)
#undef CLATTN_STATUS_ENUM_
} clattn_status;

/** The name ("CLATTN_ERR_SHAPE") of a status; never NULL. Any thread. */
CLATTN_API const char *clattn_status_name(clattn_status status);

/** The general meaning of a status, one line; never NULL. Any thread. */
CLATTN_API const char *clattn_status_text(clattn_status status);

/** Version of the library, "major.minor.patch". Any thread. */
CLATTN_API const char *clattn_version(void);

/* ------------------------------------------------------------------------------------------ */
/* Dtypes                                                                                     */

/** Storage types. Sums, softmax and states are f32 whatever the storage type. */
typedef enum clattn_dtype {
    CLATTN_NONE = 0, /**< an absent tensor */
    CLATTN_F32 = 1,
    CLATTN_F16 = 2,
    CLATTN_BF16 = 3,
    CLATTN_U8 = 4,  /**< masks: 1 = attend, 0 = masked */
    CLATTN_I32 = 5, /**< indices, cu_seqlens */
    CLATTN_I8 = 6,  /**< quantised weights */
    CLATTN_I4 = 7   /**< quantised weights: an element is a byte with two values, -8 to 7, the
                         first in the low half; shapes, strides and offsets count such pairs */
} clattn_dtype;

/** Bytes of one element; 0 for CLATTN_NONE and unknown values. Any thread. */
CLATTN_API size_t clattn_dtype_size(clattn_dtype dtype);

/** "f32", "f16", "bf16", "u8", "i32", "i8", "i4", "none". Any thread. */
CLATTN_API const char *clattn_dtype_name(clattn_dtype dtype);

/** Converts n elements to f32 (exact, but for I32 beyond 2^24), or from f32 (to nearest even; f16
 *  overflows to inf, integers to their ends, and a NaN becomes the lowest of them). I4: n pairs,
 *  and 2 n floats. */
CLATTN_API void clattn_to_f32(clattn_dtype dtype, const void *src, float *dst, size_t n);
CLATTN_API void clattn_from_f32(clattn_dtype dtype, const float *src, void *dst, size_t n);

/* ------------------------------------------------------------------------------------------ */
/* Devices and contexts                                                                       */

typedef struct clattn_ctx clattn_ctx;

typedef enum clattn_device_type {
    CLATTN_DEVICE_NATIVE = 0, /**< this process's CPU, no OpenCL */
    CLATTN_DEVICE_CPU = 1,    /**< a CPU behind OpenCL (PoCL, ...) */
    CLATTN_DEVICE_GPU = 2,
    CLATTN_DEVICE_OTHER = 3   /**< accelerator or custom device */
} clattn_device_type;

/** What a device is and can do. Text fields are zero-terminated and cut to fit. */
typedef struct clattn_device_info {
    int index;               /**< selector: position in clattn_device_list() */
    clattn_device_type type;
    char name[128];
    char vendor[64];
    char platform[64];       /**< "native" for the native CPU */
    char driver[64];         /**< driver version; instruction set for the native CPU */
    char version[64];        /**< OpenCL version of the device */
    int compute_units;       /**< threads for the native CPU */
    size_t max_work_group;   /**< work-items; 1 for the native CPU */
    size_t local_bytes;      /**< local memory of a work-group; 0 for the native CPU */
    size_t global_bytes;
    size_t max_alloc_bytes;  /**< largest single buffer */
    size_t cache_bytes;      /**< last-level cache of a CPU; 0: not known, or not a CPU */
    bool usable;             /**< a context can be created */
    bool fp16;               /**< half arithmetic works (probed); storage always works */
    bool fp64;               /**< double arithmetic works (probed) */
    bool subgroups;          /**< sub-group reductions work (probed) */
    bool denormals;          /**< f32 subnormals are kept (probed) */
    char why_not[256];       /**< why it is not usable, or what is missing and why */
    bool matrix_f16;         /**< a matrix engine multiplies f16, and is used (probed) */
    bool matrix_bf16;        /**< the same of bf16 */
} clattn_device_info;

/**
 * Lists every device: the native CPU first (index 0), then each OpenCL device in platform order.
 * Probing builds tiny kernels on each device, and may take a second the first time.
 *
 * @param list   set to an array of *count entries, to be freed with clattn_device_list_free();
 *               NULL on failure
 * @return CLATTN_OK, CLATTN_ERR_ARG (NULL argument), CLATTN_ERR_MEMORY
 */
CLATTN_API clattn_status clattn_device_list(clattn_device_info **list, int *count);
CLATTN_API void clattn_device_list_free(clattn_device_info **list);

typedef enum clattn_log_level {
    CLATTN_LOG_ERROR = 0,
    CLATTN_LOG_WARN = 1,
    CLATTN_LOG_INFO = 2,
    CLATTN_LOG_DEBUG = 3
} clattn_log_level;

/** Receives one line, without newline; the text lives only during the call. */
typedef void (*clattn_log_fn)(void *user, clattn_log_level level, const char *line);

/** How much time may go into finding a fast configuration. */
typedef enum clattn_effort {
    CLATTN_EFFORT_OFF = -1,      /**< nothing is timed, and nothing that was timed is used */
    CLATTN_EFFORT_ESTIMATE = 0,  /**< nothing is timed; stored results are used, else estimates */
    CLATTN_EFFORT_QUICK = 1,     /**< per problem: at most 32 configurations, 5 s */
    CLATTN_EFFORT_STANDARD = 2,  /**< 200 configurations, 30 s */
    CLATTN_EFFORT_PATIENT = 3,   /**< 800 configurations, 5 minutes */
    CLATTN_EFFORT_EXHAUSTIVE = 4 /**< all configurations */
} clattn_effort;

struct clattn_ctx_params {
    size_t struct_size;
    /**
     * "cpu" (native), "opencl" (first OpenCL device), an index of clattn_device_list(), or a part
     * of a device or platform name, letter case ignored. NULL or "": the environment variable
     * CLATTN_DEVICE, else the best device (a GPU, else the native CPU).
     */
    const char *device;
    int num_threads;       /**< native CPU; 0: CLATTN_NUM_THREADS, else one per core, shared */
    clattn_log_fn log;     /**< may be NULL; also told why clattn_ctx_create() failed */
    void *log_user;
    clattn_log_level log_level; /**< lines above it are dropped; errors always pass */
    clattn_effort effort; /**< OFF: plans depend on this build alone, not on what was tuned. QUICK
                               or more: the first plan for a new kind of problem searches, in this
                               process, before it returns; see also clattn_plan_tune() */
};
#define clattn_ctx_params(...) \
    (&(struct clattn_ctx_params){ .struct_size = sizeof(struct clattn_ctx_params), __VA_ARGS__ })

/**
 * Opens a device. To wrap a cl_context and cl_command_queue of yours see opencl.h.
 *
 * @param params  NULL for the defaults
 * @param out     set to the context, or to NULL on failure; free with clattn_ctx_destroy()
 * @return CLATTN_OK
 *         CLATTN_ERR_ARG      out is NULL, struct_size is 0, a number is out of range
 *         CLATTN_ERR_DEVICE   no device fits the selector (the log says which there are), or its
 *                             driver failed
 *         CLATTN_ERR_MEMORY, CLATTN_ERR_VERSION
 */
CLATTN_API clattn_status clattn_ctx_create(const struct clattn_ctx_params *params,
                                           clattn_ctx **out);

/**
 * Waits for queued work, then frees the context and nulls the pointer. Takes NULL. Buffers and
 * plans keep what they need alive: they may be destroyed before or after.
 */
CLATTN_API void clattn_ctx_destroy(clattn_ctx **ctx);

/** The sentence of the last failed call on this context, "" before any; until the next call. */
CLATTN_API const char *clattn_error(const clattn_ctx *ctx);

/** The device of a context; NULL gives NULL. Lives as long as the context. */
CLATTN_API const clattn_device_info *clattn_ctx_device(const clattn_ctx *ctx);

/**
 * Blocks until all work queued on the context is done.
 * @return CLATTN_OK, CLATTN_ERR_ARG (NULL), CLATTN_ERR_DEVICE (the device failed meanwhile)
 */
CLATTN_API clattn_status clattn_finish(clattn_ctx *ctx);

/**
 * Measures, in about 0.3 s, what the device can reach: f32 multiply-add rate and read bandwidth.
 * The floors of `clattn bench` are made from these.
 * @return as clattn_attention()
 */
CLATTN_API clattn_status clattn_measure_peaks(clattn_ctx *ctx, double *gflops,
                                              double *gbytes_per_s);

/**
 * Measures, in about 0.1 s, the multiply-add rate of the native CPU's matrix engine for bf16, sums
 * in f32: the floor of what runs on it.
 * @return CLATTN_ERR_UNSUPPORTED: it has none, or the device is not the native CPU, whose engines
 *         are not measured; else as clattn_attention()
 */
CLATTN_API clattn_status clattn_measure_matrix_peak(clattn_ctx *ctx, double *bf16_gflops);

/* ------------------------------------------------------------------------------------------ */
/* Buffers                                                                                    */

typedef struct clattn_buffer clattn_buffer;

/**
 * Device memory of at least 1 byte, aligned for every dtype, contents undefined. On the native
 * CPU it is host memory.
 * @param out  set to the buffer or NULL; free with clattn_buffer_destroy()
 * @return CLATTN_OK, CLATTN_ERR_ARG, CLATTN_ERR_SHAPE (0 bytes, or more than the device allows),
 *         CLATTN_ERR_MEMORY, CLATTN_ERR_DEVICE
 */
CLATTN_API clattn_status clattn_buffer_create(clattn_ctx *ctx, size_t bytes, clattn_buffer **out);

/** Frees the buffer once queued work is done with it, and nulls the pointer. Takes NULL. */
CLATTN_API void clattn_buffer_destroy(clattn_buffer **buffer);

/** Size in bytes; 0 for NULL. */
CLATTN_API size_t clattn_buffer_size(const clattn_buffer *buffer);

/**
 * Copies bytes between host memory and [offset, offset + bytes) of the buffer, after all work
 * queued before. Blocks until the host memory may be used again. 0 bytes is a success.
 * @return CLATTN_OK, CLATTN_ERR_ARG (NULL), CLATTN_ERR_SHAPE (range outside the buffer),
 *         CLATTN_ERR_MEMORY, CLATTN_ERR_DEVICE
 */
CLATTN_API clattn_status clattn_buffer_write(clattn_buffer *buffer, size_t offset, const void *src,
                                             size_t bytes);
CLATTN_API clattn_status clattn_buffer_read(clattn_buffer *buffer, size_t offset, void *dst,
                                            size_t bytes);

/* ------------------------------------------------------------------------------------------ */
/* Tensors                                                                                    */

#define CLATTN_MAX_RANK 5

/**
 * A view: it owns nothing. All sizes, strides and offsets count elements, never bytes. Strides
 * are not negative; 0 repeats an element (inputs only). The last axis must be contiguous (stride
 * 1, or length 1) unless a field says otherwise. A zeroed tensor is absent.
 *
 * Other layouts are the same tensor with other strides: for memory laid out [B][N][H][D] make a
 * view of that shape and swap axes 1 and 2 with clattn_tensor_swap().
 */
typedef struct clattn_tensor {
    clattn_buffer *buffer; /**< device memory, or NULL */
    void *data;            /**< host memory, used when buffer is NULL; never written for inputs */
    clattn_dtype dtype;
    int rank;
    int64_t offset;        /**< of element [0]...[0] */
    int64_t shape[CLATTN_MAX_RANK];
    int64_t stride[CLATTN_MAX_RANK];
} clattn_tensor;

/** A dense (row-major) view that starts at offset 0. An illegal rank gives an absent tensor. */
CLATTN_API clattn_tensor clattn_tensor_of_buffer(clattn_buffer *buffer, clattn_dtype dtype,
                                                 int rank, const int64_t *shape);
CLATTN_API clattn_tensor clattn_tensor_of_host(const void *data, clattn_dtype dtype, int rank,
                                               const int64_t *shape);

/** The same memory with two axes swapped. */
CLATTN_API clattn_tensor clattn_tensor_swap(clattn_tensor tensor, int axis_a, int axis_b);

/** The same memory, seen with a new length in an axis of length 1, stride 0: a broadcast. */
CLATTN_API clattn_tensor clattn_tensor_repeat(clattn_tensor tensor, int axis, int64_t length);

/** Rows [first, first + length) of one axis. */
CLATTN_API clattn_tensor clattn_tensor_slice(clattn_tensor tensor, int axis, int64_t first,
                                             int64_t length);

/** Number of elements the shape names; 0 for an absent tensor. */
CLATTN_API int64_t clattn_tensor_count(const clattn_tensor *tensor);

/* ------------------------------------------------------------------------------------------ */
/* Softmax attention                                                                          */

/** Which keys a causal mask lets query row i see. */
typedef enum clattn_causal {
    CLATTN_CAUSAL_NONE = 0,         /**< all keys */
    CLATTN_CAUSAL_TOP_LEFT = 1,     /**< j <= i */
    CLATTN_CAUSAL_BOTTOM_RIGHT = 2  /**< j <= i + Nk - Nq: the last row sees everything */
} clattn_causal;

/** A KV cache, see clattn_kv_create(). */
typedef struct clattn_kv clattn_kv;

/**
 * What makes k and v a cache of the caller's own, in which every sequence has its own length. Its
 * rows may have another dtype than q: f32, f16, bf16, or
 *
 *     i8   row = scale * value, one scale for a row
 *     i4   row = scale * value in groups of 32; the last axis of k and v counts pairs, of which a
 *          row has ceil(D / 2)
 *
 * With a block table k is [P][Hk][R][D], P pages of R rows (R a power of two, 16 or more), v
 * likewise, and key j of sequence b is row j % R of page block_table[b][j / R]. Without, k is
 * [B][Hk][R][D]. Nk is max_seqlen_k, or when that is 0 all the rows there is room for; it bounds
 * the lengths, sizes mask, bias and probs, and is a size of the plan: leave room to grow.
 *
 * Host lengths and tables are checked; in device buffers numbers that lead outside are clamped.
 */
typedef struct clattn_kv_layout {
    clattn_tensor lengths;     /**< i32 [B]: keys of each sequence */
    clattn_tensor block_table; /**< optional, i32 [B][pages of a sequence, at most] */
    clattn_tensor k_scale;     /**< i8: f32 [B or P][Hk][R]; i4: f32 [B or P][Hk][R][ceil(D/32)] */
    clattn_tensor v_scale;     /**< the same of v, with Dv */
} clattn_kv_layout;

/**
 * What the weights p[b,h,i,j] = exp(s_j - lse) of each row come to, without the Nq x Nk weights.
 * Each tensor is optional and f32 unless it says otherwise.
 */
typedef struct clattn_attention_stats {
    clattn_tensor entropy;  /**< [B][Hq][Nq], ragged [Hq][Tq]: -sum_j p log p, natural logarithm */
    clattn_tensor distance; /**< shape of entropy: sum_j p |i + Nk - Nq - j| */
    clattn_tensor top;      /**< [B][Hq][Nq][K], ragged [Hq][Tq][K]: the K largest p, falling */
    clattn_tensor top_keys; /**< i32, shape of top: their keys, of equal ones the lower first */
    clattn_tensor keys;     /**< input, i32 [B][Nq][C], ragged [Tq][C]: C keys of every row */
    clattn_tensor chosen;   /**< [B][Hq][Nq][C], ragged [Hq][Tq][C]: p of the row's own keys */
    clattn_tensor mean;     /**< [B][rows][Nk]: sum_h p / Hq, of rows mean_row and following */
    int64_t mean_row;
} clattn_attention_stats;

struct clattn_attention_params {
    size_t struct_size;

    clattn_tensor q; /**< [B][Hq][Nq][D], ragged [Tq][Hq][D]; f32, f16 or bf16 */
    clattn_tensor k; /**< [B][Hk][Nk][D], ragged [Tk][Hk][D]; Hq % Hk == 0; dtype of q */
    clattn_tensor v; /**< [B][Hk][Nk][Dv], ragged [Tk][Hk][Dv]; dtype of q */
    clattn_tensor o; /**< [B][Hq][Nq][Dv], ragged [Tq][Hq][Dv], written; dtype of q, or f32 */

    clattn_tensor lse;   /**< optional output, f32: [B][Hq][Nq], ragged [Hq][Tq] */
    clattn_tensor probs; /**< optional output, f32: [B][heads][rows][Nk], see probs_head, _row */
    int64_t probs_head;  /**< first query head of probs; the shape says how many */
    int64_t probs_row;   /**< first query row of probs; the shape says how many */

    clattn_tensor mask;  /**< optional, u8, 1 = attend: [B][Hq][Nq][Nk]; a length of 1 repeats */
    clattn_tensor bias;  /**< optional, added to the scores: f32, f16 or bf16, shape as mask */
    clattn_tensor alibi; /**< optional, f32 [Hq]: slope of each head */
    clattn_tensor sinks; /**< optional, f32 [Hq]: a score that joins the sum and has no value */

    float scale;   /**< multiplies q.k; 0: 1/sqrt(D) */
    float softcap; /**< s -> softcap * tanh(s / softcap); 0: off */
    clattn_causal causal;
    bool window;          /**< true: only keys i + Nk - Nq - left <= j <= i + Nk - Nq + right */
    int64_t window_left;  /**< -1: unbounded */
    int64_t window_right; /**< -1: unbounded */

    clattn_tensor cu_seqlens_q; /**< i32 [B+1]; given (with _k): q, k, v, o are ragged */
    clattn_tensor cu_seqlens_k; /**< i32 [B+1] */
    int64_t max_seqlen_q;       /**< longest sequence; 0: taken from host cu_seqlens, else Tq */
    int64_t max_seqlen_k;       /**< likewise */

    clattn_tensor workspace; /**< optional, u8 buffer of plan_info.workspace_bytes or more */
    const char *kernel;      /**< NULL: the dispatcher chooses; else the name of a kernel, see
                                  clattn_kernel_name(); an error if it cannot do the problem */

    clattn_kv *kv;           /**< a cache in place of k and v: q has B of its sequences, from */
    int64_t kv_sequence;     /**< this one on; see clattn_kv_create() */
    clattn_kv_layout layout; /**< with lengths, k and v are a cache of the caller's own */

    clattn_attention_stats stats; /**< optional outputs */
};
#define clattn_attention_params(...)                           \
    (&(struct clattn_attention_params){                        \
        .struct_size = sizeof(struct clattn_attention_params), \
        __VA_ARGS__ })

/**
 * Softmax attention. For each batch b, query head h (reading key/value head h / G) and row i:
 *
 *     s_j = scale * (q_i . k_j)
 *     s_j = softcap * tanh(s_j / softcap)            if softcap > 0
 *     s_j = s_j - alibi_h * |i + Nk - Nq - j|        if alibi is given
 *     s_j = s_j + bias[b,h,i,j]                      if bias is given
 *     s_j = -inf                                     where mask is 0, or causal or window forbid j
 *     lse = log(sum_j exp(s_j) [+ exp(sinks_h)])     natural logarithm
 *     o_i = sum_j exp(s_j - lse) v_j
 *
 * (Online softmax: Milakov and Gimelshein 2018; Dao 2023. The Nq x Nk scores are never stored;
 * probs and stats, when asked for, are recomputed from q and k in tiles.)
 *
 * Stats      In a row with no visible key entropy, distance and weights are 0. With a sink the
 *            weights of a row add up to less than 1; so do those of heads in mean. top_keys is -1,
 *            and top 0, where fewer than K visible keys have a score above -inf. A key that is
 *            outside the sequence or not visible has 0 in chosen. A NaN at a visible position
 *            makes entropy, distance, and the weights of visible keys NaN.
 * Edges      A row with no visible key gives o = 0 and lse = -inf (with a sink: lse = sink).
 *            Nk = 0 is such a case. B, Hq or Nq = 0: success, nothing is launched. What lies at a
 *            masked position, NaN included, changes nothing; a NaN at a visible position makes
 *            the rows that see it NaN, and no other.
 * Ragged     cu_seqlens_q and _k hold where each sequence starts in the packed rows: first 0,
 *            never decreasing, last T. Host arrays are checked; in a device buffer they are
 *            clamped to [0, T] by the kernels, not checked. mask, bias and probs then use rows and
 *            keys counted within the sequence: [B][Hq][max_seqlen_q][max_seqlen_k]. So do
 *            keys, top_keys and mean.
 * Layout     The last axis (D, Dv, Nk, K, C) is contiguous, other strides are free. Outputs overlap
 *            neither inputs nor each other, and have no stride 0 in an axis longer than 1.
 * Blocking   With buffers: returns once the work is queued (the native CPU: once it is done); read
 *            results after clattn_finish() or with clattn_buffer_read(). With any host tensor:
 *            returns when the results are in place. The first call for a new problem compiles.
 * Result     Bit-identical from call to call for the same device, driver, problem and kernel.
 *
 * @return CLATTN_OK
 *         CLATTN_ERR_ARG          NULL, unknown dtype, tensor missing, NaN scale, softcap below 0
 *                                 or not finite, window below -1, overlap, buffer of another
 *                                 context, misaligned host pointer, bad cu_seqlens, unknown kernel
 *                                 name
 *         CLATTN_ERR_SHAPE        shapes disagree, Hq % Hk != 0, a view outside its buffer, a size
 *                                 that overflows, workspace too small
 *         CLATTN_ERR_UNSUPPORTED  the named kernel cannot do this problem on this device
 *         CLATTN_ERR_MEMORY, CLATTN_ERR_DEVICE, CLATTN_ERR_BUILD, CLATTN_ERR_VERSION
 */
CLATTN_API clattn_status clattn_attention(clattn_ctx *ctx,
                                          const struct clattn_attention_params *params);

/* ------------------------------------------------------------------------------------------ */
/* Argmax attention                                                                           */

struct clattn_argmax_params {
    size_t struct_size;

    clattn_tensor q; /**< [B][Hq][Nq][D], ragged [Tq][Hq][D]; f32, f16 or bf16 */
    clattn_tensor k; /**< [B][Hk][Nk][D], ragged [Tk][Hk][D]; Hq % Hk == 0; dtype of q */
    clattn_tensor v; /**< [B][Hk][Nk][Dv], ragged [Tk][Hk][Dv]; dtype of q */
    clattn_tensor o; /**< [B][Hq][Nq][Dv], ragged [Tq][Hq][Dv], written; dtype of v, which for
                          quantised caches is f32 */

    clattn_tensor index; /**< optional output, i32: [B][Hq][Nq], ragged [Hq][Tq] */
    clattn_tensor mask;  /**< optional, u8, 1 = attend: [B][Hq][Nq][Nk]; a length of 1 repeats */

    clattn_causal causal;
    bool window;          /**< as in clattn_attention_params */
    int64_t window_left;
    int64_t window_right;

    clattn_tensor cu_seqlens_q; /**< ragged batches, as in clattn_attention_params */
    clattn_tensor cu_seqlens_k;
    int64_t max_seqlen_q;
    int64_t max_seqlen_k;

    const char *kernel; /**< as in clattn_attention_params */

    clattn_kv *kv;           /**< these three as in clattn_attention_params */
    int64_t kv_sequence;
    clattn_kv_layout layout;
};
#define clattn_argmax_params(...)                           \
    (&(struct clattn_argmax_params){                        \
        .struct_size = sizeof(struct clattn_argmax_params), \
        __VA_ARGS__ })

/**
 * Hard attention: each row takes the value of its best key,
 *
 *     j* = argmax_j (q_i . k_j)      o_i = v_{j*}      index_i = j*
 *
 * over the keys that mask, causal and window let the row see. Scores are not scaled. Of equal
 * scores the lowest index wins; equal keys have equal scores wherever they stand. A NaN score loses
 * to any number, -inf included. o_i holds the stored bits of v_{j*}. index counts within the
 * sequence. A row that sees no key gets index -1 and o = 0.
 *
 * Ragged batches, caches, layout, blocking, edges and errors are those of clattn_attention().
 */
CLATTN_API clattn_status clattn_argmax(clattn_ctx *ctx, const struct clattn_argmax_params *params);

/* ------------------------------------------------------------------------------------------ */
/* Merging partial results                                                                    */

struct clattn_merge_params {
    size_t struct_size;
    clattn_tensor o_parts;   /**< [P][B][H][N][Dv]: results over P disjoint sets of keys;
                                  f32, f16 or bf16 */
    clattn_tensor lse_parts; /**< f32 [P][B][H][N] */
    clattn_tensor o;         /**< [B][H][N][Dv], written; f32, f16 or bf16 */
    clattn_tensor lse;       /**< optional output, f32 [B][H][N] */
    const char *kernel;      /**< as in clattn_attention_params */
};
#define clattn_merge_params(...)                           \
    (&(struct clattn_merge_params){                        \
        .struct_size = sizeof(struct clattn_merge_params), \
        __VA_ARGS__ })

/**
 * Joins attention over disjoint key sets:
 *
 *     lse = log(sum_p e^lse_p)       o = sum_p o_p e^(lse_p - lse)
 *
 * The empty part is (o, lse) = (0, -inf); all parts empty, or P = 0, give (0, -inf). What stands
 * in o of an empty part is not read. Layout, blocking and errors as clattn_attention().
 */
CLATTN_API clattn_status clattn_merge(clattn_ctx *ctx, const struct clattn_merge_params *params);

/* ------------------------------------------------------------------------------------------ */
/* Projection and rotary embedding                                                            */

/** Which two elements of a head a rotary embedding turns together; K (or D) is even. */
typedef enum clattn_rotary {
    CLATTN_ROTARY_NONE = 0,
    CLATTN_ROTARY_NEOX = 1, /**< i and i + K/2 */
    CLATTN_ROTARY_GPTJ = 2  /**< 2i and 2i + 1 */
} clattn_rotary;

/** What of a cache a part of a projection writes. */
typedef enum clattn_kv_part {
    CLATTN_KV_NONE = 0,
    CLATTN_KV_KEYS = 1,
    CLATTN_KV_VALUES = 2
} clattn_kv_part;

/**
 * One weight matrix of a projection. Its out = H * K columns of y are seen as H heads of K.
 *
 * w is [H][K][M] with free strides in all axes, or [out][M]. So no layout needs a copy: torch's
 * [out][in] is itself, a transposed one is clattn_tensor_swap() of it, W_q [h][d][k] is its
 * swap of axes 1 and 2, a shared W_k [d][k] its swap of axes 0 and 1, W_o [h][v][d] a view
 * [h v][d] swapped. An [out][M] w takes H and K from a y of rank 4, else is one head.
 *
 *     f32, f16, bf16   as it is
 *     i8               w = scale * value; scale f32 [out] or [H][K]
 *     i4               w = scale * value in groups of 32 along M; scale f32 or f16, [out][M/32] or
 *                      [H][K][M/32]; the last axis of w counts pairs, M/2 of them, contiguous
 */
typedef struct clattn_projection_part {
    clattn_tensor w;
    clattn_tensor scale;    /**< i8 and i4 only */
    clattn_tensor bias;     /**< optional, [out] or [H][K]; f32, f16 or bf16 */
    clattn_tensor residual; /**< optional, added last: shape of y; f32, f16 or bf16; may be y
                                 itself: the same memory with the same strides */
    clattn_tensor y;        /**< [B][N][H][K] or [B][N][out], written; dtype of x, or f32 */
    clattn_rotary rotary;   /**< turns each head of this part */
    float rotary_base;      /**< 0: 10000; at least 1 */
    clattn_kv_part into;    /**< in place of y: rows are appended to params->kv */
} clattn_projection_part;

#define CLATTN_MAX_PARTS 3

struct clattn_projection_params {
    size_t struct_size;
    clattn_tensor x; /**< [B][N][M], or [rows][M] (then B = 1, and y may be [rows][out]);
                          f32, f16 or bf16 */
    clattn_projection_part parts[CLATTN_MAX_PARTS]; /**< q, k and v of one x, in one launch; dtypes
                                                         agree between parts */
    int num_parts;        /**< 0: up to the first part without w */
    int64_t start;        /**< position of row 0, for rotary parts */
    clattn_tensor starts; /**< optional, i32 [B]: in place of start, one for each sequence */
    clattn_tensor workspace; /**< as in clattn_attention_params */
    const char *kernel;      /**< as in clattn_attention_params */
    clattn_kv *kv;           /**< a cache that one part appends keys to and one values, N rows to */
    int64_t kv_sequence;     /**< each of B sequences from this one on */
};
#define clattn_projection_params(...)                           \
    (&(struct clattn_projection_params){                        \
        .struct_size = sizeof(struct clattn_projection_params), \
        __VA_ARGS__ })

/**
 * Linear layer: for each batch b, row n, head h and column k of each part
 *
 *     y[b,n,h,k] = rotate(sum_m x[b,n,m] w[h,k,m] + bias[h,k]) + residual[b,n,h,k]
 *
 * where rotate turns the pair (u, v) of columns that rotary names by the angle t = p base^(-2i/K),
 * i the number of the pair and p = start + n the position: (u cos t - v sin t, u sin t + v cos t).
 * (RoFormer: Su et al. 2021.) Positions are exact at any distance; negative ones turn backwards.
 *
 * Cache      With kv two of the parts say `into`, and their rows go where clattn_kv_append() would
 *            put them; the dtype of the cache is that of the other y (else of x) and not i8 or i4.
 *            Positions, those of q included, are the numbers of the rows; start and starts stay 0.
 *            A call that fails leaves the cache as it was.
 * Edges      B or N = 0: success, nothing is launched. M, H and K are at least 1.
 * Layout     Strides of w are free. The last axis of x, y, residual, bias and scale is contiguous,
 *            their other strides are free: y can be a [B][H][N][K] tensor (swap axes 1 and 2) or
 *            rows of a cache. Outputs overlap nothing but a residual that is the same view.
 * Blocking, Result  as clattn_attention()
 *
 * @return as clattn_attention()
 */
CLATTN_API clattn_status clattn_projection(clattn_ctx *ctx,
                                           const struct clattn_projection_params *params);

struct clattn_rope_params {
    size_t struct_size;
    clattn_tensor x;      /**< [B][N][H][D], D even; f32, f16 or bf16 */
    clattn_tensor y;      /**< shape of x, written; dtype of x, or f32; may be x itself: the same
                               memory with the same strides */
    clattn_rotary rotary; /**< not NONE */
    float base;           /**< 0: 10000; at least 1 */
    int64_t start;        /**< position of row 0 */
    clattn_tensor starts; /**< optional, i32 [B]: in place of start, one for each sequence */
    const char *kernel;   /**< as in clattn_attention_params */
};
#define clattn_rope_params(...) \
    (&(struct clattn_rope_params){ .struct_size = sizeof(struct clattn_rope_params), __VA_ARGS__ })

/**
 * Rotary embedding by itself: the rotate of clattn_projection(), each head of x turned by its
 * row's position. B, N or H = 0: success. Layout, blocking and errors as clattn_projection().
 */
CLATTN_API clattn_status clattn_rope(clattn_ctx *ctx, const struct clattn_rope_params *params);

/* ------------------------------------------------------------------------------------------ */
/* Plans                                                                                      */

typedef struct clattn_plan clattn_plan;

/** What a plan will do. Texts live as long as the plan. */
typedef struct clattn_plan_info {
    const char *kernel;     /**< "attn_prefill_cpu", ...; "none" when there is nothing to launch */
    const char *config;     /**< "BR=8 BK=64 ..."; "" when the kernel has no tunables */
    const char *origin;     /**< where the configuration came from: "pinned", "tuned" (for such
                                 problems), "near" (tuned for similar ones), "shipped" (with the
                                 library, for such devices), "estimate", "safe", "none" */
    size_t workspace_bytes; /**< scratch memory beside inputs and outputs */
    double flops;           /**< useful ones: only visible keys count. Of sequences as long as they
                                 were when the plan was made */
    double bytes;           /**< least traffic: each input read once, each output written once */
    double intensity;       /**< flops / bytes */
} clattn_plan_info;

/**
 * Makes a plan: checks the problem, chooses a kernel and its configuration, compiles, allocates
 * workspace (unless params->workspace is given). Tensor memory is not touched and need not hold
 * data yet.
 *
 * @param out  set to the plan or NULL; free with clattn_plan_destroy()
 * @return as the operation
 */
CLATTN_API clattn_status clattn_plan_attention(clattn_ctx *ctx,
                                               const struct clattn_attention_params *params,
                                               clattn_plan **out);
CLATTN_API clattn_status clattn_plan_merge(clattn_ctx *ctx,
                                           const struct clattn_merge_params *params,
                                           clattn_plan **out);
CLATTN_API clattn_status clattn_plan_projection(clattn_ctx *ctx,
                                                const struct clattn_projection_params *params,
                                                clattn_plan **out);
CLATTN_API clattn_status clattn_plan_rope(clattn_ctx *ctx, const struct clattn_rope_params *params,
                                          clattn_plan **out);

CLATTN_API clattn_status clattn_plan_argmax(clattn_ctx *ctx,
                                            const struct clattn_argmax_params *params,
                                            clattn_plan **out);

/**
 * Runs a plan on the tensors it was made with. Allocates and compiles nothing, unless a tensor is
 * host memory and the device is not the native CPU: such tensors are copied, and the call blocks.
 * Runs of one plan on one in-order queue may follow each other without waiting.
 * @return as the operation
 */
CLATTN_API clattn_status clattn_plan_run(clattn_plan *plan);

/**
 * Runs a plan on other tensors of the same shapes, strides and dtypes; buffers and offsets may
 * differ, and so may start; everything else must be as it was when the plan was made.
 * @return as the operation; CLATTN_ERR_SHAPE when the problem is not the plan's
 */
CLATTN_API clattn_status clattn_plan_run_attention(clattn_plan *plan,
                                                   const struct clattn_attention_params *params);
CLATTN_API clattn_status clattn_plan_run_merge(clattn_plan *plan,
                                               const struct clattn_merge_params *params);
CLATTN_API clattn_status clattn_plan_run_projection(clattn_plan *plan,
                                                    const struct clattn_projection_params *params);
CLATTN_API clattn_status clattn_plan_run_rope(clattn_plan *plan,
                                              const struct clattn_rope_params *params);

CLATTN_API clattn_status clattn_plan_run_argmax(clattn_plan *plan,
                                                const struct clattn_argmax_params *params);

/** Describes a plan. @return CLATTN_OK, CLATTN_ERR_ARG (NULL argument) */
CLATTN_API clattn_status clattn_plan_describe(const clattn_plan *plan, clattn_plan_info *info);

/** Frees a plan once queued work is done with it, and nulls the pointer. Takes NULL. */
CLATTN_API void clattn_plan_destroy(clattn_plan **plan);

/* ------------------------------------------------------------------------------------------ */
/* Kernels                                                                                    */

/**
 * Name of the i-th kernel of the registry (native CPU kernels included), NULL past the end.
 * Any thread.
 */
CLATTN_API const char *clattn_kernel_name(int i);

#ifdef __cplusplus
}
#endif

#include "kv.h"
#include "linear.h"

#endif
