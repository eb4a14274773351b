/* echo_protocol.h - the example of docs/adding-a-protocol.md: a made-up protocol. */
#ifndef TESTS_SUPPORT_ECHO_PROTOCOL_H
#define TESTS_SUPPORT_ECHO_PROTOCOL_H

#include "collectors/llm/protocol.h"

extern const struct protocol protocol_echo;

#endif
