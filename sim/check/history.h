#pragma once
// What has happened lately, to be told with a finding: the last events of all kinds, from which
// those that concern an entry or a page are chosen when somebody asks.

#include <cstdint>
#include <string>
#include <vector>

#include "sim/base/types.h"
#include "sim/cpu/observer.h"
#include "sim/cpu/statistics.h"
#include "sim/kernel/flush_site.h"

namespace kpksim::check {

class History {
 public:
  enum class Kind : std::uint8_t {
    kWritten,  // `entry`, from `before` to `now`
    kUpdated,  // the same by hardware
    kCached,   // `entry`, for `va`
    kFlush,    // of `site` begins
    kTlbi,     // `effect`
    kDsb,
    kFreed,   // frames from `pfn` on
    kTaken,   // a table
    kMarked,  // pages from `pfn` on
    kUnmarked,
    kRegister,  // was given `now`
    kIsb,
    kException,  // from EL `now`
    kReturn      // to EL `now`
  };
  struct Event {
    Kind kind{};
    std::uint8_t detail = 0;  // of a DSB: which; of a TLBI: its kind
    std::uint16_t core = 0;
    cpu::CauseId cause = 0;
    kernel::FlushSite site{};
    Asid asid = {};
    PhysAddr entry = {};
    VirtAddr va = {};
    Pfn pfn = {};
    std::uint64_t count = 0;
    std::uint64_t before = 0, now = 0;
    mmu::TlbiEffect effect = {};
  };

  History();
  void add(const Event& event) { events_[next_++ % kEvents] = event; }

  // What concerns this descriptor, and TLBIs of `va`, with the DSBs that follow them.
  std::vector<std::string> of_entry(PhysAddr entry, VirtAddr va, Asid asid) const;
  // What concerns a page: as a page table, and as what a descriptor maps.
  std::vector<std::string> of_page(Pfn pfn) const;
  // TLBIs and DSBs of a core.
  std::vector<std::string> of_barriers(unsigned core) const;
  // Of the registers of a core.
  std::vector<std::string> of_register(unsigned core) const;

 private:
  static constexpr std::size_t kEvents = 1u << 14;
  static constexpr std::size_t kTold = 12;

  template <class Concerns>
  std::vector<std::string> tell(Concerns&& concerns) const;

  std::vector<Event> events_;
  std::uint64_t next_ = 0;
};

}  // namespace kpksim::check
