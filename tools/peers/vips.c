/* libvips beside reticulum: vips FILE WIDTH HEIGHT|0 EXTENSION COUNT [OUT]; a height of 0 keeps the shape, else the
   middle is cut. Prints what benches/variant.rs prints. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <vips/vips.h>

static double cpu_us(void) {
  struct timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return t.tv_sec * 1e6 + t.tv_nsec / 1e3;
}

static void make(char **a, void **bytes, size_t *length) {
  VipsImage *image;
  int width = atoi(a[2]), height = atoi(a[3]), failed;
  char suffix[64];
  snprintf(suffix, sizeof suffix, strcmp(a[4], "png") ? ".%s[Q=80,strip]" : ".%s[strip]", a[4]);
  failed = height ? vips_thumbnail(a[1], &image, width, "height", height, "crop", VIPS_INTERESTING_CENTRE, NULL)
                  : vips_thumbnail(a[1], &image, width, "height", 10000000, NULL);
  if (failed || vips_image_write_to_buffer(image, suffix, bytes, length, NULL)) vips_error_exit(NULL);
  g_object_unref(image);
}

int main(int n, char **a) {
  void *bytes;
  size_t length, peak = 0;
  int count;
  double before;
  char line[256];
  FILE *status;
  if (n < 6 || VIPS_INIT(a[0])) return 2;
  vips_concurrency_set(1);
  vips_cache_set_max(0);
  make(a, &bytes, &length);
  if (n > 6) {
    FILE *out = fopen(a[6], "wb");
    fwrite(bytes, 1, length, out);
    fclose(out);
  }
  g_free(bytes);
  count = atoi(a[5]);
  before = cpu_us();
  for (int i = 0; i < count; i++) {
    make(a, &bytes, &length);
    g_free(bytes);
  }
  before = (cpu_us() - before) / count;
  status = fopen("/proc/self/status", "r");
  while (fgets(line, sizeof line, status)) sscanf(line, "VmHWM: %zu", &peak);
  printf("{\"us\":%.0f,\"bytes\":%zu,\"peak_kib\":%zu}\n", before, length, peak);
  return 0;
}
