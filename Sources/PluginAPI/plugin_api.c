/* The contract is headers only; this file makes the compiler read them as C11. */
#include "martlet/martlet.h"
