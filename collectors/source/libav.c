/* libav.c - keeps libav's own log silent; its errors reach users through struct error. */
#include "collectors/source/libav.h"

#include <pthread.h>
#include <libavutil/log.h>

static void silence(void)
{
    av_log_set_level(AV_LOG_QUIET);
}

void libav_silence(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, silence);
}
