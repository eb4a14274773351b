/* bench_clip.c - images and texts a second of CLIP's towers with random weights, beside ONNX
 * Runtime, PyTorch and the time that the products alone take.
 *
 * All are processes of their own that load the same checkpoint and the same inputs
 * (tests/support/bench_peer.h).  Rounds of all alternate, so that what else the machine does falls
 * on all; each figure is the best run.  With one thread the CPU time of a process counts, which
 * is that of the clock where nothing else runs; with two the clock.  Their embeddings must agree.
 *
 *   build/tests/bench/bench_clip             ViT-B/32, and ViT-L/14 but for 32 images at once:
 *                                            about eight minutes
 *   build/tests/bench/bench_clip b32|l14     one of them
 *   build/tests/bench/bench_clip --long ...  32 images at once, too
 *   build/tests/bench/bench_clip 1|2 ...     this number of threads only
 *   build/tests/bench/bench_clip --quick     batches of 1 and 8, ViT-B/32, a round
 *
 * A peer that cannot be had is left out, with the reason.  tests/peers/clip has their
 * programs. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "annotate/clip/clip.h"
#include "m4a1/base/clock.h"
#include "m4a1/base/files.h"
#include "m4a1/base/random.h"
#include "m4a1/base/text.h"
#include "tests/support/bench_peer.h"
#include "tests/support/clip_ceiling.h"
#include "tests/support/clip_checkpoint.h"
#include "tests/support/scratch_folder.h"

#define MAX_BATCH 32
#define CONTEXT 77
#define PAUSE_NS INT64_C(50000000) /* in which threads that spin go to sleep */
#define RUN_S 0.4                  /* of a peer in a round, if several runs fit into it */

/* Ids of the recipe's prompts with CLIP's own vocabulary, both marks among them: 18 on
 * average, and so have the first one and the first eight. */
static const size_t lengths[] = { 18, 24, 13, 19, 23, 15, 17, 16, 20, 25, 13, 21, 17, 22,
    13, 24, 18, 15, 19, 16 };

enum kind { IMAGE, TEXT, N_KINDS };
static const char *const kind_names[N_KINDS] = { "image", "text" };

enum who { CEILING, OURS, BF16, ONNX, TORCH, N_PEERS };
static const char *const peer_names[N_PEERS] = { "ceiling", "m4a1", "m4a1 bf16",
    "ONNX Runtime", "PyTorch" };

static struct {
    char self[512], folder[256], python[256], node[256];
    struct clip_config config;
    struct bench_peer peers[N_PEERS];
    double worst_cosine[N_PEERS], worst_shift[N_PEERS];
    double budget_s; /* of a cell, for all peers and rounds */
    double peak_mb[N_PEERS], idle_ms[N_PEERS];
    double begun_s, stolen_s; /* when this model began */
    size_t only;              /* this number of threads; 0 = 1 and 2 */
} bench;

static void must(enum status s, const struct error *err)
{
    if (s == OK)
        return;
    fprintf(stderr, "bench_clip: %s\n", err->msg);
    exit(1);
}

/* folder/name, until the next call but three. */
static const char *at(const char *folder, const char *name)
{
    static char paths[4][512];
    static unsigned next;
    char *path = paths[next++ % COUNT_OF(paths)];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

static void *read_all(const char *path, size_t size)
{
    struct buffer b;
    struct error err = ERROR_INIT;
    buffer_init(&b, (size_t)1 << 30);
    must(file_read(path, &b, &err), &err);
    void *data = malloc(size);
    if (!data || b.len != size) {
        fprintf(stderr, "bench_clip: %s has %zu bytes, not %zu\n", path, b.len, size);
        exit(1);
    }
    memcpy(data, b.data, size);
    buffer_release(&b);
    return data;
}

/* --- our own programs beside the others --- */

struct server {
    struct clip *clip;
    struct clip_ceiling *ceilings[N_KINDS];
    float *pixels, *out;
    int32_t *ids; /* [MAX_BATCH][CONTEXT], padded */
    struct clip_config config;
    unsigned n_threads;
};

static double run_ceiling(struct server *s, enum kind kind, size_t n)
{
    size_t grid = s->config.image_size / s->config.patch, n_rows = n * (grid * grid + 1);
    if (kind == TEXT) {
        n_rows = 0;
        for (size_t i = 0; i < n; i++)
            n_rows += lengths[i % COUNT_OF(lengths)];
    }
    return clip_ceiling_run(s->ceilings[kind], n_rows, n);
}

static double run_towers(struct server *s, enum kind kind, size_t n)
{
    struct error err = ERROR_INIT;
    int32_t ids[MAX_BATCH * CONTEXT];
    size_t ends[MAX_BATCH], n_ids = 0;
    int64_t begun = s->n_threads == 1 ? clock_cpu_ns() : clock_mono_ns(), end;
    if (kind == IMAGE) {
        must(clip_embed_images(s->clip, s->pixels, n, s->out, &err), &err);
    } else {
        for (size_t i = 0; i < n; i++) {
            size_t length = lengths[i % COUNT_OF(lengths)];
            memcpy(ids + n_ids, s->ids + i * CONTEXT, length * sizeof *ids);
            ends[i] = n_ids += length;
        }
        must(clip_embed_tokens(s->clip, ids, ends, n, s->out, &err), &err);
    }
    end = s->n_threads == 1 ? clock_cpu_ns() : clock_mono_ns();
    return (double)(end - begun) / 1e9;
}

static void serve_line(struct server *s, char *line)
{
    struct error err = ERROR_INIT;
    char *place = NULL, *words[4] = { NULL };
    for (size_t i = 0; i < COUNT_OF(words); i++)
        if (!(words[i] = strtok_r(i ? NULL : line, " \n", &place)))
            exit(1);
    enum kind kind = strcmp(words[0], kind_names[TEXT]) ? IMAGE : TEXT;
    size_t n = strtoul(words[1], NULL, 10), runs = strtoul(words[2], NULL, 10);
    double best = 1e9;
    if (n < 1 || n > MAX_BATCH)
        exit(1);
    for (size_t i = 0; i < runs; i++) {
        double one = s->clip ? run_towers(s, kind, n) : run_ceiling(s, kind, n);
        best = one < best ? one : best;
    }
    if (s->clip)
        must(file_write(words[3], (const char *)s->out,
                 n * s->config.projection * sizeof *s->out, &err),
            &err);
    printf("%.6f\n", best);
    fflush(stdout);
}

/* --serve FOLDER THREADS WHAT: one of our own peers. */
static int serve(const char *folder, const char *threads, const char *what)
{
    unsigned n_threads = (unsigned)strtoul(threads, NULL, 10);
    struct server s = { .n_threads = n_threads };
    struct error err = ERROR_INIT;
    char line[1024];
    must(checkpoint_config(folder, &s.config, &err), &err);
    if (!strcmp(what, peer_names[CEILING])) {
        size_t patch = 3 * (size_t)s.config.patch * s.config.patch;
        s.ceilings[IMAGE] = clip_ceiling_new(&s.config.image, patch, n_threads);
        s.ceilings[TEXT] = clip_ceiling_new(&s.config.text, 0, n_threads);
    } else {
        const struct clip_options options = { .n_threads = n_threads,
            .bf16 = !strcmp(what, peer_names[BF16]) };
        size_t side = s.config.image_size;
        enum status opened = clip_open(folder, &options, &s.clip, &err);
        if (opened == E_ARG && options.bf16) // this processor has none
            return 1;
        must(opened, &err);
        s.pixels = read_all(
            at(folder, "inputs.images"), MAX_BATCH * 3 * side * side * sizeof(float));
        s.ids =
            read_all(at(folder, "inputs.texts"), sizeof(int32_t) * MAX_BATCH * CONTEXT);
        s.out = calloc(MAX_BATCH * s.config.projection, sizeof *s.out);
        if (!s.out)
            exit(1);
    }
    puts("ready");
    fflush(stdout);
    while (fgets(line, sizeof line, stdin))
        serve_line(&s, line);
    for (int i = 0; i < N_KINDS; i++)
        if (s.ceilings[i])
            clip_ceiling_free(s.ceilings[i]);
    clip_close(s.clip);
    free(s.pixels);
    free(s.ids);
    free(s.out);
    return 0;
}

/* --- the folder --- */

static void write_inputs(void)
{
    struct rng rng;
    size_t side = bench.config.image_size, n_pixels = MAX_BATCH * 3 * side * side;
    int32_t ids[MAX_BATCH][CONTEXT] = { { 0 } }, vocab = (int32_t)bench.config.vocab;
    float *pixels = malloc(n_pixels * sizeof *pixels);
    if (!pixels)
        exit(1);
    rng_init(&rng, 1, "bench_clip", 0);
    for (size_t i = 0; i < n_pixels; i++)
        pixels[i] = (float)(4 * rng_uniform(&rng) - 2);
    for (size_t i = 0; i < MAX_BATCH; i++) {
        size_t n = lengths[i % COUNT_OF(lengths)];
        for (size_t k = 1; k + 1 < n; k++)
            ids[i][k] = (int32_t)rng_below(&rng, (uint64_t)vocab - 2);
        ids[i][0] = vocab - 2;
        ids[i][n - 1] = vocab - 1;
    }
    scratch_file(bench.folder, "inputs.images", pixels, n_pixels * sizeof *pixels);
    scratch_file(bench.folder, "inputs.texts", ids, sizeof ids);
    free(pixels);
}

/* One line of a program's standard output. */
static int say_line(FILE *from, char *line, size_t size)
{
    if (!fgets(line, (int)size, from))
        return 0;
    line[strcspn(line, "\n")] = '\0';
    return 1;
}

/* Finds Python and Node once; an empty name afterwards is a peer that is not to be had. */
static void find_others(void)
{
    // NOLINTNEXTLINE(cert-env33-c): our own script
    FILE *said = popen("bash tests/support/clip_peers_for_bench.sh", "r");
    char *names[2] = { bench.python, bench.node };
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        if (!said || !say_line(said, names[i], sizeof bench.node))
            snprintf(names[i], sizeof bench.node, "no: the script did not run");
        if (text_starts(names[i], "no: ")) {
            printf("**Without %s**: %s\n\n", peer_names[i ? ONNX : TORCH], names[i] + 4);
            names[i][0] = '\0';
        }
    }
    if (said)
        pclose(said);
    if (bench.node[0] && !bench.python[0]) {
        printf(
            "**Without %s**: its models are exported from PyTorch\n\n", peer_names[ONNX]);
        bench.node[0] = '\0';
    }
}

/* The models of ONNX Runtime; exporting needs several times the weights' memory, so it has a
 * process of its own. */
static void export_models(void)
{
    struct bench_peer exporter;
    const char *const argv[] = { bench.python, "tests/peers/clip/bench_clip.py",
        bench.folder, "2", "export", NULL };
    if (bench.node[0] && !bench_peer_start("torch.onnx.export", argv, &exporter)) {
        printf("**Without %s**: torch.onnx.export failed\n\n", peer_names[ONNX]);
        bench.node[0] = '\0';
        return;
    }
    if (bench.node[0])
        bench_peer_stop(&exporter);
}

/* --- one cell --- */

static void start_peers(const char *threads)
{
    const char *const ours[] = { bench.self, "--serve", bench.folder, threads, NULL,
        NULL };
    setenv("OMP_WAIT_POLICY", "PASSIVE", 1);
    setenv("OMP_NUM_THREADS", threads, 1);
    setenv("OPENBLAS_NUM_THREADS", threads, 1);
    for (int i = CEILING; i <= BF16; i++) {
        const char *argv[COUNT_OF(ours)];
        memcpy(argv, ours, sizeof argv);
        argv[4] = peer_names[i];
        if (!bench_peer_start(peer_names[i], argv, &bench.peers[i]))
            printf("**Without %s**: it did not start\n\n", peer_names[i]);
    }
    const char *const torch[] = { bench.python, "tests/peers/clip/bench_clip.py",
        bench.folder, threads, NULL };
    if (bench.python[0] &&
        !bench_peer_start(peer_names[TORCH], torch, &bench.peers[TORCH]))
        printf("**Without %s**: it did not start\n\n", peer_names[TORCH]);
    const char *const onnx[] = { "node", bench.node, bench.folder, threads, NULL };
    if (bench.node[0] && !bench_peer_start(peer_names[ONNX], onnx, &bench.peers[ONNX]))
        printf("**Without %s**: it did not start\n\n", peer_names[ONNX]);
}

static double ask(int who, enum kind kind, size_t batch, int runs)
{
    char line[1024];
    snprintf(line, sizeof line, "%s %zu %d %s/out.%d", kind_names[kind], batch, runs,
        bench.folder, who);
    clock_sleep_ns(PAUSE_NS);
    return bench_peer_ask(&bench.peers[who], line);
}

static float *embeddings(int who, size_t batch)
{
    char name[32];
    snprintf(name, sizeof name, "out.%d", who);
    return read_all(
        at(bench.folder, name), batch * bench.config.projection * sizeof(float));
}

/* The least cosine of an input's embeddings by ours and by a peer, and the largest difference
 * of the cosines of two inputs. */
static void compare_embeddings(size_t batch)
{
    size_t n = bench.config.projection;
    float *ours = embeddings(OURS, batch);
    for (int who = BF16; who < N_PEERS; who++) {
        if (!bench.peers[who].pid)
            continue;
        float *other = embeddings(who, batch);
        for (size_t i = 0; i < batch; i++) {
            double cosine = clip_cosine(ours + i * n, other + i * n, n);
            cosine = isnan(cosine) ? -1 : cosine;
            if (cosine < bench.worst_cosine[who])
                bench.worst_cosine[who] = cosine;
            for (size_t k = 0; k < i; k++) {
                double shift = fabs(clip_cosine(ours + i * n, ours + k * n, n) -
                                    clip_cosine(other + i * n, other + k * n, n));
                if (shift > bench.worst_shift[who])
                    bench.worst_shift[who] = shift;
            }
        }
        free(other);
    }
    free(ours);
}

static void print_rate(double seconds, size_t batch)
{
    double rate = (double)batch / seconds;
    if (seconds < 1e8)
        printf(" %.*f |", rate < 10 ? 2 : rate < 100 ? 1 : 0, rate);
    else
        printf(" |");
}

static void print_ratio(double a, double b)
{
    if (a < 1e8 && b < 1e8)
        printf(" %.2f |", a / b);
    else
        printf(" |");
}

static void measure(const char *model, enum kind kind, size_t batch, const char *threads)
{
    double best[N_PEERS], others[N_PEERS] = { 0 }, most = 0;
    int runs[N_PEERS];
    int64_t begun = clock_mono_ns();
    for (int i = 0; i < N_PEERS; i++) {
        best[i] = 1e9;
        runs[i] = 1;
    }
    for (int round = 0; round < 5; round++) {
        for (int i = 0; i < N_PEERS; i++) {
            if (!bench.peers[i].pid)
                continue;
            double one = ask(i, kind, batch, runs[i]);
            if (one < best[i]) {
                best[i] = one;
                others[i] = bench_peer_others(&bench.peers[i]);
            }
            runs[i] = one < RUN_S ? (int)(RUN_S / one) : 1;
        }
        if ((double)(clock_mono_ns() - begun) / 1e9 > bench.budget_s)
            break;
    }
    compare_embeddings(batch);
    printf("| %s | %s | %s | %zu |", model, kind_names[kind], threads, batch);
    for (int i = 0; i < N_PEERS; i++)
        print_rate(best[i], batch);
    print_ratio(best[ONNX], best[OURS]);
    print_ratio(best[TORCH], best[OURS]);
    print_ratio(best[OURS], best[CEILING]);
    print_ratio(best[OURS], best[BF16]);
    for (int i = 0; i < N_PEERS; i++)
        most = others[i] > most ? others[i] : most;
    printf(" %.1f |\n", most);
    fflush(stdout);
}

/* --- a model --- */

static double load_now(void)
{
    double load[3] = { 0 };
    return getloadavg(load, 3) < 1 ? (double)NAN : load[0];
}

/* What follows key in the first line of a file of /proc that begins with it. */
static void read_fact(const char *path, const char *key, char *out, size_t size)
{
    char line[512];
    FILE *f = fopen(path, "r");
    out[0] = '\0';
    while (f && !out[0] && say_line(f, line, sizeof line))
        if (text_starts(line, key))
            snprintf(
                out, size, "%s", line + strlen(key) + strspn(line + strlen(key), "\t: "));
    if (f)
        fclose(f);
}

/* Seconds that the host gave to others, of all processors, since the start. */
static double stolen_s(void)
{
    char times[256], *at = times;
    unsigned long ticks = 0;
    read_fact("/proc/stat", "cpu ", times, sizeof times);
    for (int i = 0; i < 8; i++) // user, nice, system, idle, iowait, irq, softirq, steal
        ticks = strtoul(at, &at, 10);
    return (double)ticks / (double)sysconf(_SC_CLK_TCK);
}

static void print_machine(void)
{
    struct utsname name;
    char cpu[256];
    read_fact("/proc/cpuinfo", "model name", cpu, sizeof cpu);
    uname(&name);
    printf("%s, %ld cores, Linux %s, load %.1f before the first run\n\n", cpu,
        sysconf(_SC_NPROCESSORS_ONLN), name.release, load_now());
}

/* CPU time in a second without work, after a batch and a pause. */
static void measure_idle(void)
{
    for (int i = 0; i < N_PEERS; i++) {
        if (!bench.peers[i].pid)
            continue;
        ask(i, IMAGE, 1, 1);
        clock_sleep_ns(PAUSE_NS);
        double before = bench_peer_cpu(&bench.peers[i]);
        clock_sleep_ns(20 * PAUSE_NS);
        double spent = 1000 * (bench_peer_cpu(&bench.peers[i]) - before);
        bench.idle_ms[i] = spent > bench.idle_ms[i] ? spent : bench.idle_ms[i];
    }
}

static void print_head(void)
{
    printf("| model | | threads | batch | ceiling | m4a1 | bf16 | ONNX Runtime | PyTorch "
           "| m4a1 / ONNX Runtime | m4a1 / PyTorch | ceiling / m4a1 | bf16 / m4a1 | "
           "others |\n"
           "|---|---|---|---|---|---|---|---|---|---|---|---|---|---|\n");
}

static double weights_mb(void)
{
    struct buffer b;
    struct error err = ERROR_INIT;
    buffer_init(&b, (size_t)4 << 30);
    must(file_read(at(bench.folder, "model.safetensors"), &b, &err), &err);
    double mb = (double)b.len / 1e6;
    buffer_release(&b);
    return mb;
}

static int print_checks(void)
{
    int ok = 1;
    printf(
        "\n| | least cosine with m4a1's embedding | cosines of two inputs differ by up "
        "to | peak MB | CPU ms in an idle second |\n|---|---|---|---|---|\n");
    for (int i = OURS; i < N_PEERS; i++) {
        if (bench.peak_mb[i] <= 0)
            continue;
        printf("| %s | %.7f | %.1e | %.0f | %.1f |\n", peer_names[i],
            bench.worst_cosine[i], bench.worst_shift[i], bench.peak_mb[i],
            bench.idle_ms[i]);
        ok = ok && bench.worst_shift[i] < (i == BF16 ? 2e-3 : 1e-5) &&
             bench.worst_cosine[i] > (i == BF16 ? 0.99 : 0.99999);
    }
    double took_s = (double)clock_mono_ns() / 1e9 - bench.begun_s;
    printf("\nThe weights have %.0f MB in float32. Load %.1f at the end; in %.0f s the "
           "host kept "
           "%.0f CPU s for others.\n\n",
        weights_mb(), load_now(), took_s, stolen_s() - bench.stolen_s);
    if (!ok)
        printf("**The embeddings do not agree.**\n");
    return ok;
}

static int measure_model(const char *model, const struct clip_checkpoint *how,
    const size_t *batches, size_t n_batches, size_t max_images)
{
    static const char *const n_threads[] = { "1", "2" };
    scratch_folder_open(bench.folder);
    bench.begun_s = (double)clock_mono_ns() / 1e9;
    bench.stolen_s = stolen_s();
    bench.config = how->config;
    clip_checkpoint_write(bench.folder, how);
    write_inputs();
    export_models();
    for (int i = 0; i < N_PEERS; i++) {
        bench.worst_cosine[i] = 1;
        bench.worst_shift[i] = bench.idle_ms[i] = bench.peak_mb[i] = 0;
    }
    print_head();
    for (size_t t = 0; t < COUNT_OF(n_threads); t++) {
        if (bench.only && bench.only != t + 1)
            continue;
        start_peers(n_threads[t]);
        for (int kind = 0; kind < N_KINDS; kind++)
            for (size_t b = 0; b < n_batches; b++)
                if (kind == TEXT || batches[b] <= max_images)
                    measure(model, (enum kind)kind, batches[b], n_threads[t]);
        measure_idle();
        for (int i = 0; i < N_PEERS; i++) {
            bench_peer_stop(&bench.peers[i]);
            double mb = bench.peers[i].peak_mb;
            bench.peak_mb[i] = mb > bench.peak_mb[i] ? mb : bench.peak_mb[i];
        }
    }
    int ok = print_checks();
    scratch_folder_close(bench.folder);
    return ok;
}

int main(int argc, char **argv)
{
    static const size_t batches[] = { 1, 8, 32 };
    int is_long = 0, is_quick = 0, is_b32 = 1, is_l14 = 1, ok = 1;
    if (argc == 5 && !strcmp(argv[1], "--serve"))
        return serve(argv[2], argv[3], argv[4]);
    for (int i = 1; i < argc; i++) {
        is_long |= !strcmp(argv[i], "--long");
        is_quick |= !strcmp(argv[i], "--quick");
        if (!strcmp(argv[i], "1") || !strcmp(argv[i], "2"))
            bench.only = (size_t)(argv[i][0] - '0');
        is_b32 &= strcmp(argv[i], "l14") != 0;
        is_l14 &= strcmp(argv[i], "b32") != 0 && !is_quick;
    }
    snprintf(bench.self, sizeof bench.self, "%s", argv[0]);
    print_machine();
    find_others();
    const struct clip_checkpoint b32 = clip_checkpoint_b32(), l14 = clip_checkpoint_l14();
    bench.budget_s = is_quick ? 0 : 6;
    size_t n = COUNT_OF(batches) - (is_quick ? 1 : 0);
    if (is_b32)
        ok = measure_model("B/32", &b32, batches, n, MAX_BATCH) && ok;
    if (is_l14)
        ok = measure_model("L/14", &l14, batches, n, is_long ? MAX_BATCH : 8) && ok;
    return !ok;
}
