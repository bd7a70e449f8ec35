#pragma once
// A pool of pages that carry a key (the block allocator of v6, made generic): it takes runs of
// 2^order pages from the buddy allocator, has each keyed with one call, and hands out single pages.
// What comes back stays keyed, at the head of the list. The shrinker unkeys and gives back.
//
// What a pool holds for one client is a share. A client says how its pages are keyed, and what is
// its own business:
// - Who zeroes: the client. A page is handed out as it came back, and only the client can open the
//   window that its key asks for.
// - Who may sleep: take() may. It refills, which keys a run, which may split the linear map under a
//   mutex. Who must not sleep, or holds that mutex already, calls take_reserved(), which has what
//   is cached and no more. give_back() never sleeps: it keys nothing.
// - What a split needs: page tables. The share that they come from keeps a reserve, which take()
//   leaves alone. A refill's own splits have it. Before any other split it is filled up.
//
// Several clients may share one pool: a share with nothing to hand out takes a page that another
// could give back to the kernel, and has it keyed anew. That saves a run and costs a call for one
// page, which splits a block of the linear map. Such a block counts as broken up.

#include <cstdint>
#include <list>
#include <map>
#include <utility>
#include <vector>

#include "sim/cpu/core.h"
#include "sim/kernel/buddy.h"

namespace kpksim::kernel {

// How a client's pages are told apart: each call is one set_memory_pkey(), or what the client's
// protection has instead. A pool with several clients marks what another one has marked.
class PoolClient {
 public:
  virtual ~PoolClient() = default;
  virtual void mark_run(cpu::Core& core, Pfn first, std::uint64_t count) = 0;
  virtual void unmark_run(cpu::Core& core, Pfn first, std::uint64_t count) = 0;
};

class KeyedPool {
 public:
  static constexpr unsigned kBlockOrder = kPmdShift - kPageShift;
  static constexpr std::uint64_t kBlockPages = 1u << kBlockOrder;

  class Share;

  // `orders`: of a refill, tried from the first on.
  KeyedPool(Buddy& buddy, std::vector<std::uint64_t> orders);
  ~KeyedPool();
  KeyedPool(const KeyedPool&) = delete;  // shares know it
  KeyedPool& operator=(const KeyedPool&) = delete;

  struct Settings {
    std::uint64_t reserve = 0;          // pages that are for splits alone
    std::uint64_t keep = 16;            // that the shrinker leaves
    std::uint64_t worth_breaking = 64;  // free pages from which on it takes a block apart
  };
  // Both live as long as the pool does.
  Share& join(PoolClient& client, const Settings& settings);

 private:
  Buddy& buddy_;
  const std::vector<std::uint64_t> orders_;
  std::list<Share> shares_;  // stay where they are
  bool refilling_ = false;   // alloc_mutex
};

class KeyedPool::Share {
 public:
  Share(KeyedPool& pool, PoolClient& client, const Settings& settings)
      : pool_(pool), client_(client), settings_(settings), refills_(pool.orders_.size()) {}

  // The first run, cached before it can be marked: splits in marking it may use its pages.
  void fill(cpu::Core& core);
  // A marked page. InputError: memory is exhausted.
  Pfn take(cpu::Core& core);
  // One of those that are cached, the reserve's too. InputError: there is none.
  Pfn take_reserved();
  void give_back(Pfn pfn);
  // Before a split: the reserve is filled up, unless the split is part of a refill.
  void replenish(cpu::Core& core);

  std::uint64_t cached() const { return cached_.size(); }
  std::uint64_t shrinkable() const;
  // pba_shrink_scan(): frees up to about `count` pages and returns how many; 0: it stops.
  std::uint64_t scan(cpu::Core& core, std::uint64_t count);

  std::uint64_t refills(std::size_t order) const { return refills_[order]; }  // by place in orders
  std::uint64_t replenished() const { return replenished_; }      // refills of the reserve
  std::uint64_t borrowed() const { return borrowed_; }            // pages that another share had
  std::uint64_t shrunk_blocks() const { return shrunk_blocks_; }  // released whole
  std::uint64_t shrunk_pages() const { return shrunk_pages_; }    // released one by one

 private:
  using Blocks = std::map<Pfn, std::uint64_t>;

  static Pfn block_of(Pfn pfn) { return Pfn(align_down(pfn.value, kBlockPages)); }
  Pfn pop();
  std::pair<Pfn, unsigned> allocate_run();
  // __refill_pages(). `hand_out`: the run's first page is not cached. Returns that page.
  Pfn refill(cpu::Core& core, bool hand_out);
  void cache(Pfn run, unsigned order, bool without_first);
  Share* lender();
  Pfn lend();
  void release_block(cpu::Core& core, Blocks::iterator block);
  std::uint64_t release_pages(cpu::Core& core, Blocks::iterator target, std::uint64_t count);

  KeyedPool& pool_;
  PoolClient& client_;
  const Settings settings_;
  std::list<Pfn> cached_;
  Blocks blocks_;  // whole 2 MB blocks -> how many of their pages are cached
  std::vector<std::uint64_t> refills_;
  std::uint64_t replenished_ = 0, borrowed_ = 0, shrunk_blocks_ = 0, shrunk_pages_ = 0;
};

}  // namespace kpksim::kernel
