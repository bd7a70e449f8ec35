#include "sim/kernel/kernel_memory.h"

#include <fmt/core.h>

#include <algorithm>
#include <random>
#include <utility>

#include "sim/kernel/cause.h"
#include "sim/kernel/kernel_exception.h"
#include "sim/kernel/span.h"

namespace kpksim::kernel {
namespace {

constexpr std::size_t kCachedStacks = 2;  // NR_CACHED_STACKS

}  // namespace

KernelMemory::KernelMemory(System& system, Scheduler& scheduler, Clock& clock)
    : system_(system),
      scheduler_(scheduler),
      clock_(clock),
      vmalloc_(system),
      stack_cache_(system.config.cores) {}

cpu::Core& KernelMemory::context() {
  cpu::Core& core = system_.machine.core(0);
  system_.exposure.runs(0);
  core.continue_at(1);
  clock_.softirq(core);
  return core;
}

std::uint64_t KernelMemory::vmalloc(std::uint64_t pages, bool huge) {
  return vmalloc_.allocate(pages, huge, context());
}

void KernelMemory::vfree(std::uint64_t address) {
  cpu::Core& core = context();
  if (vmalloc_.free(address, core)) scheduler_.run_kernel_threads(core, 1);
}

std::uint64_t KernelMemory::vm_map_ram(std::uint64_t pages) {
  return vmalloc_.map_ram(pages, context());
}

void KernelMemory::vm_unmap_ram(std::uint64_t address) {
  cpu::Core& core = context();
  if (vmalloc_.unmap_ram(address, core)) scheduler_.run_kernel_threads(core, 1);
}

void KernelMemory::vm_unmap_aliases() { vmalloc_.unmap_aliases(context()); }

void KernelMemory::write(std::uint64_t address) {
  cpu::Core& core = system_.machine.core(0);
  const Because because(core, Cause::kVmalloc);
  const mmu::Fault fault = store_unguarded(core, VirtAddr(align_down(address, 8)), 0);
  if (fault) throw KernelOops("a store to mapped kernel memory refused", fault);
}

void KernelMemory::stray_store(cpu::Core& core, PhysAddr address, bool refused) {
  const VirtAddr at = linear_va(address);
  const mmu::Fault fault = store_unguarded(core, at, system_.machine.memory().read64(address));
  if (refused && !fault)
    throw StrayStoreDone(fmt::format("the stray store to {:#x} was not refused", at.value));
  if (refused) return from_kernel(system_, core, [] {});  // fixup_exception()
  if (fault)
    throw StrayStoreRefused(fmt::format("the stray store to {:#x} was refused", at.value), fault);
}

mmu::Fault KernelMemory::store_unguarded(cpu::Core& core, VirtAddr at, std::uint64_t value) {
  mmu::Fault fault = core.store64(at, value);
  if (fault && system_.tables.let_pass(core, fault)) fault = core.store64(at, value);
  return fault;
}

std::uint64_t KernelMemory::allocate_stack(cpu::Core& core) {
  std::vector<std::uint64_t>& cache = stack_cache_[core.id()];
  if (cache.empty()) return vmalloc_.allocate_stack(core);
  const std::uint64_t stack = cache.back();
  cache.pop_back();
  return stack;
}

void KernelMemory::free_stack(std::uint64_t stack, cpu::Core& core) {
  std::vector<std::uint64_t>& cache = stack_cache_[core.id()];
  if (cache.size() < kCachedStacks) {
    cache.push_back(stack);
  } else if (vmalloc_.free(stack, core)) {
    scheduler_.run_kernel_threads(core, 1);
  }
}

std::size_t KernelMemory::kept_stacks() const {
  std::size_t n = 0;
  for (const auto& cache : stack_cache_) n += cache.size();
  return n;
}

std::uint64_t KernelMemory::pressure() {
  cpu::Core& core = context();
  const Span span(system_.taps, core, Work::kShrink);
  const Because because(core, Cause::kShrink);
  // The page cache is dropped first, which takes longer than a grace period.
  clock_.idle();
  system_.exposure.runs(core.id());  // idle() has been at each core
  // drop_slab() calls all shrinkers until together they free almost nothing. Only these are
  // modelled: until it has nothing more. What is too little for a batch it puts off, at most twice
  // over; that three calls in vain are the end is ours, not the kernel's.
  std::uint64_t freed = 0;
  for (unsigned in_vain = 0; in_vain < 3;) {
    std::uint64_t now = system_.allocator->shrink(core);
    if (system_.creds) now += system_.creds->shrink(core);
    freed += now;
    in_vain = now == 0 ? in_vain + 1 : 0;
  }
  return freed;
}

void KernelMemory::fragment(unsigned percent, std::uint64_t seed) {
  const std::uint64_t target = system_.buddy.free_pages() * percent / 100;
  std::mt19937_64 random(seed);
  std::vector<Pfn> taken;
  while (const auto pfn = system_.buddy.allocate(0, Mobility::kMovable)) taken.push_back(*pfn);
  for (std::size_t i = taken.size(); i > 1; --i) std::swap(taken[i - 1], taken[random() % i]);
  for (std::size_t i = target; i < taken.size(); ++i) system_.buddy.free(taken[i], 0);
  taken.resize(std::min<std::size_t>(target, taken.size()));
  fragments_.insert(fragments_.end(), taken.begin(), taken.end());
}

void KernelMemory::unfragment() {
  for (const Pfn pfn : fragments_) system_.buddy.free(pfn, 0);
  fragments_.clear();
}

}  // namespace kpksim::kernel
