#pragma once
// A pool of pages that carry a key (the block allocator of v6, made generic): it takes runs of
// 2^order pages from the buddy allocator, has each keyed with one call, and hands out single pages.
// What comes back stays keyed. Which page is next is a setting (HandOut), and what the shrinker
// unkeys and gives back is another (ShrinkRule).
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
#include <optional>
#include <utility>
#include <vector>

#include "sim/cpu/core.h"
#include "sim/kernel/buddy.h"
#include "sim/kernel/keyed_pages.h"
#include "sim/kernel/lock.h"
#include "sim/kernel/taps.h"

namespace kpksim::kernel {

// How a client's pages are told apart: each call is one set_memory_pkey(), or what the client's
// protection has instead. A pool with several clients marks what another one has marked.
class PoolClient {
 public:
  virtual ~PoolClient() = default;
  virtual void mark_run(cpu::Core& core, Pfn first, std::uint64_t count) = 0;
  virtual void unmark_run(cpu::Core& core, Pfn first, std::uint64_t count) = 0;
};

// Which pages the shrinker gives back. Only `kV6` unkeys pages one by one that were keyed as a run:
// each such call splits the run's block, then a contiguous run of 64 KB, for good, as nothing joins
// them again. The other rules give back runs alone, the largest first, with one call each.
// - kV6: pba_shrink_scan(). A whole block of 2 MB; else single pages of no block; else single pages
//   of the block with most free pages, which is none from then on.
// - kRuns: runs that are whole, as they were keyed. No call splits. What a run with a page in use
//   holds stays held: with runs of 2 MB that may be much, which the order of hand-out has to help.
// - kPieces: as kRuns; where no run is whole, one that has `worth_breaking` pages in free pieces of
//   64 KB is one no longer, and its pieces are. That splits its block once, for one page table, and
//   no contiguous run: a piece is one. Most of what kV6 gives back goes, without most of its
//   splits.
// - kIdle: of whole runs those that were not needed since the shrinker came last: as many pages as
//   were cached at any time since (the least of them) less those to keep. What a load takes and
//   gives back between two calls stays, as it would be keyed anew: hysteresis, in the measure of
//   the load itself. That a load has ended for good is seen by the next call but one, if a page has
//   been handed out between the two.
enum class ShrinkRule : std::uint8_t { kV6, kRuns, kPieces, kIdle };

class KeyedPool {
 public:
  static constexpr unsigned kBlockOrder = kPmdShift - kPageShift;
  static constexpr std::uint64_t kBlockPages = 1u << kBlockOrder;
  static constexpr unsigned kPieceOrder = 4;  // the contiguous runs of a split block

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
    HandOut handout = HandOut::kLifo;
    ShrinkRule shrink = ShrinkRule::kV6;
  };
  // Both live as long as the pool does.
  Share& join(PoolClient& client, const Settings& settings);
  void set_locks(Locks& locks) { locks_ = &locks; }
  // Refills are spans for who watches there.
  void set_taps(Taps& taps) { taps_ = &taps; }

 private:
  Buddy& buddy_;
  const std::vector<std::uint64_t> orders_;
  std::list<Share> shares_;  // stay where they are
  // alloc_mutex. Where cores are interleaved it is a lock; else whether it is held is enough.
  SleepingLock mutex_{LockKind::kAllocator};
  Locks* locks_ = nullptr;
  Taps* taps_ = nullptr;
  bool refilling_ = false;
  // Does the caller hold it?
  bool refilling() const {
    return locks_ != nullptr && locks_->on() ? mutex_.is_mine(*locks_) : refilling_;
  }
  class Refill;
};

class KeyedPool::Share {
 public:
  Share(KeyedPool& pool, PoolClient& client, const Settings& settings)
      : pool_(pool),
        client_(client),
        settings_(settings),
        cached_(settings.handout),
        refills_(pool.orders_.size()) {}

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
  // What could go, but for what is to be kept; and what the rule would let go now.
  std::uint64_t spare() const;
  std::uint64_t shrinkable() const;
  // scan_objects(): frees up to about `count` pages and returns how many; 0: it stops.
  std::uint64_t scan(cpu::Core& core, std::uint64_t count);

  std::uint64_t refills(std::size_t order) const { return refills_[order]; }  // by place in orders
  std::uint64_t replenished() const { return replenished_; }      // refills of the reserve
  std::uint64_t borrowed() const { return borrowed_; }            // pages that another share had
  std::uint64_t shrunk_blocks() const { return shrunk_blocks_; }  // released whole
  std::uint64_t shrunk_runs() const { return shrunk_runs_; }      // smaller ones, released whole
  std::uint64_t broken() const { return broken_; }                // blocks taken apart
  std::uint64_t shrunk_pages() const { return shrunk_pages_; }    // released one by one

 private:
  std::optional<Pfn> block_of(Pfn pfn) const;
  Pfn pop();
  std::pair<Pfn, unsigned> allocate_run(const cpu::Core& core);
  // __refill_pages(). `hand_out`: the run's first page is not cached. Returns that page.
  Pfn refill(cpu::Core& core, bool hand_out);
  void cache(Pfn run, unsigned order, bool without_first);
  Share* lender();
  Pfn lend();
  std::uint64_t scan_v6(cpu::Core& core, std::uint64_t count);
  std::uint64_t scan_runs(cpu::Core& core, std::uint64_t count, std::uint64_t most);
  bool break_up();
  // One call; returns how many pages.
  std::uint64_t release_run(cpu::Core& core, Pfn first);
  std::uint64_t release_pages(cpu::Core& core, std::optional<Pfn> block, std::uint64_t count);

  KeyedPool& pool_;
  PoolClient& client_;
  const Settings settings_;
  KeyedPages cached_;
  // Pages that were cached all the time since the first take() after the last scan().
  std::uint64_t unneeded_ = 0;
  bool scanned_ = true;  // no take() since
  std::vector<std::uint64_t> refills_;
  std::uint64_t replenished_ = 0, borrowed_ = 0;
  std::uint64_t shrunk_blocks_ = 0, shrunk_runs_ = 0, broken_ = 0, shrunk_pages_ = 0;
};

}  // namespace kpksim::kernel
