// libcurl, opened when it is first used: it brings some twenty libraries, which would double the program's start.
//
// The functions of <curl/curl.h> that are defined in CCurl.c can be called as they are. Options are set and read through
// variadic functions, which Swift cannot call: here is one typed function for each shape.
#ifndef CCURL_H
#define CCURL_H

#define CURL_DISABLE_TYPECHECK
#include <curl/curl.h>

typedef size_t (*ccurl_writer)(char *data, size_t size, size_t count, void *context);

CURLcode ccurl_set_long(CURL *curl, CURLoption option, long value);
CURLcode ccurl_set_text(CURL *curl, CURLoption option, const char *value);
CURLcode ccurl_set_pointer(CURL *curl, CURLoption option, void *value);
CURLcode ccurl_set_list(CURL *curl, CURLoption option, struct curl_slist *value);
CURLcode ccurl_set_writer(CURL *curl, CURLoption option, ccurl_writer value);
long ccurl_long(CURL *curl, CURLINFO info);
long long ccurl_offset(CURL *curl, CURLINFO info);
static inline CURLcode ccurl_message_result(CURLMsg *message) { return message->data.result; }

#endif
