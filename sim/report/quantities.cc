#include "sim/report/quantities.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <utility>

#include "sim/base/json_file.h"
#include "sim/cpu/statistics.h"
#include "sim/kernel/cause.h"
#include "sim/kernel/kernel_data.h"
#include "sim/kernel/linear_map.h"
#include "sim/kernel/lock.h"
#include "sim/kernel/object/cred.h"
#include "sim/kernel/pgalloc/allocator.h"
#include "sim/kernel/span.h"
#include "sim/report/event_labels.h"
#include "sim/report/text_table.h"

namespace kpksim::report {

using nlohmann::ordered_json;

namespace {

using Read = std::function<Reading(const ordered_json&)>;

constexpr const char* kOnAverage = "byte-kilocycles, over the cycles of all cores";

// A number of the document; 0 where it is not there.
Read count_of(const std::string& group, const std::string& name) {
  return [=](const ordered_json& part) -> Reading {
    const auto it = part.find(group);  // some only a policy with this part has
    if (it == part.end()) return {0, {""}};
    const std::string at = "/" + pointer_part(group);
    if (!it->contains(name)) return {0, {at}};
    return {(*it)[name].get<std::uint64_t>(), {at + "/" + pointer_part(name)}};
  };
}

// A number below "distributions"; 0 where it is not there.
Read recorded(std::vector<std::string> path) {
  return [path = std::move(path)](const ordered_json& part) -> Reading {
    const auto it = part.find("distributions");
    if (it == part.end()) return {0, {""}};
    const ordered_json* at = &*it;
    std::string place = "/distributions";
    for (const std::string& name : path) {
      if (!at->contains(name)) return {0, {place}};
      at = &(*at)[name];
      place += "/" + pointer_part(name);
    }
    return {at->get<std::uint64_t>(), {place}};
  };
}

// TLB invalidations for one reason.
Reading tlbi_for(const ordered_json& part, const std::string& cause) {
  Reading out;
  for (const auto& [name, e] : part["events"].items()) {
    if (!name.starts_with("tlbi_") || !e["by_cause"].contains(cause)) continue;
    out.value += e["by_cause"][cause].get<std::uint64_t>();
    out.at.push_back(
        fmt::format("/events/{}/by_cause/{}", pointer_part(name), pointer_part(cause)));
  }
  if (out.at.empty()) out.at = {"/events"};
  return out;
}

Reading cycles_of_a_window(const ordered_json& part) {
  const ordered_json& e = part["exposure"];
  const auto n = e["windows"].get<std::uint64_t>();
  return {n == 0 ? 0 : e["window_cycles"].get<std::uint64_t>() / n,
          {"/exposure/window_cycles", "/exposure/windows"},
          "cycles of all windows, over their number"};
}

class List {
 public:
  explicit List(bool x86) : x86_(x86) {}

  void section(const char* title) { section_ = title; }
  void row(std::string name, Read read, bool always = false) {
    all_.push_back({section_, std::move(name), std::move(read), always});
  }
  void events(std::initializer_list<cpu::Event> list) {
    for (const cpu::Event e : list) {
      const std::string name(cpu::kEventInfo[static_cast<std::size_t>(e)].name);
      row(
          std::string(event_label(e, x86_)),
          [name](const ordered_json& part) { return event_count(part, name); },
          e == cpu::Event::kMsrPor);
    }
  }
  template <class S, std::size_t N>
  void statistics(const std::string& group, const std::array<Statistic<S>, N>& list) {
    for (const Statistic<S>& s : list) {
      row(std::string(s.description), count_of(group, std::string(s.name)));
    }
  }
  // What only some allocators count, by its name.
  void own_statistics(const std::vector<const ordered_json*>& parts) {
    std::vector<std::string> known;
    known.reserve(kernel::kAllocatorStatistics.size());
    for (const auto& s : kernel::kAllocatorStatistics) known.emplace_back(s.name);
    for (const ordered_json* part : parts) {
      for (const auto& [key, value] : (*part)["allocator"].items()) {
        const std::string name = key;
        if (std::find(known.begin(), known.end(), name) != known.end()) continue;
        known.push_back(name);
        std::string label = name;
        std::replace(label.begin(), label.end(), '_', ' ');
        row(label, count_of("allocator", name));
      }
    }
  }
  // Where cores were interleaved.
  void locks() {
    section("Waits at locks of cores that run at once");
    for (const std::string what : {"waits", "wait_cycles"}) {
      for (const std::string_view lock : kernel::kLockNames) {
        const std::string name(lock);
        row(fmt::format("{}, {}", name, what == "waits" ? "waits" : "cycles"),
            [name, what](const ordered_json& part) -> Reading {
              const auto it = part.find("interleaved");
              if (it == part.end()) return {0, {""}};
              return {(*it)["locks"][name][what].get<std::uint64_t>(),
                      {fmt::format("/interleaved/locks/{}/{}", name, what)}};
            });
      }
    }
    row("cycles from begin to end", count_of("interleaved", "cycles"));
  }
  // Of a run that was recorded (--distributions).
  void distributions() {
    constexpr std::array<std::array<const char*, 2>, 4> kShown = {{{"count", "how often"},
                                                                   {"p50", "median"},
                                                                   {"p99", "99 of 100 at most"},
                                                                   {"most", "the longest"}}};
    section("How long it took, in cycles");
    for (const kernel::Work work :
         {kernel::work_of(kernel::Trigger::kFork), kernel::work_of(kernel::Trigger::kPageFault),
          kernel::Work::kSetMemoryPkey}) {
      const std::string name(kernel::name_of(work));
      for (const auto& [key, text] : kShown) {
        row(fmt::format("{}, {}", name, text),
            recorded({"latency_cycles", name, std::string(key)}));
      }
    }
    section("Entries that a TLBI dropped, of TLBs and walk caches");
    row("all of them", recorded({"tlbi_entries_dropped", "sum"}));
    row("median", recorded({"tlbi_entries_dropped", "p50"}));
    row("99 of 100 at most", recorded({"tlbi_entries_dropped", "p99"}));
    row("most", recorded({"tlbi_entries_dropped", "most"}));
    section("Table walks, by the page that they ended in");
    for (const unsigned bits : {12u, 14u, 16u, 21u, 25u, 30u, 34u, 39u}) {
      const std::uint64_t bytes = 1ull << bits;
      row(memory_size(bytes), recorded({"walks_by_page_bytes", std::to_string(bytes)}));
    }
    row("none", recorded({"walks_by_page_bytes", "none"}));
  }
  // Bytes on average over the time of all cores, and windows.
  void exposure() {
    section("Page tables that a stray store could have written: bytes, on average");
    constexpr std::array<std::array<const char*, 2>, 3> kOwners = {
        {{"own", "of the process itself"}, {"kernel", "of the kernel"}, {"other", "of others"}}};
    for (const std::string when : {"at_rest", "in_windows"}) {
      for (const auto& [key, text] : kOwners) {
        row(fmt::format("{}, {}", when == "at_rest" ? "at rest" : "in windows", text),
            [when, owner = std::string(key)](const ordered_json& part) {
              return exposed(part, when, owner);
            });
      }
    }
    section("Windows");
    row("windows", count_of("exposure", "windows"));
    row("cycles of one, on average", cycles_of_a_window);
    row("stores in the largest", count_of("exposure", "largest_window_stores"));
    row("cycles of the longest", count_of("exposure", "largest_window_cycles"));
  }

  std::vector<Quantity> take() { return std::move(all_); }

 private:
  const bool x86_;
  std::string section_;
  std::vector<Quantity> all_;
};

}  // namespace

Reading event_count(const ordered_json& part, std::string_view name) {
  const auto it = part["events"].find(std::string(name));
  if (it == part["events"].end()) return {0, {"/events"}};
  return {(*it)["total"].get<std::uint64_t>(),
          {fmt::format("/events/{}/total", pointer_part(std::string(name)))}};
}

Reading tlb_invalidations(const ordered_json& part) {
  Reading out;
  for (const auto& [name, e] : part["events"].items()) {
    if (!name.starts_with("tlbi_")) continue;
    out.value += e["total"].get<std::uint64_t>();
    out.at.push_back(fmt::format("/events/{}/total", pointer_part(name)));
  }
  if (out.at.empty()) out.at = {"/events"};
  return out;
}

Reading exposed(const ordered_json& part, const std::string& when, const std::string& owner) {
  const auto cycles = part["cycles"]["total"].get<std::uint64_t>();
  const auto sum = part["exposure"][when][owner].get<std::uint64_t>();
  return {cycles == 0 ? 0
                      : static_cast<std::uint64_t>(static_cast<double>(sum) * 1000 /
                                                   static_cast<double>(cycles)),
          {fmt::format("/exposure/{}/{}", when, owner), "/cycles/total"},
          kOnAverage};
}

std::vector<Quantity> quantities(const std::vector<const ordered_json*>& parts, bool x86) {
  using cpu::Event;
  List list(x86);
  list.section("TLB invalidations, by operation");
  for (std::size_t e = 0; e <= static_cast<std::size_t>(Event::kTlbiLast); ++e) {
    list.events({static_cast<Event>(e)});
  }
  list.section("TLB invalidations, by reason");
  for (const std::string_view cause : kernel::kCauseNames) {
    const std::string name(cause);
    list.row(name, [name](const ordered_json& part) { return tlbi_for(part, name); });
  }
  if (x86) {
    list.section("The key register and other cores");
    list.events({Event::kMsrPor, Event::kMrsPor, Event::kMovToCr0, Event::kMovFromCr0,
                 Event::kMsrTtbr, Event::kIpi, Event::kIpiMore, Event::kDsbIsh});
  } else {
    list.section("Barriers and the key register");
    list.events({Event::kMsrPor, Event::kMrsPor, Event::kMovToCr0, Event::kMovFromCr0, Event::kIsb,
                 Event::kDsbIsh, Event::kDsbIshst, Event::kDsbNsh});
  }
  list.section("Faults and exceptions");
  list.events({Event::kFaultTranslation, Event::kFaultAccessFlag, Event::kFaultPermission,
               Event::kFaultOverlay, Event::kFaultAddressSize, Event::kExceptionEl0,
               Event::kExceptionEl1, Event::kHvc});
  list.section("Memory accesses");
  list.events({Event::kUserAccess, Event::kLoad, Event::kStore, Event::kL2TlbHit,
               Event::kL2TlbHitKernel, Event::kL2TlbHitCopy, Event::kWalk, Event::kWalkKernel,
               Event::kWalkCopy, Event::kPageZero, Event::kPageCopy});
  list.section("Page tables");
  list.row(
      "page-table entries written",
      [](const ordered_json& part) -> Reading {
        return {part["page_table_writes"].get<std::uint64_t>(), {"/page_table_writes"}};
      },
      true);
  list.statistics("allocator", kernel::kAllocatorStatistics);
  list.own_statistics(parts);
  list.section("Linear map");
  list.statistics("linear_map", kernel::kLinearMapStatistics);
  list.section("Credentials");
  list.statistics("credentials", kernel::kCredStatistics);
  list.section("The kernel's own data in the TLBs");
  list.statistics("kernel_data", kernel::kKernelDataStatistics);
  list.distributions();
  list.locks();
  list.exposure();
  return list.take();
}

}  // namespace kpksim::report
