#pragma once
// Watches a kernel and its cores for listeners, and hands on to who watched before it (the
// sanitizer). It changes nothing: a run gives the same document with it and without.
//
// Time: where cores are interleaved, a core's own time. Where they take turns only one acts at a
// time, and each has a clock that stands still meanwhile: time is then what all cores have done
// together, so that what comes later has the later time, whichever core it is on.

#include <cstdint>
#include <memory>
#include <vector>

#include "sim/kernel/system.h"
#include "sim/watch/listener.h"

namespace kpksim::watch {

class Watch final : public kernel::Observer {
 public:
  // Both outlive this. Later observers than this one are not seen.
  Watch(kernel::System& system, std::vector<Listener*> listeners);
  ~Watch() override;
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;

  Time now(cpu::Core& core);
  // The latest on any core.
  Time latest();

  // kernel::Observer
  void writing(cpu::Core& core, PhysAddr entry, std::uint64_t now) override;
  void table_taken(cpu::Core& core, Pfn table, Pfn root) override;
  void table_freed(cpu::Core& core, Pfn table) override;
  void frames_freed(Pfn first, unsigned order) override;
  void marked(cpu::Core& core, Pfn first, std::uint64_t count) override;
  void unmarking(cpu::Core& core, Pfn first, std::uint64_t count) override;
  void flushing(cpu::Core& core, kernel::FlushSite site) override;
  void handling(cpu::Core& core) override;
  void switching(cpu::Core& core) override;
  void generation_flushed(cpu::Core& core) override;
  void begun(const kernel::Span& span) override;
  void ending(const kernel::Span& span) override;

 private:
  class OfCore;

  // Calls `tell(listener, now)` for each.
  template <class Tell>
  void tell(cpu::Core& core, Tell&& tell);
  void advance(cpu::Core& core);

  kernel::System& system_;
  const std::vector<Listener*> listeners_;
  kernel::Observer* const next_;  // who watched before; may be null
  std::vector<std::unique_ptr<OfCore>> cores_;
  // In turns: each core's time when it was last looked at, their sum since the beginning, and the
  // core that acts.
  std::vector<Time> seen_;
  Time passed_ = 0;
  cpu::Core* acts_ = nullptr;
  Time begin_ = 0;  // where cores are interleaved
};

// How many entries of TLBs and walk cache a TLBI will drop on this core.
unsigned entries_dropped(const cpu::Core& core, const mmu::TlbiEffect& effect, bool empties_l1);
// How many entries its TLBs have.
unsigned tlb_entries(const mmu::Mmu& mmu);

}  // namespace kpksim::watch
