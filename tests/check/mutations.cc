#include "tests/check/mutations.h"

#include "sim/base/error.h"

namespace kpksim::check {
namespace {

cpu::CoreProfile core_of(const Surroundings& surroundings) {
  return cpu::read_core_profile(
      kpksim::test::source_path(std::string("profiles/cores/") + surroundings.core + ".json"));
}

kernel::KernelProfile kernel_of(const Surroundings& surroundings) {
  return kernel::read_kernel_profile(
      kpksim::test::source_path(std::string("profiles/kernels/") + surroundings.kernel + ".json"));
}

// More than one batch of tables goes (MAX_TABLE_BATCH), while those above them stay.
void many_tables(kernel::Life& life) {
  constexpr std::uint64_t kTables = 520;
  life.k.fork(1, 9);
  const std::uint64_t at = life.k.mmap(9, kernel::rw(), kTables * kPmdSize, 0xb00000000);
  for (std::uint64_t i = 0; i < kTables; ++i) {
    life.k.touch(9, at + i * kPmdSize, kernel::kWrite);
  }
  life.k.exit(9);
}

void run(const Surroundings& surroundings, kernel::Life& life) {
  life.k.clock().set_timer(surroundings.timer);
  life.k.spawn(1);
  if (surroundings.few_asids) return kernel::run_out_of_asids(life);
  for (const auto scene : kernel::kScenes) scene(life);
  many_tables(life);
  life.k.exec(1);
  life.k.exit(1);
  life.k.memory().pressure();
  for (std::uint32_t id = 2; id < 4; ++id) life.k.spawn(id);  // on each core
  kernel::map_and_write(life.k, 2, kernel::kSmall);
}

}  // namespace

Outcome live(const Surroundings& surroundings, const std::vector<kernel::Injection>& injections) {
  Outcome outcome;
  cpu::CoreProfile core = core_of(surroundings);
  if (surroundings.few_asids) core = kernel::small_asids(core);
  try {
    kernel::Life life(surroundings.policy, injections, core, kernel_of(surroundings), true);
    const Sanitizer sanitizer(life.k);
    try {
      run(surroundings, life);
    } catch (const kernel::KernelOops& e) {
      outcome.died = e.what();
    } catch (const ModelError& e) {
      outcome.died = e.what();
    }
    outcome.findings = sanitizer.report().findings();
    outcome.injected = life.k.system().taps.injector.done();
  } catch (const kernel::KernelOops& e) {  // at boot, when nobody watches yet
    outcome.died = e.what();
  }
  return outcome;
}

}  // namespace kpksim::check
