// OpenSSL's digests, the library opened when one is first made; the functions defined in CCrypto.c can be called as they are.
#ifndef CCRYPTO_H
#define CCRYPTO_H

#include <openssl/evp.h>

#endif
