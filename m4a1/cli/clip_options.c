/* clip_options.c - see clip_options.h. */
#include "m4a1/cli/clip_options.h"

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "m4a1/base/text.h"

#define MAX_THREADS 1024

/* Weights are mapped: the system sends this signal to who reads behind the end of a file that
 * another process cuts short.  A store stands as it was committed. */
static void tell_cut_file(int signal_number)
{
    static const char text[] =
        "m4a1: a file was cut short while it was read; if the checkpoint is being "
        "downloaded or\ncopied anew, run the command again once it is whole\n";
    (void)signal_number;
    ssize_t written = write(STDERR_FILENO, text, sizeof text - 1);
    (void)written;
    _exit(EXIT_FAILURE);
}

enum status clip_options_read(
    struct cli *cli, struct clip_options *out, struct error *err)
{
    const char *precision = cli_value(cli, "precision");
    int64_t n_threads;
    *out = (struct clip_options) { 0 };
    if (!cli_value(cli, "clip") || !*cli_value(cli, "clip"))
        return cli_usage(cli, err,
            "--clip DIR is missing: the folder of a CLIP checkpoint; docs/association.md "
            "tells where to get one");
    if (precision && !text_equal(precision, "f32") && !text_equal(precision, "bf16"))
        return cli_usage(cli, err, "--precision %s: f32 or bf16", precision);
    out->bf16 = text_equal(precision, "bf16");
    signal(SIGBUS, tell_cut_file);
    enum status s = cli_int(cli, "threads", 0, 1, MAX_THREADS, &n_threads, err);
    out->n_threads = s ? 0 : (unsigned)n_threads;
    return s;
}
