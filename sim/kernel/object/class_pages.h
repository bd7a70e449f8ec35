#pragma once
// The memory of a protected class whose objects live as long as the kernel does: runs of pages as
// large as the buddy allocator has them.

#include <cstdint>
#include <vector>

#include "sim/kernel/buddy.h"
#include "sim/kernel/object/class_memory.h"
#include "sim/kernel/object/classes.h"

namespace kpksim::kernel {

class ClassPages final : public ClassMemory {
 public:
  // InputError: memory is exhausted.
  ClassPages(Buddy& buddy, const ProtectedClass& of);

  // A call for each run.
  void set_key(cpu::Core& core, LinearMap& map, const PkeyIndex& key) override;
  // Word `n` of all that the objects have.
  PhysAddr word(std::uint64_t n) const;
  std::uint64_t words() const { return objects_ * words_each_; }
  std::uint64_t pages() const override { return pages_; }
  std::uint64_t bytes() const override { return bytes_; }
  Pfn first() const { return runs_.front().first; }

 private:
  struct Run {
    Pfn first;
    std::uint64_t count, before;  // pages; how many the runs before it have
  };

  const std::uint64_t objects_, words_each_, bytes_;
  std::uint64_t pages_ = 0;
  std::vector<Run> runs_;
};

}  // namespace kpksim::kernel
