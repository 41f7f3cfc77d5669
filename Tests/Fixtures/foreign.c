/* A library that knows nothing of Martlet: functions over texts and numbers, as a company may have lying about. */
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

int table_size = 3; /* data, and no function */

/* 1 when the text has at least `least` bytes. */
int long_enough(const char *text, int least) { return (int)strlen(text) >= least; }

/* Share of the places at which the two texts agree. */
double agreement(const char *completion, const char *solution) {
    size_t a = strlen(completion), b = strlen(solution), longer = a > b ? a : b, same = 0;
    for (size_t i = 0; i < (a < b ? a : b); i++) same += completion[i] == solution[i];
    return longer ? (double)same / (double)longer : 1;
}

double weighted_sum(const double *scores, size_t count, double factor) {
    double sum = 0;
    for (size_t i = 0; i < count; i++) sum += scores[i] * factor;
    return sum;
}

/* One digit a type, so that a value that went astray shows. */
double digits(bool a, int b, unsigned c, long d, unsigned long e, float f, double g) {
    return a + 10.0 * b + 100.0 * c + 1e3 * (double)d + 1e4 * (double)e + 1e5 * (double)f + 1e6 * g;
}

float half(int x) { return (float)x / 2; }
long long negative(int x) { return -(long long)x * 3000000000LL; }
unsigned large(int x) { return 4000000000u + (unsigned)x; }
bool is_even(int x) { return x % 2 == 0; }
double logarithm(double x) { return log(x); }
