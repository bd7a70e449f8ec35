#include "sim/kernel/system.h"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "sim/base/error.h"
#include "sim/kernel/cause.h"
#include "sim/kernel/object/cred_policy.h"
#include "sim/kernel/object/keyed_classes.h"
#include "sim/kernel/prot.h"
#include "sim/kernel/protect/tapped.h"
#include "sim/kernel/span.h"
#include "sim/kernel/x86_tlb.h"
#include "sim/mmu/walker.h"

namespace kpksim::kernel {
namespace {

mmu::Registers boot_registers(const Protection& protection, Pfn swapper,
                              const cpu::CoreProfile& core) {
  mmu::Registers regs;
  regs.tcr = mmu::tcr::kT0Sz.set(mmu::tcr::kT1Sz.set(0, 16), 16);
  regs.tcr = mmu::tcr::kTg1.set(regs.tcr, 0b10);   // 4 KB
  regs.tcr = mmu::tcr::kIps.set(regs.tcr, 0b101);  // 48 bits
  regs.tcr = mmu::tcr::kAs.set(mmu::tcr::kA1.set(regs.tcr, 1), core.asid_bits > 8 ? 1 : 0);
  regs.tcr =
      mmu::tcr::kHa.set(mmu::tcr::kHd.set(regs.tcr, core.hafdbs ? 1 : 0), core.hafdbs ? 1 : 0);
  regs.sctlr = mmu::sctlr::kM.set(0, 1);
  regs.mair = boot_attributes(core.mte);
  regs.ttbr0 = regs.ttbr1 = address_of(swapper).value;
  protection.boot(regs);
  return regs;
}

}  // namespace

namespace {

// Protected classes have keys, in contexts of the protection's register.
void check_classes(const Part& protection) {
  const ProtectionInfo& info = Protections::find(protection.name, "protection");
  if (!info.any_classes) {
    std::string those;
    for (const ProtectionInfo* other : Protections::all()) {
      if (other->any_classes)
        those += fmt::format("{}'{}'", those.empty() ? "" : " or ", other->name);
    }
    throw InputError(fmt::format("protected classes need {}, not '{}'", those, protection.name));
  }
  const Parameters given(protection.name, info.parameters, protection.parameters);
  for (const ParameterInfo& parameter : info.parameters) {
    const bool takes_keys = std::find(info.no_classes_with.begin(), info.no_classes_with.end(),
                                      parameter.name) != info.no_classes_with.end();
    if (takes_keys && given.choice(parameter.name) != parameter.usual) {
      throw InputError(
          fmt::format("protected classes need '{}' without '{}={}', whose keys are others'",
                      info.name, parameter.name, given.choice(parameter.name)));
    }
  }
}

}  // namespace

void check(const Config& config) {
  check(config.policy);
  if (config.memory_bytes < 64ull << 20 || config.memory_bytes > 64ull << 40 ||
      config.memory_bytes % (4ull << 20) != 0) {
    throw InputError("memory must be a multiple of 4M between 64M and 64T");
  }
  if (config.cores < 1 || config.cores > 256) throw InputError("cores must be between 1 and 256");
  const bool virtual_keys =
      config.classes && !config.classes->unprotected && config.classes->assignment.virtualised;
  if (config.interleave && virtual_keys) {
    throw InputError(
        "virtualised keys cannot run on interleaved cores: that a context waits there until "
        "another "
        "core gives a key up is not modelled (other strategies can)");
  }
  if (config.hz > 1000) throw InputError("hz must be at most 1000 (0: no timer interrupts)");
  if (config.classes && !config.classes->unprotected) check_classes(config.policy.protection);
}

namespace {

// What other cores do when they are interrupted cannot come at another time.
void check_injections(const Config& config, bool x86) {
  if (!x86 && config.policy.reach != Reach::kIpi) return;
  for (const Injection& fault : config.injections) {
    if (fault.action == FaultAction::kSkip || fault.site >= dsb_before(FlushSite::kNone)) continue;
    throw InputError(fmt::format("{}: TLBIs {} can be skipped, not delayed or swapped",
                                 text_of(fault), x86 ? "of x86-64" : "by interrupts (reach ipi)"));
  }
}

// A core that can run the policy, and as it is asked to.
const cpu::CoreProfile& fitting(const cpu::CoreProfile& core, const Config& config) {
  if (const auto reason = reason_against(config.policy, core)) throw InputError(*reason);
  check_injections(config, core.architecture == cpu::Architecture::kX86);
  return core;
}

std::unique_ptr<Protection> make_protection(const ProtectionInfo& info, const Config& config,
                                            const ProtectionContext& context, Taps& taps) {
  if (config.classes && !config.classes->unprotected) {
    return std::make_unique<KeyContexts>(context, *config.classes);
  }
  const Part& part = config.policy.protection;
  auto protection = info.make(context, Parameters(part.name, info.parameters, part.parameters));
  if (config.around) protection = config.around(std::move(protection));
  if (config.watched || !config.injections.empty()) {
    protection = std::make_unique<Tapped>(std::move(protection), taps);
  }
  return protection;
}

ProtectionContext protection_context(cpu::Machine& machine, LinearMap& linear_map, TlbFlush& flush,
                                     Taps& taps, const Config& config) {
  const Pfn first = frame_of(PhysAddr(kPhysOffset));
  const std::uint64_t frames = config.memory_bytes >> kPageShift;
  const Pfn map = first + frames;  // the memory map, and what is free behind it
  const Pfn beyond =
      frame_of(PhysAddr(align_up(address_of(map).value + frames * kStructPageBytes, kPageSize)));
  return {machine, linear_map, flush, taps.injector, first, frames, beyond};
}

std::unique_ptr<PageTableAllocator> make_allocator(const Policy& policy,
                                                   const AllocatorContext& context) {
  const AllocatorInfo& info = Allocators::find(policy.allocator.name, "page-table allocator");
  return info.make(context,
                   Parameters(policy.allocator.name, info.parameters, policy.allocator.parameters));
}

EarlyTables early_tables(const Policy& policy) {
  const AllocatorInfo& info = Allocators::find(policy.allocator.name, "page-table allocator");
  return info.early(policy.linear_map, Parameters(policy.allocator.name, info.parameters,
                                                  policy.allocator.parameters));
}

}  // namespace

System::System(const cpu::CoreProfile& core, const KernelProfile& kernel, const Config& cfg)
    : config(cfg),
      profile(kernel),
      machine(fitting(core, cfg), cfg.cores),
      taps{Injector(cfg.injections)},
      protection_info(Protections::find(cfg.policy.protection.name, "protection")),
      protection(make_protection(protection_info, cfg,
                                 protection_context(machine, linear_map, flush, taps, cfg), taps)),
      buddy(frame_of(PhysAddr(kPhysOffset)), cfg.memory_bytes >> kPageShift,
            LinearMap::boot_pages(cfg.policy.linear_map, early_tables(cfg.policy),
                                  cfg.memory_bytes >> kPageShift)),
      interleaving(cfg.interleave ? std::make_unique<Interleaving>(machine) : nullptr),
      tables(*protection, protection_info, window_of(cfg.policy),
             {kernel.lazy_barriers, kernel.path.section, kernel.path.section_open,
              kernel.path.lazy_section, kernel.path.fault_section, kernel.path.fault_section_open},
             taps),
      flush({core.architecture == cpu::Architecture::kX86 ? cfg.cores : 0, core.tlb_range,
             core.repeat_tlbi, kernel.kernel_range_tlbi, cfg.policy.reach},
            taps),
      linear_map(core.architecture == cpu::Architecture::kX86 ? LinearMap::Rules::kX86
                                                              : LinearMap::Rules::kArm64,
                 linear_map_of(cfg.policy), early_tables(cfg.policy), tables, flush,
                 kernel.path.set_memory_pkey),
      exposure(machine, linear_map),
      hugetlb(buddy, core.architecture != cpu::Architecture::kX86),
      pages(cfg.memory_bytes >> kPageShift, Touched::kUpward) {
  flush.set_protection(*protection);
  set_huge_pages(kPmdSize, profile.huge_pages);
  linear_map.build(machine.memory(), buddy);
  allocator =
      make_allocator(cfg.policy, {buddy, linear_map, tables, machine.memory(), *protection});
  linear_map.set_table_source(*allocator);
  if (interleaving) {
    tables.set_locks(interleaving->page_tables);
    linear_map.set_locks(interleaving->locks);
    protection->set_locks(interleaving->locks);
    if (KeyedPool* const pool = allocator->pool()) pool->set_locks(interleaving->locks);
  }
  if (KeyedPool* const pool = allocator->pool()) pool->set_taps(taps);
  linear_map.set_observer(exposure);
  if (is_soft(protection_info, cfg.policy.protection.parameters)) {
    tables.set_soft_mode(soft.emplace(*protection, protection_info, exposure));
  }
  for (std::size_t i = 0; i < machine.core_count(); ++i) {
    machine.core(i).set_registers(boot_registers(*protection, linear_map.root(), core));
    machine.core(i).set_window_bits(protection->window_bits());
  }
  const Because boot(machine.core(0), Cause::kBoot);
  zero_page = allocate_page(machine.core(0));
  page(zero_page).reserved = true;
  kernel_data = allocate_page(machine.core(0));
  if (linear_map_of(cfg.policy).start == MapStart::kRepainted) {
    linear_map.repaint(machine.core(0), buddy);
  }
  allocator->boot(machine.core(0));
  buddy.set_lists(cfg.cores, pcp_limits(buddy.size(), cfg.cores, profile.free_list_pages));
  if (config.classes) {
    classes = std::make_unique<KeyedClasses>(*config.classes, buddy, linear_map, tables,
                                             dynamic_cast<KeyContexts*>(protection.get()),
                                             path().section, machine.core(0));
    classes->set_table_bytes([this] { return allocator->live() * kPageSize; });
  }
  make_creds();
  if (classes) classes->booted(machine);
  const auto& [first, count] = linear_map.boot_range();
  exposure.add_boot_tables(first, count);
  exposure.add_swapper();
}

// As a class of their own; with a key that the protection has for them; or as a target alone.
void System::make_creds() {
  const AllocatorContext context{buddy, linear_map, tables, machine.memory(), *protection};
  if (SlabPages* const slabs = classes ? classes->cred_pages() : nullptr) {
    creds = std::make_unique<Creds>(
        context, rcu, ObjectKey(classes->cred_sections(), path().section, taps), *slabs);
    const Classes& all = classes->plan().classes;
    const std::uint64_t others = all.classes[*all.class_of(ClassModel::kCred)].objects;
    cpu::Core& core = machine.core(0);
    for (std::uint64_t i = 0; i < others; ++i) creds->commit(core, creds->fresh(core));
    return;
  }
  auto from = cred_pages_of(protection_info, config.policy.protection.parameters);
  if (!from && config.credentials) from = CredPages::kOrdinary;
  if (!from) return;
  creds = std::make_unique<Creds>(context, *allocator, rcu, path().section, *from);
  if (interleaving) creds->set_locks(interleaving->locks);
}

Pfn System::allocate_table(cpu::Core& core, Pfn root, TableKind kind) {
  const Span span(taps, core, Work::kAllocateTable);
  const Pfn table = allocator->allocate(core, kind);
  if (taps.observer != nullptr) taps.observer->table_taken(core, table, root);
  exposure.add(table, root);
  return table;
}

void System::free_table(cpu::Core& core, Pfn table) {
  const Span span(taps, core, Work::kFreeTable);
  if (taps.observer != nullptr) taps.observer->table_freed(core, table);
  exposure.remove(table);
  allocator->free(core, table);
}

System::~System() = default;

// The kernel's code, also where the model switches tasks on a core that the last one left at EL0:
// an interrupt in a context has to find the register at rest.
void System::use_classes(cpu::Core& core, Trigger trigger) {
  const unsigned level = core.level();
  core.continue_at(1);
  classes->use(core, trigger);
  core.continue_at(level);
}

bool System::get_folio(const cpu::Core& core, unsigned order, Pfn& head) {
  if (!buddy.take(core, order, Mobility::kMovable, head)) return false;
  for (std::uint32_t i = 0; i < 1u << order; ++i) {
    page(head + i) = {};
    page(head + i).order = static_cast<std::uint8_t>(order);
    page(head + i).offset = i;
  }
  return true;
}

void System::set_huge_pages(std::uint64_t bytes, HugePages enabled) {
  huge_pages_[static_cast<unsigned>(std::countr_zero(bytes)) - kPageShift] = enabled;
  has_large_folios_ = std::any_of(huge_pages_.begin(), std::prev(huge_pages_.end()),
                                  [](HugePages size) { return size != HugePages::kNever; });
}

Pfn System::allocate_page(const cpu::Core& core) {
  Pfn page;
  if (get_folio(core, 0, page)) return page;
  throw InputError("out of memory: no free pages left (give the machine more --memory)");
}

std::optional<Pfn> System::huge_zero_folio(cpu::Core& core) {
  if (huge_zero_) return huge_zero_;
  huge_zero_ = try_allocate_folio(core, kPmdShift - kPageShift);
  if (!huge_zero_) return std::nullopt;
  for (unsigned i = 0; i < kEntriesPerTable; ++i) core.count_page_zero();
  core.execute_loop(path().clear_page * kEntriesPerTable);
  page(*huge_zero_).reserved = true;
  return huge_zero_;
}

System::Put System::put_folio(cpu::Core& core, Pfn head, unsigned count) {
  Page& p = page(head);
  if (p.reserved) return Put::kKept;
  if (p.refs < count) throw ModelError("a folio is put more often than it was taken");
  p.refs -= count;
  if (p.refs != 0) return Put::kKept;
  // Where others free, what their pages push out of the lists is part of their path's length.
  const std::uint64_t pushed_out = buddy.free(core, head, p.order);
  if (pushed_out != 0) core.execute_lists(path().free_bulk * pushed_out);
  if (p.order == 0) return Put::kPage;
  if (p.order == kPmdShift - kPageShift) return Put::kHuge;
  return p.order <= kCostlyOrder ? Put::kSmall : Put::kLarge;
}

void System::put_hugetlb(const HugetlbSize& size, Pfn head) {
  Page& p = page(head);
  if (p.refs == 0) throw ModelError("a huge page is put more often than it was taken");
  if (--p.refs != 0) return;
  p = {};
  hugetlb.free(size, head);
}

TableKind System::kind_of(Pfn root, unsigned level) const {
  if (root == linear_map.root()) return TableKind::kKernel;
  return level == mmu::kLastLevel ? TableKind::kUserLeaf : TableKind::kUser;
}

PhysAddr System::existing_entry(Pfn root, VirtAddr va, unsigned level) const {
  Pfn table = root;
  for (unsigned at = 0;; ++at) {
    const PhysAddr entry = entry_of(table, va, at);
    if (at == level) return entry;
    const mmu::Descriptor d{machine.memory().read64(entry)};
    if (!d.valid() || !d.table_or_page()) return PhysAddr(0);
    table = d.pfn();
  }
}

// pmd_alloc() and its like, where an entry was empty; another core may have been first.
mmu::Descriptor System::add_table(cpu::Core& core, Pfn root, PhysAddr entry, unsigned level) {
  const std::uint64_t before = changes();
  const Pfn added = allocate_table(core, root, kind_of(root, level + 1));
  core.execute(path().table);
  // pmd_install() and its like: of the last level the lock is in the table, else there is one
  // for all (page_table_lock).
  const Pfn table = frame_of(entry);
  const bool kernel = root == linear_map.root();
  const bool own = level == 2 && !kernel;
  std::optional<PageTableLock> lock;
  lock.emplace(tables, core, Target(table), own ? table : root,
               kernel ? cpu::Seen::kByAll : cpu::Seen::kByAddressSpace);
  mmu::Descriptor d;
  if (changes() != before) d = {tables.read(core, entry)};
  if (d.valid()) {  // another core was first
    lock.reset();
    free_table(core, added);
  } else {
    d = table_descriptor(added);
    tables.set_table(core, entry, d, level);
  }
  return d;
}

PhysAddr System::next_entry(cpu::Core& core, Pfn root, PhysAddr entry, VirtAddr va, unsigned level,
                            bool allocate) {
  mmu::Descriptor d{tables.read(core, entry)};
  if (!d.valid()) {
    if (!allocate) return PhysAddr(0);
    d = add_table(core, root, entry, level);
  }
  // A block where a table was looked for has none.
  return d.table_or_page() ? entry_of(d.pfn(), va, level + 1) : PhysAddr(0);
}

PhysAddr System::find_entry(cpu::Core& core, Pfn root, VirtAddr va, unsigned level, bool allocate) {
  PhysAddr entry = entry_of(root, va, 0);
  for (unsigned at = 0; at != level && entry.value != 0; ++at) {
    entry = next_entry(core, root, entry, va, at, allocate);
  }
  return entry;
}

void System::check_broken(const AddressSpace& space, VirtAddr start, VirtAddr end) {
  const X86Tlb* const x86 = flush.x86();
  for (unsigned c = 0; c < machine.core_count(); ++c) {
    const std::optional<Asid> asid =
        x86 == nullptr ? std::optional(space.asid) : x86->usable_pcid(c, space);
    if (asid) bbm_violations_ += machine.core(c).mmu().count_cached(*asid, start, end);
  }
}

void System::free_tables(cpu::Core& core, const std::vector<Pfn>& freed) {
  if (freed.empty()) return;
  const Span span(taps, core, Work::kRcu);
  const InterruptContext softirq(tables);
  for (const Pfn table : freed) free_table(core, table);
}

}  // namespace kpksim::kernel
