#pragma once
// What mechanisms have that act on a page's entry in the linear map: which pages are marked, and
// how many windows are open on each. A page is opened by the first window and closed with the last,
// on whichever core that is: the mapping is the same for all. Where cores are interleaved each page
// has a spinlock for that: the second window waits until the first has opened the page, and while
// the last one closes it.

#include <unordered_map>

#include "sim/kernel/linear_map.h"
#include "sim/kernel/pgalloc/allocator.h"
#include "sim/kernel/protect/protection.h"

namespace kpksim::kernel {

class ToggledTables : public Protection {
 public:
  std::uint64_t open(cpu::Core& core, const Target& target) override {
    for (const Pfn table : target) {
      Holders* const page = marked(table);
      if (page == nullptr) continue;
      const Spinning held(locks_, page->lock, core, LockKind::kWindow);
      if (page->windows++ == 0) show(core, table, 1);
    }
    return 0;
  }
  void close(cpu::Core& core, const Target& target, std::uint64_t, bool) override {
    for (const Pfn table : target) {
      Holders* const page = marked(table);
      if (page == nullptr) continue;
      const Spinning held(locks_, page->lock, core, LockKind::kWindow);
      if (--page->windows == 0) hide(core, table, 1);
    }
  }
  void mark(cpu::Core& core, Pfn first, std::uint64_t count, TableKind kind) override {
    if (!can_mark(kind)) return;
    for (std::uint64_t i = 0; i < count; ++i) holders_.try_emplace(first + i);
    hide(core, first, count);
  }
  void unmark(cpu::Core& core, Pfn first, std::uint64_t count) override {
    std::uint64_t had = 0;
    for (std::uint64_t i = 0; i < count; ++i) had += holders_.erase(first + i);
    if (had != 0) show(core, first, count);
  }
  void set_locks(Locks& locks) override { locks_ = &locks; }

 protected:
  virtual bool can_mark(TableKind kind) const = 0;
  // The pages as they are in a window, and at rest.
  virtual void show(cpu::Core& core, Pfn first, std::uint64_t count) = 0;
  virtual void hide(cpu::Core& core, Pfn first, std::uint64_t count) = 0;

 private:
  struct Hash {
    std::size_t operator()(Pfn pfn) const { return pfn.value; }
  };
  struct Holders {
    unsigned windows = 0;
    SpinLock lock;
  };
  Holders* marked(Pfn table) {
    const auto it = holders_.find(table);
    return it == holders_.end() ? nullptr : &it->second;
  }

  Locks* locks_ = nullptr;
  std::unordered_map<Pfn, Holders, Hash> holders_;  // of each marked page
};

// On a map of blocks a pool's pages serve splits of the linear map. Those tables would then be
// closed themselves, and opening one would need a write to another.
inline std::string against_toggled(const Combination& c) {
  if (!c.allocator.pools || c.linear_map == Granularity::kPte) return {};
  return "a split of the linear map would take its table from the pool of '" +
         std::string(c.allocator.name) +
         "', and to write that table its own entry would have to be written first; use 'per-page'";
}

}  // namespace kpksim::kernel
