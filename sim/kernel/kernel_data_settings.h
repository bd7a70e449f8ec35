#pragma once
// How much data of its own the kernel has in use, and how often system calls access it
// (kernel_data.h).

#include <cstdint>

namespace kpksim::kernel {

struct KernelDataSettings {
  std::uint64_t working_set = 64ull << 20;  // bytes of slabs that are in use
  std::uint64_t accesses_per_call = 40;     // of objects
  std::uint64_t store_percent = 25;         // of these
  // Bytes of the page cache that calls copy from or to whose file is not known; 0: they copy none.
  std::uint64_t page_cache = 64ull << 20;
  std::uint64_t seed = 1;

  bool operator==(const KernelDataSettings&) const = default;
};

}  // namespace kpksim::kernel
