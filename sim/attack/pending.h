#pragma once
// Strikes from other cores, where cores run at once (cpu/interleaver.h). One core gets to the
// moment that a strike is for; the strike falls on another core when that core's own clock has got
// there too, with the registers, windows and TLB that it has then: at the first point of what it is
// at where the order of cores matters, or at once where it has nothing to do.

#include <cstdint>
#include <functional>
#include <optional>
#include <utility>
#include <vector>

#include "sim/attack/scenario.h"
#include "sim/workload/interleaved.h"

namespace kpksim::attack {

class Pending final : public workload::Beside {
 public:
  struct Due {
    const Strike* strike = nullptr;
    unsigned core = 0;            // that strikes
    std::uint64_t moment = 0;     // that it is for, in millicycles
    std::optional<Pfn> marked{};  // the page that was being marked or unmarked then
  };
  using Fall = std::function<void(const Due&, cpu::Core&)>;

  // `interleaver` outlives it. What `fall` throws ends the run.
  Pending(cpu::Interleaver& interleaver, Fall fall)
      : interleaver_(interleaver), fall_(std::move(fall)) {}

  bool any() const { return !strikes_.empty(); }
  // `struck`, which has got to the moment, goes on when all cores have.
  void add(const Due& due, cpu::Core& struck);
  // Those that have not fallen, and never will: the phase is over.
  std::vector<Due> take_rest() { return std::exchange(strikes_, {}); }

  std::optional<std::uint64_t> due(unsigned core) const override;
  void happen(cpu::Core& core) override;

 private:
  std::vector<Due>::const_iterator next_of(unsigned core) const;

  cpu::Interleaver& interleaver_;
  const Fall fall_;
  std::vector<Due> strikes_;  // in the order of their moments
};

}  // namespace kpksim::attack
