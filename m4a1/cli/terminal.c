/* terminal.c - see terminal.h.
 *
 * Besides the control characters of ASCII there are those of C1, U+0080 to U+009F: UTF-8
 * has two bytes for them, which may come in two writes.  fopencookie() is GNU's: the
 * Makefile asks for it here alone. */
#include "m4a1/cli/terminal.h"

#include <errno.h>
#include <unistd.h>

#include "m4a1/base/buffer.h"

#define MAX_OUTPUT ((size_t)1 << 30)
#define C1_LEAD 0xc2

/* Adds a byte as it is to be seen; *has_lead says that a C1_LEAD was held back. */
static void add_visible(struct buffer *out, unsigned char c, int *has_lead)
{
    if (*has_lead) {
        *has_lead = 0;
        if (c >= 0x80 && c < 0xa0) {
            buffer_printf(out, "<%02x>", (unsigned)c);
            return;
        }
        buffer_add_char(out, (char)C1_LEAD);
    }
    if (c == C1_LEAD)
        *has_lead = 1;
    else if (c == 0x7f || (c < 0x20 && c != '\n' && c != '\t'))
        buffer_printf(out, "^%c", c ^ 0x40);
    else
        buffer_add_char(out, (char)c);
}

static int write_all(const char *data, size_t len)
{
    while (len > 0) {
        ssize_t n = write(STDOUT_FILENO, data, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return 0;
        data += n;
        len -= (size_t)n;
    }
    return 1;
}

static ssize_t write_visible(void *cookie, const char *data, size_t len)
{
    int *has_lead = cookie;
    struct buffer out;
    buffer_init(&out, MAX_OUTPUT);
    for (size_t i = 0; i < len; i++)
        add_visible(&out, (unsigned char)data[i], has_lead);
    int ok = out.failed == OK && write_all(buffer_str(&out), out.len);
    buffer_release(&out);
    return ok ? (ssize_t)len : 0;
}

void terminal_guard_output(void)
{
    static int has_lead;
    if (!isatty(STDOUT_FILENO))
        return;
    FILE *guarded =
        fopencookie(&has_lead, "w", (cookie_io_functions_t) { .write = write_visible });
    if (!guarded)
        return;
    setvbuf(guarded, NULL, _IOLBF, BUFSIZ);
    stdout = guarded;
}

void terminal_print(FILE *stream, const char *text)
{
    struct buffer out;
    int has_lead = 0;
    buffer_init(&out, MAX_OUTPUT);
    for (; isatty(fileno(stream)) && *text; text++)
        add_visible(&out, (unsigned char)*text, &has_lead);
    fputs(buffer_str(&out), stream);
    fputs(text, stream); // all of it where it is no terminal
    buffer_release(&out);
}
