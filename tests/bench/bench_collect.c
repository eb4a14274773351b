/* bench_collect.c - calls a second, CPU time a call, peak memory and own share of latencies of
 * `m4a1 collect`, beside a Node program on the openai package that does the same.
 *
 * Both ask the same server (tests/support/flat_server.h) on loopback, a process of its own
 * that answers at once, so that the one who asks is the bottleneck.  CPU time and memory are
 * those of the whole program, its start included, as wait4() reports them.
 *
 *   build/tests/bench/bench_collect            about two minutes
 *   build/tests/bench/bench_collect --quick    a tenth of the calls, to see that it works
 *
 * The program is $M4A1, else the m4a1 two folders above.  Node's figures are left out, with
 * the reason, where tests/peers cannot be installed. */
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>
#include <sqlite3.h>

#include "m4a1/base/clock.h"
#include "m4a1/base/files.h"
#include "m4a1/base/random.h"
#include "m4a1/base/text.h"
#include "schema/query.h"
#include "schema/store.h"
#include "tests/support/flat_server.h"
#include "tests/support/make_image.h"

#define N_SCENES 20
#define N_VIEWS 3
#define N_PLANNED 6000
#define N_PLANNED_LONG 60000
#define MS INT64_C(1000000)
#define WIDTH 64 /* in flight where latencies are measured */
#define MANY 1000

static const char *const views[N_VIEWS] = { "first_person", "side", "overhead" };

static struct {
    char dir[64]; /* scratch */
    const char *m4a1;
    const char *node; /* NULL = not to be had */
    int divisor;
    double frame_kb;
} bench;

static _Noreturn void fail(const char *what, const struct error *err)
{
    fprintf(
        stderr, "bench_collect: %s%s%s\n", what, err ? ": " : "", err ? err->msg : "");
    exit(1);
}

/* Inside the scratch folder; good for the next fifteen calls. */
static const char *at(const char *name)
{
    static char paths[16][256];
    static unsigned next;
    char *path = paths[next++ % 16];
    snprintf(path, sizeof paths[0], "%s/%s", bench.dir, name);
    return path;
}

/* ---- programs ------------------------------------------------------------------- */

struct usage {
    int exit_status;
    double wall_s, cpu_s, peak_mb;
    char said[4096]; /* the beginning of its standard output */
};

static double seconds(struct timeval t)
{
    return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

/* argv ends with NULL.  Standard error goes to a file of the scratch folder. */
static struct usage run(const char *const argv[])
{
    struct usage u = { 0 };
    struct rusage r;
    int out = open(at("out"), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    int err = open(at("err"), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600), status = 0;
    int64_t begun_ns = clock_mono_ns();
    pid_t pid = fork();
    if (pid == 0) {
        dup2(out, STDOUT_FILENO);
        dup2(err, STDERR_FILENO);
        execvp(argv[0], (char *const *)argv);
        _exit(127);
    }
    if (pid < 0 || wait4(pid, &status, 0, &r) < 0)
        fail("cannot run a program", NULL);
    u.wall_s = (double)(clock_mono_ns() - begun_ns) / 1e9;
    u.cpu_s = seconds(r.ru_utime) + seconds(r.ru_stime);
    u.peak_mb = (double)r.ru_maxrss / 1000;
    u.exit_status = WIFEXITED(status) ? WEXITSTATUS(status) : 128;
    ssize_t n = pread(out, u.said, sizeof u.said - 1, 0);
    u.said[n > 0 ? n : 0] = '\0';
    close(out);
    close(err);
    return u;
}

static struct usage run_well(const char *what, const char *const argv[])
{
    struct usage u = run(argv);
    if (u.exit_status) {
        struct buffer said;
        buffer_init(&said, 1 << 20);
        if (file_read(at("err"), &said, NULL) == OK)
            fprintf(stderr, "%s", buffer_str(&said));
        fail(what, NULL);
    }
    return u;
}

static void copy_file(const char *from, const char *to)
{
    struct error err = ERROR_INIT;
    struct buffer b;
    buffer_init(&b, (size_t)1 << 30);
    if (file_read(from, &b, &err) || file_write(to, buffer_str(&b), b.len, &err))
        fail("copying a store", &err);
    buffer_release(&b);
}

/* ---- what is asked -------------------------------------------------------------- */

/* Noise, so that a JPEG of quality 90 has about 200 kB. */
static void make_pictures(void)
{
    static uint8_t pixels[400][640][3];
    struct make_jpeg how = { .width = 640, .height = 400, .channels = 3, .quality = 90 };
    struct error err = ERROR_INIT;
    struct rng rng;
    rng_init(&rng, 1, "bench/pictures", 0);
    if (folder_make(at("scenes"), &err))
        fail("scenes", &err);
    for (int i = 0; i < N_SCENES * N_VIEWS; i++) {
        char name[64];
        struct buffer jpeg;
        uint8_t *p = &pixels[0][0][0];
        for (size_t k = 0; k < sizeof pixels; k++)
            p[k] = (uint8_t)rng_below(&rng, 256);
        snprintf(name, sizeof name, "scenes/s%02d", i / N_VIEWS);
        if (i % N_VIEWS == 0 && folder_make(at(name), &err))
            fail("scenes", &err);
        snprintf(
            name, sizeof name, "scenes/s%02d/%s.jpg", i / N_VIEWS, views[i % N_VIEWS]);
        buffer_init(&jpeg, 16 << 20);
        make_jpeg(&how, p, &jpeg);
        if (file_write(at(name), buffer_str(&jpeg), jpeg.len, &err))
            fail("a picture", &err);
        buffer_release(&jpeg);
    }
}

/* One session of one turn a call. */
static void write_recipe(int port, int n_views, int n)
{
    struct buffer b;
    struct error err = ERROR_INIT;
    buffer_init(&b, 64 << 20);
    buffer_printf(&b,
        "{\"m4a1_recipe\":1,\"name\":\"bench\",\"views\":[{\"name\":\"first_person\","
        "\"kind\":"
        "\"image\",\"privacy\":1},{\"name\":\"side\",\"kind\":\"image\",\"privacy\":1},{"
        "\"name\":"
        "\"overhead\",\"kind\":\"image\",\"privacy\":1}],\"frames\":{\"longest_side\":0},"
        "\"tasks\":[\"Query\"],\"prompts\":[{\"id\":\"q\",\"task\":\"Query\",\"text\":"
        "\"Where "
        "is the knife, and is it lying safely?\"}],\"sessions\":{\"script\":"
        "\"sessions.jsonl\"},\"system_prompt\":\"You help the person who cooks, in a few "
        "short "
        "sentences.\",\"llms\":{\"flat\":{\"role\":\"cloud\",\"protocol\":\"openai-"
        "chat\","
        "\"url\":\"http://"
        "127.0.0.1:%d\",\"model\":\"flat\",\"stream\":false,\"slots\":1000,"
        "\"parameters\":{\"max_completion_tokens\":64,\"temperature\":0}}}}\n",
        port);
    if (file_write(at("recipe.json"), buffer_str(&b), b.len, &err))
        fail("the recipe", &err);
    buffer_clear(&b);
    for (int i = 0; i < n; i++)
        buffer_printf(&b,
            "{\"scene\":\"s%02d\",\"prompts\":[\"q\"],\"actions\":[{\"llm\":\"flat\","
            "\"views\":[%s]"
            "}]}\n",
            i % N_SCENES, n_views ? "\"first_person\",\"side\",\"overhead\"" : "");
    if (buffer_status(&b, "sessions", &err) ||
        file_write(at("sessions.jsonl"), buffer_str(&b), b.len, &err))
        fail("the sessions", &err);
    buffer_release(&b);
}

static void make_store(const char *name, int port, int n_views, int n)
{
    const char *store = at(name);
    write_recipe(port, n_views, n);
    run_well("init", (const char *const[]) { bench.m4a1, "init", store, "--recipe",
                         at("recipe.json"), NULL });
    store = at(name);
    run_well("ingest", (const char *const[]) {
                           bench.m4a1, "ingest", store, at("scenes"), "--quiet", NULL });
    run_well(
        "plan", (const char *const[]) { bench.m4a1, "plan", at(name), "--quiet", NULL });
}

/* Frames as files, for Node. */
static void write_frames(const char *name)
{
    struct error err = ERROR_INIT;
    struct store *store = NULL;
    struct query *q = NULL;
    int n = 0;
    double bytes = 0;
    enum status s = store_open(at(name), STORE_READ, &store, &err);
    if (s == OK)
        s = folder_make(at("frames"), &err);
    if (s == OK)
        s = query_open(store, "SELECT bytes FROM frame ORDER BY frame_id", &q, &err);
    while (s == OK && (s = query_next(q, &err)) == OK && query_has_row(q)) {
        char file[64];
        size_t len = 0;
        const void *data = query_bytes(q, 0, &len);
        snprintf(file, sizeof file, "frames/%04d.jpg", n++);
        s = file_write(at(file), data, len, &err);
        bytes += (double)len;
    }
    query_close(q);
    store_close(store);
    if (s != OK)
        fail("frames", &err);
    bench.frame_kb = bytes / n / 1000;
}

/* ---- one row a run -------------------------------------------------------------- */

static void print_row(
    const char *who, int n_views, int in_flight, int n_calls, const struct usage *u)
{
    printf("| %s | %d | %d | %d | %.0f | %.0f | %.2f | %.0f |\n", who, n_views, in_flight,
        n_calls, n_calls / u->wall_s, n_calls / u->cpu_s, 1000 * u->cpu_s / n_calls,
        u->peak_mb);
    fflush(stdout);
}

static void remove_run(void)
{
    static const char *const files[] = { "run.store", "run.store-wal", "run.store-shm",
        "node.db", "node.db-wal", "node.db-shm" };
    for (size_t i = 0; i < COUNT_OF(files); i++)
        remove(at(files[i]));
}

static struct usage collect(const char *store, int in_flight, int n_calls)
{
    char limit[16], width[16];
    snprintf(limit, sizeof limit, "%d", n_calls);
    snprintf(width, sizeof width, "%d", in_flight);
    remove_run();
    copy_file(at(store), at("run.store"));
    struct usage u = run((const char *const[]) { bench.m4a1, "collect", at("run.store"),
        "--allow-unpriced", "--quiet", "--in-flight", width, "--limit", limit, NULL });
    if (u.exit_status != 3) // the limit leaves calls over
        fail("collect did not end as it should", NULL);
    return u;
}

static struct usage ask_with_node(int port, int in_flight, int n_calls, int n_views)
{
    char url[64], calls[16], width[16], n[16];
    snprintf(url, sizeof url, "http://127.0.0.1:%d", port);
    snprintf(calls, sizeof calls, "%d", n_calls);
    snprintf(width, sizeof width, "%d", in_flight);
    snprintf(n, sizeof n, "%d", n_views);
    remove_run();
    struct usage u = run_well(
        "bench_openai.mjs", (const char *const[]) { "node", bench.node, at("node.db"),
                                at("frames"), url, calls, width, n, NULL });
    if (strtol(u.said, NULL, 10) != n_calls)
        fail("the Node program did not get every answer", NULL);
    return u;
}

static void compare(const char *store, int port, int n_views, int in_flight, int n_calls)
{
    n_calls /= bench.divisor;
    if (n_calls < in_flight)
        n_calls = in_flight;
    struct usage ours = collect(store, in_flight, n_calls);
    print_row("m4a1", n_views, in_flight, n_calls, &ours);
    if (!bench.node)
        return;
    struct usage node = ask_with_node(port, in_flight, n_calls, n_views);
    print_row("Node", n_views, in_flight, n_calls, &node);
    printf("| ratio | %d | %d | | %.1f | %.1f | | %.2f |\n", n_views, in_flight,
        node.wall_s / ours.wall_s, node.cpu_s / ours.cpu_s, ours.peak_mb / node.peak_mb);
    fflush(stdout);
}

/* ---- memory with many in flight -------------------------------------------------- */

static int64_t number_in(const char *database, const char *sql)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *row = NULL;
    if (sqlite3_open_v2(at(database), &db, SQLITE_OPEN_READONLY, NULL) ||
        sqlite3_prepare_v2(db, sql, -1, &row, NULL) || sqlite3_step(row) != SQLITE_ROW)
        fail(sqlite3_errmsg(db), NULL);
    int64_t n = sqlite3_column_int64(row, 0);
    sqlite3_finalize(row);
    sqlite3_close(db);
    return n;
}

/* A server so slow that every request is sent before the first is answered. */
static void measure_memory(void)
{
    struct flat_server server;
    int n_calls = 2 * MANY;
    if (!flat_server_start(4000 * MS, 0, &server))
        fail("the server", NULL);
    remove(at("delay.store"));
    make_store("delay.store", server.port, N_VIEWS, N_PLANNED);
    struct usage u = collect("delay.store", MANY, n_calls);
    printf(
        "\n%d calls with three views, at most %lld at once with a server that takes 4 s: "
        "peak %.0f MB, of which the frames as base64 are %.0f\n",
        n_calls, (long long)number_in("run.store", "SELECT max(in_flight) FROM attempt"),
        u.peak_mb, bench.frame_kb * N_SCENES * N_VIEWS * 4 / 3 / 1000);
    fflush(stdout);
    flat_server_stop(&server);
}

/* ---- own share of a latency ----------------------------------------------------- */

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Percentiles of a column of ns, in ms. */
static void print_percentiles(const char *what, const char *database, const char *sql)
{
    static double ms[20000];
    sqlite3 *db = NULL;
    sqlite3_stmt *rows = NULL;
    int n = 0;
    if (sqlite3_open_v2(at(database), &db, SQLITE_OPEN_READONLY, NULL) ||
        sqlite3_prepare_v2(db, sql, -1, &rows, NULL))
        fail(sqlite3_errmsg(db), NULL);
    while (n < (int)COUNT_OF(ms) && sqlite3_step(rows) == SQLITE_ROW)
        ms[n++] = sqlite3_column_double(rows, 0) / 1e6;
    sqlite3_finalize(rows);
    sqlite3_close(db);
    if (!n)
        fail("no times were stored", NULL);
    qsort(ms, (size_t)n, sizeof *ms, by_size);
    printf("| %s | %d | %.3f | %.3f | %.3f | %.3f |\n", what, n, ms[n / 2],
        ms[n * 9 / 10], ms[n * 99 / 100], ms[n - 1]);
    fflush(stdout);
}

#define OVERHEAD "latency_ns - CAST(request_id AS INTEGER)"

/* The server says in request_id how long it had the request; the rest of the latency is the
 * client's and the kernel's.  Ours leaves out calls that had to connect first; Node does not
 * tell them, so there the first ones are.  With a gap answers come one by one, else all that
 * are in flight come at once, are asked again at once, and so on. */
static void measure_overhead(int n_views, int64_t delay_ns, int is_steady)
{
    char what[64];
    int n_calls = 4000 / bench.divisor;
    const char *how = is_steady ? "one by one" : "in step";
    struct flat_server server;
    if (!flat_server_start(delay_ns, is_steady ? delay_ns / WIDTH : 0, &server))
        fail("the server", NULL);
    remove(at("delay.store"));
    make_store("delay.store", server.port, n_views, N_PLANNED);
    collect("delay.store", WIDTH, n_calls);
    snprintf(what, sizeof what, "m4a1, %d views, %s", n_views, how);
    print_percentiles(what, "run.store",
        "SELECT " OVERHEAD " FROM attempt WHERE status = 'ok' AND reused");
    print_percentiles("its loop_lag_ns", "run.store",
        "SELECT loop_lag_ns FROM attempt WHERE status = 'ok' AND reused");
    if (bench.node) {
        ask_with_node(server.port, WIDTH, n_calls, n_views);
        snprintf(what, sizeof what, "Node, %d views, %s", n_views, how);
        print_percentiles(what, "node.db",
            "SELECT " OVERHEAD " FROM attempt WHERE status = 'ok' AND call_id > 64");
    }
    flat_server_stop(&server);
}

/* ---- all of it ------------------------------------------------------------------ */

static void find_programs(const char *self)
{
    static char program[512], script[sizeof((struct usage *)0)->said];
    const char *said = getenv("M4A1"), *end = strstr(self, "tests/bench/");
    snprintf(program, sizeof program, "%.*sm4a1", end ? (int)(end - self) : 0, self);
    bench.m4a1 = said ? said : end ? program : "build/m4a1";
    struct usage u =
        run((const char *const[]) { "bash", "tests/support/peers_for_bench.sh", NULL });
    u.said[strcspn(u.said, "\n")] = '\0';
    if (u.exit_status == 0 && file_exists(u.said)) {
        snprintf(script, sizeof script, "%s", u.said);
        bench.node = script;
    } else {
        printf(
            "Without Node: %s\n\n", *u.said ? u.said : "tests/peers cannot be installed");
    }
}

static void print_machine(void)
{
    struct utsname name;
    double load[3] = { 0 };
    struct usage cpu = run((const char *const[]) { "sh", "-c",
        "sed -n 's/^model name.*: //p' /proc/cpuinfo | head -n 1 | tr -d '\\n'", NULL });
    struct usage node =
        run((const char *const[]) { "sh", "-c", "node --version | tr -d '\\n'", NULL });
    uname(&name);
    if (getloadavg(load, 3) < 1)
        load[0] = NAN;
    printf("%s, %ld cores, Linux %s, load %.1f, node %s; frames of %.0f kB\n\n", cpu.said,
        sysconf(_SC_NPROCESSORS_ONLN), name.release, load[0], node.said, bench.frame_kb);
}

static void measure_speed(int port)
{
    printf("| | views | in flight | calls | calls a second | calls a CPU second | CPU ms "
           "a call | "
           "peak MB |\n|---|---|---|---|---|---|---|---|\n");
    compare("views.store", port, N_VIEWS, 1, 500);
    compare("views.store", port, N_VIEWS, 64, 2000);
    compare("views.store", port, N_VIEWS, 1000, 4000);
    compare("text.store", port, 0, 1, 1000);
    compare("text.store", port, 0, 64, 5000);
    compare("text.store", port, 0, 1000, 5000);
}

static void measure_growth(int port)
{
    int n_calls = 2000 / bench.divisor;
    make_store("long.store", port, 0, N_PLANNED_LONG);
    struct usage little = collect("text.store", 64, n_calls);
    struct usage much = collect("long.store", 64, n_calls);
    printf("\n| calls planned | asked | peak MB | CPU s |\n|---|---|---|---|\n");
    printf(
        "| %d | %d | %.1f | %.2f |\n", N_PLANNED, n_calls, little.peak_mb, little.cpu_s);
    printf(
        "| %d | %d | %.1f | %.2f |\n", N_PLANNED_LONG, n_calls, much.peak_mb, much.cpu_s);
}

int main(int argc, char **argv)
{
    struct flat_server server;
    snprintf(bench.dir, sizeof bench.dir, "/tmp/m4a1-bench.XXXXXX");
    bench.divisor = argc > 1 && text_equal(argv[1], "--quick") ? 10 : 1;
    if (!mkdtemp(bench.dir) || !flat_server_start(0, 0, &server))
        fail("no scratch folder or no server", NULL);
    find_programs(argv[0]);
    make_pictures();
    make_store("views.store", server.port, N_VIEWS, N_PLANNED);
    make_store("text.store", server.port, 0, N_PLANNED);
    write_frames("views.store");
    print_machine();
    measure_speed(server.port);
    printf(
        "\nThe body of a call with three views has %.0f kB, so 1,000 of them %.0f MB.\n",
        bench.frame_kb * N_VIEWS * 4 / 3, bench.frame_kb * N_VIEWS * 4 / 3);
    measure_memory();
    measure_growth(server.port);
    printf("\nThe server of all this took %.1f CPU s.\n", flat_server_stop(&server));
    printf("\n| 64 in flight: latency less the server's time, ms | calls | p50 | p90 | "
           "p99 | most "
           "|\n|---|---|---|---|---|---|\n");
    for (int steady = 1; steady >= 0; steady--) {
        measure_overhead(0, 100 * MS, steady);
        measure_overhead(N_VIEWS, 500 * MS, steady);
    }
    run((const char *const[]) { "rm", "-r", bench.dir, NULL });
    return 0;
}
