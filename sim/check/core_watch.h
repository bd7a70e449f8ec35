#pragma once
// The sanitizer's view of one core: its key register and windows, its barriers, and its new
// mappings that no barrier has published yet.

#include <cstdint>
#include <vector>

#include "sim/check/sanitizer.h"

namespace kpksim::check {

class CoreWatch final : public cpu::Observer {
 public:
  CoreWatch(Sanitizer& sanitizer, cpu::Core& core)
      : sanitizer_(sanitizer),
        core_(core),
        last_context_(core.written_por_el1()),
        ttbr0_(core.mmu().registers().ttbr0) {}

  void leaf_cached(PhysAddr entry, VirtAddr va, Asid asid, const mmu::Leaf& leaf) override;
  void table_cached(PhysAddr entry, VirtAddr va, Asid asid, const mmu::WalkState& next) override;
  void updating(PhysAddr entry, std::uint64_t now) override {
    sanitizer_.updating(core_, entry, now);
  }
  void judged(VirtAddr va, const mmu::Leaf& leaf, const poe::Access& access) override;
  void tlbi(const mmu::TlbiOp& op, const mmu::TlbiEffect& effect,
            const cpu::CoreSet* only) override;
  void before_barrier(cpu::Barrier barrier) override;
  void after_barrier(cpu::Barrier barrier) override;
  void register_written() override;
  void exception(unsigned from_el) override;
  void eret(unsigned to_el) override;

  // A helper stores to a descriptor. `depends`: what it makes is used without an exception, so
  // that it needs its barriers; `table`: that it leads to a table which others may walk already.
  void writing(bool depends, PhysAddr entry);
  void hooking(Pfn table, bool live);
  // A flush of stage 2 begins: the hypervisor has written its tables.
  void stage2_written() { stage2_unpublished_ = true; }
  // Has this core's new descriptor no DSB yet; or, if `own`, no ISB?
  void check_published(const cpu::Core& walker, PhysAddr entry, VirtAddr va);
  // How many of the changes that the sanitizer keeps of this core a DSB has published. And may a
  // DSB have dropped a place's translations? Asked between its completion and the next TLBI.
  std::size_t published() const { return published_; }
  void publish(std::size_t changes) { published_ = changes; }
  bool may_have_dropped(const mmu::CachedRange& range, bool table) const;
  bool waited_for_tlbis() const { return waited_; }
  void forget_tlbis();
  // Is a window open, where none may be?
  void check_window(const char* where);

 private:
  void log(History::Event event);
  void synchronised();
  void check_root(VirtAddr va);
  void hint_reach(const mmu::TlbiOp& op, const mmu::TlbiEffect& effect, const cpu::CoreSet* only);

  Sanitizer& sanitizer_;
  cpu::Core& core_;
  std::uint64_t last_context_;       // a value that was looked at
  std::uint64_t ttbr0_;              // at the last synchronisation
  bool stage2_unpublished_ = false;  // no DSB since stage 2 was written
  std::size_t published_ = 0;
  std::vector<mmu::TlbiEffect> issued_;   // TLBIs before their DSB, the first few
  bool many_issued_ = false;              // and there were more
  bool waited_ = false;                   // the last DSB completed them
  bool register_pending_ = false;         // written, and not synchronised
  std::vector<PhysAddr> unpublished_;     // new kernel mappings before their DSB
  std::vector<PhysAddr> unsynchronised_;  // and before their ISB
  bool something_to_wait_for_ = true;     // since the last DSB
};

}  // namespace kpksim::check
