#include "sim/workload/driver.h"

#include <fmt/core.h>

#include <algorithm>
#include <bit>
#include <random>

#include "sim/base/error.h"

namespace kpksim::workload {
namespace {

constexpr std::uint64_t kProgressEvery = 16384;

std::uint64_t accesses(const Operation& op) { return (op.length + op.stride - 1) / op.stride; }

std::uint64_t steps_of(const std::vector<Step>& steps) {
  std::uint64_t sum = 0;
  for (const Step& step : steps) {
    const bool touch = step.op.kind == OpKind::kTouch;
    const std::uint64_t once =
        !step.body.empty() ? steps_of(step.body) : 1 + (touch ? accesses(step.op) : 0);
    sum += once * step.repeat;
  }
  return sum;
}

std::uint64_t offset_of(const Operation& op, std::uint64_t i, std::uint64_t n,
                        std::mt19937_64& random) {
  switch (op.order) {
    case Order::kAscending:
      return i * op.stride;
    case Order::kDescending:
      return (n - 1 - i) * op.stride;
    case Order::kRandom:
      return random() % n * op.stride;
  }
  return 0;
}

}  // namespace

std::uint64_t places_of(const Operation& op) {
  return op.kind == OpKind::kTouch ? accesses(op) : 1;
}

std::uint64_t steps_of(const Workload& workload) {
  std::uint64_t sum = 0;
  for (const Phase& phase : workload.phases) sum += steps_of(phase.steps);
  return sum;
}

void Driver::advance(std::uint64_t steps) {
  new_steps_ += steps;
  if (new_steps_ < kProgressEvery || !progress_) return;
  progress_(new_steps_);
  new_steps_ = 0;
}

Driver::Region Driver::segment_of(const kernel::ProgramImage& p,
                                  const kernel::ProgramPlacement& placement, Segment segment) {
  switch (segment) {
    case Segment::kText:
      return {p.text_base(), p.text_bytes};
    case Segment::kRodata:
      return {p.rodata_base(), p.rodata_bytes};
    case Segment::kHeap:
      return {placement.heap, p.heap_bytes};
    case Segment::kData:
      return {p.data_base(), align_up(p.data_bytes, kPageSize)};
    case Segment::kBss:
      return {p.bss_base(), p.bss_bytes};
    case Segment::kStack:
      return {placement.stack_top - p.stack_bytes, p.stack_bytes};
    case Segment::kGrowth:
      return {placement.stack_top - kernel::kStackLimit, kernel::kStackLimit - p.stack_bytes};
    case Segment::kVdso:
      return {placement.vdso, kPageSize};
  }
  return {};
}

std::vector<PhaseResult> Driver::run(const Workload& workload) {
  std::vector<PhaseResult> results;
  kernel::System& system = kernel_.system();
  kernel_.set_program(workload.program);
  for (const auto& [region, segment] : workload.segments) {
    segments_[region] = segment;
  }
  for (const Phase& phase : workload.phases) {
    if (before_phase_) before_phase_(phase.name);
    PhaseResult result;
    result.name = phase.name;
    for (std::size_t c = 0; c < system.machine.core_count(); ++c) {
      result.cores.push_back(system.machine.core(c).counters());
    }
    result.pt_writes = system.tables.writes();
    result.rcu_before = system.rcu.pending();
    result.rcu_added = system.rcu.tables();
    result.tasks_before = kernel_.task_count();
    result.forced_flushes = system.forced_flushes;
    const kernel::AllocatorStatistics allocator = system.allocator->statistics();
    const kernel::LinearMapStatistics linear_map = system.linear_map.statistics();
    system.exposure.forget_largest();
    const kernel::ExposureSums exposure = system.exposure.sums();
    run_steps(phase.steps, workload);
    std::vector<cpu::Counters> before_wait;
    for (std::size_t c = 0; c < system.machine.core_count(); ++c) {
      before_wait.push_back(system.machine.core(c).counters());
    }
    if (end_of_phase_) end_of_phase_();
    for (std::size_t c = 0; c < system.machine.core_count(); ++c) {
      const cpu::Counters now = system.machine.core(c).counters();
      result.cores[c] = now - result.cores[c];
      result.put_off += now - before_wait[c];
    }
    result.pt_writes = system.tables.writes() - result.pt_writes;
    result.rcu_added = system.rcu.tables() - result.rcu_added;
    result.rcu_after = system.rcu.pending();
    result.tasks_after = kernel_.task_count();
    result.allocator = kernel::allocator_since(allocator, system.allocator->statistics());
    result.linear_map =
        since(linear_map, system.linear_map.statistics(), kernel::kLinearMapStatistics);
    result.exposure = kernel::exposure_since(exposure, system.exposure.sums());
    result.forced_flushes = system.forced_flushes - result.forced_flushes;
    result.audit = kernel_.audit();
    results.push_back(std::move(result));
  }
  return results;
}

void Driver::run_steps(const std::vector<Step>& steps, const Workload& workload) {
  for (const Step& step : steps) {
    for (std::uint64_t i = 0; i < step.repeat; ++i) {
      if (!step.body.empty()) {
        run_steps(step.body, workload);
        continue;
      }
      try {
        execute(step.op, workload);
      } catch (const InputError& e) {
        throw InputError(fmt::format("{}:{}: {}", workload.source, step.op.line, e.what()));
      }
      if (audit_each_) {
        const kernel::AuditResult audit = kernel_.audit();
        stale_ += audit.stale_leaves + audit.stale_tables;
      }
      advance(1);
    }
  }
}

std::optional<VirtAddr> Driver::place_of(const Operation& op) const {
  if (const auto it = segments_.find(op.region); it != segments_.end()) {
    const Region part = segment_of(kernel_.program(), kernel_.placement(op.task), it->second);
    return VirtAddr(part.address + op.address);
  }
  const auto it = regions_.find(op.region);
  if (it == regions_.end()) return std::nullopt;
  return VirtAddr(it->second.address + op.address);
}

std::uint64_t Driver::address_of(const Operation& op) const {
  if (op.region == 0) return op.address;
  const auto place = place_of(op);
  if (!place) throw InputError("the region is not mapped at this point");
  return place->value;
}

// Numerical Recipes' "quick and dirty" generator: a phase may say which sizes come.
std::uint64_t Driver::draw(const Operation& op) {
  std::uint32_t& x = draws_.try_emplace(&op, static_cast<std::uint32_t>(op.seed)).first->second;
  x = x * 1664525u + 1013904223u;
  return op.count + (x >> 8) % (op.up_to - op.count + 1);
}

// Which pages a recording touches is a guess, which must not exhaust the machine: what is more than
// there is memory for has not been touched. A part of the memory is for what is no guess.
bool Driver::has_memory(const Operation& op, std::uint64_t base) {
  if (!op.may_fail) return true;
  constexpr std::uint64_t kPartKept = 64;
  const kernel::Buddy& buddy = kernel_.system().buddy;
  const std::uint64_t kept = buddy.size() / kPartKept;
  const std::uint64_t spare = buddy.free_pages() - std::min(buddy.free_pages(), kept);
  if (op.length / kPageSize < spare) return true;
  const std::uint64_t missing = kernel_.missing_pages(op.task, base, op.length);
  if (missing <= spare) return true;
  beyond_memory_ += missing;
  return false;
}

void Driver::touch(const Operation& op) {
  const std::uint64_t base = address_of(op);
  const std::uint64_t n = accesses(op);
  if (!has_memory(op, base)) return advance(n);
  const poe::AccessKind kind = op.write     ? poe::AccessKind::kWrite
                               : op.execute ? poe::AccessKind::kExecute
                                            : poe::AccessKind::kRead;
  std::mt19937_64 random(op.seed);
  for (std::uint64_t i = 0; i < n; ++i) {
    advance(1);
    const std::uint64_t address = base + offset_of(op, i, n, random);
    if (op.computes != 0) kernel_.compute(op.task, op.computes);
    if (op.by_kernel ? kernel_.touch_by_kernel(op.task, address, kind)
                     : kernel_.touch(op.task, address, kind)) {
      continue;
    }
    if (!op.may_fail) {
      throw InputError(fmt::format("task {} touches {:#x}, which its mappings do not allow",
                                   op.task, base + i * op.stride));
    }
    ++ignored_;
  }
}

bool Driver::madvise(const Operation& op, std::uint64_t at) {
  switch (op.advice) {
    case Advice::kDontNeed:
    case Advice::kDontNeedLocked:
      return kernel_.madvise_dontneed(op.task, at, op.length, op.advice == Advice::kDontNeedLocked);
    case Advice::kFree:
      return kernel_.madvise_free(op.task, at, op.length);
    case Advice::kHugepage:
    case Advice::kNoHugepage:
      kernel_.madvise_huge(op.task, at, op.length,
                           op.advice == Advice::kHugepage ? kernel::HugeAdvice::kHugepage
                                                          : kernel::HugeAdvice::kNoHugepage);
      return true;
    case Advice::kDontFork:
    case Advice::kDoFork:
      kernel_.madvise_fork(op.task, at, op.length, op.advice == Advice::kDontFork);
      return true;
    case Advice::kWipeOnFork:
    case Advice::kKeepOnFork:
      return kernel_.madvise_wipe(op.task, at, op.length, op.advice == Advice::kWipeOnFork);
    case Advice::kGuardInstall:
    case Advice::kGuardRemove:
      return kernel_.madvise_guard(op.task, at, op.length, op.advice == Advice::kGuardInstall);
    case Advice::kCold:
      return kernel_.madvise_cold(op.task, at, op.length);
    case Advice::kPageout:
      return kernel_.madvise_pageout(op.task, at, op.length);
    case Advice::kCollapse:
      kernel_.madvise_collapse(op.task, at, op.length);
      return true;
    case Advice::kPopulateRead:
    case Advice::kPopulateWrite:
      kernel_.madvise_populate(op.task, at, op.length, op.advice == Advice::kPopulateWrite);
      return true;
    case Advice::kOther:
      kernel_.null_syscall(op.task);
      return true;
  }
  return false;
}

void Driver::mlock(const Operation& op, std::uint64_t at) {
  const bool lock = op.kind == OpKind::kMlock || op.kind == OpKind::kMlockAll;
  const kernel::Lock how = !lock         ? kernel::Lock::kNone
                           : op.on_fault ? kernel::Lock::kOnFault
                                         : kernel::Lock::kNow;
  if (op.kind == OpKind::kMlockAll || op.kind == OpKind::kMunlockAll) {
    kernel_.mlock_all(op.task, how, op.current, op.future);
  } else {
    kernel_.mlock(op.task, at, op.length, how);
  }
}

bool Driver::mremap(const Operation& op, std::uint64_t at) {
  const std::uint64_t to =
      kernel_.mremap(op.task, {at, op.length, op.new_length, op.new_address, op.dont_unmap});
  if (to == 0) return false;
  const RegionId target = op.new_region != 0 ? op.new_region : op.region;
  if (target != 0) regions_[target] = {to, op.new_length};
  return true;
}

void Driver::execute(const Operation& op, const Workload& workload) {
  const auto refuse_unless = [&](bool done, const char* what) {
    if (done) return;
    if (!op.may_fail) throw InputError(what);
    ++ignored_;
  };
  if (op.computes != 0 && op.kind != OpKind::kTouch && kernel_.alive(op.task)) {
    kernel_.compute(op.task, op.computes);
  }
  const std::uint64_t at = op.kind == OpKind::kMmap || op.kind == OpKind::kVmalloc ||
                                   op.kind == OpKind::kVmMapRam || op.kind == OpKind::kBrk
                               ? op.address
                               : address_of(op);
  const bool r = (op.prot & kProtRead) != 0, w = (op.prot & kProtWrite) != 0,
             x = (op.prot & kProtExec) != 0;
  switch (op.kind) {
    case OpKind::kSpawn:
      kernel_.spawn(op.task);
      break;
    case OpKind::kMmap: {
      kernel::Vma vma;
      vma.read = r;
      vma.write = w;
      vma.exec = x;
      vma.shared = op.shared;
      vma.grows_down = op.grows_down;
      if (op.advice == Advice::kNoHugepage) vma.huge = kernel::HugeAdvice::kNoHugepage;
      vma.file = op.file;
      vma.shmem = op.shmem;
      vma.locked = op.locked;
      vma.file_id = op.file_id;
      vma.file_offset = op.file_offset;
      if (op.file_bytes != 0) kernel_.file_has(op.file_id, op.file_bytes);
      if (op.hugetlb != 0) {
        vma.hugetlb = static_cast<std::uint8_t>(std::countr_zero(op.hugetlb));
      }
      const std::uint64_t address =
          kernel_.mmap(op.task, vma, op.length, at, op.populate, op.fixed);
      if (op.unnamed) kernel_.was_closed(op.file_id);
      if (op.region != 0) regions_[op.region] = {address, op.length};
      break;
    }
    case OpKind::kMunmap:
      refuse_unless(kernel_.munmap(op.task, at, op.length), "nothing is mapped in this range");
      break;
    case OpKind::kMprotect:
      refuse_unless(kernel_.mprotect(op.task, at, op.length, r, w, x),
                    "nothing is mapped in this range");
      break;
    case OpKind::kMadvise:
      refuse_unless(madvise(op, at), "the kernel takes no such advice on this range");
      break;
    case OpKind::kMlock:
    case OpKind::kMunlock:
    case OpKind::kMlockAll:
    case OpKind::kMunlockAll:
      mlock(op, at);
      break;
    case OpKind::kMremap:
      refuse_unless(mremap(op, at), "what is mapped in this range cannot be remapped so");
      break;
    case OpKind::kBrk:
      if (!regions_.contains(op.region)) regions_[op.region] = {kernel_.brk(op.task), 0};
      kernel_.set_brk(
          op.task, op.shrink ? kernel_.brk(op.task) - op.length : kernel_.brk(op.task) + op.length);
      break;
    case OpKind::kFork:
      kernel_.fork(op.task, op.child);
      break;
    case OpKind::kVfork:
      kernel_.vfork(op.task, op.child);
      break;
    case OpKind::kCloneThread:
      kernel_.clone_thread(op.task, op.child);
      break;
    case OpKind::kExec:
      kernel_.exec(op.task, op.image == 0 ? nullptr : &workload.images[op.image - 1],
                   op.parent_runs);
      break;
    case OpKind::kExit:
      kernel_.exit(op.task);
      break;
    case OpKind::kWait:
      kernel_.wait(op.task, op.child);
      break;
    case OpKind::kTouch:
      touch(op);
      break;
    case OpKind::kSwitch:
      kernel_.switch_to(op.task);
      break;
    case OpKind::kSyscall:
      refuse_unless(kernel_.system_call(op.task, op.call, op.count, {at, op.length, op.write}),
                    "the call's data lies where the program may not use memory so");
      break;
    case OpKind::kVmalloc: {
      const std::uint64_t pages = op.up_to == 0 ? op.count : draw(op);
      regions_[op.region] = {kernel_.vmalloc(pages, op.huge), pages << kPageShift};
      if (op.write) kernel_.write_kernel(regions_[op.region].address);
    } break;
    case OpKind::kVfree:
      kernel_.vfree(at);
      break;
    case OpKind::kVmMapRam:
      regions_[op.region] = {kernel_.vm_map_ram(op.count), op.count << kPageShift};
      if (op.write) kernel_.write_kernel(regions_[op.region].address);
      break;
    case OpKind::kVmUnmapRam:
      kernel_.vm_unmap_ram(at);
      break;
    case OpKind::kVmUnmapAliases:
      kernel_.vm_unmap_aliases();
      break;
    case OpKind::kIdle:
      kernel_.idle();
      break;
    case OpKind::kPressure:
      kernel_.pressure();
      break;
    case OpKind::kPunchHole:
      refuse_unless(kernel_.punch_hole(op.task, at, op.length), "no file is mapped in this range");
      break;
    case OpKind::kTruncate:
      kernel_.truncate(op.task, op.file_id, op.length);
      break;
    case OpKind::kClose:
      if (op.unnamed) {
        kernel_.was_closed(op.file_id);
      } else {
        kernel_.close_file(op.task, op.file_id);
      }
      break;
    case OpKind::kNrHugepages:
      kernel_.set_nr_hugepages(*kernel::find_hugetlb_size(op.length), op.count);
      break;
    case OpKind::kHugepages:
      kernel_.system().set_huge_pages(op.length, op.setting);
      break;
    case OpKind::kFragment:
      kernel_.fragment(static_cast<unsigned>(op.count), op.seed);
      break;
    case OpKind::kUnfragment:
      kernel_.unfragment();
      break;
  }
}

}  // namespace kpksim::workload
