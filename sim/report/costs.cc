#include "sim/report/costs.h"

#include <algorithm>
#include <cstdlib>
#include <nlohmann/json.hpp>

namespace kpksim::report {

using nlohmann::ordered_json;

namespace {

// The kinds of cost, and the events of the document that each is made of: those that a paragraph
// counts, and further ones. A name that ends with _ is the beginning of several. What no kind names
// is "other". The names are the architecture's, as those of events are (event_labels.h).
using Names = std::vector<std::string_view>;
struct Kind {
  const char* name;
  Names counted, further;
  const char* on_x86 = nullptr;  // if it is called otherwise there

  const char* called(bool x86) const { return x86 && on_x86 != nullptr ? on_x86 : name; }
};
const std::vector<Kind>& kinds() {
  static const std::vector<Kind> all = {
      {"ISB", {"isb"}, {"in_flight"}},
      {"MSR and MRS of the key register",
       {"msr_por_el1", "mrs_por_el1"},
       {},
       "WRMSR and RDMSR of the key register"},
      {"MOV to and from CR0", {"mov_to_cr0", "mov_from_cr0"}, {}},
      {"TLB invalidation and waiting for it",
       {"tlbi_"},
       {"dsb_ish", "dsb_nsh", "dsb_osh", "dvm_", "ipi", "ipi_more"}},
      {"ordering of table writes", {"dsb_ishst", "store_drain"}, {}},
      {"loads and stores of tables", {"load", "store"}, {"atomic"}},
      {"cache misses", {"cache_"}, {}},
      {"TLB misses and walks", {"walk"}, {"walk_read", "l2_tlb_hit", "hardware_update"}},
      {"zeroing and copying pages", {"page_"}, {}},
      {"instructions of kernel paths", {"instruction", "loop_instruction"}, {"code_line"}},
      {"the program's own instructions", {"user_instruction"}, {"user_access"}},
      {"exceptions", {"exception_", "hvc"}, {"eret"}},
      {"other", {}, {}}};
  return all;
}

bool among(const Names& names, std::string_view event) {
  return std::any_of(names.begin(), names.end(), [&](std::string_view name) {
    return name.ends_with('_') ? event.starts_with(name) : event == name;
  });
}

const Kind& kind_of(std::string_view event) {
  for (const Kind& kind : kinds()) {
    if (among(kind.counted, event) || among(kind.further, event)) return kind;
  }
  return kinds().back();
}

Sums operator-(const Sums& a, const Sums& b) {
  Sums out = a;
  for (const auto& [name, n] : b) out[name] -= n;
  return out;
}

Share share_of(const std::string& kind, std::int64_t cycles, const Spent& all) {
  Share share{kind, cycles, static_cast<double>(cycles) / static_cast<double>(all.total), 0};
  for (const auto& [event, n] : all.events) {
    const Kind& of = kind_of(event);
    if (of.called(all.x86) == kind && among(of.counted, event)) share.counted += n;
  }
  return share;
}

}  // namespace

std::vector<std::string_view> cost_kinds(bool x86) {
  std::vector<std::string_view> names;
  for (const Kind& kind : kinds()) names.emplace_back(kind.called(x86));
  return names;
}

Spent spent(const ordered_json& part, bool x86) {
  Spent out;
  out.x86 = x86;
  out.total = part["cycles"]["total"].get<std::int64_t>();
  for (const auto& [event, n] : part["cycles"]["by_event"].items()) {
    out.by_kind[kind_of(event).called(x86)] += n.get<std::int64_t>();
  }
  for (const auto& [cause, n] : part["cycles"]["by_cause"].items()) {
    out.by_cause[cause] += n.get<std::int64_t>();
  }
  for (const auto& [event, e] : part["events"].items()) {
    out.events[event] = e["total"].get<std::int64_t>();
  }
  return out;
}

Spent operator-(const Spent& a, const Spent& b) {
  return {a.x86, a.total - b.total, a.by_kind - b.by_kind, a.by_cause - b.by_cause,
          a.events - b.events};
}

std::vector<std::pair<std::string, std::int64_t>> ranked(const Sums& sums) {
  std::vector<std::pair<std::string, std::int64_t>> out(sums.begin(), sums.end());
  std::stable_sort(out.begin(), out.end(), [](const auto& a, const auto& b) {
    return std::abs(a.second) > std::abs(b.second);
  });
  return out;
}

Shares shares_of(const Spent& all) {
  Shares out;
  if (all.total == 0) return out;
  double explained = 0;
  for (const auto& [kind, cycles] : ranked(all.by_kind)) {
    const Share share = share_of(kind, cycles, all);
    if (share.part <= -0.01) out.against.push_back(share);
    if (share.part < 0.01 || explained > 0.95) continue;
    explained += share.part;
    out.mainly.push_back(share);
  }
  return out;
}

}  // namespace kpksim::report
