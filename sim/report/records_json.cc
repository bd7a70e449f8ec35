#include "sim/report/records_json.h"

#include <array>
#include <nlohmann/json.hpp>
#include <string>

namespace kpksim::report {

using nlohmann::ordered_json;

namespace {

ordered_json distribution_json(const watch::Distribution& d) {
  return {{"count", d.count()},
          {"sum", d.sum()},
          {"least", d.least()},
          {"p50", d.quantile(50, 100)},
          {"p90", d.quantile(90, 100)},
          {"p99", d.quantile(99, 100)},
          {"p999", d.quantile(999, 1000)},
          {"most", d.most()}};
}

// Parts in whole units, which sum exactly to the whole units of their sum.
class Whole {
 public:
  std::uint64_t next(kernel::ByteMillicycles more) {
    const kernel::ByteMillicycles before = sum_ / kernel::kMillicyclesPerKilocycle;
    sum_ += more;
    return static_cast<std::uint64_t>(sum_ / kernel::kMillicyclesPerKilocycle - before);
  }

 private:
  kernel::ByteMillicycles sum_ = 0;
};

ordered_json exposure_json(const std::vector<watch::Series::Part>& parts) {
  constexpr std::array<const char*, kernel::kTableOwners> kOwners = {"own", "kernel", "other"};
  ordered_json out = ordered_json::object();
  for (const bool open : {false, true}) {
    ordered_json& owners = out[open ? "in_windows" : "at_rest"];
    for (std::size_t i = 0; i < kOwners.size(); ++i) {
      ordered_json& list = owners[kOwners[i]] = ordered_json::array();
      Whole whole;
      for (const watch::Series::Part& part : parts) {
        list.push_back(whole.next((open ? part.exposure.in_windows : part.exposure.at_rest)[i]));
      }
    }
  }
  ordered_json& windows = out["windows"] = ordered_json::array();
  for (const watch::Series::Part& part : parts) windows.push_back(part.exposure.windows.count);
  return out;
}

}  // namespace

ordered_json distributions_json(const watch::Distributions& distributions) {
  ordered_json latencies = ordered_json::object(), walks = ordered_json::object();
  for (std::size_t i = 0; i < kernel::kWorks; ++i) {
    const watch::Distribution& d = distributions.latencies[i];
    if (d.count() == 0) continue;
    latencies[std::string(kernel::name_of(static_cast<kernel::Work>(i)))] = distribution_json(d);
  }
  for (std::size_t bits = 1; bits < distributions.walks.size(); ++bits) {
    const std::uint64_t n = distributions.walks[bits];
    if (n != 0) walks[std::to_string(1ull << bits)] = n;
  }
  if (distributions.walks[0] != 0) walks["none"] = distributions.walks[0];
  return {{"latency_cycles", latencies},
          {"tlbi_entries_dropped", distribution_json(distributions.dropped)},
          {"walks_by_page_bytes", walks}};
}

ordered_json series_json(const watch::Series& series, bool exposure) {
  ordered_json out = {{"unit", series.operations ? "operations" : "cycles"},
                      {"interval", series.interval}};
  const auto list = [&](const auto& value) {
    ordered_json values = ordered_json::array();
    for (const watch::Series::Part& part : series.parts) values.push_back(value(part));
    return values;
  };
  using Part = watch::Series::Part;
  out["end_cycles"] = list([](const Part& p) { return p.cycles; });
  out["cycles"] = list([](const Part& p) { return p.busy; });
  out["page_table_writes"] = list([](const Part& p) { return p.page_table_writes; });
  out["tables"] = list([](const Part& p) { return p.tables; });
  out["cached"] = list([](const Part& p) { return p.cached; });
  if (exposure) out["exposure"] = exposure_json(series.parts);
  out["events"] = ordered_json::object();
  for (std::size_t e = 0; e < cpu::kEvents; ++e) {
    bool any = false;
    for (const Part& part : series.parts) any |= part.events[e] != 0;
    if (!any) continue;
    out["events"][std::string(cpu::kEventInfo[e].name)] =
        list([e](const Part& p) { return p.events[e]; });
  }
  return out;
}

}  // namespace kpksim::report
