#pragma once
// Who watches the kernel (sim/check, sim/watch): what is written to its page tables, where their
// pages come from and go to, and what it is at. A kernel without one tests a pointer at each of
// these places.

#include <cstdint>

#include "sim/base/types.h"
#include "sim/kernel/flush_site.h"

namespace kpksim::cpu {
class Core;
}

namespace kpksim::kernel {

class Span;
class Target;

// Each does nothing unless it is overridden.
class Observer {
 public:
  virtual ~Observer() = default;
  // A helper is about to store `now` to the descriptor at `entry`.
  virtual void writing(cpu::Core& /*core*/, PhysAddr /*entry*/, std::uint64_t /*now*/) {}
  // `table`, which the tree below `root` will use, has been taken; or is about to be given back.
  virtual void table_taken(cpu::Core& /*core*/, Pfn /*table*/, Pfn /*root*/) {}
  virtual void table_freed(cpu::Core& /*core*/, Pfn /*table*/) {}
  // 2^order frames are about to be free.
  virtual void frames_freed(Pfn /*first*/, unsigned /*order*/) {}
  // Pages have become page tables, or slabs of objects with a key; or are about to be ordinary
  // ones.
  virtual void marked(cpu::Core& /*core*/, Pfn /*first*/, std::uint64_t /*count*/) {}
  virtual void unmarking(cpu::Core& /*core*/, Pfn /*first*/, std::uint64_t /*count*/) {}
  // An object with a key, in this page, was changed in a section that has ended.
  virtual void object_stored(cpu::Core& /*core*/, Pfn /*page*/) {}
  // Where a window is open for its target's tables alone (ProtectionInfo::opens_all is false): one
  // is about to be opened, or its end has come, whether the protection has closed it or a fault was
  // injected. They nest, and several cores may have one on the same table.
  virtual void window_opening(cpu::Core& /*core*/, const Target& /*target*/) {}
  virtual void window_ended(cpu::Core& /*core*/, const Target& /*target*/) {}
  // A flush begins.
  virtual void flushing(cpu::Core& /*core*/, FlushSite /*site*/) {}
  // The handler of an exception from EL1 begins; another thread does.
  virtual void handling(cpu::Core& /*core*/) {}
  virtual void switching(cpu::Core& /*core*/) {}
  // This core has no entry of an older generation of ASIDs from here on.
  virtual void generation_flushed(cpu::Core& /*core*/) {}

  // A call, a fault or a named part of the kernel's work has begun, or ends.
  virtual void begun(const Span& /*span*/) {}
  virtual void ending(const Span& /*span*/) {}
};

}  // namespace kpksim::kernel
