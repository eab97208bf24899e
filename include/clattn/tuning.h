/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file What can be tuned, and the results that tuning has left behind.
 *
 * Results belong to a user and are kept in one file, CLATTN_CACHE_DIR/results.db, else
 * XDG_CACHE_HOME/clattn/results.db, else ~/.cache/clattn/results.db. A context reads it once, when
 * its first plan is made; what is written afterwards counts for later contexts. Without the file
 * every operation works as well, from estimates.
 */
#ifndef CLATTN_TUNING_H
#define CLATTN_TUNING_H

#include "clattn.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ------------------------------------------------------------------------------------------ */
/* What can be tuned                                                                          */

#define CLATTN_MAX_TUNABLES 8
#define CLATTN_MAX_CHOICES 12

/** A kernel of the registry and its tunables. Texts live for ever. */
typedef struct clattn_kernel_info {
    const char *name;
    const char *operation; /**< "attention", "projection", ..., or a part of one: "probs" */
    char source[17];       /**< as in clattn_result */
    bool native;           /**< of the native CPU; else of OpenCL devices */
    int configs;           /**< combinations of all choices, legal or not */
    int num_tunables;
    struct {
        const char *name;
        int count;
        int choices[CLATTN_MAX_CHOICES]; /**< ascending */
    } tunables[CLATTN_MAX_TUNABLES];
} clattn_kernel_info;

/** Describes a kernel by its name. @return CLATTN_OK, CLATTN_ERR_ARG (NULL, no such kernel) */
CLATTN_API clattn_status clattn_kernel_describe(const char *name, clattn_kernel_info *info);

/**
 * How many configurations of the plan's kernel would be legal for the plan's problem on its
 * device; 0 for NULL and for a plan that launches nothing.
 */
CLATTN_API int clattn_plan_legal_configs(const clattn_plan *plan);

/* ------------------------------------------------------------------------------------------ */
/* What a context remembers                                                                   */

/** Caches of a context. Texts live until the next call on the context. */
struct clattn_cache_info {
    const char *device;        /**< the device and its driver, as in clattn_result */
    const char *driver;
    const char *kind;
    const char *folder;        /**< "": there is none */
    const char *note;          /**< why results are not kept, one sentence; "" when they are */
    int results;               /**< tuned for this device, its driver and these kernels */
    int quarantined;           /**< configurations that crashed, hung or miscomputed here */
    const char *binaries;      /**< folder of compiled OpenCL programs; "": they are not kept */
    const char *binaries_note; /**< why they are not kept; "" when they are */
    int64_t programs_built;    /**< from source, by this context */
    int64_t programs_loaded;   /**< from the folder, by this context */
};
typedef struct clattn_cache_info clattn_cache_info;

/** @return CLATTN_OK, CLATTN_ERR_ARG (NULL), CLATTN_ERR_DEVICE (used after fork) */
CLATTN_API clattn_status clattn_ctx_cache(clattn_ctx *ctx, clattn_cache_info *info);

/* ------------------------------------------------------------------------------------------ */
/* Stored results                                                                             */

/** One configuration as it was timed. Texts are printable ASCII. */
typedef struct clattn_result {
    const char *device;    /**< the silicon */
    const char *driver;    /**< what may change under it */
    const char *kind;      /**< the class of devices it may be a start for */
    const char *operation; /**< as in clattn_kernel_info */
    const char *bucket;    /**< "f32 d64 v64 g1 causal; nq=128 nk=128 fill=32" */
    const char *kernel;
    const char *source;    /**< 16 hexadecimal digits: the sources of the kernel */
    const char *config;    /**< "ROWS=96 BK=64 SPLIT=1024" */
    int rank;              /**< 1: the best of its bucket, 2: the next; 0: timed only */
    bool one_kernel;       /**< the search was over this kernel alone */
    bool verified;         /**< its results were checked with this driver and source */
    double time_us, spread_us;
    int samples, effort;
    int64_t when;          /**< seconds since 1970 */
} clattn_result;

/** The stored results of this user, as they were when they were opened. */
typedef struct clattn_results clattn_results;

/**
 * Reads the file. That it is missing, damaged or not allowed is no error: then there are no
 * results, and clattn_results_note() says why.
 *
 * @param trials  with everything that was ever timed; false: the finalists of each bucket
 * @param out     set to the results or NULL; free with clattn_results_close()
 * @return CLATTN_OK, CLATTN_ERR_ARG, CLATTN_ERR_MEMORY
 */
CLATTN_API clattn_status clattn_results_open(bool trials, clattn_results **out);
CLATTN_API void clattn_results_close(clattn_results **results);

/** The file, "" when there is no place for one; what is wrong, "" when nothing is. */
CLATTN_API const char *clattn_results_path(const clattn_results *results);
CLATTN_API const char *clattn_results_note(const clattn_results *results);

/** The i-th result, by device, operation, bucket and rank; NULL past the end. */
CLATTN_API const clattn_result *clattn_results_get(const clattn_results *results, int i);

/**
 * Takes a result from elsewhere, to be written by clattn_results_save(). Nothing in it is trusted:
 * kernel, tunables and values must be those of this library.
 * @return CLATTN_OK, CLATTN_ERR_ARG (the note says what is wrong with it), CLATTN_ERR_MEMORY
 */
CLATTN_API clattn_status clattn_results_add(clattn_results *results, const clattn_result *result);

/**
 * Writes what was added, all or nothing. A bucket for which the same device, driver and source
 * have results of the same or a higher effort is left alone.
 * @param written  set to how many were written; may be NULL
 * @return CLATTN_OK, CLATTN_ERR_UNSUPPORTED (the note says why they cannot be kept)
 */
CLATTN_API clattn_status clattn_results_save(clattn_results *results, int *written);

/**
 * Deletes the results and the quarantine of the device whose text this is, or of all with NULL.
 * @return CLATTN_OK, CLATTN_ERR_ARG, CLATTN_ERR_UNSUPPORTED as for clattn_results_save()
 */
CLATTN_API clattn_status clattn_results_clear(clattn_results *results, const char *device);

/* ------------------------------------------------------------------------------------------ */
/* Tuning                                                                                     */

/** How far clattn_plan_tune() is. Texts live during the call. */
typedef struct clattn_tune_status {
    int evals, max_evals;  /**< configurations tried by now, and at most */
    int legal;             /**< configurations there are */
    int rejected;          /**< that did not build, run, or compute right */
    double seconds, max_seconds;
    double default_us;     /**< of what is used without tuning; 0: not known */
    double best_us;        /**< of the best by now; 0: none */
    const char *kernel, *config; /**< of the last one tried */
    bool finals;           /**< the best few are timed again, in turns */
} clattn_tune_status;

/** Called after each configuration; false ends the search, what was found by then is kept. */
typedef bool (*clattn_tune_fn)(void *user, const clattn_tune_status *status);

struct clattn_tune_params {
    size_t struct_size;
    clattn_effort effort; /**< ESTIMATE (0): STANDARD */
    int max_evals;        /**< 0: that of the effort */
    double max_seconds;   /**< 0: that of the effort */
    bool again;           /**< also where a result of this effort or a higher one is stored */
    /**
     * A program that calls clattn_tune_worker(), such as clattn itself, and an argument for it.
     * Candidates then run in its process: one that crashes or hangs takes nothing else with it.
     * NULL: in this process; what brings it down is left alone after the second time.
     */
    const char *worker, *worker_argument;
    double worker_seconds; /**< without an answer: the candidate hangs; 0: 30. A worker has 20
                                times as long to start, at most a minute */
    uint64_t seed;         /**< of the search and the data */
    clattn_tune_fn progress;
    void *user;
};
#define clattn_tune_params(...)                           \
    (&(struct clattn_tune_params){                        \
        .struct_size = sizeof(struct clattn_tune_params), \
        __VA_ARGS__ })

typedef enum clattn_tune_end {
    CLATTN_TUNE_STORED = 0,   /**< nothing was timed: a stored result is as good */
    CLATTN_TUNE_COMPLETE = 1, /**< every legal configuration was tried */
    CLATTN_TUNE_BUDGET = 2,   /**< as many as the effort allows */
    CLATTN_TUNE_STOPPED = 3   /**< by the progress function, or because the device fails */
} clattn_tune_end;

/** What tuning found. Texts are cut to fit. */
typedef struct clattn_tune_report {
    clattn_tune_end end;
    char bucket[192]; /**< as in clattn_result */
    char kernel[64], config[128]; /**< the best; "" when nothing works */
    char default_kernel[64], default_config[128]; /**< what is used without tuning */
    double best_us, default_us;
    int legal, evals, samples, rejected, quarantined;
    int known;      /**< configurations that an earlier search had tried */
    double seconds;
    char note[256]; /**< why a result is not kept on disk, or why the search ended early; or "" */
} clattn_tune_report;

/**
 * Searches the fastest kernel and configuration for the problem of a plan, on private tensors of
 * its sizes, strides and dtypes. Every candidate must first be right: each element of the outputs
 * written, nothing beside them or the workspace, rows equal to sums in double, twice the same bits.
 * The result is stored for the problem's bucket and used by plans made afterwards; the plan itself
 * stays as it is. A search that ended early goes on where it was when it is called again.
 *
 * @param params  NULL for the defaults
 * @param report  may be NULL
 * @return CLATTN_OK, CLATTN_ERR_ARG, CLATTN_ERR_UNSUPPORTED (a plan that launches nothing; another
 *         process tunes on this device), CLATTN_ERR_MEMORY, CLATTN_ERR_DEVICE
 */
CLATTN_API clattn_status clattn_plan_tune(clattn_plan *plan,
                                          const struct clattn_tune_params *params,
                                          clattn_tune_report *report);

/**
 * The whole of a worker process: serves the tuner at the other end of descriptor 0 until that
 * closes. To be called before anything that uses OpenCL. @return an exit status
 */
CLATTN_API int clattn_tune_worker(void);

#ifdef __cplusplus
}
#endif

#endif
