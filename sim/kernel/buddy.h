#pragma once
// The page allocator: a buddy system with orders 0 to 10 over one zone (mm/page_alloc.c), lists
// kept last in, first out. Memory that cannot be moved (page tables, vmalloc) and memory that can
// (what users map) come from different blocks of 2 MB as long as there are enough: each block has a
// migrate type, and an allocation that finds nothing of its own takes over the largest run of the
// other. A third type has whole blocks that are claimed for page tables alone: no other allocation
// gets a page of them, and none of theirs comes from elsewhere. Its own data are host memory: no
// count depends on them.
//
// Once boot is over, each core has lists of free pages of its own in front of the zone
// (per_cpu_pages.h). What is on them is free.
//
// Boot costs nothing for each frame: runs of the largest order that nothing has touched yet are
// kept as one range, the tail of their list. Such runs never merge, so that they leave the list at
// its head alone, in the order of their addresses.

#include <array>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "sim/base/lazy_array.h"
#include "sim/base/types.h"
#include "sim/kernel/per_cpu_pages.h"

namespace kpksim::cpu {
class Core;
}

namespace kpksim::kernel {

inline constexpr unsigned kMaxOrder = 10;

enum class Mobility : std::uint8_t { kMovable, kUnmovable, kPageTable };

class Observer;

class Buddy {
 public:
  // All frames of [first, first + count) start free, and movable; then the first `taken` of them
  // are allocated as single pages that cannot be moved, as boot takes them for its tables.
  Buddy(Pfn first, std::uint64_t count, std::uint64_t taken = 0);

  // Each core gets lists within these limits.
  void set_lists(unsigned cores, const PcpLimits& limits);

  // alloc_pages(), __free_pages() on a core: a naturally aligned run of 2^order frames, or nullopt;
  // and how many runs the core's lists give back to the zone for it, as they are too long.
  std::optional<Pfn> allocate(const cpu::Core& core, unsigned order, Mobility mobility) {
    Pfn page;
    return take(core, order, mobility, page) ? std::optional(page) : std::nullopt;
  }
  // The same; false: there is none.
  bool take(const cpu::Core& core, unsigned order, Mobility mobility, Pfn& page);
  std::uint64_t free(const cpu::Core& core, Pfn pfn, unsigned order);
  // Of a run that split_page() has made single pages of.
  void free_split(const cpu::Core& core, Pfn first, unsigned order) {
    for (std::uint64_t i = 0; i < 1ull << order; ++i) free(core, first + i, 0);
  }
  // The same of the zone itself, as in boot.
  std::optional<Pfn> allocate(unsigned order, Mobility mobility);
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
    return node.in_zone() && node.order() >= kBlockOrder;
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
    // On a list of the zone, or of a core.
    static Node run(unsigned order, std::uint64_t next, std::uint64_t previous) {
      return Node(next << 8 | (order + 1), previous);
    }
    static Node listed(unsigned order, std::uint64_t next, std::uint64_t previous) {
      return Node(next << 8 | kListed | (order + 1), previous);
    }
    bool free() const { return (word_ & 0xff) != 0; }
    bool in_zone() const { return free() && (word_ & kListed) == 0; }
    unsigned order() const { return static_cast<unsigned>(word_ & (kListed - 1)) - 1; }
    std::uint64_t next() const { return word_ >> 8; }
    void set_next(std::uint64_t next) { word_ = next << 8 | (word_ & 0xff); }
    void clear() { word_ = 0; }

    std::uint64_t previous;

   private:
    static constexpr std::uint64_t kListed = 0x80;
    Node(std::uint64_t word, std::uint64_t before) : previous(before), word_(word) {}

    std::uint64_t word_;  // next in bits [63:8], order + 1 of the free run that starts here below
  };
  using Heads = std::array<std::uint64_t, kMaxOrder + 1>;

  // The order of the smallest free run that has 2^order frames, or a larger one: there is none.
  unsigned find(unsigned order, Mobility mobility);
  // Of the zone: the index of the first frame, or kNone; and back.
  std::uint64_t take(unsigned order, Mobility mobility);
  void merge(std::uint64_t i, unsigned order);
  // A run that is in use is about to be free: the index of its first frame.
  std::uint64_t freed(Pfn pfn, unsigned order) const;

  // A core's list gets a batch: does it have something now? One run leaves it. `pages` of a core's
  // lists, this one's first, go to the zone: returns how many runs. All of all cores do.
  bool refill(PerCpuPages& own, std::size_t list, unsigned order, Mobility mobility);
  void unlist(PerCpuPages& own, std::size_t list, std::uint64_t i);
  std::uint64_t give_back(PerCpuPages& own, std::uint64_t pages, std::size_t list);
  void drain();

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
  std::uint64_t fresh_;                // untouched runs of the largest order, movable,
  std::uint64_t fresh_end_;            // up to here
  std::vector<PerCpuPages> of_cores_;  // none in boot
  PcpLimits limits_;
};

}  // namespace kpksim::kernel
