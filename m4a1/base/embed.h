/* embed.h - put a file into the program as bytes, with the assembler's .incbin.
 *
 *     EMBED(init_sql, "schema/migrations/001_initial.sql");
 *
 * defines init_sql_start and init_sql_end; the path is from the project's root.  The
 * Makefile rebuilds embedding objects when the files under m4a1/recipe/ or
 * schema/migrations/ change. */
#ifndef M4A1_BASE_EMBED_H
#define M4A1_BASE_EMBED_H

#define EMBED(name, path)                                                                \
    __asm__(".pushsection .rodata\n"                                                     \
            ".balign 16\n"                                                               \
            ".globl " #name "_start\n.hidden " #name "_start\n" #name "_start:\n"        \
            ".incbin \"" path "\"\n"                                                     \
            ".globl " #name "_end\n.hidden " #name "_end\n" #name "_end:\n.byte 0\n"     \
            ".popsection\n");                                                            \
    extern const char name##_start[], name##_end[]

#define EMBED_SIZE(name) ((size_t)(name##_end - name##_start))

#endif
