#include <png.h>

/* Writes 8-bit RGB rows by libpng's simplified interface, which keeps its setjmp to itself; 0 when it fails. */
static inline int cpng_write_rgb(const char *path, const void *pixels, unsigned width, unsigned height) {
    png_image image = {.version = PNG_IMAGE_VERSION, .width = width, .height = height, .format = PNG_FORMAT_RGB};
    return png_image_write_to_file(&image, path, 0, pixels, 0, NULL);
}
