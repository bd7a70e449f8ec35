#pragma once
// Jobs that run at once, one on each core of a system whose cores are interleaved.

#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "sim/kernel/system.h"

namespace kpksim::kernel {

// Until all have ended. Each begins in the kernel.
inline void run_at_once(System& system, std::vector<std::function<void(cpu::Core&)>> jobs) {
  struct Kept final : cpu::Interleaver::Kept {
    explicit Kept(PageTables& t) : tables(t) {}
    void exchange() override { tables.exchange(kept); }
    PageTables& tables;
    PageTables::Activity kept;
  };
  const auto next = [&](unsigned c) -> std::function<void()> {
    if (c >= jobs.size() || !jobs[c]) return {};
    return [&system, c, job = std::exchange(jobs[c], {})] {
      cpu::Core& core = system.machine.core(c);
      core.continue_at(1);
      job(core);
    };
  };
  system.interleaving->locks.interleaver().run(
      {next, [&] { return std::make_unique<Kept>(system.tables); }, [](unsigned) {}});
}

}  // namespace kpksim::kernel
