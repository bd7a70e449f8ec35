// SPDX-License-Identifier: MIT
// Transparent huge pages.
#include <sys/mman.h>

#include "guest.h"

static const size_t size_64m = 64 * MB;

static char *area;

void thp_fault_64m(void) {
  area = map_anon(size_64m, MADV_HUGEPAGE);
  begin();
  write_each(area, size_64m, PAGE);
  end();
}

void thp_munmap_64m(void) {
  begin();
  munmap(area, size_64m);
  end();
}
