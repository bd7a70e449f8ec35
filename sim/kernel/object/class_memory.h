#pragma once
// The memory of a protected class, as who gives keys sees it: pages that carry the key which the
// class has at the time.

#include <cstdint>

#include "sim/kernel/linear_map.h"

namespace kpksim::kernel {

class ClassMemory {
 public:
  virtual ~ClassMemory() = default;
  // set_memory_pkey() of all pages to what `key` says. An interrupt in between may change that:
  // then all have the later one at the end.
  virtual void set_key(cpu::Core& core, LinearMap& map, const PkeyIndex& key) = 0;
  virtual std::uint64_t pages() const = 0;
  // That a store can reach which may write the class.
  virtual std::uint64_t bytes() const = 0;

 protected:
  static void key_run(cpu::Core& core, LinearMap& map, Pfn first, std::uint64_t count,
                      const PkeyIndex& key) {
    PkeyIndex given;
    do {
      given = key;
      map.set_memory_pkey(core, first, count, given);
    } while (given != key);
  }
};

}  // namespace kpksim::kernel
