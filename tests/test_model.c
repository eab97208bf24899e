/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whole models against attention and logits of the Hugging Face implementation (f32, on the same
 * f16 weights), and what trained attention must look like.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compare.h"
#include "forward.h"
#include "golden.h"
#include "memory.h"
#include "suite.h"

static const char *const names[] = { "gpt2-tiny", "gpt2-tiny-untrained", "bert-tiny",
                                     "bert-tiny-untrained" };
enum { NUM_MODELS = sizeof names / sizeof names[0], SENTENCES = 4 };

static clm_fault fault;
#define MUST(call) ck_assert_msg(call, "%s: %s", compare_label_text(), fault.text)

static const char *data_dir(void)
{
    const char *dir = getenv("CLATTN_DATA_DIR");
    return dir ? dir : "tests/data";
}

static clm_model *open_model(const char *name)
{
    clm_model *m;
    char path[4096];

    compare_label("%s", name);
    snprintf(path, sizeof path, "%s/%s", data_dir(), name);
    MUST(clm_model_open(suite_ctx(), path, &m, &fault));
    return m;
}

/* One golden sentence. */
typedef struct sentence {
    int N;
    int32_t *ids;
    golden_array attn, logits; /* [layers][heads][N][N], [N][vocab] */
} sentence;

static golden_array read_golden(const char *model, int i, const char *what)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s/golden%d_%s.npy", data_dir(), model, i, what);
    return golden_read(path);
}

static sentence sentence_of(const char *model, int i)
{
    const golden_array ids = read_golden(model, i, "ids");
    sentence s = { .N = (int)ids.count,
                   .attn = read_golden(model, i, "attn"),
                   .logits = read_golden(model, i, "logits") };
    s.ids = memory_alloc(ids.count * sizeof *s.ids);
    for (size_t n = 0; n < ids.count; n++)
        s.ids[n] = (int32_t)ids.values[n];
    free(ids.values);
    return s;
}

static void sentence_free(sentence *s)
{
    free(s->ids);
    free(s->attn.values);
    free(s->logits.values);
}

/* ---- capture of everything ---- */

typedef struct maps {
    int heads, N, tiles;
    float *p; /* [layers][heads][N][N] */
} maps;

static bool put(void *user, int layer, int row, int rows, int keys, const float *p, clm_fault *f)
{
    maps *m = user;
    (void)f;
    m->tiles++;
    for (int h = 0; h < m->heads; h++)
        for (int r = 0; r < rows; r++)
            memcpy(m->p + (((size_t)layer * m->heads + h) * m->N + row + r) * (size_t)m->N,
                   p + ((size_t)h * rows + r) * (size_t)keys, (size_t)keys * sizeof *p);
    return true;
}

static maps maps_new(const clm_model *m, int N)
{
    const size_t heads = (size_t)m->config.layers * m->config.heads;
    return (maps){ .heads = m->config.heads,
                   .N = N,
                   .p = memory_alloc(heads * (size_t)N * N * sizeof(float)) };
}

static clm_capture capture_all(const clm_model *m, maps *to)
{
    return (clm_capture){ .num_layers = m->config.layers,
                          .num_heads = m->config.heads,
                          .num_rows = to->N,
                          .put = put,
                          .user = to };
}

static double max_difference(const float *a, const float *b, size_t n)
{
    double worst = 0;
    for (size_t i = 0; i < n; i++) {
        const double d = fabs((double)a[i] - (double)b[i]);
        worst = isnan(d) ? INFINITY : fmax(worst, d);
    }
    return worst;
}

static int largest(const float *x, int n)
{
    int best = 0;
    for (int i = 1; i < n; i++)
        if (x[i] > x[best])
            best = i;
    return best;
}

static void check_logits(const float *got, const float *want, int rows, int vocab)
{
    double spread = 0;
    for (int i = 0; i < rows * vocab; i++)
        spread = fmax(spread, fabs((double)want[i]));
    ck_assert_double_le(max_difference(got, want, (size_t)rows * vocab), 1e-4 * fmax(1, spread));
    for (int r = 0; r < rows; r++)
        ck_assert_int_eq(largest(got + r * vocab, vocab), largest(want + r * vocab, vocab));
}

START_TEST(golden)
{
    clm_model *m = open_model(names[_i]);
    clm_session *s;

    MUST(clm_session_open(m, 1, m->config.positions, CLATTN_F32, &s, &fault));
    for (int i = 0; i < SENTENCES; i++) {
        sentence want = sentence_of(names[_i], i);
        maps got = maps_new(m, want.N);
        const clm_capture capture = capture_all(m, &got);
        float *logits = memory_alloc(want.logits.count * sizeof *logits);
        compare_label("%s, sentence %d", names[_i], i);
        clm_rewind(s, 0);
        MUST(clm_forward(s, want.ids, want.N, NULL, &capture, &fault));
        MUST(clm_logits(s, 0, want.N, logits, &fault));
        const double dp = max_difference(got.p, want.attn.values, want.attn.count);
        printf("# %s, sentence %d: max |dp| %.2g, max |dlogit| %.2g\n", names[_i], i, dp,
               max_difference(logits, want.logits.values, want.logits.count));
        ck_assert_double_le(dp, 1e-4);
        check_logits(logits, want.logits.values, want.N, m->config.vocab);
        free(logits);
        free(got.p);
        sentence_free(&want);
    }
    clm_session_close(&s);
    clm_model_close(&m);
}
END_TEST

/* A word of a sentence, by where it stands. */
static double weight(const golden_array *attn, int layer, int head, int from, int to)
{
    const int64_t N = attn->shape[3];
    return (double)attn->values[((layer * attn->shape[1] + head) * N + from) * N + to];
}

/*
 * "[SEP] the dogs that the cat chases run ...": chases looks back to dogs, its object.
 * "[SEP] Mary helps Tom because he is tired . so Tom ...": so looks back to Tom, who comes next.
 * A model that has not learned looks everywhere: a row of n keys has weights near 1 / n.
 */
START_TEST(what_is_learned)
{
    static const struct {
        int sentence, layer, head, from, to;
    } known[] = { { 0, 3, 0, 6, 2 }, { 1, 2, 2, 9, 3 } };

    for (int i = 0; i < 2; i++) {
        for (int trained = 0; trained < 2; trained++) {
            const char *name = names[trained ? 0 : 1];
            clm_model *m = open_model(name);
            sentence want = sentence_of(name, known[i].sentence);
            maps got = maps_new(m, want.N);
            const clm_capture capture = capture_all(m, &got);
            clm_session *s;
            MUST(clm_session_open(m, 1, want.N, CLATTN_F32, &s, &fault));
            MUST(clm_forward(s, want.ids, want.N, NULL, &capture, &fault));
            memcpy(want.attn.values, got.p, want.attn.count * sizeof(float));
            const double p =
                weight(&want.attn, known[i].layer, known[i].head, known[i].from, known[i].to);
            if (trained)
                ck_assert_double_gt(p, 0.9);
            else
                ck_assert_double_lt(fabs(p - 1.0 / (known[i].from + 1)), 0.05);
            free(got.p);
            clm_session_close(&s);
            sentence_free(&want);
            clm_model_close(&m);
        }
    }
}
END_TEST

/* ---- reading on ---- */

/* The sentence in pieces of these lengths, the last repeated: logits and weights of every row. */
static void check_pieces(clm_session *s, const sentence *want, const int *pieces)
{
    clm_model *m = s->m;
    const int vocab = m->config.vocab;
    maps got = maps_new(m, want->N);
    float *logits = memory_alloc(want->logits.count * sizeof *logits);

    clm_rewind(s, 0);
    for (int at = 0, i = 0; at<want->N; i += pieces[i + 1]> 0) {
        const int n = pieces[i] < want->N - at ? pieces[i] : want->N - at;
        maps shifted = got;
        clm_capture capture = capture_all(m, &shifted);
        capture.num_rows = n;
        shifted.p += (size_t)at * (size_t)got.N;
        MUST(clm_forward(s, want->ids + at, n, NULL, &capture, &fault));
        MUST(clm_logits(s, 0, n, logits + at * vocab, &fault));
        at += n;
    }
    ck_assert_double_le(max_difference(got.p, want->attn.values, want->attn.count), 1e-4);
    check_logits(logits, want->logits.values, want->N, vocab);
    free(logits);
    free(got.p);
}

START_TEST(incremental)
{
    static const int pieces[][4] = { { 1, 0 }, { 5, 1, 0 }, { 3, 2, 1, 0 }, { 9, 3, 0 } };
    clm_model *m = open_model("gpt2-tiny");
    sentence want = sentence_of("gpt2-tiny", 1);
    clm_session *s;

    MUST(clm_session_open(m, 1, want.N, CLATTN_F32, &s, &fault));
    for (int i = 0; i < 4; i++) {
        compare_label("pieces of %d", pieces[i][0]);
        check_pieces(s, &want, pieces[i]);
    }
    ck_assert(!clm_forward(s, want.ids, 1, NULL, NULL, &fault));
    ck_assert_ptr_nonnull(strstr(fault.text, "there is room for"));
    clm_session_close(&s);
    sentence_free(&want);
    clm_model_close(&m);
}
END_TEST

/* Sequences of several lengths, side by side: padding changes nothing. */
START_TEST(padding)
{
    clm_model *m = open_model("bert-tiny");
    sentence all[SENTENCES];
    int32_t lengths[SENTENCES], *ids;
    int N = 0;
    clm_session *s;

    for (int i = 0; i < SENTENCES; i++) {
        all[i] = sentence_of("bert-tiny", i);
        lengths[i] = all[i].N;
        N = all[i].N > N ? all[i].N : N;
    }
    ids = memory_alloc(sizeof *ids * SENTENCES * (size_t)N);
    for (int i = 0; i < SENTENCES; i++)
        memcpy(ids + i * N, all[i].ids, sizeof *ids * (size_t)all[i].N);
    float *logits = memory_alloc(sizeof *logits * SENTENCES * (size_t)N * m->config.vocab);
    MUST(clm_session_open(m, SENTENCES, N, CLATTN_F32, &s, &fault));
    MUST(clm_forward(s, ids, N, lengths, NULL, &fault));
    MUST(clm_logits(s, 0, SENTENCES * N, logits, &fault));
    for (int i = 0; i < SENTENCES; i++) {
        check_logits(logits + (size_t)i * N * m->config.vocab, all[i].logits.values, all[i].N,
                     m->config.vocab);
        sentence_free(&all[i]);
    }
    free(logits), free(ids);
    clm_session_close(&s);
    clm_model_close(&m);
}
END_TEST

/* ---- capture ---- */

typedef struct part {
    const sentence *want;
    const clm_capture *capture;
    int calls, N, heads;
} part;

static bool check_part(void *user, int layer, int row, int rows, int keys, const float *p,
                       clm_fault *f)
{
    part *t = user;
    (void)f;
    t->calls++;
    ck_assert_int_eq(rows, 1);
    for (int h = 0; h < t->capture->num_heads; h++)
        for (int j = 0; j < keys; j++) {
            const size_t head = (size_t)layer * t->heads + t->capture->head + h;
            const float want = t->want->attn.values[(head * t->N + row) * t->N + j];
            ck_assert_double_le(fabs((double)p[h * keys + j] - (double)want), 1e-4);
        }
    return true;
}

static void check_refusals(clm_session *s, const sentence *want, const clm_capture *capture)
{
    static const struct {
        int layer, head, row;
        const char *says;
    } bad[] = { { 3, 2, 4, "layer 4 does not exist" },
                { 1, 3, 4, "head 4 does not exist" },
                { 1, 2, 100, "row 104 does not exist" },
                { -1, 2, 4, "layer" } };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        clm_capture wrong = *capture;
        wrong.layer = bad[i].layer;
        wrong.head = bad[i].head;
        wrong.row = bad[i].row;
        clm_rewind(s, 0);
        ck_assert(!clm_forward(s, want->ids, want->N, NULL, &wrong, &fault));
        ck_assert_msg(strstr(fault.text, bad[i].says), "%s", fault.text);
    }
}

/* Some layers, heads and rows, a row at a time. */
START_TEST(capture_of_parts)
{
    const char *name = names[_i];
    clm_model *m = open_model(name);
    sentence want = sentence_of(name, 0);
    clm_session *s;
    part t = { .want = &want, .N = want.N, .heads = m->config.heads };
    clm_capture capture = { .layer = 1,
                            .num_layers = 2,
                            .head = 2,
                            .num_heads = 2,
                            .row = 4,
                            .num_rows = 5,
                            .tile_floats = 1,
                            .put = check_part,
                            .user = &t };

    t.capture = &capture;
    MUST(clm_session_open(m, 1, want.N, CLATTN_F32, &s, &fault));
    MUST(clm_forward(s, want.ids, want.N, NULL, &capture, &fault));
    ck_assert_int_eq(t.calls, 10);
    check_refusals(s, &want, &capture);
    clm_session_close(&s);
    sentence_free(&want);
    clm_model_close(&m);
}
END_TEST

/* ---- sums over weights ---- */

enum { TOPS = 3, PICKS = 2 };

typedef struct sums {
    const sentence *want;
    int heads, calls;
    const int32_t *keys;
} sums;

static void check_row(const sums *t, const float *p, const clm_stats *got, int h, int i)
{
    const int N = t->want->N;
    const size_t row = (size_t)h * N + i;
    double entropy = 0, distance = 0;

    for (int j = 0; j < N; j++) {
        entropy -= p[j] > 0 ? (double)p[j] * log((double)p[j]) : 0;
        distance += (double)p[j] * abs(i - j);
    }
    ck_assert_double_le(fabs((double)got->entropy[row] - entropy), 1e-3);
    ck_assert_double_le(fabs((double)got->distance[row] - distance), 1e-3);
    for (int n = 0; n < PICKS; n++)
        ck_assert_double_le(fabs((double)got->chosen[row * PICKS + n]
                                 - (double)p[t->keys[i * PICKS + n]]), 1e-4);
    for (int n = 0; n < TOPS; n++) {
        const int key = got->top_keys[row * TOPS + n];
        const float weight = got->top[row * TOPS + n];
        int above = 0;
        for (int j = 0; j < N; j++)
            above += p[j] > weight + 1e-4f;
        ck_assert_int_le(above, n);
        ck_assert_double_le(fabs((double)weight - (key < 0 ? 0 : (double)p[key])), 1e-4);
    }
}

static bool check_sums(void *user, int layer, const clm_stats *got, clm_fault *f)
{
    sums *t = user;
    const size_t N = (size_t)t->want->N;
    (void)f;
    t->calls++;
    for (int h = 0; h < t->heads; h++)
        for (int i = 0; i < t->want->N; i++)
            check_row(t, t->want->attn.values + (((size_t)layer * t->heads + h) * N + i) * N, got,
                      h, i);
    return true;
}

START_TEST(statistics)
{
    clm_model *m = open_model(names[_i]);
    sentence want = sentence_of(names[_i], 1);
    clm_session *s;
    int32_t *keys = memory_alloc(sizeof *keys * PICKS * (size_t)want.N);
    sums t = { .want = &want, .heads = m->config.heads, .keys = keys };
    const clm_capture capture = { .layer = 1, .num_layers = 3, .tops = TOPS, .picks = PICKS,
                                  .keys = keys, .put_stats = check_sums, .user = &t };

    for (int i = 0; i < want.N; i++)
        keys[i * PICKS] = 0, keys[i * PICKS + 1] = i / 2;
    MUST(clm_session_open(m, 1, want.N, CLATTN_F32, &s, &fault));
    MUST(clm_forward(s, want.ids, want.N, NULL, &capture, &fault));
    ck_assert_int_eq(t.calls, 3);
    clm_session_close(&s);
    free(keys);
    sentence_free(&want);
    clm_model_close(&m);
}
END_TEST

/* Keys and values that are kept in other types: off by their rounding, and no more. */
START_TEST(kept_keys)
{
    static const struct {
        clattn_dtype dtype;
        double rounding; /* of an element */
    } kinds[] = { { CLATTN_F16, 0x1p-11 }, { CLATTN_BF16, 0x1p-8 }, { CLATTN_I8, 0x1p-8 },
                  { CLATTN_I4, 0x1p-4 } };
    const char *name = names[_i % 2 ? 2 : 0];
    clm_model *m = open_model(name);
    sentence want = sentence_of(name, 1);
    const int vocab = m->config.vocab;
    float *logits = memory_alloc(want.logits.count * sizeof *logits);
    double spread = 0;
    clm_session *s;

    for (size_t i = 0; i < want.logits.count; i++)
        spread = fmax(spread, fabs((double)want.logits.values[i]));
    compare_label("%s, %s", name, clattn_dtype_name(kinds[_i / 2].dtype));
    MUST(clm_session_open(m, 1, want.N, kinds[_i / 2].dtype, &s, &fault));
    for (int again = 0; again < 2; again++) { /* the cache is cut, then filled once more */
        clm_rewind(s, 0);
        MUST(clm_forward(s, want.ids, want.N, NULL, NULL, &fault));
        MUST(clm_logits(s, 0, want.N, logits, &fault));
        const double off =
            max_difference(logits, want.logits.values, (size_t)want.N * vocab) / spread;
        printf("# %s: %.2g of the spread\n", compare_label_text(), off);
        ck_assert_double_le(off, 8 * kinds[_i / 2].rounding);
        ck_assert_double_gt(off, kinds[_i / 2].rounding / 64);
    }
    free(logits);
    clm_session_close(&s);
    sentence_free(&want);
    clm_model_close(&m);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("model");
    TCase *t = tcase_create("model");

    tcase_add_loop_test(t, golden, 0, NUM_MODELS);
    tcase_add_loop_test(t, capture_of_parts, 0, NUM_MODELS);
    tcase_add_loop_test(t, statistics, 0, NUM_MODELS);
    tcase_add_loop_test(t, kept_keys, 0, 8);
    tcase_add_test(t, what_is_learned);
    tcase_add_test(t, incremental);
    tcase_add_test(t, padding);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    return suite_main(suite);
}
