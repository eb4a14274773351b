/* banned.h - functions that nobody calls here; each use is a compile error.
 *
 * The Makefile puts this file before every source (-include).  The headers that declare
 * the functions come first, because a name cannot be declared once it is poisoned.
 * What to use instead stands beside each group. */
#ifndef M4A1_BASE_BANNED_H
#define M4A1_BASE_BANNED_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

// No bound on what they write: snprintf, memcpy with a length, m4a1/base/buffer.h.
#undef alloca
#pragma GCC poison strcpy strcat sprintf vsprintf gets alloca

// No way to tell a number from rubbish, and strtok keeps state: m4a1/base/text.h.
#pragma GCC poison atoi atol atof strtok

// Shared static storage, so not safe with threads: strftime, gmtime_r, localtime_r.
#pragma GCC poison asctime ctime gmtime localtime

// Names that another process can take first: mkstemp, m4a1/base/files.h.
#pragma GCC poison tmpnam mktemp

/* Two are common words elsewhere (OpenSSL's parameters, the system role of a message), so
 * that only a call is an error.  One seed must fix every draw: m4a1/base/random.h.  A shell
 * must never see our arguments: posix_spawn. */
#define rand() rand_is_a_banned_function()
#define srand(seed) srand_is_a_banned_function(seed)
#define system(command) system_is_a_banned_function(command)

#endif
