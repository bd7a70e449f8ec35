#include "sim/kernel/fault_site.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>

#include "sim/base/error.h"

namespace kpksim::kernel {
namespace {

struct Named {
  std::string_view name, description;
};

// In the order of FlushSite.
constexpr std::array<std::string_view, kFlushSites> kFlushes = {
    "",
    "dup_mmap(): the parent's entries are write-protected",
    "wp_page_copy(): the page is another one",
    "ptep_set_access_flags(): the entry gains rights",
    "unmap_page_range(), try_to_unmap(): entries are gone",
    "change_protection(): rights have changed",
    "move_page_tables(): entries or tables are elsewhere",
    "exit_mmap(): tables go",
    "__purge_vmap_area_lazy(): addresses are given out again",
    "set_memory_pkey(): the linear map's keys have changed",
    "change_memory_common(): the linear map's rights have changed",
    "check_and_switch_context(): a new generation of ASIDs",
    "__split_huge_pmd(), split_folio(): a block becomes pages",
    "collapse_huge_page(): pages become a block",
    "madvise_free_pte_range(): entries are clean",
    "madvise_cold_or_pageout_pte_range(): entries are old",
    "contpte_convert(): a run is folded or unfolded",
    "the hypervisor has changed a page's rights",
    "the hypervisor has split a block of stage 2",
    "load_new_mm_cr3(): a PCID is given to another address space"};

constexpr std::array<Named, 8> kGuards = {
    {{"set-pte", "__set_pte_nosync()"},
     {"set-table", "set_pmd(), set_pud(), set_p4d()"},
     {"get-and-clear", "__ptep_get_and_clear_anysz()"},
     {"exchange", "__ptep_set_access_flags(), ___ptep_set_wrprotect()"},
     {"update", "a store to a table that no walker reads yet"},
     {"lazy", "arch_enter_lazy_mmu_mode(), arch_leave_lazy_mmu_mode()"},
     {"lock", "pte_offset_map_lock(), pte_unmap_unlock()"},
     {"page", "a page is zeroed, or written as a whole"}}};

constexpr std::array<Named, 5> kKinds = {{{"user-leaf", "a process's last table"},
                                          {"user", "a process's other tables"},
                                          {"kernel", "tables of the kernel's own addresses"},
                                          {"linear-map", "tables of the linear map"},
                                          {"pool", "pages that wait to be tables"}}};

struct Other {
  FaultSite site;
  std::string_view name, description;
  bool moves = true;
};
constexpr std::array kOthers = {
    Other{FaultSite::kIsbWindowOpen, "isb.window-open", "kpkeys_set_level(), after its MSR"},
    Other{FaultSite::kIsbWindowClose, "isb.window-close",
          "kpkeys_restore_pkey_reg(), after its MSR"},
    Other{FaultSite::kResetException, "reset.exception",
          "POR_EL1 at rest for the handler of an exception from EL1", false},
    Other{FaultSite::kIsbException, "isb.exception", "after that MSR"},
    Other{FaultSite::kSaveException, "save.exception",
          "POR_EL1 into pt_regs: skipped, they keep what an earlier exception saved", false},
    Other{FaultSite::kRestoreException, "restore.exception", "POR_EL1 from pt_regs"},
    Other{FaultSite::kSaveSwitch, "save.switch", "__switch_to(): POR_EL1 into the thread"},
    Other{FaultSite::kSaveFork, "save.fork", "copy_thread(): POR_EL1 into the child"},
    Other{FaultSite::kDsbSetPte, "dsb.set-pte", "__set_pte_complete() of a kernel mapping"},
    Other{FaultSite::kIsbSetPte, "isb.set-pte", "the same, after its DSB"},
    Other{FaultSite::kDsbSetTable, "dsb.set-table", "set_pmd(), set_pud(), set_p4d()"},
    Other{FaultSite::kIsbSetTable, "isb.set-table", "the same, after its DSB"},
    Other{FaultSite::kDsbLazyEnd, "dsb.lazy-end",
          "arch_leave_lazy_mmu_mode(): emit_pte_barriers()"},
    Other{FaultSite::kIsbLazyEnd, "isb.lazy-end", "the same, after its DSB"},
    Other{FaultSite::kDsbSplitBlock, "dsb.split-block",
          "split_pmd(), split_pud(): before the new table is hooked in"},
    Other{FaultSite::kIsbKernelRange, "isb.kernel-range", "flush_tlb_kernel_range(), at its end"},
    Other{FaultSite::kIsbAsidRollover, "isb.asid-rollover", "local_flush_tlb_all(), at its end"},
    Other{FaultSite::kIsbStage2, "isb.stage2", "__kvm_tlb_flush_vmid(), at its end"},
    Other{FaultSite::kDsbAlone, "dsb.alone", "a switch changes which core alone has the ASID"},
    Other{FaultSite::kDsbSwitch, "dsb.switch", "__switch_to()"},
    Other{FaultSite::kIsbSwitch, "isb.switch", "__switch_to(): keys of pointer authentication"},
    Other{FaultSite::kIsbSwitchMm, "isb.switch-mm", "cpu_do_switch_mm()"},
    Other{FaultSite::kIsbKernelThread, "isb.kernel-thread", "ptrauth_thread_switch_user()"},
    Other{FaultSite::kIsbClock, "isb.clock", "__arch_counter_get_cntvct()"},
    Other{FaultSite::kDsbEntry, "dsb.entry", "mitigate_spectre_bhb_loop"},
    Other{FaultSite::kIsbEntry, "isb.entry", "the same, after its DSB"},
    Other{FaultSite::kIsbPauth, "isb.entry-keys", "kernel_entry: keys of pointer authentication"},
    Other{FaultSite::kIsbFork, "isb.fork", "a VMA's slab is refilled"},
    Other{FaultSite::kIsbExit, "isb.exit", "do_exit(): the clock is read"},
    Other{FaultSite::kOpenCred, "open.cred", "a guarded section of credentials", false},
    Other{FaultSite::kCloseCred, "close.cred", "its end"},
    Other{FaultSite::kMarkCred, "mark.cred", "pages for credentials get their key"},
    Other{FaultSite::kUnmarkCred, "unmark.cred", "pages for credentials are ordinary again"}};

std::vector<FaultSiteInfo> make_sites() {
  std::vector<FaultSiteInfo> sites;
  const auto add = [&](FaultSite site, std::string name, std::string_view description,
                       bool moves = true) {
    sites.push_back({site, std::move(name), std::string(description), moves});
  };
  for (unsigned i = 1; i < kFlushSites; ++i) {
    const auto flush = static_cast<FlushSite>(i);
    add(tlbi_of(flush), fmt::format("tlbi.{}", kFlushSiteNames[i]), kFlushes[i],
        flush != FlushSite::kPcidSwitch);
  }
  for (unsigned i = 1; i < kFlushSites; ++i) {
    const auto flush = static_cast<FlushSite>(i);
    // local_flush_tlb_all() has none that the model counts, and x86-64 none at all.
    if (flush == FlushSite::kAsidRollover || flush == FlushSite::kPcidSwitch) continue;
    add(dsb_before(flush), fmt::format("dsb-before.{}", kFlushSiteNames[i]), kFlushes[i]);
  }
  for (unsigned i = 1; i < kFlushSites; ++i) {
    const auto flush = static_cast<FlushSite>(i);
    if (flush == FlushSite::kPcidSwitch) continue;
    add(dsb_after(flush), fmt::format("dsb-after.{}", kFlushSiteNames[i]), kFlushes[i]);
  }
  for (unsigned i = 0; i < kGuards.size(); ++i) {
    add(plus(FaultSite::kOpen, i), fmt::format("open.{}", kGuards[i].name), kGuards[i].description,
        false);
  }
  for (unsigned i = 0; i < kGuards.size(); ++i) {
    add(plus(FaultSite::kClose, i), fmt::format("close.{}", kGuards[i].name),
        kGuards[i].description);
  }
  for (unsigned i = 0; i < kKinds.size(); ++i) {
    add(plus(FaultSite::kMark, i), fmt::format("mark.{}", kKinds[i].name), kKinds[i].description);
  }
  for (unsigned i = 0; i < kKinds.size(); ++i) {
    // Tables of kernel addresses stay.
    if (kKinds[i].name == "linear-map" || kKinds[i].name == "kernel") continue;
    add(plus(FaultSite::kUnmark, i), fmt::format("unmark.{}", kKinds[i].name),
        kKinds[i].description);
  }
  for (const Other& other : kOthers) {
    add(other.site, std::string(other.name), other.description, other.moves);
  }
  return sites;
}

}  // namespace

const std::vector<FaultSiteInfo>& fault_sites() {
  static const std::vector<FaultSiteInfo> sites = make_sites();
  return sites;
}

const FaultSiteInfo& find_fault_site(std::string_view name) {
  const std::vector<FaultSiteInfo>& sites = fault_sites();
  const auto at = std::find_if(sites.begin(), sites.end(),
                               [&](const FaultSiteInfo& s) { return s.name == name; });
  if (at != sites.end()) return *at;
  std::vector<std::string> names;
  names.reserve(sites.size());
  for (const FaultSiteInfo& s : sites) names.push_back(s.name);
  throw InputError(fmt::format("'{}' is no site of fault injection{} (kpksim list sites has all)",
                               name, suggest(std::string(name), names)));
}

}  // namespace kpksim::kernel
