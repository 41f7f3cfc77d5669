#include "CCrypto.h"

#include <dlfcn.h>
#include <pthread.h>

static void *library;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void load(void) { library = dlopen("libcrypto.so.3", RTLD_NOW | RTLD_LOCAL); }

static void *find(const char *name) {
    pthread_once(&once, load);
    return library ? dlsym(library, name) : NULL;
}

// Defines OpenSSL's `name` as a call of the function in the library, or 0 where there is none.
#define FORWARD(result, name, parameters, arguments) \
    result name parameters {                         \
        result(*call) parameters = find(#name);      \
        return call ? call arguments : 0;            \
    }

FORWARD(EVP_MD_CTX *, EVP_MD_CTX_new, (void), ())
FORWARD(const EVP_MD *, EVP_sha256, (void), ())
FORWARD(const EVP_MD *, EVP_sha1, (void), ())
FORWARD(int, EVP_DigestInit_ex, (EVP_MD_CTX * context, const EVP_MD *kind, ENGINE *engine), (context, kind, engine))
FORWARD(int, EVP_DigestUpdate, (EVP_MD_CTX * context, const void *data, size_t count), (context, data, count))
FORWARD(int, EVP_DigestFinal_ex, (EVP_MD_CTX * context, unsigned char *digest, unsigned int *count), (context, digest, count))

void EVP_MD_CTX_free(EVP_MD_CTX *context) {
    void (*call)(EVP_MD_CTX *) = find("EVP_MD_CTX_free");
    if (call) call(context);
}
