#pragma once
// The page allocator: a buddy system with orders 0 to 10 over one zone (mm/page_alloc.c), lists
// kept last in, first out. Memory that cannot be moved (page tables, vmalloc) and memory that can
// (what users map) come from different blocks of 2 MB as long as there are enough: each block has a
// migrate type, and an allocation that finds nothing of its own takes over the largest run of the
// other. Its own data are host memory: no count depends on them.

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "sim/base/types.h"

namespace kpksim::kernel {

inline constexpr unsigned kMaxOrder = 10;

enum class Mobility : std::uint8_t { kUnmovable, kMovable };

class Buddy {
 public:
  // All frames of [first, first + count) start free, and movable.
  Buddy(Pfn first, std::uint64_t count);

  // A naturally aligned run of 2^order frames, or nullopt.
  std::optional<Pfn> allocate(unsigned order, Mobility mobility);
  void free(Pfn pfn, unsigned order);

  std::uint64_t free_pages() const { return free_pages_; }
  Pfn first() const { return first_; }
  std::uint64_t size() const { return count_; }

 private:
  static constexpr std::uint32_t kNone = ~0u;
  static constexpr unsigned kBlockOrder = kPmdShift - kPageShift;  // pageblock_order
  struct Node {
    std::uint32_t next = kNone, previous = kNone;
    std::int8_t free_order = -1;  // order of the free run that starts here
  };
  using Heads = std::array<std::uint32_t, kMaxOrder + 1>;

  Heads& lists(Mobility mobility) { return heads_[static_cast<std::size_t>(mobility)]; }
  // The list that a free run is on: that of the type of its (first) block.
  Heads& lists_of(std::uint32_t i) { return lists(block_type_[i >> kBlockOrder]); }
  void push(std::uint32_t i, unsigned order);
  void remove(std::uint32_t i);
  bool steal(unsigned order, Mobility mobility);

  Pfn first_;
  std::uint64_t count_;
  std::uint64_t free_pages_ = 0;
  std::vector<Node> nodes_;
  std::vector<Mobility> block_type_;
  std::array<Heads, 2> heads_;
};

}  // namespace kpksim::kernel
