#include "sim/report/event_labels.h"

#include <algorithm>
#include <array>
#include <span>

namespace kpksim::report {
namespace {

using cpu::Event;
using mmu::TlbiKind;

struct Label {
  Event event;
  std::string_view text;
};

constexpr std::array kLabels = std::to_array<Label>({
    {Event::kMsrPor, "MSR POR_EL1"},
    {Event::kMrsPor, "MRS POR_EL1"},
    {Event::kMovToCr0, "MOV to CR0"},
    {Event::kMovFromCr0, "MOV from CR0"},
    {Event::kIsb, "ISB"},
    {Event::kDsbIsh, "DSB ISH"},
    {Event::kDsbIshst, "DSB ISHST"},
    {Event::kDsbNsh, "DSB NSH"},
    {Event::kFaultTranslation, "translation faults"},
    {Event::kFaultAccessFlag, "access flag faults"},
    {Event::kFaultPermission, "permission faults"},
    {Event::kFaultOverlay, "permission faults, overlay"},
    {Event::kFaultAddressSize, "address size faults"},
    {Event::kExceptionEl0, "exceptions from EL0"},
    {Event::kExceptionEl1, "exceptions from EL1"},
    {Event::kHvc, "hypervisor calls"},
    {Event::kUserAccess, "user accesses"},
    {Event::kLoad, "kernel loads"},
    {Event::kStore, "kernel stores"},
    {Event::kL2TlbHit, "L2 TLB hits"},
    {Event::kL2TlbHitKernel, "L2 TLB hits, kernel's half"},
    {Event::kL2TlbHitCopy, "L2 TLB hits, user memory by EL1"},
    {Event::kWalk, "table walks"},
    {Event::kWalkKernel, "table walks, kernel's half"},
    {Event::kWalkCopy, "table walks, user memory by EL1"},
    {Event::kPageZero, "pages zeroed"},
    {Event::kPageCopy, "pages copied"},
});

constexpr std::array kX86Labels = std::to_array<Label>({
    {cpu::tlbi_event(TlbiKind::kVmalle1), "INVPCID or INVLPGB, all"},
    {cpu::tlbi_event(TlbiKind::kVae1), "INVLPG, user"},
    {cpu::tlbi_event(TlbiKind::kAside1), "MOV to CR3 or INVLPGB, a PCID"},
    {cpu::tlbi_event(TlbiKind::kVaae1), "INVLPG, kernel"},
    {cpu::tlbi_event(TlbiKind::kRvae1), "INVLPGB, user"},
    {cpu::tlbi_event(TlbiKind::kRvaae1), "INVLPGB, kernel"},
    {Event::kMsrPor, "WRMSR IA32_PKRS"},
    {Event::kMrsPor, "RDMSR IA32_PKRS"},
    {Event::kMsrTtbr, "MOV to CR3 that keeps entries"},
    {Event::kDsbIsh, "TLBSYNC"},
    {Event::kIpi, "interrupts to other cores"},
    {Event::kIpiMore, "further cores of one"},
    {Event::kFaultTranslation, "page faults, not present"},
    {Event::kFaultPermission, "page faults, protection"},
    {Event::kFaultOverlay, "page faults, protection key"},
    {Event::kExceptionEl0, "exceptions from user mode"},
    {Event::kExceptionEl1, "exceptions from the kernel"},
    {Event::kL2TlbHitCopy, "L2 TLB hits, user memory by kernel"},
    {Event::kWalkCopy, "table walks, user memory by kernel"},
});

std::string_view find(std::span<const Label> labels, Event event) {
  const auto it = std::find_if(labels.begin(), labels.end(),
                               [&](const Label& label) { return label.event == event; });
  return it == labels.end() ? std::string_view() : it->text;
}

}  // namespace

std::string_view event_label(Event event, bool x86) {
  if (const std::string_view own = find(kX86Labels, event); x86 && !own.empty()) return own;
  if (const std::string_view label = find(kLabels, event); !label.empty()) return label;
  // "TLBI VAE1*" of "TLBI VAE1*: one page, walk caches too".
  const std::string_view description = cpu::kEventInfo[static_cast<std::size_t>(event)].description;
  return description.substr(0, description.find(':'));
}

}  // namespace kpksim::report
