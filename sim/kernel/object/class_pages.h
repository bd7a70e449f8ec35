#pragma once
// The memory of a protected class: objects that live as long as the kernel does, in runs of pages
// as large as the buddy allocator has them. They carry the key that the class has at the time.

#include <cstdint>
#include <vector>

#include "sim/kernel/buddy.h"
#include "sim/kernel/linear_map.h"
#include "sim/kernel/object/classes.h"

namespace kpksim::kernel {

class ClassPages {
 public:
  // InputError: memory is exhausted.
  ClassPages(Buddy& buddy, const ProtectedClass& of);

  // set_memory_pkey() of each run.
  void set_key(cpu::Core& core, LinearMap& map, PkeyIndex key);
  // Word `n` of all that the objects have.
  PhysAddr word(std::uint64_t n) const;
  std::uint64_t words() const { return objects_ * words_each_; }
  std::uint64_t pages() const { return pages_; }
  Pfn first() const { return runs_.front().first; }

 private:
  struct Run {
    Pfn first;
    std::uint64_t count, before;  // pages; how many the runs before it have
  };

  const std::uint64_t objects_, words_each_;
  std::uint64_t pages_ = 0;
  std::vector<Run> runs_;
};

}  // namespace kpksim::kernel
