#pragma once
// What a run has recorded of a phase beside its counters: how long things took, what each TLBI
// dropped, where walks ended, and the counters over time.

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "sim/cpu/statistics.h"
#include "sim/kernel/exposure.h"
#include "sim/kernel/span.h"
#include "sim/watch/distribution.h"

namespace kpksim::watch {

struct Distributions {
  // Cycles from beginning to end, with the waits in between, by what it was.
  std::array<Distribution, kernel::kWorks> latencies;
  Distribution dropped;  // entries of TLBs and walk caches, on all cores, by each TLBI
  // Walks by log2 of the page's bytes that they ended in; 0: in no page.
  std::array<std::uint64_t, 64> walks{};

  Distributions& operator+=(const Distributions& other);
};

struct Series {
  bool operations = false;     // the interval is so many operations, not cycles
  std::uint64_t interval = 0;  // as asked for
  // One part of the time. A part ends where something was told for the first time at or after its
  // end, and the last one with its phase.
  struct Part {
    std::uint64_t cycles = 0;  // since the phase began, at the part's end
    std::array<std::uint64_t, cpu::kEvents> events{};
    std::uint64_t busy = 0;  // whole cycles of all cores
    std::uint64_t page_table_writes = 0;
    kernel::ExposureSums exposure;         // of this part
    std::uint64_t tables = 0, cached = 0;  // at its end
  };
  std::vector<Part> parts;
};

struct Records {
  std::optional<Distributions> distributions;
  std::optional<Series> series;
};

}  // namespace kpksim::watch
