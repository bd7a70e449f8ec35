// SPDX-License-Identifier: MIT
// vmalloc and vfree without a kernel module of our own: init_module() copies its buffer into memory
// from vmalloc, checks it and frees it. A buffer that ends like a signed module but names a
// signature longer than the file fails the first check, and silently.
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "guest.h"

static const char marker[] = "~Module signature appended~\n";

static void vmalloc_vfree(size_t pages, int times) {
  const size_t size = pages * PAGE;
  char *buffer = map_anon(size, MADV_NOHUGEPAGE);
  memset(buffer, 0xff, size);  // struct module_signature before the marker: length 2^32 - 1
  memcpy(buffer + size - strlen(marker), marker, strlen(marker));
  const long result = syscall(SYS_init_module, buffer, size, "");
  const int possible = result == -1 && errno == EBADMSG;  // a kernel without MODULE_SIG prints
  if (possible) {
    begin();
    for (int k = 0; k < times; k++) syscall(SYS_init_module, buffer, size, "");
    end();
  }
  unmap(buffer, size);
}

void vmalloc_p1_x20000(void) { vmalloc_vfree(1, 20000); }
void vmalloc_p4_x20000(void) { vmalloc_vfree(4, 20000); }
void vmalloc_p16_x10000(void) { vmalloc_vfree(16, 10000); }
void vmalloc_p64_x4000(void) { vmalloc_vfree(64, 4000); }
void vmalloc_p256_x2000(void) { vmalloc_vfree(256, 2000); }
