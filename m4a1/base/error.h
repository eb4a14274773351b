/* error.h - how functions report failure.
 *
 * A function that can fail returns enum status and takes struct error *err last
 * (NULL is fine).  The message says what was being done, to what, why it failed
 * (with the numbers) and what to do next.  The library never prints and never
 * exits; m4a1/cli maps a status to an exit status in one place. */
#ifndef M4A1_BASE_ERROR_H
#define M4A1_BASE_ERROR_H

#define MUST_CHECK __attribute__((warn_unused_result))
#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))

enum status {
    OK = 0,
    E_ARG,         /* a value given by the caller or the user is out of range */
    E_NOMEM,       /* no memory */
    E_IO,          /* a file or socket could not be read or written */
    E_DATA,        /* outside data is broken: names file and line or record */
    E_NOT_FOUND,   /* the thing named does not exist */
    E_STORE,       /* the store refused: constraint, corruption, full disk */
    E_LOCKED,      /* another process writes to the store */
    E_NET,         /* no connection, or the connection broke */
    E_LIMIT,       /* a ceiling or a spending cap was reached */
    E_PARTIAL,     /* some of the work was done, the rest was not */
    E_INTERRUPTED, /* stopped by a signal, cleanly */
};

struct error {
    enum status code; /* OK while msg is empty */
    char msg[1024];   /* one or more sentences, no trailing newline */
};

#define ERROR_INIT                                                                       \
    {                                                                                    \
        OK, ""                                                                           \
    }

/* Fill err (unless NULL) and return code, so that a caller can write
 * `return error_set(err, E_IO, "...")`.  A message that is too long is cut. */
enum status error_set(struct error *err, enum status code, const char *fmt, ...)
    PRINTF_LIKE(3, 4);

/* Put what was being done in front of a message that is already there:
 * "ingest kitchen/: " + "cannot read side.jpg: ...".  Returns err's code. */
enum status error_prefix(struct error *err, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* E_NOMEM with the size that could not be had.  Inline, so that compilers and analyzers see
 * that it never returns OK. */
static inline enum status error_nomem(struct error *err, unsigned long long n_bytes)
{
    (void)error_set(err, E_NOMEM, "out of memory: %llu bytes could not be had", n_bytes);
    return E_NOMEM;
}

/* E_IO (E_NOT_FOUND for ENOENT) with the text of errno and what failed. */
enum status error_errno(struct error *err, const char *fmt, ...) PRINTF_LIKE(2, 3);

#endif
