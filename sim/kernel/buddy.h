#pragma once
// The page allocator: a buddy system with orders 0 to 10 over one zone (mm/page_alloc.c), lists
// kept last in, first out. Memory that cannot be moved (page tables, vmalloc) and memory that can
// (what users map) come from different blocks of 2 MB as long as there are enough: each block has a
// migrate type, and an allocation that finds nothing of its own takes over the largest run of the
// other. A third type has whole blocks that are claimed for page tables alone: no other allocation
// gets a page of them, and none of theirs comes from elsewhere. Its own data are host memory: no
// count depends on them.
//
// Boot costs nothing for each frame: runs of the largest order that nothing has touched yet are
// kept as one range, the tail of their list. Such runs never merge, so that they leave the list at
// its head alone, in the order of their addresses.

#include <array>
#include <cstdint>
#include <optional>
#include <utility>

#include "sim/base/lazy_array.h"
#include "sim/base/types.h"

namespace kpksim::kernel {

inline constexpr unsigned kMaxOrder = 10;

enum class Mobility : std::uint8_t { kMovable, kUnmovable, kPageTable };

class Observer;

class Buddy {
 public:
  // All frames of [first, first + count) start free, and movable; then the first `taken` of them
  // are allocated as single pages that cannot be moved, as boot takes them for its tables.
  Buddy(Pfn first, std::uint64_t count, std::uint64_t taken = 0);

  // A naturally aligned run of 2^order frames, or nullopt.
  std::optional<Pfn> allocate(unsigned order, Mobility mobility) {
    const std::uint64_t i = take(order, mobility);
    if (i == kNone) return std::nullopt;
    return first_ + i;
  }
  void free(Pfn pfn, unsigned order);
  // Hears of each run before it is free.
  void set_observer(Observer* observer) { observer_ = observer; }
  // Any run of allocated frames, in naturally aligned runs.
  void free_range(Pfn first, std::uint64_t count);
  // A naturally aligned run of 2^order frames, of an order beyond kMaxOrder, all of it free
  // (alloc_contig_pages()); the lowest. It is given back in runs of kMaxOrder.
  std::optional<Pfn> allocate_contiguous(unsigned order);

  // A free block of 2 MB becomes one for page tables: the only source of Mobility::kPageTable.
  // nullopt: no whole block is free.
  std::optional<Pfn> claim_block();
  // An ordinary one again. All of it must be free.
  void release_block(Pfn block);
  bool is_claimed(Pfn pfn) const {
    return block_type_[(pfn - first_) >> kBlockOrder] == Mobility::kPageTable;
  }
  bool is_free_block(Pfn block) const {
    const Node& node = nodes_[block - first_];
    return node.free() && node.order() >= kBlockOrder;
  }

  // Is the frame in a free run?
  bool is_free(Pfn pfn) const;

  // Without those of claimed blocks.
  std::uint64_t free_pages() const { return free_pages_; }
  Pfn first() const { return first_; }
  std::uint64_t size() const { return count_; }

 private:
  static constexpr std::uint64_t kNone = (1ull << 56) - 1;
  static constexpr unsigned kBlockOrder = kPmdShift - kPageShift;  // pageblock_order
  static constexpr std::uint64_t kLargest = 1ull << kMaxOrder;
  // All zeros is a frame where no free run starts: untouched frames need no host memory. Order and
  // next are one word, not bit fields: a compiler writes a bit field by reading it first, and
  // memory of the host that is read first, then written, costs it two faults.
  class Node {
   public:
    Node() = default;
    static Node run(unsigned order, std::uint64_t next, std::uint64_t previous) {
      Node node;
      node.word_ = next << 8 | (order + 1);
      node.previous = previous;
      return node;
    }
    bool free() const { return (word_ & 0xff) != 0; }
    unsigned order() const { return static_cast<unsigned>(word_ & 0xff) - 1; }
    std::uint64_t next() const { return word_ >> 8; }
    void set_next(std::uint64_t next) { word_ = next << 8 | (word_ & 0xff); }
    void clear() { word_ = 0; }

    std::uint64_t previous;

   private:
    std::uint64_t word_;  // next in bits [63:8], order + 1 of the free run that starts here below
  };
  using Heads = std::array<std::uint64_t, kMaxOrder + 1>;

  // allocate(): the index of the first frame, or kNone.
  std::uint64_t take(unsigned order, Mobility mobility);
  Heads& lists(Mobility mobility) { return heads_[static_cast<std::size_t>(mobility)]; }
  // The list that a free run is on: that of the type of its (first) block.
  Heads& lists_of(std::uint64_t i) { return lists(block_type_[i >> kBlockOrder]); }
  // The first run of a list, or kNone.
  std::uint64_t head(Mobility mobility, unsigned order);
  void push(std::uint64_t i, unsigned order);
  void remove(std::uint64_t i);
  bool steal(unsigned order, Mobility mobility);
  // Untouched runs below `end` become listed ones, where they are: at the tail of their list.
  void list_fresh(std::uint64_t end);

  Observer* observer_ = nullptr;
  Pfn first_;
  std::uint64_t count_;
  std::uint64_t free_pages_;
  LazyArray<Node> nodes_;
  LazyArray<Mobility> block_type_;
  std::array<Heads, 3> heads_;
  std::uint64_t fresh_;      // untouched runs of the largest order, movable,
  std::uint64_t fresh_end_;  // up to here
};

}  // namespace kpksim::kernel
