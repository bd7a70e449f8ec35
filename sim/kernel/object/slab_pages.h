#pragma once
// Where the pages of a slab cache come from, and how they get their key.

#include "sim/kernel/keyed_pool.h"
#include "sim/kernel/linear_map.h"
#include "sim/kernel/shrinker.h"
#include "sim/kernel/taps.h"

namespace kpksim::kernel {

class SlabPages {
 public:
  virtual ~SlabPages() = default;
  // May sleep. InputError: memory is exhausted.
  virtual Pfn take(cpu::Core& core) = 0;
  // From a callback of RCU too, where nobody may sleep, so nothing may be split here.
  virtual void give_back(cpu::Core& core, Pfn pfn) = 0;
  // Pages that no slab has, which are kept keyed.
  virtual std::uint64_t cached() const { return 0; }
  virtual std::uint64_t borrowed() const { return 0; }
  // Under memory pressure; returns how many pages went back.
  virtual std::uint64_t shrink(cpu::Core&) { return 0; }
};

// The key of the pages of slabs, which can be watched and broken (Taps).
class SlabKey {
 public:
  SlabKey(LinearMap& map, PkeyIndex key, Taps& taps) : map_(map), key_(key), taps_(taps) {}
  void mark(cpu::Core& core, Pfn first, std::uint64_t count);
  void unmark(cpu::Core& core, Pfn first, std::uint64_t count);

 private:
  LinearMap& map_;
  const PkeyIndex key_;
  Taps& taps_;
};

// Pages without a key.
class OrdinaryPages final : public SlabPages {
 public:
  explicit OrdinaryPages(Buddy& buddy) : buddy_(buddy) {}
  Pfn take(cpu::Core& core) override;
  void give_back(cpu::Core& core, Pfn pfn) override;

 private:
  Buddy& buddy_;
};

// Keyed one by one, by a call for each slab (SLAB_SET_PKEY). Keying a page makes its ends
// boundaries of the linear map, and what is split is never put together: unkeying it splits
// nothing.
class SinglePages final : public SlabPages {
 public:
  SinglePages(Buddy& buddy, const SlabKey& key) : ordinary_(buddy), key_(key) {}
  Pfn take(cpu::Core& core) override;
  void give_back(cpu::Core& core, Pfn pfn) override;

 private:
  OrdinaryPages ordinary_;
  SlabKey key_;
};

// A client of a pool, which may have others.
class PooledPages final : public SlabPages, private PoolClient {
 public:
  PooledPages(KeyedPool& pool, const SlabKey& key) : key_(key), share_(pool.join(*this, {})) {}
  Pfn take(cpu::Core& core) override { return share_.take(core); }
  void give_back(cpu::Core&, Pfn pfn) override { share_.give_back(pfn); }
  std::uint64_t cached() const override { return share_.cached(); }
  std::uint64_t borrowed() const override { return share_.borrowed(); }
  std::uint64_t shrink(cpu::Core& core) override;

 private:
  void mark_run(cpu::Core& core, Pfn first, std::uint64_t count) override {
    key_.mark(core, first, count);
  }
  void unmark_run(cpu::Core& core, Pfn first, std::uint64_t count) override {
    key_.unmark(core, first, count);
  }

  SlabKey key_;
  KeyedPool::Share& share_;
  Shrinker shrinker_;
};

}  // namespace kpksim::kernel
