#pragma once
// The page allocator: a buddy system with orders 0 to 10 over one zone (mm/page_alloc.c), lists
// kept last in, first out. Its own data are host memory: no count depends on them.

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "sim/base/types.h"

namespace kpksim::kernel {

inline constexpr unsigned kMaxOrder = 10;

class Buddy {
 public:
  // All frames of [first, first + count) start free.
  Buddy(Pfn first, std::uint64_t count);

  // A naturally aligned run of 2^order frames, or nullopt.
  std::optional<Pfn> allocate(unsigned order);
  void free(Pfn pfn, unsigned order);

  std::uint64_t free_pages() const { return free_pages_; }
  Pfn first() const { return first_; }
  std::uint64_t size() const { return count_; }

 private:
  static constexpr std::uint32_t kNone = ~0u;
  struct Node {
    std::uint32_t next = kNone, previous = kNone;
    std::int8_t free_order = -1;  // order of the free run that starts here
  };

  void push(std::uint32_t i, unsigned order);
  void remove(std::uint32_t i);

  Pfn first_;
  std::uint64_t count_;
  std::uint64_t free_pages_ = 0;
  std::vector<Node> nodes_;
  std::array<std::uint32_t, kMaxOrder + 1> heads_;
};

}  // namespace kpksim::kernel
