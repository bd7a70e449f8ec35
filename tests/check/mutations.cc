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

// Addresses that were purged are given out again by the next call of the kernel's own; their last
// page is used at once.
void reuse_kernel_addresses(kernel::Life& life) {
  constexpr std::uint64_t kPages = 1024;
  const auto use = [&] {
    const std::uint64_t area = life.k.memory().vmalloc(kPages, false);
    for (const std::uint64_t page : {kPages - 1, std::uint64_t{0}}) {
      life.k.system().machine.core(0).load64(VirtAddr(area + page * kPageSize));
    }
    return area;
  };
  life.k.memory().vfree(use());
  life.k.memory().vm_unmap_aliases();
  life.k.memory().vfree(use());
  const std::uint64_t one = life.k.memory().vmalloc(1, false);
  life.k.system().machine.core(0).load64(VirtAddr(one));
  life.k.memory().vfree(one);
}

// Their stacks need a table of the kernel's addresses, which a call takes that returns.
void many_threads(kernel::Life& life) {
  constexpr std::uint32_t kThreads = 100, kFirst = 1000;
  for (std::uint32_t i = 0; i < kThreads; ++i) life.k.clone_thread(1, kFirst + i);
  for (std::uint32_t i = 0; i < kThreads; ++i) life.k.exit(kFirst + i);
}

// More slabs of credentials than are kept empty.
void many_creds(kernel::Life& life) {
  if (!life.k.system().creds) return;
  constexpr std::uint32_t kTasks = 200, kFirst = 2000;
  for (std::uint32_t i = 0; i < kTasks; ++i) life.k.fork(1, kFirst + i);
  for (std::uint32_t i = 0; i < kTasks; ++i) life.k.exit(kFirst + i);
}

void run(const Surroundings& surroundings, kernel::Life& life) {
  life.k.clock().set_timer(surroundings.timer);
  life.k.spawn(1);
  if (surroundings.few_asids) return kernel::run_out_of_asids(life);
  many_threads(life);
  many_creds(life);
  for (const auto scene : kernel::kScenes) scene(life);
  reuse_kernel_addresses(life);
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
  } catch (const ModelError& e) {
    outcome.died = e.what();
  }
  return outcome;
}

}  // namespace kpksim::check
