#include "CCurl.h"

#include <dlfcn.h>
#include <pthread.h>

static void *library;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void load(void) { library = dlopen("libcurl.so.4", RTLD_NOW | RTLD_LOCAL); }

static void *find(const char *name) {
    pthread_once(&once, load);
    return library ? dlsym(library, name) : NULL;
}

// Defines libcurl's `name` as a call of the function in the library, or `missing` where there is none.
#define FORWARD(result, name, missing, parameters, arguments) \
    result name parameters {                                  \
        result(*call) parameters = find(#name);               \
        return call ? call arguments : missing;               \
    }
#define FORWARD_VOID(name, parameters, arguments) \
    void name parameters {                        \
        void(*call) parameters = find(#name);     \
        if (call) call arguments;                 \
    }

FORWARD(CURLcode, curl_global_init, CURLE_FAILED_INIT, (long flags), (flags))
FORWARD(CURL *, curl_easy_init, NULL, (void), ())
FORWARD_VOID(curl_easy_cleanup, (CURL * curl), (curl))
FORWARD(const char *, curl_easy_strerror, "libcurl.so.4 is not installed", (CURLcode code), (code))
FORWARD(struct curl_slist *, curl_slist_append, NULL, (struct curl_slist * list, const char *text), (list, text))
FORWARD_VOID(curl_slist_free_all, (struct curl_slist * list), (list))
FORWARD(CURLM *, curl_multi_init, NULL, (void), ())
FORWARD(CURLMcode, curl_multi_cleanup, CURLM_OK, (CURLM * multi), (multi))
FORWARD(CURLMcode, curl_multi_add_handle, CURLM_INTERNAL_ERROR, (CURLM * multi, CURL *curl), (multi, curl))
FORWARD(CURLMcode, curl_multi_remove_handle, CURLM_OK, (CURLM * multi, CURL *curl), (multi, curl))
FORWARD(CURLMcode, curl_multi_perform, CURLM_INTERNAL_ERROR, (CURLM * multi, int *running), (multi, running))
FORWARD(CURLMsg *, curl_multi_info_read, NULL, (CURLM * multi, int *left), (multi, left))
FORWARD(CURLMcode, curl_multi_poll, CURLM_INTERNAL_ERROR,
        (CURLM * multi, struct curl_waitfd waits[], unsigned int count, int milliseconds, int *ready),
        (multi, waits, count, milliseconds, ready))

// The type of a variadic function must be told to its callers.
typedef CURLcode (*set_option)(CURL *, CURLoption, ...);
typedef CURLcode (*get_info)(CURL *, CURLINFO, ...);

#define SET(curl, option, value)                     \
    set_option set = (set_option)find("curl_easy_setopt"); \
    return set ? set(curl, option, value) : CURLE_FAILED_INIT

CURLcode ccurl_set_long(CURL *curl, CURLoption option, long value) { SET(curl, option, value); }
CURLcode ccurl_set_text(CURL *curl, CURLoption option, const char *value) { SET(curl, option, value); }
CURLcode ccurl_set_pointer(CURL *curl, CURLoption option, void *value) { SET(curl, option, value); }
CURLcode ccurl_set_list(CURL *curl, CURLoption option, struct curl_slist *value) { SET(curl, option, value); }
CURLcode ccurl_set_writer(CURL *curl, CURLoption option, ccurl_writer value) { SET(curl, option, value); }

long ccurl_long(CURL *curl, CURLINFO info) {
    get_info get = (get_info)find("curl_easy_getinfo");
    long value = 0;
    if (get) get(curl, info, &value);
    return value;
}

long long ccurl_offset(CURL *curl, CURLINFO info) {
    get_info get = (get_info)find("curl_easy_getinfo");
    curl_off_t value = 0;
    if (get) get(curl, info, &value);
    return value;
}
