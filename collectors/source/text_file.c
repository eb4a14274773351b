/* text_file.c - see text_file.h. */
#include "collectors/source/text_file.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "m4a1/base/text.h"

#define MARK "\xef\xbb\xbf"

static int starts(const char *bytes, size_t len, const char *with, size_t n)
{
    return len >= n && !memcmp(bytes, with, n);
}

enum status text_file_check(
    const char *bytes, size_t len, size_t *skip, struct error *err)
{
    *skip = starts(bytes, len, MARK, 3) ? 3 : 0;
    if (len <= *skip)
        return error_set(err, E_DATA, "the text is empty (%zu bytes)", len);
    if (starts(bytes, len, "\xff\xfe", 2) || starts(bytes, len, "\xfe\xff", 2))
        return error_set(err, E_DATA,
            "the text is UTF-16 (byte offset 0); save it as UTF-8, for one with: "
            "iconv -f UTF-16 -t UTF-8 FILE >NEW.txt");
    const char *nul = memchr(bytes, '\0', len);
    size_t valid = text_utf8_valid(bytes, len);
    if (nul && (size_t)(nul - bytes) <= valid)
        return error_set(
            err, E_DATA, "no text: a NUL byte at byte offset %zu", (size_t)(nul - bytes));
    if (valid < len)
        return error_set(err, E_DATA,
            "the text is not valid UTF-8 at byte offset %zu (0x%02x); if it is Latin-1: "
            "iconv -f LATIN1 -t UTF-8 FILE >NEW.txt",
            valid, (unsigned)(uint8_t)bytes[valid]);
    return OK;
}

/* One byte more than the ceiling is read, so that a longer file is told. */
static enum status read_some(
    FILE *f, char *bytes, size_t size, size_t *len, struct error *err)
{
    *len = fread(bytes, 1, size, f);
    if (ferror(f))
        return error_set(err, E_IO, "it cannot be read");
    if (*len < size)
        return OK;
    long long all = fseeko(f, 0, SEEK_END) == 0 ? (long long)ftello(f) : -1;
    return error_set(err, E_DATA,
        "the text has %lld bytes; a text view holds at most %u: cut it to what matters",
        all, TEXT_FILE_MAX_BYTES);
}

enum status text_file_read(const char *path, struct buffer *out, struct error *err)
{
    char bytes[TEXT_FILE_MAX_BYTES + 1];
    size_t len = 0, skip = 0;
    FILE *f = fopen(path, "rb");
    if (!f)
        return error_errno(err, "cannot open it");
    enum status s = read_some(f, bytes, sizeof bytes, &len, err);
    fclose(f);
    if (s == OK)
        s = text_file_check(bytes, len, &skip, err);
    if (s)
        return s;
    buffer_clear(out);
    buffer_add(out, bytes + skip, len - skip);
    return buffer_status(out, "the text", err);
}
